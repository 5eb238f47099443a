//! Primary-key tables over the wire: merged rows, versions, changes.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::compute::concat_batches;
use arrow::datatypes::{Int8Type, Int64Type, TimestampMillisecondType};
use common::tables::Declared;
use common::{Root, Server, data, sessions};
use serde_json::{Value, json};

const COLUMNS: [(&str, &str, bool); 2] = [("id", "bigint", false), ("val", "string", true)];

fn rows(ids: std::ops::Range<i64>, mark: &str) -> RecordBatch {
    let values: ArrayRef = Arc::new(ids.clone().map(|id| Some(format!("{mark}{id}"))).collect::<StringArray>());
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(ids));
    RecordBatch::try_from_iter_with_nullable([("id", ids, false), ("val", values, true)]).unwrap()
}

fn served(args: &[&str]) -> (Root, Server) {
    let root = Root::new();
    root.declare(&Declared::delta("t", &COLUMNS, "id"));
    let server = root.serve(args);
    (root, server)
}

fn table(batches: &[RecordBatch]) -> BTreeMap<i64, String> {
    let mut found = BTreeMap::new();
    for batch in batches {
        let (ids, values) = (batch["id"].as_primitive::<Int64Type>(), batch["val"].as_string::<i32>());
        for row in 0..batch.num_rows() {
            assert_eq!(found.insert(ids.value(row), values.value(row).to_string()), None, "a key appears twice");
        }
    }
    found
}

fn ranges(server: &Server, session: &Value, step: i64) -> RecordBatch {
    let count = session["RecordCount"].as_i64().unwrap();
    let id = session["SessionId"].as_str().unwrap();
    let parts: Vec<RecordBatch> = (0..count)
        .step_by(step as usize)
        .map(|start| {
            let query = format!("session_id={id}&row_index={start}&row_count={}", step.min(count - start));
            server.get(&data("t", &query)).batch()
        })
        .collect();
    concat_batches(&parts[0].schema(), &parts).unwrap()
}

#[test]
fn every_mode_shows_one_row_per_key() {
    let (root, server) = served(&[]);
    server.write("t", json!({}), &rows(0..500, "a"));
    server.write("t", json!({}), &rows(250..300, "b"));
    let expected: BTreeMap<i64, String> =
        (0..500).map(|id| (id, format!("{}{id}", if (250..300).contains(&id) { "b" } else { "a" }))).collect();
    for options in [
        json!({"SplitMode": "Size", "SplitNumber": 1024}),
        json!({"SplitMode": "Parallelism", "SplitNumber": 3}),
        json!({"SplitMode": "Bucket"}),
    ] {
        let found = table(&server.read("t", &json!({"SplitOptions": options}).to_string()));
        assert_eq!(found, expected, "{options}");
    }
    let session = server.session("t", r#"{"SplitOptions": {"SplitMode": "Bucket"}}"#);
    assert_eq!((&session["SplitsCount"], &session["SplitBucketId"]), (&json!(4), &json!([0, 1, 2, 3])));
    let by_rows = r#"{"SplitOptions": {"SplitMode": "RowOffset"}}"#;
    let session = server.session("t", by_rows);
    assert_eq!((&session["RecordCount"], &session["LatestVersion"]), (&json!(500), &json!(3)));
    let before = ranges(&server, &session, 500);
    assert_eq!(table(std::slice::from_ref(&before)), expected);
    // A session shows its snapshot: after later commits, in other pieces, and after a restart.
    server.write("t", json!({"Overwrite": true}), &rows(0..3, "c"));
    assert_eq!(ranges(&server, &session, 77), before);
    drop(server);
    let server = root.serve(&[]);
    assert_eq!(ranges(&server, &session, 99), before);
    assert_eq!(server.session("t", by_rows)["RecordCount"], 3);
}

#[test]
fn predicates_bring_no_old_row_back() {
    let (_root, server) = served(&[]);
    server.write("t", json!({}), &rows(0..100, "a"));
    server.write("t", json!({}), &rows(0..100, "b"));
    // Every block of the first commit matches, and not a single visible row does.
    assert_eq!(server.count("t", r#"{"FilterPredicate": "val < 'b'"}"#), 0);
    let one = table(&server.read("t", r#"{"FilterPredicate": "id = 7"}"#));
    assert_eq!(one[&7], "b7");
    assert!(one.len() < 100, "the other buckets are pruned");
}

fn changes(server: &Server, options: Value) -> Value {
    let request = json!({"SplitOptions": {"SplitMode": "Bucket"}, "IncrementalRead": true,
                         "IncrementalReadOptions": options});
    server.session("t", &request.to_string())
}

fn told(server: &Server, session: &Value) -> Vec<(i64, String, i8)> {
    let mut told = Vec::new();
    for split in 0..session["SplitsCount"].as_i64().unwrap() {
        let batch = server.split("t", session["SessionId"].as_str().unwrap(), split);
        let (ids, values) = (batch["id"].as_primitive::<Int64Type>(), batch["val"].as_string::<i32>());
        let codes = batch["__meta_op_type"].as_primitive::<Int8Type>();
        told.extend((0..batch.num_rows()).map(|i| (ids.value(i), values.value(i).to_string(), codes.value(i))));
    }
    told
}

#[test]
fn changes_are_told_as_the_official_tests_expect() {
    let (_root, server) = served(&["--no-clock-check"]);
    let cdc = |start: i64| json!({"Mode": "cdc", "StartVersion": start, "EndVersion": -1});
    let empty = changes(&server, cdc(0));
    assert_eq!((&empty["SplitsCount"], &empty["LatestVersion"]), (&json!(0), &json!(1)));
    let system: Vec<_> = empty["DataSchema"]["SystemColumns"].as_array().unwrap().iter().map(|c| &c["Name"]).collect();
    assert_eq!(system, ["__meta_timestamp", "__meta_op_type"]);
    let noon = 1_900_000_000_000i64;
    server.admin("PUT", "clock", Some(&json!({"set_ms": noon, "frozen": true}).to_string()));
    server.write("t", json!({}), &rows(1..2, "a"));
    server.admin("PUT", "clock", Some(&json!({"advance_ms": 5000}).to_string()));
    server.write("t", json!({}), &rows(2..3, "a"));
    server.write("t", json!({}), &rows(1..2, "b"));
    let text = |id: i64, value: &str, code: i8| (id, format!("{value}{id}"), code);
    assert_eq!(told(&server, &changes(&server, cdc(1))), told(&server, &changes(&server, cdc(0))));
    assert_eq!(told(&server, &changes(&server, cdc(3))), [text(1, "a", 16), text(1, "b", 32)]);
    assert_eq!(changes(&server, cdc(3))["SplitsCount"], 1, "one bucket changed");
    assert_eq!(changes(&server, cdc(4))["SplitsCount"], 0);
    let until = json!({"Mode": "cdc", "From": 1, "To": 3});
    let mut inserts = told(&server, &changes(&server, until));
    inserts.sort();
    assert_eq!(inserts, [text(1, "a", 2), text(2, "a", 2)]);
    // Inserted and updated since: an update, in the tests of the C++ SDK.
    let mut all = told(&server, &changes(&server, json!({"Mode": "append", "StartVersion": 0})));
    all.sort();
    assert_eq!(all, [text(1, "b", 8), text(2, "a", 2)]);
    // The start is excluded. Text without a zone is in that of the project: 2030-03-18 01:46:40 of Shanghai is noon.
    let since = json!({"Mode": "append", "StartTimeStamp": "2030-03-18 01:46:40.000", "EndTimeStamp": "-1"});
    let session = changes(&server, since);
    assert_eq!(session["IncrementalReadOptions"]["StartVersion"], 2);
    let batch = server.split("t", session["SessionId"].as_str().unwrap(), 0);
    let schema = batch.schema();
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["id", "val", "__meta_timestamp", "__meta_op_type"]);
    let request = json!({"SplitOptions": {"SplitMode": "Bucket"}, "IncrementalRead": true,
        "IncrementalReadOptions": {"From": 3}, "ArrowOptions": {"TimestampUnit": "milli"}});
    let session = server.session("t", &request.to_string());
    let batch = server.split("t", session["SessionId"].as_str().unwrap(), 0);
    assert_eq!(batch["__meta_timestamp"].as_primitive::<TimestampMillisecondType>().value(0), noon + 5000);
}

#[test]
fn encrypted_files_are_merged_filtered_and_told() {
    let (root, server) = served(&["--filter", "exact"]);
    server.run("setproject odps.storage.encryption=true");
    server.write("t", json!({}), &rows(0..20, "a"));
    server.write("t", json!({}), &rows(5..6, "b"));
    assert!(root.data_files().iter().all(|path| std::fs::read(path).unwrap().starts_with(b"PARE")));
    assert_eq!(server.count("t", r#"{"FilterPredicate": "val >= 'b' or id = 3"}"#), 2);
    let told = told(&server, &changes(&server, json!({"Mode": "cdc", "StartVersion": 2})));
    assert_eq!(told, [(5, "a5".to_string(), 16), (5, "b5".to_string(), 32)]);
}

#[test]
fn history_ends_where_the_table_says() {
    let (root, server) = served(&["--no-clock-check", "--garbage-interval-ms", "30"]);
    server.write("t", json!({}), &rows(0..10, "a"));
    server.write("t", json!({"Overwrite": true}), &rows(5..6, "b"));
    let session = changes(&server, json!({"Mode": "cdc", "StartVersion": 2}));
    let codes: Vec<i8> = told(&server, &session).iter().map(|row| row.2).collect();
    assert_eq!(codes.iter().filter(|code| **code == 4).count(), 9, "an overwrite deletes");
    assert_eq!((codes.contains(&16), codes.contains(&32), codes.len()), (true, true, 11));
    let files = root.data_files().len();
    server.admin("PUT", "clock", Some(&json!({"advance_ms": 23 * 3_600_000}).to_string()));
    std::thread::sleep(std::time::Duration::from_millis(150));
    assert_eq!(root.data_files().len(), files, "history is kept for 24 hours");
    assert_eq!(changes(&server, json!({"Mode": "append", "StartVersion": 2}))["LatestVersion"], 3);
    server.admin("PUT", "clock", Some(&json!({"advance_ms": 30 * 24 * 3_600_000i64}).to_string()));
    let request = json!({"SplitOptions": {"SplitMode": "Bucket"}, "IncrementalRead": true,
                         "IncrementalReadOptions": {"StartVersion": 2}});
    let late = server.post(&sessions("t"), &request.to_string());
    assert_eq!(late.error(), (400, "InvalidArgument".into()));
    assert!(late.text().contains("kept for 24 hours"), "{}", late.text());
    let end = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while root.data_files().len() > 1 {
        assert!(std::time::Instant::now() < end, "old files stay: {:?}", root.data_files());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(table(&server.read("t", "{}")), BTreeMap::from([(5, "b5".to_string())]));
}
