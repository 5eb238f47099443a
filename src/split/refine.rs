//! What happens to a batch between decoding and the engine: values are treated by policy, rows that do not match go, then columns that only
//! the filter needed, and last, when the engine takes it, the form changes. So every filter sees the types of the table.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Instant;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};

use super::kept::Kept;
use crate::arrow::policy::{Touched, Treatment};
use crate::arrow::{bytes_of, claim_fresh};
use crate::error::Result;
use crate::memory::Allowance;
use crate::predicate::{Predicate, Selection};
use crate::session::{Metrics, Projection, Session};

/// The policies and the filter of a session, and the filters that the engine adds while it reads.
#[derive(Debug)]
pub(super) struct Refinement {
    values: Treatment,
    form: Treatment,
    selection: Option<Arc<Selection>>,
    /// They only become more.
    added: RwLock<Vec<Arc<Selection>>>,
}

impl Refinement {
    /// For batches that arrive with one schema and are delivered with the columns of the other.
    pub(super) fn new(session: &Session, arriving: &SchemaRef, delivered: &SchemaRef) -> Result<Self> {
        let policies = &session.plan().policies;
        Ok(Refinement {
            values: policies.of_values(arriving)?,
            form: policies.of_form(delivered)?,
            selection: session.selection().cloned(),
            added: RwLock::default(),
        })
    }

    /// The schema of every batch as the engine gets it.
    pub(super) fn schema(&self) -> &SchemaRef {
        self.form.schema()
    }

    /// Whether rows may be left out by the filter of the session.
    pub(super) fn selects(&self) -> bool {
        self.selection.is_some()
    }

    /// Adds a filter on the columns that are delivered, in the types they have before their form changes. Batches that were handed out
    /// are not touched by it, all others are.
    pub(super) fn add(&self, filter: &Predicate, delivered: &Schema) -> Result<()> {
        let selection = Arc::new(Selection::new(filter, delivered)?);
        self.added.write().unwrap_or_else(PoisonError::into_inner).push(selection);
        Ok(())
    }

    /// The filters that were added after a batch had passed `passed` of them.
    pub(super) fn since(&self, passed: usize) -> Filters {
        Filters(self.added().iter().skip(passed).cloned().collect())
    }

    /// Bytes that [`Refinement::apply`] needs at most for what it makes of a batch that passes the filters.
    pub(super) fn most_bytes(&self, batch: &RecordBatch, filters: &Filters) -> u64 {
        self.values.most_bytes(batch) + copied(batch, usize::from(self.selection.is_some()) + filters.0.len())
    }

    /// Bytes that [`Refinement::finish`] needs at most to bring a batch into its form.
    pub(super) fn most_bytes_of_form(&self, batch: &RecordBatch) -> u64 {
        self.form.most_bytes(batch)
    }

    /// The batch as it waits for the engine, maybe without any row; `kept` tells which they were. What is made for it takes its memory out of
    /// the allowance.
    pub(super) fn apply(
        &self,
        batch: RecordBatch,
        filters: &Filters,
        projection: &Projection,
        metrics: &Metrics,
        kept: &mut Kept,
        allowance: Option<&Allowance>,
    ) -> Result<RecordBatch> {
        accounted(batch, allowance, |batch| {
            let batch = select(treat(&self.values, batch, metrics)?, self.selection.as_slice(), metrics, kept)?;
            select(projection.apply(batch)?, &filters.0, metrics, kept)
        })
    }

    /// The batch in the form that the engine gets.
    pub(super) fn finish(
        &self,
        batch: RecordBatch,
        metrics: &Metrics,
        allowance: Option<&Allowance>,
    ) -> Result<RecordBatch> {
        accounted(batch, allowance, |batch| treat(&self.form, batch, metrics))
    }

    fn added(&self) -> RwLockReadGuard<'_, Vec<Arc<Selection>>> {
        self.added.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Filters that a batch has not passed yet.
#[derive(Debug)]
pub(super) struct Filters(Vec<Arc<Selection>>);

impl Filters {
    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// Bytes that [`Filters::apply`] needs at most for the rows that stay; 0 without filters.
    pub(super) fn most_bytes(&self, batch: &RecordBatch) -> u64 {
        copied(batch, self.0.len())
    }

    /// The rows that pass. They take their memory out of the allowance.
    pub(super) fn apply(
        &self,
        batch: RecordBatch,
        metrics: &Metrics,
        allowance: Option<&Allowance>,
    ) -> Result<RecordBatch> {
        accounted(batch, allowance, |batch| select(batch, &self.0, metrics, &mut Kept::default()))
    }
}

/// Bytes of the copies that so many filters make at most. The rows that stay are copied into buffers that grow by doubling, and those of one
/// filter are there until the next one has copied them.
fn copied(batch: &RecordBatch, filters: usize) -> u64 {
    match filters.min(2) as u64 {
        0 => 0,
        copies => 2 * copies * bytes_of(batch, 0, batch.num_rows()),
    }
}

/// What `make` makes of a batch, with the memory for it taken out of the allowance.
fn accounted(
    batch: RecordBatch,
    allowance: Option<&Allowance>,
    make: impl FnOnce(RecordBatch) -> Result<RecordBatch>,
) -> Result<RecordBatch> {
    let Some(allowance) = allowance else { return make(batch) };
    let made = make(batch.clone())?;
    claim_fresh(&batch, &made, allowance);
    Ok(made)
}

fn treat(treatment: &Treatment, batch: RecordBatch, metrics: &Metrics) -> Result<RecordBatch> {
    if treatment.is_idle() || batch.num_rows() == 0 {
        return Ok(batch);
    }
    let (start, mut touched) = (Instant::now(), Touched::default());
    let treated = treatment.apply(batch, &mut touched);
    metrics.policies.add_time(start.elapsed());
    metrics.decimals_converted.add(touched.decimals);
    metrics.chars_changed.add(touched.chars);
    metrics.map_entries_dropped.add(touched.map_entries);
    metrics.strings_viewed.add(touched.views);
    metrics.offsets_widened.add(touched.offsets);
    metrics.strings_encoded.add(touched.encoded);
    metrics.dictionary_values.add(touched.dictionary_values);
    treated
}

fn select(
    mut batch: RecordBatch,
    selections: &[Arc<Selection>],
    metrics: &Metrics,
    kept: &mut Kept,
) -> Result<RecordBatch> {
    if selections.is_empty() {
        return Ok(batch);
    }
    let (start, rows) = (Instant::now(), batch.num_rows());
    for selection in selections {
        if batch.num_rows() > 0 {
            let (left, rows) = selection.apply_noting(&batch)?;
            kept.add(rows);
            batch = left;
        }
    }
    metrics.filter.add_time(start.elapsed());
    metrics.rows_filtered.add((rows - batch.num_rows()) as u64);
    Ok(batch)
}
