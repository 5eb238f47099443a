//! What the catalogue says about itself and its files, for the check of a root. Reads only.

use std::collections::HashSet;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::blobs::is_ours as is_blob;
use super::files::is_ours;
use super::tables::{SELECT_TABLE, read_table};
use super::{Catalog, Table, TableName};

/// A data file as the catalogue knows it, visible or not.
#[derive(Clone, Debug)]
pub struct KnownFile {
    pub id: String,
    pub table_id: i64,
    pub rows: u64,
    pub bytes: u64,
    /// Whether the current state of the table has it.
    pub visible: bool,
    /// Written by a session that has not been committed.
    pub staged: bool,
}

/// Statements that find what must not be; each row is the object and what is wrong with it.
const RULES: &[&str] = &[
    "select 'file ' || id, 'belongs to no table' from files where table_id not in (select id from tables)
       and dropped_ms is null",
    "select 'file ' || id, 'belongs to no partition' from files where partition_id is not null and dropped_ms is null
       and partition_id not in (select id from partitions)",
    "select 'file ' || f.id, 'has version ' || f.version || ', its table has ' || t.version
       from files f join tables t on t.id = f.table_id where f.version > t.version",
    "select 'file ' || id, 'was dropped by version ' || dropped_version || ' and made by ' || version from files
       where dropped_version <= version",
    "select 'file ' || id, 'is dropped, but not by a version' from files
       where (dropped_ms is null) <> (dropped_version is null)",
    "select 'table ' || t.project || '.' || t.schema || '.' || t.name,
       'has version ' || t.version || ', its last commit ' || max(c.version)
       from tables t join commits c on c.table_id = t.id group by t.id having max(c.version) > t.version",
    "select 'partition ' || p.id, 'belongs to no table' from partitions p
       where p.table_id not in (select id from tables)",
    "select 'table ' || project || '.' || schema || '.' || name, 'is in no project' from tables
       where lower(project) not in (select lower(name) from projects)",
    "select 'file ' || r.file_id, 'refers to the blob ' || r.blob_id || ', which is not there' from blob_refs r
       join files f on f.id = r.file_id where f.dropped_ms is null and r.blob_id not in (select id from blobs)",
    "select 'staged file ' || id, 'belongs to no session' from staged_files
       where session_id not in (select id from write_sessions)",
];

impl Catalog {
    /// What SQLite finds wrong with the database file; empty if nothing.
    pub fn database_damage(&self) -> Result<Vec<String>> {
        let connection = self.lock();
        let mut statement = connection.prepare("pragma integrity_check")?;
        let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
        let lines: Vec<String> = rows.collect::<Result<_, _>>()?;
        Ok(lines.into_iter().filter(|line| line != "ok").collect())
    }

    /// Entries that contradict each other: an object, and what is wrong with it.
    pub fn contradictions(&self) -> Result<Vec<(String, String)>> {
        let connection = self.lock();
        let mut found = Vec::new();
        for rule in RULES {
            let mut statement = connection.prepare(rule)?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            for row in rows {
                found.push(row?);
            }
        }
        Ok(found)
    }

    /// Every table: its id, its name, and its entry or what is wrong with that.
    pub fn all_tables(&self) -> Result<Vec<(i64, TableName, Result<Table>)>> {
        let connection = self.lock();
        let mut statement = connection.prepare(SELECT_TABLE)?;
        let rows = statement.query_map([], read_table)?;
        let entry = |row: rusqlite::Result<super::tables::RawTable>| {
            let row = row?;
            Ok((row.id, row.name.clone(), row.parse()))
        };
        rows.map(entry).collect()
    }

    /// Every file that the catalogue names.
    pub fn known_files(&self) -> Result<Vec<KnownFile>> {
        let connection = self.lock();
        let mut statement = connection.prepare(
            "select id, table_id, row_count, byte_count, dropped_ms is null, 0 from files
             union all
             select f.id, s.table_id, f.row_count, f.byte_count, 0, 1
             from staged_files f join write_sessions s on s.id = f.session_id order by 1",
        )?;
        let rows = statement.query_map([], |row| {
            Ok(KnownFile {
                id: row.get(0)?,
                table_id: row.get(1)?,
                rows: row.get::<_, i64>(2)?.max(0) as u64,
                bytes: row.get::<_, i64>(3)?.max(0) as u64,
                visible: row.get(4)?,
                staged: row.get(5)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Data files of ours that the catalogue does not name, and other things in their directory.
    pub fn unknown_files(&self) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
        let known: HashSet<PathBuf> = self.known_files()?.iter().map(|file| self.file_path(&file.id)).collect();
        let data = self.data_dir();
        let (mut orphans, mut foreign) = (Vec::new(), Vec::new());
        for entry in std::fs::read_dir(&data).with_context(|| format!("cannot list {}", data.display()))? {
            let entry = entry?;
            let path = entry.path();
            if known.contains(&path) {
                continue;
            }
            let ours = is_ours(&path) && entry.file_type().is_ok_and(|kind| kind.is_file());
            if ours { orphans.push(path) } else { foreign.push(path) }
        }
        let blobs: HashSet<String> = self.known_blobs()?.into_iter().map(|blob| blob.id).collect();
        for entry in std::fs::read_dir(self.blob_dir()).into_iter().flatten() {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if !blobs.contains(&name) {
                let ours = is_blob(&name) && entry.file_type().is_ok_and(|kind| kind.is_file());
                if ours { orphans.push(entry.path()) } else { foreign.push(entry.path()) }
            }
        }
        orphans.sort();
        foreign.sort();
        Ok((orphans, foreign))
    }
}
