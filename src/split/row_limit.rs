//! How many rows an engine wants at most.

use std::sync::atomic::{AtomicU64, Ordering};

/// Rows that are still wanted, by all threads that take batches.
#[derive(Debug)]
pub(super) struct RowLimit(AtomicU64);

impl RowLimit {
    pub(super) fn new(rows: u64) -> Self {
        RowLimit(AtomicU64::new(rows))
    }

    /// Claims up to `rows`: how many of them are wanted, and whether nothing is wanted behind them.
    pub(super) fn claim(&self, rows: usize) -> (usize, bool) {
        let rows = rows as u64;
        let claim = |left: u64| Some(left.saturating_sub(rows));
        let left = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, claim).unwrap_or_default();
        (usize::try_from(rows.min(left)).unwrap_or(usize::MAX), left <= rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_add_up_to_the_limit() {
        let limit = RowLimit::new(10);
        assert_eq!([4, 4, 4, 4].map(|rows| limit.claim(rows)), [(4, false), (4, false), (2, true), (0, true)]);
        assert_eq!(RowLimit::new(4).claim(4), (4, true));
    }
}
