//! Sessions by row numbers: parts of splits, splits that several requests read, and requests that help the slowest one.

mod support;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use arrow_array::cast::AsArray;
use arrow_array::{Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use maxstorage::client::Client;
use maxstorage::error::Kind;
use maxstorage::options::Options;
use maxstorage::predicate::Predicate;
use maxstorage::scan::Scan;
use maxstorage::session::Session;
use maxstorage::split::Split;
use support::{Exchange, Peer, ipc};

const COLUMN: &str = r#"{"Name":"a","Type":"bigint","Nullable":true}"#;
/// Rows of the session.
const ROWS: i64 = 10_000;

fn number(exchange: &Exchange, name: &str) -> Option<i64> {
    let (_, rest) = exchange.path().split_once(&format!("{name}="))?;
    rest.split('&').next()?.parse().ok()
}

/// The batches of a request: the value of a row is its number. A split by index has all rows.
fn batches(exchange: &Exchange) -> Vec<RecordBatch> {
    let (start, count) = (number(exchange, "row_index").unwrap_or(0), number(exchange, "row_count").unwrap_or(ROWS));
    let schema = Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, true)]));
    let starts = (start..start + count).step_by(100);
    let batch = |at: i64| {
        let values: Int64Array = (at..(at + 100).min(start + count)).collect();
        RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(values)]).unwrap()
    };
    starts.map(batch).collect()
}

fn send(exchange: &mut Exchange) {
    let bytes = ipc(&batches(exchange), None);
    exchange.begin();
    exchange.chunk(&bytes);
    exchange.end();
}

/// A session by row numbers, or with one split by index.
fn peer(by_rows: bool, data: impl Fn(&mut Exchange, usize) + Send + Sync + 'static) -> Peer {
    let counts = if by_rows { format!(r#""RecordCount":{ROWS}"#) } else { r#""SplitsCount":1"#.to_owned() };
    let session = format!(
        r#"{{"SessionId":"S1","SessionStatus":"NORMAL",{counts},
            "DataSchema":{{"DataColumns":[{COLUMN}],"PartitionColumns":[]}}}}"#
    );
    let reads = AtomicUsize::new(0);
    Peer::start(move |exchange, _| match exchange.path() {
        path if path.contains("/sessions") => exchange.json("201 Created", &session),
        _ => data(exchange, reads.fetch_add(1, Ordering::SeqCst)),
    })
}

fn open(peer: &Peer, by_rows: bool, more: &[(&str, &str)]) -> (Session, Options) {
    let mut options = peer.options();
    if by_rows {
        options.set("split.mode", "row_offset").unwrap();
    }
    for (key, value) in [("split.rows", "100000"), ("read_idle_timeout_ms", "20000")].iter().chain(more) {
        options.set(key, value).unwrap();
    }
    (Session::open(&Client::open(&options).unwrap(), &options).unwrap(), options)
}

fn values(batch: &RecordBatch) -> Vec<i64> {
    batch.column(0).as_any().downcast_ref::<Int64Array>().unwrap().values().to_vec()
}

fn rows_of(split: &Split) -> Vec<i64> {
    let mut rows = Vec::new();
    while let Some(batch) = split.next_batch().unwrap() {
        rows.extend(values(&batch));
    }
    rows
}

fn requests(peer: &Peer) -> usize {
    peer.heads().iter().filter(|head| head.contains("/data?")).count()
}

#[test]
fn a_new_reader_goes_on_where_an_old_one_was_left() {
    for (by_rows, filter, per_split) in [(true, "", "1"), (true, "", "3"), (true, "a > -1", "3"), (false, "", "1")] {
        let peer = peer(by_rows, |exchange, _| send(exchange));
        let more = [("filter.text", filter), ("read.requests_per_split", per_split), ("read.request_rows", "900")];
        let (session, mut options) = open(&peer, by_rows, &more);
        let old = Split::open(&session, 0, &options).unwrap();
        let mut rows = Vec::new();
        for _ in 0..7 {
            rows.extend(values(&old.next_batch().unwrap().unwrap()));
        }
        let position = old.rows_delivered();
        assert_eq!(position, rows.len() as i64);
        drop(old);
        options.set("read.start_row", &position.to_string()).unwrap();
        rows.extend(rows_of(&Split::open(&session, 0, &options).unwrap()));
        assert!(rows == (0..ROWS).collect::<Vec<_>>(), "by rows: {by_rows}, {filter}, {per_split} requests");
    }
}

#[test]
fn a_part_ends_where_it_should() {
    for (by_rows, filter) in [(true, ""), (true, "a > -1"), (false, "")] {
        let peer = peer(by_rows, |exchange, _| send(exchange));
        for (start, count, expected) in [
            ("150", "1", 150..151),
            ("150", "350", 150..500),
            ("9950", "1000", 9950..ROWS),
            ("0", "0", 0..0),
            ("10000", "", ROWS..ROWS),
        ] {
            let more = [("read.start_row", start), ("read.row_count", count), ("filter.text", filter)];
            let (session, options) = open(&peer, by_rows, &more);
            let split = Split::open(&session, 0, &options).unwrap();
            assert_eq!(rows_of(&split), expected.collect::<Vec<_>>(), "{start}+{count}, by rows: {by_rows}, {filter}");
            assert_eq!(split.progress(), 1.0);
        }
        // Behind the end there is nothing to go on with.
        let (session, options) = open(&peer, by_rows, &[("read.start_row", "10001"), ("filter.text", filter)]);
        let failed = Split::open(&session, 0, &options).and_then(|split| split.next_batch()).unwrap_err();
        assert_eq!(failed.kind(), Kind::InvalidOption, "{failed}");
        assert_eq!(Scan::open(&session, &options).unwrap_err().kind(), Kind::InvalidOption);
    }
}

#[test]
fn a_split_read_by_several_requests_keeps_its_order() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (running, highest) = (Arc::clone(&now), Arc::clone(&most));
    let peer = peer(true, move |exchange, read| {
        highest.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        // Later ones are faster.
        std::thread::sleep(Duration::from_millis(10 + 20 * (3 - read as u64 % 4)));
        running.fetch_sub(1, Ordering::SeqCst);
        send(exchange);
    });
    let more = [("read.requests_per_split", "4"), ("read.request_rows", "1000")];
    let (session, options) = open(&peer, true, &more);
    let split = Split::open(&session, 0, &options).unwrap();
    assert_eq!(split.progress(), 0.0);
    let half: Vec<i64> = (0..50).flat_map(|_| values(&split.next_batch().unwrap().unwrap())).collect();
    assert_eq!((half.len() as i64, split.progress()), (ROWS / 2, 0.5));
    assert!(half.into_iter().chain(rows_of(&split)).eq(0..ROWS));
    assert_eq!(requests(&peer), 10);
    assert_eq!(most.load(Ordering::SeqCst), 4);
}

#[test]
fn a_request_of_several_that_breaks_off_goes_on_by_itself() {
    let broken = Mutex::new(HashMap::<i64, usize>::new());
    let peer = peer(true, move |exchange, _| {
        let start = number(exchange, "row_index").unwrap();
        let times = { *broken.lock().unwrap().entry(start % 1000).and_modify(|times| *times += 1).or_insert(1) };
        if times % 3 == 1 {
            let bytes = ipc(&batches(exchange), None);
            exchange.begin();
            exchange.chunk(&bytes[..bytes.len() / 2]);
            let _ = exchange.stream.shutdown(std::net::Shutdown::Both);
        } else {
            send(exchange);
        }
    });
    let more = [
        ("read.requests_per_split", "3"),
        ("read.request_rows", "1000"),
        ("retry.initial_backoff_ms", "1"),
        ("retry.max_attempts", "20"),
    ];
    let (session, options) = open(&peer, true, &more);
    assert!(rows_of(&Split::open(&session, 0, &options).unwrap()).into_iter().eq(0..ROWS));
}

#[test]
fn idle_requests_take_over_half_of_the_slowest_range() {
    // Each request gets 100 rows per 20 ms: one alone would take two seconds.
    let peer = peer(true, |exchange, _| {
        let batches = batches(exchange);
        let whole = ipc(&batches, None);
        let step = ipc(&batches[..1], None).len();
        exchange.begin();
        for part in whole.chunks(step) {
            exchange.chunk(part);
            std::thread::sleep(Duration::from_millis(20));
        }
        exchange.end();
    });
    let more = [("scan.concurrency", "8"), ("read.batch_rows", "100")];
    let (session, options) = open(&peer, true, &more);
    let start = Instant::now();
    let scan = Scan::open(&session, &options).unwrap();
    let mut rows = Vec::new();
    while let Some((split, batch)) = scan.next_batch().unwrap() {
        assert_eq!(split, 0);
        rows.extend(values(&batch));
        assert!(scan.all_requested(), "rows that are taken over were requested before");
    }
    let elapsed = start.elapsed();
    rows.sort_unstable();
    assert!(rows.into_iter().eq(0..ROWS), "every row once");
    assert!(requests(&peer) > 2, "{}", requests(&peer));
    assert!(elapsed < Duration::from_millis(1900), "{elapsed:?}");
    assert_eq!(scan.progress(), 1.0);
}

#[test]
fn a_small_scan_is_not_kept_waiting_by_a_large_one() {
    // A request takes 20 ms, and two are allowed at a time: the large scan has 100 of them, the small one 5.
    let peer = peer(true, |exchange, _| {
        std::thread::sleep(Duration::from_millis(20));
        send(exchange);
    });
    let more = [("limits.concurrent_requests", "2"), ("scan.concurrency", "16"), ("split.rows", "100")];
    let (_, mut options) = open(&peer, true, &more);
    let client = Client::open(&options).unwrap();
    let read = |scan: Scan| {
        std::thread::spawn(move || {
            let mut rows = 0;
            while let Some((_, batch)) = scan.next_batch().unwrap() {
                rows += batch.num_rows() as i64;
            }
            (rows, Instant::now())
        })
    };
    let large = read(Scan::open(&Session::open(&client, &options).unwrap(), &options).unwrap());
    std::thread::sleep(Duration::from_millis(100));
    // Of the same client, with larger splits.
    options.set("split.rows", "2000").unwrap();
    let session = Session::open(&client, &options).unwrap();
    let begun = Instant::now();
    let small = read(Scan::open(&session, &options).unwrap());
    let ((small_rows, small_end), (large_rows, large_end)) = (small.join().unwrap(), large.join().unwrap());
    assert_eq!((small_rows, large_rows), (ROWS, ROWS));
    let (small_time, left) = (small_end - begun, large_end - begun);
    // It had one of the two slots: 5 requests of about 20 ms one after the other, and the first wait.
    assert!(small_time * 2 < left, "{small_time:?} of {left:?}");
}

/// The addresses of rows tell their number: nothing is asked for.
#[test]
fn rows_without_columns_need_no_request() {
    let peer = peer(true, |_, _| panic!("a request for rows"));
    let (session, mut options) = open(&peer, true, &[("split.rows", "6000"), ("read.row_count_only", "true")]);
    let counts = |split: Split| -> Vec<usize> {
        assert!(split.schema().fields().is_empty());
        std::iter::from_fn(|| split.next_batch().unwrap()).map(|batch| batch.num_rows()).collect()
    };
    assert_eq!(counts(Split::open(&session, 0, &options).unwrap()), [4096, 1904]);
    options.set("read.batch_rows", "3000").unwrap();
    options.set("read.requests_per_split", "3").unwrap();
    options.set("read.request_rows", "2500").unwrap();
    let split = Split::open(&session, 1, &options).unwrap();
    assert_eq!(split.next_batch().unwrap().unwrap().num_rows(), 2500);
    assert_eq!((split.rows_delivered(), counts(split)), (2500, vec![1500]));
    for ordered in ["false", "true"] {
        options.set("scan.ordered", ordered).unwrap();
        let scan = Scan::open(&session, &options).unwrap();
        let rows: usize = std::iter::from_fn(|| scan.next_batch().unwrap()).map(|(_, batch)| batch.num_rows()).sum();
        assert_eq!((rows as i64, scan.progress()), (ROWS, 1.0));
    }
    options.set("read.start_row", "100").unwrap();
    options.set("read.row_count", "7").unwrap();
    assert_eq!(counts(Split::open(&session, 1, &options).unwrap()), [7]);
    assert_eq!(requests(&peer), 0);
}

/// A service of a partitioned table, which must not be asked for rows.
fn parted(keys: &str) -> Peer {
    let session = format!(
        r#"{{"SessionId":"S1","SessionStatus":"NORMAL","RecordCount":{ROWS},
            "DataSchema":{{"DataColumns":[],"PartitionColumns":[{keys}]}}}}"#
    );
    Peer::start(move |exchange, _| match exchange.path() {
        path if path.contains("/sessions") => exchange.json("201 Created", &session),
        _ => exchange.json("404 Not Found", r#"{"Code":"NoSuchObject","Message":"a request for rows"}"#),
    })
}

/// The addresses tell the number of the rows, the name of the partition what is in them.
#[test]
fn keys_of_one_partition_need_no_request() {
    let keys = r#"{"Name":"ds","Type":"string","Nullable":true},{"Name":"hour","Type":"bigint","Nullable":true}"#;
    let peer = parted(keys);
    let partition = [("partitions", "ds=a-1/hour=07"), ("partition_columns", "ds"), ("split.rows", "6000")];
    let (session, mut options) = open(&peer, true, &[&partition[..], &[("types.string_view", "true")]].concat());
    let split = Split::open(&session, 1, &options).unwrap();
    let batch = split.next_batch().unwrap().unwrap();
    assert_eq!((batch.schema(), batch.num_columns()), (Arc::clone(split.schema()), 1));
    assert_eq!(
        batch.column_by_name("ds").unwrap().as_string_view().iter().flatten().collect::<Vec<_>>(),
        ["a-1"; 4000]
    );
    assert!(split.next_batch().unwrap().is_none());
    let (keyed, _) = open(&peer, true, &[&partition[..], &[("types.dictionary", "*")]].concat());
    let made = Split::open(&keyed, 1, &Options::new()).unwrap().next_batch().unwrap().unwrap();
    let made = made.column_by_name("ds").unwrap().as_any_dictionary();
    assert_eq!(
        (made.values().as_string::<i32>().value(0), made.values().len(), made.keys().null_count()),
        ("a-1", 1, 0)
    );
    for ordered in ["false", "true"] {
        options.set("scan.ordered", ordered).unwrap();
        options.set("read.batch_rows", "999").unwrap();
        let scan = Scan::open(&session, &options).unwrap();
        let rows: usize = std::iter::from_fn(|| scan.next_batch().unwrap()).map(|(_, batch)| batch.num_rows()).sum();
        assert_eq!((rows as i64, scan.progress()), (ROWS, 1.0));
    }
    // Filters of the engine are evaluated as on rows that were read.
    let split = Split::open(&session, 0, &options).unwrap();
    split.add_filter(&Predicate::parse("ds <> 'a-1'").unwrap()).unwrap();
    let rows: usize = std::iter::from_fn(|| split.next_batch().unwrap()).map(|batch| batch.num_rows()).sum();
    assert!(rows <= 2 * 999, "what had not been handed out yet is left out: {rows} rows");
    assert_eq!(requests(&peer), 0);
}

#[test]
fn keys_that_are_not_told_are_asked_for() {
    let ds = r#"{"Name":"ds","Type":"string","Nullable":true}"#;
    for (keys, more) in [
        (ds, &[][..]),
        (ds, &[("partitions", "ds='a'")]),
        (ds, &[("partitions", "hour=1")]),
        (ds, &[("partitions", "ds=a"), ("filter.text", "ds = 'a'")]),
        (r#"{"Name":"ds","Type":"char(3)","Nullable":true}"#, &[("partitions", "ds=a")]),
    ] {
        let peer = parted(keys);
        let (session, options) = open(&peer, true, more);
        let error = Split::open(&session, 0, &options).unwrap().next_batch().unwrap_err();
        assert_eq!((error.kind(), requests(&peer)), (Kind::NotFound, 1), "{keys} {more:?}: {error}");
    }
    // Splits of the service do not tell how many rows they have; that is shown with the same answer to a plan.
    let split = r#"{"SessionId":"S1","SessionStatus":"NORMAL","SplitsCount":1,
        "DataSchema":{"DataColumns":[],"PartitionColumns":[{"Name":"ds","Type":"string","Nullable":true}]}}"#;
    let peer = Peer::start(move |exchange, _| match exchange.path() {
        path if path.contains("/sessions") => exchange.json("201 Created", split),
        _ => exchange.json("404 Not Found", r#"{"Code":"NoSuchObject","Message":"a request for rows"}"#),
    });
    let (session, options) = open(&peer, false, &[("partitions", "ds=a")]);
    Split::open(&session, 0, &options).unwrap().next_batch().unwrap_err();
    assert_eq!(requests(&peer), 1);
}
