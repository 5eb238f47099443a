//! Sessions, splits, projection, predicates, partitions, batches, compression.

mod common;

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Decimal128Array, Int64Array, RecordBatch, StringArray};
use arrow::array::{Int64Builder, ListBuilder, MapBuilder, StringBuilder};
use arrow::compute::concat_batches;
use arrow::datatypes::{Field, Int64Type, Schema};
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
    let text = |batch: &RecordBatch| batch.column(1).as_string::<i32>().iter().flatten().map(str::len).sum::<usize>();
    assert!(small.iter().all(|b| b.num_rows() * 12 + text(b) <= 4096));
    // Half of the bound is reached: a batch that is too large is halved.
    assert!(small.len() < plain.batches().iter().map(|b| b.num_rows() * 13 + text(b)).sum::<usize>() / 2048 + 10);
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
    let many = |count| json!({"RequiredPartitions": vec!["ds=20240101"; count]}).to_string();
    assert_eq!(server.post(&sessions("p"), &many(60_000)).status, 201);
    assert_eq!(server.post(&sessions("p"), &many(60_001)).error(), (400, "InvalidArgument".into()));
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

/// A table `t` of one file with these columns.
fn one_file(columns: Vec<(&str, ArrayRef)>) -> (Root, Server) {
    let root = Root::new();
    let file = root.parquet("t.parquet", &RecordBatch::try_from_iter(columns).unwrap());
    root.load("local.default.t", &file, &[]);
    let server = root.serve(&[]);
    (root, server)
}

#[test]
fn lists_and_maps_are_measured_by_their_rows() {
    let mut lists = ListBuilder::new(Int64Builder::new());
    let mut maps = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
    for row in 0..2000i64 {
        lists.append_value((0..10).map(|i| Some(row + i)));
        maps.keys().append_value(format!("{row:012}"));
        maps.values().append_value(row);
        maps.append(true).unwrap();
    }
    // 84 bytes of list and 28 of map in every row.
    let (_root, server) = one_file(vec![("l", Arc::new(lists.finish())), ("m", Arc::new(maps.finish()))]);
    let session = server.session("t", "{}");
    let id = session["SessionId"].as_str().unwrap();
    let batches = server.get(&data("t", &format!("session_id={id}&split_index=0&max_batch_raw_size=8192"))).batches();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 2000);
    assert!(batches.iter().all(|batch| (30..=73).contains(&batch.num_rows())), "{}", batches.len());
}

#[test]
fn wide_rows_come_in_short_batches() {
    let wide = "x".repeat(600_000);
    let (_root, server) = one_file(vec![("s", Arc::new(StringArray::from(vec![wide.as_str(); 80])))]);
    let session = server.session("t", "{}");
    let target = data("t", &format!("session_id={}&split_index=0", session["SessionId"].as_str().unwrap()));
    let batches = server.get(&target).batches();
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 80);
    assert!(batches.iter().all(|batch| batch.num_rows() <= 27), "16 MiB of rows at once");
}

#[test]
fn an_appended_file_may_spell_its_columns_otherwise() {
    let root = Root::new();
    root.load("local.default.t", &root.parquet("a.parquet", &numbers(0, 10)), &[]);
    let shout = numbers(10, 10);
    let shout = RecordBatch::try_from_iter([("ID", shout.column(0).clone()), ("NAME", shout.column(1).clone())]);
    let file = root.parquet("b.parquet", &shout.unwrap());
    root.load("local.default.t", &file, &["--if-exists", "append"]);
    let server = root.serve(&[]);
    assert_eq!(ids(&server.read("t", "{}")), (0..20).collect::<Vec<i64>>());
    let body = json!({"FilterPredicate": "id > 15", "RequiredDataColumns": ["Name", "ID"]}).to_string();
    assert_eq!(ids(&server.read("t", &body)), (10..20).collect::<Vec<i64>>(), "statistics are found too");
}

#[test]
fn fractions_match_what_a_double_would_match() {
    let decimals = Decimal128Array::from(vec![100_000_000_000_000_001]).with_precision_and_scale(38, 18).unwrap();
    let (_root, server) =
        one_file(vec![("a", Arc::new(Int64Array::from(vec![9_007_199_254_740_993]))), ("m", Arc::new(decimals))]);
    let count = |predicate: &str| server.count("t", &json!({"FilterPredicate": predicate}).to_string());
    for kept in ["a = 9007199254740992.0", "m = 0.1", "m in (0.1)", "not m > 0.1", "0.1 >= m", "a > 9007199254740992"] {
        assert_eq!(count(kept), 1, "{kept}");
    }
    for skipped in ["a = 9007199254740992.0BD", "m = 0.1BD", "a = 9007199254740992", "m = 0.11", "m < 0.09"] {
        assert_eq!(count(skipped), 0, "{skipped}");
    }
}

#[test]
fn char_is_compared_with_its_blanks() {
    let root = Root::new();
    let declared = HashMap::from([("maxcompute.type".to_string(), "char(3)".to_string())]);
    let field = Field::new("c", arrow::datatypes::DataType::Utf8, true).with_metadata(declared);
    let values: ArrayRef = Arc::new(StringArray::from(vec!["a\u{1}", "b"]));
    let batch = RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![values]).unwrap();
    root.load("local.default.t", &root.parquet("c.parquet", &batch), &[]);
    let server = root.serve(&[]);
    let count = |predicate: &str| server.count("t", &json!({"FilterPredicate": predicate}).to_string());
    assert_eq!(count("c < 'a'"), 2, "a and U+0001 comes before a and a blank");
    assert_eq!(count("c = 'a\u{1}'"), 2);
    assert_eq!(count("c > 'b!'"), 0);
}
