//! Files that cannot be read without the key of their project.

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use common::{Root, Server, data, sessions};

const SECRET: &[u8] = b"the treasure lies under the old oak";

fn batch(start: i64, secret_name: &str) -> RecordBatch {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(start..start + 1000));
    let text = std::str::from_utf8(SECRET).unwrap();
    let notes: ArrayRef = Arc::new(StringArray::from_iter_values((0..1000).map(|_| text)));
    RecordBatch::try_from_iter([("id", ids), (secret_name, notes)]).unwrap()
}

/// Whether any data file shows a text.
fn shows(root: &Root, text: &[u8]) -> bool {
    let contains = |bytes: &[u8]| bytes.windows(text.len()).any(|window| window == text);
    root.data_files().iter().any(|path| contains(&std::fs::read(path).unwrap()))
}

fn load(root: &Root, start: i64) {
    let file = root.parquet("t.parquet", &batch(start, "hiddencolumn"));
    root.load("local.default.t", &file, &["--if-exists", "append", "--block-rows", "100"]);
}

#[test]
fn new_files_of_a_project_are_encrypted_and_read_as_before() {
    let root = Root::new();
    let server = root.serve(&[]);
    server.run("setproject odps.storage.encryption=true");
    load(&root, 0);
    assert_eq!(root.data_files().len(), 1);
    assert!(!shows(&root, SECRET) && !shows(&root, b"hiddencolumn"), "plain text in an encrypted file");
    assert!(root.data_files().iter().all(|path| std::fs::read(path).unwrap().starts_with(b"PARE")));
    assert_eq!(server.count("t", "{}"), 1000);
    let pruned = server.read("t", "{\"FilterPredicate\":\"id = 555\"}");
    assert_eq!(
        pruned.iter().map(RecordBatch::num_rows).sum::<usize>(),
        100,
        "blocks are pruned by encrypted statistics"
    );
    let written = pruned[0].column(1).as_any().downcast_ref::<StringArray>().unwrap().value(0).to_string();
    assert_eq!(written.as_bytes(), SECRET);
    // The rows of a SELECT are kept for their reader, with the key of the project they come from.
    let select =
        "<Instance><Job><Tasks><SQL><Name>q</Name><Query>select * from t;</Query></SQL></Tasks></Job></Instance>";
    let created = server.post("/api/projects/local/instances", select);
    assert!(matches!(created.status, 200 | 201), "{}", created.text());
    let location = created.header("location").unwrap().rsplit('/').next().unwrap().to_string();
    let end = Instant::now() + Duration::from_secs(10);
    while !server.get(&format!("/api/projects/local/instances/{location}?taskstatus")).text().contains("Success") {
        assert!(Instant::now() < end, "the SELECT does not end");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(root.data_files().len(), 2);
    assert!(!shows(&root, SECRET) && !shows(&root, b"hiddencolumn"), "plain text in a result");
    // Off again: new files are plain, old ones stay as they are, and a table may have both.
    server.run("setproject odps.storage.encryption=false");
    load(&root, 1000);
    assert!(shows(&root, SECRET) && shows(&root, b"hiddencolumn"), "the check finds plain text where it is");
    assert_eq!(server.count("t", "{}"), 2000);
    drop(server);
    assert_eq!(root.serve(&[]).count("t", "{}"), 2000);
}

#[test]
fn a_disabled_key_stops_reading_and_writing() {
    let root = Root::new();
    let server = root.serve(&[]);
    server.run("setproject odps.storage.encryption=true");
    load(&root, 0);
    let session = server.session("t", "{}");
    let id = session["SessionId"].as_str().unwrap().to_string();
    let read = |server: &Server| server.get(&data("t", &format!("session_id={id}&split_index=0")));
    assert_eq!(read(&server).batch().num_rows(), 1000);
    server.run("setproject odps.storage.encryption.key=disabled");
    let failure = (500, "DataStoreError".to_string());
    assert_eq!(server.post(&sessions("t"), "{}").error(), failure);
    assert_eq!(read(&server).error(), failure, "the footer that is in memory does not help");
    let file = root.parquet("more.parquet", &batch(1000, "hiddencolumn"));
    let refused = root.try_load("local.default.t", &file, &["--if-exists", "append"]);
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("is disabled"));
    assert_eq!(root.data_files().len(), 1);
    server.run("setproject odps.storage.encryption.key=enabled");
    assert_eq!(read(&server).batch().num_rows(), 1000);
    // Without the root key nothing can be read.
    drop(server);
    std::fs::remove_file(root.path().join("keys/root.key")).unwrap();
    let server = root.serve(&[]);
    assert_eq!(server.post(&sessions("t"), "{}").status, 500);
}
