//! The tables of the database, and the number of their layout.

use anyhow::{Result, bail};
use rusqlite::{Connection, TransactionBehavior};

/// The layout that this version reads and writes; stored as `user_version`.
const LAYOUT: i64 = 1;

/// Every table of the database. `STRICT` makes SQLite check types. A change here needs a new [`LAYOUT`].
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

/// Queries that every root of layout 1 answers. Roots that were made before the number was stored are known by them.
const PROBES: [&str; 7] = [
    "select name, created_ms from projects",
    "select project, name, created_ms from schemas",
    "select id, project, schema, name, columns, partition_keys, created_ms, modified_ms from tables",
    "select id, table_id, spec, created_ms, modified_ms from partitions",
    "select id, table_id, partition_id, row_count, byte_count, seq, dropped_ms from files",
    "select id, project, schema, table_name, created_ms, ready_ms, expires_ms, plan from sessions",
    "select session_id, file_id from session_files",
];

/// Creates the tables in an empty database; refuses one of another layout and leaves it as it is.
pub fn prepare(connection: &mut Connection) -> Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found == LAYOUT {
        return Ok(());
    }
    let tables: i64 =
        transaction.query_row("select count(*) from sqlite_master where type = 'table'", [], |row| row.get(0))?;
    let unnumbered = found == 0 && (tables == 0 || PROBES.iter().all(|probe| transaction.prepare(probe).is_ok()));
    if !unnumbered {
        bail!(
            "this root has storage layout {found}, this version reads layout {LAYOUT}: load the data into a new root"
        );
    }
    transaction.execute_batch(SCHEMA)?;
    transaction.pragma_update(None, "user_version", LAYOUT)?;
    transaction.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Catalog;
    use super::*;

    #[test]
    fn other_layouts_are_refused_with_a_sentence() {
        let root = tempfile::tempdir().unwrap();
        Catalog::open(root.path()).unwrap();
        let sql =
            |text: &str| Connection::open(root.path().join("catalog.sqlite")).unwrap().execute_batch(text).unwrap();
        let open = || Catalog::open(root.path()).map(|_| ()).map_err(|error| format!("{error:#}"));
        open().unwrap();
        sql("pragma user_version = 0");
        open().unwrap();
        sql("pragma user_version = 7");
        assert!(open().unwrap_err().contains("has storage layout 7, this version reads layout 1"));
        sql("pragma user_version = 0; alter table sessions drop column plan");
        assert!(open().unwrap_err().contains("has storage layout 0, this version reads layout 1"));
    }
}
