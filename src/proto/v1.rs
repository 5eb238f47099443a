//! Storage API v1: read sessions and rows.

use serde::{Deserialize, Serialize};

use super::{Method, Request, TableName};
use crate::error::{Error, Kind, Result};

/// How a table is cut into splits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum SplitMode {
    /// By stored bytes.
    Size,
    /// Into a number of splits.
    Parallelism,
    /// Not at all: the reader addresses rows.
    RowOffset,
    /// One split per bucket.
    Bucket,
}

/// Body of the call that creates a read session.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateReadSession {
    /// Data columns to read, in this order.
    pub required_data_columns: Vec<String>,
    /// Partition columns to read, after the data columns.
    pub required_partition_columns: Vec<String>,
    /// Partitions to read; empty for all.
    pub required_partitions: Vec<String>,
    /// Buckets to read; empty for all.
    pub required_bucket_ids: Vec<u32>,
    /// How to cut.
    pub split_options: SplitOptions,
    /// Upper limit of files per split; 0 for none.
    pub split_max_file_num: u64,
    /// Units of time columns.
    pub arrow_options: ArrowOptions,
    /// Predicate; empty for none.
    pub filter_predicate: String,
    /// Whether a predicate that is not supported may be ignored.
    pub filter_predicate_fallback: bool,
    /// Whether to estimate rows and bytes.
    pub enable_estimate_stats: bool,
}

/// How to cut a table.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct SplitOptions {
    /// The way.
    pub split_mode: SplitMode,
    /// Bytes or splits, depending on the mode; ignored by the others.
    pub split_number: u64,
    /// Whether a split may hold rows of several partitions.
    pub cross_partition: bool,
}

/// Units of time columns: `second`, `milli`, `micro` or `nano`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ArrowOptions {
    /// TIMESTAMP and TIMESTAMP_NTZ.
    pub timestamp_unit: String,
    /// DATETIME.
    pub datetime_unit: String,
}

/// Which rows a data request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// A planned split.
    Split {
        /// Its index in the session.
        index: i64,
    },
    /// A range of rows of a `RowOffset` session.
    Range {
        /// First row, counted over the whole session.
        start: i64,
        /// Number of rows.
        count: i64,
    },
}

/// The form in which a data request wants its rows.
#[derive(Debug, Clone, Copy)]
pub struct RowsForm {
    /// Upper limit of rows per batch.
    pub max_batch_rows: u64,
    /// Upper limit of uncompressed bytes per batch; 0 for none.
    pub max_batch_bytes: u64,
    /// `ZSTD`, `LZ4_FRAME`, or nothing.
    pub compression: Option<&'static str>,
}

/// Columns of a session.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DataSchema {
    /// Columns stored in the table.
    pub data_columns: Vec<Column>,
    /// Columns added by the service.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub system_columns: Vec<Column>,
    /// Columns whose value is fixed per partition.
    pub partition_columns: Vec<Column>,
}

impl DataSchema {
    /// The columns in the order of the stream.
    pub fn columns(&self) -> impl Iterator<Item = &Column> {
        self.data_columns.iter().chain(&self.system_columns).chain(&self.partition_columns)
    }
}

/// A column of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Column {
    /// Name.
    pub name: String,
    /// MaxCompute type as text, for example `decimal(38,18)`.
    #[serde(rename = "Type")]
    pub type_text: String,
    /// Whether values may be NULL.
    #[serde(default = "yes")]
    pub nullable: bool,
}

fn yes() -> bool {
    true
}

/// Answer to the creation of a session and to questions about it. Keys that are absent stay at their defaults.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SessionAnswer {
    /// Id of the session.
    pub session_id: String,
    /// Where the session is in its life.
    pub session_status: String,
    /// End of its life, epoch time as number, or text in old services.
    #[serde(default)]
    expiration_time: serde_json::Value,
    /// Number of splits, negative in mode `RowOffset`.
    #[serde(default = "none")]
    pub splits_count: i64,
    /// Number of rows, negative outside mode `RowOffset`.
    #[serde(default = "none")]
    pub record_count: i64,
    /// Columns; present once the session is planned.
    #[serde(default)]
    pub data_schema: Option<DataSchema>,
    /// Estimates, if they were asked for.
    #[serde(default)]
    pub session_stats: Option<SessionStats>,
    /// Why planning failed.
    #[serde(default)]
    pub message: Option<String>,
}

fn none() -> i64 {
    -1
}

/// Estimates of a plan.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SessionStats {
    /// Bytes.
    pub estimated_size: i64,
    /// Rows.
    pub estimated_row_count: i64,
}

/// What an answer says about the plan.
#[derive(Debug, PartialEq, Eq)]
pub enum Planning {
    /// Not ready yet.
    Going,
    /// Ready.
    Done,
}

impl SessionAnswer {
    /// Reads the JSON text of an answer.
    pub fn parse(text: &[u8]) -> Result<Self> {
        serde_json::from_slice(text)
            .map_err(|error| Error::new(Kind::CorruptData, format!("the session answer cannot be read: {error}")))
    }

    /// Whether planning is done; a failed or ended session is an error.
    pub fn planning(&self) -> Result<Planning> {
        let message = self.message.as_deref().unwrap_or("no reason given");
        match self.session_status.to_ascii_uppercase().as_str() {
            "INIT" => Ok(Planning::Going),
            "NORMAL" => Ok(Planning::Done),
            "EXPIRED" => Err(Error::new(Kind::SessionExpired, format!("session {} has expired", self.session_id))),
            "CRITICAL" => {
                Err(Error::new(Kind::InvalidArgument, format!("the service could not plan the session: {message}")))
            }
            other => Err(Error::new(Kind::CorruptData, format!("the session has the unknown state {other}"))),
        }
    }

    /// End of the session's life in epoch milliseconds; small numbers are taken for seconds.
    pub fn expires_at_ms(&self) -> Option<i64> {
        let number = self.expiration_time.as_i64().filter(|number| *number > 0)?;
        Some(if number < 100_000_000_000 { number * 1000 } else { number })
    }
}

fn table(method: Method, table: &TableName, rest: &[&str]) -> Request {
    let path = ["api", "storage", "v1", "projects", &table.project, "schemas", &table.schema, "tables", &table.table];
    Request::new(method, path.iter().chain(rest).copied())
}

/// Creates a read session.
pub fn create_session(name: &TableName, body: &CreateReadSession) -> Result<Request> {
    let body = serde_json::to_vec(body)
        .map_err(|error| Error::new(Kind::Internal, format!("the session request cannot be written: {error}")))?;
    Ok(table(Method::Post, name, &["sessions"]).query("session_type", "batch_read").json(body))
}

/// Asks for the state of a read session.
pub fn get_session(name: &TableName, session_id: &str) -> Request {
    table(Method::Get, name, &["sessions", session_id]).query("session_type", "batch_read")
}

/// Asks for a session, and prolongs its life.
pub fn refresh_session(name: &TableName, session_id: &str) -> Request {
    get_session(name, session_id).query("session_refresh", "true")
}

/// Reads rows; the answer is an Arrow IPC stream.
pub fn read_rows(name: &TableName, session_id: &str, rows: Rows, form: &RowsForm) -> Request {
    let mut request = table(Method::Get, name, &["data"]).query("session_id", session_id);
    request = match rows {
        Rows::Split { index } => request.query("split_index", index),
        Rows::Range { start, count } => request.query("row_index", start).query("row_count", count),
    };
    request = request.query("max_batch_rows", form.max_batch_rows);
    if form.max_batch_bytes > 0 {
        request = request.query("max_batch_raw_size", form.max_batch_bytes);
    }
    request = request.query("data_format_type", "ARROW").query("data_format_version", "V5");
    match form.compression {
        Some(name) => request.header("accept-encoding", name),
        None => request,
    }
}

/// Asks the service endpoint for the host that serves the Storage API.
pub fn discover(project: &str) -> Request {
    Request::new(Method::Get, ["projects", project, "tunnel"]).query("service", "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> TableName {
        TableName { project: "p".into(), schema: "default".into(), table: "t".into() }
    }

    fn answer(text: &str) -> SessionAnswer {
        SessionAnswer::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn create_request_has_every_key_of_the_protocol() {
        let body = CreateReadSession {
            required_data_columns: vec!["a".into()],
            required_partition_columns: vec![],
            required_partitions: vec!["pt=a".into()],
            required_bucket_ids: vec![],
            split_options: SplitOptions { split_mode: SplitMode::RowOffset, split_number: 0, cross_partition: true },
            split_max_file_num: 0,
            arrow_options: ArrowOptions { timestamp_unit: "nano".into(), datetime_unit: "milli".into() },
            filter_predicate: "a > 1".into(),
            filter_predicate_fallback: false,
            enable_estimate_stats: true,
        };
        let request = create_session(&name(), &body).unwrap();
        assert_eq!(
            request.url("http://h"),
            "http://h/api/storage/v1/projects/p/schemas/default/tables/t/sessions?session_type=batch_read"
        );
        let json: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
        let expected = serde_json::json!({
            "RequiredDataColumns": ["a"], "RequiredPartitionColumns": [], "RequiredPartitions": ["pt=a"],
            "RequiredBucketIds": [], "SplitOptions": {"SplitMode": "RowOffset", "SplitNumber": 0, "CrossPartition": true},
            "SplitMaxFileNum": 0, "ArrowOptions": {"TimestampUnit": "nano", "DatetimeUnit": "milli"},
            "FilterPredicate": "a > 1", "FilterPredicateFallback": false, "EnableEstimateStats": true,
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn data_requests_send_only_their_own_selector() {
        let form = RowsForm { max_batch_rows: 4096, max_batch_bytes: 0, compression: None };
        let request = read_rows(&name(), "S1", Rows::Split { index: 2 }, &form);
        assert_eq!(
            request.url(""),
            "/api/storage/v1/projects/p/schemas/default/tables/t/data?session_id=S1&split_index=2&max_batch_rows=4096\
             &data_format_type=ARROW&data_format_version=V5"
        );
        assert!(request.headers.is_empty());
        let form = RowsForm { compression: Some("ZSTD"), ..form };
        let request = read_rows(&name(), "S1", Rows::Range { start: 5, count: 7 }, &form);
        assert!(request.url("").contains("row_index=5&row_count=7&max"));
        assert!(!request.url("").contains("split_index"));
        assert_eq!(request.headers, [("accept-encoding".to_owned(), "ZSTD".to_owned())]);
    }

    #[test]
    fn answers_of_both_lengths() {
        let going =
            answer(r#"{"SessionId":"S","SessionStatus":"init","ExpirationTime":1795425619000,"SplitMode":"Size"}"#);
        assert_eq!(going.planning().unwrap(), Planning::Going);
        assert_eq!(going.splits_count, -1);
        let done = answer(
            r#"{"SessionId":"S","SessionType":"batch_read","SessionStatus":"NORMAL","ExpirationTime":1795425619,
                "SplitsCount":3,"RecordCount":-1,"Unknown":{},"SessionStats":{"EstimatedSize":7,"EstimatedRowCount":8},
                "DataSchema":{"DataColumns":[{"Name":"id","Type":"bigint"},{"Name":"x","Type":"string","Nullable":false,"Comment":""}],
                              "PartitionColumns":[{"Name":"pt","Type":"string","Nullable":true}]}}"#,
        );
        assert_eq!(done.planning().unwrap(), Planning::Done);
        assert_eq!(done.expires_at_ms(), Some(1_795_425_619_000));
        let schema = done.data_schema.unwrap();
        let columns: Vec<(&str, bool)> =
            schema.columns().map(|column| (column.name.as_str(), column.nullable)).collect();
        assert_eq!(columns, [("id", true), ("x", false), ("pt", true)]);
    }

    #[test]
    fn failed_sessions_are_errors() {
        for (status, kind) in
            [("CRITICAL", Kind::InvalidArgument), ("EXPIRED", Kind::SessionExpired), ("ODD", Kind::CorruptData)]
        {
            let answer = answer(&format!(r#"{{"SessionId":"S","SessionStatus":"{status}","Message":"why"}}"#));
            assert_eq!(answer.planning().unwrap_err().kind(), kind);
        }
        assert_eq!(SessionAnswer::parse(b"<html>").unwrap_err().kind(), Kind::CorruptData);
    }
}
