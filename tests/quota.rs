//! A service that holds each request to a rate and allows so many at once: a scan uses what it gets, and follows when that changes.
//! Its own service stands in for the real one, so that every moment of it is decided here.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use arrow_array::{Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use maxstorage::client::Client;
use maxstorage::scan::Scan;
use maxstorage::session::Session;
use support::{Exchange, Peer, ipc};

/// Rows of a batch, and batches of a request.
const ROWS: i64 = 1000;
const BATCHES: i64 = 20;
/// Each request gets a batch in this time.
const STEP: Duration = Duration::from_millis(40);

/// The service: how many requests it allows, how many it has, and how many it had to refuse.
struct Quota {
    slots: AtomicI64,
    open: AtomicI64,
    refused: AtomicUsize,
}

fn serve(quota: &Quota, stream: &[u8], exchange: &mut Exchange) {
    if exchange.path().contains("/sessions") {
        let session = r#"{"SessionId":"S1","SessionStatus":"NORMAL","RecordCount":100000000,
            "DataSchema":{"DataColumns":[{"Name":"a","Type":"bigint","Nullable":true}],"PartitionColumns":[]}}"#;
        return exchange.json("201 Created", session);
    }
    if quota.open.fetch_add(1, Ordering::SeqCst) >= quota.slots.load(Ordering::SeqCst) {
        quota.open.fetch_sub(1, Ordering::SeqCst);
        quota.refused.fetch_add(1, Ordering::SeqCst);
        let body = r#"{"Code":"SlotExceeded","Message":"x","HoldClientMillis":"100"}"#;
        return exchange.json("429 Too Many Requests", body);
    }
    let start = Instant::now();
    exchange.begin();
    for (at, part) in stream.chunks(stream.len().div_ceil(BATCHES as usize)).enumerate() {
        std::thread::sleep((STEP * (at as u32 + 1)).saturating_sub(start.elapsed()));
        exchange.chunk(part);
    }
    quota.open.fetch_sub(1, Ordering::SeqCst);
    exchange.end();
}

/// Rows per second for `time`.
fn speed(scan: &Scan, time: Duration) -> f64 {
    let (start, mut rows) = (Instant::now(), 0);
    while start.elapsed() < time {
        rows += scan.next_batch().unwrap().unwrap().1.num_rows();
    }
    rows as f64 / start.elapsed().as_secs_f64()
}

#[test]
fn a_scan_uses_all_its_slots_and_follows_within_two_seconds_when_some_are_withdrawn() {
    let quota = Arc::new(Quota { slots: AtomicI64::new(16), open: AtomicI64::new(0), refused: AtomicUsize::new(0) });
    let schema = Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, true)]));
    let column: Int64Array = (0..ROWS).collect();
    let batch = RecordBatch::try_new(schema, vec![Arc::new(column)]).unwrap();
    let stream = ipc(&vec![batch; BATCHES as usize], None);
    let service = Arc::clone(&quota);
    let peer = Peer::start(move |exchange, _| serve(&service, &stream, exchange));
    let mut options = peer.options();
    for (key, value) in [
        ("split.mode", "row_offset"),
        ("split.rows", "100000000"),
        ("scan.concurrency", "16"),
        ("read.request_rows", &(ROWS * BATCHES).to_string()),
        ("read.batch_rows", &ROWS.to_string()),
        ("read_idle_timeout_ms", "20000"),
    ] {
        options.set(key, value).unwrap();
    }
    let client = Client::open(&options).unwrap();
    let figure = |name: &str| client.metrics().iter().find(|metric| metric.name == name).unwrap().value;
    let scan = Scan::open(&Session::open(&client, &options).unwrap(), &options).unwrap();
    let per_slot = ROWS as f64 / STEP.as_secs_f64();
    speed(&scan, Duration::from_millis(500));
    let full = speed(&scan, Duration::from_secs(2)) / per_slot;
    assert!(full > 16.0 * 0.8, "as fast as {full} slots");
    assert_eq!((figure("refusals"), figure("slots_limit")), (0, 0));
    quota.slots.store(4, Ordering::SeqCst);
    speed(&scan, Duration::from_secs(2));
    assert!(quota.open.load(Ordering::SeqCst) <= 4, "the service has as many as it allows");
    let before = quota.refused.load(Ordering::SeqCst);
    let reduced = speed(&scan, Duration::from_secs(3)) / per_slot;
    let refused = quota.refused.load(Ordering::SeqCst) - before;
    assert!((1.5..=4.8).contains(&reduced), "as fast as {reduced} slots");
    assert!(refused <= 12, "{refused} of some 15 requests were refused");
    assert!((1..=6).contains(&figure("slots_limit")) && figure("slots_held") <= 6, "{}", figure("slots_limit"));
    assert!(figure("refusals") > 0 && figure("throttled") > 0);
    // What is given back is taken up again, one by one.
    quota.slots.store(16, Ordering::SeqCst);
    speed(&scan, Duration::from_secs(4));
    assert!(speed(&scan, Duration::from_secs(1)) / per_slot > reduced * 1.2);
}
