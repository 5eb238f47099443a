//! Reading through versions 2 and 3 over the wire.

mod common;

use std::io::Read;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Int64Type, Schema, TimeUnit};
use arrow::ipc::reader::StreamReader;
use common::v2::{Api, target};
use common::{Answer, Root, Server, numbers};
use serde_json::{Value, json};

const TABLE: &str = "t";

/// Table `t`: 10,000 rows in blocks of 1,000, half of them in each of the partitions `ds=a` and `ds=b`.
fn root() -> Root {
    let root = Root::new();
    for (start, ds) in [(0, "ds=a"), (5000, "ds=b")] {
        let file = root.parquet("t.parquet", &numbers(start, 5000));
        root.load("local.default.t", &file, &["--partition", ds, "--block-rows", "1000"]);
    }
    root
}

fn id(session: &Value) -> String {
    format!("&SessionId={}", session["SessionId"].as_str().unwrap())
}

fn ids(batches: &[RecordBatch]) -> Vec<i64> {
    batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec()).collect()
}

fn range(start: i64, end: i64) -> Vec<i64> {
    (start..end).collect()
}

fn names(batch: &RecordBatch) -> Vec<String> {
    batch.schema().fields().iter().map(|field| field.name().clone()).collect()
}

fn serve(root: &Root, more: &[&str]) -> Server {
    root.serve(&[&["--no-auth"], more].concat())
}

#[test]
fn sessions_say_everything_and_splits_cover_the_rows() {
    let root = root();
    let server = serve(&root, &[]);
    let api = Api { server: &server, version: 2 };
    let split = json!({"SplitOptions": {"SplitMode": "Parallelism", "SplitNumber": 4, "CrossPartition": false}});
    let session = api.call("TableCreateReadSession", TABLE, "", split);
    let text = ["SessionId", "SessionStatus", "SessionType", "SplitMode", "Message"];
    let numbers = ["SplitsCount", "RecordCount", "ExpirationTime", "LatestVersion"];
    assert!(text.iter().all(|key| session[key].is_string()), "{session}");
    assert!(numbers.iter().all(|key| session[key].is_i64()), "{session}");
    assert_eq!(session["RecordCount"], 10_000);
    assert_eq!(session["EnableLargeString"], false);
    assert_eq!(session["SplitBucketId"], json!([]));
    assert_eq!(session["SessionStats"]["EstimatedRowCount"], 10_000);
    assert!(session["SessionStats"]["EstimatedSize"].as_i64().unwrap() > 0);
    assert_eq!(session["IncrementalReadOptions"].as_object().unwrap().len(), 5);
    let columns = |kind: &str| session["DataSchema"][kind].as_array().unwrap().clone();
    assert_eq!((columns("DataColumns").len(), columns("PartitionColumns")[0]["Name"].as_str()), (2, Some("ds")));
    let splits = session["SplitsCount"].as_i64().unwrap();
    let mut all = Vec::new();
    for index in 0..splits {
        let batches = api.read(TABLE, &format!("{}&Index={index}", id(&session)), json!({"MaxBatchRows": 700}));
        assert!(batches.iter().all(|batch| (1..=700).contains(&batch.num_rows())));
        assert_eq!(names(&batches[0]), ["id", "name", "ds"]);
        all.extend(ids(&batches));
    }
    assert_eq!(all, range(0, 10_000));
    // Both versions and both forms of the target find the session.
    let third = Api { server: &server, version: 3 };
    let with_schema = "projects.local.schemas.default.tables.t";
    let query = format!("{}&session_refresh=true", id(&session));
    let again = third.send("TableGetReadSession", with_schema, &query, b"{}", &[]).json();
    assert!(again["ExpirationTime"].as_i64() >= session["ExpirationTime"].as_i64());
    assert_eq!(again["DataSchema"], session["DataSchema"]);
}

#[test]
fn readers_narrow_skip_and_resume() {
    let root = root();
    let server = serve(&root, &[]);
    let api = Api { server: &server, version: 3 };
    let request =
        json!({"SplitOptions": {"SplitMode": "RowOffset", "SplitNumber": 10}, "RequiredPartitions": ["ds=b"]});
    let session = api.call("TableCreateReadSession", TABLE, "", request);
    assert_eq!((session["SplitsCount"].as_i64(), session["RecordCount"].as_i64()), (Some(-1), Some(5000)));
    let query = |more: &str| format!("{}{more}", id(&session));
    let rows = |more: &str, body: Value| ids(&api.read(TABLE, &query(more), body));
    assert_eq!(rows("&Offset=990&Count=20", json!({})), range(5990, 6010));
    assert_eq!(rows("&Offset=990&Count=20", json!({"SkipRowNum": 15})), range(6005, 6010));
    assert_eq!(rows("", json!({"SkipRowNum": 4999})), [9999]);
    assert_eq!(rows("&Offset=0&Count=0", json!({})), range(0, 0));
    let narrow = |ordered: bool| {
        let body = json!({"DataColumns": ["DS", "id"], "DataColumnsUnordered": ordered});
        api.read(TABLE, &query("&Offset=7&Count=2"), body).remove(0)
    };
    assert_eq!(
        (names(&narrow(false)), names(&narrow(true))),
        (vec!["ds".into(), "id".into()], vec!["id".into(), "ds".into()])
    );
    let batch = narrow(false);
    assert_eq!(
        (batch.column(0).as_string::<i32>().value(1), batch.column(1).as_primitive::<Int64Type>().value(1)),
        ("b", 5008)
    );
    let bytes = api.read(TABLE, &query("&Offset=0&Count=1000"), json!({"MaxBatchRawSize": 4000}));
    assert!(bytes.len() > 5 && ids(&bytes) == range(5000, 6000));
    for (more, body) in [
        ("&Index=0", json!({})),
        ("&Offset=4999&Count=2", json!({})),
        ("&Offset=-1&Count=2", json!({})),
        ("&Offset=0", json!({})),
        ("&Offset=0&Count=2", json!({"SkipRowNum": 3})),
        ("", json!({"DataColumns": ["none"]})),
        ("", json!({"MaxBatchRows": -1})),
        ("", json!({"DataFormat": {"Type": "CSV", "Version": "V5"}})),
        ("", json!([])),
    ] {
        assert_eq!(
            api.refused("TableRead", TABLE, &query(more), body.clone()),
            (400, "InvalidArgument".into()),
            "{more} {body}"
        );
    }
}

/// Decodes a body as one frame.
fn decoded(answer: &Answer) -> Vec<RecordBatch> {
    let mut plain = Vec::new();
    match answer.header("content-encoding") {
        Some("zstd") => {
            zstd::stream::read::Decoder::new(answer.body.as_slice()).unwrap().single_frame().read_to_end(&mut plain)
        }
        Some("x-lz4-frame") => lz4_flex::frame::FrameDecoder::new(answer.body.as_slice()).read_to_end(&mut plain),
        other => panic!("{other:?}"),
    }
    .unwrap();
    StreamReader::try_new(plain.as_slice(), None).unwrap().map(|batch| batch.unwrap()).collect()
}

#[test]
fn bodies_are_compressed_as_a_whole_also_when_replayed() {
    let root = root();
    for more in [&[][..], &["--replay"]] {
        let server = serve(&root, more);
        let api = Api { server: &server, version: 2 };
        let session = api.call("TableCreateReadSession", TABLE, "", json!({}));
        let read = |body: &str, coding: &str| {
            let query = format!("{}&Index=0", id(&session));
            api.send("TableRead", &target(TABLE), &query, body.as_bytes(), &[("accept-encoding", coding)])
        };
        let plain = read("{}", "gzip").batch();
        for coding in ["zstd", "x-lz4-frame", "ZSTD"] {
            let answer = read("{}", coding);
            assert_eq!(concat_batches(&plain.schema(), &decoded(&answer)).unwrap(), plain, "{coding}");
            assert_eq!(names(&decoded(&read("{\"DataColumns\":[\"name\"]}", coding))[0]), ["name"]);
        }
        // The storage client of the Java SDK asks with the same words, and decodes the buffers of batches only.
        let java = [("accept-encoding", "x-lz4-frame"), ("user-agent", "JavaSDK/0.57.1-public (id:1)")];
        let answer = api.send("TableRead", &target(TABLE), &format!("{}&Index=0", id(&session)), b"{}", &java);
        assert_eq!(answer.header("content-encoding"), None);
        assert!(answer.body.len() < read("{}", "").body.len());
        assert_eq!(answer.batch(), plain);
    }
}

#[test]
fn previews_are_one_batch_of_the_columns_and_rows_asked_for() {
    let root = root();
    let server = serve(&root, &[]);
    let api = Api { server: &server, version: 2 };
    let preview = |query: &str, body: Value| -> Vec<RecordBatch> {
        api.send("TablePreview", &target(TABLE), query, body.to_string().as_bytes(), &[("accept-encoding", "zstd")])
            .batches()
    };
    let batches = preview("", json!({"Limit": 3000, "Partition": "ds=b"}));
    assert_eq!((batches.len(), ids(&batches)), (1, range(5000, 8000)));
    let batches = preview("&Limit=2", json!({"Columns": ["ds", "ID"]}));
    assert_eq!((names(&batches[0]), ids(&batches)), (vec!["id".into(), "ds".into()], range(0, 2)));
    assert_eq!(ids(&preview("", json!({}))).len(), 1000);
    let refused = |body: Value| api.refused("TablePreview", TABLE, "", body);
    assert_eq!(refused(json!({"Columns": ["x"]})), (400, "InvalidArgument".into()));
    assert_eq!(refused(json!({"Limit": -1})), (400, "InvalidArgument".into()));
    assert_eq!(refused(json!({"Partition": "nope=c"})), (400, "InvalidArgument".into()));
    // What is not there is empty here, and has the columns of the table all the same.
    let answer = api.send("TablePreview", &target(TABLE), "", br#"{"Partition": "ds=c"}"#, &[]);
    assert_eq!(answer.batches().iter().map(RecordBatch::num_rows).sum::<usize>(), 0);
    let schema = StreamReader::try_new(answer.body.as_slice(), None).unwrap().schema();
    assert_eq!(schema.fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>(), ["id", "name", "ds"]);
}

#[test]
fn columns_have_the_layout_of_version_2() {
    let root = Root::new();
    let typed = |name: &str, ty: DataType, of: &str| {
        Field::new(name, ty, true)
            .with_metadata(std::collections::HashMap::from([("maxcompute.type".to_string(), of.to_string())]))
    };
    let fields = vec![
        Field::new("When", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true),
        typed("span", DataType::Int64, "interval_day_time"),
        typed("doc", DataType::Utf8, "json"),
        Field::new("n", DataType::Int32, true),
    ];
    let table = |micros: i64| {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(TimestampMicrosecondArray::from(vec![Some(micros), None]).with_timezone("UTC")),
            Arc::new(arrow::array::Int64Array::from(vec![Some(-90_061_500), None])),
            Arc::new(StringArray::from(vec![Some("{\"a\":1}"), None])),
            Arc::new(Int32Array::from(vec![Some(1), None])),
        ];
        RecordBatch::try_new(Arc::new(Schema::new(fields.clone())), columns).unwrap()
    };
    root.load("local.default.near", &root.parquet("near.parquet", &table(1_700_000_000_123_456)), &[]);
    root.load("local.default.far", &root.parquet("far.parquet", &table(253_402_300_799_999_999)), &[]);
    {
        let server = serve(&root, &[]);
        let api = Api { server: &server, version: 3 };
        let refused = (400, "InvalidArgument".to_string());
        assert_eq!(
            api.refused("TableCreateReadSession", "near", "", json!({})),
            refused,
            "JSON is read nowhere by default"
        );
        assert_eq!(api.refused("TablePreview", "near", "", json!({})), refused);
        api.call("TableCreateReadSession", "near", "", json!({"RequiredDataColumns": ["n"]}));
    }
    let server = serve(&root, &["--json", "utf8"]);
    let api = Api { server: &server, version: 3 };
    let read = |table: &str, request: Value| {
        let session = api.call("TableCreateReadSession", table, "", request);
        api.read(table, &format!("{}&Index=0", id(&session)), json!({})).remove(0)
    };
    let parts = |array: &ArrayRef| {
        let parts = array.as_struct();
        let nanos = parts.column(1).as_primitive::<arrow::datatypes::Int32Type>().value(0);
        assert!(parts.is_null(1));
        (parts.column(0).as_primitive::<Int64Type>().value(0), nanos)
    };
    let batch = read("near", json!({}));
    assert_eq!(names(&batch), ["when", "span", "doc", "n"]);
    assert_eq!(batch.column(0).data_type(), &DataType::Timestamp(TimeUnit::Nanosecond, None));
    let nanos = batch.column(0).as_primitive::<arrow::datatypes::TimestampNanosecondType>();
    assert_eq!(nanos.value(0), 1_700_000_000_123_456_000);
    assert_eq!(parts(batch.column(1)), (-90_061, -500_000_000));
    assert_eq!(batch.column(2).as_string::<i32>().value(0), "{\"a\":1}");
    let large = read("near", json!({"EnableLargeString": true, "ArrowOptions": {"TimestampUnit": "second"}}));
    assert_eq!(large.column(2).as_string::<i64>().value(0), "{\"a\":1}");
    assert_eq!(large.column(0).data_type(), &DataType::Timestamp(TimeUnit::Second, None));
    // The year 9999 does not fit 64 bits of nanoseconds.
    assert_eq!(parts(read("far", json!({})).column(0)), (253_402_300_799, 999_999_000));
}

#[test]
fn refusals_are_told_apart() {
    let root = root();
    let server = serve(&root, &[]);
    let api = Api { server: &server, version: 2 };
    let refused = |action: &str, target: &str, query: &str| api.send(action, target, query, b"{}", &[]).error();
    let (table, create) = (target(TABLE), "TableCreateReadSession");
    for (action, target, query, status, code) in [
        ("Nothing", table.as_str(), "", 501, "NotImplemented"),
        ("", table.as_str(), "", 400, "InvalidParameter"),
        ("VolumeRead", "projects.local.volumes.v", "", 501, "NotImplemented"),
        (create, "local.t", "", 400, "InvalidArgument"),
        (create, "", "", 400, "InvalidParameter"),
        (create, "projects.none.tables.t", "", 404, "NoSuchProject"),
        (create, "projects.local.schemas.none.tables.t", "", 404, "NoSuchSchema"),
        (create, "projects.local.tables.none", "", 404, "NoSuchTable"),
        ("TableGetReadSession", table.as_str(), "&SessionId=none", 404, "NoSuchObject"),
        ("TableRead", table.as_str(), "&SessionId=none", 404, "NoSuchObject"),
        ("TableRead", table.as_str(), "", 400, "InvalidParameter"),
        ("InstanceCreateReadSession", "projects.local.instances.none", "", 404, "NoSuchObject"),
        ("InstanceRead", "projects.local.instances.none", "&SessionId=x", 404, "NoSuchObject"),
    ] {
        assert_eq!(refused(action, target, query), (status, code.into()), "{action} {target} {query}");
    }
    let get = server.raw("GET", &format!("/api/storage/v2?Action=TableRead&Target={table}"), None, &[]);
    assert_eq!(get.error(), (405, "MethodNotAllowed".into()));
    let late = serve(&root, &["--planning-delay-ms", "60000"]);
    let api = Api { server: &late, version: 2 };
    let session = api.call(create, TABLE, "", json!({}));
    assert_eq!(session["SessionStatus"], "INIT");
    assert_eq!(api.refused("TableRead", TABLE, &id(&session), json!({})), (409, "InvalidStateSetting".into()));
}

/// The id of an instance that has run a statement to its end.
fn run(server: &Server, statement: &str) -> String {
    let body = format!(
        "<Instance><Job><Priority>9</Priority><Tasks><SQL><Name>T</Name><Query>{statement}</Query></SQL></Tasks></Job></Instance>"
    );
    let answer = server.post("/api/projects/local/instances", &body);
    assert_eq!(answer.status, 201, "{}", answer.text());
    let id = answer.header("location").unwrap().rsplit('/').next().unwrap().to_string();
    let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !server.get(&format!("/api/projects/local/instances/{id}?instancestatus")).text().contains("Terminated") {
        assert!(std::time::Instant::now() < end, "{statement} does not end");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    id
}

#[test]
fn results_of_instances_are_read_like_tables() {
    let root = root();
    let server = serve(&root, &[]);
    let api = Api { server: &server, version: 2 };
    let instance = format!("projects.local.instances.{}", run(&server, "select * from t limit 10000;"));
    let create = |body: &str| api.send("InstanceCreateReadSession", &instance, "", body.as_bytes(), &[]).json();
    let session = create("{\"EnableLimit\": false}");
    assert_eq!((session["Status"].as_str(), session["RecordCount"].as_i64()), (Some("normal"), Some(10_000)));
    let column = &session["TableSchema"]["DataColumns"][1]["columnType"];
    assert_eq!(
        (column["MemberName"].as_str(), column["ColumnId"].as_i64(), column["Type"].as_i64()),
        (Some("name"), Some(2), Some(4))
    );
    let query = format!("&SessionId={}", session["DownloadID"].as_str().unwrap());
    let again = server.raw(
        "GET",
        &format!("/api/storage/v3?Action=InstanceGetReadSession&Target={instance}{query}"),
        None,
        &[],
    );
    assert_eq!(again.json(), session);
    let read = |more: &str, body: Value| {
        api.send("InstanceRead", &instance, &format!("{query}{more}"), body.to_string().as_bytes(), &[])
    };
    let task = json!({"TaskName": "AnonymousSQLTask", "QueryId": 0, "EnableLimit": false, "Columns": []});
    let all = ids(&read("&Offset=0", task.clone()).batches());
    let mut sorted = all.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, range(0, 10_000));
    assert_eq!(ids(&read("&Offset=100&Count=5", task).batches()), all[100..105]);
    let narrow = read("&Offset=9999", json!({"Columns": ["DS", "id"]})).batch();
    assert_eq!((names(&narrow), narrow.num_rows()), (vec!["ds".into(), "id".into()], 1));
    assert_eq!(read("&Offset=9999&Count=2", json!({})).error(), (400, "InvalidArgument".into()));
    assert_eq!(read("", json!({"Columns": ["x"]})).error(), (400, "InvalidArgument".into()));
    let refused = |statement: &str| {
        let target = format!("projects.local.instances.{}", run(&server, statement));
        api.send("InstanceCreateReadSession", &target, "", b"{}", &[]).error()
    };
    assert_eq!(refused("create table u (a bigint);"), (404, "NoSuchObject".into()), "it is no SELECT");
    assert_eq!(refused("select * from nothing;"), (409, "InvalidStateSetting".into()), "it failed");
}
