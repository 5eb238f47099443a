//! Changes of definitions: schemas, partitions, columns and properties of tables.

use anyhow::{Context, Result};
use rusqlite::{Transaction, TransactionBehavior, params};

use super::commit::{advance_version, apply, drop_files, ensure_partition, find_partition};
use super::rights::note_creator;
use super::tables::{RawTable, ensure_schema, find_raw, insert_table, remove_table};
use super::writes::holds_rows;
use super::{Catalog, CommitRefusal, Destination, NewFile, NewTable, Table, TableName};
use crate::clock::now_ms;

/// What became of a change of a definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Defined {
    Done,
    /// The schema, table or partition that was to be made is there.
    Exists(String),
    /// The schema, table or partition to change is missing.
    Missing(String),
    /// A schema still has tables.
    NotEmpty,
}

impl Catalog {
    /// Creates a schema in a project that exists.
    pub fn create_schema(&self, project: &str, schema: &str) -> Result<Defined> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let sql = "select 1 from schemas where project = ?1 and name = ?2";
        if transaction.prepare_cached(sql)?.exists([project, schema])? {
            return Ok(Defined::Exists(schema.into()));
        }
        ensure_schema(&transaction, project, schema)?;
        transaction.commit().with_context(|| format!("cannot create schema {schema}"))?;
        Ok(Defined::Done)
    }

    /// Drops a schema without tables. `default` stays.
    pub fn drop_schema(&self, project: &str, schema: &str) -> Result<Defined> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let tables = "select 1 from tables where project = ?1 and schema = ?2";
        if schema.eq_ignore_ascii_case("default") || transaction.prepare_cached(tables)?.exists([project, schema])? {
            return Ok(Defined::NotEmpty);
        }
        let dropped = transaction.execute("delete from schemas where project = ?1 and name = ?2", [project, schema])?;
        transaction.commit().with_context(|| format!("cannot drop schema {schema}"))?;
        Ok(if dropped == 0 { Defined::Missing(schema.into()) } else { Defined::Done })
    }

    /// Puts a table with its first rows in the place of the table with the id `replaced`, or where none was: all of it
    /// happens or nothing. `files` are `None` if there is no query, and else complete and synced. Fails with
    /// [`CommitRefusal::Taken`] if another table has the name by now.
    pub fn put_table(
        &self,
        table: &NewTable,
        replaced: Option<i64>,
        creator: &str,
        files: Option<&[NewFile]>,
    ) -> Result<()> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let found = find_raw(&transaction, &table.name)?.map(|found| found.id);
        match found {
            Some(id) if replaced == Some(id) => remove_table(&transaction, id)?,
            Some(_) => return Err(CommitRefusal::Taken.into()),
            None => {}
        }
        let table_id = insert_table(&transaction, table)?;
        note_creator(&transaction, table_id, creator)?;
        if let Some(files) = files {
            let partition = vec![None; table.partition_keys.len()];
            let destination = Destination { table_id, schema_version: 1, partition, overwrite: false };
            apply(&transaction, &destination, files, now_ms())?;
        }
        transaction.commit().with_context(|| format!("cannot create table {}", table.name))
    }

    /// Adds partitions, all or none; with `if_not_exists` those that are there stay as they are.
    pub fn add_partitions(&self, name: &TableName, partitions: &[Vec<String>], if_not_exists: bool) -> Result<Defined> {
        self.define(name, |transaction, table| {
            for values in partitions {
                if find_partition(transaction, table.id, values)?.is_some() {
                    if if_not_exists {
                        continue;
                    }
                    return Ok(Defined::Exists(values.join("/")));
                }
                ensure_partition(transaction, table.id, values, now_ms())?;
            }
            super::commit::check_partition_count(transaction, table.id)?;
            Ok(Defined::Done)
        })
    }

    /// Drops partitions with their rows. Missing ones were looked for before.
    pub fn drop_partitions(&self, name: &TableName, partitions: &[Vec<String>]) -> Result<Defined> {
        self.define(name, |transaction, table| {
            for values in partitions {
                let Some(id) = find_partition(transaction, table.id, values)? else { continue };
                drop_files(transaction, table.id, Some(id), now_ms())?;
                transaction.execute("delete from partitions where id = ?1", [id])?;
            }
            advance_version(transaction, table.id, now_ms())?;
            Ok(Defined::Done)
        })
    }

    /// Removes all rows of a table, or of some of its partitions, which stay.
    pub fn truncate(&self, name: &TableName, partitions: Option<&[Vec<String>]>) -> Result<Defined> {
        self.define(name, |transaction, table| {
            let now = now_ms();
            match partitions {
                None => drop_files(transaction, table.id, None, now)?,
                Some(partitions) => {
                    for values in partitions {
                        match find_partition(transaction, table.id, values)? {
                            Some(id) => drop_files(transaction, table.id, Some(id), now)?,
                            None => return Ok(Defined::Missing(values.join("/"))),
                        }
                    }
                }
            }
            advance_version(transaction, table.id, now)?;
            Ok(Defined::Done)
        })
    }

    /// Gives a partition other values; its rows stay.
    pub fn rename_partition(&self, name: &TableName, from: &[String], to: &[String]) -> Result<Defined> {
        self.define(name, |transaction, table| {
            let Some(id) = find_partition(transaction, table.id, from)? else {
                return Ok(Defined::Missing(from.join("/")));
            };
            if find_partition(transaction, table.id, to)?.is_some() {
                return Ok(Defined::Exists(to.join("/")));
            }
            let spec = serde_json::to_string(to)?;
            transaction.execute(
                "update partitions set spec = ?1, modified_ms = ?2 where id = ?3",
                params![spec, now_ms(), id],
            )?;
            // The rows have other values now. Who has chosen ranges for a partition of either name must look again.
            advance_version(transaction, table.id, now_ms())?;
            Ok(Defined::Done)
        })
    }

    /// Changes columns and properties of a table. `change` may refuse with a reason of its own.
    pub fn alter_table<E>(
        &self,
        name: &TableName,
        change: impl FnOnce(&mut Table, bool) -> Result<(), E>,
    ) -> Result<Result<Defined, E>> {
        let mut refusal = None;
        let defined = self.define(name, |transaction, mut table| {
            // What rows on their way were written for: a commit of them is refused when it has changed.
            let shape = |table: &Table| {
                let clustering = table.properties.clustering.clone();
                (table.columns.clone(), table.partition_keys.clone(), clustering, table.bucket_count())
            };
            let before = shape(&table);
            let mut files = transaction.prepare_cached("select 1 from files where table_id = ?1")?;
            // Files name their columns, so rows that a session holds bind the table as visible ones do.
            let has_rows = files.exists([table.id])? || holds_rows(transaction, table.id)?;
            if let Err(why) = change(&mut table, has_rows) {
                refusal = Some(why);
                return Ok(Defined::Done);
            }
            let changed = before != shape(&table);
            transaction.execute(
                "update tables set columns = ?1, partition_keys = ?2, properties = ?3, modified_ms = ?4,
                 schema_version = schema_version + ?5 where id = ?6",
                params![
                    serde_json::to_string(&table.columns)?,
                    serde_json::to_string(&table.partition_keys)?,
                    serde_json::to_string(&table.properties)?,
                    now_ms(),
                    i64::from(changed),
                    table.id
                ],
            )?;
            Ok(Defined::Done)
        })?;
        Ok(match refusal {
            Some(why) => Err(why),
            None => Ok(defined),
        })
    }

    /// Gives a table another name in its schema.
    pub fn rename_table(&self, name: &TableName, to: &str) -> Result<Defined> {
        self.define(name, |transaction, table| {
            let target = TableName { table: to.into(), ..table.name.clone() };
            if !to.eq_ignore_ascii_case(&table.name.table) && find_raw(transaction, &target)?.is_some() {
                return Ok(Defined::Exists(target.to_string()));
            }
            transaction.execute(
                "update tables set name = ?1, modified_ms = ?2 where id = ?3",
                params![to, now_ms(), table.id],
            )?;
            Ok(Defined::Done)
        })
    }

    /// Runs a change of one table in a transaction, which is final only if it was done.
    fn define(
        &self,
        name: &TableName,
        change: impl FnOnce(&Transaction<'_>, Table) -> Result<Defined>,
    ) -> Result<Defined> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let Some(table) = find_raw(&transaction, name)?.map(RawTable::parse).transpose()? else {
            return Ok(Defined::Missing(name.to_string()));
        };
        let defined = change(&transaction, table)?;
        if defined == Defined::Done {
            transaction.commit().with_context(|| format!("cannot change {name}"))?;
        }
        Ok(defined)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Clustering, ClusteringKind, Column};
    use crate::types::Type;

    #[test]
    fn renaming_a_partition_is_a_change_of_the_rows() {
        let root = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(root.path()).unwrap();
        let name: TableName = "p.default.t".parse().unwrap();
        let column = |name| Column::new(name, Type::String, true);
        catalog.create_table(&NewTable::plain(&name, &[column("a")], &[column("ds")])).unwrap();
        catalog.add_partitions(&name, &[vec!["x".into()]], false).unwrap();
        let version = || catalog.table(&name).unwrap().unwrap().version;
        let before = version();
        assert_eq!(catalog.rename_partition(&name, &["x".into()], &["y".into()]).unwrap(), Defined::Done);
        assert_eq!(version(), before + 1);
    }

    #[test]
    fn a_table_takes_the_place_of_another_with_its_rows_or_not_at_all() {
        let root = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(root.path()).unwrap();
        let name: TableName = "p.default.t".parse().unwrap();
        let plain = NewTable::plain(&name, &[Column::new("a", Type::Int, true)], &[]);
        let file = |id: &str| NewFile { id: id.into(), partition: Vec::new(), bucket: None, rows: 1, bytes: 1 };
        catalog.put_table(&plain, None, "ALIYUN$x", Some(&[file("f1")])).unwrap();
        let first = catalog.table(&name).unwrap().unwrap();
        assert_eq!((first.version, catalog.creator(first.id).unwrap().as_deref()), (2, Some("ALIYUN$x")));
        let unchanged = || {
            let table = catalog.table(&name).unwrap().unwrap();
            let files: Vec<String> = catalog.files(table.id).unwrap().into_iter().map(|file| file.id).collect();
            assert_eq!((table.id, table.version, files), (first.id, 2, vec!["f1".to_string()]));
        };
        for replaced in [None, Some(first.id + 7)] {
            let error = catalog.put_table(&plain, replaced, "x", Some(&[file("f2")])).unwrap_err();
            assert_eq!(error.downcast_ref(), Some(&CommitRefusal::Taken));
            unchanged();
        }
        // The old table is gone already when this fails, inside the transaction.
        let mut clustered = plain.clone();
        let columns = vec!["a".to_string()];
        clustered.properties.clustering =
            Some(Clustering { kind: ClusteringKind::Hash, columns, sort: Vec::new(), buckets: 2 });
        catalog.put_table(&clustered, Some(first.id), "x", Some(&[file("f2")])).unwrap_err();
        unchanged();
        catalog.put_table(&plain, Some(first.id), "ALIYUN$y", Some(&[file("f2")])).unwrap();
        let second = catalog.table(&name).unwrap().unwrap();
        assert!(second.id > first.id);
        assert_eq!(catalog.creator(second.id).unwrap().as_deref(), Some("ALIYUN$y"));
        let files: Vec<String> = catalog.files(second.id).unwrap().into_iter().map(|file| file.id).collect();
        assert_eq!((files, catalog.files(first.id).unwrap().len()), (vec!["f2".to_string()], 0));
    }
}
