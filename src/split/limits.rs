//! How large the batches are that the engine wants at present.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::arrow::Caps;

/// Limits that hold on top of those of the read options; 0 for none.
#[derive(Debug, Default)]
pub(super) struct BatchLimits {
    rows: AtomicUsize,
    bytes: AtomicU64,
}

impl BatchLimits {
    pub(super) fn set(&self, rows: u64, bytes: u64) {
        self.rows.store(usize::try_from(rows).unwrap_or(usize::MAX), Ordering::Relaxed);
        self.bytes.store(bytes, Ordering::Relaxed);
    }

    /// The largest batch that is wanted; `None` for any.
    pub(super) fn caps(&self) -> Option<Caps> {
        let (rows, bytes) = (self.rows.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed));
        match (rows, bytes) {
            (0, 0) => None,
            (0, bytes) => Some(Caps { rows: usize::MAX, bytes }),
            (rows, bytes) => Some(Caps { rows, bytes }),
        }
    }
}
