//! A batch on its way to the engine.

use std::sync::Arc;

use arrow_array::RecordBatch;

use super::kept::Kept;
use crate::arrow::Caps;
use crate::memory::{Allowance, Ready};

/// A batch, the split it belongs to, and what it weighs. Its reader knows that it is under way until [`Chunk::taken`].
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(super) split: i64,
    pub(super) batch: RecordBatch,
    pub(super) bytes: u64,
    /// Rows of the service up to the end of the batch, counted from where the read of the split began.
    pub(super) position: u64,
    pub(super) rows: Rows,
    /// How many of the filters that were added it has passed.
    pub(super) passed: usize,
    /// `None` for a part that was taken off.
    pub(super) ready: Option<Ready>,
    /// For what the engine's form of it takes, together with the parts that were taken off.
    pub(super) allowance: Option<Arc<Allowance>>,
    /// For the rows that pass filters which were added since, if the memory for them had to be waited for.
    pub(super) filtering: Option<Allowance>,
}

/// Which rows of the service a chunk has.
#[derive(Debug)]
pub(super) struct Rows {
    /// Those before the first row that the filters saw, counted as positions are.
    pub(super) start: u64,
    pub(super) kept: Kept,
}

/// What filters have made of some rows of the service.
#[derive(Debug)]
pub(super) struct Filtered {
    /// How many they were.
    pub(super) rows: usize,
    pub(super) kept: Kept,
    /// How many filters that were added did it.
    pub(super) passed: usize,
}

impl Chunk {
    /// Takes off what `caps` allow, without copying, and says how many bytes it has; `None` if that is the whole of it.
    pub(super) fn cut(&mut self, caps: Caps) -> Option<(Chunk, u64)> {
        let rows = self.batch.num_rows();
        let count = caps.next(&self.batch, 0);
        if count >= rows {
            return None;
        }
        let bytes = u64::try_from(u128::from(self.bytes) * count as u128 / rows as u128).unwrap_or(self.bytes);
        let start = self.rows.start;
        let (kept, passed_over) = self.rows.kept.take(count);
        self.rows.start += passed_over as u64;
        let part = Chunk {
            split: self.split,
            batch: self.batch.slice(0, count),
            bytes,
            position: self.rows.start,
            rows: Rows { start, kept },
            passed: self.passed,
            ready: None,
            allowance: self.allowance.clone(),
            filtering: self.filtering.take(),
        };
        self.batch = self.batch.slice(count, rows - count);
        self.bytes -= bytes;
        Some((part, bytes))
    }

    /// What the engine gets, and the memory for its form.
    pub(super) fn taken(self) -> (i64, RecordBatch, Option<Arc<Allowance>>) {
        drop(self.ready);
        (self.split, self.batch, self.allowance)
    }
}
