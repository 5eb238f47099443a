//! The end of each read is told once, with how it ended and what it has cost.

mod support;

use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use arrow_array::{Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use maxstorage::client::Client;
use maxstorage::error::{Error, Kind};
use maxstorage::options::{Options, ReadEndHook};
use maxstorage::scan::{Demand, Scan, Sink};
use maxstorage::session::Session;
use maxstorage::split::Split;
use support::{Peer, ipc};

const COLUMN: &str = r#"{"Name":"a","Type":"bigint","Nullable":true}"#;

/// Split, failure, rows, requests.
type Told = (Option<i64>, Option<Kind>, u64, u64);

/// What was told of the ends of reads.
#[derive(Clone, Default)]
struct Ends(Arc<Mutex<Vec<Told>>>);

impl Ends {
    fn told_by(&self, mut options: Options) -> Options {
        let ends = self.clone();
        options.set_read_end_hook(Some(ReadEndHook::new(move |end| {
            let figure = |name| end.metrics.iter().find(|metric| metric.name == name).unwrap().value;
            let failure = end.outcome.as_ref().err().map(|error| error.kind());
            ends.0.lock().unwrap().push((end.split, failure, figure("rows"), figure("requests")));
        })));
        options
    }

    fn take(&self) -> Vec<Told> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// Two splits of three rows; the second one is refused.
fn peer() -> Peer {
    peer_that_refuses("split_index=1")
}

fn peer_that_refuses(what: &'static str) -> Peer {
    let schema = Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, true)]));
    let batch = RecordBatch::try_new(schema, vec![Arc::new(Int64Array::from(vec![1, 2, 3]))]).unwrap();
    let stream = ipc(&[batch], None);
    Peer::table(COLUMN, 2, move |exchange, _| {
        if exchange.path().contains(what) {
            return exchange.json("409 Conflict", r#"{"Code":"TableModified","Message":"no"}"#);
        }
        exchange.begin();
        exchange.chunk(&stream);
        exchange.end();
    })
}

#[test]
fn every_read_is_told_of_once_with_its_outcome_and_figures() {
    let (peer, ends) = (peer(), Ends::default());
    let client = Client::open(&ends.told_by(peer.options())).unwrap();
    let session = Session::open(&client, &peer.options()).unwrap();
    let none = Options::new();
    let split = Split::open(&session, 0, &none).unwrap();
    while split.next_batch().unwrap().is_some() {}
    assert_eq!(ends.take(), []);
    drop(split);
    assert_eq!(ends.take(), [(Some(0), None, 3, 1)]);

    // Cancelled after its end, and after its failure, as when the query ends.
    let all = Split::open(&session, 0, &none).unwrap();
    while all.next_batch().unwrap().is_some() {}
    all.cancel();
    assert_eq!(all.progress(), 1.0);
    drop(all);
    assert_eq!(ends.take(), [(Some(0), None, 3, 1)]);
    let failed = Split::open(&session, 1, &none).unwrap();
    let kind = failed.next_batch().unwrap_err().kind();
    failed.cancel();
    drop(failed);
    assert_eq!(ends.take(), [(Some(1), Some(kind), 0, 1)]);

    // Not to its end, and failed.
    let unread = Split::open(&session, 0, &none).unwrap();
    drop(unread.next_batch().unwrap());
    unread.cancel();
    drop(unread);
    assert_eq!(ends.take(), [(Some(0), Some(Kind::Cancelled), 3, 1)]);
    drop(Scan::open(&session, &none).unwrap());
    assert!(matches!(ends.take()[..], [(None, Some(Kind::Cancelled), 0, _)]));
    let failed = Split::open(&session, 1, &none).unwrap();
    let kind = failed.next_batch().unwrap_err().kind();
    drop(failed);
    assert_eq!(ends.take(), [(Some(1), Some(kind), 0, 1)]);
    // What could not be opened is no read.
    Split::open(&session, 2, &none).unwrap_err();
    assert_eq!(ends.take(), []);
}

#[test]
fn the_options_that_are_nearest_to_the_read_say_who_is_told() {
    let (peer, clients, sessions, reads) = (peer(), Ends::default(), Ends::default(), Ends::default());
    let client = Client::open(&clients.told_by(peer.options())).unwrap();
    let plain = Session::open(&client, &peer.options()).unwrap();
    let session = Session::open(&client, &sessions.told_by(peer.options())).unwrap();
    let counts = || [&clients, &sessions, &reads].map(|ends| ends.take().len());
    for (session, own, expected) in
        [(&plain, false, [1, 0, 0]), (&session, false, [0, 1, 0]), (&session, true, [0, 0, 1])]
    {
        let read = if own { reads.told_by(Options::new()) } else { Options::new() };
        drop(Split::open(session, 0, &read).unwrap());
        assert_eq!(counts(), expected);
        drop(Scan::open(session, &read).unwrap());
        assert_eq!(counts(), expected);
    }
    let attached = Session::attach(&client, &session.serialize().unwrap()).unwrap();
    drop(Split::open(&attached, 0, &Options::new()).unwrap());
    assert_eq!(counts(), [1, 0, 0], "a token has none");
    let silent = Session::open(&peer.client(), &peer.options()).unwrap();
    drop(Split::open(&silent, 0, &Options::new()).unwrap());
    assert_eq!(counts(), [0, 0, 0]);
}

/// Looks at what was told when it is let go of.
struct Pushed(Ends, mpsc::Sender<Vec<Told>>);

impl Sink for Pushed {
    fn begin(&mut self) -> bool {
        true
    }
    fn batch(&mut self, _: RecordBatch) -> bool {
        assert_eq!(self.0.take(), []);
        false
    }
    fn end(&mut self) {}
    fn failed(&mut self, _: &Error) {}
}

impl Drop for Pushed {
    fn drop(&mut self) {
        self.1.send(self.0.take()).unwrap();
    }
}

#[test]
fn the_end_of_a_scan_that_is_pushed_is_told_before_its_consumer_is_let_go_of() {
    let (peer, ends) = (peer_that_refuses("no split"), Ends::default());
    let session = Session::open(&peer.client(), &peer.options()).unwrap();
    let scan = Scan::open(&session, &ends.told_by(Options::new())).unwrap();
    let (demand, (told, heard)) = (Arc::new(Demand::default()), mpsc::channel());
    demand.request(1);
    scan.push(demand, Pushed(ends, told));
    let told = heard.recv_timeout(Duration::from_secs(5)).unwrap();
    assert!(matches!(told[..], [(None, Some(_), 3, _)]), "{told:?}");
}
