//! Data files: which are visible, where they lie, and which may be deleted.

use std::collections::HashSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rusqlite::{Connection, Row, TransactionBehavior, params};

use super::history::IS_HISTORY;
use super::writes::collect_expired;
use super::{Catalog, TableName};
use crate::clock::now_ms;

/// A replaced file is kept for at least this long, for sessions that are being planned over it.
const PLANNING_MS: i64 = 60_000;

/// An expired session still pins its files for this long, for answers that were under way when it expired.
const READING_MS: i64 = 3_600_000;

/// A visible data file of a table.
#[derive(Clone, Debug)]
pub struct DataFile {
    pub id: String,
    pub partition_id: Option<i64>,
    /// Bucket of a clustered or primary-key table.
    pub bucket: Option<u32>,
    /// The version of the table that made the file visible.
    pub version: i64,
    /// The version that replaced it; `None` while the file is part of the newest version.
    pub dropped_version: Option<i64>,
    pub rows: u64,
    pub bytes: u64,
}

/// Data files. `version` is the table version that made a file visible, `dropped_version` the one that replaced it.
pub(super) const SCHEMA: &str = "
create table files(
  id text primary key, table_id integer not null, partition_id integer, bucket integer, row_count integer not null,
  byte_count integer not null, seq integer not null, version integer not null,
  dropped_version integer, dropped_ms integer) strict;
create index files_of_table on files(table_id, seq);
";

impl Catalog {
    /// The directory of all data files. It is flat: which file belongs to which table, only the catalogue knows.
    pub fn data_dir(&self) -> PathBuf {
        self.root.join("data")
    }

    /// Where a data file lies.
    pub fn file_path(&self, file_id: &str) -> PathBuf {
        self.data_dir().join(format!("{file_id}.parquet"))
    }

    /// The visible files of a table in commit order.
    pub fn files(&self, table_id: i64) -> Result<Vec<DataFile>> {
        list_files(&self.lock(), table_id)
    }

    /// Whether a table exists and has visible files.
    pub fn has_files(&self, table: &TableName) -> Result<bool> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "select 1 from files join tables on tables.id = files.table_id
             where project = ?1 and schema = ?2 and name = ?3 and dropped_ms is null",
        )?;
        Ok(statement.exists([&table.project, &table.schema, &table.table])?)
    }

    /// Whether a commit or an open write session names this file.
    pub fn names_file(&self, file_id: &str) -> Result<bool> {
        let connection = self.lock();
        let sql = "select 1 from files where id = ?1 union all select 1 from staged_files where id = ?1";
        Ok(connection.prepare_cached(sql)?.exists([file_id])?)
    }

    /// Deletes replaced files that no session reads or was reading an hour ago and that are not in the history of their
    /// table, and what expired write sessions staged; forgets sessions that expired more than `keep_ms` ago. Returns how
    /// many files were deleted.
    pub fn collect_garbage(&self, keep_ms: i64) -> Result<usize> {
        let now = now_ms();
        let mut doomed: Vec<String> = Vec::new();
        {
            let mut connection = self.lock();
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            transaction.execute("delete from sessions where expires_ms < ?1", [now - keep_ms])?;
            transaction.execute("delete from session_files where session_id not in (select id from sessions)", [])?;
            doomed.extend(collect_expired(&transaction, now, keep_ms)?);
            super::streams::collect(&transaction)?;
            {
                let mut statement = transaction.prepare(&format!(
                    "delete from files where dropped_ms < ?2 and not exists (
                       select 1 from session_files join sessions on sessions.id = session_files.session_id
                       where session_files.file_id = files.id and sessions.expires_ms > ?1)
                     and not {IS_HISTORY} returning id"
                ))?;
                for row in statement.query_map(params![now - READING_MS, now - PLANNING_MS, now], |row| row.get(0))? {
                    doomed.push(row?);
                }
            }
            transaction.commit()?;
        }
        // A crash between the commit and this loop leaves orphans, which the next start removes.
        let mut deleted = 0;
        for id in doomed {
            deleted += usize::from(std::fs::remove_file(self.file_path(&id)).is_ok());
        }
        Ok(deleted)
    }

    /// Deletes data files that no commit and no open write session names, and nothing else that lies beside them. Call it only while no other
    /// process writes under this root.
    pub fn remove_orphans(&self) -> Result<usize> {
        let known: HashSet<PathBuf> = {
            let connection = self.lock();
            let mut statement = connection.prepare("select id from files union all select id from staged_files")?;
            let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
            let paths: Result<_, rusqlite::Error> = rows.map(|row| row.map(|id| self.file_path(&id))).collect();
            paths?
        };
        let data = self.data_dir();
        let mut removed = 0;
        for file in std::fs::read_dir(&data).with_context(|| format!("cannot list {}", data.display()))? {
            let file = file?;
            let path = file.path();
            if known.contains(&path) || !is_ours(&path) || !file.file_type().is_ok_and(|kind| kind.is_file()) {
                continue;
            }
            match std::fs::remove_file(&path) {
                Ok(()) => removed += 1,
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error).with_context(|| format!("cannot remove {}", path.display())),
            }
        }
        Ok(removed)
    }
}

/// Whether a path has a name that we give to data files: 32 hexadecimal digits and `.parquet`.
pub(super) fn is_ours(path: &Path) -> bool {
    let digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    stem.len() == 32 && stem.bytes().all(digit) && path.extension().is_some_and(|extension| extension == "parquet")
}

/// The files of the newest version.
pub(super) fn list_files(connection: &Connection, table_id: i64) -> Result<Vec<DataFile>> {
    let mut statement = connection.prepare_cached(&format!("{SELECT_FILE} and dropped_ms is null order by seq"))?;
    let rows = statement.query_map([table_id], read_file)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) const SELECT_FILE: &str = "select id, partition_id, bucket, version, row_count, byte_count, dropped_version
    from files where table_id = ?1";

pub(super) fn read_file(row: &Row<'_>) -> rusqlite::Result<DataFile> {
    Ok(DataFile {
        id: row.get(0)?,
        partition_id: row.get(1)?,
        bucket: row.get(2)?,
        version: row.get(3)?,
        rows: row.get::<_, i64>(4)?.max(0) as u64,
        bytes: row.get::<_, i64>(5)?.max(0) as u64,
        dropped_version: row.get(6)?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Change, Column, IfExists, NewFile, StoredSession};
    use super::*;

    #[test]
    fn replaced_files_live_as_long_as_a_session_needs_them() {
        let root = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(root.path()).unwrap();
        let table: super::super::TableName = "p.default.t".parse().unwrap();
        let change = Change {
            table: table.clone(),
            columns: vec![Column::new("a", crate::types::Type::Int, true)],
            partition_keys: Vec::new(),
            if_exists: IfExists::Overwrite,
            partition: None,
        };
        let replace = |id: &str| {
            std::fs::write(catalog.file_path(id), "x").unwrap();
            catalog
                .commit(&change, &[NewFile { id: id.into(), partition: Vec::new(), bucket: None, rows: 1, bytes: 1 }])
                .unwrap();
        };
        let session = |expires_ms| StoredSession {
            id: "s".into(),
            table: table.clone(),
            created_ms: 0,
            ready_ms: 0,
            expires_ms,
            plan: String::new(),
        };
        replace("old");
        assert!(catalog.insert_session(&session(i64::MAX), &["old".into()]).unwrap());
        replace("new");
        assert_eq!(catalog.collect_garbage(0).unwrap(), 0, "too early");
        catalog.lock().execute("update files set dropped_ms = 1 where dropped_ms is not null", []).unwrap();
        assert_eq!(catalog.collect_garbage(0).unwrap(), 0, "a session reads it");
        assert!(catalog.extend_session("s", now_ms() - 1).unwrap());
        let day = 86_400_000;
        assert_eq!(catalog.collect_garbage(day).unwrap(), 0, "an answer may still be under way");
        assert!(catalog.extend_session("s", now_ms() - READING_MS - 1).unwrap());
        assert_eq!(catalog.collect_garbage(day).unwrap(), 1);
        assert!(!catalog.file_path("old").exists() && catalog.file_path("new").exists());
        assert!(!catalog.extend_session("s", i64::MAX).unwrap(), "its rows are gone");
        assert!(!catalog.insert_session(&session(i64::MAX), &["old".into()]).unwrap());
    }
    #[test]
    fn only_our_own_orphans_are_removed() {
        let root = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(root.path()).unwrap();
        let id = "0123456789abcdef0123456789abcdef";
        std::fs::create_dir(catalog.file_path(&id.replace('0', "1"))).unwrap();
        std::fs::create_dir(catalog.data_dir().join("notes")).unwrap();
        let foreign = ["mine.parquet", "readme.txt", &format!("{id}.csv"), &format!("{}.parquet", id.to_uppercase())]
            .map(|name| catalog.data_dir().join(name));
        foreign.iter().for_each(|path| std::fs::write(path, "x").unwrap());
        std::fs::write(catalog.file_path(id), "x").unwrap();
        assert_eq!(catalog.remove_orphans().unwrap(), 1);
        assert!(!catalog.file_path(id).exists());
        assert!(foreign.iter().all(|path| path.exists()));
    }
}
