//! Where the rows of a batch stood among those of the service before filters left some out.

use arrow_buffer::BooleanBuffer;

/// The rows that each filter kept of those that the one before it kept. Nothing, as long as no row was left out.
#[derive(Debug, Clone, Default)]
pub(super) struct Kept(Vec<BooleanBuffer>);

impl Kept {
    /// One more filter kept these rows; `None` for all.
    pub(super) fn add(&mut self, rows: Option<BooleanBuffer>) {
        self.0.extend(rows);
    }

    /// Takes off the first `count` rows of what is left, and says over how many rows of the service they go. Costs what is taken off, not what
    /// is left.
    pub(super) fn take(&mut self, count: usize) -> (Kept, usize) {
        let mut rows = count;
        let mut parts = Vec::with_capacity(self.0.len());
        for kept in self.0.iter_mut().rev() {
            let end = rows.checked_sub(1).and_then(|last| kept.set_indices().nth(last)).map_or(0, |last| last + 1);
            parts.push(kept.slice(0, end));
            *kept = kept.slice(end, kept.len() - end);
            rows = end;
        }
        parts.reverse();
        (Kept(parts), rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_followed_back_through_every_filter() {
        let mut none = Kept::default();
        assert_eq!([none.take(0).1, none.take(5).1], [0, 5]);
        let mut kept = Kept::default();
        kept.add(Some(BooleanBuffer::from_iter([false, true, true, false, true, true, true])));
        kept.add(None);
        kept.add(Some(BooleanBuffer::from_iter([false, true, false, true, true])));
        // Of the service's rows 2, 5 and 6 are left.
        let (mut first, rows) = kept.take(2);
        assert_eq!(rows, 6);
        assert_eq!([first.take(1).1, first.take(1).1], [3, 3], "a part is cut as the whole is");
        assert_eq!(kept.take(1).1, 1);
    }
}
