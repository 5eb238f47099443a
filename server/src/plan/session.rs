//! The planner, and the plan that a session keeps.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use anyhow::Context;
use arrow::datatypes::{Field, Schema, SchemaRef};
use serde::{Deserialize, Serialize};

use super::columns::{OutputColumn, choose};
use super::partitions;
use super::request::{CreateRequest, SplitMode, TimeUnitName};
use super::splits::{Piece, Rules, by_count, by_size};
use crate::catalog::{Catalog, Column, DataFile, Partition, Snapshot, Table};
use crate::error::ApiError;
use crate::filter::{self, BlockFacts, Bound, Facts};
use crate::store::Footers;
use crate::types::{Units, arrow_type};

/// Splits of one session at most (service-behaviour.md 3.6, ASSUMED).
const MAX_SPLITS: usize = 100_000;
/// Default target of mode Size in bytes.
const DEFAULT_SPLIT_BYTES: i64 = 256 << 20;
/// Default number of splits of mode Parallelism.
const DEFAULT_SPLIT_COUNT: i64 = 32;

/// Numbers that depend on the profile.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Smallest `SplitNumber` of mode Size, in bytes.
    pub min_split_bytes: i64,
    /// Refuse batch sizes that the service refuses, instead of clamping them.
    pub strict_batches: bool,
}

/// What a session reads, fixed at creation. Stored as JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plan {
    pub split_mode: SplitMode,
    pub datetime_unit: TimeUnitName,
    pub timestamp_unit: TimeUnitName,
    pub columns: Vec<OutputColumn>,
    pub files: Vec<PlanFile>,
    /// The blocks to read, in the order of their rows.
    pub blocks: Vec<PlanBlock>,
    /// Ranges of `blocks`, one per split; empty in mode RowOffset.
    pub splits: Vec<Range<usize>>,
    /// Estimated bytes and rows, if asked for.
    pub stats: Option<(u64, u64)>,
}

/// A data file and the values of its partition.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlanFile {
    pub id: String,
    pub partition: Vec<String>,
}

/// A block: number of the file in the plan, number of the row group in the file, rows.
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
    /// Rows in all blocks.
    pub fn row_count(&self) -> u64 {
        self.blocks.iter().map(|block| block.2).sum()
    }

    /// The schema of the answer.
    pub fn schema(&self) -> SchemaRef {
        let units = Units { datetime: self.datetime_unit.into(), timestamp: self.timestamp_unit.into() };
        let fields = self.columns.iter().map(|output| {
            Field::new(&output.column.name, arrow_type(&output.column.ty, units), output.column.nullable)
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
}

/// Plans sessions. Blocking: it reads the catalogue and file footers.
pub struct Planner<'a> {
    pub catalog: &'a Catalog,
    pub footers: &'a Footers,
    pub limits: Limits,
}

impl Planner<'_> {
    /// Plans one session over one state of a table.
    pub fn plan(&self, snapshot: Snapshot, request: &CreateRequest) -> Result<Plan, ApiError> {
        let Snapshot { table, partitions, files } = snapshot;
        let table = &table;
        let columns = choose(table, request)?;
        let mode = request.split_options.split_mode;
        self.check(table, request)?;
        let predicate = bind(table, request)?;
        let chosen = super::partitions::select(table, partitions, &request.required_partitions)?;
        // In mode RowOffset rows are addressed by number, so the predicate leaves all of them in place.
        let predicate = predicate.filter(|_| mode != SplitMode::RowOffset);
        let candidates = in_partitions(table, files, chosen);
        let mut plan = Plan {
            split_mode: mode,
            datetime_unit: request.arrow_options.datetime_unit,
            timestamp_unit: request.arrow_options.timestamp_unit,
            columns,
            files: Vec::new(),
            blocks: Vec::new(),
            splits: Vec::new(),
            stats: None,
        };
        let mut pieces = Vec::new();
        for (file, partition) in candidates {
            self.add_blocks(table, &predicate, file, partition, &mut plan, &mut pieces)?;
        }
        plan.splits = self.cut(request, &pieces)?;
        if request.enable_estimate_stats {
            plan.stats = Some((pieces.iter().map(|p| p.bytes).sum(), plan.row_count()));
        }
        Ok(plan)
    }

    fn check(&self, table: &Table, request: &CreateRequest) -> Result<(), ApiError> {
        let options = &request.split_options;
        if !request.required_bucket_ids.is_empty() {
            return Err(ApiError::argument(format!("RequiredBucketIds: {} is not clustered", table.name)));
        }
        if request.split_max_file_num < 0 {
            return Err(ApiError::argument("SplitMaxFileNum must not be negative"));
        }
        let number = options.split_number.unwrap_or(match options.split_mode {
            SplitMode::Size => DEFAULT_SPLIT_BYTES,
            _ => DEFAULT_SPLIT_COUNT,
        });
        match options.split_mode {
            SplitMode::Bucket => Err(ApiError::argument(format!("SplitMode Bucket: {} is not clustered", table.name))),
            SplitMode::Size if number < self.limits.min_split_bytes => Err(ApiError::argument(format!(
                "SplitNumber {number} is too small: mode Size takes at least {} bytes",
                self.limits.min_split_bytes
            ))),
            SplitMode::Parallelism if number < 1 => {
                Err(ApiError::argument(format!("SplitNumber {number} is too small: mode Parallelism takes at least 1")))
            }
            _ => Ok(()),
        }
    }

    fn add_blocks(
        &self,
        table: &Table,
        predicate: &Option<Bound>,
        file: DataFile,
        partition: Option<Partition>,
        plan: &mut Plan,
        pieces: &mut Vec<Piece>,
    ) -> Result<(), ApiError> {
        let partition_id = partition.as_ref().map_or(0, |p| p.id);
        let values = partition.map(|p| p.values).unwrap_or_default();
        let known = table.partition_keys.iter().zip(&values).map(|(key, value)| partitions::facts(value, &key.ty));
        let known: Vec<Facts> = known.collect();
        if let Some(predicate) = predicate {
            let mut facts: BlockFacts = vec![Facts::UNKNOWN; table.columns.len()];
            facts.extend(known.iter().cloned());
            if !filter::can_match(predicate, &facts) {
                return Ok(());
            }
        }
        let footer = self.footers.get(&file.id, &self.catalog.file_path(&file.id))?;
        let blocks = footer.metadata().row_groups();
        let keep = match predicate {
            Some(predicate) => {
                let mut used = vec![false; table.columns.len() + known.len()];
                predicate.columns(&mut used);
                let by_column: Vec<Option<Vec<Facts>>> = table
                    .columns
                    .iter()
                    .zip(&used)
                    .map(|(column, used)| used.then(|| filter::of_file(&footer, column)))
                    .collect();
                let block_facts = |i: usize| {
                    let data = by_column
                        .iter()
                        .map(|facts| facts.as_ref().and_then(|f| f.get(i)).cloned().unwrap_or(Facts::UNKNOWN));
                    data.chain(known.iter().cloned()).collect::<BlockFacts>()
                };
                (0..blocks.len()).map(|i| filter::can_match(predicate, &block_facts(i))).collect()
            }
            None => vec![true; blocks.len()],
        };
        let number = plan.files.len();
        let mut used = false;
        for (i, (block, keep)) in blocks.iter().zip(keep).enumerate() {
            if keep && block.num_rows() > 0 {
                used = true;
                plan.blocks.push((number, i, block.num_rows() as u64));
                let bytes = block.compressed_size().max(0) as u64;
                pieces.push(Piece { bytes, file: number, partition: partition_id });
            }
        }
        if used {
            plan.files.push(PlanFile { id: file.id, partition: values });
        }
        Ok(())
    }

    fn cut(&self, request: &CreateRequest, pieces: &[Piece]) -> Result<Vec<Range<usize>>, ApiError> {
        let options = &request.split_options;
        let max_files = usize::try_from(request.split_max_file_num).unwrap_or(usize::MAX);
        let rules = Rules { cross_partition: options.cross_partition, max_files };
        let splits = match options.split_mode {
            SplitMode::RowOffset | SplitMode::Bucket => Vec::new(),
            SplitMode::Size => {
                let target = options.split_number.unwrap_or(DEFAULT_SPLIT_BYTES);
                by_size(pieces, target.max(1) as u64, rules)
            }
            SplitMode::Parallelism => {
                let wanted = options.split_number.unwrap_or(DEFAULT_SPLIT_COUNT);
                by_count(pieces, wanted.max(1) as u64, rules)
            }
        };
        if splits.len() > MAX_SPLITS {
            let message = format!("the session would have {} splits, at most {MAX_SPLITS} are allowed", splits.len());
            return Err(ApiError::argument(message));
        }
        Ok(splits)
    }
}

/// The files of the chosen partitions, grouped by partition, in commit order.
fn in_partitions(table: &Table, files: Vec<DataFile>, chosen: Vec<Partition>) -> Vec<(DataFile, Option<Partition>)> {
    if table.partition_keys.is_empty() {
        return files.into_iter().map(|file| (file, None)).collect();
    }
    let mut by_partition: HashMap<i64, Vec<DataFile>> = HashMap::new();
    for file in files {
        if let Some(id) = file.partition_id {
            by_partition.entry(id).or_default().push(file);
        }
    }
    let mut ordered = Vec::new();
    for partition in chosen {
        for file in by_partition.remove(&partition.id).unwrap_or_default() {
            ordered.push((file, Some(partition.clone())));
        }
    }
    ordered
}

fn bind(table: &Table, request: &CreateRequest) -> Result<Option<Bound>, ApiError> {
    let refuse = |e: filter::FilterError| ApiError::argument(e.to_string());
    let Some(expr) = filter::parse(&request.filter_predicate).map_err(refuse)? else { return Ok(None) };
    let columns: Vec<&Column> = table.columns.iter().chain(&table.partition_keys).collect();
    filter::bind(&expr, &columns, request.filter_predicate_fallback).map(Some).map_err(refuse)
}

/// The names of the columns that the predicate of a request reads.
pub fn predicate_columns(table: &Table, request: &CreateRequest) -> Result<Vec<String>, ApiError> {
    let Some(predicate) = bind(table, request)? else { return Ok(Vec::new()) };
    let mut used = vec![false; table.columns.len() + table.partition_keys.len()];
    predicate.columns(&mut used);
    let columns = table.columns.iter().chain(&table.partition_keys).zip(used);
    Ok(columns.filter(|(_, used)| *used).map(|(column, _)| column.name.clone()).collect())
}

impl Plan {
    /// Reads a stored plan.
    pub fn from_json(text: &str) -> anyhow::Result<Plan> {
        serde_json::from_str(text).context("a stored session is damaged")
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
            files: Vec::new(),
            blocks: vec![(0, 0, 10), (0, 1, 5), (1, 0, 20)],
            splits: Vec::new(),
            stats: None,
        };
        assert_eq!(plan.rows(0, 35), Some(RowRange { blocks: 0..3, skip: 0, rows: 35 }));
        assert_eq!(plan.rows(12, 2), Some(RowRange { blocks: 1..2, skip: 2, rows: 2 }));
        assert_eq!(plan.rows(10, 6), Some(RowRange { blocks: 1..3, skip: 0, rows: 6 }));
        assert_eq!(plan.rows(35, 0), Some(RowRange { blocks: 0..0, skip: 0, rows: 0 }));
        assert_eq!(plan.rows(35, 1), None);
        assert_eq!(plan.rows(u64::MAX, 2), None);
    }
}
