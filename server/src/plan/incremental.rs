//! Planning of incremental reads: service-behaviour.md 1.7.

use super::candidates::candidates;
use super::chosen::{Chooser, Chosen, Group};
use super::planner::Planner;
use super::request::CreateRequest;
use super::session::Plan;
use super::splits::Piece;
use crate::catalog::{Partition, Table};
use crate::clock::now_ms;
use crate::delta::{BucketFile, ChangeMode, IncrementalRange, TooManyChanges, system_columns};
use crate::error::ApiError;
use crate::types::temporal::parse_instant;

impl Planner<'_> {
    /// Adds the buckets in which something changed. A bucket whose changes leave no row in the answer stays: official
    /// tests expect an empty split there.
    pub(super) fn add_changes(
        &self,
        table: &Table,
        request: &CreateRequest,
        partitions: Vec<Partition>,
        plan: &mut Plan,
        pieces: &mut Vec<Piece>,
    ) -> Result<(), ApiError> {
        let range = self.range(table, request)?;
        let history_ms = table.history_ms(range.mode == ChangeMode::Cdc);
        self.check_history(table, &range, history_ms)?;
        let kept_since = now_ms() - history_ms;
        plan.system_columns = system_columns();
        plan.commits = self.catalog.commits(table.id, range.start, range.end)?;
        let files = self.catalog.files_between(table.id, range.start, range.end, kept_since)?;
        let (start, end) = (range.start, range.end);
        plan.choice.range = Some(range);
        let choice = plan.choice.clone();
        let chooser = Chooser { catalog: self.catalog, footers: self.footers, choice: &choice };
        let touched = |version: i64| start < version && version <= end;
        for members in candidates(table, request, files, partitions).chunk_by(|a, b| a.place() == b.place()) {
            let Some(first) = members.first() else { continue };
            if !members.iter().any(|m| touched(m.file.version) || m.file.dropped_version.is_some_and(touched)) {
                continue;
            }
            let files = members.iter().map(|member| BucketFile::from(&member.file)).collect();
            let group = Group::new(files, first.values().to_vec());
            let chosen = chooser.chosen(&group).map_err(|error| match error.downcast_ref::<TooManyChanges>() {
                Some(refusal) => ApiError::argument(format!("{}: {refusal}", table.name)),
                None => error.into(),
            })?;
            let Chosen::Changes(rows) = &*chosen else { continue };
            let number = plan.groups.len();
            plan.groups.push(group);
            plan.blocks.push((number, 0, rows.len() as u64));
            let bytes = members.iter().map(|member| member.file.bytes).sum();
            pieces.push(Piece { bytes, file: number, partition: first.partition_id(), bucket: first.file.bucket });
        }
        Ok(())
    }

    fn range(&self, table: &Table, request: &CreateRequest) -> Result<IncrementalRange, ApiError> {
        let zone = self.zone(&table.name.project)?;
        let version_at = |text: &str| {
            let Some(nanos) = parse_instant(text) else {
                let message = format!("\"{text}\" is neither a version nor a time such as 2024-01-01 00:00:00");
                return Err(ApiError::argument(message));
            };
            let ms = i64::try_from(zone.to_utc(nanos).div_euclid(1_000_000)).unwrap_or(i64::MAX);
            // A commit may be newer than the state that is being planned.
            Ok(self.catalog.version_at(table.id, ms)?.min(table.version))
        };
        let options = request.incremental_read_options.clone().unwrap_or_default();
        let range = options.resolve(table.version, version_at)?;
        let captures = table.properties.extra.get("acid.cdc.mode.enable");
        if range.mode == ChangeMode::Cdc && !captures.is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            let message = format!("Mode cdc: {} was created without \"acid.cdc.mode.enable\"=\"true\"", table.name);
            return Err(ApiError::argument(message));
        }
        Ok(range)
    }

    /// Refuses a range that begins with a state older than what is kept. Version 0 is no state: reading from it tells
    /// everything that is still there.
    fn check_history(&self, table: &Table, range: &IncrementalRange, history_ms: i64) -> Result<(), ApiError> {
        if range.start == 0 {
            return Ok(());
        }
        let next = self.catalog.commits(table.id, range.start, range.start + 1)?;
        match next.first() {
            Some((_, replaced_ms)) if *replaced_ms <= now_ms() - history_ms => Err(ApiError::argument(format!(
                "version {} of {} is older than its history, which is kept for {} hours",
                range.start,
                table.name,
                history_ms / 3_600_000
            ))),
            _ => Ok(()),
        }
    }
}
