//! Commits: one transaction that makes new files visible and old ones invisible.

use std::collections::HashMap;

use anyhow::{Context, Result, bail};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use serde::{Deserialize, Serialize};

use super::{Catalog, TableProperties};
use crate::clock::now_ms;

/// The commits of each table: when a version became the newest.
pub(super) const SCHEMA: &str = "
create table commits(
  table_id integer not null, version integer not null, committed_ms integer not null,
  primary key(table_id, version)) strict;
";

/// Partitions of a table at most (service-behaviour.md 1.2).
const MAX_PARTITIONS: i64 = 60_000;

/// A finished data file that no reader can see yet.
#[derive(Clone, Debug)]
pub struct NewFile {
    /// File name without directory and extension.
    pub id: String,
    /// One value per partition column; empty for a table without partitions.
    pub partition: Vec<String>,
    /// Bucket of a clustered or primary-key table.
    pub bucket: Option<u32>,
    pub rows: u64,
    pub bytes: u64,
}

/// Where rows go, and whether they replace what is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Destination {
    pub table_id: i64,
    /// The columns that the rows were written for. A commit is refused if the table has others by now.
    pub schema_version: i64,
    /// A value per partition column; `None` where each row brings its own.
    pub partition: Vec<Option<String>>,
    /// Replace the table (if `partition` is empty, also one with partitions), the one partition that is named in full, or
    /// else exactly the partitions that receive rows.
    pub overwrite: bool,
}

impl Destination {
    /// The partition, if its values are all named.
    pub fn static_partition(&self) -> Option<Vec<String>> {
        if self.partition.is_empty() {
            return None;
        }
        self.partition.iter().cloned().collect()
    }
}

/// Why a commit was refused; the catalogue is untouched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitRefusal {
    #[error("the table was dropped while rows were being written")]
    Gone,
    #[error("the table changed while rows were being written: write them again")]
    Columns,
    /// Only told to those who arrange rows, who try again.
    #[error("others commit to the table all the time: try again")]
    Stale,
    #[error("the table would have more than {MAX_PARTITIONS} partitions")]
    Partitions,
    #[error("another table has got this name in the meantime")]
    Taken,
}

/// Files whose rows were arranged anew, perhaps for one version of their table.
#[derive(Clone, Copy, Debug)]
pub struct Arranged<'a> {
    pub files: &'a [NewFile],
    pub table_version: Option<i64>,
}

impl<'a> Arranged<'a> {
    /// Files that are good for every version of their table.
    pub fn for_any_version(files: &'a [NewFile]) -> Arranged<'a> {
        Arranged { files, table_version: None }
    }

    /// Fails with [`CommitRefusal::Stale`] if the table has another version by now.
    pub(super) fn check(&self, transaction: &Transaction<'_>, table_id: i64) -> Result<()> {
        let Some(demanded) = self.table_version else { return Ok(()) };
        let version: Option<i64> = transaction
            .query_row("select version from tables where id = ?1", [table_id], |row| row.get(0))
            .optional()?;
        match version {
            Some(version) if version != demanded => Err(CommitRefusal::Stale.into()),
            _ => Ok(()),
        }
    }
}

impl Catalog {
    /// Like [`Catalog::commit_rows`], but fails with [`CommitRefusal::Stale`] if the table is not of that version.
    pub fn commit_arranged(&self, destination: &Destination, arranged: Arranged<'_>) -> Result<i64> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        arranged.check(&transaction, destination.table_id)?;
        let version = apply(&transaction, destination, arranged.files, now_ms())?;
        transaction.commit().context("the catalogue did not accept the commit")?;
        Ok(version)
    }

    /// Makes `files` visible in an existing table, all or none, and returns the table's new version. The files must be
    /// complete and synced. Fails with a [`CommitRefusal`] if the table does not fit any more.
    pub fn commit_rows(&self, destination: &Destination, files: &[NewFile]) -> Result<i64> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let version = apply(&transaction, destination, files, now_ms())?;
        transaction.commit().context("the catalogue did not accept the commit")?;
        Ok(version)
    }
}

/// The part of a commit that is the same for everyone who adds rows: replaces, creates partitions, adds the files and
/// advances the version, which it returns. Nothing is final before the transaction is.
pub(super) fn apply(
    transaction: &Transaction<'_>,
    destination: &Destination,
    files: &[NewFile],
    now: i64,
) -> Result<i64> {
    let table_id = destination.table_id;
    let table: Option<(i64, String)> = transaction
        .query_row("select schema_version, properties from tables where id = ?1", [table_id], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    let Some((schema_version, properties)) = table else { return Err(CommitRefusal::Gone.into()) };
    if schema_version != destination.schema_version {
        return Err(CommitRefusal::Columns.into());
    }
    let properties: TableProperties = serde_json::from_str(&properties).context("a stored table is damaged")?;
    if properties.has_buckets() && files.iter().any(|file| file.bucket.is_none()) {
        // Readers by bucket would miss them. Who writes must go through `write::commit_rows` or `commit_session`.
        bail!("rows of a table with buckets were committed without a bucket");
    }
    let mut partitions: HashMap<&[String], i64> = HashMap::new();
    let static_partition = destination.static_partition();
    let receiving = files.iter().map(|file| file.partition.as_slice()).chain(static_partition.as_deref());
    for values in receiving.filter(|values| !values.is_empty()) {
        if !partitions.contains_key(values) {
            partitions.insert(values, ensure_partition(transaction, table_id, values, now)?);
        }
    }
    if !partitions.is_empty() {
        check_partition_count(transaction, table_id)?;
    }
    if destination.overwrite {
        match destination.partition.is_empty() {
            true => drop_files(transaction, table_id, None, now)?,
            false => partitions.values().try_for_each(|id| drop_files(transaction, table_id, Some(*id), now))?,
        }
    }
    let version = advance_version(transaction, table_id, now)?;
    insert_files(transaction, table_id, version, files, &partitions)?;
    Ok(version)
}

/// Refuses a table that has got too many partitions.
pub(super) fn check_partition_count(transaction: &Transaction<'_>, table_id: i64) -> Result<()> {
    let sql = "select count(*) from partitions where table_id = ?1";
    let count: i64 = transaction.query_row(sql, [table_id], |row| row.get(0))?;
    if count > MAX_PARTITIONS { Err(CommitRefusal::Partitions.into()) } else { Ok(()) }
}

/// Makes the visible files of a table, or of one of its partitions, invisible from the table's next version on.
pub(super) fn drop_files(transaction: &Transaction<'_>, table_id: i64, partition: Option<i64>, now: i64) -> Result<()> {
    transaction.execute(
        "update files set dropped_ms = ?1, dropped_version = 1 + (select version from tables where id = ?2)
         where table_id = ?2 and dropped_ms is null and (?3 is null or partition_id = ?3)",
        params![now, table_id, partition],
    )?;
    Ok(())
}

fn insert_files(
    transaction: &Transaction<'_>,
    table_id: i64,
    version: i64,
    files: &[NewFile],
    partitions: &HashMap<&[String], i64>,
) -> Result<()> {
    let mut seq: i64 =
        transaction
            .query_row("select coalesce(max(seq), 0) from files where table_id = ?1", [table_id], |row| row.get(0))?;
    let mut insert = transaction.prepare_cached(
        "insert into files(id, table_id, partition_id, bucket, row_count, byte_count, seq, version)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    for file in files {
        seq += 1;
        let partition = partitions.get(file.partition.as_slice());
        insert.execute(params![
            file.id,
            table_id,
            partition,
            file.bucket,
            file.rows as i64,
            file.bytes as i64,
            seq,
            version
        ])?;
    }
    Ok(())
}

/// Gives a table its next version and says when that was. Every change of its rows calls this once.
pub(super) fn advance_version(transaction: &Transaction<'_>, table_id: i64, now: i64) -> Result<i64> {
    let version = transaction.query_row(
        "update tables set version = version + 1, modified_ms = ?1 where id = ?2 returning version",
        params![now, table_id],
        |row| row.get(0),
    )?;
    transaction.execute(
        "insert into commits(table_id, version, committed_ms) values (?1, ?2, ?3)",
        params![table_id, version, now],
    )?;
    Ok(version)
}

pub(super) fn find_partition(connection: &Connection, table_id: i64, values: &[String]) -> Result<Option<i64>> {
    let spec = serde_json::to_string(values)?;
    let mut statement = connection.prepare_cached("select id from partitions where table_id = ?1 and spec = ?2")?;
    Ok(statement.query_row(params![table_id, spec], |row| row.get(0)).optional()?)
}

pub(super) fn ensure_partition(connection: &Connection, table_id: i64, values: &[String], now: i64) -> Result<i64> {
    if let Some(id) = find_partition(connection, table_id, values)? {
        connection.execute("update partitions set modified_ms = ?1 where id = ?2", params![now, id])?;
        return Ok(id);
    }
    connection.execute(
        "insert into partitions(table_id, spec, created_ms, modified_ms) values (?1, ?2, ?3, ?3)",
        params![table_id, serde_json::to_string(values)?, now],
    )?;
    Ok(connection.last_insert_rowid())
}
