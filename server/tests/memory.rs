//! A body is never held whole: one that is larger than the memory that the server may take goes through it, in either direction.

mod common;

use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use common::{Root, Server, base, data, numbers};
use serde_json::json;

const BATCHES: i64 = 200;
const BATCH_ROWS: i64 = 64;
const TEXT_BYTES: usize = 32 << 10;
/// Bytes of the texts of one body.
const BODY_BYTES: u64 = BATCHES as u64 * BATCH_ROWS as u64 * TEXT_BYTES as u64;
/// What the server may take at its peak; the buffers of a writer and of the allocator included.
const PEAK_BYTES: u64 = BODY_BYTES * 3 / 4;

fn text(id: i64) -> String {
    format!("{id:0TEXT_BYTES$}")
}

fn batch(first: i64) -> RecordBatch {
    let ids = first..first + BATCH_ROWS;
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values(ids.clone().map(text)));
    RecordBatch::try_new(numbers(0, 0).schema(), vec![Arc::new(Int64Array::from_iter_values(ids)), texts]).unwrap()
}

/// The most memory that the server has had so far.
fn peak(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.child.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

fn check_peak(server: &Server, what: &str) {
    let mib = |bytes: u64| bytes >> 20;
    println!("{what}: a body of {} MiB, {} MiB at the peak of the server", mib(BODY_BYTES), mib(peak(server)));
    assert!(peak(server) < PEAK_BYTES, "{what}: the peak is {} MiB of {}", mib(peak(server)), mib(PEAK_BYTES));
}

/// Sends the block batch by batch and returns its commit message.
fn write_block(server: &Server, session: &str) -> String {
    let target = format!("{}/sessions/{session}/data?block_number=0&attempt_number=0", base("t"));
    let mut socket = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    let head = "Host: x\r\nConnection: close\r\nTransfer-Encoding: chunked";
    write!(socket, "POST {target} HTTP/1.1\r\n{head}\r\n\r\n").unwrap();
    let mut stream = StreamWriter::try_new(Vec::new(), &numbers(0, 0).schema()).unwrap();
    for number in 0..=BATCHES {
        if number < BATCHES {
            stream.write(&batch(number * BATCH_ROWS)).unwrap();
        } else {
            stream.finish().unwrap();
        }
        let bytes = std::mem::take(stream.get_mut());
        write!(socket, "{:x}\r\n", bytes.len()).unwrap();
        socket.write_all(&bytes).unwrap();
        socket.write_all(b"\r\n").unwrap();
    }
    socket.write_all(b"0\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
    let start = body.find('{').unwrap();
    let body: serde_json::Value =
        serde_json::Deserializer::from_str(&body[start..]).into_iter().next().unwrap().unwrap();
    body["CommitMessage"].as_str().unwrap().to_string()
}

/// Reads an answer batch by batch and compares every row.
fn read_all(server: &Server, target: &str, body: Option<&str>) {
    let url = format!("http://127.0.0.1:{}{target}", server.port);
    let answer = body.map_or_else(|| ureq::get(&url).call(), |body| ureq::post(&url).send(body)).unwrap();
    let mut next = 0;
    for batch in StreamReader::try_new(BufReader::new(answer.into_body().into_reader()), None).unwrap() {
        let batch = batch.unwrap();
        let ids = batch.column(0).as_primitive::<Int64Type>();
        for (id, found) in ids.values().iter().zip(batch.column(1).as_string::<i32>()) {
            assert_eq!(*id, next);
            assert!(found == Some(text(next).as_str()), "row {next}");
            next += 1;
        }
    }
    assert_eq!(next, BATCHES * BATCH_ROWS);
}

#[test]
fn bodies_larger_than_the_memory_go_through() {
    let root = Root::new();
    root.load("local.default.t", &root.parquet("empty.parquet", &numbers(0, 0)), &[]);
    let server = root.serve(&["--no-auth"]);
    let session = server.write_session("t", json!({}));
    let id = session["SessionId"].as_str().unwrap();
    let message = write_block(&server, id);
    assert_eq!(server.commit("t", id, &[message]).json()["SessionStatus"], "COMMITTED");
    check_peak(&server, "written");
    drop(server);
    let server = root.serve(&["--no-auth"]);
    let session = server.session("t", r#"{"SplitOptions": {"SplitMode": "Parallelism", "SplitNumber": 1}}"#);
    let id = session["SessionId"].as_str().unwrap();
    read_all(&server, &data("t", &format!("session_id={id}&split_index=0")), None);
    check_peak(&server, "read through version 1");
    let table = "projects.local.schemas.default.tables.t";
    let target = format!("/api/storage/v2?Action=TableRead&Target={table}&SessionId={id}&Index=0");
    read_all(&server, &target, Some("{}"));
    check_peak(&server, "read through version 2");
}
