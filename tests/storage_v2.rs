//! Versions 2 and 3 of the Storage API against peers: what is asked for, how a service's version is found out, how a broken read goes
//! on, what a worker needs.

mod support;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow_array::{
    Array, ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray, StructArray, TimestampNanosecondArray,
};
use arrow_ipc::CompressionType;
use arrow_schema::{DataType, Field, Fields, Schema};
use maxstorage::client::Client;
use maxstorage::error::{Error, Kind};
use maxstorage::options::Options;
use maxstorage::scan::Scan;
use maxstorage::session::Session;
use maxstorage::split::Split;
use serde_json::{Value, json};
use support::{Exchange, Peer, ipc, packed};

const COLUMNS: &str = r#"{"Name":"a","Type":"bigint","Nullable":true},{"Name":"s","Type":"string","Nullable":true}"#;
const ROWS: i64 = 30;
const BATCH_ROWS: i64 = 11;
const LZ4: Option<CompressionType> = Some(CompressionType::LZ4_FRAME);
const ZSTD: Option<CompressionType> = Some(CompressionType::ZSTD);

/// Rows with the columns that are asked for.
fn batch(rows: Range<i64>, columns: &[&str]) -> RecordBatch {
    let texts: StringArray =
        rows.clone().map(|row| Some(format!("row {row} {}", "x".repeat(row as usize % 7)))).collect();
    let numbers: Int64Array = rows.collect();
    let all: [(&str, ArrayRef); 2] = [("a", Arc::new(numbers)), ("s", Arc::new(texts))];
    let picked = all.into_iter().filter(|(name, _)| columns.contains(name));
    RecordBatch::try_from_iter_with_nullable(picked.map(|(name, array)| (name, array, true))).unwrap()
}

fn body(exchange: &Exchange) -> Value {
    serde_json::from_slice(&exchange.body).unwrap()
}

fn parameter<'a>(exchange: &'a Exchange, name: &str) -> Option<&'a str> {
    let (_, query) = exchange.path().split_once('?')?;
    query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

/// The stream of the rows and columns that a request asks for.
fn stream(exchange: &Exchange) -> Vec<u8> {
    let body = body(exchange);
    let number = |name: &str| parameter(exchange, name).and_then(|text| text.parse::<i64>().ok());
    let (start, count) = (number("Offset").unwrap_or(0), number("Count").unwrap_or(ROWS));
    let skip = body["SkipRowNum"].as_i64().unwrap();
    let columns: Vec<&str> =
        body["DataColumns"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    let columns = if columns.is_empty() { vec!["a", "s"] } else { columns };
    let (mut at, end, mut batches) = (start + skip, start + count, vec![batch(0..0, &columns)]);
    while at < end {
        batches.push(batch(at..(at + BATCH_ROWS).min(end), &columns));
        at += BATCH_ROWS;
    }
    ipc(&batches, None)
}

fn describe(splits: i64, rows: i64) -> String {
    format!(
        r#"{{"SessionId":"S1","SessionStatus":"NORMAL","SplitsCount":{splits},"RecordCount":{rows},
            "DataSchema":{{"DataColumns":[{COLUMNS}],"PartitionColumns":[]}}}}"#
    )
}

fn answer_routed(exchange: &mut Exchange, token: &str, text: &str) {
    let headers = format!("x-odps-request-id: REQ-1\r\nx-odps-max-storage-route-token: {token}\r\n");
    exchange.answer("200 OK", &headers, text.as_bytes());
}

/// A peer with a table of one split that answers requests for rows with `rows`, which gets their number as well.
fn table(rows: impl Fn(&mut Exchange, usize) + Send + Sync + 'static) -> Peer {
    let reads = AtomicUsize::new(0);
    Peer::start(move |exchange, _| match parameter(exchange, "Action") {
        Some("TableCreateReadSession") => {
            let by_rows = body(exchange)["SplitOptions"]["SplitMode"] == "RowOffset";
            answer_routed(exchange, "node-1", &if by_rows { describe(-1, ROWS) } else { describe(1, -1) });
        }
        Some("TableGetReadSession") => answer_routed(exchange, "node-2", &describe(1, -1)),
        Some("TableRead") => rows(exchange, reads.fetch_add(1, Ordering::SeqCst)),
        _ => exchange.json("404 Not Found", ""),
    })
}

fn send_all(exchange: &mut Exchange, bytes: &[u8]) {
    exchange.begin();
    exchange.chunk(bytes);
    exchange.end();
}

fn open(peer: &Peer, more: &[(&str, &str)]) -> Result<(Session, Options), Error> {
    let mut options = peer.options();
    for (key, value) in [("protocol", "2"), ("retry.initial_backoff_ms", "1")].iter().chain(more) {
        options.set(key, value)?;
    }
    Ok((Session::open(&Client::open(&options)?, &options)?, options))
}

/// Reads split 0 and compares every cell.
fn read(session: &Session, options: &Options) -> Result<Split, Error> {
    let split = Split::open(session, 0, options)?;
    let names: Vec<String> = split.schema().fields().iter().map(|field| field.name().clone()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut next = 0;
    while let Some(batch) = split.next_batch()? {
        let rows = batch.num_rows() as i64;
        assert_eq!(batch.columns(), self::batch(next..next + rows, &names).columns(), "after {next} rows");
        assert_eq!(batch.schema(), *split.schema());
        next += rows;
    }
    assert_eq!(next, ROWS);
    Ok(split)
}

fn metric(split: &Split, name: &str) -> u64 {
    split.metrics().iter().find(|metric| metric.name == name).unwrap().value
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

// ------------------------------------------------------------------------------------------------------------- what is asked for

#[test]
fn a_read_of_each_version_in_each_compression() {
    for protocol in ["2", "3"] {
        for (name, codec, word) in
            [("none", None, None), ("lz4", LZ4, Some("x-lz4-frame")), ("zstd", ZSTD, Some("zstd"))]
        {
            let peer = table(move |exchange, _| send_all(exchange, &packed(&stream(exchange), codec)));
            let (session, options) = open(&peer, &[("protocol", protocol), ("read.compression", name)]).unwrap();
            let split = read(&session, &options).unwrap();
            assert_eq!(metric(&split, "bytes_copied"), 0, "the way into a batch is the same");
            let heads = peer.heads();
            assert_eq!(heads.len(), 2);
            assert!(heads.iter().all(|head| head.starts_with(&format!("POST /api/storage/v{protocol}?Action=Table"))));
            assert_eq!(heads[1].lines().find_map(|line| line.strip_prefix("accept-encoding: ")), word);
        }
    }
}

#[test]
fn a_service_that_compresses_buffers_or_nothing_is_understood_as_well() {
    for codec in [None, LZ4, ZSTD] {
        let peer = table(move |exchange, _| send_all(exchange, &ipc(&[batch(0..ROWS, &["a", "s"])], codec)));
        let (session, options) = open(&peer, &[("read.compression", "zstd")]).unwrap();
        read(&session, &options).unwrap();
    }
}

/// A service that sends the rows again which it was asked to skip. Where the plan has a number of rows, that is found out.
#[test]
fn a_service_that_does_not_skip_is_found_out_by_the_count_of_a_range() {
    let peer = table(|exchange, number| {
        let whole = ipc(&[batch(0..20, &["a", "s"]), batch(20..ROWS, &["a", "s"])], None);
        match number {
            0 => {
                exchange.begin();
                exchange.chunk(&whole[..whole.len() - 100]);
                drop(exchange.stream.shutdown(std::net::Shutdown::Both));
            }
            _ => {
                assert_eq!(body(exchange)["SkipRowNum"], 20);
                send_all(exchange, &whole);
            }
        }
    });
    let (session, options) = open(&peer, &[("split.mode", "row_offset"), ("filter.text", "a >= 0")]).unwrap();
    let split = Split::open(&session, 0, &options).unwrap();
    let mut rows = 0;
    let error = loop {
        match split.next_batch() {
            Ok(batch) => rows += batch.expect("the end would be wrong").num_rows(),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), Kind::CorruptData, "{error}");
    assert!(rows <= ROWS as usize, "not more than the range has: {rows}");
}

#[test]
fn the_newest_route_token_is_sent_back_and_travels() {
    let peer = table(|exchange, number| {
        let token = if number == 0 { "node-3" } else { "not a token" };
        let head =
            format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nx-odps-max-storage-route-token: {token}\r\n\r\n");
        exchange.send(head.as_bytes());
        exchange.chunk(&stream(exchange));
        exchange.end();
    });
    let (session, options) = open(&peer, &[]).unwrap();
    read(&session, &options).unwrap();
    read(&session, &options).unwrap();
    session.refresh(None).unwrap();
    let token = session.serialize().unwrap();
    let worker = Session::attach(&peer.client(), &token).unwrap();
    read(&worker, &options).unwrap();
    let routes: Vec<Option<String>> =
        peer.heads().iter().map(|head| header(head, "x-odps-max-storage-route-token").map(str::to_owned)).collect();
    let routes: Vec<Option<&str>> = routes.iter().map(Option::as_deref).collect();
    assert_eq!(routes, [None, Some("node-1"), Some("node-3"), Some("node-3"), Some("node-2")]);
}

#[test]
fn a_worker_opens_its_split_with_one_request() {
    for protocol in ["2", "3"] {
        let peer = table(|exchange, _| send_all(exchange, &stream(exchange)));
        let (session, _) = open(&peer, &[("protocol", protocol)]).unwrap();
        let token = session.serialize().unwrap();
        let planned = peer.heads().len();
        // The worker's own choice of a version does not matter: the session has one.
        let mut options = peer.options();
        options.set("protocol", "1").unwrap();
        let worker = Session::attach(&Client::open(&options).unwrap(), &token).unwrap();
        read(&worker, &options).unwrap();
        let heads = peer.heads().split_off(planned);
        assert_eq!(heads.len(), 1);
        assert!(heads[0].starts_with(&format!("POST /api/storage/v{protocol}?Action=TableRead&")), "{}", heads[0]);
    }
}

#[test]
fn one_read_may_have_fewer_columns() {
    let peer = table(|exchange, _| send_all(exchange, &stream(exchange)));
    let (session, mut options) = open(&peer, &[]).unwrap();
    options.set("columns", "S").unwrap();
    let split = read(&session, &options).unwrap();
    assert_eq!((split.schema().fields().len(), session.schema().fields().len()), (1, 2));
    let scan = Scan::open(&session, &options).unwrap();
    assert_eq!(
        (scan.schema().field(0).name(), scan.next_batch().unwrap().unwrap().1.num_columns()),
        (&"s".to_owned(), 1)
    );
    options.add("columns", "a").unwrap();
    assert_eq!(*read(&session, &options).unwrap().schema(), *session.schema(), "in the order of the session");
    options.set("columns", "b").unwrap();
    assert_eq!(Split::open(&session, 0, &options).unwrap_err().kind(), Kind::InvalidOption);
    assert_eq!(Scan::open(&session, &options).unwrap_err().kind(), Kind::InvalidOption);
}

/// Version 1 has no such request, so all columns come and the library drops some.
#[test]
fn one_read_may_have_fewer_columns_in_version_1_too() {
    let peer = Peer::table(COLUMNS, 1, |exchange, _| send_all(exchange, &ipc(&[batch(0..ROWS, &["a", "s"])], None)));
    let mut options = peer.options();
    let session = Session::open(&peer.client(), &options).unwrap();
    options.set("columns", "s").unwrap();
    let split = read(&session, &options).unwrap();
    assert_eq!((split.schema().fields().len(), session.schema().fields().len()), (1, 2));
}

#[test]
fn rows_without_columns_are_asked_for_by_the_narrowest_column() {
    let asked = Arc::new(std::sync::Mutex::new(Vec::new()));
    let kept = Arc::clone(&asked);
    let peer = Peer::start(move |exchange, _| match parameter(exchange, "Action") {
        Some("TableRead") => {
            kept.lock().unwrap().push(body(exchange)["DataColumns"].clone());
            let bytes = stream(exchange);
            send_all(exchange, &bytes);
        }
        _ => exchange.json("200 OK", &describe(1, -1)),
    });
    let (session, options) = open(&peer, &[("read.row_count_only", "true")]).unwrap();
    let split = Split::open(&session, 0, &options).unwrap();
    let batches: Vec<RecordBatch> = std::iter::from_fn(|| split.next_batch().unwrap()).collect();
    assert!(batches.iter().all(|batch| batch.num_columns() == 0 && batch.schema() == *split.schema()));
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>() as i64, ROWS);
    assert_eq!(*asked.lock().unwrap(), [json!(["a"])]);
    assert_eq!(session.schema().fields().len(), 2, "the session has its columns");
}

#[test]
fn times_in_seconds_and_nanoseconds_are_those_of_the_session() {
    let columns = r#"{"Name":"t","Type":"timestamp","Nullable":true}"#;
    let session = describe(1, -1).replace(COLUMNS, columns);
    let times = |seconds: i64| {
        let parts = vec![Field::new("sec", DataType::Int64, false), Field::new("nano", DataType::Int32, false)];
        let seconds = Int64Array::from(vec![seconds, 0, 0]);
        let arrays: Vec<ArrayRef> = vec![Arc::new(seconds), Arc::new(Int32Array::from(vec![7, 0, 1]))];
        let times = StructArray::new(Fields::from(parts), arrays, Some(vec![true, false, true].into()));
        let field = Field::new("t", times.data_type().clone(), true);
        RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![Arc::new(times)]).unwrap()
    };
    let year_9999 = 253_402_300_799;
    let peer = Peer::start(move |exchange, number| match parameter(exchange, "Action") {
        Some("TableRead") if number == 1 => send_all(exchange, &ipc(&[times(-1)], None)),
        Some("TableRead") => send_all(exchange, &ipc(&[times(year_9999)], None)),
        _ => exchange.json("200 OK", &session),
    });
    let (session, options) = open(&peer, &[]).unwrap();
    let split = Split::open(&session, 0, &options).unwrap();
    let expected = TimestampNanosecondArray::from(vec![Some(-999_999_993), None, Some(1)]).with_timezone("UTC");
    let batch = split.next_batch().unwrap().unwrap();
    assert_eq!(batch.column(0).to_data(), expected.to_data());
    assert_eq!(batch.schema(), *session.schema());
    let error = Split::open(&session, 0, &options).unwrap().next_batch().unwrap_err();
    assert_eq!(error.kind(), Kind::ValueOutOfRange);
    assert!(error.message().contains("column t") && error.server().request_id == "REQ-9", "{error}");
}

#[test]
fn changes_are_asked_for_by_bucket_with_their_bounds() {
    let asked = Arc::new(std::sync::Mutex::new(Vec::new()));
    let kept = Arc::clone(&asked);
    let peer = Peer::start(move |exchange, _| {
        kept.lock().unwrap().push(body(exchange));
        exchange.json("200 OK", &describe(1, -1));
    });
    let changes = [
        ("incremental.mode", "cdc"),
        ("incremental.start_version", "3"),
        ("incremental.end_timestamp", "2026-01-01 00:00:00"),
    ];
    let (session, _) = open(&peer, &[&[("protocol", "auto")][..], &changes].concat()).unwrap();
    assert_eq!(session.split_count(), 1);
    assert!(peer.heads()[0].starts_with("POST /api/storage/v2?Action=TableCreateReadSession&"), "not in version 1");
    let body = asked.lock().unwrap().pop().unwrap();
    assert_eq!((&body["IncrementalRead"], &body["SplitOptions"]["SplitMode"]), (&json!(true), &json!("Bucket")));
    assert_eq!(
        body["IncrementalReadOptions"],
        json!({"EnableIncrementalRead": true, "Mode": "cdc", "StartVersion": 3, "EndVersion": -1,
               "StartTimeStamp": "-1", "EndTimeStamp": "2026-01-01 00:00:00"})
    );
    let twice = [("incremental.start_version", "3"), ("incremental.start_timestamp", "2026-01-01 00:00:00")];
    assert_eq!(open(&peer, &twice).unwrap_err().kind(), Kind::InvalidOption);
    assert_eq!(
        open(&peer, &[("protocol", "1"), ("incremental.mode", "append")]).unwrap_err().kind(),
        Kind::Unsupported
    );
    assert_eq!(peer.heads().len(), 1);
}

#[test]
fn the_result_of_an_instance_is_a_session() {
    let schema =
        r#"{"DataColumns":[{"columnType":{"MemberName":"a","Type":0}},{"columnType":{"MemberName":"s","Type":4}}]}"#;
    let session = format!(r#"{{"DownloadID":"d1","RecordCount":{ROWS},"Status":"normal","TableSchema":{schema}}}"#);
    let peer = Peer::start(move |exchange, _| match parameter(exchange, "Action") {
        Some("InstanceRead") => {
            let (from, count) = (parameter(exchange, "Offset").unwrap(), parameter(exchange, "Count").unwrap());
            let (from, count): (i64, i64) = (from.parse().unwrap(), count.parse().unwrap());
            let columns = body(exchange)["Columns"].clone();
            let columns = if columns == json!([]) { vec!["a", "s"] } else { vec!["a"] };
            send_all(exchange, &ipc(&[batch(from..from + count, &columns)], None));
        }
        _ => exchange.json("200 OK", &session),
    });
    let mut options = peer.options();
    options.set("table", "").unwrap();
    options.set("instance", "2026I").unwrap();
    options.set("split.rows", "20").unwrap();
    let client = Client::open(&options).unwrap();
    let session = Session::open(&client, &options).unwrap();
    assert_eq!((session.split_count(), session.estimated_rows(), session.expires_at_ms()), (2, Some(ROWS), None));
    let worker = Session::attach(&client, &session.serialize().unwrap()).unwrap();
    options.set("columns", "a").unwrap();
    let split = Split::open(&worker, 1, &options).unwrap();
    assert_eq!(split.next_batch().unwrap().unwrap().column(0).to_data(), batch(20..30, &["a"]).column(0).to_data());
    assert!(split.next_batch().unwrap().is_none());
    let heads = peer.heads();
    assert!(
        heads[0]
            .starts_with("POST /api/storage/v2?Action=InstanceCreateReadSession&Target=projects.p.instances.2026I&")
    );
    assert!(heads[1].contains("Action=InstanceRead&") && heads[1].contains("&SessionId=d1&Offset=20&Count=10&"));
    assert_eq!(heads.len(), 2);
    let error = Session::open(&client, &options).unwrap_err();
    assert_eq!(error.kind(), Kind::InvalidOption, "its columns were chosen by its statement");
    options.set("columns", "").unwrap();
    options.set("protocol", "1").unwrap();
    let error = Session::open(&Client::open(&options).unwrap(), &options).unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported);
}

#[test]
fn sessions_that_are_gone_are_told_from_tables_that_are_gone() {
    for (status, code, kind) in [
        ("404 Not Found", "NoSuchObject", Kind::SessionExpired),
        ("409 Conflict", "InvalidStateSetting", Kind::SessionExpired),
        ("404 Not Found", "NoSuchTable", Kind::NotFound),
    ] {
        let peer = table(move |exchange, _| exchange.json(status, &format!(r#"{{"Code":"{code}","Message":"x"}}"#)));
        let (session, options) = open(&peer, &[]).unwrap();
        assert_eq!(read(&session, &options).unwrap_err().kind(), kind, "{code}");
    }
}

// ------------------------------------------------------------------------------------------------------------- which version it is

/// A service that speaks some versions and answers the others with 404 and a code.
fn speaking(spoken: &'static [&'static str], code: &'static str) -> Peer {
    Peer::start(move |exchange, _| {
        let is_spoken = spoken.iter().any(|version| exchange.path().starts_with(&format!("/api/storage/{version}")));
        match (is_spoken, exchange.path().contains("/v1/")) {
            (false, _) => exchange.json("404 Not Found", &format!(r#"{{"Code":"{code}","Message":"no such path"}}"#)),
            (true, true) => exchange.json("201 Created", &describe(1, -1)),
            (true, false) => exchange.json("200 OK", &describe(1, -1)),
        }
    })
}

fn versions_asked(peer: &Peer) -> String {
    let version = |head: &String| head.split_once("/api/storage/v").map(|(_, rest)| rest[..1].to_owned());
    peer.heads().iter().filter_map(version).collect()
}

#[test]
fn a_version_is_found_without_a_request_of_its_own_and_remembered() {
    for (spoken, code, asked) in [
        (&["v1", "v2", "v3"][..], "", "11"),
        (&["v2", "v3"], "", "122"),
        (&["v2"], "InvalidURI", "122"),
        (&["v3"], "NoSuchObject", "1233"),
    ] {
        let peer = speaking(spoken, code);
        let client = peer.client();
        for _ in 0..2 {
            Session::open(&client, &peer.options()).unwrap();
        }
        assert_eq!(versions_asked(&peer), asked, "{spoken:?}");
    }
}

#[test]
fn a_table_that_is_missing_is_missing_in_every_version() {
    let peer = speaking(&[], "NoSuchTable");
    assert_eq!(Session::open(&peer.client(), &peer.options()).unwrap_err().kind(), Kind::NotFound);
    assert_eq!(versions_asked(&peer), "1");
}

#[test]
fn a_service_without_any_version_gives_the_first_failure() {
    let peer = speaking(&[], "InvalidURI");
    let error = Session::open(&peer.client(), &peer.options()).unwrap_err();
    assert_eq!((error.server().code.as_str(), versions_asked(&peer).as_str()), ("InvalidURI", "123"));
}

#[test]
fn a_version_by_number_is_that_one_or_none() {
    for (protocol, spoken) in [("1", "v2"), ("2", "v1"), ("3", "v2")] {
        let peer = match spoken {
            "v1" => speaking(&["v1"], ""),
            _ => speaking(&["v2"], ""),
        };
        assert_eq!(open(&peer, &[("protocol", protocol)]).unwrap_err().kind(), Kind::NotFound);
        assert_eq!(versions_asked(&peer), protocol);
    }
}

// ------------------------------------------------------------------------------------------------------------- how it goes on

/// How an answer stops too early.
#[derive(Clone, Copy, Debug)]
enum Break {
    Reset,
    CleanEnd,
}

/// Cuts every other answer off after each number of its bytes.
fn goes_on_after_every_byte(more: &'static [(&'static str, &'static str)], how: Break) {
    /// The tests wait more than they work.
    const THREADS: usize = 6;
    std::thread::scope(|scope| {
        for first in 0..THREADS {
            scope.spawn(move || {
                for (name, codec) in [("none", None), ("lz4", LZ4), ("zstd", ZSTD)] {
                    goes_on_after_bytes(more, name, codec, how, (first..).step_by(THREADS));
                }
            });
        }
    });
}

fn goes_on_after_bytes(
    more: &[(&str, &str)],
    name: &str,
    codec: Option<CompressionType>,
    how: Break,
    cuts: impl Iterator<Item = usize>,
) {
    let (at, sent) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(usize::MAX)));
    let (cut_at, whole) = (Arc::clone(&at), Arc::clone(&sent));
    let peer = table(move |exchange, number| {
        let bytes = packed(&stream(exchange), codec);
        if !number.is_multiple_of(2) {
            return send_all(exchange, &bytes);
        }
        whole.store(bytes.len(), Ordering::SeqCst);
        exchange.begin();
        match &bytes[..cut_at.load(Ordering::SeqCst).min(bytes.len() - 1)] {
            [] => {}
            part => exchange.chunk(part),
        }
        match how {
            Break::Reset => drop(exchange.stream.shutdown(std::net::Shutdown::Both)),
            Break::CleanEnd => exchange.end(),
        }
    });
    let (session, options) = open(&peer, &[&[("read.compression", name)], more].concat()).unwrap();
    for cut in cuts {
        if cut >= sent.load(Ordering::SeqCst) {
            break;
        }
        at.store(cut, Ordering::SeqCst);
        let split = read(&session, &options).unwrap_or_else(|error| panic!("{name}, cut at {cut}: {error}"));
        assert_eq!((metric(&split, "resumes"), metric(&split, "requests")), (1, 2), "{name}, cut at {cut}");
        // Only the end marker of a row range without filter costs a row again.
        let is_range = more.iter().any(|(key, _)| *key == "split.mode") && more.len() == 1;
        assert!(metric(&split, "rows_reread") <= u64::from(is_range), "{name}, cut at {cut}");
    }
}

#[test]
fn an_indexed_split_goes_on_after_a_reset_at_every_byte() {
    goes_on_after_every_byte(&[], Break::Reset);
}

#[test]
fn an_indexed_split_goes_on_after_a_clean_end_at_every_byte() {
    goes_on_after_every_byte(&[], Break::CleanEnd);
}

#[test]
fn a_row_range_goes_on_after_a_reset_at_every_byte() {
    goes_on_after_every_byte(&[("split.mode", "row_offset")], Break::Reset);
}

#[test]
fn a_filtered_row_range_goes_on_after_a_clean_end_at_every_byte() {
    goes_on_after_every_byte(&[("split.mode", "row_offset"), ("filter.text", "a >= 0")], Break::CleanEnd);
}

#[test]
fn a_split_from_the_middle_skips_at_the_service() {
    let peer = table(|exchange, _| {
        assert_eq!(body(exchange)["SkipRowNum"], 12);
        send_all(exchange, &stream(exchange));
    });
    let (session, mut options) = open(&peer, &[]).unwrap();
    options.set("read.start_row", "12").unwrap();
    let split = Split::open(&session, 0, &options).unwrap();
    assert_eq!(split.next_batch().unwrap().unwrap(), {
        let batch = batch(12..23, &["a", "s"]);
        RecordBatch::try_new(Arc::clone(session.schema()), batch.columns().to_vec()).unwrap()
    });
    assert_eq!(metric(&split, "rows_reread"), 0);
}
