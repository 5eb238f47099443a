//! Whether everything that a read is about was asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How many pieces of a read no request was sent for yet.
#[derive(Debug, Clone, Default)]
pub(super) struct Unasked(Arc<AtomicU64>);

impl Unasked {
    /// Counts `pieces` more.
    pub(super) fn add(&self, pieces: u64) {
        self.0.fetch_add(pieces, Ordering::Relaxed);
    }

    /// One of them is not wanted any more.
    pub(super) fn pass_over(&self) {
        let before = self.0.fetch_sub(1, Ordering::Relaxed);
        debug_assert!(before > 0, "more pieces were asked for than there are");
    }

    /// One of them, whose request is about to be made.
    pub(super) fn due(&self) -> Due {
        Due { among: self.clone(), counts: AtomicBool::new(true) }
    }

    pub(super) fn is_none(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }
}

/// A piece that counts until its first request is sent, or until nobody will send one.
#[derive(Debug)]
pub(super) struct Due {
    among: Unasked,
    counts: AtomicBool,
}

impl Due {
    /// Its request is sent, or it needs none.
    pub(super) fn settle(&self) {
        if self.counts.swap(false, Ordering::Relaxed) {
            self.among.pass_over();
        }
    }
}

impl Drop for Due {
    fn drop(&mut self) {
        self.settle();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_counts_until_its_first_request_or_its_end() {
        let unasked = Unasked::default();
        assert!(unasked.is_none());
        unasked.add(3);
        let (asked, dropped) = (unasked.due(), unasked.due());
        asked.settle();
        asked.settle();
        drop(asked);
        unasked.pass_over();
        assert!(!unasked.is_none());
        drop(dropped);
        assert!(unasked.is_none());
    }
}
