//! From a request and a state of a table to a plan.

use std::ops::Range;

use arrow::buffer::BooleanBuffer;

use super::buckets::possible_buckets;
use super::candidates::{Candidate, candidates, demand_buckets, may_match, partition_facts};
use super::chosen::{Choice, Chooser, Chosen, Group};
use super::columns::choose;
use super::kinds::{check_mode, demand_rows};
use super::reading::{FilterMode, Reading};
use super::request::{CreateRequest, SplitMode};
use super::session::{Plan, PlanFile};
use super::shuffle::shuffle;
use super::splits::{Piece, Rules, by_bucket, by_count, by_size};
use crate::catalog::{Catalog, Column, Snapshot, Table};
use crate::delta::BucketFile;
use crate::error::ApiError;
use crate::filter::{self, BlockFacts, Bound, Facts, Predicate};
use crate::store::Footers;
use crate::types::Zone;

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
    /// Refuse every mode but RowOffset for snapshots of primary-key tables, as a note of PyODPS says.
    pub strict_delta: bool,
    /// Options of `serve`.
    pub reading: Reading,
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
        demand_rows(table)?;
        let columns = choose(table, request, self.limits.reading.json)?;
        self.check(table, request)?;
        let (predicate, bound) = self.predicate(table, request)?;
        let chosen = super::partitions::select(table, partitions, &request.required_partitions)?;
        let exact = self.limits.reading.filter == FilterMode::Exact;
        let choice = Choice {
            keys: primary_key(table),
            predicate: predicate.filter(|_| exact && bound.is_some()),
            columns: table.columns.clone(),
            partition_keys: table.partition_keys.clone(),
            range: None,
        };
        let mut plan = Plan {
            split_mode: request.split_options.split_mode,
            datetime_unit: request.arrow_options.datetime_unit,
            timestamp_unit: request.arrow_options.timestamp_unit,
            columns,
            compared: Vec::new(),
            files: Vec::new(),
            blocks: Vec::new(),
            splits: Vec::new(),
            large_text: request.enable_large_string,
            bytes: 0,
            stats: None,
            bucket_ids: Vec::new(),
            latest_version: table.version,
            system_columns: Vec::new(),
            groups: Vec::new(),
            choice,
            commits: Vec::new(),
            delivery: self.limits.reading.delivery(),
        };
        let mut pieces = Vec::new();
        if request.is_incremental() {
            self.add_changes(table, request, chosen, &mut plan, &mut pieces)?;
        } else {
            // Rows that are addressed by number stay where they are, unless the predicate decides about each of them.
            let pruning = bound.filter(|_| exact || plan.split_mode != SplitMode::RowOffset);
            demand_buckets(table, request, &files)?;
            let mut candidates = candidates(table, request, files, chosen);
            if let Some(possible) = pruning.as_ref().and_then(|predicate| possible_buckets(table, predicate)) {
                candidates.retain(|one| one.file.bucket.is_none_or(|bucket| possible.contains(&bucket)));
            }
            self.add_rows(table, &pruning, candidates, &mut plan, &mut pieces)?;
        }
        self.cut(request, &pieces, &mut plan)?;
        plan.bytes = pieces.iter().map(|p| p.bytes).sum();
        if request.enable_estimate_stats {
            plan.stats = Some((plan.bytes, plan.row_count()));
        }
        if let Some(seed) = self.limits.reading.shuffle {
            shuffle(&mut plan, seed);
        }
        Ok(plan)
    }

    fn check(&self, table: &Table, request: &CreateRequest) -> Result<(), ApiError> {
        let options = &request.split_options;
        check_mode(table, request, self.limits)?;
        if request.split_max_file_num < 0 {
            return Err(ApiError::argument("SplitMaxFileNum must not be negative"));
        }
        let number = options.split_number.unwrap_or(match options.split_mode {
            SplitMode::Size => DEFAULT_SPLIT_BYTES,
            _ => DEFAULT_SPLIT_COUNT,
        });
        match options.split_mode {
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

    /// The names of the columns that the predicate of a request reads: they need the same rights as those delivered.
    pub fn predicate_columns(&self, table: &Table, request: &CreateRequest) -> Result<Vec<String>, ApiError> {
        let (_, Some(bound)) = self.predicate(table, request)? else { return Ok(Vec::new()) };
        let mut used = vec![false; table.columns.len() + table.partition_keys.len()];
        bound.columns(&mut used);
        let columns = table.columns.iter().chain(&table.partition_keys).zip(used);
        Ok(columns.filter(|(_, used)| *used).map(|(column, _)| column.name.clone()).collect())
    }

    /// The zone of a project: its property `odps.sql.timezone`, if this server knows that zone, else that of the server.
    pub(super) fn zone(&self, project: &str) -> Result<Zone, ApiError> {
        let declared = self.catalog.project_property(project, "odps.sql.timezone")?;
        Ok(declared.and_then(|text| text.parse().ok()).unwrap_or(self.limits.reading.time_zone))
    }

    /// The predicate of a request, as text and bound to the table.
    fn predicate(
        &self,
        table: &Table,
        request: &CreateRequest,
    ) -> Result<(Option<Predicate>, Option<Bound>), ApiError> {
        let Reading { filter, zoned_predicates, reject_partition_predicates, .. } = self.limits.reading;
        let zone = if zoned_predicates { self.zone(&table.name.project)? } else { Zone::UTC };
        let rules = filter::Rules { fallback: request.filter_predicate_fallback, zone };
        let predicate = Predicate { text: request.filter_predicate.clone(), rules };
        let columns: Vec<&Column> = table.columns.iter().chain(&table.partition_keys).collect();
        let bound = predicate.bind(&columns).map_err(|error| ApiError::argument(error.to_string()))?;
        if let (Some(bound), true) = (&bound, reject_partition_predicates) {
            let mut used = vec![false; columns.len()];
            bound.columns(&mut used);
            let mut named = columns.iter().zip(used).skip(table.columns.len()).filter(|(_, used)| *used);
            if let Some((column, _)) = named.next() {
                let message = format!("FilterPredicate: {} is a partition column of {}", column.name, table.name);
                return Err(ApiError::argument(message));
            }
        }
        Ok((Some(predicate), bound.filter(|_| filter != FilterMode::Ignore)))
    }

    /// Adds the blocks of files that come partition by partition and, in primary-key tables, bucket by bucket.
    fn add_rows(
        &self,
        table: &Table,
        predicate: &Option<Bound>,
        candidates: Vec<Candidate>,
        plan: &mut Plan,
        pieces: &mut Vec<Piece>,
    ) -> Result<(), ApiError> {
        if plan.choice.keys.is_empty() && plan.choice.predicate.is_none() {
            for candidate in &candidates {
                self.add_blocks(table, predicate, candidate, None, plan, pieces)?;
            }
            return Ok(());
        }
        let merged = !plan.choice.keys.is_empty();
        let choice = plan.choice.clone();
        let chooser = Chooser { catalog: self.catalog, footers: self.footers, choice: &choice };
        for members in candidates.chunk_by(|a, b| merged && a.place() == b.place()) {
            let Some(first) = members.first() else { continue };
            if !may_match(table, predicate, first) {
                continue;
            }
            let files = members.iter().map(|member| BucketFile::from(&member.file)).collect();
            let group = Group::new(files, first.values().to_vec());
            let Chosen::Rows(rows) = &*chooser.chosen(&group)? else { continue };
            plan.groups.push(group);
            for (index, (candidate, rows)) in members.iter().zip(rows).enumerate() {
                let member = Some((plan.groups.len() - 1, index, rows));
                self.add_blocks(table, predicate, candidate, member, plan, pieces)?;
            }
        }
        Ok(())
    }

    fn add_blocks(
        &self,
        table: &Table,
        predicate: &Option<Bound>,
        candidate: &Candidate,
        member: Option<(usize, usize, &BooleanBuffer)>,
        plan: &mut Plan,
        pieces: &mut Vec<Piece>,
    ) -> Result<(), ApiError> {
        if !may_match(table, predicate, candidate) {
            return Ok(());
        }
        let file = &candidate.file;
        let footer = self.footers.get(&file.id, &self.catalog.file_path(&file.id))?;
        let blocks = footer.metadata().row_groups();
        let keep = match predicate {
            Some(predicate) => {
                let known = partition_facts(table, candidate);
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
        let mut start = 0;
        for (i, (block, keep)) in blocks.iter().zip(keep).enumerate() {
            let stored = block.num_rows().max(0) as usize;
            // Pruning is safe after merging: which rows count is known by then, so no older row can take their place.
            let rows = member.map_or(stored, |(_, _, rows)| rows.slice(start, stored).count_set_bits());
            start += stored;
            if keep && rows > 0 {
                used = true;
                plan.blocks.push((number, i, rows as u64));
                let size = u128::try_from(block.compressed_size()).unwrap_or(0);
                let bytes = u64::try_from(size * rows as u128 / stored.max(1) as u128).unwrap_or(u64::MAX);
                pieces.push(Piece { bytes, file: number, partition: candidate.partition_id(), bucket: file.bucket });
            }
        }
        if used {
            let member = member.map(|(group, index, _)| (group, index));
            plan.files.push(PlanFile { id: file.id.clone(), partition: candidate.values().to_vec(), member });
        }
        Ok(())
    }

    fn cut(&self, request: &CreateRequest, pieces: &[Piece], plan: &mut Plan) -> Result<(), ApiError> {
        let options = &request.split_options;
        let max_files = usize::try_from(request.split_max_file_num).unwrap_or(usize::MAX);
        let rules = Rules { cross_partition: options.cross_partition, max_files };
        plan.splits = match options.split_mode {
            SplitMode::RowOffset => Vec::new(),
            SplitMode::Bucket => by_bucket(pieces, rules),
            SplitMode::Size => {
                let target = options.split_number.unwrap_or(DEFAULT_SPLIT_BYTES);
                by_size(pieces, target.max(1) as u64, rules)
            }
            SplitMode::Parallelism => {
                let wanted = options.split_number.unwrap_or(DEFAULT_SPLIT_COUNT);
                by_count(pieces, wanted.max(1) as u64, rules)
            }
        };
        if options.split_mode == SplitMode::Bucket {
            let bucket = |split: &Range<usize>| pieces.get(split.start).and_then(|piece| piece.bucket).unwrap_or(0);
            plan.bucket_ids = plan.splits.iter().map(bucket).collect();
        }
        if plan.splits.len() > MAX_SPLITS {
            let count = plan.splits.len();
            let message = format!("the session would have {count} splits, at most {MAX_SPLITS} are allowed");
            return Err(ApiError::argument(message));
        }
        Ok(())
    }
}

/// The columns of the primary key, in its order.
fn primary_key(table: &Table) -> Vec<Column> {
    let find = |name: &String| table.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name)).cloned();
    table.properties.primary_key.iter().filter_map(find).collect()
}
