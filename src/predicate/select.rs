//! Takes the rows that meet a condition out of a batch.

use arrow_array::{BooleanArray, RecordBatch};
use arrow_buffer::BooleanBuffer;
use arrow_schema::Schema;
use arrow_select::filter::filter_record_batch;

use super::Predicate;
use super::bind::{Bound, bind};
use super::domain::{TypedColumn, View};
use crate::arrow::type_text;
use crate::error::{Error, Kind, Result};

/// A condition on batches of one schema.
#[derive(Debug, Clone, PartialEq)]
pub struct Selection(Bound);

impl Selection {
    /// A predicate on what is delivered. `MS_NOT_FOUND` for a column that the schema lacks, `MS_INVALID_ARGUMENT` for a test that
    /// its types do not allow.
    pub fn new(predicate: &Predicate, schema: &Schema) -> Result<Self> {
        let bound = bind(predicate, &delivered_columns(schema), View::Delivered)?;
        match bound.foreign() {
            None => Ok(Selection(bound)),
            Some(reason) => Err(Error::new(Kind::InvalidArgument, format!("the filter cannot be evaluated: {reason}"))),
        }
    }

    /// The rows of the batch that meet the condition; the batch itself, if all do.
    pub fn apply(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        Ok(self.apply_noting(batch)?.0)
    }

    /// As [`Selection::apply`], and which rows those are; `None` for all.
    pub fn apply_noting(&self, batch: &RecordBatch) -> Result<(RecordBatch, Option<BooleanBuffer>)> {
        let rows = batch.num_rows();
        let met = self.0.rows(batch.columns(), rows)?;
        let count = met.count_set_bits();
        if count == rows {
            return Ok((batch.clone(), None));
        }
        let filtered = match count {
            0 => Ok(batch.slice(0, 0)),
            _ => filter_record_batch(batch, &BooleanArray::new(met.clone(), None)),
        };
        let failed = |error| Error::new(Kind::Internal, format!("a batch cannot be filtered: {error}"));
        Ok((filtered.map_err(failed)?, Some(met)))
    }
}

/// The columns of a schema of ours.
pub(super) fn delivered_columns(schema: &Schema) -> Vec<TypedColumn> {
    let column = |field: &arrow_schema::FieldRef| TypedColumn {
        name: field.name().clone(),
        type_text: type_text(field).to_owned(),
        delivered: Some(field.data_type().clone()),
    };
    schema.fields().iter().map(column).collect()
}
