//! Read sessions at rest: they survive a restart and pin the files of their snapshot.

use anyhow::Result;
use rusqlite::{OptionalExtension, TransactionBehavior, params};

use super::{Catalog, TableName};
use crate::clock::now_ms;

/// A read session as the database holds it. Times are epoch milliseconds.
#[derive(Clone, Debug)]
pub struct StoredSession {
    pub id: String,
    pub table: TableName,
    pub created_ms: i64,
    /// From this moment on the session is NORMAL; before it is INIT.
    pub ready_ms: i64,
    pub expires_ms: i64,
    /// JSON text of the plan.
    pub plan: String,
}

/// Read sessions and the files they pin.
pub(super) const SCHEMA: &str = "
create table sessions(
  id text primary key, project text not null, schema text not null, table_name text not null,
  created_ms integer not null, ready_ms integer not null, expires_ms integer not null, plan text not null) strict;
create table session_files(
  session_id text not null, file_id text not null, primary key(session_id, file_id)) strict;
create index sessions_of_file on session_files(file_id);
";

impl Catalog {
    /// Stores a session and pins its files, in one transaction.
    ///
    /// Returns false, and stores nothing, if one of the files has been deleted since it was listed. One that has been
    /// replaced meanwhile is still there, and from now on pinned.
    pub fn insert_session(&self, session: &StoredSession, file_ids: &[String]) -> Result<bool> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut known = transaction.prepare_cached("select 1 from files where id = ?1")?;
            let mut pin = transaction.prepare_cached("insert into session_files values (?1, ?2)")?;
            for file in file_ids {
                if !known.exists([file])? {
                    return Ok(false);
                }
                pin.execute(params![session.id, file])?;
            }
        }
        transaction.execute(
            "insert into sessions values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                session.id,
                session.table.project,
                session.table.schema,
                session.table.table,
                session.created_ms,
                session.ready_ms,
                session.expires_ms,
                session.plan
            ],
        )?;
        transaction.commit()?;
        Ok(true)
    }

    /// The session of that id, if it is still known.
    pub fn session(&self, id: &str) -> Result<Option<StoredSession>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "select id, project, schema, table_name, created_ms, ready_ms, expires_ms, plan from sessions where id = ?1",
        )?;
        let row = statement.query_row([id], |row| {
            Ok(StoredSession {
                id: row.get(0)?,
                table: TableName { project: row.get(1)?, schema: row.get(2)?, table: row.get(3)? },
                created_ms: row.get(4)?,
                ready_ms: row.get(5)?,
                expires_ms: row.get(6)?,
                plan: row.get(7)?,
            })
        });
        Ok(row.optional()?)
    }

    /// Sessions by kind and state, as they are at `now`.
    pub fn session_counts(&self, now: i64) -> Result<Vec<(String, String, u64)>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "select 'read', case when expires_ms <= ?1 then 'EXPIRED' when ready_ms > ?1 then 'INIT' else 'NORMAL' end,
               count(*) from sessions group by 2
             union all
             select 'write', case when expires_ms <= ?1 and status = 'NORMAL' then 'EXPIRED' else status end,
               count(*) from write_sessions group by 2 order by 1, 2",
        )?;
        let rows =
            statement.query_map([now], |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, i64>(2)?.max(0) as u64)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Ends the life of a session of any kind now. False if there is none of that id.
    pub fn expire_session(&self, id: &str) -> Result<bool> {
        let connection = self.lock();
        let mut found = 0;
        for table in ["sessions", "write_sessions"] {
            let sql = format!("update {table} set expires_ms = ?1 where id = ?2");
            found += connection.execute(&sql, params![now_ms(), id])?;
        }
        Ok(found > 0)
    }

    /// Prolongs a session. Returns false if one of its files has been deleted meanwhile, which can happen only after
    /// it expired.
    pub fn extend_session(&self, id: &str, expires_ms: i64) -> Result<bool> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let missing: i64 = transaction.query_row(
            "select count(*) from session_files where session_id = ?1 and file_id not in (select id from files)",
            [id],
            |row| row.get(0),
        )?;
        if missing > 0 {
            return Ok(false);
        }
        transaction.execute("update sessions set expires_ms = ?1 where id = ?2", params![expires_ms, id])?;
        transaction.commit()?;
        Ok(true)
    }
}
