//! Sessions whose plan is not waited for (plan.wait=first): splits become known while others are still being planned.

mod support;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use maxstorage::client::Client;
use maxstorage::error::{Error, Kind};
use maxstorage::options::Options;
use maxstorage::runtime::Cancel;
use maxstorage::scan::Scan;
use maxstorage::session::{Known, Session};
use maxstorage::split::Split;
use support::partitions::{Gate, Seen, scan_of, service};
use support::{Exchange, Peer};

const FIRST: [(&str, &str); 4] = [
    ("plan.wait", "first"),
    ("plan.partitions_per_session", "1"),
    ("plan.concurrency", "3"),
    // Plans and reads are held up for longer than the peers of tests are waited for.
    ("read_idle_timeout_ms", "20000"),
];
/// What a wake may take.
const SOON: Duration = Duration::from_millis(50);
/// A busy machine runs the thread that woke later than it could, but not at every try: what the library itself takes shows in the second best.
const TRIES: usize = 5;
/// Plans that may still be made after the end: as many as there are requests under way, and those that were just being sent.
const UNDER_WAY: usize = 4;

/// A service whose plan for the partition `slow` waits for the gate, and is then made by `then`, if that does.
fn held_up(slow: i64, then: impl Fn(&mut Exchange) -> bool + Send + Sync + 'static) -> (Peer, Arc<Gate>, Arc<Seen>) {
    let (gate, seen) = (Arc::new(Gate::default()), Arc::new(Seen::default()));
    let (held, name) = (Arc::clone(&gate), format!(r#""pt={slow}""#));
    let peer = service(&seen, move |exchange, body| {
        let is_slow = body.contains(&name);
        if is_slow {
            held.wait();
        }
        is_slow && then(exchange)
    });
    (peer, gate, seen)
}

fn open(options: &Options) -> Session {
    Session::open(&Client::open(options).unwrap(), options).unwrap()
}

/// Waits until so many splits are known.
fn wait_for(session: &Session, splits: i64) -> Known {
    let mut known = session.more_splits(-1, None, None).unwrap();
    while known.splits < splits {
        assert!(!known.is_whole, "{known:?}");
        let more = session.more_splits(known.splits, None, None).unwrap();
        assert!(more.splits > known.splits || more.is_whole, "{known:?} {more:?}");
        known = more;
    }
    known
}

fn is_soon(wake: impl FnMut() -> Duration) {
    let mut times: Vec<Duration> = std::iter::repeat_with(wake).take(TRIES).collect();
    times.sort();
    assert!(times[1] < SOON, "{times:?}");
}

/// Planning that goes on makes dozens of sessions meanwhile.
fn nothing_is_planned_any_more(seen: &Seen) {
    let planned = || seen.sessions.load(Ordering::SeqCst);
    let before = planned();
    std::thread::sleep(Duration::from_millis(600));
    let after = planned();
    assert!(after <= before + UNDER_WAY && after < 300, "{before} {after}");
}

fn row(session: &Session, split: i64) -> i64 {
    let batch = Split::open(session, split, &Options::new()).unwrap().next_batch().unwrap().unwrap();
    batch.column(0).as_primitive::<Int64Type>().value(0)
}

fn failure_of(scan: &Scan) -> Error {
    loop {
        match scan.next_batch() {
            Ok(batch) => assert!(batch.is_some(), "the scan must fail"),
            Err(error) => return error,
        }
    }
}

/// Refuses to plan.
fn gone(exchange: &mut Exchange) -> bool {
    exchange.json("404 Not Found", r#"{"Code":"NoSuchPartition","Message":"pt=1 is gone"}"#);
    true
}

fn explained(session: &Session) -> serde_json::Value {
    serde_json::from_str(&session.explain()).unwrap()
}

#[test]
fn splits_are_known_while_others_are_planned_and_keep_their_numbers() {
    let (peer, gate, _) = held_up(1, |_| false);
    let session = open(&scan_of(&peer, 6, &FIRST));
    assert!(session.split_count() >= 1);
    assert_eq!(wait_for(&session, 5), Known { splits: 5, is_whole: false });
    let before: Vec<i64> = (0..5).map(|split| row(&session, split)).collect();
    assert_eq!(before.iter().copied().collect::<HashSet<_>>(), HashSet::from([0, 2, 3, 4, 5]));

    // What is not known is not told as if it were.
    assert!(session.try_more_splits(5).unwrap().is_pending());
    assert_eq!((session.split_count(), session.estimated_rows(), session.estimated_bytes()), (5, None, None));
    let error = Split::open(&session, 5, &Options::new()).unwrap_err();
    assert!(error.kind() == Kind::InvalidArgument && error.message().contains("still being planned"), "{error}");
    for refused in [session.serialize(), session.serialize_json()] {
        let error = refused.unwrap_err();
        assert!(error.kind() == Kind::WrongState && error.message().contains("ms_session_more_splits"), "{error}");
    }
    let told = explained(&session);
    assert_eq!((told["plan_complete"].as_bool(), told["split_count"].as_i64()), (Some(false), Some(5)));
    assert!(told["estimated_rows"].is_null() && told["plan_failure"].is_null());
    assert_eq!(session.split_info(4).unwrap().weight, 0.2, "of those that are known");
    session.refresh(None).unwrap();

    gate.open();
    assert_eq!(session.more_splits(5, None, None).unwrap(), Known { splits: 6, is_whole: true });
    assert_eq!(session.try_more_splits(6).unwrap(), Poll::Ready(Known { splits: 6, is_whole: true }));
    assert_eq!((0..5).map(|split| row(&session, split)).collect::<Vec<_>>(), before, "numbers keep their meaning");
    assert_eq!((row(&session, 5), session.estimated_rows(), session.estimated_bytes()), (1, Some(6), Some(600)));
    assert_eq!(explained(&session)["plan_complete"].as_bool(), Some(true));
    let attached = Session::attach(&peer.client(), &session.serialize().unwrap()).unwrap();
    assert_eq!((0..5).map(|split| row(&attached, split)).collect::<Vec<_>>(), before);
    assert_eq!(attached.more_splits(0, None, None).unwrap(), Known { splits: 6, is_whole: true });
}

#[test]
fn a_split_travels_while_others_are_planned() {
    let (peer, gate, seen) = held_up(1, |_| false);
    let session = open(&scan_of(&peer, 4, &FIRST));
    wait_for(&session, 3);
    let worker = peer.client();
    for index in 0..3 {
        for as_json in [false, true] {
            let token = session.serialize_split(index, as_json).unwrap();
            assert_eq!(token.starts_with(b"{"), as_json);
            let attached = Session::attach(&worker, &token).unwrap();
            assert_eq!((attached.first_split(), attached.split_count()), (index, index + 1), "the number stays");
            assert_eq!(row(&attached, index), row(&session, index));
            assert_eq!(attached.split_info(index).unwrap().weight, 1.0);
            assert_eq!(explained(&attached)["splits"][0]["index"].as_i64(), Some(index));
            // It is not taken for all of them.
            for other in [index - 1, index + 1] {
                let error = Split::open(&attached, other, &Options::new()).unwrap_err();
                assert!(error.kind() == Kind::InvalidArgument && error.message().contains("alone"), "{error}");
            }
            for error in [
                Scan::open(&attached, &Options::new()).unwrap_err(),
                attached.serialize().unwrap_err(),
                attached.more_splits(index + 1, None, None).unwrap_err(),
            ] {
                assert!(error.kind() == Kind::WrongState && error.message().contains("token of a split"), "{error}");
            }
            assert_eq!((attached.estimated_rows(), attached.serialize_split(index, as_json).unwrap()), (None, token));
        }
    }
    assert_eq!(session.serialize_split(3, false).unwrap_err().kind(), Kind::InvalidArgument);
    assert!(seen.partitions.lock().unwrap().len() == 3, "nothing was planned for it");
    gate.open();
    wait_for(&session, 4);
    let token = session.serialize_split(3, false).unwrap();
    assert_eq!(row(&Session::attach(&worker, &token).unwrap(), 3), 1);
}

#[test]
fn who_waits_for_splits_wakes() {
    let (peer, gate, _) = held_up(0, |_| false);
    let session = open(&scan_of(&peer, 3, &FIRST));
    wait_for(&session, 2);
    is_soon(|| {
        let deadline = Instant::now() + Duration::from_millis(200);
        let error = session.more_splits(2, Some(deadline), None).unwrap_err();
        assert_eq!(error.kind(), Kind::DeadlineExceeded);
        Instant::now().checked_duration_since(deadline).expect("it does not end too early")
    });
    for by_deadline in [false, true] {
        is_soon(|| {
            let (cancel, waiting) = (Arc::new(Cancel::default()), session.clone());
            let heard = Arc::clone(&cancel);
            let waiter = std::thread::spawn(move || {
                let error = waiting.more_splits(2, None, Some(&heard)).unwrap_err();
                (error.kind(), Instant::now())
            });
            std::thread::sleep(Duration::from_millis(100));
            let told = Instant::now();
            if by_deadline {
                cancel.set_deadline(Some(told))
            } else {
                cancel.cancel()
            }
            let (kind, woken) = waiter.join().unwrap();
            assert_eq!(kind, if by_deadline { Kind::DeadlineExceeded } else { Kind::Cancelled });
            // What is known is told in any case.
            assert_eq!(session.more_splits(1, Some(told), Some(&cancel)).unwrap().splits, 2);
            woken - told
        });
    }
    // Several at once, and all hear of it.
    let waiters: Vec<_> = (0..4)
        .map(|_| {
            let session = session.clone();
            std::thread::spawn(move || session.more_splits(2, None, None).unwrap())
        })
        .collect();
    std::thread::sleep(Duration::from_millis(50));
    gate.open();
    for waiter in waiters {
        assert_eq!(waiter.join().unwrap(), Known { splits: 3, is_whole: true });
    }
}

#[test]
fn a_scan_takes_up_splits_as_they_become_known() {
    for ordered in ["false", "true"] {
        let (peer, gate, seen) = held_up(2, |_| false);
        let options = scan_of(&peer, 7, &FIRST);
        let mut read = options.clone();
        read.set("scan.ordered", ordered).unwrap();
        read.set("scan.concurrency", "2").unwrap();
        let session = open(&options);
        let scan = Scan::open(&session, &read).unwrap();
        // The scan keeps the planning going.
        drop(session);
        let take = |scan: &Scan| {
            let (split, batch) = scan.next_batch().unwrap().unwrap();
            (split, batch.column(0).as_primitive::<Int64Type>().value(0))
        };
        let mut taken: Vec<(i64, i64)> = (0..6).map(|_| take(&scan)).collect();
        std::thread::sleep(Duration::from_millis(300));
        assert!(scan.try_next_batch().is_pending());
        let progress = scan.progress();
        assert!((0.5..1.0).contains(&progress), "{progress}");
        assert!(!scan.all_requested(), "one is not even planned");
        gate.open();
        taken.push(take(&scan));
        assert!(scan.next_batch().unwrap().is_none());
        assert!(scan.progress() == 1.0 && scan.all_requested());
        if ordered == "true" {
            assert!(taken.is_sorted_by_key(|(split, _)| *split), "{taken:?}");
        }
        assert_eq!(taken.last(), Some(&(6, 2)), "what became known last has the last number");
        assert_eq!(taken.iter().map(|(_, row)| *row).collect::<HashSet<_>>(), (0..7).collect());
        assert_eq!(seen.sessions.load(Ordering::SeqCst), 7);
    }
}

#[test]
fn the_failure_of_the_rest_is_told_by_waiters_and_scans() {
    for ordered in ["false", "true"] {
        let (peer, gate, _) = held_up(1, gone);
        let options = scan_of(&peer, 4, &FIRST);
        let session = open(&options);
        let mut read = options.clone();
        read.set("scan.ordered", ordered).unwrap();
        let scan = Scan::open(&session, &read).unwrap();
        (0..3).for_each(|_| assert!(scan.next_batch().unwrap().is_some()));
        let waiting = session.clone();
        let waiter = std::thread::spawn(move || waiting.more_splits(3, None, None).unwrap_err());
        std::thread::sleep(Duration::from_millis(50));
        gate.open();
        for error in [
            waiter.join().unwrap(),
            scan.next_batch().unwrap_err(),
            scan.next_batch().unwrap_err(),
            session.more_splits(3, None, None).unwrap_err(),
            session.try_more_splits(3).unwrap_err(),
            session.serialize().unwrap_err(),
            failure_of(&Scan::open(&session, &read).unwrap()),
        ] {
            assert!(error.kind() == Kind::NotFound && error.message().contains("pt=1 is gone"), "{error}");
            assert_eq!(error.server().request_id, "REQ-1");
        }
        for error in [
            Split::open(&session, 3, &Options::new()).unwrap_err(),
            session.split_info(3).unwrap_err(),
            session.serialize_split(3, false).unwrap_err(),
        ] {
            assert_eq!(error.kind(), Kind::InvalidArgument);
            assert!(error.message().contains("pt=1 is gone") && !error.message().contains("still"), "{error}");
        }
        let told = explained(&session);
        assert_eq!((told["plan_complete"].as_bool(), told["split_count"].as_i64()), (Some(false), Some(3)));
        assert!(told["plan_failure"].as_str().unwrap().contains("pt=1 is gone"), "{told}");
        // What is known stays so.
        assert_eq!(session.more_splits(2, None, None).unwrap(), Known { splits: 3, is_whole: false });
        assert!((0..3).map(|split| row(&session, split)).collect::<HashSet<_>>().is_superset(&HashSet::from([0, 2])));
    }
}

/// Reads a session whose plan has failed, while its known splits are still to be read.
fn rows_of_a_failed_plan(read: &[(&str, &str)], partitions: i64) -> (Vec<i64>, Option<Error>) {
    let (peer, gate, _) = held_up(1, gone);
    let options = scan_of(&peer, partitions, &FIRST);
    let session = open(&options);
    wait_for(&session, partitions - 1);
    let mut how = options.clone();
    read.iter().for_each(|(key, value)| how.set(key, value).unwrap());
    gate.open();
    session.more_splits(partitions - 1, None, None).unwrap_err();
    let scan = Scan::open(&session, &how).unwrap();
    let mut rows = Vec::new();
    loop {
        match scan.next_batch() {
            Ok(Some((_, batch))) => rows.push(batch.column(0).as_primitive::<Int64Type>().value(0)),
            Ok(None) => return (rows, None),
            Err(error) => return (rows, Some(error)),
        }
    }
}

#[test]
fn all_rows_that_are_known_come_before_the_failure_of_the_rest() {
    let known: Vec<i64> = (0..12).filter(|row| *row != 1).collect();
    for (ordered, concurrency) in
        [("false", "1"), ("false", "4"), ("false", "64"), ("true", "1"), ("true", "4"), ("true", "64")]
    {
        let read = [("scan.ordered", ordered), ("scan.concurrency", concurrency)];
        let (mut rows, failure) = rows_of_a_failed_plan(&read, 12);
        rows.sort_unstable();
        assert_eq!(rows, known, "{read:?}");
        let failure = failure.unwrap();
        assert!(failure.kind() == Kind::NotFound && failure.message().contains("pt=1 is gone"), "{failure}");
        // Whoever wants no more than is known does not meet the failure.
        for limit in ["3", "11"] {
            let (rows, failure) = rows_of_a_failed_plan(&[read[0], read[1], ("scan.row_limit", limit)], 12);
            assert!(rows.len().to_string() == limit && failure.is_none(), "{read:?} {rows:?} {failure:?}");
        }
    }
}

#[test]
fn splits_that_are_being_read_outlast_the_failure_of_the_rest() {
    for ordered in ["false", "true"] {
        let (planned, read) = (Arc::new(Gate::default()), Arc::new(Gate::default()));
        let (at_plan, at_read) = (Arc::clone(&planned), Arc::clone(&read));
        let seen = Arc::new(Seen::default());
        let peer = service(&seen, move |exchange, body| {
            if exchange.path().contains("session_id=") {
                at_read.wait();
            }
            let is_slow = body.contains(r#""pt=1""#);
            if is_slow {
                at_plan.wait();
            }
            is_slow && gone(exchange)
        });
        let mut options = scan_of(&peer, 5, &FIRST);
        options.set("scan.ordered", ordered).unwrap();
        let session = open(&options);
        wait_for(&session, 4);
        let scan = Scan::open(&session, &options).unwrap();
        planned.open();
        session.more_splits(4, None, None).unwrap_err();
        // The scan has heard of it as well.
        std::thread::sleep(Duration::from_millis(100));
        assert!(scan.try_next_batch().is_pending(), "the rows come first");
        read.open();
        (0..4).for_each(|_| assert!(scan.next_batch().unwrap().is_some()));
        assert_eq!(scan.next_batch().unwrap_err().kind(), Kind::NotFound);
        assert_eq!(scan.next_batch().unwrap_err().kind(), Kind::NotFound, "it stays");
    }
}

#[test]
fn a_change_of_the_table_in_between_is_a_failure() {
    let (peer, gate, _) = held_up(1, |exchange| {
        exchange.json(
            "201 Created",
            r#"{"SessionId":"X","SessionStatus":"NORMAL","SplitsCount":1,
                "DataSchema":{"DataColumns":[{"Name":"b","Type":"string","Nullable":true}],"PartitionColumns":[]}}"#,
        );
        true
    });
    let session = open(&scan_of(&peer, 3, &FIRST));
    wait_for(&session, 2);
    gate.open();
    assert_eq!(session.more_splits(2, None, None).unwrap_err().kind(), Kind::TableChanged);
}

#[test]
fn opening_waits_for_a_split_and_not_only_for_an_empty_plan() {
    let seen = Arc::new(Seen::default());
    let peer = service(&seen, |exchange, body| {
        let is_empty = exchange.head.starts_with("POST") && !body.contains(r#""pt=3""#);
        if is_empty {
            let none = r#"{"SessionId":"E","SessionStatus":"NORMAL","SplitsCount":0,
                "DataSchema":{"DataColumns":[{"Name":"a","Type":"bigint","Nullable":true}],"PartitionColumns":[]}}"#;
            exchange.json("201 Created", none);
        }
        is_empty
    });
    let session = open(&scan_of(&peer, 5, &FIRST));
    assert_eq!(session.split_count(), 1);
    assert_eq!(session.more_splits(1, None, None).unwrap(), Known { splits: 1, is_whole: true });
    let nothing = open(&scan_of(&peer, 3, &FIRST));
    assert_eq!(nothing.more_splits(-1, None, None).unwrap(), Known { splits: 0, is_whole: true });
    let scan = Scan::open(&nothing, &Options::new()).unwrap();
    assert!(scan.next_batch().unwrap().is_none() && scan.progress() == 1.0);
}

#[test]
fn who_frees_the_session_ends_its_planning() {
    for keeps_a_split in [false, true] {
        let seen = Arc::new(Seen::default());
        let peer = service(&seen, |_, _| false);
        let more = [("plan.wait", "first"), ("plan.partitions_per_session", "1"), ("plan.concurrency", "2")];
        let session = open(&scan_of(&peer, 400, &more));
        let split = keeps_a_split.then(|| Split::open(&session, 0, &Options::new()).unwrap());
        drop(session);
        nothing_is_planned_any_more(&seen);
        if let Some(split) = split {
            assert!(split.next_batch().unwrap().is_some(), "what was opened goes on");
        }
    }
}

#[test]
fn a_scan_that_is_over_ends_the_planning_that_nobody_else_waits_for() {
    for way in ["row limit", "cancel", "failure"] {
        let seen = Arc::new(Seen::default());
        let peer = service(&seen, move |exchange, _| {
            let fails = way == "failure" && exchange.path().contains("session_id=");
            if fails {
                exchange.json("403 Forbidden", r#"{"Code":"NoPermission","Message":"not you"}"#);
            }
            fails
        });
        let more = [("plan.wait", "first"), ("plan.partitions_per_session", "1"), ("plan.concurrency", "2")];
        let options = scan_of(&peer, 400, &more);
        let mut read = options.clone();
        if way == "row limit" {
            read.set("scan.row_limit", "2").unwrap();
        }
        let session = open(&options);
        let scan = Scan::open(&session, &read).unwrap();
        let kept = (way == "cancel").then(|| session.clone());
        drop(session);
        match way {
            "row limit" => assert_eq!(std::iter::from_fn(|| scan.next_batch().unwrap()).count(), 2),
            "cancel" => scan.cancel(),
            _ => assert_eq!(failure_of(&scan).kind(), Kind::PermissionDenied),
        }
        if let Some(session) = kept {
            // Whoever has the session waits for more.
            let known = session.split_count();
            assert!(wait_for(&session, known + 10).splits >= known + 10);
        }
        std::thread::sleep(Duration::from_millis(100));
        nothing_is_planned_any_more(&seen);
    }
}

#[test]
fn sessions_that_become_known_later_are_kept_alive_by_a_scan() {
    let (seen, planned, read) = (Arc::new(Seen::default()), Arc::new(Gate::default()), Arc::new(Gate::default()));
    let (at_plan, at_read) = (Arc::clone(&planned), Arc::clone(&read));
    let peer = service(&seen, move |exchange, body| {
        let is_late = body.contains(r#""pt=1""#);
        if is_late {
            at_plan.wait();
            let end = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_millis(900);
            let answer = format!(
                r#"{{"SessionId":"LATE","SessionStatus":"NORMAL","SplitsCount":1,"ExpirationTime":{},
                    "DataSchema":{{"DataColumns":[{{"Name":"a","Type":"bigint","Nullable":true}}],"PartitionColumns":[]}}}}"#,
                end.as_millis()
            );
            exchange.json("201 Created", &answer);
        } else if exchange.path().contains("session_id=LATE") {
            at_read.wait();
        }
        is_late
    });
    seen.partitions.lock().unwrap().insert("LATE".to_owned(), vec!["pt=1".to_owned()]);
    let options = scan_of(&peer, 2, &FIRST);
    let scan = Scan::open(&open(&options), &options).unwrap();
    assert!(scan.next_batch().unwrap().is_some());
    planned.open();
    let start = Instant::now();
    while !seen.refreshed.lock().unwrap().iter().any(|id| id == "LATE") {
        assert!(start.elapsed() < Duration::from_secs(10), "nobody keeps the session that came late");
        std::thread::sleep(Duration::from_millis(20));
    }
    read.open();
    assert!(scan.next_batch().unwrap().is_some() && scan.next_batch().unwrap().is_none());
}
