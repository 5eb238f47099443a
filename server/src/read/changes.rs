//! The rows of an incremental session: stored rows in the order of the changes, with system columns behind them.

use std::ops::Range;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use arrow::array::{ArrayRef, Int8Array, RecordBatch, RecordBatchOptions, TimestampMillisecondArray};
use arrow::compute::interleave;
use arrow::datatypes::{Field, SchemaRef};

use super::wire::wire_columns;
use crate::catalog::{Catalog, Column};
use crate::delta::{ChangeRow, META_OPERATION, META_TIMESTAMP};
use crate::plan::{Chosen, Plan, RowRange};
use crate::store::{Footers, Gathered, batch_rows, gather};
use crate::types::{Stage, conform};

/// A walk over the changes of some groups.
pub struct Changes {
    /// Blocks not yet begun.
    blocks: Range<usize>,
    /// Changes of the first of them that have been told.
    at: usize,
    left: u64,
    batch_rows: usize,
}

impl Changes {
    /// The changes of `range`, in batches of at most `batch_rows`.
    pub fn new(plan: &Plan, range: &RowRange, batch_rows: usize) -> Changes {
        debug_assert!(plan.choice.range.is_some());
        Changes { blocks: range.blocks.clone(), at: range.skip as usize, left: range.rows, batch_rows }
    }

    /// The next batch, `None` at the end.
    pub fn next_batch(
        &mut self,
        catalog: &Catalog,
        footers: &Footers,
        plan: &Plan,
        schema: &SchemaRef,
    ) -> Result<Option<RecordBatch>> {
        while self.left > 0 {
            if self.blocks.is_empty() {
                bail!("{} rows are missing at the end of the range", self.left);
            }
            let (group, _, _) = plan.blocks.get(self.blocks.start).context("a stored session is damaged: block")?;
            let chosen = plan.chosen(*group, catalog, footers)?;
            let Chosen::Changes(rows) = &*chosen else {
                bail!("a stored session is damaged: rows where changes belong")
            };
            let rest = rows.get(self.at..).unwrap_or_default();
            if rest.is_empty() {
                (self.blocks.start, self.at) = (self.blocks.start + 1, 0);
                continue;
            }
            let batch = self.read(catalog, footers, plan, *group, schema, rest)?;
            self.at += batch.num_rows();
            self.left -= batch.num_rows() as u64;
            return Ok(Some(batch));
        }
        Ok(None)
    }

    /// As many of the changes `rest` of a group as make a batch.
    fn read(
        &self,
        catalog: &Catalog,
        footers: &Footers,
        plan: &Plan,
        group: usize,
        schema: &SchemaRef,
        rest: &[ChangeRow],
    ) -> Result<RecordBatch> {
        let group = plan.groups.get(group).context("a stored session is damaged: group")?;
        let ids: Vec<&str> = group.files.iter().map(|file| file.id.as_str()).collect();
        let mut count = rest.len().min(self.batch_rows).min(usize::try_from(self.left).unwrap_or(usize::MAX));
        // Wide rows make short batches, here as everywhere.
        let mut sized: Vec<u32> = rest.iter().take(count).map(|row| row.file).collect();
        sized.sort_unstable();
        sized.dedup();
        for file in sized {
            let id = ids.get(file as usize).context("a stored session is damaged: file")?;
            let footer = footers.get(id, &catalog.file_path(id))?;
            let blocks = 0..footer.metadata().num_row_groups();
            count = count.min(batch_rows(footer.metadata(), blocks, |_| true, count));
        }
        let rows = rest.get(..count).unwrap_or_default();
        let places: Vec<(u32, u32)> = rows.iter().map(|row| (row.file, row.row)).collect();
        let stored = plan.columns.iter().filter(|output| output.partition_index.is_none());
        let names: Vec<&str> = stored.map(|output| output.column.name.as_str()).collect();
        let Gathered { batches, order } = gather(catalog, footers, &ids, &places, &names)?;
        let parts: Vec<Vec<ArrayRef>> = batches
            .iter()
            .map(|(_, batch)| wire_columns(plan, schema, batch, &group.partition))
            .collect::<Result<_>>()?;
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
        for column in 0..plan.columns.len() {
            let sources: Vec<_> =
                parts.iter().filter_map(|part| part.get(column).map(|array| array.as_ref())).collect();
            arrays.push(interleave(&sources, &order)?);
        }
        for (column, field) in plan.system_columns.iter().zip(schema.fields().iter().skip(plan.columns.len())) {
            arrays.push(system(plan, column, field, rows)?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
        Ok(RecordBatch::try_new_with_options(schema.clone(), arrays, &options)?)
    }
}

/// The values of a system column.
fn system(plan: &Plan, column: &Column, field: &Field, rows: &[ChangeRow]) -> Result<ArrayRef> {
    let array: ArrayRef = match column.name.as_str() {
        META_OPERATION => Arc::new(rows.iter().map(|row| row.operation).collect::<Int8Array>()),
        META_TIMESTAMP => {
            let time = |row: &ChangeRow| {
                let place = plan.commits.binary_search_by_key(&row.version, |commit| commit.0).ok();
                place.and_then(|place| plan.commits.get(place)).map(|commit| commit.1)
            };
            Arc::new(rows.iter().map(time).collect::<TimestampMillisecondArray>())
        }
        other => bail!("a stored session is damaged: system column {other}"),
    };
    Ok(conform(&array, &column.ty, field.data_type(), Stage::Wire(plan.delivery))?)
}
