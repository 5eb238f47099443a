//! What happens to a batch between decoding and the engine: rows that do not match go, and then columns that only the filter needed.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use arrow_array::RecordBatch;
use arrow_schema::Schema;

use super::metrics::Metrics;
use crate::error::Result;
use crate::predicate::{Predicate, Selection};
use crate::session::{Projection, Session};

/// The filter of a session, and the filters that the engine adds while it reads.
#[derive(Debug)]
pub(super) struct Refinement {
    selection: Option<Arc<Selection>>,
    /// They only become more.
    added: RwLock<Vec<Arc<Selection>>>,
}

impl Refinement {
    pub(super) fn new(session: &Session) -> Self {
        Refinement { selection: session.selection().cloned(), added: RwLock::default() }
    }

    /// Adds a filter on what is delivered. Batches that were handed out are not touched by it, all others are.
    pub(super) fn add(&self, filter: &Predicate, delivered: &Schema) -> Result<()> {
        let selection = Arc::new(Selection::new(filter, delivered)?);
        self.added.write().unwrap_or_else(PoisonError::into_inner).push(selection);
        Ok(())
    }

    /// The batch as the engine shall get it, maybe without any row, and how many of the added filters it has passed.
    pub(super) fn apply(
        &self,
        batch: RecordBatch,
        projection: &Projection,
        metrics: &Metrics,
    ) -> Result<(RecordBatch, usize)> {
        let batch = select(batch, self.selection.as_slice(), metrics)?;
        self.catch_up(projection.apply(batch)?, 0, metrics)
    }

    /// Applies the filters that were added since the batch had passed `passed` of them.
    pub(super) fn catch_up(
        &self,
        batch: RecordBatch,
        passed: usize,
        metrics: &Metrics,
    ) -> Result<(RecordBatch, usize)> {
        let added = self.added.read().unwrap_or_else(PoisonError::into_inner);
        let fresh: Vec<_> = added.iter().skip(passed).cloned().collect();
        drop(added);
        Ok((select(batch, &fresh, metrics)?, passed + fresh.len()))
    }
}

fn select(mut batch: RecordBatch, selections: &[Arc<Selection>], metrics: &Metrics) -> Result<RecordBatch> {
    if selections.is_empty() {
        return Ok(batch);
    }
    let (start, rows) = (Instant::now(), batch.num_rows());
    for selection in selections {
        if batch.num_rows() > 0 {
            batch = selection.apply(&batch)?;
        }
    }
    metrics.filter.add_time(start.elapsed());
    metrics.rows_filtered.add((rows - batch.num_rows()) as u64);
    Ok(batch)
}
