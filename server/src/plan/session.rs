//! The plan that a session keeps.

use std::ops::Range;
use std::sync::Arc;

use anyhow::Context;
use arrow::datatypes::{Field, Schema, SchemaRef};
use serde::{Deserialize, Serialize};

use super::chosen::{Choice, Chooser, Chosen, Group};
use super::columns::OutputColumn;
use super::request::{SplitMode, TimeUnitName};
use crate::catalog::{Catalog, Column};
use crate::delta::IncrementalRange;
use crate::store::Footers;
use crate::types::{Delivery, Units, arrow_type};

/// What a session reads, fixed at creation. Stored as JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plan {
    pub split_mode: SplitMode,
    pub datetime_unit: TimeUnitName,
    pub timestamp_unit: TimeUnitName,
    pub columns: Vec<OutputColumn>,
    /// Columns of the predicate: which rows are read tells what they hold.
    #[serde(default)]
    pub compared: Vec<String>,
    pub files: Vec<PlanFile>,
    /// The blocks to read, in the order of their rows.
    pub blocks: Vec<PlanBlock>,
    /// Ranges of `blocks`, one per split; empty in mode RowOffset.
    pub splits: Vec<Range<usize>>,
    /// Texts have 64-bit offsets; version 1 knows no such sessions.
    #[serde(default)]
    pub large_text: bool,
    /// Bytes of the blocks as stored.
    #[serde(default)]
    pub bytes: u64,
    /// Estimated bytes and rows, if asked for.
    pub stats: Option<(u64, u64)>,
    /// The bucket of every split in mode Bucket.
    pub bucket_ids: Vec<u32>,
    /// The version of the table that the session shows.
    pub latest_version: i64,
    /// Columns behind all others that no table has.
    pub system_columns: Vec<Column>,
    /// Files whose rows are chosen together. In an incremental session they take the place of `files`.
    pub groups: Vec<Group>,
    /// What rows of groups are chosen by.
    pub choice: Choice,
    /// When the versions of an incremental read were committed.
    pub commits: Vec<(i64, i64)>,
    /// How values are put on the wire.
    pub delivery: Delivery,
}

/// A data file and the values of its partition.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlanFile {
    pub id: String,
    pub partition: Vec<String>,
    /// Its group and its place in it, if not all of its rows are delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<(usize, usize)>,
}

/// A block: number of the file in the plan, number of the row group in the file, rows that are delivered. A block of an
/// incremental session is all changes of a group: number of the group, 0, changes.
pub type PlanBlock = (usize, usize, u64);

/// Rows of consecutive blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowRange {
    pub blocks: Range<usize>,
    /// Rows to leave out at the start of the first block.
    pub skip: u64,
    pub rows: u64,
}

impl Plan {
    /// The columns that a session over the plan tells something about.
    pub fn told(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|output| output.column.name.as_str()).chain(self.compared.iter().map(String::as_str))
    }

    /// Rows in all blocks.
    pub fn row_count(&self) -> u64 {
        self.blocks.iter().map(|block| block.2).sum()
    }

    /// The schema of the answer.
    pub fn schema(&self) -> SchemaRef {
        let units = Units { datetime: self.datetime_unit.into(), timestamp: self.timestamp_unit.into() };
        let columns = self.columns.iter().map(|output| &output.column).chain(&self.system_columns);
        let fields = columns.map(|column| {
            let layout = self.delivery.layout(&column.ty, arrow_type(&column.ty, units));
            Field::new(&column.name, layout, column.nullable || self.delivery.makes_null(&column.ty))
        });
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    /// The rows of split `index`; `None` if there is no such split.
    pub fn split(&self, index: usize) -> Option<RowRange> {
        let blocks = self.splits.get(index)?.clone();
        let rows = self.blocks.get(blocks.clone())?.iter().map(|block| block.2).sum();
        Some(RowRange { blocks, skip: 0, rows })
    }

    /// The rows `[start, start + count)` of the session; `None` if the range ends behind the last row.
    pub fn rows(&self, start: u64, count: u64) -> Option<RowRange> {
        let end = start.checked_add(count).filter(|end| *end <= self.row_count())?;
        if count == 0 {
            return Some(RowRange { blocks: 0..0, skip: 0, rows: 0 });
        }
        let (mut first, mut last, mut skip, mut before) = (0, 0, 0, 0);
        for (i, block) in self.blocks.iter().enumerate() {
            let after = before + block.2;
            if before <= start && start < after {
                (first, skip) = (i, start - before);
            }
            if before < end {
                last = i;
            }
            before = after;
        }
        Some(RowRange { blocks: first..last + 1, skip, rows: count })
    }

    /// Reads a stored plan.
    pub fn from_json(text: &str) -> anyhow::Result<Plan> {
        serde_json::from_str(text).context("a stored session is damaged")
    }

    /// The files that must not be deleted while the session lives.
    pub fn pinned_files(&self) -> Vec<String> {
        // Merging looks at files of which not a single row is delivered.
        let merged = self.groups.iter().flat_map(|group| group.files.iter().map(|file| &file.id));
        let mut ids: Vec<String> = self.files.iter().map(|file| &file.id).chain(merged).cloned().collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// The rows of a group that are delivered.
    pub fn chosen(&self, group: usize, catalog: &Catalog, footers: &Footers) -> anyhow::Result<Arc<Chosen>> {
        let group = self.groups.get(group).context("a stored session is damaged: unknown group of files")?;
        Chooser { catalog, footers, choice: &self.choice }.chosen(group)
    }

    /// The range of an incremental read, as the answer repeats it.
    pub fn incremental_echo(&self) -> Option<serde_json::Value> {
        self.choice.range.as_ref().map(IncrementalRange::echo)
    }

    /// Bytes that the plan holds in memory, about.
    pub fn weight(&self) -> u64 {
        let bits: u64 = self.groups.iter().map(|group| group.stored_rows() / 8 + 64).sum();
        let changes = if self.choice.range.is_some() { self.row_count() * 24 } else { 0 };
        (self.blocks.len() * size_of::<PlanBlock>() + self.files.len() * 128) as u64 + bits + changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_ranges_find_their_blocks() {
        let plan = Plan {
            split_mode: SplitMode::RowOffset,
            datetime_unit: TimeUnitName::Milli,
            timestamp_unit: TimeUnitName::Nano,
            columns: Vec::new(),
            compared: Vec::new(),
            files: Vec::new(),
            blocks: vec![(0, 0, 10), (0, 1, 5), (1, 0, 20)],
            splits: Vec::new(),
            large_text: false,
            bytes: 0,
            stats: None,
            bucket_ids: Vec::new(),
            latest_version: 1,
            system_columns: Vec::new(),
            groups: Vec::new(),
            choice: Choice::default(),
            commits: Vec::new(),
            delivery: Delivery::default(),
        };
        assert_eq!(plan.rows(0, 35), Some(RowRange { blocks: 0..3, skip: 0, rows: 35 }));
        assert_eq!(plan.rows(12, 2), Some(RowRange { blocks: 1..2, skip: 2, rows: 2 }));
        assert_eq!(plan.rows(10, 6), Some(RowRange { blocks: 1..3, skip: 0, rows: 6 }));
        assert_eq!(plan.rows(35, 0), Some(RowRange { blocks: 0..0, skip: 0, rows: 0 }));
        assert_eq!(plan.rows(35, 1), None);
        assert_eq!(plan.rows(u64::MAX, 2), None);
    }
}
