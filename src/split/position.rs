//! How far a part of a split was read, and what is asked for to go on from there.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{Error, Kind, Result};
use crate::proto::call::Rows;

/// Rows that one request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    /// The split they belong to.
    pub split: i64,
    /// How the service is asked for them.
    pub rows: Rows,
    /// The service may leave rows out, so their number says nothing about their address.
    pub filtered: bool,
    /// Rows of the split that are read before these.
    pub before: u64,
    /// Rows at the start that are left out.
    pub skip: u64,
    /// Rows that are delivered at most.
    pub limit: u64,
}

impl Piece {
    /// All rows of a split.
    pub(crate) fn whole(split: i64, rows: Rows, filtered: bool) -> Self {
        Piece { split, rows, filtered, before: 0, skip: 0, limit: u64::MAX }
    }

    /// The part that begins behind the first `start` rows and has at most `count`: a row range without filter becomes a shorter
    /// range, of everything else rows are left out on arrival.
    pub(crate) fn part(self, start: u64, count: Option<u64>) -> Result<Self> {
        let limit = count.unwrap_or(u64::MAX);
        match self.rows {
            Rows::Range { start: first, count: all } if !self.filtered => {
                let skip = i64::try_from(start).ok().filter(|start| *start <= all).ok_or_else(|| {
                    let message = format!("read.start_row is {start}, split {} has {all} rows", self.split);
                    Error::new(Kind::InvalidOption, message)
                })?;
                let count = (all - skip).min(i64::try_from(limit).unwrap_or(i64::MAX));
                Ok(Piece { rows: Rows::Range { start: first + skip, count }, ..self })
            }
            _ => Ok(Piece { skip: start, limit, ..self }),
        }
    }

    /// Whether there is nothing to ask for.
    pub(crate) fn is_empty(&self) -> bool {
        self.limit == 0 || matches!(self.rows, Rows::Range { count, .. } if count <= 0)
    }

    /// How many rows there are at most, where the address says it.
    pub(crate) fn addressed(&self) -> Option<u64> {
        match self.rows {
            Rows::Range { count, .. } => Some(count.max(0).unsigned_abs()),
            Rows::Split { .. } => None,
        }
    }

    /// First row, rows and rows of a piece, where its address allows to cut it; else those of one piece.
    fn steps(&self, rows: u64) -> (i64, i64, i64) {
        let step = i64::try_from(rows.max(1)).unwrap_or(i64::MAX);
        match self.rows {
            Rows::Range { start, count } if self.skip == 0 && self.limit == u64::MAX => {
                (start, count.max(0), step.min(count.max(1)))
            }
            _ => (0, 1, 1),
        }
    }

    /// How many pieces [`Piece::cut`] makes.
    pub(super) fn pieces(&self, rows: u64) -> u64 {
        let (_, all, step) = self.steps(rows);
        all.unsigned_abs().div_ceil(step.unsigned_abs())
    }

    /// The piece in pieces of at most `rows` rows, where its address allows that.
    pub(crate) fn cut(self, rows: u64) -> impl Iterator<Item = Piece> {
        let (first, all, step) = self.steps(rows);
        let starts = (0..all).step_by(usize::try_from(step).unwrap_or(usize::MAX));
        starts.map(move |at| match self.rows {
            Rows::Range { .. } if all > step => {
                let rows = Rows::Range { start: first + at, count: step.min(all - at) };
                Piece { rows, before: self.before + at.unsigned_abs(), ..self }
            }
            _ => self,
        })
    }
}

/// What is asked for next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rest {
    /// The rows.
    pub(super) rows: Rows,
    /// How many of their first ones the service skips.
    pub(super) skip: u64,
    /// How many of those that come are not wanted.
    pub(super) known: u64,
}

/// A piece and how many of its rows are delivered. Another request may take the rest over while it is read.
///
/// Rows of a session keep their order, so a broken read goes on at the next undelivered row: a row range without filter by a
/// shorter range, everything else by having the service skip the rows that are known already, or by leaving them out here.
#[derive(Debug)]
pub(crate) struct Position(Mutex<State>);

#[derive(Debug, Clone, Copy)]
struct State {
    piece: Piece,
    delivered: u64,
    /// Others read what lies behind: the piece is complete without an end marker.
    cut_short: bool,
    begun: Instant,
}

impl Position {
    /// At the first row.
    pub(crate) fn new(piece: Piece) -> Self {
        let cut_short = piece.limit != u64::MAX;
        Position(Mutex::new(State { piece, delivered: 0, cut_short, begun: Instant::now() }))
    }

    /// The piece, without what others took over.
    pub(crate) fn piece(&self) -> Piece {
        self.lock().piece
    }

    /// How many rows were delivered.
    pub(super) fn delivered(&self) -> u64 {
        self.lock().delivered
    }

    /// Takes note that up to `rows` more are delivered; how many of them are wanted.
    pub(super) fn claim(&self, rows: u64) -> u64 {
        let mut state = self.lock();
        let wanted = rows.min(state.limit() - state.delivered);
        state.delivered += wanted;
        wanted
    }

    /// Whether everything that is wanted is delivered, though the service has more.
    pub(super) fn is_over(&self) -> bool {
        let state = self.lock();
        state.cut_short && state.delivered == state.limit()
    }

    /// The rows to ask for next, from a service that can skip rows or cannot.
    ///
    /// At least one row of a range is asked for, because only the end marker of an answer says that it is complete.
    pub(super) fn rest(&self, can_skip: bool) -> Rest {
        let state = self.lock();
        let left_out = state.piece.skip.saturating_add(state.delivered);
        match state.piece.rows {
            Rows::Range { start, count } if !state.piece.filtered => {
                let left_out = i64::try_from(state.delivered).unwrap_or(i64::MAX).min(count - 1).max(0);
                let rows = Rows::Range { start: start + left_out, count: count - left_out };
                Rest { rows, skip: 0, known: state.delivered.saturating_sub(left_out.unsigned_abs()) }
            }
            rows if can_skip => Rest { rows, skip: left_out, known: 0 },
            rows => Rest { rows, skip: 0, known: left_out },
        }
    }

    /// How long the rest will take at the speed so far; `None` for rows that nobody else can ask for, and before any arrived.
    pub(crate) fn time_left(&self) -> Option<Duration> {
        let state = self.lock();
        let left = state.addressed_rest()?;
        (state.delivered > 0).then(|| state.begun.elapsed().mul_f64(left as f64 / state.delivered as f64))
    }

    /// Gives the second half of the rest away, if that is at least `least` rows.
    pub(crate) fn halve(&self, least: u64) -> Option<Piece> {
        let mut state = self.lock();
        let given = i64::try_from(state.addressed_rest()? / 2).ok()?;
        let Rows::Range { start, count } = state.piece.rows else { return None };
        if given.unsigned_abs() < least.max(1) {
            return None;
        }
        state.piece.rows = Rows::Range { start, count: count - given };
        state.cut_short = true;
        let before = state.piece.before + (count - given).unsigned_abs();
        Some(Piece { rows: Rows::Range { start: start + count - given, count: given }, before, ..state.piece })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn limit(&self) -> u64 {
        match self.piece.rows {
            Rows::Range { count, .. } => self.piece.limit.min(count.max(0).unsigned_abs()),
            Rows::Split { .. } => self.piece.limit,
        }
    }

    /// Undelivered rows, where each has an address.
    fn addressed_rest(&self) -> Option<u64> {
        (!self.piece.filtered).then_some(())?;
        self.piece.addressed().map(|all| all.saturating_sub(self.delivered))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANGE: Rows = Rows::Range { start: 100, count: 50 };
    const SPLIT: Rows = Rows::Split { index: 3 };

    fn rest_after(piece: Piece, delivered: u64) -> (Rows, u64) {
        let position = Position::new(piece);
        assert_eq!(position.claim(delivered), delivered);
        let Rest { rows, skip, known } = position.rest(false);
        assert_eq!(skip, 0);
        let skipping = position.rest(true);
        match piece.addressed() {
            Some(_) if !piece.filtered => assert_eq!(skipping, Rest { rows, skip, known }),
            _ => assert_eq!(skipping, Rest { rows, skip: known, known: 0 }),
        }
        (rows, known)
    }

    fn whole(rows: Rows, filtered: bool) -> Piece {
        Piece::whole(3, rows, filtered)
    }

    #[test]
    fn a_range_shrinks_and_everything_else_is_skipped() {
        let range = |start, count| Rows::Range { start, count };
        assert_eq!(rest_after(whole(RANGE, false), 0), (RANGE, 0));
        assert_eq!(rest_after(whole(RANGE, false), 20), (range(120, 30), 0));
        assert_eq!(rest_after(whole(RANGE, false), 50), (range(149, 1), 1));
        assert_eq!(rest_after(whole(RANGE, true), 20), (RANGE, 20));
        assert_eq!(rest_after(whole(SPLIT, false), 20), (SPLIT, 20));
        let none = range(0, 0);
        assert_eq!(rest_after(whole(none, false), 0), (none, 0));
    }

    #[test]
    fn a_part_is_a_shorter_range_or_leaves_rows_out() {
        let part = |rows, filtered, start, count| whole(rows, filtered).part(start, count).unwrap();
        assert_eq!(part(RANGE, false, 10, None).rows, Rows::Range { start: 110, count: 40 });
        assert_eq!(part(RANGE, false, 10, Some(5)).rows, Rows::Range { start: 110, count: 5 });
        assert!(part(RANGE, false, 50, None).is_empty() && part(RANGE, false, 0, Some(0)).is_empty());
        assert_eq!(whole(RANGE, false).part(51, None).unwrap_err().kind(), Kind::InvalidOption);
        for (rows, filtered) in [(SPLIT, false), (RANGE, true)] {
            let piece = part(rows, filtered, 10, Some(5));
            assert_eq!((piece.rows, piece.skip, piece.limit, piece.is_empty()), (rows, 10, 5, false));
            assert_eq!(rest_after(piece, 3), (rows, 13));
            let position = Position::new(piece);
            assert_eq!(
                (position.claim(4), position.is_over(), position.claim(4), position.is_over()),
                (4, false, 1, true)
            );
        }
    }

    #[test]
    fn pieces_cover_every_row_once() {
        let pieces: Vec<Rows> = whole(RANGE, true).cut(20).map(|piece| piece.rows).collect();
        let range = |start, count| Rows::Range { start, count };
        assert_eq!(pieces, [range(100, 20), range(120, 20), range(140, 10)]);
        assert_eq!(whole(RANGE, false).cut(u64::MAX).collect::<Vec<_>>(), [whole(RANGE, false)]);
        assert_eq!(whole(SPLIT, false).cut(1).collect::<Vec<_>>(), [whole(SPLIT, false)]);
        let skipping = whole(RANGE, true).part(1, None).unwrap();
        assert_eq!(skipping.cut(1).collect::<Vec<_>>(), [skipping]);
        assert_eq!(whole(range(0, 0), false).cut(5).count(), 0);
        let counted = [(RANGE, 20), (RANGE, u64::MAX), (RANGE, 50), (RANGE, 0), (range(0, 0), 5), (SPLIT, 1)];
        for (rows, step) in counted {
            assert_eq!(whole(rows, false).pieces(step), whole(rows, false).cut(step).count() as u64, "{rows:?} {step}");
        }
    }

    #[test]
    fn the_rest_of_a_range_can_be_given_away() {
        let position = Position::new(whole(RANGE, false));
        assert_eq!(position.claim(10), 10);
        let given = position.halve(5).unwrap();
        assert_eq!(given.rows, Rows::Range { start: 130, count: 20 });
        assert_eq!((position.claim(25), position.is_over()), (20, true));
        assert!(position.halve(1).is_none(), "nothing is left");
        assert!(Position::new(given).halve(11).is_none() && Position::new(whole(RANGE, true)).halve(1).is_none());
        assert!(Position::new(whole(SPLIT, false)).halve(1).is_none());
    }
}
