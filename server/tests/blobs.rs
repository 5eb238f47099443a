//! Blobs over the wire: up, down, how long they live, and how they lie on disk.

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, AsArray, BinaryArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use common::v2::{Api, at, commit, open, target};
use common::{Answer, Root, Server};
use serde_json::{Value, json};

/// An empty table `b` (id bigint, picture blob, album array<blob>).
fn root() -> Root {
    let root = Root::new();
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
    std::fs::read_dir(root.path().join("blobs")).into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
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
    lz4_flex::frame::FrameDecoder::new(frame_of.as_slice()).read_to_end(&mut plain).unwrap();
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
    assert_eq!(unknown.error(), (400, "InvalidArgument".into()));
    api.write("b", &at(&session, "a", 1), &pictures(&[&kept]));
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(blob_files(&root).len(), 2, "the session may still refer to both");
    assert_eq!(commit(&api, "b", &session, json!({})).status, 200);
    let end = Instant::now() + Duration::from_secs(10);
    while blob_files(&root).len() > 1 {
        assert!(Instant::now() < end, "the blob that no row refers to stays");
        std::thread::sleep(Duration::from_millis(20));
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

/// A text that no compression and no chance makes.
const CANARY: &[u8] = b"the canary sings under the old oak at noon";

/// The files below a directory that show the canary.
fn showing(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(showing(&path));
        } else if std::fs::read(&path).unwrap_or_default().windows(CANARY.len()).any(|window| window == CANARY) {
            found.push(path);
        }
    }
    found
}

/// Bytes of a length, with the canary in each 1000 of them.
fn canaries(length: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..length as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    for place in bytes.chunks_mut(1000).filter(|place| place.len() >= CANARY.len()) {
        place[..CANARY.len()].copy_from_slice(CANARY);
    }
    bytes
}

/// A write session of `b`, and its open stream.
fn writing(api: &Api<'_>) -> String {
    let session = api.writing("b", "", json!({}));
    open(api, "b", &session, "a", 1);
    session
}

fn upload(api: &Api<'_>, session: &str, bytes: &[u8]) -> String {
    let query = format!("{}&PartitionValues=&ColumnIndex=2", at(session, "a", 1));
    let answer = api.send("TableWriteBlob", &target("b"), &query, bytes, &[]);
    assert_eq!(answer.status, 200, "{}", answer.text());
    text(&answer.json()["BlobReference"])
}

fn blob_file(root: &Root, reference: &str) -> PathBuf {
    root.path().join("blobs").join(reference.strip_prefix("blob:").unwrap())
}

/// Exit code of `fsck`, and the kinds of what it found.
fn fsck(root: &Root) -> (Option<i32>, Vec<String>) {
    let output = root.run("fsck", &["--json"]);
    let lines = String::from_utf8(output.stdout).unwrap();
    let kinds = lines
        .lines()
        .filter_map(|line| Some(serde_json::from_str::<Value>(line).unwrap()["kind"].as_str()?.to_string()));
    (output.status.code(), kinds.collect())
}

#[test]
fn blobs_of_an_encrypted_project_show_nothing() {
    let root = root();
    let server = serve(&root, &[]);
    let api = Api { server: &server, version: 3 };
    server.run("setproject odps.storage.encryption=true");
    let session = writing(&api);
    let lengths = [0, 42, 65_535, 65_536, 65_537, 3_000_000];
    let blobs: Vec<Vec<u8>> = lengths.into_iter().map(canaries).collect();
    let mut references: Vec<String> = blobs.iter().map(|bytes| upload(&api, &session, bytes)).collect();
    let frames: Vec<u8> = blobs.iter().flat_map(|bytes| frame(json!({"ColumnIndex": 2}), bytes, Some(bytes))).collect();
    let query = format!("{}&Mode=Batch", at(&session, "a", 1));
    for (body, coding) in [(zstd::encode_all(frames.as_slice(), 1).unwrap(), "zstd"), (frames, "identity")] {
        let answer = api.send("TableWriteBlob", &target("b"), &query, &body, &[("content-encoding", coding)]).json();
        references.extend(answer["BlobReferences"].as_array().unwrap().iter().map(text));
    }
    api.write("b", &at(&session, "a", 1), &pictures(&references.iter().map(String::as_str).collect::<Vec<_>>()));
    assert_eq!(commit(&api, "b", &session, json!({})).status, 200);
    assert_eq!(showing(&root.path()), Vec::<PathBuf>::new());
    drop(server);
    let server = serve(&root, &[]);
    let api = Api { server: &server, version: 2 };
    for (reference, bytes) in references.iter().zip(blobs.iter().cycle()) {
        for coding in ["identity", "zstd"] {
            let body = checked(&read_blobs(&api, &[reference], coding).body);
            let body = if coding == "zstd" { zstd::decode_all(body.as_slice()).unwrap() } else { body };
            assert!(body == *bytes, "{} bytes, {coding}", bytes.len());
        }
    }
    // Off again: new blobs are plain, and both kinds come in one answer.
    server.run("setproject odps.storage.encryption=false");
    let session = writing(&api);
    let plain = upload(&api, &session, &blobs[1]);
    assert_eq!(showing(&root.path()), [blob_file(&root, &plain)], "the check finds plain bytes where they are");
    let two = checked(&read_blobs(&api, &[&references[1], &plain], "identity").body);
    let frame = [&2i64.to_le_bytes()[..], b"{}", &42i64.to_le_bytes(), &blobs[1], &2i64.to_le_bytes(), b"{}"].concat();
    assert!(two == [frame.clone(), frame].concat());
    assert_eq!(fsck(&root), (Some(0), vec![]));
}

#[test]
fn what_was_changed_on_disk_is_not_delivered() {
    let root = root();
    let server = serve(&root, &[]);
    let api = Api { server: &server, version: 3 };
    server.run("setproject odps.storage.encryption=true");
    let session = writing(&api);
    let bytes = canaries(1_500_000);
    let (blob, other) = (upload(&api, &session, &bytes), upload(&api, &session, &canaries(1_500_000)));
    let path = blob_file(&root, &blob);
    let kept = std::fs::read(&path).unwrap();
    let flipped = |at: usize| {
        let mut bytes = kept.clone();
        bytes[at] ^= 1;
        bytes
    };
    let elsewhere = std::fs::read(blob_file(&root, &other)).unwrap();
    let cut = kept[..kept.len() - 1_500_000 % 65_536 - 16].to_vec();
    for (changed, what, kind, begins) in [
        (flipped(1_000_000), "a bit in the middle", "damaged", true),
        (flipped(1000), "a bit at the start", "damaged", false),
        (flipped(5), "a bit of its key", "damaged", false),
        (elsewhere, "another blob", "damaged", false),
        (cut, "the end", "size", true),
        (bytes.clone(), "plain bytes", "size", false),
    ] {
        std::fs::write(&path, &changed).unwrap();
        let answer = read_blobs(&api, &[&blob], "identity");
        if begins {
            assert!(answer.status == 200 && !answer.complete, "{what}: the answer ends as a whole one");
            let whole = answer.body.len() / 4100 * 4100;
            assert!(bytes.starts_with(&checked(&answer.body[..whole])), "{what}: other bytes are delivered");
        } else {
            assert_eq!(answer.error(), (500, "DataStoreError".into()), "{what}");
        }
        assert_eq!(fsck(&root), (Some(3), vec![kind.to_string()]), "{what}");
    }
    std::fs::write(&path, &kept).unwrap();
    assert!(checked(&read_blobs(&api, &[&blob], "identity").body) == bytes);
    assert_eq!(fsck(&root), (Some(0), vec![]));
}

#[test]
fn a_disabled_key_stops_blobs() {
    let root = root();
    let server = serve(&root, &[]);
    let api = Api { server: &server, version: 3 };
    server.run("setproject odps.storage.encryption=true");
    let session = writing(&api);
    let blob = upload(&api, &session, CANARY);
    server.run("setproject odps.storage.encryption.key=disabled");
    let failure = (500, "DataStoreError".to_string());
    assert_eq!(read_blobs(&api, &[&blob], "identity").error(), failure);
    let query = format!("{}&PartitionValues=&ColumnIndex=2", at(&session, "a", 1));
    assert_eq!(api.send("TableWriteBlob", &target("b"), &query, CANARY, &[]).error(), failure);
    assert_eq!(blob_files(&root).len(), 1);
    server.run("setproject odps.storage.encryption.key=enabled");
    assert_eq!(checked(&read_blobs(&api, &[&blob], "identity").body), CANARY);
}

#[test]
fn an_upload_that_is_under_way_shows_nothing_and_leaves_nothing_when_the_server_dies() {
    let root = root();
    let server = serve(&root, &[]);
    let api = Api { server: &server, version: 3 };
    server.run("setproject odps.storage.encryption=true");
    let session = writing(&api);
    let kept = upload(&api, &session, CANARY);
    let query = format!("{}&PartitionValues=&ColumnIndex=2", at(&session, "a", 1));
    let bytes = canaries(6 << 20);
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    let call = format!("/api/storage/v3?Action=TableWriteBlob&Target={}{query}", target("b"));
    let length = bytes.len() * 2;
    write!(stream, "POST {call} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n").unwrap();
    stream.write_all(&bytes).unwrap();
    // Half of the body is there, and the server has written most of it.
    let end = Instant::now() + Duration::from_secs(20);
    let on_disk = || blob_files(&root).iter().map(|path| path.metadata().map_or(0, |found| found.len())).sum::<u64>();
    while on_disk() < 4 << 20 {
        assert!(Instant::now() < end, "the body is not stored while it comes");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(showing(&root.path()), Vec::<PathBuf>::new());
    assert_eq!(blob_files(&root).len(), 2);
    drop(server); // killed, not stopped
    let server = serve(&root, &[]);
    assert_eq!(blob_files(&root), [blob_file(&root, &kept)]);
    let api = Api { server: &server, version: 3 };
    assert_eq!(checked(&read_blobs(&api, &[&kept], "identity").body), CANARY);
    assert_eq!(fsck(&root), (Some(0), vec![]));
}
