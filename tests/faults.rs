//! What a peer may do wrong, and what the library makes of it: an error with the right status and request id, in time, and
//! never a row too few or too many without one.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use arrow_array::{Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use maxstorage::client::Client;
use maxstorage::error::{Error, Kind};
use maxstorage::options::Options;
use maxstorage::session::Session;
use maxstorage::split::Split;
use support::{Exchange, Peer, ipc};

const COLUMN: &str = r#"{"Name":"a","Type":"bigint","Nullable":true}"#;

fn batch(values: std::ops::Range<i64>) -> RecordBatch {
    let schema = Schema::new(vec![Field::new("a", DataType::Int64, true)]);
    RecordBatch::try_new(Arc::new(schema), vec![Arc::new(values.collect::<Int64Array>())]).unwrap()
}

/// A stream of two batches, 300 rows.
fn stream() -> Vec<u8> {
    ipc(&[batch(0..200), batch(200..300)], None)
}

fn send_whole(exchange: &mut Exchange) {
    exchange.begin();
    exchange.chunk(&stream());
    exchange.end();
}

/// Reads split 0; what came before a failure, and the failure.
fn read(peer: &Peer) -> (u64, Result<(), Error>) {
    let session = Session::open(&peer.client(), &peer.options()).unwrap();
    read_split(&Split::open(&session, 0, &peer.options()).unwrap())
}

fn read_split(split: &Split) -> (u64, Result<(), Error>) {
    let mut rows = 0;
    loop {
        match split.next_batch() {
            Ok(Some(batch)) => {
                let values = batch.column(0).as_any().downcast_ref::<Int64Array>().unwrap();
                for value in values.values() {
                    assert_eq!(*value, rows as i64, "a row is missing or doubled");
                    rows += 1;
                }
            }
            Ok(None) => return (rows, Ok(())),
            Err(error) => return (rows, Err(error)),
        }
    }
}

fn in_time<T>(limit: Duration, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    assert!(start.elapsed() < limit, "it took {:?}", start.elapsed());
    result
}

#[test]
fn a_complete_stream_is_read_with_one_request() {
    let peer = Peer::table(COLUMN, 1, |exchange, _| send_whole(exchange));
    let (rows, end) = read(&peer);
    assert_eq!((rows, end.is_ok()), (300, true));
    assert_eq!(peer.heads().iter().filter(|head| head.contains("/data?")).count(), 1);
}

#[test]
fn an_attached_worker_makes_exactly_one_request() {
    let peer = Peer::table(COLUMN, 1, |exchange, _| send_whole(exchange));
    let token = Session::open(&peer.client(), &peer.options()).unwrap().serialize().unwrap();
    assert!(!String::from_utf8_lossy(&token).contains("local:"), "no credentials in a token");
    let before = peer.heads().len();
    // The worker knows neither the data endpoint nor the project.
    let mut options = Options::new();
    for (key, value) in
        [("endpoint", "http://127.0.0.1:1/api"), ("access_key_id", "local"), ("access_key_secret", "local")]
    {
        options.set(key, value).unwrap();
    }
    let worker = Session::attach(&Client::open(&options).unwrap(), &token).unwrap();
    let (rows, end) = read_split(&Split::open(&worker, 0, &Options::new()).unwrap());
    assert_eq!((rows, end.is_ok()), (300, true));
    assert_eq!(peer.heads().len() - before, 1);
}

#[test]
fn a_clean_end_without_the_marker_is_an_error_with_the_request_id() {
    let peer = Peer::table(COLUMN, 1, |exchange, _| {
        let stream = stream();
        exchange.begin();
        exchange.chunk(&stream[..stream.len() - 8]);
        exchange.end();
    });
    let (rows, end) = read(&peer);
    let error = end.unwrap_err();
    assert_eq!((rows, error.kind(), error.attempts()), (300, Kind::Connection, 3));
    assert_eq!(error.server().request_id, "REQ-9");
    assert!(error.message().contains("without the Arrow end marker"), "{error}");
}

#[test]
fn a_cut_at_every_byte_is_an_error_with_the_request_id() {
    let length = stream().len();
    let cut = Arc::new(AtomicUsize::new(0));
    let place = Arc::clone(&cut);
    let peer = Peer::table(COLUMN, 1, move |exchange, _| {
        exchange.begin();
        match place.load(Ordering::SeqCst) {
            0 => {}
            length => exchange.chunk(&stream()[..length]),
        }
        let _ = exchange.stream.shutdown(std::net::Shutdown::Both);
    });
    let mut options = peer.options();
    options.set("retry.max_attempts", "1").unwrap();
    let session = Session::open(&Client::open(&options).unwrap(), &options).unwrap();
    for at in 0..=length {
        cut.store(at, Ordering::SeqCst);
        let (_, end) = read_split(&Split::open(&session, 0, &options).unwrap());
        let error = end.unwrap_err();
        assert_eq!(
            (error.kind(), error.server().request_id.as_str()),
            (Kind::Connection, "REQ-9"),
            "cut at {at}: {error}"
        );
    }
}

#[test]
fn a_peer_that_stalls_runs_into_the_idle_timeout_at_every_stage() {
    for stage in 0..3 {
        let peer = Peer::table(COLUMN, 1, move |exchange, _| {
            let stream = stream();
            if stage >= 1 {
                exchange.begin();
            }
            if stage >= 2 {
                exchange.chunk(&stream[..stream.len() - 100]);
            }
            exchange.stall();
        });
        let mut options = peer.options();
        options.set("retry.max_attempts", "1").unwrap();
        options.set("connect_timeout_ms", "200").unwrap();
        let session = Session::open(&Client::open(&options).unwrap(), &options).unwrap();
        let (rows, end) = in_time(Duration::from_secs(3), || read_split(&Split::open(&session, 0, &options).unwrap()));
        let error = end.unwrap_err();
        assert_eq!((rows, error.kind()), (if stage == 2 { 200 } else { 0 }, Kind::Timeout), "{error}");
        assert_eq!(error.server().request_id, if stage == 0 { "" } else { "REQ-9" });
    }
}

#[test]
fn cancel_wakes_a_reader_of_a_stalled_peer_and_stays() {
    for begin in [false, true] {
        let peer = Peer::table(COLUMN, 1, move |exchange, _| {
            if begin {
                exchange.begin();
            }
            exchange.stall();
        });
        let mut options = peer.options();
        options.set("read_idle_timeout_ms", "60000").unwrap();
        let session = Session::open(&Client::open(&options).unwrap(), &options).unwrap();
        let split = Arc::new(Split::open(&session, 0, &options).unwrap());
        let reader = {
            let split = Arc::clone(&split);
            std::thread::spawn(move || split.next_batch().unwrap_err().kind())
        };
        std::thread::sleep(Duration::from_millis(100));
        split.cancel();
        // How soon is shown by tests/cancel.rs.
        assert_eq!(reader.join().unwrap(), Kind::Cancelled);
        assert_eq!(split.next_batch().unwrap_err().kind(), Kind::Cancelled);
    }
}

#[test]
fn cancel_and_free_close_the_connection() {
    let closed = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&closed);
    let peer = Peer::table(COLUMN, 1, move |exchange, _| {
        exchange.begin();
        exchange.stall();
        count.fetch_add(1, Ordering::SeqCst);
    });
    let mut options = peer.options();
    options.set("read_idle_timeout_ms", "60000").unwrap();
    let session = Session::open(&Client::open(&options).unwrap(), &options).unwrap();
    for expected in 1..=2 {
        let split = Split::open(&session, 0, &options).unwrap();
        while peer.heads().iter().filter(|head| head.contains("/data?")).count() < expected {
            std::thread::sleep(Duration::from_millis(5));
        }
        if expected == 1 {
            split.cancel()
        } else {
            drop(split)
        }
        in_time(Duration::from_secs(2), || {
            while closed.load(Ordering::SeqCst) < expected {
                std::thread::sleep(Duration::from_millis(5));
            }
        });
    }
}

#[test]
fn nobody_listening_is_a_connection_error_with_the_number_of_attempts() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let peer = Peer::table(COLUMN, 1, |_, _| {});
    let mut options = peer.options();
    options.set("data_endpoint", "").unwrap();
    options.set("endpoint", &format!("http://{port}/api")).unwrap();
    let error =
        in_time(Duration::from_secs(5), || Session::open(&Client::open(&options).unwrap(), &options).unwrap_err());
    assert_eq!((error.kind(), error.attempts()), (Kind::Connection, 3), "{error}");
}

#[test]
fn temporary_refusals_are_tried_again_and_lasting_ones_are_not() {
    for (status, body, requests, kind) in [
        ("503 Service Unavailable", "", 3, Kind::Unavailable),
        (
            "429 Too Many Requests",
            r#"{"Code":"SlotExceeded","Message":"slots","HoldClientMillis":"1"}"#,
            3,
            Kind::Throttled,
        ),
        ("308 Permanent Redirect", "", 3, Kind::Unavailable),
        ("401 Unauthorized", r#"{"Code":"SignatureNotMatch","Message":"no"}"#, 1, Kind::Unauthenticated),
        ("404 Not Found", r#"{"Code":"NoSuchDownload","Message":"no"}"#, 1, Kind::SessionExpired),
        ("409 Conflict", r#"{"Code":"TableModified","Message":"no"}"#, 1, Kind::TableChanged),
    ] {
        let peer = Peer::table(COLUMN, 1, move |exchange, _| exchange.json(status, body));
        let (rows, end) = read(&peer);
        let error = end.unwrap_err();
        assert_eq!((rows, error.kind(), error.attempts()), (0, kind, requests), "{error}");
        assert_eq!(error.server().request_id, "REQ-1");
        let sent = peer.heads().iter().filter(|head| head.contains("/data?")).count();
        assert_eq!(sent, requests as usize);
    }
}

#[test]
fn a_second_attempt_can_succeed() {
    let peer = Peer::table(COLUMN, 1, |exchange, number| match number {
        0 => exchange.json("500 Internal Server Error", ""),
        1 => drop(exchange.stream.shutdown(std::net::Shutdown::Both)),
        _ => send_whole(exchange),
    });
    let (rows, end) = read(&peer);
    assert_eq!((rows, end.is_ok()), (300, true));
}

#[test]
fn planning_waits_for_the_session_and_gives_up_in_time() {
    let session = |status: &str| {
        format!(
            r#"{{"SessionId":"S1","SessionStatus":"{status}","SplitsCount":0,"Message":"disk on fire",
                "DataSchema":{{"DataColumns":[{COLUMN}],"PartitionColumns":[]}}}}"#
        )
    };
    let (going, done, failed) = (session("INIT"), session("NORMAL"), session("CRITICAL"));
    let start = |then: String, after: usize| {
        let going = going.clone();
        Peer::start(move |exchange, number| match number {
            n if n < after => exchange.json("202 Accepted", &going),
            _ => exchange.json("200 OK", &then),
        })
    };
    let peer = start(done, 4);
    let session = in_time(Duration::from_secs(2), || Session::open(&peer.client(), &peer.options()).unwrap());
    assert_eq!((session.split_count(), peer.heads().len()), (0, 5));

    let peer = start(failed, 1);
    let error = Session::open(&peer.client(), &peer.options()).unwrap_err();
    assert!(error.message().contains("disk on fire"), "{error}");
    assert_eq!(error.server().request_id, "REQ-1");

    let peer = start(going.clone(), 0);
    let mut options = peer.options();
    options.set("plan_timeout_ms", "300").unwrap();
    let start = Instant::now();
    let error = in_time(Duration::from_secs(2), || Session::open(&peer.client(), &options).unwrap_err());
    assert_eq!(error.kind(), Kind::Timeout);
    assert!(start.elapsed() >= Duration::from_millis(300), "it gave up after {:?}", start.elapsed());
}

#[test]
fn a_stalled_plan_takes_no_longer_than_its_timeout() {
    // The stage at which the peer stops answering: discovery, creation, the first poll.
    for stage in 0..3 {
        let going = r#"{"SessionId":"S1","SessionStatus":"INIT"}"#;
        let peer = Peer::start(move |exchange, number| match number {
            _ if number == stage => exchange.stall(),
            0 => exchange.answer("200 OK", "", exchange.stream.local_addr().unwrap().to_string().as_bytes()),
            _ => exchange.json("202 Accepted", going),
        });
        let mut options = peer.options();
        for (key, value) in [("data_endpoint", ""), ("plan_timeout_ms", "500"), ("read_idle_timeout_ms", "60000")] {
            options.set(key, value).unwrap();
        }
        let client = Client::open(&options).unwrap();
        let error = in_time(Duration::from_secs(2), || Session::open(&client, &options).unwrap_err());
        assert_eq!(error.kind(), Kind::Timeout, "stage {stage}: {error}");
        assert_eq!(peer.heads().len(), stage + 1);
    }
}

#[test]
fn the_wait_for_an_answer_is_bounded_over_all_attempts() {
    let peer = Peer::table(COLUMN, 1, |exchange, _| exchange.stall());
    let mut options = peer.options();
    options.set("connect_timeout_ms", "300").unwrap();
    let session = Session::open(&Client::open(&options).unwrap(), &options).unwrap();
    // Three attempts of 300 + 400 ms, and two waits of at most 5 and 10 ms.
    let (_, end) = in_time(Duration::from_millis(2600), || read_split(&Split::open(&session, 0, &options).unwrap()));
    let error = end.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (Kind::Timeout, 3), "{error}");
}

#[test]
fn an_endpoint_that_is_gone_is_asked_for_again() {
    let discoveries = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&discoveries);
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let peer = Peer::start(move |exchange, _| {
        let here = exchange.stream.local_addr().unwrap();
        match exchange.path() {
            path if path.contains("/tunnel") => {
                let first = count.fetch_add(1, Ordering::SeqCst) == 0;
                let address = if first { gone } else { here };
                exchange.answer("200 OK", "", address.to_string().as_bytes());
            }
            _ => exchange.json(
                "201 Created",
                &format!(
                    r#"{{"SessionId":"S1","SessionStatus":"NORMAL","SplitsCount":1,
                    "DataSchema":{{"DataColumns":[{COLUMN}],"PartitionColumns":[]}}}}"#
                ),
            ),
        }
    });
    let mut options = peer.options();
    options.set("data_endpoint", "").unwrap();
    let client = Client::open(&options).unwrap();
    assert_eq!(Session::open(&client, &options).unwrap_err().kind(), Kind::Connection);
    Session::open(&client, &options).unwrap();
    Session::open(&client, &options).unwrap();
    assert_eq!(discoveries.load(Ordering::SeqCst), 2, "a good answer is remembered");
}

#[test]
fn a_slow_engine_holds_the_network_back() {
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let peer = Peer::table(COLUMN, 1, move |exchange, _| {
        let big = batch(0..4000);
        let stream = ipc(&vec![big; 2000], None);
        exchange.begin();
        for part in stream.chunks(64 << 10) {
            exchange.chunk(part);
            count.fetch_add(part.len(), Ordering::SeqCst);
        }
        exchange.end();
    });
    let mut options = peer.options();
    options.set("read_idle_timeout_ms", "60000").unwrap();
    let session = Session::open(&Client::open(&options).unwrap(), &options).unwrap();
    let split = Split::open(&session, 0, &options).unwrap();
    std::thread::sleep(Duration::from_millis(700));
    let stalled = sent.load(Ordering::SeqCst);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(stalled, sent.load(Ordering::SeqCst), "the peer goes on while nobody takes a batch");
    assert!(stalled < 32 << 20, "{stalled} bytes were taken in advance");
    let mut rows = 0;
    while let Some(batch) = split.next_batch().unwrap() {
        rows += batch.num_rows();
    }
    assert_eq!(rows, 8_000_000);
}

#[test]
fn a_forced_panic_in_the_reader_is_an_error() {
    let peer = Peer::table(COLUMN, 1, |exchange, _| send_whole(exchange));
    let session = Session::open(&peer.client(), &peer.options()).unwrap();
    let mut options = peer.options();
    options.set("debug.panic", "reader").unwrap();
    let (rows, end) = read_split(&Split::open(&session, 0, &options).unwrap());
    assert_eq!((rows, end.unwrap_err().kind()), (0, Kind::Internal));
    let (rows, end) = read_split(&Split::open(&session, 0, &peer.options()).unwrap());
    assert_eq!((rows, end.is_ok()), (300, true), "the runtime survives");
}

#[test]
fn row_ranges_must_have_exactly_their_rows() {
    // With a filter the service may leave rows out, but never add any.
    for (announced, filter, ok) in
        [(300, "", true), (301, "", false), (299, "", false), (301, "a > 1", true), (299, "a > 1", false)]
    {
        let session = format!(
            r#"{{"SessionId":"S1","SessionStatus":"NORMAL","SplitsCount":-1,"RecordCount":{announced},
                "DataSchema":{{"DataColumns":[{COLUMN}],"PartitionColumns":[]}}}}"#
        );
        let peer = Peer::start(move |exchange, _| match exchange.path() {
            path if path.contains("/sessions") => exchange.json("201 Created", &session),
            _ => send_whole(exchange),
        });
        let mut options = peer.options();
        options.set("split.mode", "row_offset").unwrap();
        options.set("filter.text", filter).unwrap();
        let session = Session::open(&Client::open(&options).unwrap(), &options).unwrap();
        let (_, end) = read_split(&Split::open(&session, 0, &options).unwrap());
        assert_eq!(end.is_ok(), ok, "{announced} {filter}");
    }
}

#[test]
fn the_quota_is_named_to_every_call_and_the_tags_to_all() {
    let peer = Peer::start(|exchange, _| match exchange.path() {
        path if path.contains("/tunnel") => {
            exchange.answer("200 OK", "", exchange.stream.local_addr().unwrap().to_string().as_bytes());
        }
        path if path.contains("/sessions") => exchange.json(
            "201 Created",
            &format!(
                r#"{{"SessionId":"S1","SessionStatus":"NORMAL","SplitsCount":1,
                "DataSchema":{{"DataColumns":[{COLUMN}],"PartitionColumns":[]}}}}"#
            ),
        ),
        _ => send_whole(exchange),
    });
    let mut options = peer.options();
    for (key, value) in [("data_endpoint", ""), ("quota", "pay-as-you-go"), ("tags", "a,b"), ("user_agent", "engine/1")]
    {
        options.set(key, value).unwrap();
    }
    let session = Session::open(&Client::open(&options).unwrap(), &options).unwrap();
    read_split(&Split::open(&session, 0, &options).unwrap()).1.unwrap();
    let heads = peer.heads();
    assert_eq!(heads.len(), 3);
    for head in heads {
        let head = head.to_ascii_lowercase();
        for part in [
            "quotaname=pay-as-you-go",
            "curr_project=p",
            "odps-tunnel-tags: a,b",
            "x-odps-user-agent: engine/1 libmaxstorage/",
        ] {
            assert!(head.contains(part), "{part} is not in {head}");
        }
        assert!(!head.contains("accept-encoding"), "nothing may invite a proxy to compress: {head}");
    }
}

#[test]
fn a_token_with_a_bad_endpoint_is_refused_at_once() {
    let peer = Peer::table(COLUMN, 1, |exchange, _| send_whole(exchange));
    let mut options = peer.options();
    let client = Client::open(&options).unwrap();
    let token = Session::open(&client, &options).unwrap().serialize().unwrap();
    options.set("data_endpoint", "").unwrap();
    let worker = Client::open(&options).unwrap();
    Session::attach(&worker, &token).unwrap();
    assert_eq!(Session::attach(&worker, b"").unwrap_err().kind(), Kind::InvalidArgument);
}
