//! The trace that requests belong to: sent with every one of them, and told in errors.

mod support;

use std::sync::Arc;

use arrow_array::{Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use maxstorage::catalog;
use maxstorage::client::Client;
use maxstorage::error::Kind;
use maxstorage::options::Options;
use maxstorage::scan::Scan;
use maxstorage::session::Session;
use maxstorage::split::Split;
use support::{Peer, ipc};

const COLUMN: &str = r#"{"Name":"a","Type":"bigint","Nullable":true}"#;

fn trace(number: u32) -> String {
    format!("00-4bf92f3577b34da6a3ce929d0e0e{number:04x}-00f067aa0ba902b7-01")
}

fn of(peer: &Peer, number: u32) -> Options {
    let mut options = peer.options();
    options.set("trace.parent", &trace(number)).unwrap();
    options
}

/// The traces of the requests since the last call.
fn traces(peer: &Peer, seen: &mut usize) -> Vec<String> {
    let heads = peer.heads().split_off(*seen);
    *seen += heads.len();
    let trace = |head: &String| {
        let line = head.lines().find_map(|line| line.strip_prefix("traceparent: "));
        line.unwrap_or("none").to_owned()
    };
    heads.iter().map(trace).collect()
}

#[test]
fn every_request_belongs_to_the_nearest_trace() {
    let schema = Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, true)]));
    let batch = RecordBatch::try_new(schema, vec![Arc::new(Int64Array::from(vec![1, 2, 3]))]).unwrap();
    let stream = ipc(&[batch], None);
    let peer = Peer::table(COLUMN, 2, move |exchange, _| {
        exchange.begin();
        exchange.chunk(&stream);
        exchange.end();
    });
    let (plain, mut seen) = (peer.options(), 0);
    let drain = |split: Split| while split.next_batch().unwrap().is_some() {};

    let without = Session::open(&peer.client(), &plain).unwrap();
    drain(Split::open(&without, 0, &plain).unwrap());
    assert_eq!(traces(&peer, &mut seen), ["none", "none"]);

    // The client's, the session's in its place, and the read's in place of that.
    let client = Client::open(&of(&peer, 1)).unwrap();
    let session = Session::open(&client, &plain).unwrap();
    drain(Split::open(&session, 0, &plain).unwrap());
    assert_eq!(traces(&peer, &mut seen), [trace(1), trace(1)]);
    let session = Session::open(&client, &of(&peer, 2)).unwrap();
    drain(Split::open(&session, 0, &plain).unwrap());
    session.refresh(None).unwrap();
    assert_eq!(traces(&peer, &mut seen), [trace(2), trace(2), trace(2)]);
    drain(Split::open(&session, 0, &of(&peer, 3)).unwrap());
    let scan = Scan::open(&session, &of(&peer, 4)).unwrap();
    while scan.next_batch().unwrap().is_some() {}
    assert_eq!(traces(&peer, &mut seen), [trace(3), trace(4), trace(4)]);

    // A token has none: the session goes on for whoever attaches it.
    let attached = Session::attach(&client, &session.serialize().unwrap()).unwrap();
    drain(Split::open(&attached, 0, &plain).unwrap());
    catalog::tables(&client, None, None, None).unwrap_err();
    assert_eq!(traces(&peer, &mut seen), [trace(1), trace(1)]);
}

#[test]
fn failures_tell_their_trace() {
    let peer = Peer::table(COLUMN, 2, |exchange, number| match number {
        0 => exchange.json("403 Forbidden", r#"{"Code":"NoPermission","Message":"no"}"#),
        _ => {
            exchange.begin();
            exchange.chunk(b"not Arrow at all, and nothing more");
            exchange.end();
        }
    });
    let client = Client::open(&of(&peer, 1)).unwrap();
    let error = catalog::table_schema(&client, "t").unwrap_err();
    assert_eq!((error.kind(), error.trace_parent()), (Kind::NotFound, trace(1).as_str()));
    let session = Session::open(&client, &of(&peer, 2)).unwrap();
    for kind in [Kind::PermissionDenied, Kind::CorruptData] {
        let error = Split::open(&session, 0, &peer.options()).unwrap().next_batch().unwrap_err();
        assert_eq!((error.kind(), error.trace_parent()), (kind, trace(2).as_str()));
        assert!(error.to_string().ends_with(&format!("(trace {})", trace(2))), "{error}");
    }
}

#[test]
fn what_is_no_trace_is_refused_before_any_request() {
    let peer = Peer::table(COLUMN, 1, |_, _| {});
    let mut wrong = peer.options();
    wrong.set("trace.parent", "4bf92f3577b34da6a3ce929d0e0e4736").unwrap();
    let session = Session::open(&peer.client(), &peer.options()).unwrap();
    let requests = peer.heads().len();
    for error in [
        Client::open(&wrong).unwrap_err(),
        Session::open(&peer.client(), &wrong).unwrap_err(),
        Split::open(&session, 0, &wrong).unwrap_err(),
        Scan::open(&session, &wrong).unwrap_err(),
        catalog::preview(&peer.client(), "t", &wrong, 1).unwrap_err(),
    ] {
        assert_eq!(error.kind(), Kind::InvalidOption);
        assert!(error.message().starts_with("trace.parent: "), "{error}");
    }
    assert_eq!(peer.heads().len(), requests);
}
