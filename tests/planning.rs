//! A scan over many partitions: several sessions at the service, one for the caller.

mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use maxstorage::client::Client;
use maxstorage::error::Kind;
use maxstorage::scan::Scan;
use maxstorage::session::Session;
use maxstorage::split::Split;
use support::partitions::{Seen, scan_of, service};

#[test]
fn many_partitions_are_planned_at_once_and_numbered_in_their_order() {
    let seen = Arc::new(Seen::default());
    let peer = service(&seen, |_, _| false);
    let options = scan_of(&peer, 47, &[("plan.partitions_per_session", "5"), ("plan.concurrency", "4")]);
    let client = Client::open(&options).unwrap();
    let session = Session::open(&client, &options).unwrap();
    assert_eq!((session.split_count(), seen.sessions.load(Ordering::SeqCst)), (47, 10));
    let most = seen.most.load(Ordering::SeqCst);
    assert!((2..=4).contains(&most), "{most} at once");
    assert_eq!((session.estimated_rows(), session.estimated_bytes()), (Some(47), Some(4700)));
    assert_eq!(session.expires_at_ms(), Some(4_000_000_000_002), "the first end of all");

    // Every split is the partition of its number, here and in another process.
    let attached = Session::attach(&peer.client(), &session.serialize().unwrap()).unwrap();
    for session in [&session, &attached] {
        for index in [0, 4, 5, 46] {
            let split = Split::open(session, index, &options).unwrap();
            let batch = split.next_batch().unwrap().unwrap();
            assert_eq!(batch.column(0).as_primitive::<Int64Type>().value(0), index);
            assert!(split.next_batch().unwrap().is_none());
        }
        assert!(Split::open(session, 47, &options).is_err());
    }
    let mut read = options.clone();
    read.set("scan.ordered", "true").unwrap();
    let scan = Scan::open(&attached, &read).unwrap();
    let rows: Vec<i64> = std::iter::from_fn(|| scan.next_batch().unwrap())
        .map(|(split, batch)| {
            let row = batch.column(0).as_primitive::<Int64Type>().value(0);
            assert_eq!(row, split);
            row
        })
        .collect();
    assert_eq!(rows, (0..47).collect::<Vec<_>>());

    attached.refresh(None).unwrap();
    let refreshed: std::collections::HashSet<String> = seen.refreshed.lock().unwrap().iter().cloned().collect();
    assert_eq!(refreshed.len(), 10, "all sessions are kept alive");

    let explained: serde_json::Value = serde_json::from_str(&session.explain()).unwrap();
    assert_eq!(explained["sessions"].as_array().unwrap().len(), 10);
    assert_eq!(
        (explained["splits"][46]["index_in_session"].as_i64(), explained["split_count"].as_i64()),
        (Some(1), Some(47))
    );
    assert!(explained["planning_ms"].as_u64().unwrap() >= 30);
    let explained: serde_json::Value = serde_json::from_str(&attached.explain()).unwrap();
    assert!(explained["planning_ms"].is_null(), "it was planned elsewhere");
    assert_eq!(attached.split_info(3).unwrap().weight, 1.0 / 47.0);
    assert_eq!(attached.split_info(47).unwrap_err().kind(), Kind::InvalidArgument);
}

#[test]
fn few_partitions_take_one_session_and_twins_are_read_once() {
    let seen = Arc::new(Seen::default());
    let peer = service(&seen, |_, _| false);
    let options = scan_of(&peer, 5, &[("plan.partitions_per_session", "5")]);
    Session::open(&Client::open(&options).unwrap(), &options).unwrap();
    assert_eq!(seen.sessions.load(Ordering::SeqCst), 1);
    let mut options = scan_of(&peer, 6, &[("plan.partitions_per_session", "5")]);
    options.add("partitions", "PT=0").unwrap();
    let session = Session::open(&Client::open(&options).unwrap(), &options).unwrap();
    assert_eq!((session.split_count(), seen.sessions.load(Ordering::SeqCst)), (6, 3));
}

#[test]
fn parallelism_is_shared_out() {
    let seen = Arc::new(Seen::default());
    let peer = service(&seen, |_, _| false);
    let options = scan_of(
        &peer,
        9,
        &[("plan.partitions_per_session", "4"), ("split.mode", "parallelism"), ("split.parallelism", "18")],
    );
    Session::open(&Client::open(&options).unwrap(), &options).unwrap();
    let mut asked = seen.numbers.lock().unwrap().clone();
    asked.sort_unstable();
    assert_eq!(asked, [2, 8, 8]);
}

#[test]
fn one_failure_fails_the_whole_and_ends_the_rest() {
    let seen = Arc::new(Seen::default());
    let peer = service(&seen, |exchange, body| {
        let fails = body.contains(r#""pt=7""#);
        if fails {
            exchange.json("404 Not Found", r#"{"Code":"NoSuchPartition","Message":"pt=7 is gone"}"#);
        }
        fails
    });
    let options = scan_of(&peer, 400, &[("plan.partitions_per_session", "2"), ("plan.concurrency", "2")]);
    let error = Session::open(&Client::open(&options).unwrap(), &options).unwrap_err();
    assert!(error.kind() == Kind::NotFound && error.message().contains("pt=7 is gone"), "{error}");
    std::thread::sleep(Duration::from_millis(100));
    let planned = seen.sessions.load(Ordering::SeqCst);
    assert!(planned < 20, "{planned} sessions were planned for nothing");
}

#[test]
fn the_time_for_planning_is_that_of_all_parts_together() {
    for wait in ["all", "first"] {
        // The first part is planned at once, each other one in 200 ms.
        let seen = Arc::new(Seen::default());
        let peer = service(&seen, |exchange, body| {
            if exchange.head.starts_with("POST") && !body.contains(r#""pt=0""#) {
                std::thread::sleep(Duration::from_millis(200));
            }
            false
        });
        let more = [
            ("plan.wait", wait),
            ("plan.partitions_per_session", "1"),
            ("plan.concurrency", "1"),
            ("plan_timeout_ms", "1000"),
            ("read_idle_timeout_ms", "20000"),
        ];
        let options = scan_of(&peer, 20, &more);
        let start = Instant::now();
        let client = Client::open(&options).unwrap();
        let error = match Session::open(&client, &options) {
            Ok(session) => {
                assert_eq!(wait, "first");
                let mut known = session.split_count();
                loop {
                    match session.more_splits(known, None, None) {
                        Ok(more) => known = more.splits,
                        Err(error) => break error,
                    }
                    assert!(known < 20, "all of it was planned");
                }
            }
            Err(error) => error,
        };
        assert!(error.kind() == Kind::Timeout && error.message().contains("plan_timeout_ms (1000)"), "{wait}: {error}");
        let took = start.elapsed();
        assert!((Duration::from_millis(1000)..Duration::from_millis(3000)).contains(&took), "{wait}: {took:?}");
    }
}

#[test]
fn a_session_that_ends_while_it_is_read_says_so() {
    let seen = Arc::new(Seen::default());
    let peer = service(&seen, |exchange, _| {
        let reads = exchange.path().contains("/data");
        if reads {
            exchange.json("404 Not Found", r#"{"Code":"NoSuchDownload","Message":"the session is gone"}"#);
        }
        reads
    });
    let options = scan_of(&peer, 3, &[("plan.partitions_per_session", "2")]);
    let session = Session::open(&Client::open(&options).unwrap(), &options).unwrap();
    let split = Split::open(&session, 2, &options).unwrap();
    let error = split.next_batch().unwrap_err();
    assert_eq!(error.kind(), Kind::SessionExpired, "rows of a later version are never mixed in: {error}");
    assert_eq!(seen.sessions.load(Ordering::SeqCst), 2, "nothing was planned anew");
}
