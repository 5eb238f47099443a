//! Filters in sessions, splits and scans: what the engine gets of a service that filters nothing.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_select::concat::concat_batches;
use maxstorage::client::Client;
use maxstorage::error::Kind;
use maxstorage::options::Options;
use maxstorage::predicate::{Exactness, Predicate};
use maxstorage::scan::Scan;
use maxstorage::session::Session;
use maxstorage::split::Split;
use support::{Exchange, Peer, ipc};

const ROWS: i64 = 100;

/// Rows 0 to 99 in batches of 10: `v` is the number, `k` its tens as text.
fn batches(with_k: bool) -> Vec<RecordBatch> {
    (0..ROWS / 10)
        .map(|tens| {
            let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(tens * 10..tens * 10 + 10));
            let texts: ArrayRef = Arc::new(StringArray::from(vec![format!("k{tens}"); 10]));
            let mut columns = vec![("v", numbers, true)];
            if with_k {
                columns.push(("k", texts, true));
            }
            RecordBatch::try_from_iter_with_nullable(columns).unwrap()
        })
        .collect()
}

/// A service whose table has the columns v and k and, as answer to anything, one session that reads both.
fn service(data: impl Fn(&mut Exchange, usize) + Send + Sync + 'static) -> Peer {
    let reads = AtomicUsize::new(0);
    Peer::start(move |exchange, _| {
        match exchange.path() {
        path if path.contains("/sessions") => exchange.json(
            "201 Created",
            r#"{"SessionId":"S1","SessionStatus":"NORMAL","SplitsCount":2,"RecordCount":-1,"DataSchema":{"DataColumns":[
                {"Name":"v","Type":"bigint"},{"Name":"k","Type":"string"}],"PartitionColumns":[]}}"#,
        ),
        path if path.contains("/data") => data(exchange, reads.fetch_add(1, Ordering::SeqCst)),
        path if path.contains("/projects/p/tables/t") => exchange.answer(
            "200 OK",
            "x-odps-request-id: REQ-2\r\n",
            br#"<Table><Name>t</Name><Schema format="Json">{"columns":[{"name":"v","type":"bigint"},{"name":"k","type":"string"}],"partitionKeys":[]}</Schema></Table>"#,
        ),
        _ => exchange.json("404 Not Found", r#"{"Code":"NoSuchObject","Message":"unknown"}"#),
    }
    })
}

fn whole(exchange: &mut Exchange, _: usize) {
    exchange.answer("200 OK", "", &ipc(&batches(true), None));
}

fn options(peer: &Peer, more: &[(&str, &str)]) -> Options {
    let mut options = peer.options();
    for (key, value) in [("protocol", "1")].iter().chain(more) {
        options.set(key, value).unwrap();
    }
    options
}

fn open(peer: &Peer, more: &[(&str, &str)], filter: Option<&str>) -> maxstorage::error::Result<Session> {
    let options = options(peer, more);
    let filter = filter.map(|text| Predicate::parse(text).unwrap());
    Session::open_filtered(&Client::open(&options)?, &options, filter.as_ref(), None)
}

fn numbers(batch: &RecordBatch) -> Vec<i64> {
    batch.column(0).as_any().downcast_ref::<Int64Array>().unwrap().values().to_vec()
}

fn read(split: &Split) -> Vec<i64> {
    let mut rows = Vec::new();
    while let Some(batch) = split.next_batch().unwrap() {
        assert!(batch.num_rows() > 0, "an empty batch was delivered");
        assert_eq!(batch.schema(), *split.schema());
        rows.extend(numbers(&batch));
    }
    rows
}

fn metric(split: &Split, name: &str) -> u64 {
    split.metrics().iter().find(|metric| metric.name == name).unwrap().value
}

const EXACT: (&str, &str) = ("filter.exact", "true");

#[test]
fn only_rows_that_match_arrive_and_columns_of_the_filter_do_not() {
    let peer = service(whole);
    // As an option, as a predicate, and both.
    for (text, built) in
        [("k = 'k3' and v != 35", None), ("", Some("k = 'k3' and v != 35")), ("K in ('k3', NULL)", Some("not v = 35"))]
    {
        let session = open(&peer, &[EXACT, ("columns", "v"), ("filter.text", text)], built).unwrap();
        assert_eq!(session.schema().fields().len(), 1);
        let conjuncts = session.conjuncts();
        assert_eq!(conjuncts.len(), 2);
        assert!(conjuncts.iter().all(|conjunct| conjunct.exactness == Exactness::Exact && conjunct.pushed.is_some()));
        let expected: Vec<i64> = (30..40).filter(|v| *v != 35).collect();
        let split = Split::open(&session, 0, &Options::new()).unwrap();
        assert_eq!(read(&split), expected);
        assert_eq!((metric(&split, "rows"), metric(&split, "batches"), metric(&split, "rows_filtered")), (9, 1, 91));
        assert_eq!(split.rows_delivered(), 40, "a position counts the rows of the service");

        // A worker gets the same from the token.
        let attached = Session::attach(&peer.client(), &session.serialize().unwrap()).unwrap();
        assert_eq!(attached.schema(), session.schema());
        assert!(attached.conjuncts().iter().all(|conjunct| conjunct.exactness == Exactness::Exact));
        assert_eq!(read(&Split::open(&attached, 1, &Options::new()).unwrap()), expected);

        let scan = Scan::open(&session, &Options::new()).unwrap();
        let mut rows = Vec::new();
        while let Some((_, batch)) = scan.next_batch().unwrap() {
            rows.extend(numbers(&batch));
        }
        rows.sort_unstable();
        assert_eq!(rows, expected.iter().flat_map(|row| [*row, *row]).collect::<Vec<_>>());
    }
}

#[test]
fn without_exact_the_engine_filters_and_is_told_so() {
    let peer = service(whole);
    let session = open(&peer, &[], Some("v < 10 and k = 'k0' and v in (1.5) and k > 5")).unwrap();
    let told: Vec<(Exactness, Option<&str>)> =
        session.conjuncts().iter().map(|conjunct| (conjunct.exactness, conjunct.pushed.as_deref())).collect();
    assert_eq!(
        told,
        [
            (Exactness::Inexact, Some("`v` < 10")),
            (Exactness::Inexact, Some("`k` = 'k0'")),
            (Exactness::Inexact, Some("`v` IS NULL AND `v` IS NOT NULL")),
            (Exactness::Unsupported, None),
        ]
    );
    assert_eq!(read(&Split::open(&session, 0, &Options::new()).unwrap()).len(), 100);
    // Text that only the service may understand is sent as it is.
    let session = open(&peer, &[("filter.text", "length(k) = 2")], None).unwrap();
    assert_eq!(session.conjuncts()[0].pushed.as_deref(), Some("length(k) = 2"));
    assert_eq!(session.conjuncts()[0].exactness, Exactness::Inexact);
}

#[test]
fn what_cannot_be_exact_says_so() {
    let peer = service(whole);
    let foreign = open(&peer, &[EXACT, ("filter.text", "length(k) = 2")], None).unwrap_err();
    assert_eq!(foreign.kind(), Kind::InvalidOption);
    assert!(foreign.message().contains("length") && foreign.message().contains("filter.exact"), "{foreign}");
    let mistyped = open(&peer, &[EXACT], Some("k > 5")).unwrap_err();
    assert_eq!(mistyped.kind(), Kind::InvalidArgument);
    assert!(mistyped.message().contains("`k`"), "{mistyped}");
    for (more, filter) in [(&[EXACT][..], "x = 1"), (&[], "x = 1"), (&[EXACT, ("columns", "v")], "v = 1 or x is null")]
    {
        assert_eq!(open(&peer, more, Some(filter)).unwrap_err().kind(), Kind::NotFound, "{filter}");
    }
}

#[test]
fn a_broken_read_goes_on_with_its_filter() {
    // The stream breaks after 5 batches; the rows that were filtered out count as read.
    let peer = service(|exchange, number| {
        let stream = ipc(&batches(true), None);
        let cut = ipc(&batches(true)[..5], None).len() - 8;
        exchange.begin();
        exchange.chunk(if number == 0 { &stream[..cut] } else { &stream });
        if number > 0 {
            exchange.end();
        }
        let _ = exchange.stream.shutdown(std::net::Shutdown::Both);
    });
    let session = open(&peer, &[EXACT], Some("v between 35 and 64 and v not in (40, 60)")).unwrap();
    let split = Split::open(&session, 0, &Options::new()).unwrap();
    assert_eq!(read(&split), (35..65).filter(|v| ![40, 60].contains(v)).collect::<Vec<_>>());
    assert_eq!((metric(&split, "resumes"), metric(&split, "rows_reread")), (1, 50));
}

#[test]
fn filters_are_added_while_a_read_is_open() {
    let peer = service(whole);
    let session = open(&peer, &[EXACT], Some("v >= 5")).unwrap();
    let split = Split::open(&session, 0, &Options::new()).unwrap();
    assert_eq!(numbers(&split.next_batch().unwrap().unwrap()), (5..10).collect::<Vec<_>>());
    // By now batches wait.
    split.add_filter(&Predicate::parse("k = 'k2' or k = 'k7'").unwrap()).unwrap();
    split.add_filter(&Predicate::parse("v != 20").unwrap()).unwrap();
    assert_eq!(read(&split), (21..30).chain(70..80).collect::<Vec<_>>());
    // Batches without a row left count if they waited for the engine already.
    assert!((80..=100).contains(&split.rows_delivered()));

    let error = split.add_filter(&Predicate::parse("x = 1").unwrap()).unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    let error = split.add_filter(&Predicate::parse("v = 'a'").unwrap()).unwrap_err();
    assert_eq!(error.kind(), Kind::InvalidArgument);

    let scan = Scan::open(&session, &Options::new()).unwrap();
    scan.add_filter(&Predicate::parse("v > 97").unwrap()).unwrap();
    let mut rows = Vec::new();
    while let Some((_, batch)) = scan.next_batch().unwrap() {
        rows.extend(numbers(&batch));
    }
    rows.sort_unstable();
    assert_eq!(rows, [98, 98, 99, 99]);
}

/// A table in partitions `pt=0` to `pt=7`, each with a session of its own at the service, whose rows are v = 0 to 9. The first request for
/// rows waits until `go` says so.
fn parted(go: std::sync::mpsc::Receiver<()>) -> Peer {
    let go = std::sync::Mutex::new(Some(go));
    Peer::start(move |exchange, _| {
        let body = String::from_utf8_lossy(&exchange.body).into_owned();
        let path = exchange.path().to_owned();
        if exchange.head.starts_with("POST") {
            let (_, partition) = body.split_once("\"pt=").unwrap();
            let answer = format!(
                r#"{{"SessionId":"S{}","SessionStatus":"NORMAL","SplitsCount":1,"RecordCount":-1,"DataSchema":{{
                    "DataColumns":[{{"Name":"v","Type":"bigint"}}],"PartitionColumns":[{{"Name":"pt","Type":"string"}}]}}}}"#,
                &partition[..1]
            );
            exchange.json("201 Created", &answer);
        } else if let Some((_, session)) = path.split_once("session_id=S") {
            if let Some(go) = go.lock().unwrap().take() {
                go.recv().unwrap();
            }
            let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..10));
            let keys: ArrayRef = Arc::new(StringArray::from(vec![session[..1].to_owned(); 10]));
            let batch = RecordBatch::try_from_iter_with_nullable([("v", numbers, true), ("pt", keys, true)]).unwrap();
            exchange.answer("200 OK", "", &ipc(&[batch], None));
        } else {
            exchange.json("404 Not Found", r#"{"Code":"NoSuchObject","Message":"unknown"}"#);
        }
    })
}

#[test]
fn partitions_that_an_added_filter_rules_out_are_not_asked_for() {
    for ordered in ["false", "true"] {
        let (say, go) = std::sync::mpsc::channel();
        let peer = parted(go);
        let mut scan = options(&peer, &[("plan.partitions_per_session", "1"), ("plan.concurrency", "1")]);
        for partition in 0..8 {
            scan.add("partitions", &format!("pt={partition}")).unwrap();
        }
        scan.add("columns", "v").unwrap();
        scan.add("partition_columns", "pt").unwrap();
        let session = Session::open(&Client::open(&scan).unwrap(), &scan).unwrap();
        assert_eq!(session.split_count(), 8);
        let mut read = Options::new();
        read.set("scan.concurrency", "1").unwrap();
        read.set("scan.ordered", ordered).unwrap();
        let scan = Scan::open(&session, &read).unwrap();
        // One condition is on the key alone, one is not, and one is on both.
        for filter in ["pt in ('0', '3', '5', '6') and v < 9", "pt <> '6' or v = 1", "pt != '3'"] {
            scan.add_filter(&Predicate::parse(filter).unwrap()).unwrap();
        }
        say.send(()).unwrap();
        let mut rows: Vec<i64> = Vec::new();
        while let Some((_, batch)) = scan.next_batch().unwrap() {
            rows.extend(numbers(&batch));
        }
        let expected: Vec<i64> = (0..9).chain(0..9).chain([1]).collect();
        assert_eq!(rows, expected, "of the partitions 0, 5 and 6");
        assert_eq!(scan.progress(), 1.0);
        let heads = peer.heads();
        let mut asked: Vec<&str> =
            heads.iter().filter_map(|head| Some(&head.split_once("session_id=S")?.1[..1])).collect();
        asked.dedup();
        assert_eq!(asked, ["0", "5", "6"], "scan.ordered {ordered}");
    }
}

#[test]
fn a_position_in_a_filtered_batch_that_is_cut_is_where_a_later_read_goes_on() {
    let peer = service(|exchange, _| {
        let all = batches(true);
        let one = concat_batches(&all[0].schema(), &all).unwrap();
        exchange.answer("200 OK", "", &ipc(&[one], None));
    });
    let is_kept = |v: &i64| ![0, 1, 5, 6, 7, 40, 98, 99].contains(v) && !(10..30).contains(v);
    let text = "not (v in (0, 1, 5, 6, 7, 40, 98, 99) or v >= 10 and v < 30)";
    let late = Predicate::parse("v != 31 and v != 50").unwrap();
    let session = open(&peer, &[EXACT], Some(text)).unwrap();
    for is_late in [false, true] {
        let wanted: Vec<i64> = (0..ROWS).filter(|v| is_kept(v) && !(is_late && [31, 50].contains(v))).collect();
        let read_from = |position: i64| {
            let mut read = Options::new();
            read.set("read.start_row", &position.to_string()).unwrap();
            let split = Split::open(&session, 0, &read).unwrap();
            if is_late {
                split.add_filter(&late).unwrap();
            }
            split
        };
        let split = read_from(0);
        split.set_batch_limits(3, 0);
        let mut seen = Vec::new();
        while let Some(batch) = split.next_batch().unwrap() {
            assert!((1..=3).contains(&batch.num_rows()));
            seen.extend(numbers(&batch));
            let position = split.rows_delivered();
            assert!(position > *seen.last().unwrap());
            assert_eq!([seen.clone(), read(&read_from(position))].concat(), wanted, "from {position}");
        }
        assert_eq!(seen, wanted);
        assert_eq!(split.rows_delivered(), 100, "the rows behind the last that matches are done with");
    }
}
