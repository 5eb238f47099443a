//! What was read and written: totals per month, and the last requests.

use anyhow::Result;
use rusqlite::{TransactionBehavior, params};

use super::Catalog;

/// Requests that are remembered one by one.
const REMEMBERED: i64 = 10_000;

/// Totals of one month, quota, table and operation.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct UsageRow {
    /// `2026-11`.
    pub month: String,
    pub quota: String,
    pub project: String,
    pub schema: String,
    /// Empty if the operation was not about a table.
    pub table: String,
    pub operation: String,
    /// Requests that ended.
    pub requests: u64,
    pub rows: u64,
    /// What metering counts.
    pub logical_bytes: u64,
    /// What went over the wire.
    pub wire_bytes: u64,
}

/// A request that ended.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct RequestRow {
    pub request_id: String,
    pub started_ms: i64,
    pub ended_ms: i64,
    pub principal: String,
    pub quota: String,
    pub project: String,
    pub schema: String,
    pub table: String,
    pub operation: String,
    pub rows: u64,
    pub logical_bytes: u64,
    pub wire_bytes: u64,
}

pub(super) const SCHEMA: &str = "
create table usage(
  month text not null, quota text not null, project text not null, schema text not null, table_name text not null,
  operation text not null, requests integer not null, row_count integer not null, logical_bytes integer not null,
  wire_bytes integer not null, primary key(month, quota, project, schema, table_name, operation)) strict;
create table requests(
  number integer primary key autoincrement, request_id text not null, started_ms integer not null,
  ended_ms integer not null, principal text not null, quota text not null, project text not null,
  schema text not null, table_name text not null, operation text not null, row_count integer not null,
  logical_bytes integer not null, wire_bytes integer not null) strict;
create table session_quotas(session_id text primary key, quota text not null, seen_ms integer not null) strict;
";

impl Catalog {
    /// Adds to the totals and remembers requests that ended, in one transaction.
    pub fn record_usage(&self, totals: &[UsageRow], requests: &[RequestRow]) -> Result<()> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut add = transaction.prepare_cached(
                "insert into usage(month, quota, project, schema, table_name, operation, requests, row_count,
                 logical_bytes, wire_bytes) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
                 on conflict do update set requests = requests + ?7, row_count = row_count + ?8,
                 logical_bytes = logical_bytes + ?9, wire_bytes = wire_bytes + ?10",
            )?;
            for row in totals {
                let counts = [row.requests, row.rows, row.logical_bytes, row.wire_bytes].map(|count| count as i64);
                let [requests, rows, logical, wire] = counts;
                add.execute(params![
                    row.month,
                    row.quota,
                    row.project,
                    row.schema,
                    row.table,
                    row.operation,
                    requests,
                    rows,
                    logical,
                    wire
                ])?;
            }
            let mut remember = transaction.prepare_cached(
                "insert into requests(request_id, started_ms, ended_ms, principal, quota, project, schema, table_name,
                 operation, row_count, logical_bytes, wire_bytes)
                 values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            )?;
            for row in requests {
                let [rows, logical, wire] = [row.rows, row.logical_bytes, row.wire_bytes].map(|count| count as i64);
                remember.execute(params![
                    row.request_id,
                    row.started_ms,
                    row.ended_ms,
                    row.principal,
                    row.quota,
                    row.project,
                    row.schema,
                    row.table,
                    row.operation,
                    rows,
                    logical,
                    wire
                ])?;
            }
            let last = transaction.last_insert_rowid();
            if !requests.is_empty() {
                transaction.execute("delete from requests where number <= ?1", [last - REMEMBERED])?;
            }
        }
        Ok(transaction.commit()?)
    }

    /// The totals of a month, or of all months; most logical bytes first.
    pub fn usage(&self, month: Option<&str>) -> Result<Vec<UsageRow>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "select month, quota, project, schema, table_name, operation, requests, row_count, logical_bytes, wire_bytes
             from usage where ?1 is null or month = ?1
             order by month desc, logical_bytes desc, quota, project, schema, table_name, operation",
        )?;
        let rows = statement.query_map([month], |row| {
            let count = |index| row.get::<_, i64>(index).map(|count| count.max(0) as u64);
            Ok(UsageRow {
                month: row.get(0)?,
                quota: row.get(1)?,
                project: row.get(2)?,
                schema: row.get(3)?,
                table: row.get(4)?,
                operation: row.get(5)?,
                requests: count(6)?,
                rows: count(7)?,
                logical_bytes: count(8)?,
                wire_bytes: count(9)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Logical bytes of a quota in a month.
    pub fn month_total(&self, month: &str, quota: &str) -> Result<u64> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "select coalesce(sum(logical_bytes), 0) from usage where month = ?1 and quota = ?2 collate nocase",
        )?;
        Ok(statement.query_row([month, quota], |row| row.get::<_, i64>(0))?.max(0) as u64)
    }

    /// The requests that ended last, the newest first.
    pub fn recent_requests(&self, limit: usize) -> Result<Vec<RequestRow>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "select request_id, started_ms, ended_ms, principal, quota, project, schema, table_name, operation,
             row_count, logical_bytes, wire_bytes from requests order by number desc limit ?1",
        )?;
        let rows = statement.query_map([limit as i64], |row| {
            let count = |index| row.get::<_, i64>(index).map(|count| count.max(0) as u64);
            Ok(RequestRow {
                request_id: row.get(0)?,
                started_ms: row.get(1)?,
                ended_ms: row.get(2)?,
                principal: row.get(3)?,
                quota: row.get(4)?,
                project: row.get(5)?,
                schema: row.get(6)?,
                table: row.get(7)?,
                operation: row.get(8)?,
                rows: count(9)?,
                logical_bytes: count(10)?,
                wire_bytes: count(11)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Remembers the quota that a session was created with.
    pub fn set_session_quota(&self, session_id: &str, quota: &str, now_ms: i64) -> Result<()> {
        let sql = "insert or replace into session_quotas(session_id, quota, seen_ms) values (?1, ?2, ?3)";
        self.lock().prepare_cached(sql)?.execute(params![session_id, quota, now_ms])?;
        Ok(())
    }

    /// The quota that a session was created with, if one was named.
    pub fn session_quota(&self, session_id: &str) -> Result<Option<String>> {
        use rusqlite::OptionalExtension;
        let connection = self.lock();
        let mut statement = connection.prepare_cached("select quota from session_quotas where session_id = ?1")?;
        Ok(statement.query_row([session_id], |row| row.get(0)).optional()?)
    }

    /// Forgets quotas of sessions that were created before `before_ms`.
    pub fn drop_session_quotas(&self, before_ms: i64) -> Result<usize> {
        Ok(self.lock().execute("delete from session_quotas where seen_ms < ?1", [before_ms])?)
    }
}
