//! Blobs: bytes that lie beside the tables, and the data files whose cells refer to them.
//!
//! A blob lives as long as a data file, committed or staged, refers to it, and as long as the session that it was
//! uploaded in can still write a row that does.

use anyhow::{Context, Result};
use rusqlite::{OptionalExtension, Row, Transaction, TransactionBehavior, params};

use super::Catalog;
use crate::clock::now_ms;

/// `session_id` is a write session, or that of a table whose rows are visible at once. `key_id` is null for plain bytes. A
/// reference may be noted before the catalogue names its file.
pub(super) const SCHEMA: &str = "
create table blobs(
  id text primary key, session_id text not null, project text not null collate nocase, key_id text,
  byte_count integer not null, content_type text, file_name text, created_ms integer not null) strict;
create table blob_refs(
  blob_id text not null, file_id text not null, noted_ms integer not null, primary key(blob_id, file_id)) strict;
";

/// How long a reference counts whose file is not named yet.
const NOTED_MS: i64 = 3_600_000;

/// How long a blob waits for its row if its session has no end.
const WAITING_MS: i64 = 86_400_000;

/// A blob as the database holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// File name in the directory of blobs.
    pub id: String,
    pub session: String,
    pub project: String,
    /// The id of the key that its file is encrypted with.
    pub key: Option<String>,
    /// Before they are encrypted.
    pub bytes: u64,
    pub content_type: Option<String>,
    pub file_name: Option<String>,
}

/// A cell refers to a blob that is not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" refers to no blob: upload the bytes first, and write the reference that the answer names")]
pub struct NoSuchBlob(pub String);

impl Catalog {
    /// The directory of all blobs.
    pub fn blob_dir(&self) -> std::path::PathBuf {
        self.root().join("blobs")
    }

    /// Stores complete and synced blobs, all or none.
    pub fn insert_blobs(&self, blobs: &[Blob]) -> Result<()> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut insert = transaction.prepare_cached(
                "insert into blobs(id, session_id, project, key_id, byte_count, content_type, file_name, created_ms)
                 values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?;
            for blob in blobs {
                insert.execute(params![
                    blob.id,
                    blob.session,
                    blob.project,
                    blob.key,
                    blob.bytes as i64,
                    blob.content_type,
                    blob.file_name,
                    now_ms()
                ])?;
            }
        }
        transaction.commit().context("the catalogue did not take the blobs")
    }

    /// The blob of that id, if it is still there.
    pub fn blob(&self, id: &str) -> Result<Option<Blob>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(&format!("{SELECT} where id = ?1"))?;
        Ok(statement.query_row([id], blob).optional()?)
    }

    /// Every blob.
    pub fn known_blobs(&self) -> Result<Vec<Blob>> {
        let connection = self.lock();
        let mut statement = connection.prepare(&format!("{SELECT} order by id"))?;
        let found = statement.query_map([], blob)?;
        Ok(found.collect::<Result<_, _>>()?)
    }

    /// The ids of the tables of a project whose cells refer to a blob, or did so lately.
    pub fn tables_of_blob(&self, id: &str, project: &str) -> Result<Vec<i64>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "select distinct table_id from blob_refs join files on files.id = file_id
             join tables on tables.id = table_id where blob_id = ?1 and project = ?2 collate nocase",
        )?;
        let found = statement.query_map([id, project], |row| row.get(0))?;
        Ok(found.collect::<Result<_, _>>()?)
    }

    /// Notes which blobs (by id) data files refer to. To be called before the catalogue names the files. Fails with
    /// [`NoSuchBlob`].
    pub fn note_blobs<'a>(&self, references: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<()> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let now = now_ms();
        for (file, blob) in references {
            if !transaction.prepare_cached("select 1 from blobs where id = ?1")?.exists([blob])? {
                return Err(NoSuchBlob(blob.to_string()).into());
            }
            transaction
                .prepare_cached("insert or replace into blob_refs(blob_id, file_id, noted_ms) values (?1, ?2, ?3)")?
                .execute(params![blob, file, now])?;
        }
        Ok(transaction.commit()?)
    }

    /// Forgets blobs that no row refers to and no session can refer to any more, and deletes them. Returns how many.
    pub fn collect_blobs(&self) -> Result<usize> {
        let now = now_ms();
        let doomed = {
            let mut connection = self.lock();
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let doomed = collect(&transaction, now)?;
            transaction.commit()?;
            doomed
        };
        // A crash between the commit and this loop leaves orphans, which the next start removes.
        doomed.iter().for_each(|id| {
            let _ = std::fs::remove_file(self.blob_dir().join(id));
        });
        Ok(doomed.len())
    }

    /// Deletes what lies in the directory of blobs and is none: uploads that a crash cut short. Call it only while no
    /// other process writes under this root.
    pub fn remove_blob_orphans(&self) -> Result<usize> {
        let Ok(entries) = std::fs::read_dir(self.blob_dir()) else { return Ok(0) };
        let mut removed = 0;
        for entry in entries {
            let path = entry?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            if is_ours(name) && self.blob(name)?.is_none() {
                removed += usize::from(std::fs::remove_file(&path).is_ok());
            }
        }
        Ok(removed)
    }
}

/// Whether a name is one that we give to blobs: 32 hexadecimal digits.
pub fn is_ours(name: &str) -> bool {
    name.len() == 32 && name.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

const SELECT: &str = "select id, session_id, project, key_id, byte_count, content_type, file_name from blobs";

/// A row of [`SELECT`].
fn blob(row: &Row<'_>) -> rusqlite::Result<Blob> {
    Ok(Blob {
        id: row.get(0)?,
        session: row.get(1)?,
        project: row.get(2)?,
        key: row.get(3)?,
        bytes: row.get::<_, i64>(4)?.max(0) as u64,
        content_type: row.get(5)?,
        file_name: row.get(6)?,
    })
}

fn collect(transaction: &Transaction<'_>, now: i64) -> Result<Vec<String>> {
    let doomed = transaction
        .prepare(
            "delete from blobs where not exists (
               select 1 from blob_refs where blob_id = blobs.id and (noted_ms > ?1
                 or exists (select 1 from files where id = file_id)
                 or exists (select 1 from staged_files where id = file_id)))
             and case when session_id like 'default:%' then created_ms < ?2 else not exists (
               select 1 from write_sessions where id = session_id and status in ('NORMAL', 'COMMITTING')
                 and expires_ms > ?3) end
             returning id",
        )?
        .query_map(params![now - NOTED_MS, now - WAITING_MS, now], |row| row.get(0))?
        .collect::<Result<Vec<String>, _>>()?;
    transaction.execute("delete from blob_refs where blob_id not in (select id from blobs)", [])?;
    Ok(doomed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blobs_live_as_long_as_rows_or_sessions_need_them() {
        let root = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(root.path()).unwrap();
        std::fs::create_dir(catalog.blob_dir()).unwrap();
        let ids: Vec<String> = (0..4).map(|i| format!("{i:032x}")).collect();
        let blob = |id: &String, session: &str| Blob {
            id: id.clone(),
            session: session.into(),
            project: "p".into(),
            key: None,
            bytes: 1,
            content_type: Some("text/plain".into()),
            file_name: None,
        };
        let sql = |text: &str| catalog.lock().execute_batch(text).unwrap();
        ids.iter().for_each(|id| std::fs::write(catalog.blob_dir().join(id), "x").unwrap());
        catalog.insert_blobs(&[blob(&ids[0], "gone"), blob(&ids[1], "gone"), blob(&ids[2], "default:1")]).unwrap();
        assert!(catalog.note_blobs([("f", ids[3].as_str())]).unwrap_err().downcast_ref::<NoSuchBlob>().is_some());
        catalog.note_blobs([("f", ids[0].as_str()), ("g", ids[1].as_str())]).unwrap();
        assert_eq!(catalog.collect_blobs().unwrap(), 0, "the files may be named in a moment");
        sql("update blob_refs set noted_ms = 0;
             insert into files(id, table_id, row_count, byte_count, seq, version) values ('f', 1, 1, 1, 1, 1)");
        assert_eq!(catalog.collect_blobs().unwrap(), 1);
        assert!(catalog.blob(&ids[0]).unwrap().is_some() && !catalog.blob_dir().join(&ids[1]).exists());
        sql("update blobs set created_ms = 0");
        assert_eq!(catalog.collect_blobs().unwrap(), 1, "the one of the default session");
        std::fs::write(catalog.blob_dir().join("notes.txt"), "x").unwrap();
        assert_eq!(catalog.remove_blob_orphans().unwrap(), 1);
        assert!(catalog.blob_dir().join(&ids[0]).exists() && catalog.blob_dir().join("notes.txt").exists());
    }
}
