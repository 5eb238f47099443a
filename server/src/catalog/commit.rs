//! Commits: one transaction that makes new files visible and old ones invisible.

use anyhow::{Context, Result};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::tables::{NewTable, RawTable, find_raw, insert_table};
use super::{Catalog, Column, TableName};
use crate::clock::now_ms;

/// The commits of each table: when a version became the newest.
pub(super) const SCHEMA: &str = "
create table commits(
  table_id integer not null, version integer not null, committed_ms integer not null,
  primary key(table_id, version)) strict;
";

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
    /// Bucket of a clustered or primary-key table.
    pub bucket: Option<u32>,
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

impl Change {
    /// Whether the table gets the columns of the change.
    fn replaces_columns(&self) -> bool {
        self.if_exists == IfExists::Overwrite && self.partition.is_none()
    }
}

/// Why a change was refused; the catalogue is untouched.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(String);

impl Catalog {
    /// Refuses a change that does not fit its table, before files are written. Changes nothing.
    ///
    /// The columns of the change get the spelling that their names have in the table, if it keeps its columns.
    pub fn check(&self, change: &mut Change) -> Result<()> {
        let connection = self.lock();
        check_change(&connection, change)?;
        if !change.replaces_columns()
            && let Some(table) = find_raw(&connection, &change.table)?
        {
            let stored = table.parse()?.columns;
            change.columns.iter_mut().zip(stored).for_each(|(column, stored)| column.name = stored.name);
        }
        Ok(())
    }

    /// Makes `files` visible, all or none, and creates the table if it is missing. The files must be complete and
    /// synced.
    pub fn commit(&self, change: &Change, files: &[NewFile]) -> Result<()> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Checked again: another process may have committed since.
        let table_id = match check_change(&transaction, change)? {
            Some(id) => id,
            None => {
                insert_table(&transaction, &NewTable::plain(&change.table, &change.columns, &change.partition_keys))?
            }
        };
        let now = now_ms();
        let version = advance_version(&transaction, table_id, now)?;
        if change.if_exists == IfExists::Overwrite {
            let partition = match &change.partition {
                Some(values) => find_partition(&transaction, table_id, values)?.map(|id| (true, id)),
                None => Some((false, 0)),
            };
            if let Some((one, partition)) = partition {
                transaction.execute(
                    "update files set dropped_ms = ?1, dropped_version = ?5 where table_id = ?2 and dropped_ms is null
                     and (?3 = 0 or partition_id = ?4)",
                    params![now, table_id, one, partition, version],
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
        insert_files(&transaction, table_id, version, files, now)?;
        transaction.commit().context("the catalogue did not accept the commit")
    }
}

fn insert_files(transaction: &Transaction<'_>, table_id: i64, version: i64, files: &[NewFile], now: i64) -> Result<()> {
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
            "insert into files(id, table_id, partition_id, bucket, row_count, byte_count, seq, version)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![file.id, table_id, partition, file.bucket, file.rows as i64, file.bytes as i64, seq, version],
        )?;
    }
    Ok(())
}

/// Gives a table its next version and says when that was. Every change of its rows calls this once.
fn advance_version(transaction: &Transaction<'_>, table_id: i64, now: i64) -> Result<i64> {
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

/// The id of the table the change is about, `None` if it is missing. Fails with a [`Refusal`] if it does not fit.
fn check_change(connection: &Connection, change: &Change) -> Result<Option<i64>> {
    let Some(table) = find_raw(connection, &change.table)? else { return Ok(None) };
    let id = table.id;
    check_partitioning(&change.table, &table.partition_keys()?, change)?;
    if change.if_exists == IfExists::Error && has_data(connection, id, change)? {
        let what = if change.partition.is_some() { "the partition" } else { "the table" };
        let message = format!("{what} of {} already has data: --if-exists says what to do with it", change.table);
        return Err(Refusal(message).into());
    }
    // Columns that are replaced are not looked at, so that a table with a damaged entry can be overwritten.
    if !change.replaces_columns() {
        check_columns(table, &change.columns)?;
    }
    Ok(Some(id))
}

/// Whether the target of a change has visible files.
fn has_data(connection: &Connection, table_id: i64, change: &Change) -> Result<bool> {
    let partition = match &change.partition {
        Some(values) => match find_partition(connection, table_id, values)? {
            Some(id) => Some(id),
            None => return Ok(false),
        },
        None => None,
    };
    let mut statement = connection.prepare_cached(
        "select 1 from files where table_id = ?1 and dropped_ms is null and (?2 is null or partition_id = ?2)",
    )?;
    Ok(statement.exists(params![table_id, partition])?)
}

fn check_partitioning(table: &TableName, keys: &[Column], change: &Change) -> Result<(), Refusal> {
    let names = |columns: &[Column]| columns.iter().map(|c| c.name.to_lowercase()).collect::<Vec<_>>();
    if names(keys) == names(&change.partition_keys) {
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
        "{table} is partitioned by {}, but the load names {}",
        list(keys),
        list(&change.partition_keys)
    )))
}

/// Compares names (without case), types and order of data columns.
fn check_columns(table: RawTable, columns: &[Column]) -> Result<()> {
    let table = table.parse()?;
    let refuse = |why: String| Err(Refusal(why).into());
    for (i, stored) in table.columns.iter().enumerate() {
        let Some(given) = columns.get(i) else {
            return refuse(format!("column {} of {} is missing in the file", stored.name, table.name));
        };
        if !given.name.eq_ignore_ascii_case(&stored.name) {
            return refuse(format!(
                "column {} of {} is {}, but the file has {} there",
                i + 1,
                table.name,
                stored.name,
                given.name
            ));
        }
        if given.ty != stored.ty {
            return refuse(format!(
                "column {} of {} is {}, but the file has {}",
                stored.name, table.name, stored.ty, given.ty
            ));
        }
        if given.nullable && !stored.nullable {
            return refuse(format!(
                "column {} of {} is NOT NULL, but the file may have NULLs",
                stored.name, table.name
            ));
        }
    }
    match columns.get(table.columns.len()) {
        Some(extra) => refuse(format!("column {} of the file is not in {}", extra.name, table.name)),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_table_hides_no_other_and_can_be_replaced() {
        let root = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(root.path()).unwrap();
        let change = |table: &str, if_exists| Change {
            table: format!("p.default.{table}").parse().unwrap(),
            columns: vec![Column::new("a", crate::types::Type::Int, true)],
            partition_keys: Vec::new(),
            if_exists,
            partition: None,
        };
        for table in ["t", "u"] {
            catalog.commit(&change(table, IfExists::Error), &[]).unwrap();
        }
        let damage =
            r#"update tables set columns = '[{"name":"a","type":"nonsense","nullable":true}]' where name = 't'"#;
        catalog.lock().execute(damage, []).unwrap();
        let names = || catalog.tables("p", "default").unwrap().into_iter().map(|t| t.name.table).collect::<Vec<_>>();
        assert_eq!(names(), ["u"]);
        assert!(catalog.check(&mut change("t", IfExists::Append)).is_err());
        catalog.check(&mut change("t", IfExists::Overwrite)).unwrap();
        catalog.commit(&change("t", IfExists::Overwrite), &[]).unwrap();
        assert_eq!(names(), ["t", "u"]);
    }

    #[test]
    fn kept_columns_keep_their_spelling() {
        let root = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(root.path()).unwrap();
        let mut change = Change {
            table: "p.default.t".parse().unwrap(),
            columns: vec![Column::new("a", crate::types::Type::Int, true)],
            partition_keys: Vec::new(),
            if_exists: IfExists::Append,
            partition: None,
        };
        catalog.commit(&change, &[]).unwrap();
        for (if_exists, name) in [(IfExists::Append, "a"), (IfExists::Error, "a"), (IfExists::Overwrite, "A")] {
            change.columns[0].name = "A".into();
            change.if_exists = if_exists;
            catalog.check(&mut change).unwrap();
            assert_eq!(change.columns[0].name, name);
        }
    }
}
