//! A service with many partitions, each planned in its own time.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use maxstorage::options::Options;

use super::{Exchange, Peer, ipc};

/// What a service has seen.
#[derive(Default)]
pub struct Seen {
    /// Sessions that are being planned, and the most there were at once.
    pub planning: AtomicUsize,
    pub most: AtomicUsize,
    pub sessions: AtomicUsize,
    /// Partitions of each session.
    pub partitions: Mutex<HashMap<String, Vec<String>>>,
    pub refreshed: Mutex<Vec<String>>,
    /// `SplitNumber` of each session.
    pub numbers: Mutex<Vec<u64>>,
}

/// A service that takes a while to plan. A session has one split for each of its partitions `pt=N`, with the one row N.
pub fn service(seen: &Arc<Seen>, wrong: impl Fn(&mut Exchange, &str) -> bool + Send + Sync + 'static) -> Peer {
    let seen = Arc::clone(seen);
    Peer::start(move |exchange, _| {
        let body = String::from_utf8_lossy(&exchange.body).into_owned();
        if wrong(exchange, &body) {
            return;
        }
        let path = exchange.path().to_owned();
        let value = |name: &str| {
            let (_, rest) = path.split_once(&format!("{name}="))?;
            Some(rest.split('&').next().unwrap_or_default().to_owned())
        };
        let session = |id: &str, splits: usize| {
            format!(
                r#"{{"SessionId":"{id}","SessionStatus":"NORMAL","SplitsCount":{splits},"ExpirationTime":{},
                    "SessionStats":{{"EstimatedSize":{splits}00,"EstimatedRowCount":{splits}}},
                    "DataSchema":{{"DataColumns":[{{"Name":"a","Type":"bigint","Nullable":true}}],"PartitionColumns":[]}}}}"#,
                4_000_000_000_000i64 + splits as i64
            )
        };
        if exchange.head.starts_with("POST") {
            let now = seen.planning.fetch_add(1, Ordering::SeqCst) + 1;
            seen.most.fetch_max(now, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(30));
            let number = body.split_once(r#""SplitNumber":"#).unwrap().1.split([',', '}']).next().unwrap();
            seen.numbers.lock().unwrap().push(number.parse().unwrap());
            let list = body.split_once(r#""RequiredPartitions":["#).unwrap().1.split(']').next().unwrap();
            let partitions: Vec<String> = list.split(',').map(|name| name.trim_matches('"').to_owned()).collect();
            let id = format!("S{}", seen.sessions.fetch_add(1, Ordering::SeqCst));
            let answer = session(&id, partitions.len());
            seen.partitions.lock().unwrap().insert(id, partitions);
            seen.planning.fetch_sub(1, Ordering::SeqCst);
            exchange.json("201 Created", &answer);
        } else if let Some(id) = value("session_id") {
            let split: usize = value("split_index").unwrap().parse().unwrap();
            let row: i64 = seen.partitions.lock().unwrap()[&id][split].trim_start_matches("pt=").parse().unwrap();
            let rows: ArrayRef = Arc::new(Int64Array::from(vec![row]));
            let batch = RecordBatch::try_from_iter_with_nullable([("a", rows, true)]).unwrap();
            exchange.answer("200 OK", "", &ipc(&[batch], None));
        } else {
            let id = path.split("/sessions/").nth(1).unwrap().split('?').next().unwrap().to_owned();
            let splits = seen.partitions.lock().unwrap()[&id].len();
            let answer = session(&id, splits);
            seen.refreshed.lock().unwrap().push(id);
            exchange.json("200 OK", &answer);
        }
    })
}

pub fn scan_of(peer: &Peer, partitions: i64, more: &[(&str, &str)]) -> Options {
    let mut options = peer.options();
    for number in 0..partitions {
        options.add("partitions", &format!("pt={number}")).unwrap();
    }
    options.set("retry.max_attempts", "1").unwrap();
    for (key, value) in more {
        options.set(key, value).unwrap();
    }
    options
}

/// What some requests wait for.
#[derive(Default)]
pub struct Gate(Mutex<bool>, Condvar);

impl Gate {
    pub fn wait(&self) {
        let open = self.0.lock().unwrap();
        let _ = self.1.wait_timeout_while(open, Duration::from_secs(20), |open| !*open).unwrap();
    }

    pub fn open(&self) {
        *self.0.lock().unwrap() = true;
        self.1.notify_all();
    }
}
