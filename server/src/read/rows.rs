//! The rows of a split or row range, as batches in wire layout.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use anyhow::{Context, Result};
use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Schema, SchemaRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::constants::constant;
use crate::catalog::Catalog;
use crate::plan::{Plan, PlanFile, RowRange};
use crate::store::{Footers, batch_rows, column_index};
use crate::types::{Stage, conform};

/// The place of a column that a data file must have.
fn place(schema: &Schema, name: &str) -> Result<usize> {
    column_index(schema, name).with_context(|| format!("no column {name}"))
}

/// An iterator over the batches of a row range. Blocking; holds at most one open file and one decoded batch.
pub struct Rows {
    catalog: Arc<Catalog>,
    footers: Arc<Footers>,
    plan: Arc<Plan>,
    schema: SchemaRef,
    batch_rows: usize,
    /// Blocks not yet opened.
    blocks: Range<usize>,
    skip: u64,
    left: u64,
    open: Option<OpenFile>,
}

struct OpenFile {
    reader: ParquetRecordBatchReader,
    /// Number of the file in the plan.
    number: usize,
}

impl Rows {
    /// The rows of `range` in batches of at most `batch_rows`.
    pub fn new(
        catalog: Arc<Catalog>,
        footers: Arc<Footers>,
        plan: Arc<Plan>,
        range: RowRange,
        batch_rows: usize,
    ) -> Rows {
        let schema = plan.schema();
        Rows {
            catalog,
            footers,
            plan,
            schema,
            batch_rows: batch_rows.max(1),
            blocks: range.blocks,
            skip: range.skip,
            left: range.rows,
            open: None,
        }
    }

    /// The wire schema of all batches.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// The next batch, `None` at the end. After an error the iterator must not be used.
    pub fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        while self.left > 0 {
            let Some(open) = &mut self.open else {
                match self.open_next()? {
                    Some(open) => self.open = Some(open),
                    None => anyhow::bail!("{} rows are missing at the end of the range", self.left),
                }
                continue;
            };
            match open.reader.next() {
                None => self.open = None,
                Some(batch) => {
                    let number = open.number;
                    let batch = batch.context("cannot read a data file")?;
                    if batch.num_rows() == 0 {
                        continue;
                    }
                    let batch = self.to_wire(&batch, number)?;
                    self.left = self.left.saturating_sub(batch.num_rows() as u64);
                    return Ok(Some(batch));
                }
            }
        }
        Ok(None)
    }

    /// Opens the next run of blocks that lie in one file.
    fn open_next(&mut self) -> Result<Option<OpenFile>> {
        let mut groups = Vec::new();
        let mut number = None;
        while let Some((file, group, _)) = self.plan.blocks.get(self.blocks.start)
            && !self.blocks.is_empty()
            && number.is_none_or(|n| n == *file)
        {
            number = Some(*file);
            groups.push(*group);
            self.blocks.start += 1;
        }
        let Some(number) = number else { return Ok(None) };
        let file = self.plan_file(number)?;
        let path = self.catalog.file_path(&file.id);
        let footer = self.footers.get(&file.id, &path)?;
        let source = File::open(&path).with_context(|| format!("cannot open data file {}", path.display()))?;
        let roots: Vec<usize> = self
            .plan
            .columns
            .iter()
            .filter(|output| output.partition_index.is_none())
            .map(|output| place(footer.schema(), &output.column.name))
            .collect::<Result<_>>()
            .with_context(|| format!("{} is damaged", path.display()))?;
        let mask = ProjectionMask::roots(footer.parquet_schema(), roots);
        let rows =
            batch_rows(footer.metadata(), groups.iter().copied(), |leaf| mask.leaf_included(leaf), self.batch_rows);
        let skip = std::mem::take(&mut self.skip);
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(source, footer)
            .with_row_groups(groups)
            .with_projection(mask)
            .with_batch_size(rows)
            .with_offset(skip as usize)
            .with_limit(self.left as usize)
            .build()
            .with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Some(OpenFile { reader, number }))
    }

    fn plan_file(&self, number: usize) -> Result<&PlanFile> {
        self.plan.files.get(number).context("a stored session is damaged: unknown file number")
    }

    fn to_wire(&self, batch: &RecordBatch, number: usize) -> Result<RecordBatch> {
        let file = self.plan_file(number)?;
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.plan.columns.len());
        for (output, field) in self.plan.columns.iter().zip(self.schema.fields()) {
            let column = &output.column;
            let array = match output.partition_index {
                Some(index) => {
                    let value = file.partition.get(index).context("a stored session is damaged: partition value")?;
                    constant(value, &column.ty, batch.num_rows())?
                }
                None => batch.column(place(batch.schema_ref(), &column.name)?).clone(),
            };
            let array = conform(&array, &column.ty, field.data_type(), Stage::Wire)
                .with_context(|| format!("column {}", column.name))?;
            arrays.push(array);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options)?)
    }
}
