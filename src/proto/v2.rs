//! The dialect of versions 2 and 3: one path, an action and a target in the query, JSON in the body.
//!
//! Tables are always named with their schema, and changes in the spelling of the C++ client, which the others' are part of.

use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::SessionAnswer;
use super::call::{Compression, Incremental, Moment, Preview, ReadRows, ReadSession, Rows};
use super::nested_schema::NestedSchema;
use super::{Method, Request, Source, TableName, Version};
use crate::error::{Error, Kind, Result};

fn action(version: Version, name: &str, target: &str) -> Request {
    let path = if version == Version::V3 { "v3" } else { "v2" };
    Request::new(Method::Post, ["api", "storage", path])
        .query("Action", name)
        .query("Target", target)
        .header("content-type", "application/json; charset=utf-8")
}

fn with_body(request: Request, body: &Value) -> Request {
    request.with_body(body.to_string().into_bytes())
}

/// Creates a read session.
pub(super) fn create_session(version: Version, source: &Source, wanted: &ReadSession) -> Result<Request> {
    if let Source::Instance { .. } = source {
        let create = action(version, "InstanceCreateReadSession", &source.target());
        return Ok(with_body(create, &json!({"EnableLimit": false})));
    }
    let mut body = json!({
        "RequiredDataColumns": wanted.data_columns,
        "RequiredPartitionColumns": wanted.partition_columns,
        "RequiredPartitions": wanted.partitions,
        "RequiredBucketIds": wanted.bucket_ids,
        "SplitOptions": {
            "SplitMode": wanted.split.mode.name(),
            "SplitUnit": "ByteSize",
            "SplitNumber": wanted.split.number,
            "CrossPartition": wanted.split.cross_partition,
        },
        "SplitMaxFileNum": wanted.max_files,
        "ArrowOptions": wanted.units,
        "FilterPredicate": wanted.filter,
        "FilterPredicateFallback": wanted.filter_fallback,
        "IncrementalRead": wanted.incremental.is_some(),
    });
    if let (Some(changes), Some(keys)) = (&wanted.incremental, body.as_object_mut()) {
        keys.insert("IncrementalReadOptions".to_owned(), incremental(changes));
    }
    Ok(with_body(action(version, "TableCreateReadSession", &source.target()), &body))
}

/// Bounds that are not set are -1.
fn incremental(changes: &Incremental) -> Value {
    let version = |moment: &Moment| match moment {
        Moment::Version(version) => json!(version),
        _ => json!(-1),
    };
    let time = |moment: &Moment| match moment {
        Moment::Time(text) => json!(text),
        _ => json!("-1"),
    };
    json!({
        "EnableIncrementalRead": true,
        "Mode": changes.mode,
        "StartVersion": version(&changes.start),
        "EndVersion": version(&changes.end),
        "StartTimeStamp": time(&changes.start),
        "EndTimeStamp": time(&changes.end),
    })
}

/// Asks for the state of a read session, and prolongs its life if wanted.
pub(super) fn get_session(version: Version, source: &Source, session_id: &str, refresh: bool) -> Request {
    let name = match source {
        Source::Table(_) => "TableGetReadSession",
        Source::Instance { .. } => "InstanceGetReadSession",
    };
    let get = action(version, name, &source.target()).query("SessionId", session_id).query("session_refresh", refresh);
    with_body(get, &json!({}))
}

/// Reads rows.
pub(super) fn read_rows(version: Version, source: &Source, session_id: &str, wanted: &ReadRows<'_>) -> Result<Request> {
    let form = wanted.form;
    let (name, mut body) = match source {
        Source::Table(_) => ("TableRead", json!({"SkipRowNum": wanted.skip, "DataColumns": form.columns})),
        Source::Instance { .. } => (
            "InstanceRead",
            json!({"TaskName": "AnonymousSQLTask", "QueryId": 0, "EnableLimit": false, "Columns": form.columns}),
        ),
    };
    if let Some(keys) = body.as_object_mut() {
        keys.insert("MaxBatchRows".to_owned(), json!(form.max_batch_rows));
        keys.insert("MaxBatchRawSize".to_owned(), json!(form.max_batch_bytes));
        keys.insert("DataFormat".to_owned(), json!({"Type": "Arrow", "Version": "V5"}));
    }
    let request = action(version, name, &source.target()).query("SessionId", session_id);
    let request = match wanted.rows {
        Rows::Split { index } => request.query("Index", index),
        Rows::Range { start, count } => request.query("Offset", start).query("Count", count),
    };
    let request = match form.compression {
        Some(Compression::Lz4) => request.header("accept-encoding", "x-lz4-frame"),
        Some(Compression::Zstd) => request.header("accept-encoding", "zstd"),
        None => request,
    };
    Ok(with_body(request, &body))
}

/// Asks for a few rows without a session.
pub(super) fn preview(version: Version, table: &TableName, wanted: &Preview) -> Result<Request> {
    let mut request = action(version, "TablePreview", &Source::Table(table.clone()).target());
    let mut body = serde_json::Map::new();
    if let Some(limit) = wanted.limit {
        request = request.query("Limit", limit);
        body.insert("Limit".to_owned(), json!(limit));
    }
    if !wanted.partition.is_empty() {
        // The keys of a partition are joined with commas here.
        let partition = wanted.partition.replace('/', ",");
        request = request.query("Partition", &partition);
        body.insert("Partition".to_owned(), json!(partition));
    }
    if !wanted.columns.is_empty() {
        body.insert("Columns".to_owned(), json!(wanted.columns));
    }
    Ok(with_body(request, &Value::Object(body)))
}

/// The answer about a session over the result of an instance.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InstanceAnswer {
    #[serde(rename = "DownloadID")]
    download_id: String,
    status: String,
    record_count: i64,
    #[serde(default)]
    table_schema: NestedSchema,
}

/// Reads it as any other answer about a session: it is addressed by rows, and has no end that is told.
pub(super) fn instance_answer(text: &[u8]) -> Result<SessionAnswer> {
    let answer: InstanceAnswer = serde_json::from_slice(text)
        .map_err(|error| Error::new(Kind::CorruptData, format!("the session answer cannot be read: {error}")))?;
    let status = match answer.status.to_ascii_lowercase().as_str() {
        "initiating" => "INIT".to_owned(),
        _ => answer.status,
    };
    Ok(SessionAnswer {
        buckets: Vec::new(),
        session_id: answer.download_id,
        session_status: status,
        expiration_time: Value::Null,
        splits_count: -1,
        record_count: answer.record_count,
        data_schema: Some(answer.table_schema.into_data_schema()),
        session_stats: None,
        message: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::answer::Planning;
    use crate::proto::call::{RowsForm, SplitMode, sample};

    fn table() -> Source {
        Source::Table(TableName { project: "p".into(), schema: "default".into(), table: "t".into() })
    }

    fn instance() -> Source {
        Source::Instance { project: "p".into(), id: "2026I".into() }
    }

    fn body(request: &Request) -> Value {
        serde_json::from_slice(&request.body).unwrap()
    }

    #[test]
    fn create_request_has_every_key_of_the_protocol() {
        let request = create_session(Version::V2, &table(), &sample(SplitMode::Size)).unwrap();
        assert_eq!(
            request.url("http://h"),
            "http://h/api/storage/v2?Action=TableCreateReadSession&Target=projects.p.schemas.default.tables.t"
        );
        assert_eq!(request.headers, [("content-type".to_owned(), "application/json; charset=utf-8".to_owned())]);
        let expected = json!({
            "RequiredDataColumns": ["a"], "RequiredPartitionColumns": [], "RequiredPartitions": ["pt=a"],
            "RequiredBucketIds": [], "SplitMaxFileNum": 0, "IncrementalRead": false,
            "SplitOptions": {"SplitMode": "Size", "SplitUnit": "ByteSize", "SplitNumber": 0, "CrossPartition": true},
            "ArrowOptions": {"TimestampUnit": "nano", "DatetimeUnit": "milli"},
            "FilterPredicate": "a > 1", "FilterPredicateFallback": false,
        });
        assert_eq!(body(&request), expected);
        let request = create_session(Version::V3, &instance(), &sample(SplitMode::Size)).unwrap();
        assert_eq!(
            request.url(""),
            "/api/storage/v3?Action=InstanceCreateReadSession&Target=projects.p.instances.2026I"
        );
        assert_eq!(body(&request), json!({"EnableLimit": false}));
    }

    #[test]
    fn changes_between_versions_or_times() {
        let of = |start, end| {
            let incremental = Incremental { mode: "cdc".into(), start, end };
            let wanted = ReadSession { incremental: Some(incremental), ..sample(SplitMode::Bucket) };
            let body = body(&create_session(Version::V2, &table(), &wanted).unwrap());
            assert_eq!(body["IncrementalRead"], true);
            body["IncrementalReadOptions"].clone()
        };
        assert_eq!(
            of(Moment::Version(3), Moment::Open),
            json!({"EnableIncrementalRead": true, "Mode": "cdc", "StartVersion": 3, "EndVersion": -1,
                   "StartTimeStamp": "-1", "EndTimeStamp": "-1"})
        );
        let times = of(Moment::Time("2024-01-01 00:00:00".into()), Moment::Version(9));
        assert_eq!((&times["StartTimeStamp"], &times["EndVersion"]), (&json!("2024-01-01 00:00:00"), &json!(9)));
    }

    #[test]
    fn rows_of_splits_ranges_and_results() {
        let mut form =
            RowsForm { max_batch_rows: 100, max_batch_bytes: 7, compression: None, columns: vec!["b".into()] };
        let read = |source: &Source, rows, skip, form: &RowsForm| {
            read_rows(Version::V2, source, "S1", &ReadRows { rows, skip, form }).unwrap()
        };
        let request = read(&table(), Rows::Split { index: 2 }, 5, &form);
        assert!(request.url("").ends_with("tables.t&SessionId=S1&Index=2"), "{}", request.url(""));
        assert_eq!(
            body(&request),
            json!({"SkipRowNum": 5, "DataColumns": ["b"], "MaxBatchRows": 100, "MaxBatchRawSize": 7,
                   "DataFormat": {"Type": "Arrow", "Version": "V5"}})
        );
        for (compression, name) in [(Compression::Lz4, "x-lz4-frame"), (Compression::Zstd, "zstd")] {
            form.compression = Some(compression);
            let request = read(&instance(), Rows::Range { start: 4, count: 6 }, 0, &form);
            assert!(
                request
                    .url("")
                    .ends_with("Action=InstanceRead&Target=projects.p.instances.2026I&SessionId=S1&Offset=4&Count=6")
            );
            assert!(request.headers.contains(&("accept-encoding".to_owned(), name.to_owned())));
            let body = body(&request);
            assert_eq!((&body["TaskName"], &body["Columns"]), (&json!("AnonymousSQLTask"), &json!(["b"])));
        }
    }

    #[test]
    fn previews_say_what_is_wanted_only() {
        let Source::Table(name) = table() else { panic!("a table") };
        assert_eq!(body(&preview(Version::V2, &name, &Preview::default()).unwrap()), json!({}));
        let wanted = Preview { limit: Some(3), partition: "a=1/b=2".into(), columns: vec!["x".into()] };
        let request = preview(Version::V3, &name, &wanted).unwrap();
        assert!(request.url("").ends_with("&Limit=3&Partition=a%3D1%2Cb%3D2"));
        assert_eq!(body(&request), json!({"Limit": 3, "Partition": "a=1,b=2", "Columns": ["x"]}));
    }

    #[test]
    fn results_of_instances_are_sessions() {
        let text = br#"{"DownloadID":"d1","RecordCount":5,"Status":"normal","QuotaName":"default","TableSchema":{"DataColumns":[
            {"comment":"","label":"","columnType":{"MemberName":"n","ColumnId":1,"Nullable":true,"Type":0}}],"SystemColumns":[]}}"#;
        let answer = instance_answer(text).unwrap();
        assert_eq!(
            (answer.session_id.as_str(), answer.planning().unwrap(), answer.record_count),
            ("d1", Planning::Done, 5)
        );
        assert_eq!(answer.data_schema.unwrap().data_columns[0].type_text, "bigint");
        let going = instance_answer(br#"{"DownloadID":"d1","RecordCount":-1,"Status":"initiating"}"#).unwrap();
        assert_eq!(going.planning().unwrap(), Planning::Going);
        assert_eq!(instance_answer(b"{}").unwrap_err().kind(), Kind::CorruptData);
    }
}
