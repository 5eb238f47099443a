//! The rows of a split or row range, as batches in wire layout.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use anyhow::{Context, Result};
use arrow::array::{BooleanBufferBuilder, RecordBatch};
use arrow::datatypes::SchemaRef;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection};
use parquet::file::metadata::ParquetMetaData;

use super::changes::Changes;
use super::wire::{place, to_wire};
use crate::catalog::Catalog;
use crate::plan::{Chosen, Plan, PlanFile, RowRange};
use crate::store::{Footers, batch_rows};

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
    /// In an incremental session, where the rows come from instead of blocks.
    changes: Option<Changes>,
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
        let batch_rows = batch_rows.max(1);
        let changes = plan.choice.range.as_ref().map(|_| Changes::new(&plan, &range, batch_rows));
        Rows {
            changes,
            catalog,
            footers,
            plan,
            schema,
            batch_rows,
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
        if let Some(changes) = &mut self.changes {
            return changes.next_batch(&self.catalog, &self.footers, &self.plan, &self.schema);
        }
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
            .map(|output| place(footer.schema(), &output.column))
            .filter_map(Result::transpose)
            .collect::<Result<_>>()
            .with_context(|| format!("{} is damaged", path.display()))?;
        let mask = ProjectionMask::roots(footer.parquet_schema(), roots);
        let rows =
            batch_rows(footer.metadata(), groups.iter().copied(), |leaf| mask.leaf_included(leaf), self.batch_rows);
        let selection = self.selection(file, &groups, footer.metadata())?;
        let skip = std::mem::take(&mut self.skip);
        let mut reader = ParquetRecordBatchReaderBuilder::new_with_metadata(source, footer)
            .with_row_groups(groups)
            .with_projection(mask)
            .with_batch_size(rows);
        if let Some(selection) = selection {
            reader = reader.with_row_selection(selection);
        }
        let reader = reader
            .with_offset(skip as usize)
            .with_limit(self.left as usize)
            .build()
            .with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Some(OpenFile { reader, number }))
    }

    fn plan_file(&self, number: usize) -> Result<&PlanFile> {
        self.plan.files.get(number).context("a stored session is damaged: unknown file number")
    }

    /// The rows of the blocks `groups` that are delivered; `None` means all of them.
    fn selection(&self, file: &PlanFile, groups: &[usize], footer: &ParquetMetaData) -> Result<Option<RowSelection>> {
        let Some((group, member)) = file.member else { return Ok(None) };
        let chosen = self.plan.chosen(group, &self.catalog, &self.footers)?;
        let Chosen::Rows(rows) = &*chosen else {
            anyhow::bail!("a stored session is damaged: changes where rows belong")
        };
        let rows = rows.get(member).context("a stored session is damaged: unknown file of a group")?;
        let mut starts = vec![0usize];
        for block in footer.row_groups() {
            starts.push(starts.last().copied().unwrap_or_default() + block.num_rows().max(0) as usize);
        }
        let mut bits = BooleanBufferBuilder::new(0);
        for group in groups {
            let (Some(start), Some(end)) = (starts.get(*group), starts.get(group + 1)) else {
                anyhow::bail!("a stored session is damaged: unknown block")
            };
            bits.append_buffer(&rows.slice(*start, end - start));
        }
        let bits = bits.finish();
        Ok((bits.count_set_bits() < bits.len()).then(|| RowSelection::from_boolean_buffer(bits)))
    }

    fn to_wire(&self, batch: &RecordBatch, number: usize) -> Result<RecordBatch> {
        to_wire(&self.plan, &self.schema, batch, &self.plan_file(number)?.partition)
    }
}
