//! How large batches are: what is asked for, and what becomes of messages of another size.

mod support;

use std::sync::Arc;

use arrow_array::{Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use maxstorage::error::Kind;
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
