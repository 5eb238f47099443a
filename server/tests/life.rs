//! Starting, stopping, crashing, and what survives.

mod common;

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use common::{BINARY, Root, Server, base, data, numbers, sessions};
use serde_json::json;

#[test]
fn sessions_survive_a_restart_and_pin_their_snapshot() {
    let root = Root::new();
    root.load("local.default.t", &root.parquet("a.parquet", &numbers(0, 100)), &[]);
    let mut server = root.serve(&["--replay"]);
    let session = server.session("t", "{}");
    let id = session["SessionId"].as_str().unwrap();
    let before = server.split("t", id, 0);
    assert_eq!(server.split("t", id, 0), before, "a replayed body is the same body");
    for _ in 0..2 {
        root.load("local.default.t", &root.parquet("b.parquet", &numbers(500, 7)), &["--if-exists", "overwrite"]);
    }
    assert_eq!(server.split("t", id, 0), before);
    server.signal("TERM");
    assert_eq!(server.wait(Duration::from_secs(10)), Some(0));
    // As if the files had been replaced long ago: of three files one is visible, one pinned, one garbage.
    assert_eq!(root.data_files().len(), 3);
    let catalogue = rusqlite::Connection::open(root.path().join("catalog.sqlite")).unwrap();
    catalogue.execute("update files set dropped_ms = 1 where dropped_ms is not null", []).unwrap();
    let server = root.serve(&["--garbage-interval-ms", "20"]);
    let end = Instant::now() + Duration::from_secs(20);
    while root.data_files().len() > 2 {
        assert!(Instant::now() < end, "the garbage is still there");
        std::thread::sleep(Duration::from_millis(10));
    }
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(root.data_files().len(), 2);
    assert_eq!(server.split("t", id, 0), before);
    assert_eq!(server.count("t", "{}"), 7);
    let target = format!("{}/sessions/{id}?session_type=batch_read", base("t"));
    assert_eq!(server.get(&target).json()["SessionStatus"], "NORMAL");
}

#[test]
fn kept_answers_have_batches_as_large_as_wanted() {
    let root = Root::new();
    root.load("local.default.t", &root.parquet("a.parquet", &numbers(0, 1000)), &[]);
    let server = root.serve(&["--replay", "--replay-batch-rows", "300"]);
    let session = server.session("t", "{}");
    let id = session["SessionId"].as_str().unwrap();
    for asked in [10, 20_000] {
        let read = data("t", &format!("session_id={id}&split_index=0&max_batch_rows={asked}"));
        let sizes: Vec<usize> = server.get(&read).batches().iter().map(RecordBatch::num_rows).collect();
        assert_eq!(sizes, [300, 300, 300, 100], "{asked}");
    }
}

#[test]
fn expired_sessions_are_told_and_can_be_refreshed() {
    let root = Root::new();
    root.load("local.default.t", &root.parquet("a.parquet", &numbers(0, 10)), &[]);
    let server = root.serve(&["--session-lifetime-s", "1"]);
    let session = server.session("t", "{}");
    let id = session["SessionId"].as_str().unwrap();
    std::thread::sleep(Duration::from_millis(1100));
    let read = data("t", &format!("session_id={id}&split_index=0"));
    assert_eq!(server.get(&read).error(), (409, "StatusConflict".into()));
    let target = format!("{}/sessions/{id}?session_type=batch_read", base("t"));
    assert_eq!(server.get(&target).json()["SessionStatus"], "EXPIRED");
    assert_eq!(server.get(&format!("{target}&session_refresh=true")).json()["SessionStatus"], "NORMAL");
    assert_eq!(server.get(&read).status, 200);
}

#[test]
fn planning_can_take_time() {
    let root = Root::new();
    root.load("local.default.t", &root.parquet("a.parquet", &numbers(0, 10)), &[]);
    let server = root.serve(&["--planning-delay-ms", "1000"]);
    let answer = server.post(&sessions("t"), "{}");
    assert_eq!(answer.status, 202);
    let session = answer.json();
    assert_eq!(session["SessionStatus"], "INIT");
    let id = session["SessionId"].as_str().unwrap();
    let read = data("t", &format!("session_id={id}&split_index=0"));
    assert_eq!(server.get(&read).error(), (409, "StatusConflict".into()));
    let target = format!("{}/sessions/{id}?session_type=batch_read", base("t"));
    let end = Instant::now() + Duration::from_secs(10);
    while server.get(&target).json()["SessionStatus"] != "NORMAL" {
        assert!(Instant::now() < end);
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(server.get(&read).batch().num_rows(), 10);
}

#[test]
fn a_stalled_reader_does_not_stop_the_stop() {
    let root = Root::new();
    root.load("local.default.t", &root.parquet("a.parquet", &numbers(0, 2_000_000)), &[]);
    let mut server = root.serve(&["--no-auth"]);
    let session = server.session("t", "{}");
    let target = data("t", &format!("session_id={}&split_index=0", session["SessionId"].as_str().unwrap()));
    let mut stalled = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    write!(stalled, "GET {target} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut head = [0; 64];
    stalled.read_exact(&mut head).unwrap();
    assert!(head.starts_with(b"HTTP/1.1 200 OK"));
    server.signal("INT");
    assert_eq!(server.wait(Duration::from_secs(20)), Some(0));
    let mut rest = Vec::new();
    let _ = stalled.read_to_end(&mut rest);
    assert!(!rest.ends_with(b"0\r\n\r\n"), "a cut answer must not look complete");
}

#[test]
fn sessions_never_see_half_a_commit() {
    let root = Root::new();
    let file = root.parquet("a.parquet", &numbers(0, 10));
    let load = |root: &Root| {
        root.load("local.default.t", &file, &["--partition", "ds=1", "--if-exists", "overwrite"]);
    };
    load(&root);
    let server = root.serve(&[]);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| (0..15).for_each(|_| load(&root)));
        while !writer.is_finished() {
            assert_eq!(server.count("t", "{}"), 10);
        }
    });
}

#[test]
fn a_failure_in_mid_stream_cuts_the_connection() {
    let root = Root::new();
    root.load("local.default.t", &root.parquet("a.parquet", &numbers(0, 500_000)), &[]);
    let server = root.serve(&[]);
    let session = server.session("t", "{}");
    let target = data("t", &format!("session_id={}&split_index=0", session["SessionId"].as_str().unwrap()));
    assert_eq!(server.get(&target).batch().num_rows(), 500_000);
    let path = root.data_files().remove(0);
    let mut bytes = std::fs::read(&path).unwrap();
    let half = bytes.len() / 2;
    bytes[half..half + 50_000].fill(0);
    std::fs::write(&path, bytes).unwrap();
    let broken = server.get(&target);
    assert_eq!(broken.status, 200);
    assert!(!broken.complete && !broken.body.is_empty());
    assert_eq!(server.get("/api/tenants").status, 200, "the server goes on");
}

#[test]
fn a_killed_load_leaves_nothing_behind() {
    let root = Root::new();
    let file = root.parquet("big.parquet", &numbers(0, 3_000_000));
    let mut load = Command::new(BINARY)
        .args(["load", "--root", root.path().to_str().unwrap(), "--table", "local.default.big"])
        .arg(&file)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let end = Instant::now() + Duration::from_secs(60);
    while root.data_files().is_empty() {
        assert!(Instant::now() < end, "the load wrote no file");
        std::thread::sleep(Duration::from_millis(2));
    }
    load.kill().unwrap();
    load.wait().unwrap();
    assert!(!root.data_files().is_empty(), "the killed load left its file");
    let server = root.serve(&[]);
    assert!(root.data_files().is_empty(), "the start removed it");
    assert_eq!(server.post(&sessions("big"), "{}").error(), (404, "NoSuchTable".into()));
}

#[test]
fn loads_are_checked_and_all_or_nothing() {
    let root = Root::new();
    let file = root.parquet("a.parquet", &numbers(0, 10));
    root.load("local.default.t", &file, &[]);
    let stderr = |output: std::process::Output| {
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(stderr(root.try_load("local.default.t", &file, &[])).contains("already has data"));
    let other = numbers(0, 10).project(&[1]).unwrap();
    let other = root.parquet("b.parquet", &other);
    let message = stderr(root.try_load("local.default.t", &other, &["--if-exists", "append"]));
    assert!(message.contains("column 1 of local.default.t is id"), "{message}");
    let message = stderr(root.try_load("local.default.t", &file, &["--partition", "ds=1", "--if-exists", "append"]));
    assert!(message.contains("ds is not a partition column"), "{message}");
    assert_eq!(root.data_files().len(), 1, "refused loads leave no files");
    // The second file fails when the first is already written.
    let declared = HashMap::from([("maxcompute.type".to_string(), "varchar(3)".to_string())]);
    let schema = Arc::new(Schema::new(vec![Field::new("v", DataType::Utf8, true).with_metadata(declared)]));
    let text = |name: &str, value: &str| {
        let values: ArrayRef = Arc::new(StringArray::from(vec![value]));
        root.parquet(name, &RecordBatch::try_new(schema.clone(), vec![values]).unwrap())
    };
    let (good, bad) = (text("good.parquet", "abc"), text("bad.parquet", "abcd"));
    let paths = [good.to_str().unwrap(), bad.to_str().unwrap()];
    let message = stderr(root.run("load", &["--table", "local.default.v", paths[0], paths[1]]));
    assert!(message.contains("does not fit varchar(3)"), "{message}");
    assert_eq!(root.data_files().len(), 1, "a load that failed half-way leaves no files");
    root.load("local.default.t", &file, &["--if-exists", "append"]);
    let server = root.serve(&[]);
    assert_eq!(server.count("t", "{}"), 20);
}

#[test]
fn tpch_tables_are_complete() {
    let root = Root::new();
    let output = root.run("tpch", &["--project", "bench", "--scale", "0.001"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let again = root.run("tpch", &["--project", "bench", "--scale", "0.001"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(root.run("tpch", &["--project", "bench", "--scale", "0.001", "--if-exists", "skip"]).status.success());
    let server = root.serve(&[]);
    let rows = |table: &str| {
        let target =
            format!("/api/storage/v1/projects/bench/schemas/default/tables/{table}/sessions?session_type=batch_read");
        let body = json!({"SplitOptions": {"SplitMode": "RowOffset"}}).to_string();
        server.post(&target, &body).json()["RecordCount"].as_i64().unwrap()
    };
    let expected = [
        ("orders", 1500),
        ("orders_by_year", 1500),
        ("customer", 150),
        ("part", 200),
        ("supplier", 10),
        ("nation", 25),
    ];
    for (table, count) in expected {
        assert_eq!(rows(table), count, "{table}");
    }
    assert_eq!((rows("region"), rows("partsupp")), (5, 800));
    assert!(rows("lineitem") > 5000);
}

#[test]
fn a_start_leaves_foreign_files_alone() {
    let root = Root::new();
    root.load("local.default.t", &root.parquet("a.parquet", &numbers(0, 10)), &[]);
    let data = root.path().join("data");
    std::fs::copy(&root.data_files()[0], data.join("mine.parquet")).unwrap();
    std::fs::create_dir(data.join("archive")).unwrap();
    std::fs::write(data.join("notes.txt"), "mine").unwrap();
    let orphan = data.join("00000000000000000000000000000000.parquet");
    std::fs::write(&orphan, "x").unwrap();
    let server = root.serve(&[]);
    assert_eq!(server.count("t", "{}"), 10);
    assert!(!orphan.exists());
    for name in ["archive", "mine.parquet", "notes.txt"] {
        assert!(data.join(name).exists(), "{name}");
    }
}

#[test]
fn an_empty_partition_has_no_data() {
    let root = Root::new();
    let partition = ["--partition", "ds=1"];
    root.load("local.default.p", &root.parquet("a.parquet", &numbers(0, 0)), &partition);
    let file = root.parquet("b.parquet", &numbers(0, 5));
    root.load("local.default.p", &file, &partition);
    assert_eq!(root.try_load("local.default.p", &file, &partition).status.code(), Some(1));
}

#[test]
fn nobody_has_to_read_stderr() {
    let root = Root::new();
    // A pipe that nobody drains, and one whose reader is gone.
    for gone in [false, true] {
        let mut server = Server::start_with(&root.path(), &["--no-auth"], "info", Stdio::piped());
        let reader = server.child.stderr.take();
        let _kept = if gone { None } else { reader };
        let target = format!("/api/{}", "x".repeat(4000));
        for _ in 0..40 {
            assert_eq!(server.raw("GET", &target, None, &[]).status, 501);
        }
        server.signal("TERM");
        assert_eq!(server.wait(Duration::from_secs(10)), Some(0));
    }
    let mut tpch = Command::new(BINARY)
        .args(["tpch", "--root", root.path().to_str().unwrap(), "--scale", "0.0001"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(tpch.stderr.take());
    assert_eq!(tpch.wait().unwrap().code(), Some(0));
}

#[test]
fn a_ready_line_that_cannot_be_written_is_an_error() {
    let root = Root::new();
    let output = Command::new(BINARY)
        .args(["serve", "--root", root.path().to_str().unwrap()])
        .stdout(File::options().write(true).open("/dev/full").unwrap())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot print the ready line"));
}

#[test]
fn tpch_checks_all_tables_before_it_makes_one() {
    let root = Root::new();
    root.load("local.default.region", &root.parquet("a.parquet", &numbers(0, 1)), &["--partition", "ds=1"]);
    let output = root.run("tpch", &["--scale", "0.0001", "--if-exists", "overwrite"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("is partitioned by ds"));
    assert_eq!(root.data_files().len(), 1);
}

#[test]
fn a_request_that_never_comes_is_not_waited_for() {
    let root = Root::new();
    let server = root.serve(&["--head-timeout-ms", "300"]);
    let mut stalled = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    stalled.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    write!(stalled, "GET /api/tenants HTTP/1.1\r\nHost: x\r\n").unwrap();
    let mut rest = Vec::new();
    stalled.read_to_end(&mut rest).unwrap();
    assert!(!rest.starts_with(b"HTTP/1.1 200"));
    assert_eq!(server.get("/api/tenants").status, 200);
}
