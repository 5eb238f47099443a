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

    /// Where row `row` of what is left stood at first.
    pub(super) fn origin(&self, row: usize) -> usize {
        self.0.iter().rev().fold(row, |row, kept| kept.set_indices().nth(row).unwrap_or(row))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_followed_back_through_every_filter() {
        let mut kept = Kept::default();
        assert_eq!([0, 5].map(|row| kept.origin(row)), [0, 5]);
        kept.add(Some(BooleanBuffer::from_iter([false, true, true, false, true, true])));
        kept.add(None);
        assert_eq!([0, 1, 2, 3].map(|row| kept.origin(row)), [1, 2, 4, 5]);
        kept.add(Some(BooleanBuffer::from_iter([false, true, false, true])));
        assert_eq!([0, 1].map(|row| kept.origin(row)), [2, 5]);
    }
}
