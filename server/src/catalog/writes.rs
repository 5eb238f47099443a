//! Write sessions at rest: what was written but not committed survives a restart, and a commit happens once.
//!
//! A session collects *units*: blocks of v1, streams of v2. A unit has a name and a version (attempt), and files that no
//! reader sees. The commit takes the files of some units, makes them visible and ends the session in one transaction.

use std::str::FromStr;

use anyhow::{Context, Result};
use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::commit::{Arranged, Destination, NewFile, apply};
use super::{Catalog, TableName};
use crate::clock::now_ms;

/// `request` and `detail` belong to whoever made the session. `due_ms` and `chosen` are set while it is COMMITTING.
pub(super) const SCHEMA: &str = "
create table write_sessions(
  id text primary key, table_id integer not null, project text not null, schema text not null,
  table_name text not null, destination text not null, request text not null, status text not null,
  message text not null, chosen text, due_ms integer, created_ms integer not null, expires_ms integer not null) strict;
create table staged_units(
  session_id text not null, unit text not null, version integer not null, row_count integer not null,
  invalid_count integer not null, detail text not null, primary key(session_id, unit, version)) strict;
create table staged_files(
  id text primary key, session_id text not null, unit text not null, version integer not null,
  partition text not null, bucket integer, row_count integer not null, byte_count integer not null) strict;
create index staged_files_of_unit on staged_files(session_id, unit, version);
";

/// The state of a write session, expiry apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteStatus {
    /// Takes rows.
    Normal,
    /// Takes no rows any more and becomes Committed by itself.
    Committing,
    Committed,
    Aborted,
    /// A commit failed for good.
    Critical,
}

impl WriteStatus {
    /// The name that is stored.
    pub fn name(self) -> &'static str {
        match self {
            WriteStatus::Normal => "NORMAL",
            WriteStatus::Committing => "COMMITTING",
            WriteStatus::Committed => "COMMITTED",
            WriteStatus::Aborted => "ABORTED",
            WriteStatus::Critical => "CRITICAL",
        }
    }
}

impl FromStr for WriteStatus {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        [Self::Normal, Self::Committing, Self::Committed, Self::Aborted, Self::Critical]
            .into_iter()
            .find(|status| status.name() == text)
            .with_context(|| format!("a stored write session is damaged: status {text}"))
    }
}

/// A write session as the database holds it. Times are epoch milliseconds.
#[derive(Clone, Debug)]
pub struct WriteSession {
    pub id: String,
    pub table: TableName,
    pub destination: Destination,
    /// JSON text of whoever made the session.
    pub request: String,
    pub status: WriteStatus,
    /// Why the session is Critical.
    pub message: String,
    pub created_ms: i64,
    pub expires_ms: i64,
}

/// A unit of a session: its name and its version.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Unit {
    pub name: String,
    pub version: i64,
}

/// What is known about the rows of a unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnitFacts {
    /// Rows received.
    pub rows: u64,
    /// Rows left out because no partition can take them.
    pub invalid: u64,
    /// Text of whoever made the session.
    pub detail: String,
}

/// What happens to the rows that a unit has already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// They stay; the new ones come behind them.
    Append,
    /// The new ones replace them.
    Replace,
    /// There must be none.
    Once,
}

/// Bounds over all units of a session.
#[derive(Clone, Copy, Debug)]
pub struct StageLimits {
    pub partitions: u64,
    pub invalid_rows: u64,
}

impl StageLimits {
    /// No bounds.
    pub const NONE: StageLimits = StageLimits { partitions: u64::MAX, invalid_rows: u64::MAX };
}

/// Why a session did not do what it was asked for. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionRefusal {
    #[error("there is no such write session")]
    Unknown,
    #[error("the write session is expired")]
    Expired,
    #[error("the write session is {}", .0.name())]
    Status(WriteStatus),
    #[error("{} version {} was written before", .0.name, .0.version)]
    Written(Unit),
    #[error("nothing was written as {} version {}", .0.name, .0.version)]
    Missing(Unit),
    #[error("the session would write into {0} partitions, at most {1} are allowed")]
    Partitions(u64, u64),
    #[error("{0} rows have a partition value that is NULL, empty or not of its type, at most {1} are allowed")]
    InvalidRows(u64, u64),
}

/// How a commit of a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionCommit {
    /// The rows are visible, as this version of the table.
    Done(i64),
    /// It was committed before.
    Already,
}

impl Catalog {
    /// Stores a new session.
    pub fn insert_write_session(&self, session: &WriteSession) -> Result<()> {
        self.lock().execute(
            "insert into write_sessions(id, table_id, project, schema, table_name, destination, request, status,
               message, created_ms, expires_ms)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            params![
                session.id,
                session.destination.table_id,
                session.table.project,
                session.table.schema,
                session.table.table,
                serde_json::to_string(&session.destination)?,
                session.request,
                session.status.name(),
                session.message,
                session.created_ms,
                session.expires_ms,
            ],
        )?;
        Ok(())
    }

    /// The session of that id, if it is still known.
    pub fn write_session(&self, id: &str) -> Result<Option<WriteSession>> {
        find_session(&self.lock(), id)
    }

    /// Gives finished and synced files, and facts about their rows, to a unit of an open session, all or nothing. Fails
    /// with a [`SessionRefusal`].
    pub fn stage(
        &self,
        session: &str,
        unit: &Unit,
        how: Stage,
        files: &[NewFile],
        facts: &UnitFacts,
        limits: StageLimits,
    ) -> Result<()> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let replaced = stage(&transaction, session, unit, how, files, facts, limits)?;
        transaction.commit().context("the catalogue did not take the written rows")?;
        drop(connection);
        self.delete_files(&replaced);
        Ok(())
    }

    /// Whether a unit has taken rows, or the news that there are none.
    pub fn has_unit(&self, session: &str, unit: &Unit) -> Result<bool> {
        let connection = self.lock();
        let mut known = connection
            .prepare_cached("select 1 from staged_units where session_id = ?1 and unit = ?2 and version = ?3")?;
        Ok(known.exists(params![session, unit.name, unit.version])?)
    }

    /// All units of a session in the order of their names, with what is known about their rows.
    pub fn staged_units(&self, session: &str) -> Result<Vec<(Unit, UnitFacts)>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "select unit, version, row_count, invalid_count, detail from staged_units where session_id = ?1
             order by unit, version",
        )?;
        let rows = statement.query_map([session], |row| {
            let unit = Unit { name: row.get(0)?, version: row.get(1)? };
            let facts = UnitFacts {
                rows: row.get::<_, i64>(2)?.max(0) as u64,
                invalid: row.get::<_, i64>(3)?.max(0) as u64,
                detail: row.get(4)?,
            };
            Ok((unit, facts))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The files of some units of a session, in the order of the units.
    pub fn staged_files(&self, session: &str, units: &[Unit]) -> Result<Vec<NewFile>> {
        files_of(&self.lock(), session, units)
    }

    /// Makes the rows of `units` visible and ends the session, in one transaction; all other rows of the session are
    /// dropped. Does nothing if the session is committed already. Fails with a [`SessionRefusal`] or a
    /// [`super::CommitRefusal`].
    pub fn commit_session(&self, id: &str, units: &[Unit]) -> Result<SessionCommit> {
        self.commit_session_as(id, units, None)
    }

    /// Like [`Catalog::commit_session`], but with other files in place of those of the units, for rows that had to be
    /// arranged anew.
    pub fn commit_session_as(&self, id: &str, units: &[Unit], arranged: Option<Arranged<'_>>) -> Result<SessionCommit> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let session = find_session(&transaction, id)?.ok_or(SessionRefusal::Unknown)?;
        match session.status {
            WriteStatus::Committed => return Ok(SessionCommit::Already),
            WriteStatus::Committing => {}
            WriteStatus::Normal => check_open(&session)?,
            other => return Err(SessionRefusal::Status(other).into()),
        }
        let staged = files_of(&transaction, id, units)?;
        if let Some(arranged) = &arranged {
            arranged.check(&transaction, session.destination.table_id)?;
        }
        let files = arranged.map_or(staged.as_slice(), |arranged| arranged.files);
        let version = apply(&transaction, &session.destination, files, now_ms())?;
        let doomed = end_session(&transaction, id, WriteStatus::Committed, "", files)?;
        transaction.commit().context("the catalogue did not accept the commit")?;
        drop(connection);
        self.delete_files(&doomed);
        Ok(SessionCommit::Done(version))
    }

    /// From now on the session takes no rows and waits for its commit, which is due at `due_ms`.
    pub fn begin_commit(&self, id: &str, units: &[Unit], due_ms: i64) -> Result<()> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let session = find_session(&transaction, id)?.ok_or(SessionRefusal::Unknown)?;
        check_open(&session)?;
        files_of(&transaction, id, units)?;
        transaction.execute(
            "update write_sessions set status = 'COMMITTING', chosen = ?1, due_ms = ?2 where id = ?3",
            params![serde_json::to_string(units)?, due_ms, id],
        )?;
        Ok(transaction.commit()?)
    }

    /// The sessions that wait for their commit: id, units, when it is due.
    pub fn pending_commits(&self) -> Result<Vec<(String, Vec<Unit>, i64)>> {
        let connection = self.lock();
        let mut statement =
            connection.prepare("select id, chosen, due_ms from write_sessions where status = 'COMMITTING'")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?, row.get(2)?)))?;
        rows.map(|row| {
            let (id, chosen, due_ms) = row?;
            Ok((id, serde_json::from_str(&chosen).context("a stored write session is damaged")?, due_ms))
        })
        .collect()
    }

    /// Ends a session without making anything visible: `Aborted`, or `Critical` with a sentence. Does nothing to one
    /// that has ended.
    pub fn end_write_session(&self, id: &str, status: WriteStatus, message: &str) -> Result<()> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let session = find_session(&transaction, id)?.ok_or(SessionRefusal::Unknown)?;
        if !matches!(session.status, WriteStatus::Normal | WriteStatus::Committing) {
            return Ok(());
        }
        let doomed = end_session(&transaction, id, status, message, &[])?;
        transaction.commit()?;
        drop(connection);
        self.delete_files(&doomed);
        Ok(())
    }

    /// Deletes files that nothing names any more. What a crash leaves behind, the next start removes.
    pub(super) fn delete_files(&self, ids: &[String]) {
        for id in ids {
            let _ = std::fs::remove_file(self.file_path(id));
        }
    }
}

/// [`Catalog::stage`] inside a transaction. Returns the ids of files that were replaced.
pub(super) fn stage(
    transaction: &Transaction<'_>,
    session: &str,
    unit: &Unit,
    how: Stage,
    files: &[NewFile],
    facts: &UnitFacts,
    limits: StageLimits,
) -> Result<Vec<String>> {
    let found = find_session(transaction, session)?.ok_or(SessionRefusal::Unknown)?;
    check_open(&found)?;
    let key = params![session, unit.name, unit.version];
    let known = transaction
        .prepare_cached("select 1 from staged_units where session_id = ?1 and unit = ?2 and version = ?3")?
        .exists(key)?;
    if known && how == Stage::Once {
        return Err(SessionRefusal::Written(unit.clone()).into());
    }
    let replaced = if known && how == Stage::Replace { forget_unit(transaction, session, unit)? } else { Vec::new() };
    transaction
        .prepare_cached(
            "insert into staged_units(session_id, unit, version, row_count, invalid_count, detail)
             values (?1, ?2, ?3, ?4, ?5, ?6) on conflict do update set row_count = row_count + excluded.row_count,
               invalid_count = invalid_count + excluded.invalid_count, detail = excluded.detail",
        )?
        .execute(params![session, unit.name, unit.version, facts.rows as i64, facts.invalid as i64, facts.detail])?;
    for file in files {
        let partition = serde_json::to_string(&file.partition)?;
        transaction
            .prepare_cached(
                "insert into staged_files(id, session_id, unit, version, partition, bucket, row_count, byte_count)
                 values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute(params![
                file.id,
                session,
                unit.name,
                unit.version,
                partition,
                file.bucket,
                file.rows as i64,
                file.bytes as i64
            ])?;
    }
    check_limits(transaction, session, limits)?;
    Ok(replaced)
}

fn check_limits(transaction: &Transaction<'_>, session: &str, limits: StageLimits) -> Result<()> {
    let count = |sql: &str| -> Result<u64> {
        let count: i64 = transaction.prepare_cached(sql)?.query_row([session], |row| row.get(0))?;
        Ok(count.max(0) as u64)
    };
    if limits.partitions < u64::MAX {
        let partitions = count("select count(distinct partition) from staged_files where session_id = ?1")?;
        if partitions > limits.partitions {
            return Err(SessionRefusal::Partitions(partitions, limits.partitions).into());
        }
    }
    if limits.invalid_rows < u64::MAX {
        let invalid = count("select coalesce(sum(invalid_count), 0) from staged_units where session_id = ?1")?;
        if invalid > limits.invalid_rows {
            return Err(SessionRefusal::InvalidRows(invalid, limits.invalid_rows).into());
        }
    }
    Ok(())
}

/// Fails with a [`SessionRefusal`] unless a session takes rows.
pub(super) fn demand_open(connection: &Connection, session: &str) -> Result<()> {
    let found = find_session(connection, session)?.ok_or(SessionRefusal::Unknown)?;
    Ok(check_open(&found)?)
}

/// Whether a session that can still be committed holds rows for a table.
pub(super) fn holds_rows(connection: &Connection, table_id: i64) -> Result<bool> {
    let mut statement = connection.prepare_cached(
        "select 1 from staged_files join write_sessions on write_sessions.id = staged_files.session_id
         where table_id = ?1 and (status = 'COMMITTING' or (status = 'NORMAL' and expires_ms > ?2))",
    )?;
    Ok(statement.exists(params![table_id, now_ms()])?)
}

fn check_open(session: &WriteSession) -> Result<(), SessionRefusal> {
    match session.status {
        WriteStatus::Normal if session.expires_ms <= now_ms() => Err(SessionRefusal::Expired),
        WriteStatus::Normal => Ok(()),
        other => Err(SessionRefusal::Status(other)),
    }
}

pub(super) fn forget_unit(transaction: &Transaction<'_>, session: &str, unit: &Unit) -> Result<Vec<String>> {
    let key = params![session, unit.name, unit.version];
    transaction.execute("delete from staged_units where session_id = ?1 and unit = ?2 and version = ?3", key)?;
    let mut statement = transaction
        .prepare_cached("delete from staged_files where session_id = ?1 and unit = ?2 and version = ?3 returning id")?;
    let ids = statement.query_map(key, |row| row.get(0))?;
    Ok(ids.collect::<Result<_, _>>()?)
}

/// The files of units in their order; fails if one of the units is not there.
fn files_of(connection: &Connection, session: &str, units: &[Unit]) -> Result<Vec<NewFile>> {
    let mut known =
        connection.prepare_cached("select 1 from staged_units where session_id = ?1 and unit = ?2 and version = ?3")?;
    let mut statement = connection.prepare_cached(
        "select id, partition, bucket, row_count, byte_count from staged_files
         where session_id = ?1 and unit = ?2 and version = ?3 order by rowid",
    )?;
    let mut files = Vec::new();
    for unit in units {
        let key = params![session, unit.name, unit.version];
        if !known.exists(key)? {
            return Err(SessionRefusal::Missing(unit.clone()).into());
        }
        for row in statement.query_map(key, |row| {
            Ok((row.get(0)?, row.get::<_, String>(1)?, row.get(2)?, row.get::<_, i64>(3)?, row.get::<_, i64>(4)?))
        })? {
            let (id, partition, bucket, rows, bytes) = row?;
            let partition = serde_json::from_str(&partition).context("a stored write session is damaged")?;
            files.push(NewFile { id, partition, bucket, rows: rows.max(0) as u64, bytes: bytes.max(0) as u64 });
        }
    }
    Ok(files)
}

/// Gives a session its last state and forgets what it staged. Returns the ids of the files that were not `kept`.
fn end_session(
    transaction: &Transaction<'_>,
    id: &str,
    status: WriteStatus,
    message: &str,
    kept: &[NewFile],
) -> Result<Vec<String>> {
    transaction.execute(
        "update write_sessions set status = ?1, message = ?2, chosen = null, due_ms = null where id = ?3",
        params![status.name(), message, id],
    )?;
    forget_staged(transaction, id, kept)
}

fn forget_staged(transaction: &Transaction<'_>, session: &str, kept: &[NewFile]) -> Result<Vec<String>> {
    let kept: std::collections::HashSet<&str> = kept.iter().map(|file| file.id.as_str()).collect();
    transaction.execute("delete from staged_units where session_id = ?1", [session])?;
    let mut statement = transaction.prepare_cached("delete from staged_files where session_id = ?1 returning id")?;
    let ids = statement.query_map([session], |row| row.get::<_, String>(0))?;
    let ids: Vec<String> = ids.collect::<Result<_, _>>()?;
    Ok(ids.into_iter().filter(|id| !kept.contains(id.as_str())).collect())
}

/// Forgets what expired sessions staged, and sessions that ended or expired more than `keep_ms` ago. Returns the ids of
/// files to delete.
pub(super) fn collect_expired(transaction: &Transaction<'_>, now: i64, keep_ms: i64) -> Result<Vec<String>> {
    let expired: Vec<String> = transaction
        .prepare(
            "select distinct id from write_sessions where status = 'NORMAL' and expires_ms <= ?1
             and exists (select 1 from staged_units where session_id = write_sessions.id)",
        )?
        .query_map([now], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut doomed = Vec::new();
    for session in expired {
        doomed.extend(forget_staged(transaction, &session, &[])?);
    }
    transaction
        .execute("delete from write_sessions where expires_ms < ?1 and status <> 'COMMITTING'", [now - keep_ms])?;
    Ok(doomed)
}

const SELECT_SESSION: &str = "select id, project, schema, table_name, destination, request, status, message,
    created_ms, expires_ms from write_sessions";

fn find_session(connection: &Connection, id: &str) -> Result<Option<WriteSession>> {
    let damaged = "a stored write session is damaged";
    let mut statement = connection.prepare_cached(&format!("{SELECT_SESSION} where id = ?1"))?;
    let mut rows = statement.query([id])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(Some(WriteSession {
        id: row.get(0)?,
        table: TableName { project: row.get(1)?, schema: row.get(2)?, table: row.get(3)? },
        destination: serde_json::from_str(&row.get::<_, String>(4)?).context(damaged)?,
        request: row.get(5)?,
        status: row.get::<_, String>(6)?.parse()?,
        message: row.get(7)?,
        created_ms: row.get(8)?,
        expires_ms: row.get(9)?,
    }))
}

#[cfg(test)]
mod tests {
    use super::super::{Column, NewTable};
    use super::*;
    use crate::types::Type;

    struct Fixture {
        _root: tempfile::TempDir,
        catalog: Catalog,
        destination: Destination,
        table: TableName,
    }

    fn fixture() -> Fixture {
        let root = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(root.path()).unwrap();
        let table: TableName = "p.default.t".parse().unwrap();
        let id = catalog.create_table(&NewTable::plain(&table, &[Column::new("a", Type::Int, true)], &[])).unwrap();
        let destination =
            Destination { table_id: id.unwrap(), schema_version: 1, partition: Vec::new(), overwrite: false };
        Fixture { _root: root, catalog, destination, table }
    }

    impl Fixture {
        fn open(&self, id: &str, expires_ms: i64) {
            let session = WriteSession {
                id: id.into(),
                table: self.table.clone(),
                destination: self.destination.clone(),
                request: "{}".into(),
                status: WriteStatus::Normal,
                message: String::new(),
                created_ms: 0,
                expires_ms,
            };
            self.catalog.insert_write_session(&session).unwrap();
        }

        fn stage(&self, session: &str, unit: &Unit, how: Stage, file: &str) -> Result<()> {
            std::fs::write(self.catalog.file_path(file), "x").unwrap();
            let file = NewFile { id: file.into(), partition: Vec::new(), bucket: None, rows: 2, bytes: 1 };
            let facts = UnitFacts { rows: 2, ..UnitFacts::default() };
            self.catalog.stage(session, unit, how, &[file], &facts, StageLimits::NONE)
        }

        fn visible(&self) -> Vec<String> {
            self.catalog.files(self.destination.table_id).unwrap().into_iter().map(|file| file.id).collect()
        }

        fn there(&self, file: &str) -> bool {
            self.catalog.file_path(file).exists()
        }
    }

    fn unit(name: &str, version: i64) -> Unit {
        Unit { name: name.into(), version }
    }

    #[test]
    fn a_commit_takes_the_chosen_units_once() {
        let at = fixture();
        at.open("s", i64::MAX);
        let ids: Vec<String> = (0..4).map(|i| format!("{i:032x}")).collect();
        at.stage("s", &unit("0", 0), Stage::Replace, &ids[0]).unwrap();
        at.stage("s", &unit("0", 0), Stage::Replace, &ids[1]).unwrap();
        assert!(!at.there(&ids[0]), "a replaced file is deleted");
        at.stage("s", &unit("1", 0), Stage::Append, &ids[2]).unwrap();
        at.stage("s", &unit("1", 0), Stage::Append, &ids[3]).unwrap();
        assert!(at.stage("s", &unit("1", 0), Stage::Once, "other").is_err());
        assert_eq!(at.catalog.staged_units("s").unwrap()[1].1.rows, 4);
        assert_eq!(at.catalog.remove_orphans().unwrap(), 0, "staged files are not orphans");
        assert!(at.catalog.commit_session("s", &[unit("7", 0)]).is_err());
        assert_eq!(at.catalog.commit_session("s", &[unit("1", 0)]).unwrap(), SessionCommit::Done(2));
        assert_eq!(at.visible(), ids[2..]);
        assert!(!at.there(&ids[1]), "what was not chosen is deleted");
        assert_eq!(at.catalog.commit_session("s", &[unit("1", 0)]).unwrap(), SessionCommit::Already);
        assert_eq!(at.visible(), ids[2..]);
        let late = at.stage("s", &unit("2", 0), Stage::Replace, &ids[0]).unwrap_err();
        assert_eq!(late.downcast_ref(), Some(&SessionRefusal::Status(WriteStatus::Committed)));
    }

    #[test]
    fn expired_and_aborted_sessions_lose_their_files() {
        let at = fixture();
        let ids: Vec<String> = (0..2).map(|i| format!("{i:032x}")).collect();
        at.open("s", now_ms() + 100_000);
        at.stage("s", &unit("0", 0), Stage::Replace, &ids[0]).unwrap();
        at.catalog.lock().execute("update write_sessions set expires_ms = ?1", [now_ms() - 1]).unwrap();
        assert_eq!(
            at.stage("s", &unit("0", 1), Stage::Replace, "late").unwrap_err().downcast_ref(),
            Some(&SessionRefusal::Expired)
        );
        at.catalog.collect_garbage(1_000_000).unwrap();
        assert!(!at.there(&ids[0]) && at.catalog.write_session("s").unwrap().is_some());
        at.catalog.collect_garbage(-1000).unwrap();
        assert!(at.catalog.write_session("s").unwrap().is_none());
        at.open("t", i64::MAX);
        at.stage("t", &unit("0", 0), Stage::Replace, &ids[1]).unwrap();
        at.catalog.end_write_session("t", WriteStatus::Aborted, "").unwrap();
        assert!(!at.there(&ids[1]));
        assert!(at.catalog.commit_session("t", &[]).is_err());
    }

    #[test]
    fn a_commit_that_does_not_fit_the_table_any_more_changes_nothing() {
        let at = fixture();
        at.open("s", i64::MAX);
        let id = format!("{:032x}", 1);
        at.stage("s", &unit("0", 0), Stage::Replace, &id).unwrap();
        at.catalog.lock().execute("update tables set schema_version = 2", []).unwrap();
        assert!(at.catalog.commit_session("s", &[unit("0", 0)]).is_err());
        assert_eq!(at.catalog.write_session("s").unwrap().unwrap().status, WriteStatus::Normal);
        assert!(at.there(&id) && at.visible().is_empty());
    }

    #[test]
    fn rows_that_a_session_holds_count_as_rows_of_the_table() {
        let at = fixture();
        let has_rows = || {
            let mut found = None;
            let note = |_: &mut crate::catalog::Table, has_rows| -> Result<(), ()> {
                found = Some(has_rows);
                Ok(())
            };
            at.catalog.alter_table(&at.table, note).unwrap().unwrap();
            found.unwrap()
        };
        let unit = Unit { name: "s".into(), version: 1 };
        let stage = |session: &str, file: &str| {
            let file = NewFile { id: file.into(), partition: Vec::new(), bucket: None, rows: 1, bytes: 7 };
            let facts = UnitFacts::default();
            at.catalog.stage(session, &unit, Stage::Append, &[file], &facts, StageLimits::NONE).unwrap();
        };
        at.open("open", i64::MAX);
        assert!(!has_rows());
        stage("open", "f1");
        assert!(has_rows());
        at.catalog.end_write_session("open", WriteStatus::Aborted, "").unwrap();
        assert!(!has_rows());
        at.open("late", now_ms() + 3_600_000);
        stage("late", "f2");
        let expire = "update write_sessions set expires_ms = 1 where id = 'late'";
        at.catalog.lock().execute(expire, []).unwrap();
        assert!(!has_rows(), "nothing of an expired session is committed any more");
        at.catalog.lock().execute("update write_sessions set status = 'COMMITTING'", []).unwrap();
        assert!(has_rows(), "except what waits for its commit");
    }
}
