//! A read that breaks off goes on at the next undelivered row: no row twice, none missing, and the engine does not notice.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow_array::{Int64Array, RecordBatch, StringArray};
use arrow_ipc::CompressionType;
use arrow_schema::{DataType, Field, Schema};
use maxstorage::client::Client;
use maxstorage::error::{Error, Kind};
use maxstorage::options::Options;
use maxstorage::session::Session;
use maxstorage::split::Split;
use support::{Exchange, Peer, ipc};

const COLUMNS: &str = r#"{"Name":"a","Type":"bigint","Nullable":true},{"Name":"s","Type":"string","Nullable":true}"#;
const ROWS: i64 = 30;
const BATCH_ROWS: i64 = 11;

fn text(row: i64) -> String {
    format!("row {row} {}", "x".repeat(row as usize % 7))
}

fn batch(rows: std::ops::Range<i64>) -> RecordBatch {
    let fields = vec![Field::new("a", DataType::Int64, true), Field::new("s", DataType::Utf8, true)];
    let texts: StringArray = rows.clone().map(|row| Some(text(row))).collect();
    let values: Int64Array = rows.collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), vec![Arc::new(values), Arc::new(texts)]).unwrap()
}

/// The stream of the rows that a request asks for.
fn stream(exchange: &Exchange, codec: Option<CompressionType>) -> Vec<u8> {
    ipc(&batches(exchange), codec)
}

fn batches(exchange: &Exchange) -> Vec<RecordBatch> {
    let number = |name: &str| -> Option<i64> {
        let (_, rest) = exchange.path().split_once(&format!("{name}="))?;
        rest.split('&').next()?.parse().ok()
    };
    let (start, count) = (number("row_index").unwrap_or(0), number("row_count").unwrap_or(ROWS));
    let mut batches = Vec::new();
    let mut at = start;
    while at < start + count {
        let end = (at + BATCH_ROWS).min(start + count);
        batches.push(batch(at..end));
        at = end;
    }
    batches
}

fn send(exchange: &mut Exchange, bytes: &[u8]) {
    exchange.begin();
    if !bytes.is_empty() {
        exchange.chunk(bytes);
    }
}

/// How an answer stops too early.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Break {
    Reset,
    CleanEnd,
}

impl Break {
    fn apply(self, exchange: &mut Exchange) {
        match self {
            Break::Reset => drop(exchange.stream.shutdown(std::net::Shutdown::Both)),
            Break::CleanEnd => exchange.end(),
        }
    }
}

/// A peer whose every other answer breaks off after as many bytes as `at` says.
fn breaking(by_rows: bool, codec: Option<CompressionType>, how: Break, at: Arc<AtomicUsize>) -> Peer {
    let counts = if by_rows { (-1, ROWS) } else { (1, -1) };
    let session = format!(
        r#"{{"SessionId":"S1","SessionStatus":"NORMAL","SplitsCount":{},"RecordCount":{},
            "DataSchema":{{"DataColumns":[{COLUMNS}],"PartitionColumns":[]}}}}"#,
        counts.0, counts.1
    );
    let reads = AtomicUsize::new(0);
    Peer::start(move |exchange, _| {
        if exchange.path().contains("/sessions") {
            return exchange.json("201 Created", &session);
        }
        let bytes = stream(exchange, codec);
        if reads.fetch_add(1, Ordering::SeqCst).is_multiple_of(2) {
            send(exchange, &bytes[..at.load(Ordering::SeqCst).min(bytes.len() - 1)]);
            how.apply(exchange);
        } else {
            send(exchange, &bytes);
            exchange.end();
        }
    })
}

fn session(peer: &Peer, by_rows: bool, more: &[(&str, &str)]) -> (Session, Options) {
    let mut options = peer.options();
    options.set("retry.initial_backoff_ms", "1").unwrap();
    if by_rows {
        options.set("split.mode", "row_offset").unwrap();
    }
    for (key, value) in more {
        options.set(key, value).unwrap();
    }
    (Session::open(&Client::open(&options).unwrap(), &options).unwrap(), options)
}

/// Reads split 0 and compares every cell.
fn read(session: &Session, options: &Options) -> (i64, Result<Split, Error>) {
    let split = Split::open(session, 0, options).unwrap();
    let mut next = 0;
    loop {
        match split.next_batch() {
            Ok(Some(batch)) => {
                let rows = batch.num_rows() as i64;
                assert!(rows > 0);
                assert_eq!(batch.columns(), self::batch(next..next + rows).columns(), "after {next} rows");
                next += rows;
            }
            Ok(None) => return (next, Ok(split)),
            Err(error) => return (next, Err(error)),
        }
    }
}

fn metric(split: &Split, name: &str) -> u64 {
    split.metrics().iter().find(|metric| metric.name == name).unwrap().value
}

fn goes_on_after_every_byte(by_rows: bool, how: Break) {
    /// The tests wait more than they work.
    const THREADS: usize = 6;
    std::thread::scope(|scope| {
        for first in 0..THREADS {
            scope.spawn(move || {
                for codec in [None, Some(CompressionType::LZ4_FRAME), Some(CompressionType::ZSTD)] {
                    goes_on_after_bytes(by_rows, codec, how, (first..).step_by(THREADS));
                }
            });
        }
    });
}

fn goes_on_after_bytes(by_rows: bool, codec: Option<CompressionType>, how: Break, cuts: impl Iterator<Item = usize>) {
    let at = Arc::new(AtomicUsize::new(0));
    let peer = breaking(by_rows, codec, how, Arc::clone(&at));
    let (session, options) = session(&peer, by_rows, &[]);
    let whole = ipc(&[batch(0..11), batch(11..22), batch(22..30)], codec).len();
    for cut in cuts.take_while(|cut| *cut < whole) {
        at.store(cut, Ordering::SeqCst);
        let (rows, end) = read(&session, &options);
        let split = end.unwrap_or_else(|error| panic!("{codec:?}, cut at {cut}: {error}"));
        assert_eq!((rows, metric(&split, "resumes"), metric(&split, "requests")), (ROWS, 1, 2), "cut at {cut}");
        // A row range is asked for from the first undelivered row on; only the end marker alone costs one row again.
        assert!(!by_rows || metric(&split, "rows_reread") <= 1);
    }
}

#[test]
fn an_indexed_split_goes_on_after_a_reset_at_every_byte() {
    goes_on_after_every_byte(false, Break::Reset);
}

#[test]
fn a_row_range_goes_on_after_a_reset_at_every_byte() {
    goes_on_after_every_byte(true, Break::Reset);
}

#[test]
fn an_indexed_split_goes_on_after_a_clean_end_at_every_byte() {
    goes_on_after_every_byte(false, Break::CleanEnd);
}

#[test]
fn a_row_range_goes_on_after_a_clean_end_at_every_byte() {
    goes_on_after_every_byte(true, Break::CleanEnd);
}

#[test]
fn a_filtered_range_is_read_again_from_its_start() {
    let at = Arc::new(AtomicUsize::new(usize::MAX));
    let peer = breaking(true, None, Break::Reset, at);
    let (session, options) = session(&peer, true, &[("filter.text", "a >= 0")]);
    let (rows, end) = read(&session, &options);
    assert_eq!((rows, metric(&end.unwrap(), "rows_reread")), (ROWS, ROWS as u64));
}

#[test]
fn every_batch_may_break_off_as_long_as_there_is_progress() {
    // Each answer breaks off after its first batch: three breaks, with two attempts allowed.
    let peer = Peer::start(|exchange, _| {
        if exchange.path().contains("/sessions") {
            let session = format!(
                r#"{{"SessionId":"S1","SessionStatus":"NORMAL","SplitsCount":-1,"RecordCount":{ROWS},
                    "DataSchema":{{"DataColumns":[{COLUMNS}],"PartitionColumns":[]}}}}"#
            );
            return exchange.json("201 Created", &session);
        }
        let bytes = ipc(&batches(exchange)[..1], None);
        if exchange.path().contains("row_count=1&") {
            send(exchange, &bytes);
            exchange.end();
        } else {
            send(exchange, &bytes[..bytes.len() - 8]);
            Break::Reset.apply(exchange);
        }
    });
    let (session, options) = session(&peer, true, &[("retry.max_attempts", "2")]);
    let (rows, end) = read(&session, &options);
    assert_eq!((rows, metric(&end.unwrap(), "resumes")), (ROWS, 3));
}

#[test]
fn a_break_without_progress_ends_after_the_attempts() {
    let peer = Peer::table(COLUMNS, 1, |exchange, _| {
        let bytes = stream(exchange, None);
        send(exchange, &bytes[..bytes.len() / 2]);
        Break::Reset.apply(exchange);
    });
    let (session, options) = session(&peer, false, &[]);
    let (rows, end) = read(&session, &options);
    let error = end.err().unwrap();
    // One request brought rows; that and two more in vain make three attempts at the rest.
    assert_eq!((rows, error.kind(), error.attempts()), (BATCH_ROWS, Kind::Connection, 3), "{error}");
    assert_eq!(error.server().request_id, "REQ-9");
}

#[test]
fn a_shorter_second_reading_is_an_error() {
    let peer = Peer::table(COLUMNS, 1, |exchange, number| {
        let bytes = stream(exchange, None);
        match number {
            0 => {
                send(exchange, &bytes[..bytes.len() - 8]);
                Break::Reset.apply(exchange);
            }
            _ => {
                send(exchange, &ipc(&[batch(0..5)], None));
                exchange.end();
            }
        }
    });
    let (session, options) = session(&peer, false, &[]);
    let (rows, end) = read(&session, &options);
    let error = end.err().unwrap();
    assert_eq!((rows, error.kind()), (ROWS, Kind::CorruptData));
    assert!(error.message().contains("30 rows were read"), "{error}");
}

#[test]
fn busy_and_stalled_services_in_between_are_waited_for() {
    let peer = Peer::table(COLUMNS, 1, |exchange, number| {
        let bytes = stream(exchange, None);
        match number {
            0 => {
                send(exchange, &bytes[..bytes.len() - 9]);
                exchange.stall();
            }
            1 => exchange
                .json("429 Too Many Requests", r#"{"Code":"SlotExceeded","Message":"x","HoldClientMillis":"1"}"#),
            _ => {
                send(exchange, &bytes);
                exchange.end();
            }
        }
    });
    let (session, options) = session(&peer, false, &[("read_idle_timeout_ms", "100")]);
    let (rows, end) = read(&session, &options);
    assert_eq!((rows, metric(&end.unwrap(), "requests")), (ROWS, 3));
}
