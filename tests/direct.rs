//! Rows over plain HTTP are read without the HTTP library: framing in every form, connections kept and replaced.

mod support;

use std::collections::HashSet;
use std::io::Write;
use std::net::Shutdown;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow_array::{Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use maxstorage::client::Client;
use maxstorage::error::Kind;
use maxstorage::session::Session;
use maxstorage::split::Split;
use support::{Exchange, Peer, ipc};

const COLUMN: &str = r#"{"Name":"a","Type":"bigint","Nullable":true}"#;
const ROWS: u64 = 500;

fn stream() -> Vec<u8> {
    let schema = Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, true)]));
    let batch = |values: std::ops::Range<i64>| {
        RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(values.collect::<Int64Array>())]).unwrap()
    };
    ipc(&[batch(0..200), batch(200..500)], None)
}

fn read(session: &Session, peer: &Peer) -> Result<u64, Kind> {
    maxstorage::ffi::wake_sockets_late();
    let split = Split::open(session, 0, &peer.options()).unwrap();
    let mut rows = 0;
    while let Some(batch) = split.next_batch().map_err(|error| error.kind())? {
        rows += batch.num_rows() as u64;
    }
    assert_eq!(split.metrics().iter().find(|metric| metric.name == "bytes_copied").unwrap().value, 0);
    Ok(rows)
}

fn whole(exchange: &mut Exchange) {
    exchange.begin();
    exchange.chunk(&stream());
    exchange.end();
}

/// The stream as a chunked body with chunks of `size` bytes, with an extension and a trailer.
fn chunked(size: usize) -> Vec<u8> {
    let mut body = Vec::new();
    for chunk in stream().chunks(size) {
        write!(body, "{:X};name=\"value\"\r\n", chunk.len()).unwrap();
        body.extend_from_slice(chunk);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"0\r\nx-trailer: 1\r\n\r\n");
    body
}

#[test]
fn bodies_are_read_in_every_framing() {
    let answers: Vec<Vec<u8>> = [1, 7, 8, 100, 4096, 1 << 20]
        .map(|size| [b"HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n".to_vec(), chunked(size)].concat())
        .into_iter()
        .chain([
            [format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", stream().len()).into_bytes(), stream()].concat(),
            [
                b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(),
                chunked(50),
            ]
            .concat(),
            [b"HTTP/1.0 200 OK\r\n\r\n".to_vec(), stream()].concat(),
        ])
        .collect();
    let count = answers.len();
    let peer = Peer::table(COLUMN, 1, move |exchange, number| {
        exchange.send(&answers[number]);
        if number + 1 == answers.len() {
            let _ = exchange.stream.shutdown(Shutdown::Both);
        }
    });
    let session = Session::open(&peer.client(), &peer.options()).unwrap();
    for number in 0..count {
        assert_eq!(read(&session, &peer), Ok(ROWS), "answer {number}");
    }
}

#[test]
fn an_answer_in_single_bytes_is_the_same_answer() {
    let peer = Peer::table(COLUMN, 1, |exchange, _| {
        let answer = [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(), chunked(1000)].concat();
        for byte in answer {
            exchange.send(&[byte]);
        }
    });
    let session = Session::open(&peer.client(), &peer.options()).unwrap();
    assert_eq!(read(&session, &peer), Ok(ROWS));
}

#[test]
fn a_slow_answer_is_no_silent_one() {
    let peer = Peer::table(COLUMN, 1, |exchange, _| {
        exchange.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", stream().len()).as_bytes());
        for piece in stream().chunks(400) {
            std::thread::sleep(Duration::from_millis(60));
            exchange.send(piece);
        }
    });
    let mut options = peer.options();
    options.set("read_idle_timeout_ms", "150").unwrap();
    let client = Client::open(&options).unwrap();
    let session = Session::open(&client, &options).unwrap();
    assert_eq!(read(&session, &peer), Ok(ROWS));
    assert_eq!(peer.heads().iter().filter(|head| head.contains("/data?")).count(), 1, "it did not have to ask again");
}

#[test]
fn malformed_framing_is_corrupt_data() {
    for body in ["zz\r\n", "+5\r\nhello\r\n", "5\r\nhelloworld\r\n", &"1".repeat(20_000)] {
        let body = body.to_owned();
        let peer = Peer::table(COLUMN, 1, move |exchange, _| {
            exchange.begin();
            exchange.chunk(&stream()[..100]);
            exchange.send(body.as_bytes());
        });
        let session = Session::open(&peer.client(), &peer.options()).unwrap();
        assert_eq!(read(&session, &peer), Err(Kind::CorruptData));
    }
}

/// The client ports that data requests came from.
fn ports() -> (Arc<Mutex<HashSet<u16>>>, impl Fn(&Exchange)) {
    let ports: Arc<Mutex<HashSet<u16>>> = Arc::default();
    let seen = Arc::clone(&ports);
    (ports, move |exchange: &Exchange| {
        seen.lock().unwrap().insert(exchange.stream.peer_addr().unwrap().port());
    })
}

#[test]
fn a_connection_serves_one_read_after_the_other() {
    let (ports, note) = ports();
    let peer = Peer::table(COLUMN, 1, move |exchange, _| {
        note(exchange);
        whole(exchange);
    });
    let session = Session::open(&peer.client(), &peer.options()).unwrap();
    for _ in 0..5 {
        assert_eq!(read(&session, &peer), Ok(ROWS));
    }
    assert_eq!(ports.lock().unwrap().len(), 1);
}

#[test]
fn a_connection_that_was_closed_meanwhile_is_replaced_without_an_attempt() {
    let (ports, note) = ports();
    let peer = Peer::table(COLUMN, 1, move |exchange, _| {
        note(exchange);
        whole(exchange);
        let _ = exchange.stream.shutdown(Shutdown::Both);
    });
    let mut options = peer.options();
    options.set("retry.max_attempts", "1").unwrap();
    let client = maxstorage::client::Client::open(&options).unwrap();
    let session = Session::open(&client, &options).unwrap();
    for _ in 0..3 {
        assert_eq!(read(&session, &peer), Ok(ROWS));
    }
    assert_eq!(ports.lock().unwrap().len(), 3);
}

#[test]
fn a_peer_that_wants_to_close_gets_a_new_connection() {
    let (ports, note) = ports();
    let peer = Peer::table(COLUMN, 1, move |exchange, _| {
        note(exchange);
        let body = stream();
        exchange.answer("200 OK", "Connection: close\r\n", &body);
    });
    let session = Session::open(&peer.client(), &peer.options()).unwrap();
    for _ in 0..2 {
        assert_eq!(read(&session, &peer), Ok(ROWS));
    }
    assert_eq!(ports.lock().unwrap().len(), 2);
}

#[test]
fn bytes_that_nobody_asked_for_are_no_answer() {
    // After the answer the peer sends another one on its own: the next read must not take it for its own.
    let (ports, note) = ports();
    let peer = Peer::table(COLUMN, 1, move |exchange, number| {
        note(exchange);
        whole(exchange);
        if number == 0 {
            exchange.answer("408 Request Timeout", "Connection: close\r\n", b"");
        }
    });
    let mut options = peer.options();
    options.set("retry.max_attempts", "1").unwrap();
    let session = Session::open(&maxstorage::client::Client::open(&options).unwrap(), &options).unwrap();
    assert_eq!(read(&session, &peer), Ok(ROWS));
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert_eq!(read(&session, &peer), Ok(ROWS));
    assert_eq!(ports.lock().unwrap().len(), 2);
}

#[test]
fn a_silent_kept_connection_gets_a_new_one_within_the_same_attempt() {
    let (ports, note) = ports();
    let first = Mutex::new(None::<u16>);
    let peer = Peer::table(COLUMN, 1, move |exchange, number| {
        note(exchange);
        let port = exchange.stream.peer_addr().unwrap().port();
        let mut first = first.lock().unwrap();
        if number > 0 && *first == Some(port) {
            drop(first);
            return exchange.stall();
        }
        first.get_or_insert(port);
        whole(exchange);
    });
    let mut options = peer.options();
    for (key, value) in [("retry.max_attempts", "1"), ("connect_timeout_ms", "200"), ("read_idle_timeout_ms", "200")] {
        options.set(key, value).unwrap();
    }
    let session = Session::open(&maxstorage::client::Client::open(&options).unwrap(), &options).unwrap();
    for _ in 0..2 {
        assert_eq!(read(&session, &peer), Ok(ROWS));
    }
    assert_eq!(ports.lock().unwrap().len(), 2);
}
