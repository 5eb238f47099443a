//! Each request is told as a span: whose it is, how it ended, and that the service knows it by its own id.

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use arrow_array::{Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use maxstorage::catalog;
use maxstorage::client::Client;
use maxstorage::error::Kind;
use maxstorage::options::{Options, Span, SpanHook, SpanValue};
use maxstorage::session::Session;
use maxstorage::split::Split;
use support::{Exchange, Peer, ipc};

const COLUMN: &str = r#"{"Name":"a","Type":"bigint","Nullable":true}"#;
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Vec<Span>>>);

impl Spans {
    fn told_by(&self, mut options: Options) -> Options {
        let spans = self.clone();
        options.set_span_hook(Some(SpanHook::new(move |span| spans.0.lock().unwrap().push(span.clone()))));
        options
    }

    /// Waits for so many and takes them.
    fn take(&self, count: usize) -> Vec<Span> {
        let start = Instant::now();
        while self.0.lock().unwrap().len() < count {
            assert!(start.elapsed() < Duration::from_secs(5), "{:?}", self.0.lock().unwrap());
            std::thread::sleep(Duration::from_millis(2));
        }
        let spans = std::mem::take(&mut *self.0.lock().unwrap());
        assert_eq!(spans.len(), count, "{spans:?}");
        spans
    }
}

fn text(span: &Span, name: &str) -> String {
    match span.0.iter().find(|(known, _)| *known == name) {
        Some((_, SpanValue::Text(text))) => text.clone(),
        other => panic!("{name} is {other:?} in {span:?}"),
    }
}

fn number(span: &Span, name: &str) -> i64 {
    match span.0.iter().find(|(known, _)| *known == name) {
        Some((_, SpanValue::Number(number))) => *number,
        other => panic!("{name} is {other:?} in {span:?}"),
    }
}

fn traced(peer: &Peer, flags: &str) -> Options {
    let mut options = peer.options();
    options.set("trace.parent", &format!("00-{TRACE}-{PARENT}-{flags}")).unwrap();
    options
}

fn stream() -> Vec<u8> {
    let schema = Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, true)]));
    let batch = RecordBatch::try_new(schema, vec![Arc::new((0..100).collect::<Int64Array>())]).unwrap();
    ipc(&[batch.clone(), batch], None)
}

fn whole(exchange: &mut Exchange) {
    exchange.begin();
    exchange.chunk(&stream());
    exchange.end();
}

/// The traces that the last requests named.
fn headers(peer: &Peer, count: usize) -> Vec<String> {
    let heads = peer.heads();
    let of =
        |head: &String| head.lines().find_map(|line| line.strip_prefix("traceparent: ")).unwrap_or("none").to_owned();
    heads[heads.len() - count..].iter().map(of).collect()
}

fn drain(split: &Split) {
    while split.next_batch().unwrap().is_some() {}
}

#[test]
fn requests_are_children_of_the_callers_span_and_parents_of_the_services() {
    let (peer, spans) = (Peer::table(COLUMN, 3, |exchange, _| whole(exchange)), Spans::default());
    let before = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap();
    let options = spans.told_by(traced(&peer, "01"));
    let session = Session::open(&Client::open(&options).unwrap(), &peer.options()).unwrap();
    session.refresh(None).unwrap();
    drain(&Split::open(&session, 2, &Options::new()).unwrap());
    let told = spans.take(3);
    let names: Vec<_> = told.iter().map(|span| text(span, "name")).collect();
    assert_eq!(names, ["maxstorage.plan", "maxstorage.refresh", "maxstorage.read"]);
    let mut last = before;
    for (span, header) in told.iter().zip(headers(&peer, 3)) {
        assert_eq!((text(span, "trace_id"), text(span, "parent_span_id")), (TRACE.into(), PARENT.into()));
        assert_eq!(header, format!("00-{TRACE}-{}-01", text(span, "span_id")));
        assert_eq!(
            (number(span, "status"), text(span, "status_name"), text(span, "message")),
            (0, "MS_OK".into(), "".into())
        );
        let (start, end) = (number(span, "start_unix_ns"), number(span, "end_unix_ns"));
        assert!(start >= last && end > start && end < start + 5_000_000_000);
        last = start;
        assert_eq!((number(span, "attempt"), text(span, "endpoint")), (1, format!("http://{}", peer.address)));
        assert!(number(span, "bytes") > 0 && text(span, "path").contains("/projects/p/"));
        assert!([200, 201].contains(&number(span, "http_status")));
    }
    assert_eq!((text(&told[0], "method"), text(&told[2], "method")), ("POST".into(), "GET".into()));
    assert_eq!((number(&told[2], "split"), number(&told[2], "bytes")), (2, stream().len() as i64));
    assert!(text(&told[0], "request_id").starts_with("REQ"), "{told:?}");
    assert!(!told[0].0.iter().any(|(name, _)| *name == "split"));
}

#[test]
fn every_attempt_has_a_span_of_its_own_that_tells_how_it_failed() {
    let (count, spans) = (AtomicUsize::new(0), Spans::default());
    let peer = Peer::table(COLUMN, 1, move |exchange, _| match count.fetch_add(1, Ordering::SeqCst) {
        0 => exchange.json("503 Service Unavailable", r#"{"Code":"ServiceUnavailable","Message":"later"}"#),
        1 => {
            let bytes = stream();
            exchange.begin();
            exchange.chunk(&bytes[..bytes.len() - 100]);
            let _ = exchange.stream.shutdown(std::net::Shutdown::Both);
        }
        2 => whole(exchange),
        _ => {
            exchange.begin();
            exchange.chunk(b"not Arrow at all, and nothing more");
            exchange.end();
        }
    });
    let plain = Session::open(&peer.client(), &peer.options()).unwrap();
    let read = spans.told_by(traced(&peer, "01"));
    drain(&Split::open(&plain, 0, &read).unwrap());
    let told = spans.take(3);
    let outcomes: Vec<_> = told
        .iter()
        .map(|span| (text(span, "status_name"), number(span, "http_status"), number(span, "attempt")))
        .collect();
    let expected = [("MS_UNAVAILABLE", 503, 1), ("MS_CONNECTION", 200, 2), ("MS_OK", 200, 3)];
    assert_eq!(outcomes, expected.map(|(name, status, attempt)| (name.to_owned(), status, attempt)));
    assert!(text(&told[0], "message").contains("later"), "{told:?}");
    let ids: std::collections::HashSet<_> = told.iter().map(|span| text(span, "span_id")).collect();
    assert_eq!(ids.len(), 3);
    // Bytes that came in whole and are no rows.
    let failed = Split::open(&plain, 0, &read).unwrap();
    assert_eq!(failed.next_batch().unwrap_err().kind(), Kind::CorruptData);
    assert_eq!(text(&spans.take(1)[0], "status_name"), "MS_CORRUPT_DATA");
}

#[test]
fn what_nobody_waits_for_is_cancelled_and_what_nobody_wants_more_of_is_well() {
    let (peer, spans) = (
        Peer::table(COLUMN, 1, |exchange, number| match number {
            0 => exchange.stall(),
            1 => {
                exchange.begin();
                exchange.chunk(&stream()[..300]);
                exchange.stall();
            }
            _ => whole(exchange),
        }),
        Spans::default(),
    );
    let plain = Session::open(&peer.client(), &peer.options()).unwrap();
    let mut read = spans.told_by(Options::new());
    for number in 0..2 {
        let split = Split::open(&plain, 0, &read).unwrap();
        let start = Instant::now();
        while peer.heads().iter().filter(|head| head.contains("/data?")).count() <= number {
            assert!(start.elapsed() < Duration::from_secs(5));
        }
        std::thread::sleep(Duration::from_millis(20));
        split.cancel();
        assert_eq!(text(&spans.take(1)[0], "status_name"), "MS_CANCELLED");
    }
    read.set("read.row_count", "150").unwrap();
    drain(&Split::open(&plain, 0, &read).unwrap());
    assert_eq!(text(&spans.take(1)[0], "status_name"), "MS_OK");
}

#[test]
fn without_a_parent_each_request_is_a_trace_and_what_is_not_sampled_is_left_alone() {
    let (peer, spans) = (Peer::table(COLUMN, 1, |exchange, _| whole(exchange)), Spans::default());
    let client = Client::open(&spans.told_by(peer.options())).unwrap();
    let session = Session::open(&client, &peer.options()).unwrap();
    drain(&Split::open(&session, 0, &Options::new()).unwrap());
    catalog::table_schema(&client, "t").unwrap_err();
    let told = spans.take(3);
    for (span, header) in told.iter().zip(headers(&peer, 3)) {
        assert_eq!(text(span, "parent_span_id"), "");
        assert_eq!(header, format!("00-{}-{}-01", text(span, "trace_id"), text(span, "span_id")));
        assert_eq!((text(span, "trace_id").len(), text(span, "span_id").len()), (32, 16));
    }
    assert_ne!(text(&told[0], "trace_id"), text(&told[1], "trace_id"));
    assert_eq!((text(&told[2], "name"), number(&told[2], "http_status")), ("maxstorage.catalogue".into(), 404));

    // The trace of a read with the callback of its client, and one that is not sampled.
    drain(&Split::open(&session, 0, &traced(&peer, "01")).unwrap());
    assert_eq!(text(&spans.take(1)[0], "trace_id"), TRACE);
    drain(&Split::open(&session, 0, &traced(&peer, "00")).unwrap());
    assert_eq!(headers(&peer, 1), [format!("00-{TRACE}-{PARENT}-00")]);
    spans.take(0);
}
