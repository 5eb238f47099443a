//! Connections are made from the address that the option names, whichever way they are made.

mod support;

use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use arrow_array::{Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use maxstorage::catalog;
use maxstorage::client::Client;
use maxstorage::error::{Error, Kind};
use maxstorage::session::Session;
use maxstorage::split::Split;
use support::{Exchange, Peer, ipc};

const COLUMN: &str = r#"{"Name":"a","Type":"bigint","Nullable":true}"#;

/// A table, and where the requests for it came from.
fn table() -> (Peer, Arc<Mutex<Vec<IpAddr>>>) {
    let schema = Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, true)]));
    let batch = RecordBatch::try_new(schema, vec![Arc::new(Int64Array::from(vec![1, 2, 3]))]).unwrap();
    let stream = ipc(&[batch], None);
    let session = format!(
        r#"{{"SessionId":"S1","SessionStatus":"NORMAL","SplitsCount":1,"RecordCount":-1,
            "DataSchema":{{"DataColumns":[{COLUMN}],"PartitionColumns":[]}}}}"#
    );
    let from = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&from);
    let peer = Peer::start(move |exchange: &mut Exchange, _| {
        seen.lock().unwrap().push(exchange.stream.peer_addr().unwrap().ip());
        if exchange.path().contains("/sessions") {
            return exchange.json("201 Created", &session);
        }
        exchange.begin();
        exchange.chunk(&stream);
        exchange.end();
    });
    (peer, from)
}

/// Reads the table from `local`.
fn read(peer: &Peer, local: &str) -> Result<usize, Error> {
    let mut options = peer.options();
    for (key, value) in [("local_address", local), ("retry.max_attempts", "1")] {
        options.set(key, value).unwrap();
    }
    let session = Session::open(&Client::open(&options)?, &options)?;
    let split = Split::open(&session, 0, &options)?;
    let mut rows = 0;
    while let Some(batch) = split.next_batch()? {
        rows += batch.num_rows();
    }
    Ok(rows)
}

#[test]
fn calls_and_rows_come_from_there() {
    let (peer, from) = table();
    // Linux has all of 127.0.0.0/8.
    for local in ["127.0.0.1", "127.0.0.7", "127.0.1.9"] {
        assert_eq!(read(&peer, local).unwrap(), 3);
        let local: IpAddr = local.parse().unwrap();
        assert_eq!(std::mem::take(&mut *from.lock().unwrap()), [local, local]);
    }
}

#[test]
fn an_address_that_cannot_be_used_is_told() {
    let (peer, from) = table();
    // Not of this machine, and of another family.
    for local in ["192.0.2.1", "::1"] {
        let error = read(&peer, local).unwrap_err();
        assert_eq!(error.kind(), Kind::Connection, "{error}");
        // The rows are asked for in another way than the plan.
        let mut options = peer.options();
        options.set("retry.max_attempts", "1").unwrap();
        let token = Session::open(&Client::open(&options).unwrap(), &options).unwrap().serialize().unwrap();
        options.set("local_address", local).unwrap();
        let session = Session::attach(&Client::open(&options).unwrap(), &token).unwrap();
        let error = Split::open(&session, 0, &options).unwrap().next_batch().unwrap_err();
        assert_eq!(error.kind(), Kind::Connection, "{error}");
        let report = catalog::diagnose(&Client::open(&options).unwrap(), None).unwrap().next_batch().unwrap().unwrap();
        let failed = format!("{:?}", report.column_by_name("status").unwrap());
        assert!(failed.contains("\"failed\""), "{failed}");
    }
    assert_eq!(from.lock().unwrap().len(), 2, "two plans from where the system wanted");
    let error = read(&peer, "eth0").unwrap_err();
    assert_eq!((error.kind(), error.message()), (Kind::InvalidOption, "local_address: `eth0` is no IP address"));
}
