//! Writing through versions 2 and 3 over the wire: sessions, streams, exactly once, blocks, blobs.

mod common;

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, Int8Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use arrow::ipc::CompressionType;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use common::upload::stream;
use common::v2::{Api, target};
use common::{Answer, Root, Server, numbers};
use serde_json::{Value, json};

const TOKEN: &str = "x-odps-max-storage-write-access-token";

/// Empty tables: `t` (id bigint not null, name string), `p`, which has these columns and is partitioned by `ds`, and
/// `b` (id bigint, picture blob, album array<blob>).
fn root() -> Root {
    let root = Root::new();
    let empty = root.parquet("empty.parquet", &numbers(0, 0));
    root.load("local.default.t", &empty, &[]);
    root.load("local.default.p", &empty, &["--partition", "ds=0"]);
    let typed = |name: &str, ty: DataType, of: &str| {
        Field::new(name, ty, true)
            .with_metadata(std::collections::HashMap::from([("maxcompute.type".to_string(), of.to_string())]))
    };
    let list = DataType::new_list(DataType::Binary, true);
    let fields = vec![
        Field::new("id", DataType::Int64, true),
        typed("picture", DataType::Binary, "blob"),
        typed("album", list, "array<blob>"),
    ];
    let blobs = RecordBatch::new_empty(Arc::new(Schema::new(fields)));
    root.load("local.default.b", &root.parquet("blobs.parquet", &blobs), &[]);
    root
}

fn serve(root: &Root, more: &[&str]) -> Server {
    root.serve(&[&["--no-auth"], more].concat())
}

/// Changes the catalogue, as DDL would.
fn alter(root: &Root, sql: &str) {
    rusqlite::Connection::open(root.path().join("catalog.sqlite")).unwrap().execute_batch(sql).unwrap();
}

fn ids(api: &Api<'_>, table: &str) -> Vec<i64> {
    let mut ids = api.rows(table).column(0).as_primitive::<Int64Type>().values().to_vec();
    ids.sort_unstable();
    ids
}

fn range(start: i64, end: i64) -> Vec<i64> {
    (start..end).collect()
}

fn at(session: &str, stream: &str, version: i64) -> String {
    format!("&SessionId={session}&StreamId={stream}&StreamVersion={version}&Count=7")
}

fn open(api: &Api<'_>, table: &str, session: &str, stream: &str, version: i64) -> Value {
    let body = json!({"StreamId": stream, "StreamVersion": version});
    api.call("TableCreateWriteStream", table, &format!("&SessionId={session}"), body)
}

fn commit(api: &Api<'_>, table: &str, session: &str, body: Value) -> Answer {
    let query = format!("&SessionId={session}");
    api.send("TableCommitWriteSession", &target(table), &query, body.to_string().as_bytes(), &[])
}

fn refusal(answer: Answer) -> (u16, String) {
    answer.error()
}

#[test]
fn a_commit_takes_the_newest_versions_of_its_streams() {
    let root = root();
    let server = serve(&root, &[]);
    let api = Api { server: &server, version: 3 };
    let session = api.writing("t", "&WriteMode=Batch", json!({}));
    let created = open(&api, "t", &session, "a", 1);
    assert_eq!(created["TableSchema"]["DataColumns"][1]["columnType"]["MemberName"], "name");
    let echo = format!("&TableId={}&SchemaVersion={}", created["TableId"].as_str().unwrap(), created["SchemaVersion"]);
    api.write("t", &format!("{}{echo}", at(&session, "a", 1)), &numbers(0, 10));
    open(&api, "t", &session, "a", 2);
    let late = api.try_write("t", &at(&session, "a", 1), &numbers(0, 1), &[]);
    assert_eq!(refusal(late), (409, "InvalidStateSetting".into()));
    let zipped = stream(&[numbers(20, 5), numbers(25, 5)], Some(CompressionType::ZSTD));
    let answer = api.send("TableWrite", &target("t"), &at(&session, "a", 2), &zipped, &[]);
    assert_eq!(answer.status, 200, "{}", answer.text());
    open(&api, "t", &session, "b", 0);
    api.write("t", &at(&session, "b", 0), &numbers(30, 5));
    open(&api, "t", &session, "empty", 0);
    let close = json!({"SessionId": session, "StreamId": "b", "StreamVersion": 0});
    for _ in 0..2 {
        assert_eq!(api.call("TableCloseWriteStream", "t", &format!("&SessionId={session}"), close.clone()), json!({}));
    }
    assert_eq!(refusal(api.try_write("t", &at(&session, "b", 0), &numbers(0, 1), &[])).0, 409, "it is closed");
    let got = api.call("TableGetWriteSession", "t", &format!("&SessionId={session}"), json!({}));
    assert_eq!(got["Streams"]["a"], json!({"StreamId": "a", "StreamVersion": 2, "Status": "OPEN", "RecordCount": 10}));
    assert_eq!(got["Streams"]["b"]["Status"], "CLOSED");
    assert!(ids(&api, "t").is_empty());
    for body in [json!({"StreamIds": ["x"], "StreamVersions": [1]}), json!({"StreamIds": ["a"], "StreamVersions": [1]})]
    {
        assert_eq!(refusal(commit(&api, "t", &session, body)), (409, "InvalidStateSetting".into()));
    }
    assert_eq!(commit(&api, "t", &session, json!({"StreamIds": ["a"], "StreamVersions": []})).status, 400);
    for _ in 0..2 {
        assert_eq!(commit(&api, "t", &session, json!({})).json(), json!({}), "also if it is repeated");
    }
    assert_eq!(ids(&api, "t"), [range(20, 30), range(30, 35)].concat());
    assert_eq!(refusal(api.try_write("t", &at(&session, "a", 2), &numbers(0, 1), &[])).0, 409);
    let abort = api.refused("TableAbortWriteSession", "t", &format!("&SessionId={session}"), json!({}));
    assert_eq!(abort, (409, "InvalidStateSetting".into()));
    // Chosen streams, overwriting; then a session that is given up.
    let session = api.writing("t", "", json!({"Flags": {"overwrite": "true"}}));
    for (name, first) in [("a", 100), ("b", 200)] {
        open(&api, "t", &session, name, 0);
        api.write("t", &at(&session, name, 0), &numbers(first, 2));
    }
    assert_eq!(commit(&api, "t", &session, json!({"StreamIds": ["b"], "StreamVersions": [0]})).status, 200);
    assert_eq!(ids(&api, "t"), range(200, 202));
    let session = api.writing("t", "", json!({"Flags": {"overwrite": true}}));
    open(&api, "t", &session, "a", 0);
    api.write("t", &at(&session, "a", 0), &numbers(0, 2));
    for _ in 0..2 {
        assert_eq!(api.call("TableAbortWriteSession", "t", &format!("&SessionId={session}"), json!({})), json!({}));
    }
    assert_eq!(commit(&api, "t", &session, json!({})).error().0, 409);
    assert_eq!(ids(&api, "t"), range(200, 202));
}

#[test]
fn rows_find_their_partition() {
    let root = root();
    let server = serve(&root, &[]);
    let api = Api { server: &server, version: 2 };
    let session = api.writing("p", "", json!({"PartialPartitionSpec": "ds=x"}));
    let names = |created: Value| -> Vec<Value> {
        let columns = created["TableSchema"]["DataColumns"].as_array().unwrap().clone();
        columns.iter().map(|column| column["columnType"]["MemberName"].clone()).collect()
    };
    assert_eq!(names(open(&api, "p", &session, "a", 1)), ["id", "name"]);
    api.write("p", &at(&session, "a", 1), &numbers(0, 3));
    assert_eq!(commit(&api, "p", &session, json!({})).status, 200);
    let session = api.writing("p", "", json!({}));
    assert_eq!(names(open(&api, "p", &session, "a", 1)), ["id", "name", "ds"]);
    let rows = |values: Vec<Option<&str>>| {
        let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(10..10 + values.len() as i64));
        let ds: ArrayRef = Arc::new(StringArray::from(values));
        RecordBatch::try_from_iter([("ID", ids), ("ds", ds)]).unwrap()
    };
    api.write("p", &at(&session, "a", 1), &rows(vec![Some("x"), Some("y")]));
    let bad = api.try_write("p", &at(&session, "a", 1), &rows(vec![None]), &[]);
    assert_eq!(refusal(bad), (400, "InvalidArgument".into()));
    assert_eq!(refusal(api.try_write("p", &at(&session, "a", 1), &numbers(0, 1), &[])).0, 400, "ds is missing");
    assert_eq!(commit(&api, "p", &session, json!({})).status, 200);
    let all = api.rows("p");
    let mut found: Vec<(i64, String)> = (0..all.num_rows())
        .map(|row| {
            (all.column(0).as_primitive::<Int64Type>().value(row), all.column(2).as_string::<i32>().value(row).into())
        })
        .collect();
    found.sort();
    let want = [(0, "x"), (1, "x"), (2, "x"), (10, "x"), (11, "y")].map(|(id, ds)| (id, ds.to_string()));
    assert_eq!(found, want);
    assert_eq!(api.refused("TableCreateWriteSession", "p", "", json!({"PartialPartitionSpec": "zz=1"})).0, 400);
}

#[test]
fn first_streams_of_a_range_clustered_table_share_their_ranges() {
    let root = root();
    let clustering = json!({
        "kind": "range", "columns": ["id"], "sort": [{"column": "id", "ascending": true}], "buckets": 4
    });
    alter(&root, &format!("update tables set properties = '{}'", json!({"clustering": clustering})));
    let server = serve(&root, &[]);
    let api = Api { server: &server, version: 3 };
    const STREAMS: i64 = 12;
    for number in 0..STREAMS {
        open(&api, "t", "default", &format!("s{number}"), 1);
    }
    let start = std::sync::Barrier::new(STREAMS as usize);
    std::thread::scope(|scope| {
        for number in 0..STREAMS {
            let (api, start) = (&api, &start);
            scope.spawn(move || {
                start.wait();
                // Each has keys of its own and would choose other ranges.
                let rows = numbers(number * 100, 100);
                api.write("t", &at("default", &format!("s{number}"), 1), &rows);
            });
        }
    });
    assert_eq!(ids(&api, "t"), range(0, STREAMS * 100), "every row is there once");
    let mut buckets: Vec<(i64, i64)> = Vec::new();
    for bucket in server.read("t", r#"{"SplitOptions":{"SplitMode":"Bucket"}}"#) {
        let ids = bucket.column(0).as_primitive::<Int64Type>().values();
        buckets.extend(ids.iter().min().copied().zip(ids.iter().max().copied()));
    }
    buckets.sort_unstable();
    assert!(buckets.len() > 1 && buckets.windows(2).all(|pair| pair[0].1 < pair[1].0), "{buckets:?}");
}

#[test]
fn streamed_rows_are_visible_at_once_and_survive_a_kill() {
    let root = root();
    let server = serve(&root, &[]);
    let api = Api { server: &server, version: 3 };
    let mode = "&WriteMode=Streaming";
    let least = |api: &Api<'_>| -> i64 {
        let got = api.call("TableGetWriteSession", "t", &format!("&SessionId=default{mode}"), json!({}));
        got["MinUncommittedStagingId"].as_str().unwrap().parse().unwrap()
    };
    let before = least(&api);
    for round in 0..3 {
        open(&api, "t", "default", "default", 1);
        let answer = api.write("t", &format!("{}{mode}", at("default", "default", 1)), &numbers(round * 10, 10));
        let staging: i64 = answer["StagingId"].as_str().unwrap().parse().unwrap();
        assert!(staging >= before && staging < least(&api));
        assert_eq!(ids(&api, "t"), range(0, round * 10 + 10));
    }
    let schema = api.call("TableGetWriteSchema", "t", "&SessionId=default", json!({}));
    assert_eq!(schema["TableSchema"]["DataColumns"][0]["columnType"]["ColumnId"], 1);
    // A session of its own, for a static partition.
    let session = api.writing("p", "&WriteMode=Streaming", json!({"PartialPartitionSpec": "ds=s"}));
    open(&api, "p", &session, "w", 1);
    api.write("p", &at(&session, "w", 1), &numbers(0, 4));
    assert_eq!(ids(&api, "p"), range(0, 4));
    let overwrite = json!({"Flags": {"overwrite": "true"}});
    assert_eq!(api.refused("TableCreateWriteSession", "p", mode, overwrite).0, 400);
    drop(server);
    let server = serve(&root, &[]);
    let api = Api { server: &server, version: 2 };
    assert_eq!((ids(&api, "t"), ids(&api, "p")), (range(0, 30), range(0, 4)));
    api.write("t", &at("default", "default", 1), &numbers(30, 1));
    assert_eq!(ids(&api, "t"), range(0, 31), "the stream is still known");
}

#[test]
fn each_row_is_stored_exactly_once() {
    let root = root();
    for (session, table) in [("default", "t"), ("", "t")] {
        let server = serve(&root, &[]);
        let api = Api { server: &server, version: 3 };
        let count = ids(&api, table).len() as i64;
        let session = if session.is_empty() { api.writing(table, "", json!({})) } else { session.to_string() };
        let body = json!({"StreamId": "s", "StreamVersion": 1, "ExactlyOnceMode": true});
        let created = api.call("TableCreateWriteStream", table, &format!("&SessionId={session}"), body.clone());
        let token = created["AccessToken"].as_str().unwrap().to_string();
        let write = |api: &Api<'_>, token: &str, offset: i64, rows: i64| {
            let query = format!("{}&RowOffset={offset}", at(&session, "s", 1));
            api.try_write(table, &query, &numbers(count + offset, rows), &[(TOKEN, token)])
        };
        let next = |answer: Answer| answer.json()["ExactlyOnceRowOffset"].as_i64();
        assert_eq!(next(write(&api, &token, 0, 5)), Some(5));
        assert_eq!(next(write(&api, &token, 0, 5)), Some(5), "a repeated request stores nothing");
        assert_eq!(next(write(&api, &token, 2, 3)), Some(5), "nor does a part of it");
        assert_eq!(write(&api, &token, 3, 5).error(), (409, "InvalidStateSetting".into()));
        assert_eq!(write(&api, &token, 6, 5).error(), (409, "InvalidStateSetting".into()));
        assert_eq!(write(&api, "other", 5, 5).error(), (403, "NoPermission".into()));
        assert_eq!(api.try_write(table, &at(&session, "s", 1), &numbers(0, 1), &[]).error().0, 403);
        // What was acknowledged is there after a kill, and the writer goes on where it was.
        drop(server);
        let server = serve(&root, &[]);
        let api = Api { server: &server, version: 3 };
        let query = format!("{}&ExactlyOnceMode=true", at(&session, "s", 1));
        let got = api.call("TableGetWriteStream", table, &query, body);
        assert_eq!(
            (got["RowOffset"].as_i64(), got["recordCount"].as_i64(), got["status"].as_str()),
            (Some(5), Some(5), Some("OPEN"))
        );
        assert_eq!(write(&api, &token, 5, 5).error(), (403, "NoPermission".into()), "the token is an old one");
        let token = got["AccessToken"].as_str().unwrap();
        assert_eq!(next(write(&api, token, 5, 3)), Some(8));
        if session != "default" {
            assert_eq!(commit(&api, table, &session, json!({})).status, 200);
        }
        assert_eq!(ids(&api, table), range(0, count + 8));
    }
}

#[test]
fn refused_bodies_leave_nothing_behind() {
    let root = root();
    let server = serve(&root, &[]);
    let api = Api { server: &server, version: 2 };
    let session = api.writing("t", "", json!({}));
    open(&api, "t", &session, "a", 1);
    let whole = stream(&[numbers(0, 100)], None);
    let send = |body: &[u8], query: &str| api.send("TableWrite", &target("t"), query, body, &[]).error();
    let query = at(&session, "a", 1);
    for body in [&whole[..whole.len() - 8], &whole[..200], b"", b"text"] {
        assert_eq!(send(body, &query), (400, "InvalidArgument".into()));
    }
    let other = RecordBatch::try_from_iter([("nothing", Arc::new(Int64Array::from(vec![1])) as ArrayRef)]).unwrap();
    assert_eq!(refusal(api.try_write("t", &query, &other, &[])), (400, "InvalidArgument".into()));
    assert_eq!(send(&whole, &at(&session, "none", 1)), (404, "NoSuchObject".into()));
    assert_eq!(send(&whole, &at("none", "a", 1)), (404, "NoSuchObject".into()));
    assert_eq!(send(&whole, &format!("{query}&TableId=77")), (409, "TableModified".into()));
    assert_eq!(send(&whole, &format!("{query}&SchemaVersion=77")), (400, "InvalidArgument".into()));
    assert_eq!(commit(&api, "t", &session, json!({})).status, 200);
    assert!(ids(&api, "t").is_empty());
    assert!(commit(&api, "t", "none", json!({})).error().0 == 404);
    // Columns that were added meanwhile are NULL, for a session that follows them.
    let follows = api.writing("t", "", json!({"Flags": {"enable_schema_evolution": true}}));
    let stays = api.writing("t", "", json!({}));
    for session in [&follows, &stays] {
        open(&api, "t", session, "a", 1);
        api.write("t", &at(session, "a", 1), &numbers(0, 3));
    }
    alter(
        &root,
        r#"update tables set schema_version = schema_version + 1,
           columns = json_insert(columns, '$[#]', json('{"name":"more","type":"bigint","nullable":true}')) where name = 't'"#,
    );
    assert_eq!(commit(&api, "t", &stays, json!({})).error(), (409, "TableModified".into()));
    let got = api.call("TableGetWriteStream", "t", &at(&follows, "a", 1), json!({}));
    assert_eq!(got["LatestSchemaVersion"].as_i64(), got["SchemaVersion"].as_i64().map(|version| version + 1));
    api.write("t", &at(&follows, "a", 1), &numbers(3, 3));
    assert_eq!(commit(&api, "t", &follows, json!({})).status, 200);
    let all = api.rows("t");
    assert_eq!((ids(&api, "t"), all.num_columns(), all.column(2).null_count()), (range(0, 6), 3, 6));
}

#[test]
fn blocks_of_version_1_under_new_names() {
    let root = root();
    let server = serve(&root, &[]);
    let api = Api { server: &server, version: 3 };
    let mode = "&WriteMode=BatchCompatible";
    let options = json!({"InvalidStrategy": "Exception", "InvalidLimit": -1, "DynamicPartitionLimit": -1});
    let body = json!({"PartitionSpec": "", "Overwrite": false, "DynamicPartitionOptions": options, "MaxFieldSize": 0});
    let session = api.call("TableCreateWriteSession", "t", &format!("{mode}&enableQuotaToken=true"), body);
    assert_eq!((session["SessionStatus"].as_str(), session["MaxBlockNumber"].is_i64()), (Some("NORMAL"), true));
    let id = session["SessionId"].as_str().unwrap();
    assert!(open(&api, "t", id, "block-0-attempt-0", 1)["QuotaToken"].is_string());
    let write = |block: i64, first: i64| {
        let query = format!("&SessionId={id}{mode}&BlockNumber={block}&AttemptNumber=0&quotaToken=local");
        let answer = api.write("t", &query, &numbers(first, 4));
        assert_eq!(answer["RecordCount"], 4);
        answer["CommitMessage"].clone()
    };
    let messages = vec![write(0, 0), write(2, 10)];
    write(1, 100);
    let done = commit(&api, "t", id, json!({"CommitMessages": messages}));
    assert_eq!((done.status, done.json()["SessionStatus"].as_str()), (200, Some("COMMITTED")), "{}", done.text());
    let got = api.call("TableGetWriteSession", "t", &format!("&SessionId={id}{mode}"), json!({}));
    assert_eq!(got["SessionStatus"], "COMMITTED");
    assert_eq!(ids(&api, "t"), [range(0, 4), range(10, 14)].concat());
}

#[test]
fn the_last_operation_on_a_key_wins() {
    let root = root();
    let key =
        r#"update tables set properties = json_set(properties, '$.primary_key', json('["id"]')) where name = 't'"#;
    alter(&root, key);
    let server = serve(&root, &[]);
    let api = Api { server: &server, version: 3 };
    let session = api.writing("t", "", json!({}));
    let schema = open(&api, "t", &session, "a", 1)["TableSchema"].clone();
    assert_eq!(schema["SystemColumns"][0]["columnType"]["MemberName"], "__operation");
    assert_eq!(schema["DataColumns"][2], schema["SystemColumns"][0]);
    assert_eq!(schema["DataColumns"][0]["columnType"]["IsDistributionKey"], true);
    let columns: [(&str, ArrayRef); 3] = [
        ("id", Arc::new(Int64Array::from(vec![1, 2, 3, 2, 3, 9]))),
        ("name", Arc::new(StringArray::from(vec![Some("a"), Some("b"), Some("c"), Some("B"), None, None]))),
        ("__operation", Arc::new(Int8Array::from(vec![Some(85), None, Some(85), Some(85), Some(68), Some(68)]))),
    ];
    let rows = RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap();
    api.write("t", &at(&session, "a", 1), &rows);
    assert_eq!(commit(&api, "t", &session, json!({})).status, 200);
    let rows = api.rows("t");
    assert_eq!((ids(&api, "t"), rows.num_columns()), (vec![1, 2], 2));
    let names: Vec<&str> = rows.column(1).as_string::<i32>().iter().flatten().collect();
    assert!(names.contains(&"a") && names.contains(&"B"), "{names:?}");
}

/// A frame of an upload, with a CRC-32 or an MD5 of `checked`.
fn frame(header: Value, data: &[u8], checked: Option<&[u8]>) -> Vec<u8> {
    let checksum = checked.map_or(json!({"Type": 0}), |bytes| json!({"Type": 1, "Crc32": crc32fast::hash(bytes)}));
    let parts =
        [header.to_string().into_bytes(), data.to_vec(), json!({"Checksum": checksum}).to_string().into_bytes()];
    parts.iter().flat_map(|part| [&(part.len() as i64).to_le_bytes()[..], part].concat()).collect()
}

/// Takes the checksums out of an answer of BlobRead.
fn checked(body: &[u8]) -> Vec<u8> {
    let blocks = body.chunks(4100).map(|block| {
        let (data, sum) = block.split_at(block.len() - 4);
        assert_eq!(crc32c::crc32c(data).to_le_bytes(), sum);
        data
    });
    blocks.flatten().copied().collect()
}

fn text(encoded: &Value) -> String {
    String::from_utf8(STANDARD.decode(encoded.as_str().unwrap()).unwrap()).unwrap()
}

fn read_blobs(api: &Api<'_>, references: &[&str], coding: &str) -> Answer {
    let body = json!({"BlobReferences": references}).to_string();
    api.send("BlobRead", "generic.blob", "", body.as_bytes(), &[("accept-encoding", coding)])
}

fn blob_files(root: &Root) -> Vec<PathBuf> {
    std::fs::read_dir(root.path().join("blobs")).unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn pictures(references: &[&str]) -> RecordBatch {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..references.len() as i64));
    let cells: ArrayRef = Arc::new(BinaryArray::from_iter_values(references));
    RecordBatch::try_from_iter([("id", ids), ("picture", cells)]).unwrap()
}

#[test]
fn blobs_go_up_and_come_back_in_every_coding() {
    let root = root();
    let server = serve(&root, &[]);
    let api = Api { server: &server, version: 3 };
    let session = api.writing("b", "", json!({}));
    let created = open(&api, "b", &session, "a", 1);
    let leaf = &created["TableSchema"]["DataColumns"][2]["columnType"]["SubTypes"][0];
    assert_eq!(
        (leaf["MemberName"].as_str(), leaf["ColumnId"].as_i64(), leaf["Type"].as_i64()),
        (Some("element"), Some(4), Some(22))
    );
    let noise: Vec<u8> = (0..300_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let zstd = zstd::encode_all(noise.as_slice(), 1).unwrap();
    let linked = lz4_flex::frame::FrameInfo::new().block_mode(lz4_flex::frame::BlockMode::Linked);
    let mut lz4 = lz4_flex::frame::FrameEncoder::with_frame_info(linked, Vec::new());
    lz4.write_all(&noise).unwrap();
    let lz4 = lz4.finish().unwrap();
    let up = |query: &str, body: &[u8], coding: &str| {
        let headers: &[(&str, &str)] = if coding.is_empty() { &[] } else { &[("content-encoding", coding)] };
        api.send("TableWriteBlob", &target("b"), &format!("{}{query}", at(&session, "a", 1)), body, headers)
    };
    let single = "&PartitionValues=&ColumnIndex=2";
    let mut references = Vec::new();
    for (body, coding) in [(&noise, ""), (&zstd, "zstd"), (&lz4, "x-lz4-frame")] {
        let answer = up(single, body, coding).json();
        let md5: String = <md5::Md5 as md5::Digest>::digest(&noise).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!((answer["Size"].as_i64(), answer["MD5Value"].as_str()), (Some(300_000), Some(md5.as_str())));
        references.push(text(&answer["BlobReference"]));
    }
    let empty = text(&up(single, b"", "zstd").json()["BlobReference"]);
    let hello =
        json!({"PartitionValues": [], "ColumnIndex": 4, "ContentType": "text/plain", "CustomFileName": "ü.txt"});
    let frames = [frame(hello.clone(), b"hello", Some(b"hello")), frame(json!({"ColumnIndex": 2}), b"", None)].concat();
    for (body, coding) in [(frames.clone(), ""), (zstd::encode_all(frames.as_slice(), 1).unwrap(), "zstd")] {
        let answer = up("&Mode=Batch", &body, coding).json();
        assert_eq!((answer["BlobReferences"].as_array().unwrap().len(), answer["Size"].as_i64()), (2, Some(5)));
        references.push(text(&answer["BlobReferences"][0]));
    }
    let stored = blob_files(&root).len();
    for (query, body, coding) in [
        ("&Mode=Batch", frame(hello.clone(), b"hello", Some(b"hullo")), ""),
        ("&Mode=Batch", [frame(hello, b"hello", None), b"\x05\0\0".to_vec()].concat(), ""),
        ("&Mode=Batch", frame(json!({"ColumnIndex": 1}), b"x", None), ""),
        ("&Mode=Stream", Vec::new(), ""),
        ("&ColumnIndex=3", b"x".to_vec(), ""),
        (single, zstd[..1000].to_vec(), "zstd"),
        (single, lz4[..lz4.len() - 4].to_vec(), "x-lz4-frame"),
        (single, b"x".to_vec(), "gzip"),
    ] {
        assert_eq!(up(query, &body, coding).error(), (400, "InvalidArgument".into()), "{query} {coding}");
    }
    assert_eq!(blob_files(&root).len(), stored, "nothing of a refused upload stays");
    // One blob is bare, several are framed; checksums are around everything.
    let one = |coding: &str| read_blobs(&api, &[&references[1]], coding);
    assert!(checked(&one("identity").body) == noise);
    assert_eq!(one("zstd").header("content-encoding"), Some("zstd"));
    assert!(zstd::decode_all(checked(&one("zstd").body).as_slice()).unwrap() == noise);
    let mut plain = Vec::new();
    let frame_of = checked(&one("x-lz4-frame").body);
    std::io::Read::read_to_end(&mut lz4_flex::frame::FrameDecoder::new(frame_of.as_slice()), &mut plain).unwrap();
    assert!(plain == noise);
    assert!(read_blobs(&api, &[&empty], "identity").body.is_empty());
    let two = checked(&read_blobs(&api, &[&references[3], &references[3]], "identity").body);
    let header = json!({"ContentType": "text/plain", "CustomFileName": "ü.txt"}).to_string();
    let parts: [&[u8]; 3] = [header.as_bytes(), b"hello", b"{}"];
    let want: Vec<u8> = parts.iter().flat_map(|part| [&(part.len() as i64).to_le_bytes()[..], part].concat()).collect();
    assert_eq!(two, [want.clone(), want].concat());
    assert_eq!(read_blobs(&api, &[], "").error(), (400, "InvalidArgument".into()));
    for unknown in ["blob:0123456789abcdef0123456789abcdef", "../catalog.sqlite"] {
        assert_eq!(read_blobs(&api, &[unknown], "").error(), (404, "NoSuchObject".into()));
    }
}

#[test]
fn blobs_live_as_long_as_rows_refer_to_them() {
    let root = root();
    let server = serve(&root, &["--garbage-interval-ms", "20"]);
    let api = Api { server: &server, version: 2 };
    let session = api.writing("b", "", json!({}));
    open(&api, "b", &session, "a", 1);
    let upload = |data: &[u8]| {
        let query = format!("{}&PartitionValues=&ColumnIndex=2", at(&session, "a", 1));
        let answer = api.send("TableWriteBlob", &target("b"), &query, data, &[]).json();
        text(&answer["BlobReference"])
    };
    let (kept, forgotten) = (upload(b"kept"), upload(b"forgotten"));
    let unknown = api.try_write("b", &at(&session, "a", 1), &pictures(&["blob:none"]), &[]);
    assert_eq!(refusal(unknown), (400, "InvalidArgument".into()));
    api.write("b", &at(&session, "a", 1), &pictures(&[&kept]));
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert_eq!(blob_files(&root).len(), 2, "the session may still refer to both");
    assert_eq!(commit(&api, "b", &session, json!({})).status, 200);
    let end = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while blob_files(&root).len() > 1 {
        assert!(std::time::Instant::now() < end, "the blob that no row refers to stays");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(read_blobs(&api, &[&forgotten], "").error().0, 404);
    let cell = api.rows("b").column(1).as_binary::<i32>().value(0).to_vec();
    let reference = String::from_utf8(cell).unwrap();
    // What a crash left behind goes at the next start, what rows refer to stays.
    std::fs::write(root.path().join("blobs").join("f".repeat(32)), "half an upload").unwrap();
    drop(server);
    let server = serve(&root, &[]);
    let api = Api { server: &server, version: 3 };
    assert_eq!(checked(&read_blobs(&api, &[&reference], "").body), b"kept");
    assert_eq!(blob_files(&root).len(), 1);
}

#[test]
fn a_few_bytes_do_not_become_any_number() {
    let root = root();
    let server = serve(&root, &["--upload-blob-bytes", "1000000"]);
    let api = Api { server: &server, version: 3 };
    let session = api.writing("b", "", json!({}));
    open(&api, "b", &session, "a", 1);
    let up = |query: &str, body: &[u8], coding: &str| {
        let query = format!("{}{query}", at(&session, "a", 1));
        api.send("TableWriteBlob", &target("b"), &query, body, &[("content-encoding", coding)])
    };
    let single = "&PartitionValues=&ColumnIndex=2";
    let zeros = |count: usize| vec![0; count];
    let lz4 = |bytes: &[u8]| {
        let mut coder = lz4_flex::frame::FrameEncoder::new(Vec::new());
        coder.write_all(bytes).unwrap();
        coder.finish().unwrap()
    };
    let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 1).unwrap();
    let frames: Vec<u8> = (0..3).flat_map(|_| frame(json!({"ColumnIndex": 2}), &zeros(400_000), None)).collect();
    for (query, body, coding) in [
        (single, zstd(&zeros(50_000_000)), "zstd"),
        (single, lz4(&zeros(50_000_000)), "x-lz4-frame"),
        (single, zeros(1_000_001), "identity"),
        (single, zeros(3_000_000), "identity"),
        ("&Mode=Batch", zstd(&frames), "zstd"),
        ("&Mode=Batch", frames, "identity"),
    ] {
        let refused = up(query, &body, coding);
        assert_eq!(refused.error(), (413, "MaxMessageLengthExceeded".into()), "{query} {coding} {}", body.len());
        assert!(refused.text().contains("at most 1000000 bytes"), "{}", refused.text());
    }
    assert_eq!(blob_files(&root), Vec::<PathBuf>::new(), "nothing of a refused upload stays");
    for (body, coding) in [(zeros(1_000_000), "identity"), (zstd(&zeros(1_000_000)), "zstd")] {
        assert_eq!(up(single, &body, coding).json()["Size"], json!(1_000_000));
    }
}
