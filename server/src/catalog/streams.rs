//! Write streams of Storage API v2: what each has taken, and where an exactly-once writer goes on.
//!
//! A stream belongs to a write session, or to a table whose rows become visible at once. Rows and the row offset after
//! them change in one transaction.

use anyhow::{Context, Result};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::Catalog;
use super::commit::{Arranged, Destination, apply};
use super::writes::{self, Stage, StageLimits, Unit, UnitFacts};
use crate::clock::now_ms;

/// `session_id` is a write session, or [`Stream::of_table`].
pub(super) const SCHEMA: &str = "
create table streams(
  session_id text not null, name text not null, version integer not null, schema_version integer not null,
  table_id integer not null, token text, row_count integer not null, byte_count integer not null,
  closed integer not null, created_ms integer not null, primary key(session_id, name)) strict;
";

/// A stream as the database holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    pub session: String,
    pub name: String,
    /// A higher version takes the place of a lower one.
    pub version: i64,
    /// Version of the columns when the stream was created.
    pub schema_version: i64,
    pub table_id: i64,
    /// What an exactly-once writer must show; `None` if the stream is not of that kind.
    pub token: Option<String>,
    /// Rows taken, which is the next row offset.
    pub rows: u64,
    pub bytes: u64,
    pub closed: bool,
}

impl Stream {
    /// The session of the streams whose rows become visible at once.
    pub fn of_table(table_id: i64) -> String {
        format!("default:{table_id}")
    }

    /// The unit of the session that holds the rows.
    pub fn unit(&self) -> Unit {
        Unit { name: self.name.clone(), version: self.version }
    }
}

/// Why a stream did not do what it was asked for. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamRefusal {
    #[error("there is no stream {0} in this session")]
    Unknown(String),
    #[error("stream {name} has version {current}, not {asked}")]
    Version { name: String, current: i64, asked: i64 },
    #[error("stream {0} has taken rows in this version already: create it again with a higher StreamVersion")]
    Written(String),
    #[error("stream {0} is closed")]
    Closed(String),
    #[error("the write access token is not the newest one of stream {0}")]
    Token(String),
    #[error("the rows begin at offset {found}, the stream goes on at {expected}")]
    Offset { expected: u64, found: u64 },
    /// Not a failure: the rows have been taken before.
    #[error("the rows were taken before; the stream goes on at {0}")]
    Duplicate(u64),
}

/// Where an exactly-once writer believes to be.
#[derive(Clone, Debug)]
pub struct Exactly {
    pub offset: u64,
    pub token: String,
}

impl Exactly {
    /// Checks `rows` rows against what the stream has.
    fn check(&self, stream: &Stream, rows: u64) -> Result<(), StreamRefusal> {
        if stream.token.as_deref() != Some(self.token.as_str()) {
            return Err(StreamRefusal::Token(stream.name.clone()));
        }
        if self.offset == stream.rows {
            return Ok(());
        }
        match self.offset.checked_add(rows) {
            Some(end) if end <= stream.rows => Err(StreamRefusal::Duplicate(stream.rows)),
            _ => Err(StreamRefusal::Offset { expected: stream.rows, found: self.offset }),
        }
    }
}

/// What happens to the rows of a stream.
#[derive(Clone, Copy, Debug)]
pub enum Landing<'a> {
    /// The session holds them until it is committed.
    Staged,
    /// They are visible at once.
    Visible(&'a Destination),
}

/// A write into a stream: all of it happens or nothing.
#[derive(Clone, Debug)]
pub struct StreamWrite<'a> {
    pub session: &'a str,
    pub name: &'a str,
    pub version: i64,
    pub rows: u64,
    pub exactly: Option<&'a Exactly>,
    pub landing: Landing<'a>,
}

impl Catalog {
    /// Creates a stream. The same version again changes nothing while nothing was written; a higher one takes its place,
    /// and what was staged under the lower one is dropped. A stream that is to be `taken_up`, because its rows are visible
    /// already, goes on where it is, unless a row offset is at stake.
    pub fn create_stream(&self, stream: &Stream, taken_up: bool) -> Result<()> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut doomed = Vec::new();
        if let Some(found) = find(&transaction, &stream.session, &stream.name)? {
            if found.version > stream.version {
                let (current, asked) = (found.version, stream.version);
                return Err(StreamRefusal::Version { name: found.name, current, asked }.into());
            }
            if taken_up && found.version == stream.version && found.token.is_none() && stream.token.is_none() {
                let sql = "update streams set closed = 0 where session_id = ?1 and name = ?2";
                transaction.execute(sql, params![stream.session, stream.name])?;
                return Ok(transaction.commit()?);
            }
            if found.version == stream.version && found.closed {
                return Err(StreamRefusal::Closed(found.name).into());
            }
            if found.version == stream.version && found.rows > 0 {
                return Err(StreamRefusal::Written(found.name).into());
            }
            doomed = writes::forget_unit(&transaction, &found.session, &found.unit())?;
        }
        transaction.execute(
            "insert or replace into streams(session_id, name, version, schema_version, table_id, token, row_count,
               byte_count, closed, created_ms) values (?1, ?2, ?3, ?4, ?5, ?6, 0, 0, 0, ?7)",
            params![
                stream.session,
                stream.name,
                stream.version,
                stream.schema_version,
                stream.table_id,
                stream.token,
                now_ms()
            ],
        )?;
        transaction.commit()?;
        drop(connection);
        self.delete_files(&doomed);
        Ok(())
    }

    /// The stream of that name, if there is one.
    pub fn stream(&self, session: &str, name: &str) -> Result<Option<Stream>> {
        find(&self.lock(), session, name)
    }

    /// All streams of a session by name.
    pub fn streams(&self, session: &str) -> Result<Vec<Stream>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(&format!("{SELECT} where session_id = ?1 order by name"))?;
        let rows = statement.query_map([session], read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// How many streams a session has.
    pub fn stream_count(&self, session: &str) -> Result<usize> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached("select count(*) from streams where session_id = ?1")?;
        let count: i64 = statement.query_row([session], |row| row.get(0))?;
        Ok(usize::try_from(count).unwrap_or(0))
    }

    /// Gives a stream another token; the one it had is worth nothing from now on.
    pub fn set_stream_token(&self, session: &str, name: &str, token: &str) -> Result<()> {
        let sql = "update streams set token = ?3 where session_id = ?1 and name = ?2";
        self.lock().execute(sql, params![session, name, token])?;
        Ok(())
    }

    /// From now on the stream takes no rows. Closing it again changes nothing.
    pub fn close_stream(&self, session: &str, name: &str, version: i64) -> Result<()> {
        let connection = self.lock();
        let found = find(&connection, session, name)?.ok_or_else(|| StreamRefusal::Unknown(name.into()))?;
        check_version(&found, version)?;
        connection
            .execute("update streams set closed = 1 where session_id = ?1 and name = ?2", params![session, name])?;
        Ok(())
    }

    /// Whether a write may begin: what [`Catalog::append`] checks, as far as it is known before the rows are.
    pub fn check_stream(&self, write: &StreamWrite<'_>) -> Result<Stream> {
        let found = check(&self.lock(), write)?;
        if let Some(exactly) = write.exactly {
            match exactly.check(&found, 0) {
                Ok(()) | Err(StreamRefusal::Duplicate(_)) => {}
                Err(refusal) => return Err(refusal.into()),
            }
        }
        Ok(found)
    }

    /// Gives finished and synced files to a stream and moves its row offset. Returns the next offset and, if the rows are
    /// visible, the version of the table that shows them. Fails with a [`StreamRefusal`], [`super::SessionRefusal`] or
    /// [`super::CommitRefusal`]; with that of [`super::CommitRefusal::Stale`] if rows that would become visible were arranged
    /// for another version of the table.
    pub fn append(&self, write: &StreamWrite<'_>, arranged: Arranged<'_>) -> Result<(u64, Option<i64>)> {
        let files = arranged.files;
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let found = check(&transaction, write)?;
        if let Some(exactly) = write.exactly {
            exactly.check(&found, write.rows)?;
        }
        if write.session != Stream::of_table(found.table_id) {
            // It may have ended while the rows were on their way.
            writes::demand_open(&transaction, write.session)?;
        }
        let version = match write.landing {
            Landing::Staged => {
                let facts = UnitFacts { rows: write.rows, ..UnitFacts::default() };
                let (unit, limits) = (found.unit(), StageLimits::NONE);
                writes::stage(&transaction, write.session, &unit, Stage::Append, files, &facts, limits)?;
                None
            }
            Landing::Visible(destination) if files.is_empty() => {
                let sql = "select version from tables where id = ?1";
                Some(transaction.query_row(sql, [destination.table_id], |row| row.get(0))?)
            }
            Landing::Visible(destination) => {
                arranged.check(&transaction, destination.table_id)?;
                Some(apply(&transaction, destination, files, now_ms())?)
            }
        };
        let bytes: u64 = files.iter().map(|file| file.bytes).sum();
        transaction.execute(
            "update streams set row_count = row_count + ?3, byte_count = byte_count + ?4
             where session_id = ?1 and name = ?2",
            params![write.session, write.name, write.rows as i64, bytes as i64],
        )?;
        transaction.commit().context("the catalogue did not take the written rows")?;
        Ok((found.rows + write.rows, version))
    }

    /// Lets a session follow its table to other columns, to which rows that were written before are still good.
    pub fn follow_columns(&self, session: &str, schema_version: i64) -> Result<()> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let stored: Option<String> = transaction
            .query_row("select destination from write_sessions where id = ?1", [session], |row| row.get(0))
            .optional()?;
        if let Some(stored) = stored {
            let mut destination: Destination =
                serde_json::from_str(&stored).context("a stored write session is damaged")?;
            destination.schema_version = schema_version;
            let text = serde_json::to_string(&destination)?;
            transaction.execute("update write_sessions set destination = ?2 where id = ?1", params![session, text])?;
        }
        Ok(transaction.commit()?)
    }
}

/// Forgets the streams of sessions and tables that are gone.
pub(super) fn collect(transaction: &Transaction<'_>) -> Result<()> {
    transaction.execute(
        "delete from streams where table_id not in (select id from tables)
           or (session_id not like 'default:%' and session_id not in (select id from write_sessions))",
        [],
    )?;
    Ok(())
}

/// The stream of a write, if it is open in that version.
fn check(connection: &Connection, write: &StreamWrite<'_>) -> Result<Stream> {
    let unknown = || StreamRefusal::Unknown(write.name.into());
    let found = find(connection, write.session, write.name)?.ok_or_else(unknown)?;
    check_version(&found, write.version)?;
    if found.closed {
        return Err(StreamRefusal::Closed(found.name).into());
    }
    if found.token.is_some() && write.exactly.is_none() {
        return Err(StreamRefusal::Token(found.name).into());
    }
    Ok(found)
}

fn check_version(found: &Stream, asked: i64) -> Result<(), StreamRefusal> {
    match found.version == asked {
        true => Ok(()),
        false => Err(StreamRefusal::Version { name: found.name.clone(), current: found.version, asked }),
    }
}

const SELECT: &str =
    "select session_id, name, version, schema_version, table_id, token, row_count, byte_count, closed from streams";

fn find(connection: &Connection, session: &str, name: &str) -> Result<Option<Stream>> {
    let mut statement = connection.prepare_cached(&format!("{SELECT} where session_id = ?1 and name = ?2"))?;
    Ok(statement.query_row(params![session, name], read).optional()?)
}

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Stream> {
    Ok(Stream {
        session: row.get(0)?,
        name: row.get(1)?,
        version: row.get(2)?,
        schema_version: row.get(3)?,
        table_id: row.get(4)?,
        token: row.get(5)?,
        rows: row.get::<_, i64>(6)?.max(0) as u64,
        bytes: row.get::<_, i64>(7)?.max(0) as u64,
        closed: row.get(8)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Column, NewFile, NewTable, SessionRefusal, TableName, WriteSession, WriteStatus};
    use crate::types::Type;

    fn stream(version: i64, token: Option<&str>) -> Stream {
        Stream {
            session: Stream::of_table(1),
            name: "s".into(),
            version,
            schema_version: 1,
            table_id: 1,
            token: token.map(Into::into),
            rows: 0,
            bytes: 0,
            closed: false,
        }
    }

    fn refusal(result: Result<impl std::fmt::Debug>) -> StreamRefusal {
        result.unwrap_err().downcast_ref::<StreamRefusal>().unwrap().clone()
    }

    #[test]
    fn rows_and_offset_move_together_and_versions_replace() {
        let root = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(root.path()).unwrap();
        let name = "p.default.t".parse().unwrap();
        let new = NewTable::plain(&name, &[Column::new("a", Type::Int, true)], &[]);
        let table_id = catalog.create_table(&new).unwrap().unwrap();
        let to = Destination { table_id, schema_version: 1, partition: Vec::new(), overwrite: false };
        catalog.create_stream(&stream(1, Some("a")), false).unwrap();
        catalog.create_stream(&stream(1, Some("b")), true).unwrap();
        let session = Stream::of_table(1);
        let write = |version: i64, rows: u64, offset: u64, token: &str, file: &str| {
            let exactly = Exactly { offset, token: token.into() };
            let landing = Landing::Visible(&to);
            let write = StreamWrite { session: &session, name: "s", version, rows, exactly: Some(&exactly), landing };
            let file = NewFile { id: file.into(), partition: Vec::new(), bucket: None, rows, bytes: 7 };
            catalog.append(&write, Arranged::for_any_version(&[file]))
        };
        assert_eq!(refusal(write(1, 3, 0, "a", "f0")), StreamRefusal::Token("s".into()));
        assert_eq!(write(1, 3, 0, "b", "f1").unwrap(), (3, Some(2)));
        assert_eq!(refusal(write(1, 3, 0, "b", "f2")), StreamRefusal::Duplicate(3));
        assert_eq!(refusal(write(1, 4, 0, "b", "f3")), StreamRefusal::Offset { expected: 3, found: 0 });
        assert_eq!(refusal(write(1, 1, 4, "b", "f4")), StreamRefusal::Offset { expected: 3, found: 4 });
        catalog.set_stream_token(&session, "s", "c").unwrap();
        assert_eq!(write(1, 2, 3, "c", "f5").unwrap(), (5, Some(3)));
        let ids: Vec<String> = catalog.files(table_id).unwrap().into_iter().map(|file| file.id).collect();
        assert_eq!(ids, ["f1", "f5"]);
        assert_eq!(refusal(catalog.create_stream(&stream(1, None), true)), StreamRefusal::Written("s".into()));
        catalog.create_stream(&stream(2, None), false).unwrap();
        assert!(matches!(refusal(write(1, 1, 5, "c", "f6")), StreamRefusal::Version { current: 2, asked: 1, .. }));
        catalog.close_stream(&session, "s", 2).unwrap();
        catalog.close_stream(&session, "s", 2).unwrap();
        assert_eq!(refusal(catalog.create_stream(&stream(2, None), false)), StreamRefusal::Closed("s".into()));
        assert!(refusal(catalog.create_stream(&stream(1, None), true)).to_string().contains("version 2"));
        catalog.create_stream(&stream(2, None), true).unwrap();
        assert!(!catalog.stream(&session, "s").unwrap().unwrap().closed, "goes on");
    }

    #[test]
    fn rows_of_a_session_that_has_ended_do_not_become_visible() {
        let root = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(root.path()).unwrap();
        let name: TableName = "p.default.t".parse().unwrap();
        let new = NewTable::plain(&name, &[Column::new("a", Type::Int, true)], &[]);
        let table_id = catalog.create_table(&new).unwrap().unwrap();
        let to = Destination { table_id, schema_version: 1, partition: Vec::new(), overwrite: false };
        let open = |id: &str, expires_ms: i64| {
            let session = WriteSession {
                id: id.into(),
                table: name.clone(),
                destination: to.clone(),
                request: "{}".into(),
                status: WriteStatus::Normal,
                message: String::new(),
                created_ms: now_ms(),
                expires_ms,
            };
            catalog.insert_write_session(&session).unwrap();
            catalog.create_stream(&Stream { session: id.into(), table_id, ..stream(1, None) }, true).unwrap();
        };
        let write = |session: &str, file: &str| {
            let landing = Landing::Visible(&to);
            let write = StreamWrite { session, name: "s", version: 1, rows: 1, exactly: None, landing };
            let file = NewFile { id: file.into(), partition: Vec::new(), bucket: None, rows: 1, bytes: 7 };
            catalog.append(&write, Arranged::for_any_version(&[file]))
        };
        ["open", "aborted", "committed"].iter().for_each(|id| open(id, i64::MAX));
        open("expired", now_ms());
        catalog.end_write_session("aborted", WriteStatus::Aborted, "").unwrap();
        catalog.commit_session("committed", &[]).unwrap();
        write("open", "f1").unwrap();
        for (id, refusal) in [
            ("aborted", SessionRefusal::Status(WriteStatus::Aborted)),
            ("committed", SessionRefusal::Status(WriteStatus::Committed)),
            ("expired", SessionRefusal::Expired),
        ] {
            assert_eq!(write(id, id).unwrap_err().downcast_ref(), Some(&refusal), "{id}");
        }
        assert_eq!(catalog.files(table_id).unwrap().len(), 1);
    }
}
