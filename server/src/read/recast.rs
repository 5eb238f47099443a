//! The rows of a version 1 answer in the layout of versions 2 and 3, and some of their columns only.

use std::sync::Arc;

use anyhow::{Context, Result};
use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::source::Batches;
use crate::types::to_plain;

/// A column of the answer: its place in the batches it comes from, and its layout.
#[derive(Clone, Debug)]
pub struct Recolumn {
    pub place: usize,
    pub layout: DataType,
}

/// Batches whose columns are chosen and converted.
pub struct Recast<B> {
    inner: B,
    places: Vec<usize>,
    schema: SchemaRef,
}

impl<B: Batches> Recast<B> {
    /// The given columns of `inner`. Names become lower case.
    pub fn new(inner: B, columns: &[Recolumn]) -> Result<Recast<B>> {
        let source = inner.schema();
        let fields = columns.iter().map(|column| {
            let field = source.fields().get(column.place).context("a column is chosen that is not there")?;
            Ok(Field::new(field.name().to_lowercase(), column.layout.clone(), field.is_nullable()))
        });
        let schema = Arc::new(Schema::new(fields.collect::<Result<Vec<_>>>()?));
        Ok(Recast { inner, places: columns.iter().map(|column| column.place).collect(), schema })
    }
}

impl<B: Batches> Batches for Recast<B> {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        let Some(batch) = self.inner.next_batch()? else { return Ok(None) };
        let columns = self.places.iter().zip(self.schema.fields()).map(|(place, field)| {
            to_plain(batch.column(*place), field.data_type()).with_context(|| format!("column {}", field.name()))
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(Some(RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?))
    }
}
