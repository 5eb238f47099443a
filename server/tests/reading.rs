//! Sessions, splits, projection, predicates, partitions, batches, compression.

mod common;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::Int64Type;
use common::{Root, Server, data, numbers, sessions};
use serde_json::{Value, json};

const BLOCK: i64 = 1000;

/// Table `t`: 30,000 rows in three files, blocks of 1,000.
fn table() -> (Root, Server) {
    let root = Root::new();
    for part in 0..3 {
        let file = root.parquet("t.parquet", &numbers(part * 10_000, 10_000));
        root.load("local.default.t", &file, &["--if-exists", "append", "--block-rows", &BLOCK.to_string()]);
    }
    let server = root.serve(&[]);
    (root, server)
}

fn ids(batches: &[RecordBatch]) -> Vec<i64> {
    batches.iter().flat_map(|b| b.column_by_name("id").unwrap().as_primitive::<Int64Type>().values().to_vec()).collect()
}

fn request(mode: &str, number: i64, more: Value) -> String {
    let mut body = json!({"SplitOptions": {"SplitMode": mode, "SplitNumber": number, "CrossPartition": true}});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body.to_string()
}

#[test]
fn every_split_mode_gives_every_row_once() {
    let (_root, server) = table();
    let all: Vec<i64> = (0..30_000).collect();
    for body in [
        String::new(),
        "{}".to_string(),
        request("Size", 20_000, json!({})),
        request("Size", 1024, json!({})),
        request("Size", 1 << 30, json!({"SplitMaxFileNum": 1})),
        request("Parallelism", 7, json!({})),
        request("Parallelism", 1000, json!({})),
    ] {
        let batches = server.read("t", &body);
        assert_eq!(ids(&batches), all, "{body}");
    }
    assert_eq!(server.session("t", &request("Parallelism", 7, json!({})))["SplitsCount"], 7);
    assert_eq!(server.session("t", &request("Parallelism", 1000, json!({})))["SplitsCount"], 30);
    assert_eq!(server.session("t", &request("Size", 1 << 30, json!({"SplitMaxFileNum": 1})))["SplitsCount"], 3);
    assert_eq!(server.session("t", &request("Size", 1024, json!({})))["SplitsCount"], 30);
}

#[test]
fn session_answers_have_the_documented_shape() {
    let (_root, server) = table();
    let body = request("Size", 1 << 30, json!({"EnableEstimateStats": true}));
    let session = server.session("t", &body);
    let schema = json!({
        "DataColumns": [
            {"Name": "id", "Type": "bigint", "Comment": "", "Nullable": false},
            {"Name": "name", "Type": "string", "Comment": "", "Nullable": true}
        ],
        "PartitionColumns": []
    });
    assert_eq!(session["DataSchema"], schema);
    assert_eq!((&session["SplitMode"], &session["SessionStatus"]), (&json!("Size"), &json!("NORMAL")));
    assert_eq!((&session["SplitsCount"], &session["RecordCount"]), (&json!(1), &json!(-1)));
    assert_eq!(session["SessionStats"]["EstimatedRowCount"], 30_000);
    assert!(session["SessionStats"]["EstimatedSize"].as_i64().unwrap() > 0);
    let rows = server.session("t", &request("RowOffset", 0, json!({})));
    assert_eq!((&rows["SplitsCount"], &rows["RecordCount"]), (&json!(-1), &json!(30_000)));
    assert!(rows.get("SessionStats").is_none());
    // Paths without a schema mean schema default; R2 repeats the answer.
    let id = session["SessionId"].as_str().unwrap();
    let target =
        format!("/api/storage/v1/projects/local/tables/t/sessions/{id}?session_type=batch_read&session_refresh=true");
    let again = server.get(&target);
    assert_eq!(again.status, 200);
    assert_eq!(again.json()["SplitsCount"], 1);
    assert!(again.json()["ExpirationTime"].as_i64() >= session["ExpirationTime"].as_i64());
}

#[test]
fn row_ranges_are_exact() {
    let (_root, server) = table();
    let session = server.session("t", &request("RowOffset", 0, json!({"FilterPredicate": "id < 10"})));
    assert_eq!(session["RecordCount"], 30_000, "a predicate does not renumber rows");
    let id = session["SessionId"].as_str().unwrap();
    for (start, count) in
        [(0, 200), (200, 300), (999, 2), (9_500, 1_000), (29_999, 1), (0, 30_000), (30_000, 0), (5, 0)]
    {
        let answer =
            server.get(&data("t", &format!("session_id={id}&split_index=0&row_index={start}&row_count={count}")));
        assert_eq!(ids(&[answer.batch()]), (start..start + count).collect::<Vec<i64>>(), "{start}+{count}");
    }
    for (start, count) in [(29_999i64, 2i64), (30_001, 0), (i64::MAX, i64::MAX)] {
        let answer = server.get(&data("t", &format!("session_id={id}&row_index={start}&row_count={count}")));
        assert_eq!(answer.error(), (400, "InvalidRowRange".into()), "{start}+{count}");
    }
    let answer = server.get(&data("t", &format!("session_id={id}&split_index=0")));
    assert_eq!(answer.error(), (400, "InvalidArgument".into()));
}

#[test]
fn predicates_skip_blocks_only() {
    let (_root, server) = table();
    let count = |predicate: &str| server.count("t", &json!({"FilterPredicate": predicate}).to_string());
    assert_eq!(count(""), 30_000);
    assert_eq!(count("`id` > 19999"), 10_000);
    assert_eq!(count("id > 20000 and id < 15000"), 0);
    assert_eq!(count("id = 20000"), 1_000);
    assert_eq!(count("id in (1, 10001)"), 2_000);
    assert_eq!(count("id between 999 and 1000 or name is not null and id < 0"), 2_000);
    assert_eq!(count("name = 'name 5'"), 1_000, "text statistics");
    assert_eq!(count("name is null"), 30_000);
    let fallback = json!({"FilterPredicate": "lower(name) = 'x' and id < 5", "FilterPredicateFallback": true});
    assert_eq!(server.count("t", &fallback.to_string()), 1_000);
    for bad in ["id = ", "lower(name) = 'x'", "id = 'x'", "nope = 1", "id = 1 garbage"] {
        let answer = server.post(&sessions("t"), &json!({"FilterPredicate": bad}).to_string());
        assert_eq!(answer.error(), (400, "InvalidArgument".into()), "{bad}");
        assert!(answer.text().contains("at character"), "{}", answer.text());
    }
}

#[test]
fn batches_obey_their_bounds_and_compression() {
    let (_root, server) = table();
    let session = server.session("t", "{}");
    let id = session["SessionId"].as_str().unwrap();
    let read = |more: &str, encoding: &[(&str, &str)]| {
        server.send("GET", &data("t", &format!("session_id={id}&split_index=0{more}")), None, encoding)
    };
    let plain = read("", &[]);
    assert_eq!(plain.batches().iter().map(RecordBatch::num_rows).max(), Some(4096));
    assert_eq!(read("&max_batch_rows=100000", &[]).batches()[0].num_rows(), 10_000, "20,000 at most, files of 10,000");
    assert!(read("&max_batch_rows=77", &[]).batches().iter().all(|b| b.num_rows() <= 77));
    let small = read("&max_batch_raw_size=4096", &[]).batches();
    assert!(small.len() > 100 && small.iter().all(|b| b.num_rows() >= 1));
    assert_eq!(ids(&small), (0..30_000).collect::<Vec<i64>>());
    let mut sizes = vec![plain.body.len()];
    for encoding in ["LZ4_FRAME", "ZSTD"] {
        let answer = read("", &[("accept-encoding", encoding)]);
        let batches = answer.batches();
        assert_eq!(concat_batches(&batches[0].schema(), &batches).unwrap(), plain.batch());
        sizes.push(answer.body.len());
    }
    assert!(sizes[0] > sizes[1] && sizes[1] > sizes[2], "{sizes:?}");
    assert_eq!(read("", &[("accept-encoding", "gzip, br")]).body, plain.body);
    for bad in ["&max_batch_rows=0", "&max_batch_rows=x", "&data_format_type=arrow1", "&data_format_version=v6"] {
        assert_eq!(read(bad, &[]).error(), (400, "InvalidArgument".into()), "{bad}");
    }
    assert_eq!(read("&data_format_type=arrow&data_format_version=V5", &[]).status, 200);
}

#[test]
fn partitions_select_prune_and_separate() {
    let root = Root::new();
    for (day, start) in [("20240101", 0), ("20240102", 100), ("20240103", 200)] {
        for region in ["cn", "us"] {
            let file = root.parquet("p.parquet", &numbers(start, 50));
            root.load("local.default.p", &file, &["--partition", &format!("ds={day}/region={region}")]);
        }
    }
    let server = root.serve(&[]);
    let count = |body: Value| server.count("p", &body.to_string());
    assert_eq!(count(json!({})), 300);
    assert_eq!(count(json!({"RequiredPartitions": ["ds=20240101/region=cn"]})), 50);
    assert_eq!(count(json!({"RequiredPartitions": ["ds=20240101,region=us", "region='cn'"]})), 200);
    assert_eq!(count(json!({"FilterPredicate": "ds > '20240101' and region = 'us'"})), 100);
    assert_eq!(count(json!({"FilterPredicate": "not ds in ('20240101', '20240102', '20240103')"})), 0);
    let apart = json!({"SplitOptions": {"SplitMode": "Parallelism", "SplitNumber": 1, "CrossPartition": false}});
    for batch in server.read("p", &apart.to_string()) {
        let column = |name: &str| batch.column_by_name(name).unwrap().as_string::<i32>().clone();
        assert!(column("ds").iter().all(|v| v == column("ds").iter().next().unwrap()));
        assert_eq!(batch.num_rows(), 50);
    }
    let names = |body: Value| -> Vec<String> {
        let batches = server.read("p", &body.to_string());
        batches[0].schema().fields().iter().map(|f| f.name().clone()).collect()
    };
    assert_eq!(names(json!({})), ["id", "name", "ds", "region"]);
    assert_eq!(names(json!({"RequiredDataColumns": ["name", "ID"]})), ["name", "id"]);
    assert_eq!(names(json!({"RequiredPartitionColumns": ["region"]})), ["region"]);
    let both = json!({"RequiredDataColumns": ["id"], "RequiredPartitionColumns": ["region", "ds"]});
    assert_eq!(names(both), ["id", "region", "ds"]);
    for (spec, error) in [
        ("ds=20990101", (404, "NoSuchPartition")),
        ("nope=1", (400, "InvalidPartitionSpec")),
        ("ds", (400, "InvalidPartitionSpec")),
    ] {
        let answer = server.post(&sessions("p"), &json!({"RequiredPartitions": [spec]}).to_string());
        assert_eq!(answer.error(), (error.0, error.1.to_string()), "{spec}");
    }
}

#[test]
fn empty_results_are_schema_and_end_marker() {
    let root = Root::new();
    let file = root.parquet("e.parquet", &numbers(0, 0));
    root.load("local.default.e", &file, &[]);
    let server = root.serve(&[]);
    assert_eq!(server.session("e", "{}")["SplitsCount"], 0);
    let session = server.session("e", &request("RowOffset", 0, json!({})));
    assert_eq!(session["RecordCount"], 0);
    let id = session["SessionId"].as_str().unwrap();
    let answer = server.get(&data("e", &format!("session_id={id}&row_index=0&row_count=0")));
    assert_eq!(answer.batch().num_columns(), 2);
}
