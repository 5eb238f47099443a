//! What reads cost: one of them, and all of a session together.

use std::sync::atomic::{Ordering, fence};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::memory::{Account, Budget};
use crate::metrics::{Metric, figures};

figures! {
    /// The figures of one read.
    Metrics;

    rows, "rows", "Rows handed to the engine.";
    batches, "batches", "Batches handed to the engine.";
    bytes_wire, "bytes", "Bytes of the response body, after HTTP framing.";
    bytes_decoded, "bytes", "Bytes of the buffers of all decoded batches.";
    bytes_copied, "bytes", "Bytes copied within the process: out of the buffers of the HTTP library (TLS and proxies only; plain HTTP is received in place), and where a type needs more alignment than the wire has. Decompression is not counted.";
    requests, "requests", "HTTP requests made.";
    resumes, "requests", "Requests that went on where an earlier one had broken off.";
    rows_reread, "rows", "Rows that came a second time after such a break, and were left out.";
    first_byte, "us", "Time from opening the split to the start of the answer.";
    network, "us", "Time spent on the network after that: waiting for bytes and taking them out of the socket.";
    decode, "us", "Time spent in framing, decompression and validation.";
    throttled, "us", "Time requests waited because the service had too many: for a slot of the client, and after refusals.";
    memory_wait, "us", "Time readers waited for memory: the budget was used up or the host refused.";
    rows_filtered, "rows", "Rows that arrived and were left out, because a filter that the library evaluates (filter.exact, ms_split_add_filter) is not true for them.";
    filter, "us", "Time spent in evaluating filters and taking out the rows that match.";
    times_replaced, "values", "Timestamps and intervals that did not fit their unit and became NULL or the nearest value (types.timestamp_overflow).";
    decimals_converted, "values", "Decimals that were brought into another form (types.decimal).";
    chars_changed, "values", "CHAR values that got or lost blanks (types.char_padding).";
    map_entries_dropped, "values", "Entries of maps that were left out because a later one has the same key (types.map_duplicate_keys).";
    strings_viewed, "values", "Strings and binary values that were delivered as views (types.string_view).";
    strings_encoded, "values", "Strings that were delivered as keys of a dictionary (types.dictionary).";
    dictionary_values, "values", "Values of the dictionaries that were delivered: far fewer than strings_encoded where dictionaries pay.";
    offsets_widened, "values", "Strings, binary values and lists that were delivered with 64-bit offsets (types.large_offsets).";
    policies, "us", "Time spent in the policies of types, but for that of times.";
    queue_wait, "us", "Time finished batches waited for room in the queue: the engine was slower.";
    consumer_wait, "us", "Time the engine waited for batches: the network or decoding was slower.";
    memory_current, "bytes", "Bytes held for batches now: being received, decompressed, waiting, at the engine, or kept to be used again.";
    memory_peak, "bytes", "The most bytes held at one time.";
}

figures! {
    /// The figures of a session that no single read has.
    SessionMetrics;

    reads, "reads", "Splits and scans that were opened.";
    reads_open, "reads", "Those of them that were not freed yet.";
    planning, "us", "Time that planning took, or takes so far; 0 for a session that was planned elsewhere.";
}

/// The reads of a session, those that are over included.
#[derive(Debug)]
pub(crate) struct Reads {
    /// What they hold together.
    account: Arc<Account>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    opened: u64,
    /// What reads have cost that are over.
    over: Metrics,
    open: Vec<Arc<Metrics>>,
}

impl State {
    /// Sums up the reads whose figures nobody changes any more.
    fn settle(&mut self) {
        let over = &self.over;
        self.open.retain(|read| {
            let is_open = Arc::strong_count(read) > 1;
            if !is_open {
                // What was counted before it was let go of is seen here.
                fence(Ordering::Acquire);
                over.add(read);
            }
            is_open
        });
    }
}

impl Reads {
    pub(super) fn new(budget: &Arc<Budget>) -> Self {
        Reads { account: Account::new(budget), state: Mutex::default() }
    }

    /// The figures of a new read, which is open for as long as the caller keeps them, and the account of what it holds.
    pub(crate) fn begin(&self) -> (Arc<Metrics>, Arc<Account>) {
        let metrics = Arc::new(Metrics::default());
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.settle();
        state.opened += 1;
        state.open.push(Arc::clone(&metrics));
        (metrics, Account::within(&self.account))
    }

    /// The figures of the session, then the sums of those of its reads.
    pub(super) fn list(&self, planned_in: Option<Duration>) -> Vec<Metric> {
        let (own, sums) = (SessionMetrics::default(), Metrics::default());
        {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.settle();
            own.reads.set(state.opened);
            own.reads_open.set(state.open.len() as u64);
            sums.add(&state.over);
            state.open.iter().for_each(|read| sums.add(read));
        }
        own.planning.add_time(planned_in.unwrap_or_default());
        sums.memory_current.set(self.account.held());
        sums.memory_peak.set(self.account.peak());
        [own.list(), sums.list()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(reads: &Reads, name: &str) -> u64 {
        reads.list(None).iter().find(|metric| metric.name == name).unwrap().value
    }

    #[test]
    fn reads_count_when_they_are_over_and_are_not_kept() {
        let reads = Reads::new(&Budget::new(0, None));
        let (kept, _) = reads.begin();
        kept.rows.add(5);
        kept.memory_peak.set(1000);
        for _ in 0..100 {
            let (read, _) = reads.begin();
            read.rows.add(1);
            read.first_byte.add_time(Duration::from_micros(3));
        }
        assert_eq!((figure(&reads, "reads"), figure(&reads, "reads_open"), figure(&reads, "rows")), (101, 1, 105));
        assert_eq!((figure(&reads, "first_byte"), reads.state.lock().unwrap().open.len()), (300, 1));
        assert_eq!(figure(&reads, "memory_peak"), 0, "not a sum of what was at different times");
        kept.rows.add(1);
        drop(kept);
        assert_eq!((figure(&reads, "reads_open"), figure(&reads, "rows")), (0, 106));
        let names: std::collections::HashSet<_> = reads.list(None).iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), reads.list(None).len(), "no name is there twice");
    }
}
