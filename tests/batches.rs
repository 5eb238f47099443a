//! How large batches are: what is asked for, and what becomes of messages of another size.

mod support;

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use maxstorage::client::Client;
use maxstorage::error::Kind;
use maxstorage::scan::Scan;
use maxstorage::session::Session;
use maxstorage::split::Split;
use support::{Peer, ipc};

const COLUMN: &str = r#"{"Name":"a","Type":"bigint","Nullable":true}"#;

/// The sizes of the batches of a read whose service sends `messages`, and the query of its request.
fn read(batch_rows: &str, messages: &[usize]) -> (Vec<usize>, String) {
    let schema = Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, true)]));
    let batch = |rows: &usize| {
        let values = Arc::new((0..*rows as i64).collect::<Int64Array>());
        RecordBatch::try_new(Arc::clone(&schema), vec![values]).unwrap()
    };
    let stream = ipc(&messages.iter().map(batch).collect::<Vec<_>>(), None);
    let peer = Peer::table(COLUMN, 1, move |exchange, _| exchange.answer("200 OK", "", &stream));
    let mut options = peer.options();
    options.set("read.batch_rows", batch_rows).unwrap();
    let session = Session::open(&peer.client(), &options).unwrap();
    let split = Split::open(&session, 0, &options).unwrap();
    let sizes = std::iter::from_fn(|| split.next_batch().unwrap()).map(|batch| batch.num_rows()).collect();
    let head = peer.heads().into_iter().find(|head| head.contains("/data")).unwrap();
    (sizes, head.lines().next().unwrap().to_owned())
}

#[test]
fn the_service_is_asked_for_what_it_can_give() {
    for (wanted, asked) in [("1", 1), ("4096", 4096), ("20000", 20_000), ("20001", 20_000), ("1048576", 20_000)] {
        let (_, query) = read(wanted, &[1]);
        assert!(query.contains(&format!("max_batch_rows={asked}&")), "{wanted}: {query}");
    }
}

#[test]
fn messages_of_any_size_are_batches_up_to_the_limit() {
    assert_eq!(read("65536", &[50_000, 10, 70_000]).0, [50_000, 10, 65_536, 4464]);
    assert_eq!(read("4096", &[10_000]).0, [4096, 4096, 1808]);
}

#[test]
fn more_rows_than_a_batch_may_have_are_an_option_that_is_refused() {
    let peer = Peer::table(COLUMN, 1, |_, _| ());
    let mut options = peer.options();
    let error = options.set("read.batch_rows", "1048577").unwrap_err();
    assert_eq!(error.kind(), Kind::InvalidOption);
}

/// A service with two columns and so many splits, each of one message with the values 0 to 299 and their last digits as text.
fn table(splits: usize) -> Peer {
    let columns: [(&str, ArrayRef, bool); 2] = [
        ("a", Arc::new((0..300).collect::<Int64Array>()), true),
        (
            "s",
            Arc::new((0..300).map(|row| Some(format!("digit {} of a long text", row % 10))).collect::<StringArray>()),
            true,
        ),
    ];
    let stream = ipc(&[RecordBatch::try_from_iter_with_nullable(columns).unwrap()], None);
    let columns = format!("{COLUMN},{}", COLUMN.replace("\"a\"", "\"s\"").replace("bigint", "string"));
    Peer::table(&columns, splits, move |exchange, _| exchange.answer("200 OK", "", &stream))
}

fn open(peer: &Peer, more: &[(&str, &str)]) -> Session {
    let mut options = peer.options();
    more.iter().for_each(|(key, value)| options.set(key, value).unwrap());
    Session::open(&Client::open(&options).unwrap(), &options).unwrap()
}

fn values(batch: &RecordBatch) -> Vec<i64> {
    batch.column(0).as_primitive::<Int64Type>().values().to_vec()
}

#[test]
fn limits_change_between_calls_without_copies_or_losses() {
    let peer = table(1);
    let session = open(&peer, &[]);
    let split = Split::open(&session, 0, &peer.options()).unwrap();
    let (mut next, mut start) = (0, None);
    // 8 bytes of a number and 26 of a text with its offset are 34 a row; nulls are a bit each at most.
    for (rows, bytes, expected) in
        [(100, 0, 100), (1, 0, 1), (7, 0, 7), (50, 330, 9), (0, 330, 9), (0, 1, 1), (1000, 0, 173)]
    {
        split.set_batch_limits(rows, bytes);
        let batch = split.next_batch().unwrap().unwrap();
        assert_eq!(values(&batch), (next..next + expected).collect::<Vec<_>>(), "{rows} rows, {bytes} bytes");
        let first = batch.column(0).as_primitive::<Int64Type>().values().as_ptr().addr() - next as usize * 8;
        assert_eq!(*start.get_or_insert(first), first, "every batch lies where the message was received");
        next += expected;
        assert_eq!(split.rows_delivered(), next);
    }
    assert!(split.next_batch().unwrap().is_none());
    assert_eq!(
        (split.progress(), split.metrics().iter().find(|metric| metric.name == "batches").unwrap().value),
        (1.0, 7)
    );
}

#[test]
fn limits_hold_for_polling_and_for_what_was_fetched_before_them() {
    let peer = table(1);
    let split = Split::open(&open(&peer, &[]), 0, &peer.options()).unwrap();
    let mut rows = Vec::new();
    loop {
        match split.try_next_batch() {
            std::task::Poll::Pending => std::thread::yield_now(),
            std::task::Poll::Ready(batch) => match batch.unwrap() {
                Some(batch) => rows.push(batch.num_rows()),
                None => break,
            },
        }
        // The first batch may be the whole message; it is in the queue before a limit is there.
        split.set_batch_limits(128, 0);
    }
    assert_eq!(rows.iter().sum::<usize>(), 300);
    assert!(rows.iter().skip(1).all(|rows| *rows <= 128), "{rows:?}");
    let split = Split::open(&open(&peer, &[]), 0, &peer.options()).unwrap();
    while split.metrics().iter().find(|metric| metric.name == "bytes_decoded").unwrap().value == 0 {
        std::thread::yield_now();
    }
    split.set_batch_limits(128, 0);
    let sizes: Vec<_> = std::iter::from_fn(|| split.next_batch().unwrap()).map(|batch| batch.num_rows()).collect();
    assert_eq!(sizes, [128, 128, 44]);
    let split = Split::open(&open(&peer, &[]), 0, &peer.options()).unwrap();
    split.set_batch_limits(128, 0);
    let polled = || loop {
        match split.try_next_batch() {
            std::task::Poll::Pending => std::thread::yield_now(),
            std::task::Poll::Ready(batch) => return batch.unwrap(),
        }
    };
    let sizes: Vec<_> = std::iter::from_fn(polled).map(|batch| batch.num_rows()).collect();
    assert_eq!(sizes, [128, 128, 44]);
}

#[test]
fn threads_of_a_scan_share_what_is_cut() {
    for (ordered, view) in [("false", "false"), ("true", "false"), ("false", "true")] {
        let peer = table(4);
        let mut options = peer.options();
        options.set("types.string_view", view).unwrap();
        options.set("scan.ordered", ordered).unwrap();
        let client = Client::open(&options).unwrap();
        let session = Session::open(&client, &options).unwrap();
        let scan = Scan::open(&session, &options).unwrap();
        scan.set_batch_limits(9, 0);
        let mut seen: Vec<(i64, i64, String)> = std::thread::scope(|scope| {
            let take = || {
                let mut rows = Vec::new();
                while let Some((split, batch)) = scan.next_batch().unwrap() {
                    assert!((1..=9).contains(&batch.num_rows()));
                    let text = |row| match view {
                        "true" => batch.column(1).as_string_view().value(row).to_owned(),
                        _ => batch.column(1).as_string::<i32>().value(row).to_owned(),
                    };
                    rows.extend(values(&batch).into_iter().enumerate().map(|(row, value)| (split, value, text(row))));
                }
                rows
            };
            let threads: Vec<_> = (0..3).map(|_| scope.spawn(take)).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        seen.sort_unstable();
        let row = |row: i64| (row / 300, row % 300, format!("digit {} of a long text", row % 10));
        assert_eq!(seen, (0..1200).map(row).collect::<Vec<_>>());
        drop(scan);
        let held = || client.metrics().iter().find(|metric| metric.name == "memory_current").unwrap().value;
        let start = std::time::Instant::now();
        while held() > 0 {
            assert!(start.elapsed().as_secs() < 5, "{} bytes are held when all is gone", held());
        }
    }
}
