//! Requests counted by call and outcome, how long they took, and the last refusals. Memory is bounded: labels are names
//! of calls and statuses, never names that a client made up.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::clock::now_ms;
use crate::subject::{Protocol, Subject};

/// Refusals that are remembered.
const MAX_REFUSALS: usize = 50;
/// Characters of a sentence that are remembered.
const MAX_SENTENCE: usize = 500;
/// Seconds that charts show.
pub const HISTORY_S: usize = 300;
/// Upper ends of the classes of durations, in milliseconds.
pub const CLASSES_MS: [u64; 14] = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 60_000];

/// Which requests are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub action: &'static str,
    pub protocol: Protocol,
    /// 0 if there was no answer.
    pub status: u16,
}

/// Requests of one kind.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    pub requests: u64,
    /// Those whose answer was not sent to its end.
    pub broken: u64,
    pub received: u64,
    pub sent: u64,
    /// Requests by the class of their duration; the last class has no upper end.
    pub durations: [u64; CLASSES_MS.len() + 1],
    pub total_ms: f64,
}

/// A request that was refused.
#[derive(Clone, Debug, Serialize)]
pub struct Refusal {
    pub at_ms: i64,
    pub request_id: String,
    pub action: &'static str,
    /// Project, schema and table as far as the request named them.
    pub place: String,
    pub status: u16,
    pub code: String,
    pub message: String,
}

/// One second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sample {
    /// Bytes of bodies.
    pub received: u64,
    pub sent: u64,
    /// Slots in use, and requests that wait for one.
    pub slots: u32,
    pub waiting: u32,
}

/// All counters.
#[derive(Debug)]
pub struct Observed {
    pub started: Instant,
    received: AtomicU64,
    sent: AtomicU64,
    samples: Mutex<Samples>,
    tallies: Mutex<BTreeMap<Key, Tally>>,
    refusals: Mutex<VecDeque<Refusal>>,
    running: AtomicU64,
}

/// The last minutes, second by second.
#[derive(Debug, Default)]
struct Samples {
    seconds: VecDeque<Sample>,
    /// The totals when the last second ended.
    received: u64,
    sent: u64,
}

impl Default for Observed {
    fn default() -> Observed {
        Observed {
            started: Instant::now(),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            samples: Mutex::default(),
            tallies: Mutex::default(),
            refusals: Mutex::default(),
            running: AtomicU64::new(0),
        }
    }
}

impl Observed {
    /// Bytes of a request body came in.
    pub fn count_received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Bytes of an answer were handed over.
    pub fn count_sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// A second is over.
    pub fn tick(&self, slots: u32, waiting: u32) {
        let (received, sent) = (self.received(), self.sent());
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        let sample = Sample {
            received: received.saturating_sub(samples.received),
            sent: sent.saturating_sub(samples.sent),
            slots,
            waiting,
        };
        (samples.received, samples.sent) = (received, sent);
        samples.seconds.push_back(sample);
        if samples.seconds.len() > HISTORY_S + 1 {
            samples.seconds.pop_front();
        }
    }

    /// The last minutes, the newest second last.
    pub fn samples(&self) -> Vec<Sample> {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner).seconds.iter().copied().collect()
    }

    /// A request has begun.
    pub fn begun(&self) {
        self.running.fetch_add(1, Ordering::Relaxed);
    }

    /// The last byte of an answer was handed over, or the client went away.
    pub fn finished(
        &self,
        subject: &Subject,
        status: u16,
        received: u64,
        sent: u64,
        elapsed: Duration,
        complete: bool,
    ) {
        self.running.fetch_sub(1, Ordering::Relaxed);
        let key = Key { action: subject.action, protocol: subject.protocol, status };
        let mut tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        let tally = tallies.entry(key).or_default();
        tally.requests += 1;
        tally.broken += u64::from(!complete);
        tally.received += received;
        tally.sent += sent;
        tally.total_ms += elapsed.as_secs_f64() * 1000.0;
        let class =
            CLASSES_MS.iter().position(|end| elapsed <= Duration::from_millis(*end)).unwrap_or(CLASSES_MS.len());
        if let Some(count) = tally.durations.get_mut(class) {
            *count += 1;
        }
    }

    /// A request was refused.
    pub fn refused(&self, request_id: &str, subject: &Subject, status: u16, code: &str, message: &str) {
        let short = |text: &str| text.chars().take(MAX_SENTENCE).collect::<String>();
        let refusal = Refusal {
            at_ms: now_ms(),
            request_id: request_id.to_string(),
            action: subject.action,
            place: short(&subject.place()),
            status,
            code: short(code),
            message: short(message),
        };
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        if refusals.len() >= MAX_REFUSALS {
            refusals.pop_back();
        }
        refusals.push_front(refusal);
    }

    /// The counters, in a fixed order.
    pub fn tallies(&self) -> Vec<(Key, Tally)> {
        let tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        tallies.iter().map(|(key, tally)| (*key, tally.clone())).collect()
    }

    /// The last refusals, the newest first.
    pub fn refusals(&self) -> Vec<Refusal> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Requests that have begun and not ended, open streams among them.
    pub fn running(&self) -> u64 {
        self.running.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_call_and_outcome() {
        let observed = Observed::default();
        let read = Subject::new(Protocol::V1, "TableRead");
        for (status, ms, complete) in [(200, 1, true), (200, 3, true), (200, 100_000, false), (404, 1, true)] {
            observed.begun();
            observed.finished(&read, status, 5, 10, Duration::from_millis(ms), complete);
        }
        observed.begun();
        assert_eq!(observed.running(), 1);
        let tallies = observed.tallies();
        assert_eq!(
            tallies.iter().map(|(key, _)| (key.action, key.status)).collect::<Vec<_>>(),
            [("TableRead", 200), ("TableRead", 404)]
        );
        let tally = &tallies[0].1;
        assert_eq!((tally.requests, tally.broken, tally.received, tally.sent), (3, 1, 15, 30));
        assert_eq!((tally.durations[0], tally.durations[2], tally.durations[CLASSES_MS.len()]), (1, 1, 1));
    }

    #[test]
    fn seconds_are_remembered() {
        let observed = Observed::default();
        for i in 0..400 {
            observed.count_sent(i);
            observed.tick(i as u32, 1);
        }
        let samples = observed.samples();
        assert_eq!(samples.len(), HISTORY_S + 1);
        assert_eq!(samples[HISTORY_S], Sample { received: 0, sent: 399, slots: 399, waiting: 1 });
    }

    #[test]
    fn the_last_refusals_are_remembered() {
        let observed = Observed::default();
        let read = Subject::new(Protocol::V1, "TableRead");
        for i in 0..60 {
            observed.refused(&format!("r{i}"), &read, 404, "NoSuchTable", &"x".repeat(10_000));
        }
        let refusals = observed.refusals();
        assert_eq!((refusals.len(), refusals[0].request_id.as_str()), (MAX_REFUSALS, "r59"));
        assert_eq!(refusals[0].message.len(), MAX_SENTENCE);
    }
}
