//! The dialect of version 1: paths for tables and sessions, `GET` for everything but the creation of a session.

use serde_json::json;

use super::call::{Compression, ReadRows, ReadSession, Rows};
use super::{Method, Request, TableName};
use crate::error::{Error, Kind, Result};

fn table(method: Method, table: &TableName, rest: &[&str]) -> Request {
    let path = ["api", "storage", "v1", "projects", &table.project, "schemas", &table.schema, "tables", &table.table];
    Request::new(method, path.iter().chain(rest).copied())
}

/// Creates a read session.
pub(super) fn create_session(name: &TableName, wanted: &ReadSession) -> Result<Request> {
    if wanted.incremental.is_some() {
        return Err(Error::new(Kind::Unsupported, "version 1 of the Storage API has no incremental reads"));
    }
    let body = json!({
        "RequiredDataColumns": wanted.data_columns,
        "RequiredPartitionColumns": wanted.partition_columns,
        "RequiredPartitions": wanted.partitions,
        "RequiredBucketIds": wanted.bucket_ids,
        "SplitOptions": {
            "SplitMode": wanted.split.mode.name(),
            "SplitNumber": wanted.split.number,
            "CrossPartition": wanted.split.cross_partition,
        },
        "SplitMaxFileNum": wanted.max_files,
        "ArrowOptions": wanted.units,
        "FilterPredicate": wanted.filter,
        "FilterPredicateFallback": wanted.filter_fallback,
        "EnableEstimateStats": wanted.estimate,
    });
    let create = table(Method::Post, name, &["sessions"]).query("session_type", "batch_read");
    Ok(create.json(body.to_string().into_bytes()))
}

/// Asks for the state of a read session.
pub(super) fn get_session(name: &TableName, session_id: &str) -> Request {
    table(Method::Get, name, &["sessions", session_id]).query("session_type", "batch_read")
}

/// Asks for a session, and prolongs its life.
pub(super) fn refresh_session(name: &TableName, session_id: &str) -> Request {
    get_session(name, session_id).query("session_refresh", "true")
}

/// Reads rows.
pub(super) fn read_rows(name: &TableName, session_id: &str, wanted: &ReadRows<'_>) -> Request {
    let mut request = table(Method::Get, name, &["data"]).query("session_id", session_id);
    request = match wanted.rows {
        Rows::Split { index } => request.query("split_index", index),
        Rows::Range { start, count } => request.query("row_index", start).query("row_count", count),
    };
    request = request.query("max_batch_rows", wanted.form.max_batch_rows);
    if wanted.form.max_batch_bytes > 0 {
        request = request.query("max_batch_raw_size", wanted.form.max_batch_bytes);
    }
    request = request.query("data_format_type", "ARROW").query("data_format_version", "V5");
    match wanted.form.compression {
        Some(Compression::Lz4) => request.header("accept-encoding", "LZ4_FRAME"),
        Some(Compression::Zstd) => request.header("accept-encoding", "ZSTD"),
        None => request,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::call::{Incremental, Moment, RowsForm, SplitMode, sample};

    fn name() -> TableName {
        TableName { project: "p".into(), schema: "default".into(), table: "t".into() }
    }

    #[test]
    fn create_request_has_every_key_of_the_protocol() {
        let request = create_session(&name(), &sample(SplitMode::RowOffset)).unwrap();
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
    fn changes_are_refused() {
        let incremental = Incremental { mode: "append".into(), start: Moment::Open, end: Moment::Open };
        let wanted = ReadSession { incremental: Some(incremental), ..sample(SplitMode::Bucket) };
        assert_eq!(create_session(&name(), &wanted).unwrap_err().kind(), Kind::Unsupported);
    }

    #[test]
    fn data_requests_send_only_their_own_selector() {
        let form = RowsForm { max_batch_rows: 4096, max_batch_bytes: 0, compression: None, columns: vec![] };
        let read = |rows, form: &RowsForm| read_rows(&name(), "S1", &ReadRows { rows, skip: 0, form });
        let request = read(Rows::Split { index: 2 }, &form);
        assert_eq!(
            request.url(""),
            "/api/storage/v1/projects/p/schemas/default/tables/t/data?session_id=S1&split_index=2&max_batch_rows=4096\
             &data_format_type=ARROW&data_format_version=V5"
        );
        assert!(request.headers.is_empty());
        let form = RowsForm { compression: Some(Compression::Zstd), ..form };
        let request = read(Rows::Range { start: 5, count: 7 }, &form);
        assert!(request.url("").contains("row_index=5&row_count=7&max"));
        assert!(!request.url("").contains("split_index"));
        assert_eq!(request.headers, [("accept-encoding".to_owned(), "ZSTD".to_owned())]);
    }
}
