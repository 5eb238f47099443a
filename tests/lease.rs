//! The life of a session at the service: prolonged on demand, and by itself while something reads it.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use maxstorage::error::Kind;
use maxstorage::session::Session;
use maxstorage::split::Split;
use support::Peer;

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

/// A service whose sessions live for `life` milliseconds after each answer; 0 for an end it does not tell.
struct Service {
    peer: Peer,
    refreshes: Arc<AtomicUsize>,
    status: Arc<AtomicI64>,
}

/// How the service answers a refresh.
const GOOD: i64 = 0;
const BUSY: i64 = 1;
const EXPIRED: i64 = 2;

fn service(life: i64) -> Service {
    let (refreshes, status) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicI64::new(GOOD)));
    let (count, answer) = (Arc::clone(&refreshes), Arc::clone(&status));
    let peer = Peer::start(move |exchange, _| {
        let session = |state: &str| {
            let expires = if life > 0 { format!(r#""ExpirationTime":{},"#, now_ms() + life) } else { String::new() };
            format!(
                r#"{{"SessionId":"S1","SessionStatus":"{state}",{expires}"SplitsCount":2,
                    "DataSchema":{{"DataColumns":[{{"Name":"a","Type":"bigint","Nullable":true}}],"PartitionColumns":[]}}}}"#
            )
        };
        match exchange.path() {
            path if path.contains("session_refresh=true") => {
                count.fetch_add(1, Ordering::SeqCst);
                match answer.load(Ordering::SeqCst) {
                    GOOD => exchange.json("200 OK", &session("NORMAL")),
                    BUSY => exchange.json("503 Service Unavailable", ""),
                    _ => exchange.json("200 OK", &session("EXPIRED")),
                }
            }
            path if path.contains("/sessions") => exchange.json("201 Created", &session("NORMAL")),
            _ => exchange.stall(),
        }
    });
    Service { peer, refreshes, status }
}

impl Service {
    fn session(&self) -> Session {
        let mut options = self.peer.options();
        options.set("read_idle_timeout_ms", "60000").unwrap();
        options.set("retry.max_attempts", "1").unwrap();
        Session::open(&maxstorage::client::Client::open(&options).unwrap(), &options).unwrap()
    }

    fn refreshes(&self) -> usize {
        self.refreshes.load(Ordering::SeqCst)
    }

    fn wait_for(&self, refreshes: usize) {
        let patience = SystemTime::now() + Duration::from_secs(10);
        while self.refreshes() < refreshes {
            assert!(SystemTime::now() < patience, "{} refreshes", self.refreshes());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

#[test]
fn a_session_is_refreshed_on_demand() {
    let service = service(100_000);
    let session = service.session();
    let before = session.expires_at_ms().unwrap();
    std::thread::sleep(Duration::from_millis(20));
    session.refresh(None).unwrap();
    assert!(session.expires_at_ms().unwrap() > before);
    assert_eq!(service.refreshes(), 1);
    let token = session.serialize().unwrap();
    let attached = Session::attach(&service.peer.client(), &token).unwrap();
    assert_eq!(attached.expires_at_ms(), session.expires_at_ms(), "a token knows the new end");
    service.status.store(EXPIRED, Ordering::SeqCst);
    let error = session.refresh(None).unwrap_err();
    assert_eq!((error.kind(), error.server().request_id.as_str()), (Kind::SessionExpired, "REQ-1"));
    service.status.store(BUSY, Ordering::SeqCst);
    assert_eq!(session.refresh(None).unwrap_err().kind(), Kind::Unavailable);
}

#[test]
fn a_session_lives_as_long_as_a_split_is_open() {
    let service = service(300);
    let session = service.session();
    std::thread::sleep(Duration::from_millis(350));
    assert_eq!(service.refreshes(), 0, "nothing is open");
    let splits = [0, 1].map(|index| Split::open(&session, index, &service.peer.options()).unwrap());
    service.wait_for(3);
    let [first, second] = splits;
    drop(first);
    let seen = service.refreshes();
    service.wait_for(seen + 2);
    drop(second);
    std::thread::sleep(Duration::from_millis(50));
    let seen = service.refreshes();
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(service.refreshes(), seen, "nothing is open any more");
}

#[test]
fn a_busy_service_is_asked_again_and_a_lost_session_is_not() {
    let service = service(400);
    service.status.store(BUSY, Ordering::SeqCst);
    let session = service.session();
    let split = Split::open(&session, 0, &service.peer.options()).unwrap();
    service.wait_for(2);
    service.status.store(GOOD, Ordering::SeqCst);
    let seen = service.refreshes();
    service.wait_for(seen + 2);
    service.status.store(EXPIRED, Ordering::SeqCst);
    let seen = service.refreshes();
    service.wait_for(seen + 1);
    std::thread::sleep(Duration::from_millis(100));
    let seen = service.refreshes();
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(service.refreshes(), seen);
    // The next one that opens tries again.
    service.status.store(GOOD, Ordering::SeqCst);
    let other = Split::open(&session, 1, &service.peer.options()).unwrap();
    service.wait_for(seen + 2);
    drop((split, other));
}

#[test]
fn a_session_without_a_known_end_is_left_alone() {
    let service = service(0);
    let session = service.session();
    let _split = Split::open(&session, 0, &service.peer.options()).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!((session.expires_at_ms(), service.refreshes()), (None, 0));
}
