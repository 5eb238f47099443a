//! What a read costs: counters that are written without locks and listed at any time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// One figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Name, for example `bytes_wire`.
    pub name: &'static str,
    /// Unit: `rows`, `batches`, `bytes`, `requests` or `us`.
    pub unit: &'static str,
    /// Value.
    pub value: u64,
}

/// A counter.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `count`.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// Adds a time in microseconds.
    pub fn add_time(&self, time: Duration) {
        self.add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    /// Replaces the sum, of a figure that goes up and down.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// The sum.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! metrics {
    ($($field:ident, $unit:literal, $doc:literal;)*) => {
        /// The counters of one split.
        #[derive(Debug, Default)]
        pub struct Metrics {
            $(#[doc = $doc] pub $field: Counter,)*
        }

        impl Metrics {
            /// Name, unit and meaning of every figure, in the order of [`Metrics::list`].
            pub const DESCRIPTIONS: &'static [(&'static str, &'static str, &'static str)] =
                &[$((stringify!($field), $unit, $doc),)*];

            /// Every figure as it is now.
            pub fn list(&self) -> Vec<Metric> {
                vec![$(Metric { name: stringify!($field), unit: $unit, value: self.$field.get() },)*]
            }
        }
    };
}

metrics! {
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
    queue_wait, "us", "Time finished batches waited for room in the queue: the engine was slower.";
    consumer_wait, "us", "Time the engine waited for batches: the network or decoding was slower.";
    memory_current, "bytes", "Bytes held for batches now: being received, decompressed, waiting, at the engine, or kept to be used again.";
    memory_peak, "bytes", "The most bytes held at one time.";
}
