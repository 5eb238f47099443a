//! Writing through v1 over the wire: sessions, blocks, attempts, commits, and what survives.

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use arrow::ipc::CompressionType;
use common::upload::stream;
use common::{Root, Server, base, numbers};
use serde_json::{Value, json};

/// A root with table `t` (id bigint not null, name string) and table `p`, which has these columns and is partitioned by
/// `ds string` and `hh string`. Both are empty but for a partition `ds=0/hh=0`.
fn root() -> Root {
    let root = Root::new();
    let empty = root.parquet("empty.parquet", &numbers(0, 0));
    root.load("local.default.t", &empty, &[]);
    root.load("local.default.p", &empty, &["--partition", "ds=0/hh=0"]);
    root
}

/// Gives a table other properties or another kind, as DDL would.
fn alter(root: &Root, sql: &str) {
    rusqlite::Connection::open(root.path().join("catalog.sqlite")).unwrap().execute_batch(sql).unwrap();
}

fn id(session: &Value) -> &str {
    session["SessionId"].as_str().unwrap()
}

/// All ids of a table, sorted.
fn ids(server: &Server, table: &str, request: &str) -> Vec<i64> {
    let batches = server.read(table, request);
    let mut ids: Vec<i64> =
        batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec()).collect();
    ids.sort_unstable();
    ids
}

fn range(start: i64, count: i64) -> Vec<i64> {
    (start..start + count).collect()
}

/// `rows` rows of table `p` with their partitions.
fn parted(parts: &[(&str, &str)], first: i64) -> RecordBatch {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(first..first + parts.len() as i64));
    let text = |values: Vec<&str>| -> ArrayRef { Arc::new(StringArray::from(values)) };
    RecordBatch::try_from_iter([
        ("id", ids),
        ("name", text(vec!["x"; parts.len()])),
        ("ds", text(parts.iter().map(|p| p.0).collect())),
        ("hh", text(parts.iter().map(|p| p.1).collect())),
    ])
    .unwrap()
}

#[test]
fn chosen_attempts_become_visible_at_the_commit() {
    let root = root();
    let server = root.serve(&[]);
    let session = server.write_session("t", json!({"Unknown": 1, "MaxFieldSize": null}));
    assert_eq!((&session["SessionStatus"], &session["MaxBlockNumber"]), (&json!("NORMAL"), &json!(20_000)));
    assert_eq!((&session["SessionType"], &session["EnhanceWriteCheck"]), (&json!("batch_write"), &json!(false)));
    assert_eq!(session["DataSchema"]["DataColumns"][0]["Type"], "bigint");
    assert_eq!(session["DataSchema"]["PartitionColumns"], json!([]));
    let s = id(&session);
    let first = server.write_block("t", s, 0, 0, &numbers(0, 10));
    let message: Value = serde_json::from_str(&first).unwrap();
    assert_eq!(message["WriterStats"]["RecordNum"], 10);
    assert_eq!((&message["BlockNumber"], &message["AttemptNumber"]), (&json!(0), &json!(0)));
    let second = server.write_block("t", s, 0, 1, &numbers(100, 5));
    let other = server.write_block("t", s, 7, 0, &numbers(200, 5));
    server.write_block("t", s, 8, 0, &numbers(300, 5));
    server.write_block("t", s, 7, 0, &numbers(400, 5));
    assert_eq!(ids(&server, "t", "{}"), range(0, 0));
    assert_eq!(server.get_write_session("t", s).json()["SessionStatus"], "NORMAL");
    let answer = server.commit("t", s, &[first, second, other.clone(), other]);
    assert_eq!((answer.status, &answer.json()["SessionStatus"]), (201, &json!("COMMITTED")));
    let expected = [range(100, 5), range(400, 5)].concat();
    assert_eq!(ids(&server, "t", "{}"), expected, "the highest attempt, the last upload, and no block unasked");
    assert_eq!(server.get_write_session("t", s).json()["SessionStatus"], "COMMITTED");
    let again = server.commit("t", s, &[]);
    assert_eq!((again.status, &again.json()["SessionStatus"]), (201, &json!("COMMITTED")));
    assert_eq!(ids(&server, "t", "{}"), expected);
    let late = server.block("t", s, 1, 0, &stream(&[numbers(0, 1)], None));
    assert_eq!(late.error(), (409, "StatusConflict".into()));
    assert_eq!(root.data_files().len(), 2, "files of other attempts are deleted");
    // The short form of the URLs, as Java sends it for an empty schema.
    let session = server.write_session("t", json!({"Overwrite": true}));
    let short = base("t").replace("/schemas/default", "");
    let target = format!("{short}/sessions/{}/data?block_number=0&attempt_number=0", id(&session));
    let block = server.upload(&target, &stream(&[numbers(1, 3)], Some(CompressionType::ZSTD)));
    let body = json!({"CommitMessages": [block.json()["CommitMessage"]]}).to_string();
    assert_eq!(server.post(&format!("{short}/commit?session_id={}", id(&session)), &body).status, 201);
    assert_eq!(ids(&server, "t", "{}"), range(1, 3));
    let session = server.write_session("t", json!({"Overwrite": true}));
    assert_eq!(server.commit("t", id(&session), &[]).status, 201);
    assert_eq!(ids(&server, "t", "{}"), range(0, 0), "an empty overwrite empties the table");
}

#[test]
fn partitions_are_named_or_found_and_overwritten_as_documented() {
    let root = root();
    let server = root.serve(&[]);
    let session = server.write_session("p", json!({"PartitionSpec": "ds=1/hh=a"}));
    assert_eq!(session["DataSchema"]["PartitionColumns"], json!([]));
    server.write("p", json!({"PartitionSpec": "ds=1/hh=a"}), &numbers(0, 3));
    let half = server.write_session("p", json!({"PartitionSpec": "ds=1"}));
    assert_eq!(half["DataSchema"]["PartitionColumns"][0]["Name"], "hh");
    server.write("p", json!({}), &parted(&[("1", "a"), ("1", "b"), ("2", "a")], 10));
    assert_eq!(ids(&server, "p", r#"{"RequiredPartitions":["ds=1"]}"#), [0, 1, 2, 10, 11]);
    // Overwriting replaces exactly the partitions that receive rows.
    server.write("p", json!({"Overwrite": true}), &parted(&[("1", "b"), ("3", "c")], 20));
    assert_eq!(ids(&server, "p", "{}"), [0, 1, 2, 10, 12, 20, 21]);
    // A partition that is named in full is replaced even by nothing.
    let session = server.write_session("p", json!({"Overwrite": true, "PartitionSpec": "ds=1/hh=a"}));
    assert_eq!(server.commit("p", id(&session), &[]).status, 201);
    assert_eq!(ids(&server, "p", "{}"), [12, 20, 21]);
    for (request, code) in [
        (json!({"PartitionSpec": "dx=1"}), "InvalidPartitionSpec"),
        (json!({"PartitionSpec": "ds"}), "InvalidPartitionSpec"),
        (json!({"MaxFieldSize": 1}), "InvalidArgument"),
        (json!({"DynamicPartitionOptions": {"InvalidStrategy": "Ignore"}}), "InvalidArgument"),
        (json!({"DynamicPartitionOptions": {"DynamicPartitionLimit": 0}}), "InvalidArgument"),
        (json!([]), "InvalidArgument"),
    ] {
        assert_eq!(server.try_write_session("p", &request).error(), (400, code.into()), "{request}");
    }
    assert_eq!(server.try_write_session("t", &json!({"PartitionSpec": "ds=1"})).error().1, "InvalidPartitionSpec");
}

#[test]
fn rows_without_partition_are_counted_over_the_session() {
    let root = root();
    let server = root.serve(&[]);
    let rows = stream(&[parted(&[("1", "a"), ("", "b"), ("2/3", "c")], 0)], None);
    let open = |strategy: &str, limit: i64, partitions: i64| {
        let options = json!({
            "InvalidStrategy": strategy, "InvalidLimit": limit, "DynamicPartitionLimit": partitions
        });
        id(&server.write_session("p", json!({"DynamicPartitionOptions": options}))).to_string()
    };
    let s = open("Exception", 100, 512);
    assert_eq!(server.block("p", &s, 0, 0, &rows).error(), (400, "InvalidPartitionSpec".into()));
    let s = open("Limit", 3, 512);
    assert_eq!(server.block("p", &s, 0, 0, &rows).status, 200);
    assert_eq!(server.block("p", &s, 1, 0, &rows).error(), (400, "InvalidPartitionSpec".into()));
    let s = open("Drop", 0, 2);
    for block in 0..2 {
        let answer = server.block("p", &s, block, 0, &rows);
        let message: Value = serde_json::from_str(answer.json()["CommitMessage"].as_str().unwrap()).unwrap();
        assert_eq!(message["WriterStats"]["RecordNum"], 3, "all rows that were sent");
    }
    let more = stream(&[parted(&[("2", "a"), ("3", "a")], 0)], None);
    assert_eq!(server.block("p", &s, 2, 0, &more).error(), (400, "InvalidPartitionSpec".into()));
}

#[test]
fn what_does_not_fit_is_refused_and_leaves_nothing() {
    let root = root();
    let server = root.serve(&[]);
    let before = root.data_files().len();
    let session = server.write_session("t", json!({}));
    let s = id(&session);
    let good = stream(&[numbers(0, 1000)], Some(CompressionType::LZ4_FRAME));
    let refused = |body: &[u8]| server.block("t", s, 0, 0, body).error();
    let malformed = (400, "MalformedDataStream".to_string());
    assert_eq!(refused(&good[..good.len() - 8]), malformed, "no end marker");
    assert_eq!(refused(&good[..good.len() / 2]), malformed);
    assert_eq!(refused(&stream(&[numbers(0, 1).project(&[0]).unwrap()], None)), malformed, "a column is missing");
    assert_eq!(refused(&stream(&[numbers(0, 1).project(&[1, 0]).unwrap()], None)), malformed, "types are swapped");
    let null: ArrayRef = Arc::new(Int64Array::from(vec![None]));
    let name: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
    let null = RecordBatch::try_from_iter_with_nullable([("id", null, true), ("name", name, true)]).unwrap();
    assert_eq!(refused(&stream(&[null], None)), malformed, "NULL in NOT NULL");
    assert_eq!(server.block("t", s, 20_000, 0, &good).error(), (400, "InvalidBlockID".into()));
    assert_eq!(server.block("t", s, -1, 0, &good).error(), (400, "InvalidBlockID".into()));
    assert_eq!(server.block("t", "nope", 0, 0, &good).error(), (404, "NoSuchUpload".into()));
    assert_eq!(server.block("p", s, 0, 0, &good).error(), (404, "NoSuchUpload".into()));
    for format in ["data_format_type=arrow1", "data_format_version=v6"] {
        let target = format!("{}/sessions/{s}/data?block_number=0&attempt_number=0&{format}", base("t"));
        assert_eq!(server.upload(&target, &good).error(), (400, "InvalidArgument".into()));
    }
    let target = format!("{}/sessions/{s}/data?attempt_number=0", base("t"));
    assert_eq!(server.upload(&target, &good).error(), (400, "InvalidArgument".into()));
    assert_eq!(root.data_files().len(), before);
    // A client that goes away in the middle of its body.
    let target = format!("{}/sessions/{s}/data?block_number=0&attempt_number=0", base("t"));
    let mut socket = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    let headers: String =
        server.sign("POST", &target, None).iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    write!(socket, "POST {target} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n{headers}\r\n").unwrap();
    write!(socket, "{:x}\r\n", good.len()).unwrap();
    socket.write_all(&good).unwrap();
    write!(socket, "\r\n").unwrap();
    socket.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    let end = Instant::now() + Duration::from_secs(10);
    while root.data_files().len() > before {
        assert!(Instant::now() < end, "a broken block stays behind");
        std::thread::sleep(Duration::from_millis(10));
    }
    // Messages of nowhere.
    let message = |text: &str| server.commit("t", s, &[text.to_string()]).error();
    assert_eq!(message("nonsense"), (400, "InvalidArgument".into()));
    assert_eq!(message(r#"{"BlockNumber": 0, "AttemptNumber": 0}"#), (400, "InvalidArgument".into()));
    let other = server.write_session("t", json!({}));
    let foreign = server.write_block("t", id(&other), 0, 0, &numbers(0, 1));
    assert_eq!(message(&foreign), (400, "InvalidArgument".into()));
    assert_eq!(server.get_write_session("t", s).json()["SessionStatus"], "NORMAL");
    let zero = server.block("t", s, 3, 0, b"");
    assert_eq!(zero.status, 200, "{}", zero.text());
    let zero = zero.json()["CommitMessage"].as_str().unwrap().to_string();
    assert!(zero.contains("\"RecordNum\":0"), "{zero}");
    assert_eq!(server.commit("t", s, &[zero]).status, 201);
    for wait in [0, 601] {
        let body = json!({"CommitMessages": [], "WaitFlyingWritersTimeoutSeconds": wait}).to_string();
        let answer = server.post(&format!("{}/commit?session_id={s}", base("t")), &body);
        assert_eq!(answer.error(), (400, "InvalidArgument".into()));
    }
    assert_eq!(server.try_write_session("nope", &json!({})).error(), (404, "NoSuchTable".into()));
    alter(&root, "update tables set kind = 'VIRTUAL_VIEW' where name = 't'");
    assert_eq!(server.try_write_session("t", &json!({})).error(), (405, "MethodNotAllowed".into()));
}

#[test]
fn enhanced_checks_demand_one_attempt_and_true_messages() {
    let root = root();
    let server = root.serve(&[]);
    let session = server.write_session("t", json!({"EnhanceWriteCheck": true}));
    assert_eq!(session["EnhanceWriteCheck"], true);
    let s = id(&session);
    let first = server.write_block("t", s, 0, 0, &numbers(0, 2));
    let again = server.block("t", s, 0, 0, &stream(&[numbers(0, 2)], None));
    assert_eq!(again.error(), (409, "AlreadyWritten".into()));
    let second = server.write_block("t", s, 0, 1, &numbers(5, 2));
    assert_eq!(server.commit("t", s, &[first.clone(), second]).error(), (400, "InvalidArgument".into()));
    let wrong = first.replace("\"RecordNum\":2", "\"RecordNum\":3");
    assert_eq!(server.commit("t", s, &[wrong]).error(), (400, "InvalidArgument".into()));
    // A block under way is waited for, and in the end refused.
    let target = format!("{}/sessions/{s}/data?block_number=9&attempt_number=0", base("t"));
    let mut socket = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    let headers: String =
        server.sign("POST", &target, None).iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    write!(socket, "POST {target} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n{headers}\r\n1\r\n\u{1}\r\n")
        .unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let body = json!({"CommitMessages": [first], "WaitFlyingWritersTimeoutSeconds": 1}).to_string();
    let commit = || server.post(&format!("{}/commit?session_id={s}", base("t")), &body);
    assert_eq!(commit().error(), (409, "StatusConflict".into()));
    drop(socket);
    assert_eq!(commit().status, 201);
    assert_eq!(ids(&server, "t", "{}"), [0, 1]);
}

#[test]
fn sessions_expire() {
    let root = root();
    let server = root.serve(&["--session-lifetime-s", "1"]);
    let session = server.write_session("t", json!({}));
    let message = server.write_block("t", id(&session), 0, 0, &numbers(0, 1));
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(server.get_write_session("t", id(&session)).json()["SessionStatus"], "EXPIRED");
    assert_eq!(server.commit("t", id(&session), &[message]).error(), (409, "StatusConflict".into()));
    let late = server.block("t", id(&session), 1, 0, &stream(&[numbers(0, 1)], None));
    assert_eq!(late.error(), (409, "StatusConflict".into()));
}

#[test]
fn what_was_written_and_what_was_promised_survives_a_kill() {
    let root = root();
    let mut server = root.serve(&[]);
    let session = server.write_session("t", json!({}));
    let s = id(&session).to_string();
    let message = server.write_block("t", &s, 0, 0, &numbers(0, 4));
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    let mut server = root.serve(&["--commit-delay-ms", "700"]);
    let other = server.write_block("t", &s, 1, 0, &numbers(4, 4));
    let answer = server.commit("t", &s, &[message, other]);
    assert_eq!((answer.status, &answer.json()["SessionStatus"]), (202, &json!("COMMITTING")));
    assert_eq!(answer.json()["SessionId"], s);
    assert_eq!(ids(&server, "t", "{}"), range(0, 0));
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    let server = root.serve(&[]);
    let end = Instant::now() + Duration::from_secs(10);
    while server.get_write_session("t", &s).json()["SessionStatus"] != "COMMITTED" {
        assert!(Instant::now() < end, "the commit was forgotten");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(ids(&server, "t", "{}"), range(0, 8));
}

#[test]
fn a_promise_that_cannot_be_kept_is_critical() {
    let root = root();
    let server = root.serve(&["--commit-delay-ms", "400"]);
    let session = server.write_session("t", json!({}));
    let message = server.write_block("t", id(&session), 0, 0, &numbers(0, 4));
    assert_eq!(server.commit("t", id(&session), &[message]).status, 202);
    alter(&root, "update tables set schema_version = schema_version + 1 where name = 't'");
    let end = Instant::now() + Duration::from_secs(10);
    let state = || server.get_write_session("t", id(&session)).json();
    while state()["SessionStatus"] == "COMMITTING" {
        assert!(Instant::now() < end);
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(state()["SessionStatus"], "CRITICAL");
    assert!(state()["Message"].as_str().unwrap().contains("the table changed while rows were being written"));
    assert_eq!(ids(&server, "t", "{}"), range(0, 0));
}

#[test]
fn clustered_tables_announce_what_they_need_and_check_it() {
    let root = root();
    let cluster = |kind: &str| {
        let clustering = json!({
            "kind": kind, "columns": ["id"], "sort": [{"column": "id", "ascending": true}], "buckets": 4
        });
        alter(&root, &format!("update tables set properties = '{}'", json!({"clustering": clustering})));
    };
    cluster("hash");
    let server = root.serve(&[]);
    let plain = server.write_session("t", json!({}));
    assert!(plain.get("RequiredDistribution").is_none(), "the server distributes and sorts by itself");
    let checked = json!({"SupportWriteCluster": true, "EnhanceWriteCheck": true});
    let session = server.write_session("t", checked.clone());
    let distribution = json!({"Type": "HASH", "ClusterKeys": ["id"], "BucketsNumber": 4});
    assert_eq!(session["RequiredDistribution"], distribution);
    let ordering = json!([{"Name": "id", "SortDirection": "ASC", "NullOrdering": "NULLS_FIRST"}]);
    assert_eq!((&session["RequiredOrdering"], &session["MaxBlockNumber"]), (&ordering, &json!(4)));
    let sorted = numbers(0, 100);
    let reversed =
        arrow::compute::take_record_batch(&sorted, &arrow::array::UInt32Array::from_iter_values((0..100).rev()))
            .unwrap();
    let unsorted = server.block("t", id(&session), 0, 0, &stream(std::slice::from_ref(&reversed), None));
    assert_eq!(unsorted.error(), (400, "MalformedDataStream".into()));
    let beyond = server.block("t", id(&session), 4, 0, &stream(std::slice::from_ref(&sorted), None));
    assert_eq!(beyond.error(), (400, "InvalidBlockID".into()));
    let message = server.write_block("t", id(&session), 0, 0, &sorted);
    assert_eq!(server.commit("t", id(&session), &[message]).status, 201);
    server.write("t", json!({}), &reversed);
    assert_eq!(ids(&server, "t", "{}").len(), 200);
    cluster("range");
    let session = server.write_session(
        "p",
        json!({
            "SupportWriteCluster": true, "EnhanceWriteCheck": true, "PartitionSpec": "ds=1/hh=1"
        }),
    );
    assert_eq!(session["RequiredDistribution"]["Type"], "RANGE");
    let s = id(&session);
    let low = server.write_block("p", s, 0, 0, &numbers(0, 10));
    let overlap = server.write_block("p", s, 1, 0, &numbers(9, 10));
    assert_eq!(server.commit("p", s, &[low, overlap]).error(), (400, "InvalidArgument".into()));
}
