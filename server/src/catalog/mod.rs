//! The catalogue: projects, schemas, tables, partitions, files, sessions, in one SQLite database (WAL).
//!
//! One [`Catalog`] wraps one connection behind a mutex. Calls are short and blocking: async code calls them from a
//! blocking thread. Several processes may have the same root open (a `load` beside a `serve`).

mod commit;
mod files;
mod sessions;
mod tables;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use rusqlite::Connection;

pub use commit::{Change, IfExists, NewFile};
pub use files::DataFile;
pub use sessions::StoredSession;
pub use tables::{Column, Partition, Snapshot, Table, TableName, check_name};

/// Every table of the database. `STRICT` makes SQLite check types.
const SCHEMA: &str = "
create table if not exists projects(name text primary key collate nocase, created_ms integer not null) strict;
create table if not exists schemas(
  project text not null collate nocase, name text not null collate nocase, created_ms integer not null,
  primary key(project, name)) strict;
create table if not exists tables(
  id integer primary key autoincrement, project text not null collate nocase, schema text not null collate nocase,
  name text not null collate nocase, columns text not null, partition_keys text not null,
  created_ms integer not null, modified_ms integer not null, unique(project, schema, name)) strict;
create table if not exists partitions(
  id integer primary key autoincrement, table_id integer not null, spec text not null,
  created_ms integer not null, modified_ms integer not null, unique(table_id, spec)) strict;
create table if not exists files(
  id text primary key, table_id integer not null, partition_id integer, row_count integer not null,
  byte_count integer not null, seq integer not null, dropped_ms integer) strict;
create index if not exists files_of_table on files(table_id, seq);
create table if not exists sessions(
  id text primary key, project text not null, schema text not null, table_name text not null,
  created_ms integer not null, ready_ms integer not null, expires_ms integer not null, plan text not null) strict;
create table if not exists session_files(
  session_id text not null, file_id text not null, primary key(session_id, file_id)) strict;
create index if not exists sessions_of_file on session_files(file_id);
";

/// The open catalogue of one root directory.
pub struct Catalog {
    root: PathBuf,
    connection: Mutex<Connection>,
}

impl Catalog {
    /// Opens the catalogue of `root`, creating directory and database if missing.
    pub fn open(root: &Path) -> Result<Catalog> {
        let data = root.join("data");
        std::fs::create_dir_all(&data).with_context(|| format!("cannot create {}", data.display()))?;
        let path = root.join("catalog.sqlite");
        let open = || -> rusqlite::Result<Connection> {
            let connection = Connection::open(&path)?;
            connection.busy_timeout(Duration::from_secs(30))?;
            connection.pragma_update(None, "journal_mode", "wal")?;
            connection.pragma_update(None, "synchronous", "full")?;
            connection.execute_batch(SCHEMA)?;
            Ok(connection)
        };
        let connection = open().with_context(|| format!("cannot open the catalogue {}", path.display()))?;
        Ok(Catalog { root: root.to_path_buf(), connection: Mutex::new(connection) })
    }

    /// The directory that holds everything.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A thread that panicked while holding the connection has left no open transaction: rusqlite rolls back on
    /// drop. So a poisoned lock is still good.
    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Milliseconds since the epoch, now.
pub fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64)
}
