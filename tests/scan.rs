//! Scans: every row of every split once, for any number of threads, in both orders; one failure ends all.

mod support;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use arrow_array::{Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use maxstorage::client::Client;
use maxstorage::error::Kind;
use maxstorage::options::Options;
use maxstorage::scan::Scan;
use maxstorage::session::Session;
use maxstorage::split::Split;
use support::{Exchange, Peer, ipc};

const COLUMN: &str = r#"{"Name":"a","Type":"bigint","Nullable":true}"#;
/// Rows of each split, in three batches.
const ROWS: i64 = 300;

fn batch(values: std::ops::Range<i64>) -> RecordBatch {
    let schema = Schema::new(vec![Field::new("a", DataType::Int64, true)]);
    RecordBatch::try_new(Arc::new(schema), vec![Arc::new(values.collect::<Int64Array>())]).unwrap()
}

fn split_of(exchange: &Exchange) -> i64 {
    let (_, rest) = exchange.path().split_once("split_index=").unwrap();
    rest.split('&').next().unwrap().parse().unwrap()
}

/// Split i has the values i * 1000 .. i * 1000 + 300.
fn stream(split: i64) -> Vec<u8> {
    let start = split * 1000;
    ipc(&[batch(start..start + 100), batch(start + 100..start + 150), batch(start + 150..start + ROWS)], None)
}

fn send_whole(exchange: &mut Exchange) {
    let bytes = stream(split_of(exchange));
    exchange.begin();
    exchange.chunk(&bytes);
    exchange.end();
}

fn open(peer: &Peer, more: &[(&str, &str)]) -> Scan {
    let mut options: Options = peer.options();
    for (key, value) in more {
        options.set(key, value).unwrap();
    }
    let session = Session::open(&Client::open(&options).unwrap(), &options).unwrap();
    Scan::open(&session, &options).unwrap()
}

fn values(batch: &RecordBatch) -> Vec<i64> {
    batch.column(0).as_any().downcast_ref::<Int64Array>().unwrap().values().to_vec()
}

/// Takes everything with `threads` threads; the rows by split in the order of arrival, checked to be complete.
fn read_all(scan: &Arc<Scan>, splits: i64, threads: usize) {
    let rows: Arc<Mutex<HashMap<i64, Vec<i64>>>> = Arc::default();
    let threads: Vec<_> = (0..threads)
        .map(|_| {
            let (scan, rows) = (Arc::clone(scan), Arc::clone(&rows));
            std::thread::spawn(move || {
                while let Some((split, batch)) = scan.next_batch().unwrap() {
                    rows.lock().unwrap().entry(split).or_default().extend(values(&batch));
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let mut rows = rows.lock().unwrap();
    for split in 0..splits {
        let mut values = rows.remove(&split).unwrap();
        values.sort_unstable();
        assert_eq!(values, (split * 1000..split * 1000 + ROWS).collect::<Vec<_>>());
    }
    assert!(rows.is_empty());
    assert_eq!(scan.progress(), 1.0);
    assert!(scan.next_batch().unwrap().is_none(), "the end stays");
}

#[test]
fn many_threads_take_every_row_once() {
    for (ordered, threads, concurrency) in
        [("false", 4, "3"), ("true", 4, "3"), ("false", 1, "1"), ("true", 1, "100"), ("false", 8, "100")]
    {
        let peer = Peer::table(COLUMN, 17, |exchange, _| send_whole(exchange));
        let scan = open(&peer, &[("scan.ordered", ordered), ("scan.concurrency", concurrency)]);
        read_all(&Arc::new(scan), 17, threads);
        assert_eq!(peer.heads().iter().filter(|head| head.contains("/data?")).count(), 17, "one request each");
    }
}

#[test]
fn an_ordered_scan_keeps_the_order_whatever_arrives_first() {
    // The earlier a split, the later it answers.
    let peer = Peer::table(COLUMN, 6, |exchange, _| {
        std::thread::sleep(Duration::from_millis(60 - 10 * split_of(exchange) as u64));
        send_whole(exchange);
    });
    let scan = open(&peer, &[("scan.ordered", "true"), ("scan.concurrency", "6")]);
    let mut seen = Vec::new();
    while let Some((split, batch)) = scan.next_batch().unwrap() {
        assert_eq!(values(&batch)[0] / 1000, split);
        seen.extend(values(&batch));
    }
    assert_eq!(seen, (0..6).flat_map(|split| split * 1000..split * 1000 + ROWS).collect::<Vec<_>>());
}

#[test]
fn no_more_splits_are_read_at_once_than_asked() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (running, highest) = (Arc::clone(&now), Arc::clone(&most));
    let peer = Peer::table(COLUMN, 20, move |exchange, _| {
        highest.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(10));
        running.fetch_sub(1, Ordering::SeqCst);
        send_whole(exchange);
    });
    read_all(&Arc::new(open(&peer, &[("scan.concurrency", "4")])), 20, 2);
    assert!((2..=4).contains(&most.load(Ordering::SeqCst)), "{most:?}");
}

#[test]
fn a_broken_split_goes_on_by_itself() {
    let broken = Mutex::new(HashMap::<i64, usize>::new());
    let peer = Peer::table(COLUMN, 9, move |exchange, _| {
        let split = split_of(exchange);
        let times = { *broken.lock().unwrap().entry(split).and_modify(|times| *times += 1).or_insert(1) };
        if times == 1 {
            let bytes = stream(split);
            exchange.begin();
            exchange.chunk(&bytes[..bytes.len() * split as usize / 9 + 1]);
            let _ = exchange.stream.shutdown(std::net::Shutdown::Both);
        } else {
            send_whole(exchange);
        }
    });
    let scan = Arc::new(open(&peer, &[("scan.concurrency", "3"), ("retry.initial_backoff_ms", "1")]));
    read_all(&scan, 9, 2);
    assert_eq!(scan.metrics().iter().find(|metric| metric.name == "resumes").unwrap().value, 9);
}

/// Answers that wait until they are let go of.
#[derive(Clone, Default)]
struct Held(Arc<(Mutex<HashMap<i64, usize>>, Condvar)>);

impl Held {
    /// Waits for the next turn of a split.
    fn wait(&self, split: i64) {
        let mut turns = self.0.0.lock().unwrap();
        while turns.get(&split).is_none_or(|turns| *turns == 0) {
            turns = self.0.1.wait(turns).unwrap();
        }
        *turns.get_mut(&split).unwrap() -= 1;
    }

    /// Gives a split a turn.
    fn let_go(&self, split: i64) {
        *self.0.0.lock().unwrap().entry(split).or_default() += 1;
        self.0.1.notify_all();
    }
}

fn until(what: impl Fn() -> bool) {
    let start = Instant::now();
    while !what() {
        assert!(start.elapsed() < Duration::from_secs(5));
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn reads(peer: &Peer) -> usize {
    peer.heads().iter().filter(|head| head.contains("/data?")).count()
}

#[test]
fn all_is_requested_when_the_last_split_is_and_stays_so_after_a_break() {
    for ordered in ["false", "true"] {
        let (held, times) = (Held::default(), AtomicUsize::new(0));
        let waiting = held.clone();
        let peer = Peer::table(COLUMN, 3, move |exchange, _| {
            let split = split_of(exchange);
            waiting.wait(split);
            if split == 2 && times.fetch_add(1, Ordering::SeqCst) == 0 {
                let bytes = stream(split);
                exchange.begin();
                exchange.chunk(&bytes[..bytes.len() / 2]);
                let _ = exchange.stream.shutdown(std::net::Shutdown::Both);
            } else {
                send_whole(exchange);
            }
        });
        let options = [("scan.ordered", ordered), ("scan.concurrency", "2"), ("read_idle_timeout_ms", "10000")];
        let scan = Arc::new(open(&peer, &options));
        until(|| reads(&peer) == 2);
        assert!(!scan.all_requested(), "one waits for a request to end");
        held.let_go(0);
        if ordered == "true" {
            // A lane is free when its batches were taken.
            for _ in 0..3 {
                assert_eq!(scan.next_batch().unwrap().unwrap().0, 0);
            }
        }
        until(|| scan.all_requested());
        until(|| reads(&peer) == 3);
        held.let_go(1);
        held.let_go(2);
        until(|| reads(&peer) == 4);
        assert!(scan.all_requested(), "what goes on after a break was requested before");
        held.let_go(2);
        while scan.next_batch().unwrap().is_some() {}
        assert!(scan.all_requested());
    }
}

#[test]
fn a_request_that_waits_for_a_slot_is_not_out() {
    let held = Held::default();
    let waiting = held.clone();
    let peer = Peer::table(COLUMN, 2, move |exchange, _| {
        waiting.wait(split_of(exchange));
        send_whole(exchange);
    });
    let mut options = peer.options();
    options.set("limits.concurrent_requests", "1").unwrap();
    options.set("read_idle_timeout_ms", "10000").unwrap();
    let session = Session::open(&Client::open(&options).unwrap(), &options).unwrap();
    let first = Split::open(&session, 0, &options).unwrap();
    until(|| first.all_requested());
    let (second, third) = (Split::open(&session, 1, &options).unwrap(), Split::open(&session, 1, &options).unwrap());
    std::thread::sleep(Duration::from_millis(50));
    assert!(!second.all_requested() && !third.all_requested());
    third.cancel();
    assert!(third.all_requested(), "nothing will be asked for");
    held.let_go(0);
    until(|| second.all_requested());
    held.let_go(1);
    for split in [first, second] {
        while split.next_batch().unwrap().is_some() {}
        assert!(split.all_requested());
    }
}

#[test]
fn the_failure_of_one_split_ends_the_scan_for_all_threads() {
    for ordered in ["false", "true"] {
        let peer = Peer::table(COLUMN, 8, |exchange, _| match split_of(exchange) {
            5 => exchange.json("409 Conflict", r#"{"Code":"TableModified","Message":"no"}"#),
            _ => send_whole(exchange),
        });
        let scan = Arc::new(open(&peer, &[("scan.ordered", ordered), ("scan.concurrency", "2")]));
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let scan = Arc::clone(&scan);
                std::thread::spawn(move || {
                    loop {
                        match scan.next_batch() {
                            Ok(Some(_)) => {}
                            Ok(None) => panic!("an end, though a split failed"),
                            Err(error) => return error,
                        }
                    }
                })
            })
            .collect();
        for thread in threads {
            let error = thread.join().unwrap();
            assert_eq!((error.kind(), error.server().request_id.as_str()), (Kind::TableChanged, "REQ-1"));
            assert!(error.message().contains("split 5"), "{error}");
        }
    }
}

#[test]
fn a_panic_in_a_reader_is_an_error_of_the_scan() {
    for ordered in ["false", "true"] {
        let peer = Peer::table(COLUMN, 4, |exchange, _| send_whole(exchange));
        let scan = open(&peer, &[("scan.ordered", ordered), ("debug.panic", "reader")]);
        assert_eq!(scan.next_batch().unwrap_err().kind(), Kind::Internal);
    }
}

#[test]
fn cancel_and_drop_end_everything_at_once() {
    let closed = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&closed);
    let peer = Peer::table(COLUMN, 5, move |exchange, _| {
        exchange.begin();
        exchange.stall();
        count.fetch_add(1, Ordering::SeqCst);
    });
    let scan = Arc::new(open(&peer, &[("read_idle_timeout_ms", "60000"), ("scan.concurrency", "5")]));
    let threads: Vec<_> = (0..3)
        .map(|_| {
            let scan = Arc::clone(&scan);
            std::thread::spawn(move || scan.next_batch().unwrap_err().kind())
        })
        .collect();
    while peer.heads().iter().filter(|head| head.contains("/data?")).count() < 5 {
        std::thread::sleep(Duration::from_millis(5));
    }
    let start = Instant::now();
    scan.cancel();
    threads.into_iter().for_each(|thread| assert_eq!(thread.join().unwrap(), Kind::Cancelled));
    assert!(start.elapsed() < Duration::from_millis(500));
    while closed.load(Ordering::SeqCst) < 5 {
        assert!(start.elapsed() < Duration::from_secs(2), "connections stay open");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_scan_with_a_row_limit_ends_there_and_stops_reading() {
    for (limit, threads) in [(1, 1), (100, 2), (150, 1), (299, 3), (450, 2), (1199, 4), (1200, 2), (5000, 2)] {
        let peer = Peer::table(COLUMN, 4, |exchange, _| send_whole(exchange));
        let scan = Arc::new(open(&peer, &[("scan.row_limit", &limit.to_string())]));
        let threads: Vec<_> = (0..threads)
            .map(|_| {
                let scan = Arc::clone(&scan);
                std::thread::spawn(move || {
                    let mut rows = Vec::new();
                    while let Some((split, batch)) = scan.next_batch().unwrap() {
                        assert!(batch.num_rows() > 0);
                        rows.extend(values(&batch).into_iter().inspect(|value| assert_eq!(value / 1000, split)));
                    }
                    rows
                })
            })
            .collect();
        let mut rows: Vec<i64> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        assert_eq!(rows.len(), limit.min(4 * ROWS as usize));
        rows.sort_unstable();
        rows.dedup();
        assert_eq!(rows.len(), limit.min(4 * ROWS as usize), "no row twice");
        assert!(scan.next_batch().unwrap().is_none() && scan.try_next_batch().map(Result::unwrap).is_ready());
    }
}

#[test]
fn an_ordered_scan_with_a_row_limit_has_the_first_rows() {
    let peer = Peer::table(COLUMN, 3, |exchange, _| {
        if split_of(exchange) == 2 {
            exchange.stall();
        }
        send_whole(exchange);
    });
    let scan = open(&peer, &[("scan.row_limit", "420"), ("scan.ordered", "true")]);
    let mut rows = Vec::new();
    while let Some((_, batch)) = scan.next_batch().unwrap() {
        rows.extend(values(&batch));
    }
    assert_eq!(rows, (0..300).chain(1000..1120).collect::<Vec<i64>>());
}

#[test]
fn row_limits_are_for_scans() {
    let peer = Peer::table(COLUMN, 1, |exchange, _| send_whole(exchange));
    let mut options = peer.options();
    options.set("scan.row_limit", "5").unwrap();
    let session = Session::open(&peer.client(), &options).unwrap();
    let error = Split::open(&session, 0, &options).unwrap_err();
    assert_eq!(error.kind(), Kind::InvalidOption);
    assert!(error.message().contains("read.row_count"), "{error}");
}

#[test]
fn a_deadline_ends_a_wait_and_the_scan_goes_on() {
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let closed = Arc::clone(&gate);
    let peer = Peer::table(COLUMN, 2, move |exchange, _| {
        let (open, changed) = &*closed;
        drop(changed.wait_while(open.lock().unwrap(), |open| !*open).unwrap());
        send_whole(exchange);
    });
    let scan = Arc::new(open(&peer, &[]));
    let waiting: Vec<_> = (0..2)
        .map(|_| {
            let scan = Arc::clone(&scan);
            let deadline = Instant::now() + Duration::from_millis(50);
            std::thread::spawn(move || scan.next_batch_until(Some(deadline)).unwrap_err())
        })
        .collect();
    for thread in waiting {
        assert_eq!(thread.join().unwrap().kind(), Kind::DeadlineExceeded);
    }
    *gate.0.lock().unwrap() = true;
    gate.1.notify_all();
    read_all(&scan, 2, 2);
}

#[test]
fn a_session_without_splits_ends_at_once() {
    let peer = Peer::table(COLUMN, 0, |_, _| {});
    let scan = open(&peer, &[]);
    assert!(scan.next_batch().unwrap().is_none());
    assert_eq!(scan.progress(), 1.0);
}

#[test]
fn a_throttling_service_is_asked_less_and_everything_still_arrives() {
    // The service bears three requests at a time and refuses every further one.
    let (now, refusals) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (running, refused) = (Arc::clone(&now), Arc::clone(&refusals));
    let peer = Peer::table(COLUMN, 60, move |exchange, _| {
        if running.fetch_add(1, Ordering::SeqCst) >= 3 {
            refused.fetch_add(1, Ordering::SeqCst);
            running.fetch_sub(1, Ordering::SeqCst);
            return exchange
                .json("429 Too Many Requests", r#"{"Code":"SlotExceeded","Message":"x","HoldClientMillis":"1"}"#);
        }
        std::thread::sleep(Duration::from_millis(5));
        running.fetch_sub(1, Ordering::SeqCst);
        send_whole(exchange);
    });
    let more = [("scan.concurrency", "32"), ("retry.max_attempts", "30"), ("retry.initial_backoff_ms", "5")];
    read_all(&Arc::new(open(&peer, &more)), 60, 2);
    // Without adapting, 32 readers would keep running into the limit for all 60 splits.
    assert!(refusals.load(Ordering::SeqCst) < 60, "{refusals:?}");
}

#[test]
fn the_limit_of_a_client_holds_over_all_its_scans() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (running, highest) = (Arc::clone(&now), Arc::clone(&most));
    let peer = Peer::table(COLUMN, 12, move |exchange, _| {
        highest.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(5));
        running.fetch_sub(1, Ordering::SeqCst);
        send_whole(exchange);
    });
    let mut options = peer.options();
    options.set("limits.concurrent_requests", "3").unwrap();
    let client = Client::open(&options).unwrap();
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let session = Session::open(&client, &options).unwrap();
            let scan = Arc::new(Scan::open(&session, &options).unwrap());
            std::thread::spawn(move || read_all(&scan, 12, 1))
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert!((2..=3).contains(&most.load(Ordering::SeqCst)), "{most:?}");
}

#[test]
fn reads_of_a_higher_priority_get_the_free_slots_first() {
    let (gate, asked) = (Arc::new((Mutex::new(false), Condvar::new())), Arc::new(Mutex::new(Vec::new())));
    let (held, seen) = (Arc::clone(&gate), Arc::clone(&asked));
    let peer = Peer::table(COLUMN, 5, move |exchange, _| {
        seen.lock().unwrap().push(split_of(exchange));
        drop(held.1.wait_while(held.0.lock().unwrap(), |open| !*open).unwrap());
        send_whole(exchange);
    });
    let mut options = peer.options();
    for (key, value) in [("limits.concurrent_requests", "1"), ("read_idle_timeout_ms", "20000")] {
        options.set(key, value).unwrap();
    }
    let client = Client::open(&options).unwrap();
    let session = Session::open(&client, &options).unwrap();
    let waiting = || client.metrics().iter().find(|metric| metric.name == "slots_waiting").unwrap().value;
    let splits: Vec<Split> = (0..)
        .zip(["0", "0", "3", "7", "3"])
        .map(|(index, priority)| {
            options.set("read.priority", priority).unwrap();
            let split = Split::open(&session, index, &options).unwrap();
            while asked.lock().unwrap().len() + usize::try_from(waiting()).unwrap() <= usize::try_from(index).unwrap() {
                std::thread::yield_now();
            }
            split
        })
        .collect();
    *gate.0.lock().unwrap() = true;
    gate.1.notify_all();
    for split in &splits {
        while split.next_batch().unwrap().is_some() {}
    }
    assert_eq!(*asked.lock().unwrap(), [0, 3, 2, 4, 1]);
}

/// A scan whose engine waits for split 0 while the readers of the others hold everything they were given.
fn a_scan_that_waits_for_one_split_ends(more: &[(&str, &str)], refuse_first: bool) {
    let refused = AtomicUsize::new(usize::from(!refuse_first));
    let peer = Peer::table(COLUMN, 6, move |exchange, _| {
        // Split 0 comes last and is refused once, when the others are there already.
        if split_of(exchange) == 0 {
            std::thread::sleep(Duration::from_millis(50));
            if refused.fetch_add(1, Ordering::SeqCst) == 0 {
                let body = r#"{"Code":"SlotExceeded","Message":"x","HoldClientMillis":"1"}"#;
                return exchange.json("429 Too Many Requests", body);
            }
        }
        let split = split_of(exchange);
        // More batches than a lane holds.
        let batches: Vec<RecordBatch> =
            (0..30).map(|part| batch(split * 1000 + part * 10..split * 1000 + part * 10 + 10)).collect();
        exchange.begin();
        exchange.chunk(&ipc(&batches, None));
        exchange.end();
    });
    let scan = open(&peer, more);
    let start = Instant::now();
    let mut rows = 0;
    while let Some((_, batch)) = scan.next_batch().unwrap() {
        rows += batch.num_rows() as i64;
        assert!(start.elapsed() < Duration::from_secs(20));
    }
    assert_eq!(rows, 6 * ROWS);
}

#[test]
fn readers_that_nobody_comes_to_do_not_keep_out_the_one_that_is_waited_for() {
    let ordered = [("scan.ordered", "true"), ("scan.concurrency", "4"), ("read.prefetch_batches", "1")];
    for limit in ["0", "1", "2", "3"] {
        let more = [&ordered[..], &[("limits.concurrent_requests", limit)]].concat();
        a_scan_that_waits_for_one_split_ends(&more, false);
        a_scan_that_waits_for_one_split_ends(&more, true);
    }
}
