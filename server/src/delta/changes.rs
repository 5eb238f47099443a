//! Incremental read: what changed in a bucket between two versions.

use anyhow::Result;

use super::bucket::{Bucket, BucketFile};
use super::keys::Key;
use super::merge::{Change, Merge};
use super::range::ChangeMode;

/// Changes of one bucket that are held in memory at most, about 600 MiB while they are sorted.
const MAX_CHANGES: usize = 10_000_000;

/// Why changes are not told.
#[derive(Debug, thiserror::Error)]
#[error("more than {MAX_CHANGES} rows of one bucket changed: read a shorter range of versions")]
pub struct TooManyChanges;

/// A row of an incremental read: a stored row and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangeRow {
    /// The version that made the change.
    pub version: i64,
    /// The value of the column `__meta_op_type`.
    pub operation: i8,
    /// Number of the file in the bucket.
    pub file: u32,
    /// Number of the row in the file.
    pub row: u32,
}

/// Codes of `__meta_op_type`: service-behaviour.md 1.7.
mod code {
    pub const INSERT: i8 = 2;
    pub const DELETE: i8 = 4;
    /// Mode append: the row replaces an older one.
    pub const UPDATE: i8 = 8;
    pub const BEFORE: i8 = 16;
    pub const AFTER: i8 = 32;
}

/// A change row on its way to its place: changes are ordered by version, then by the row that made them, then before
/// after.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Found {
    version: i64,
    order: u64,
    operation: i8,
    position: u64,
    key: Key,
}

/// What changed after version `start`, in the order in which it happened.
///
/// `bucket` holds the files that were visible at `start` and those added since. Mode cdc tells the net change of every
/// version. Mode append tells only rows that are still visible, with the kind of their last change: so do the official
/// tests of the C++ SDK, in which a row that was inserted and updated in the range is an update.
pub fn changes(bucket: &Bucket<'_>, start: i64, mode: ChangeMode) -> Result<Vec<ChangeRow>> {
    changes_in(bucket, start, mode, bucket.passes())
}

/// The same with a given number of passes.
pub(super) fn changes_in(bucket: &Bucket<'_>, start: i64, mode: ChangeMode, passes: u64) -> Result<Vec<ChangeRow>> {
    let spans: Vec<_> = bucket.spans().collect();
    let mut versions: Vec<i64> = spans.iter().map(|(file, _)| file.version).collect();
    versions.extend(spans.iter().filter_map(|(file, _)| file.dropped_version));
    versions.sort_unstable();
    versions.dedup();
    // The file of a position: spans are ascending and touch each other.
    let number = |row: u64| spans.partition_point(|(_, span)| span.end <= row);
    let mut found: Vec<Found> = Vec::new();
    for pass in 0..passes {
        let mut merge = Merge::default();
        let first = found.len();
        for version in &versions {
            if *version > start {
                merge.watch();
            }
            let dropped = |file: &BucketFile| file.dropped_version == Some(*version);
            if spans.iter().any(|(file, _)| dropped(file)) {
                merge.remove(|row| spans.get(number(row)).is_some_and(|(file, _)| dropped(file)));
            }
            for (file, span) in spans.iter().filter(|(file, _)| file.version == *version) {
                bucket.scan(file, span.start, |key, deletes, position| match () {
                    () if key[0] % passes != pass => {}
                    () if deletes => merge.delete(key),
                    () => merge.upsert(key, position),
                })?;
            }
            for change in merge.take_changes() {
                found.extend(rows_of(&change, *version, mode).into_iter().flatten());
            }
            if found.len() > MAX_CHANGES {
                return Err(TooManyChanges.into());
            }
        }
        if mode == ChangeMode::Append {
            let mut at = 0;
            found.retain(|row| {
                at += 1;
                at <= first || merge.row(&row.key) == Some(row.position)
            });
        }
    }
    found.sort_unstable();
    let row = |found: Found| {
        let file = number(found.position);
        let start = spans.get(file).map_or(0, |(_, span)| span.start);
        Ok(ChangeRow {
            version: found.version,
            operation: found.operation,
            file: u32::try_from(file)?,
            row: u32::try_from(found.position - start)?,
        })
    };
    found.into_iter().map(row).collect()
}

/// The rows that tell of a change.
fn rows_of(change: &Change, version: i64, mode: ChangeMode) -> [Option<Found>; 2] {
    let row =
        |operation: i8, order: u64, position: u64| Some(Found { version, order, operation, position, key: change.key });
    match (mode, change.before, change.after) {
        (_, None, Some(after)) => [row(code::INSERT, after, after), None],
        (ChangeMode::Cdc, Some(before), None) => [row(code::DELETE, before, before), None],
        (ChangeMode::Cdc, Some(before), Some(after)) => {
            [row(code::BEFORE, after, before), row(code::AFTER, after, after)]
        }
        (ChangeMode::Append, Some(_), Some(after)) => [row(code::UPDATE, after, after), None],
        _ => [None, None],
    }
}
