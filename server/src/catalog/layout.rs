//! The tables of the database, and the number of their layout.

use anyhow::{Result, bail};
use rusqlite::{Connection, TransactionBehavior};

use super::{blobs, commit, credentials, files, instances, rights, sessions, streams, tables, tenant, usage, writes};

/// The layout that this version reads and writes; stored as `user_version`.
const LAYOUT: i64 = 4;

/// Every table of the database, by the module that owns it. `STRICT` makes SQLite check types. A change of one that has
/// been released needs a new [`LAYOUT`].
const SCHEMAS: &[&str] = &[
    // One a line: areas add theirs at once.
    tables::SCHEMA,
    commit::SCHEMA,
    files::SCHEMA,
    sessions::SCHEMA,
    credentials::SCHEMA,
    tenant::SCHEMA,
    rights::SCHEMA,
    usage::SCHEMA,
    writes::SCHEMA,
    instances::SCHEMA,
    streams::SCHEMA,
    blobs::SCHEMA,
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
    if found != 0 || tables != 0 {
        bail!(
            "this root has storage layout {found}, this version reads layout {LAYOUT}: load the data into a new root"
        );
    }
    for schema in SCHEMAS {
        transaction.execute_batch(schema)?;
    }
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
        for other in [0, 3, 7] {
            sql(&format!("pragma user_version = {other}"));
            let expected = format!("has storage layout {other}, this version reads layout {LAYOUT}");
            assert!(open().unwrap_err().contains(&expected));
        }
    }
}
