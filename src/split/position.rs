//! How far a split was read, and what is asked for to go on from there.

use crate::proto::v1::Rows;

/// The rows of a split and how many of them are delivered.
///
/// Rows of a session keep their order, so a broken read goes on at the next undelivered row: a row range without filter by a
/// shorter range, everything else by leaving out the rows that are known already.
#[derive(Debug, Clone, Copy)]
pub(super) struct Position {
    rows: Rows,
    /// The service may leave rows out, so their number says nothing about their address.
    filtered: bool,
    delivered: u64,
}

impl Position {
    /// At the first row.
    pub(super) fn new(rows: Rows, filtered: bool) -> Self {
        Position { rows, filtered, delivered: 0 }
    }

    /// Counts rows that were delivered.
    pub(super) fn advance(&mut self, rows: u64) {
        self.delivered += rows;
    }

    /// How many rows were delivered.
    pub(super) fn delivered(&self) -> u64 {
        self.delivered
    }

    /// The rows to ask for next, and how many of their first ones are delivered already.
    ///
    /// At least one row is asked for, because only the end marker of an answer says that the split is complete.
    pub(super) fn rest(&self) -> (Rows, u64) {
        match self.rows {
            Rows::Range { start, count } if !self.filtered => {
                let left_out = i64::try_from(self.delivered).unwrap_or(i64::MAX).min(count - 1).max(0);
                let rows = Rows::Range { start: start + left_out, count: count - left_out };
                (rows, self.delivered.saturating_sub(left_out.unsigned_abs()))
            }
            rows => (rows, self.delivered),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rest_after(rows: Rows, filtered: bool, delivered: u64) -> (Rows, u64) {
        let mut position = Position::new(rows, filtered);
        position.advance(delivered);
        position.rest()
    }

    #[test]
    fn a_range_shrinks_and_everything_else_is_skipped() {
        let range = Rows::Range { start: 100, count: 50 };
        assert_eq!(rest_after(range, false, 0), (range, 0));
        assert_eq!(rest_after(range, false, 20), (Rows::Range { start: 120, count: 30 }, 0));
        assert_eq!(rest_after(range, false, 50), (Rows::Range { start: 149, count: 1 }, 1));
        assert_eq!(rest_after(range, true, 20), (range, 20));
        let split = Rows::Split { index: 3 };
        assert_eq!(rest_after(split, false, 20), (split, 20));
        let none = Rows::Range { start: 0, count: 0 };
        assert_eq!(rest_after(none, false, 0), (none, 0));
    }
}
