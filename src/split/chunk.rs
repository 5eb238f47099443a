//! A batch on its way to the engine.

use arrow_array::RecordBatch;

use crate::memory::{Allowance, Ready};

/// A batch, the split it belongs to, and what it weighs. Its reader knows that it is under way until [`Chunk::taken`].
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(super) split: i64,
    pub(super) batch: RecordBatch,
    pub(super) bytes: u64,
    /// Rows of the service up to the end of the batch, counted from where the read of the split began.
    pub(super) position: u64,
    /// How many of the filters that were added it has passed.
    pub(super) passed: usize,
    pub(super) ready: Ready,
    /// For what the engine's form of it takes.
    pub(super) allowance: Option<Allowance>,
    /// For the rows that pass filters which were added since, if the memory for them had to be waited for.
    pub(super) filtering: Option<Allowance>,
}

impl Chunk {
    /// What the engine gets, and the memory for its form.
    pub(super) fn taken(self) -> (i64, RecordBatch, Option<Allowance>) {
        drop(self.ready);
        (self.split, self.batch, self.allowance)
    }
}
