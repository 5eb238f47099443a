//! Writing through versions 2 and 3 over the wire: sessions, streams, exactly once, blocks.

mod common;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int8Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use arrow::ipc::CompressionType;
use common::upload::stream;
use common::v2::{Api, at, commit, open, target};
use common::{Answer, Root, Server, numbers};
use serde_json::{Value, json};

const TOKEN: &str = "x-odps-max-storage-write-access-token";

/// Empty tables: `t` (id bigint not null, name string), and `p`, which has these columns and is partitioned by `ds`.
fn root() -> Root {
    let root = Root::new();
    let empty = root.parquet("empty.parquet", &numbers(0, 0));
    root.load("local.default.t", &empty, &[]);
    root.load("local.default.p", &empty, &["--partition", "ds=0"]);
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
