//! Kinds of tables: which are read, in which modes, and what the others answer; options of reading.

mod common;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray, TimestampMicrosecondArray};
use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Int64Type, TimestampNanosecondType};
use common::tables::Declared;
use common::{Root, numbers, sessions};
use serde_json::{Value, json};

const COLUMNS: [(&str, &str, bool); 2] = [("id", "bigint", false), ("name", "string", true)];

fn declared<'a>(name: &'a str, kind: &'a str, properties: Value) -> Declared<'a> {
    Declared { name, kind, columns: &COLUMNS, partition_keys: &[], properties }
}

#[test]
fn views_and_external_tables_are_refused_and_materialized_views_read() {
    let root = Root::new();
    root.declare(&declared("view", "VIRTUAL_VIEW", json!({"view_text": "select 1"})));
    root.declare(&declared("external", "EXTERNAL_TABLE", json!({})));
    let buckets = json!({"kind": "hash", "columns": ["id"], "sort": [], "buckets": 3});
    let stored = json!({"view_text": "select id, name from t", "clustering": buckets});
    root.declare(&declared("stored", "MANAGED_TABLE", stored));
    let server = root.serve(&[]);
    for (table, kind) in [("view", "VIRTUAL_VIEW"), ("external", "EXTERNAL_TABLE")] {
        for mode in ["Size", "Parallelism", "RowOffset", "Bucket"] {
            let request = json!({"SplitOptions": {"SplitMode": mode}}).to_string();
            let answer = server.post(&sessions(table), &request);
            assert_eq!(answer.error(), (405, "MethodNotAllowed".into()));
            assert!(answer.text().contains(kind) && answer.text().contains(table), "{}", answer.text());
        }
        assert_eq!(server.try_write_session(table, &json!({})).error().1, "MethodNotAllowed");
        for (version, action) in [
            (2, "TableCreateReadSession"),
            (3, "TableCreateReadSession"),
            (3, "TablePreview"),
            (2, "TableCreateWriteSession"),
            (3, "TableCreateWriteSession&WriteMode=Batch"),
            (3, "TableCreateWriteStream&WriteMode=Streaming&SessionId=default"),
        ] {
            let target = format!("projects.local.schemas.default.tables.{table}");
            let body = r#"{"StreamId":"a","StreamVersion":1}"#;
            let answer = server.post(&format!("/api/storage/v{version}?Action={action}&Target={target}"), body);
            assert_eq!(answer.error(), (405, "MethodNotAllowed".into()), "{action}");
        }
    }
    server.write("stored", json!({}), &numbers(0, 50));
    let sql = "update tables set kind = 'MATERIALIZED_VIEW' where name = 'stored'";
    rusqlite::Connection::open(root.path().join("catalog.sqlite")).unwrap().execute_batch(sql).unwrap();
    for mode in ["Size", "Parallelism", "Bucket"] {
        let request = json!({"SplitOptions": {"SplitMode": mode, "SplitNumber": 2000}}).to_string();
        assert_eq!(server.count("stored", &request), 50, "{mode}");
    }
    let one = json!({"SplitOptions": {"SplitMode": "Bucket"}, "RequiredBucketIds": ["1"]}).to_string();
    let session = server.session("stored", &one);
    assert_eq!((&session["SplitsCount"], &session["SplitBucketId"]), (&json!(1), &json!([1])));
    let wrong = json!({"RequiredBucketIds": [3]}).to_string();
    assert_eq!(server.post(&sessions("stored"), &wrong).error(), (400, "InvalidArgument".into()));
}

#[test]
fn transactional_tables_are_addressed_by_rows() {
    let root = Root::new();
    root.declare(&declared("t", "MANAGED_TABLE", json!({"transactional": true})));
    let server = root.serve(&[]);
    server.write("t", json!({}), &numbers(0, 5));
    for mode in ["Size", "Parallelism", "Bucket"] {
        let request = json!({"SplitOptions": {"SplitMode": mode}}).to_string();
        assert_eq!(server.post(&sessions("t"), &request).error(), (400, "InvalidArgument".into()), "{mode}");
    }
    let session = server.session("t", r#"{"SplitOptions": {"SplitMode": "RowOffset"}}"#);
    assert_eq!((&session["RecordCount"], &session["SplitsCount"]), (&json!(5), &json!(-1)));
    let incremental = json!({"SplitOptions": {"SplitMode": "Bucket"}, "IncrementalRead": true}).to_string();
    let answer = server.post(&sessions("t"), &incremental);
    assert!(answer.status == 400 && answer.text().contains("no primary key"), "{}", answer.text());
}

fn odd_values() -> RecordBatch {
    let year_3000 = 32_503_680_000_000_000;
    let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![year_3000, 1_000_000]).with_timezone("UTC"));
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
    let metadata = |ty: &str| std::collections::HashMap::from([("maxcompute.type".to_string(), ty.to_string())]);
    let field = |name: &str, array: &ArrayRef| arrow::datatypes::Field::new(name, array.data_type().clone(), true);
    let schema = arrow::datatypes::Schema::new(vec![
        field("id", &ids),
        field("t", &times),
        field("c", &texts).with_metadata(metadata("char(3)")),
        field("j", &texts).with_metadata(metadata("json")),
    ]);
    RecordBatch::try_new(Arc::new(schema), vec![ids, times, texts.clone(), texts]).unwrap()
}

#[test]
fn choices_of_the_documents_are_options() {
    let root = Root::new();
    root.load("local.default.t", &root.parquet("odd.parquet", &odd_values()), &[]);
    let request = r#"{"RequiredDataColumns": ["id", "t", "c"], "FilterPredicate": "t < '1970-01-01 08:00:00'"}"#;
    {
        let server = root.serve(&[]);
        let refused = server.post(&sessions("t"), "{}");
        assert_eq!(refused.error(), (400, "InvalidArgument".into()));
        assert!(refused.text().contains("column j"), "{}", refused.text());
        let batch = server.read("t", request).remove(0);
        let times = batch["t"].as_primitive::<TimestampNanosecondType>();
        assert_eq!((times.value(0), batch["c"].as_string::<i32>().value(0)), (i64::MAX, "a  "));
        assert_eq!(batch.num_rows(), 2, "blocks are not filtered");
    }
    let exact =
        ["--filter", "exact", "--json", "utf8", "--char", "trimmed", "--timestamps", "struct", "--shuffle", "7"];
    let server = root.serve(&exact);
    let all = server.read("t", "{}").remove(0);
    assert_eq!((all["j"].as_string::<i32>().value(1), all["c"].as_string::<i32>().value(0)), ("b", "a"));
    assert!(matches!(all["t"].data_type(), DataType::Struct(_)));
    let exact = server.read("t", request).remove(0);
    assert_eq!(exact["id"].as_primitive::<Int64Type>().values().as_ref(), [2]);
    assert_eq!(exact["t"].as_struct().column(0).as_primitive::<Int64Type>().value(0), 1);
    let by_rows = request.replace("{\"Req", "{\"SplitOptions\": {\"SplitMode\": \"RowOffset\"}, \"Req");
    assert_eq!(server.session("t", &by_rows)["RecordCount"], 1, "only matching rows have numbers");
    drop(server);
    let zoned = ["--filter", "exact", "--zoned-predicates", "--timestamps", "null", "--time-zone", "+08:00"];
    let server = root.serve(&zoned);
    assert_eq!(server.count("t", request), 0, "eight o'clock is midnight in UTC");
    let later = request.replace("<", ">=");
    let batch = server.read("t", &later).remove(0);
    assert_eq!((batch.num_rows(), batch["t"].null_count()), (2, 1));
    drop(server);
    let server = root.serve(&["--filter", "ignore", "--reject-partition-predicates"]);
    assert_eq!(server.count("t", &request.replace("1970-01-01 08", "1960-01-01 08")), 2, "ignored, but checked");
    let broken = json!({"RequiredDataColumns": ["id"], "FilterPredicate": "id >"}).to_string();
    let answer = server.post(&sessions("t"), &broken);
    assert!(answer.status == 400 && answer.text().contains("at character 5"), "{}", answer.text());
}
