//! Changes of `load` and `tpch`: rows for a table that may have to be made or given other columns.

use anyhow::{Context, Result};
use rusqlite::{Connection, TransactionBehavior, params};

use super::commit::{Arranged, Destination, NewFile, apply, drop_files, find_partition};
use super::tables::{NewTable, RawTable, find_raw, insert_table};
use super::{Catalog, Column, Table, TableName};
use crate::clock::now_ms;

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

    /// The table as it will be after a change, for those who write its rows.
    pub fn changed_table(&self, change: &Change) -> Result<Table> {
        let connection = self.lock();
        let Some(mut found) = find_raw(&connection, &change.table)? else {
            return Ok(NewTable::plain(&change.table, &change.columns, &change.partition_keys).draft());
        };
        if change.replaces_columns() {
            found.columns = serde_json::to_string(&change.columns)?;
        }
        let table = found.parse()?;
        match table.kind.stores_rows() {
            true => Ok(table),
            false => {
                Err(Refusal(format!("{} is a {}, which has no rows of its own", table.name, table.kind.name())).into())
            }
        }
    }

    /// Makes `files` visible, all or none, and creates the table if it is missing. The files must be complete and
    /// synced.
    pub fn commit(&self, change: &Change, files: &[NewFile]) -> Result<()> {
        self.commit_change(change, Arranged::for_any_version(files))
    }

    /// Like [`Catalog::commit`], but fails with [`super::CommitRefusal::Stale`] if the files were arranged for another
    /// version of the table.
    pub fn commit_change(&self, change: &Change, arranged: Arranged<'_>) -> Result<()> {
        let files = arranged.files;
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Checked again: another process may have committed since.
        let table_id = match check_change(&transaction, change)? {
            Some(id) => {
                arranged.check(&transaction, id)?;
                id
            }
            None => {
                insert_table(&transaction, &NewTable::plain(&change.table, &change.columns, &change.partition_keys))?
            }
        };
        let now = now_ms();
        if change.replaces_columns() {
            drop_files(&transaction, table_id, None, now)?;
            transaction.execute("delete from partitions where table_id = ?1", [table_id])?;
            let columns = serde_json::to_string(&change.columns)?;
            transaction.execute(
                "update tables set schema_version = schema_version + 1, columns = ?1 where id = ?2 and columns <> ?1",
                params![columns, table_id],
            )?;
        }
        let schema_version =
            transaction.query_row("select schema_version from tables where id = ?1", [table_id], |row| row.get(0))?;
        let partition = match &change.partition {
            Some(values) => values.iter().cloned().map(Some).collect(),
            None => vec![None; change.partition_keys.len()],
        };
        let overwrite = change.if_exists == IfExists::Overwrite && change.partition.is_some();
        apply(&transaction, &Destination { table_id, schema_version, partition, overwrite }, files, now)?;
        transaction.commit().context("the catalogue did not accept the commit")
    }
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
    fn files_arranged_for_another_version_are_refused() {
        let root = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(root.path()).unwrap();
        let change = Change {
            table: "p.default.t".parse().unwrap(),
            columns: vec![Column::new("a", crate::types::Type::Int, true)],
            partition_keys: Vec::new(),
            if_exists: IfExists::Append,
            partition: None,
        };
        catalog.commit(&change, &[]).unwrap();
        let version = catalog.table(&change.table).unwrap().unwrap().version;
        let arranged = Arranged { files: &[], table_version: Some(version) };
        catalog.commit_change(&change, arranged).unwrap();
        let stale = catalog.commit_change(&change, arranged).unwrap_err();
        assert_eq!(stale.downcast_ref(), Some(&crate::catalog::CommitRefusal::Stale));
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
