//! Commits: one transaction that makes new files visible and old ones invisible.

use anyhow::{Context, Result};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::tables::{ensure_schema, find_table};
use super::{Catalog, Column, Table, TableName, now_ms};

/// What to do if the target of a commit already has data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum IfExists {
    /// Refuse.
    Error,
    /// Add the rows to those that are there.
    Append,
    /// Replace the target: the named partition, or the whole table.
    Overwrite,
}

/// A finished data file that no reader can see yet.
#[derive(Clone, Debug)]
pub struct NewFile {
    /// File name without directory and extension.
    pub id: String,
    /// One value per partition column; empty for a table without partitions.
    pub partition: Vec<String>,
    pub rows: u64,
    pub bytes: u64,
}

/// One change to one table.
#[derive(Clone, Debug)]
pub struct Change {
    pub table: TableName,
    pub columns: Vec<Column>,
    pub partition_keys: Vec<Column>,
    pub if_exists: IfExists,
    /// The partition the change is about; `None` means the table as a whole.
    pub partition: Option<Vec<String>>,
}

/// Why a change was refused; the catalogue is untouched.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(String);

impl Catalog {
    /// Refuses a change that does not fit its table, before files are written. Changes nothing.
    pub fn check(&self, change: &Change) -> Result<()> {
        check_change(&self.lock(), change).map(|_| ())
    }

    /// Makes `files` visible, all or none, and creates the table if it is missing. The files must be complete and
    /// synced.
    pub fn commit(&self, change: &Change, files: &[NewFile]) -> Result<()> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Checked again: another process may have committed since.
        let table_id = match check_change(&transaction, change)? {
            Some(id) => id,
            None => create_table(&transaction, change)?,
        };
        let now = now_ms();
        if change.if_exists == IfExists::Overwrite {
            let partition = match &change.partition {
                Some(values) => find_partition(&transaction, table_id, values)?.map(|id| (true, id)),
                None => Some((false, 0)),
            };
            if let Some((one, partition)) = partition {
                transaction.execute(
                    "update files set dropped_ms = ?1 where table_id = ?2 and dropped_ms is null
                     and (?3 = 0 or partition_id = ?4)",
                    params![now, table_id, one, partition],
                )?;
            }
            if change.partition.is_none() {
                transaction.execute("delete from partitions where table_id = ?1", [table_id])?;
                let columns = serde_json::to_string(&change.columns)?;
                transaction.execute("update tables set columns = ?1 where id = ?2", params![columns, table_id])?;
            }
        }
        if let Some(values) = &change.partition {
            ensure_partition(&transaction, table_id, values, now)?;
        }
        insert_files(&transaction, table_id, files, now)?;
        transaction.execute("update tables set modified_ms = ?1 where id = ?2", params![now, table_id])?;
        transaction.commit().context("the catalogue did not accept the commit")
    }
}

fn insert_files(transaction: &Transaction<'_>, table_id: i64, files: &[NewFile], now: i64) -> Result<()> {
    let mut seq: i64 =
        transaction
            .query_row("select coalesce(max(seq), 0) from files where table_id = ?1", [table_id], |row| row.get(0))?;
    for file in files {
        let partition = if file.partition.is_empty() {
            None
        } else {
            Some(ensure_partition(transaction, table_id, &file.partition, now)?)
        };
        seq += 1;
        transaction.execute(
            "insert into files(id, table_id, partition_id, row_count, byte_count, seq) values (?1, ?2, ?3, ?4, ?5, ?6)",
            params![file.id, table_id, partition, file.rows as i64, file.bytes as i64, seq],
        )?;
    }
    Ok(())
}

fn create_table(connection: &Connection, change: &Change) -> Result<i64> {
    let now = now_ms();
    let table = &change.table;
    ensure_schema(connection, &table.project, &table.schema)?;
    connection.execute(
        "insert into tables(project, schema, name, columns, partition_keys, created_ms, modified_ms)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?6)",
        params![
            table.project,
            table.schema,
            table.table,
            serde_json::to_string(&change.columns)?,
            serde_json::to_string(&change.partition_keys)?,
            now
        ],
    )?;
    Ok(connection.last_insert_rowid())
}

/// The id of the table the change is about, `None` if it is missing. Fails with a [`Refusal`] if it does not fit.
fn check_change(connection: &Connection, change: &Change) -> Result<Option<i64>> {
    let Some(table) = find_table(connection, &change.table)? else { return Ok(None) };
    check_partitioning(&table, change)?;
    let replaces_all = change.if_exists == IfExists::Overwrite && change.partition.is_none();
    if !replaces_all {
        check_columns(&table, &change.columns)?;
    }
    if change.if_exists == IfExists::Error && has_data(connection, &table, change)? {
        let what = if change.partition.is_some() { "the partition" } else { "the table" };
        return Err(Refusal(format!("{what} of {} already has data: say append or overwrite", change.table)).into());
    }
    Ok(Some(table.id))
}

fn has_data(connection: &Connection, table: &Table, change: &Change) -> Result<bool> {
    let count: i64 = match &change.partition {
        Some(values) => match find_partition(connection, table.id, values)? {
            Some(_) => 1,
            None => 0,
        },
        None => connection.query_row(
            "select count(*) from files where table_id = ?1 and dropped_ms is null",
            [table.id],
            |row| row.get(0),
        )?,
    };
    Ok(count > 0)
}

fn check_partitioning(table: &Table, change: &Change) -> Result<(), Refusal> {
    let names = |columns: &[Column]| columns.iter().map(|c| c.name.to_lowercase()).collect::<Vec<_>>();
    if names(&table.partition_keys) == names(&change.partition_keys) {
        return Ok(());
    }
    let list = |columns: &[Column]| {
        if columns.is_empty() {
            "no partition columns".to_string()
        } else {
            columns.iter().map(|c| c.name.as_str()).collect::<Vec<_>>().join(", ")
        }
    };
    Err(Refusal(format!(
        "{} is partitioned by {}, but the load names {}",
        table.name,
        list(&table.partition_keys),
        list(&change.partition_keys)
    )))
}

/// Compares names (without case), types and order of data columns.
fn check_columns(table: &Table, columns: &[Column]) -> Result<(), Refusal> {
    for (i, stored) in table.columns.iter().enumerate() {
        let Some(given) = columns.get(i) else {
            return Err(Refusal(format!("column {} of {} is missing in the file", stored.name, table.name)));
        };
        if !given.name.eq_ignore_ascii_case(&stored.name) {
            return Err(Refusal(format!(
                "column {} of {} is {}, but the file has {} there",
                i + 1,
                table.name,
                stored.name,
                given.name
            )));
        }
        if given.ty != stored.ty {
            return Err(Refusal(format!(
                "column {} of {} is {}, but the file has {}",
                stored.name, table.name, stored.ty, given.ty
            )));
        }
        if given.nullable && !stored.nullable {
            return Err(Refusal(format!(
                "column {} of {} is NOT NULL, but the file may have NULLs",
                stored.name, table.name
            )));
        }
    }
    match columns.get(table.columns.len()) {
        Some(extra) => Err(Refusal(format!("column {} of the file is not in {}", extra.name, table.name))),
        None => Ok(()),
    }
}

fn find_partition(connection: &Connection, table_id: i64, values: &[String]) -> Result<Option<i64>> {
    let spec = serde_json::to_string(values)?;
    let mut statement = connection.prepare_cached("select id from partitions where table_id = ?1 and spec = ?2")?;
    Ok(statement.query_row(params![table_id, spec], |row| row.get(0)).optional()?)
}

fn ensure_partition(connection: &Connection, table_id: i64, values: &[String], now: i64) -> Result<i64> {
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
