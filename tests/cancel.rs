//! Cancelling, and a deadline, end every wait within 50 ms, whatever the peer does and whatever is waited for.

mod support;

use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use arrow_array::{Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use maxstorage::catalog;
use maxstorage::client::Client;
use maxstorage::error::{Error, Kind};
use maxstorage::memory::{Hooks, Host};
use maxstorage::options::{Options, Provider};
use maxstorage::runtime::Cancel;
use maxstorage::scan::Scan;
use maxstorage::session::Session;
use maxstorage::split::Split;
use support::{Exchange, Peer, ipc};

/// What is promised.
const PROMISE: Duration = Duration::from_millis(50);
/// A machine that is busy runs the thread that woke later than it could. It is not busy at every try in the same way: what the library
/// itself takes shows in the second best.
const TRIES: usize = 5;
/// Long enough that the call waits where it is meant to wait.
const UNTIL_BLOCKED: Duration = Duration::from_millis(80);
/// Waits of the library that a test could mistake for its waking up are far longer than this.
const MINUTE: &str = "60000";

const COLUMN: &str = r#"{"Name":"a","Type":"bigint","Nullable":true}"#;

fn stream() -> Vec<u8> {
    let schema = Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, true)]));
    let batch = |values: std::ops::Range<i64>| {
        RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(values.collect::<Int64Array>())]).unwrap()
    };
    ipc(&[batch(0..100), batch(100..300), batch(300..400)], None)
}

/// A call that waits, and what ends it: it says how the call is to end and since when.
struct Wait {
    call: Box<dyn FnOnce() -> Error + Send>,
    end: Box<dyn FnOnce() -> (Kind, Instant)>,
}

impl Wait {
    fn cancelled(call: impl FnOnce() -> Error + Send + 'static, cancel: impl FnOnce() + 'static) -> Self {
        let end = move || {
            let start = Instant::now();
            cancel();
            (Kind::Cancelled, start)
        };
        Wait { call: Box::new(call), end: Box::new(end) }
    }
}

/// How long after it had to end the call came back.
fn time_to_wake(name: &str, wait: Wait) -> Duration {
    let call = wait.call;
    let waiting = thread::spawn(move || {
        let error = call();
        (error, Instant::now())
    });
    thread::sleep(UNTIL_BLOCKED);
    assert!(!waiting.is_finished(), "{name}: it did not wait: {}", waiting.join().unwrap().0);
    let (kind, start) = (wait.end)();
    let (error, woke) = waiting.join().unwrap();
    assert_eq!(error.kind(), kind, "{name}: {error}");
    woke - start
}

fn keeps_the_promise(name: &str, wait: impl Fn() -> Wait) {
    let mut times: Vec<Duration> = (0..TRIES).map(|_| time_to_wake(name, wait())).collect();
    times.sort();
    assert!(times[1] < PROMISE, "{name}: {times:?}");
    println!("{name}: {:?}", times[1]);
}

// ------------------------------------------------------------------------------------------------------------ what peers do

/// A place where nothing good happens, as long as it is kept.
struct Place {
    url: String,
    _kept: Box<dyn std::any::Any>,
}

fn answering(answer: impl Fn(&mut Exchange) + Send + Sync + 'static) -> Place {
    let peer = Peer::start(move |exchange, _| answer(exchange));
    Place { url: format!("http://{}", peer.address), _kept: Box::new(peer) }
}

/// Does not complete a connection: the queue of its listener is full.
fn deaf() -> Place {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // SAFETY: the descriptor is that of a listener that lives; listening again only changes the length of its queue.
    assert_eq!(unsafe { libc::listen(listener.as_raw_fd(), 0) }, 0);
    let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(200));
    let fillers: Vec<TcpStream> = std::iter::from_fn(|| connect().ok()).take(64).collect();
    assert!(fillers.len() < 64, "the queue never fills");
    Place { url: format!("http://{address}"), _kept: Box::new((listener, fillers)) }
}

/// Completes a connection and never says a word of TLS.
fn silent_in_tls() -> Place {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    Place { url: format!("https://{}", listener.local_addr().unwrap()), _kept: Box::new(listener) }
}

fn silent() -> Place {
    answering(Exchange::stall)
}

fn silent_in_the_head() -> Place {
    answering(|exchange| {
        exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Enc");
        exchange.stall();
    })
}

fn silent_in_the_body() -> Place {
    answering(|exchange| {
        exchange.begin();
        let stream = stream();
        exchange.chunk(&stream[..stream.len() / 2]);
        exchange.stall();
    })
}

/// Sends a byte of a message at a time, and never the whole of it.
fn trickling() -> Place {
    answering(|exchange| {
        use std::io::Write;
        exchange.begin();
        let stream = stream();
        for byte in stream[..stream.len() / 2].chunks(1).chain(std::iter::repeat_n(&[0u8][..], 1 << 20)) {
            let chunk = [b"1\r\n", byte, b"\r\n"].concat();
            if exchange.stream.write_all(&chunk).is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(2));
        }
    })
}

/// Wants to be asked again in a minute.
fn busy() -> Place {
    answering(|exchange| exchange.answer("503 Service Unavailable", "Retry-After: 60\r\n", b""))
}

fn throttling() -> Place {
    answering(|exchange| exchange.answer("429 Too Many Requests", "Retry-After: 60\r\n", b""))
}

type Trouble = (&'static str, fn() -> Place);

/// What peers do to plans.
const TO_PLANS: [Trouble; 7] = [
    ("no connection", deaf),
    ("no TLS", silent_in_tls),
    ("no answer", silent),
    ("half a head", silent_in_the_head),
    ("half a body", silent_in_the_body),
    ("busy for a minute", busy),
    ("throttled for a minute", throttling),
];

/// What they do to reads.
fn to_reads() -> impl Iterator<Item = Trouble> {
    TO_PLANS.into_iter().chain([("a trickle", trickling as fn() -> Place)])
}

// ------------------------------------------------------------------------------------------------------------- what waits

/// Options with which the library itself ends no wait.
fn patient(more: &[(&str, &str)]) -> Options {
    let mut options = Options::new();
    let basic = [
        ("endpoint", NOWHERE),
        ("project", "p"),
        ("table", "t"),
        ("access_key_id", "local"),
        ("access_key_secret", "local"),
        ("connect_timeout_ms", MINUTE),
        ("read_idle_timeout_ms", MINUTE),
        ("retry.max_backoff_ms", MINUTE),
        ("plan_timeout_ms", MINUTE),
    ];
    for (key, value) in basic.iter().chain(more) {
        options.set(key, value).unwrap();
    }
    options
}

/// A session of two splits that was planned elsewhere.
fn session(options: &Options) -> (Session, Client) {
    let planner = Peer::table(COLUMN, 2, |_, _| {});
    let token = Session::open(&planner.client(), &planner.options()).unwrap().serialize().unwrap();
    let client = Client::open(options).unwrap();
    (Session::attach(&client, &token).unwrap(), client)
}

/// Takes everything until it fails.
fn drained<T>(next: impl Fn() -> Result<Option<T>, Error>) -> Error {
    loop {
        match next() {
            Ok(Some(_)) => {}
            Ok(None) => return Error::new(Kind::Internal, "it came to its end"),
            Err(error) => return error,
        }
    }
}

fn reading(split: Split) -> Wait {
    let split = Arc::new(split);
    let reader = Arc::clone(&split);
    Wait::cancelled(move || drained(|| reader.next_batch()), move || split.cancel())
}

fn scanning(scan: Scan) -> Wait {
    let scan = Arc::new(scan);
    let reader = Arc::clone(&scan);
    Wait::cancelled(move || drained(|| reader.next_batch()), move || scan.cancel())
}

/// The same wait, of which a figure of the client has to tell. `kept` lives as long as it.
fn seen_by(client: Client, figure: &'static str, wait: Wait, kept: impl std::any::Any) -> Wait {
    let end = move || {
        let metrics = client.metrics();
        assert_eq!(metrics.iter().find(|metric| metric.name == figure).unwrap().value, 1, "{figure}");
        let ended = (wait.end)();
        drop(kept);
        ended
    };
    Wait { call: wait.call, end: Box::new(end) }
}

fn planning(options: Options) -> Wait {
    let cancel = Arc::new(Cancel::default());
    let (client, listening) = (Client::open(&options).unwrap(), Arc::clone(&cancel));
    let call = move || Session::open_filtered(&client, &options, None, Some(&listening)).unwrap_err();
    Wait::cancelled(call, move || cancel.cancel())
}

/// How a call that is given a `Cancel` is to end.
#[derive(Clone, Copy, Debug)]
enum By {
    Cancelling,
    /// Set before the call.
    Deadline,
    /// Set while it waits.
    DeadlineThatIsMoved,
}

/// A call of a handle of `client` that ends by a `Cancel`.
fn bound(client: &Client, by: By, call: impl FnOnce(&Client, &Cancel) -> Error + Send + 'static) -> Wait {
    let cancel = Arc::new(Cancel::default());
    let (client, given) = (client.with_cancel(&cancel), Arc::clone(&cancel));
    let call = move || call(&client, &given);
    let deadline = Instant::now() + UNTIL_BLOCKED + Duration::from_millis(30);
    match by {
        By::Cancelling => Wait::cancelled(call, move || cancel.cancel()),
        By::Deadline => {
            cancel.set_deadline(Some(deadline));
            Wait { call: Box::new(call), end: Box::new(move || (Kind::DeadlineExceeded, deadline)) }
        }
        By::DeadlineThatIsMoved => {
            cancel.set_deadline(Some(deadline + Duration::from_secs(60)));
            let end = move || {
                cancel.set_deadline(Some(deadline));
                (Kind::DeadlineExceeded, deadline)
            };
            Wait { call: Box::new(call), end: Box::new(end) }
        }
    }
}

// ------------------------------------------------------------------------------------------------------------------ tests

const NOWHERE: &str = "http://127.0.0.1:1";

#[test]
fn a_reader_of_a_split_wakes() {
    for (name, trouble) in to_reads() {
        let place = trouble();
        let options = patient(&[("data_endpoint", &place.url)]);
        keeps_the_promise(name, || reading(Split::open(&session(&options).0, 0, &options).unwrap()));
    }
}

#[test]
fn a_reader_of_a_scan_wakes() {
    for (name, trouble) in to_reads() {
        let place = trouble();
        for ordered in ["false", "true"] {
            let options = patient(&[("data_endpoint", &place.url), ("scan.ordered", ordered)]);
            keeps_the_promise(name, || scanning(Scan::open(&session(&options).0, &options).unwrap()));
        }
    }
}

#[test]
fn a_planner_wakes() {
    for (name, trouble) in TO_PLANS {
        let place = trouble();
        let plan = [("data_endpoint", place.url.as_str())];
        let discovery = [("endpoint", place.url.as_str())];
        // The columns that the filter is about are asked for first.
        let table = [discovery[0], ("data_endpoint", NOWHERE), ("filter.text", "a > 1"), ("filter.exact", "true")];
        for (what, options) in [("plan", &plan[..]), ("discovery", &discovery), ("table", &table)] {
            keeps_the_promise(&format!("{name}: {what}"), || planning(patient(options)));
        }
    }
}

type Call = fn(&Client) -> Error;

/// The calls that ask for metadata.
const LISTS: [(&str, Call); 7] = [
    ("schemas", |client| catalog::schemas(client, None).unwrap_err()),
    ("tables", |client| catalog::tables(client, None, None, None).unwrap_err()),
    ("table schema", |client| catalog::table_schema(client, "t").unwrap_err()),
    ("table details", |client| catalog::table_details(client, "t").unwrap_err()),
    ("partitions", |client| catalog::partitions(client, "t", None).unwrap_err()),
    ("preview", |client| catalog::preview(client, "t", &Options::new(), 1).unwrap_err()),
    ("diagnosis", |client| catalog::diagnose(client, None).unwrap_err()),
];

#[test]
fn who_waits_for_the_catalogue_wakes() {
    // Every call in every way, and every trouble with some of them.
    let mut calls = LISTS.into_iter().cycle();
    for (name, trouble) in TO_PLANS {
        let place = trouble();
        let client = Client::open(&patient(&[("endpoint", &place.url)])).unwrap();
        for by in [By::Cancelling, By::Deadline, By::DeadlineThatIsMoved] {
            let (what, call) = calls.next().unwrap();
            keeps_the_promise(&format!("{name}: {what} by {by:?}"), || {
                bound(&client, by, move |client, _| call(client))
            });
        }
    }
}

#[test]
fn who_waits_for_the_next_page_wakes() {
    let place = answering(|exchange| {
        if exchange.path().contains("marker=m") {
            exchange.stall();
        }
        let page = "<Tables><Marker>m</Marker><Table><Name>t</Name></Table></Tables>";
        exchange.answer("200 OK", "", page.as_bytes());
    });
    let client = Client::open(&patient(&[("endpoint", &place.url)])).unwrap();
    for by in [By::Cancelling, By::Deadline, By::DeadlineThatIsMoved] {
        let next = |client: &Client, _: &Cancel| {
            let mut tables = catalog::tables(client, None, None, None).unwrap();
            tables.next_batch().unwrap().unwrap();
            let error = tables.next_batch().unwrap_err();
            assert_eq!(tables.next_batch().unwrap_err().kind(), error.kind(), "a list is not taken for complete");
            error
        };
        keeps_the_promise(&format!("next page by {by:?}"), || bound(&client, by, next));
    }
}

#[test]
fn who_waits_for_a_refresh_or_a_plan_has_a_deadline() {
    for (name, trouble) in TO_PLANS {
        let place = trouble();
        let options = patient(&[("data_endpoint", &place.url)]);
        for by in [By::Cancelling, By::Deadline] {
            keeps_the_promise(&format!("{name}: refresh by {by:?}"), || {
                let (session, client) = session(&options);
                bound(&client, by, move |_, cancel| session.refresh(Some(cancel)).unwrap_err())
            });
        }
        for by in [By::Deadline, By::DeadlineThatIsMoved] {
            keeps_the_promise(&format!("{name}: plan by {by:?}"), || {
                let options = options.clone();
                let plan = move |client: &Client, _: &Cancel| Session::open(client, &options).unwrap_err();
                bound(&Client::open(&patient(&[("data_endpoint", &place.url)])).unwrap(), by, plan)
            });
        }
    }
}

#[test]
fn what_is_opened_under_a_deadline_goes_on_after_it() {
    let peer = Peer::table(COLUMN, 2, |exchange, _| {
        exchange.begin();
        exchange.chunk(&stream());
        exchange.end();
    });
    let cancel = Cancel::default();
    let session = Session::open(&peer.client().with_cancel(&cancel), &peer.options()).unwrap();
    cancel.cancel();
    let scan = Scan::open(&session, &peer.options()).unwrap();
    let rows: usize = std::iter::from_fn(|| scan.next_batch().unwrap()).map(|(_, batch)| batch.num_rows()).sum();
    assert_eq!(rows, 800);
    // Who has to end does not begin.
    let requests = peer.heads().len();
    let error = catalog::tables(&peer.client().with_cancel(&cancel), None, None, None).unwrap_err();
    assert_eq!((error.kind(), peer.heads().len()), (Kind::Cancelled, requests));
}

#[test]
fn who_waits_for_a_plan_that_is_never_ready_wakes() {
    let place = answering(|exchange| exchange.json("202 Accepted", r#"{"SessionId":"S1","SessionStatus":"INIT"}"#));
    keeps_the_promise("no plan", || planning(patient(&[("data_endpoint", &place.url)])));
}

#[test]
fn who_waits_for_a_slot_wakes() {
    let place = silent();
    let options = patient(&[("data_endpoint", &place.url), ("limits.concurrent_requests", "1")]);
    keeps_the_promise("no slot", || {
        let (session, client) = session(&options);
        let [first, second] = [0, 1].map(|index| Split::open(&session, index, &options).unwrap());
        seen_by(client, "slots_waiting", reading(second), first)
    });
}

/// A host that grants one message and then no more.
struct Stingy(AtomicUsize);

impl Host for Stingy {
    fn reserve(&self, _: u64) -> bool {
        self.0.fetch_add(1, Ordering::SeqCst) == 0
    }
    fn release(&self, _: u64) {}
}

#[test]
fn who_waits_for_memory_wakes() {
    let place = answering(|exchange| {
        exchange.begin();
        exchange.chunk(&stream());
        exchange.end();
    });
    keeps_the_promise("no memory", || {
        let mut options = patient(&[("data_endpoint", &place.url)]);
        options.set_memory_hooks(Some(Hooks::new(Stingy(AtomicUsize::new(0)))));
        let (session, client) = session(&options);
        let split = Split::open(&session, 0, &options).unwrap();
        let first = split.next_batch().unwrap();
        seen_by(client, "memory_waiting", reading(split), first)
    });
}

#[test]
fn who_waits_for_credentials_wakes() {
    let place = silent();
    let (test, over) = mpsc::channel::<()>();
    let over = Arc::new(Mutex::new(over));
    let without_key = |more: &[(&str, &str)]| {
        let common = [("access_key_id", ""), ("access_key_secret", ""), ("data_endpoint", NOWHERE)];
        patient(&[&common, more, &[("credentials.timeout_ms", MINUTE)]].concat())
    };
    let provided = || {
        let (mut options, over) = (without_key(&[]), Arc::clone(&over));
        options.set_provider(Some(Provider::new(move || {
            // Until the test drops the other end.
            let _ = over.lock().unwrap().recv();
            Err(Error::new(Kind::Unavailable, "the test is over"))
        })));
        options
    };
    let metadata = [("credentials", "ecs_ram_role"), ("ecs.metadata_endpoint", place.url.as_str())];
    let uri = [("credentials", "uri"), ("credentials.uri", place.url.as_str())];
    let program = [("credentials", "process"), ("credentials.process", "sleep 60")];
    let sources: [(&str, &dyn Fn() -> Options); 4] = [
        ("a function that does not return", &provided),
        ("a program that does not end", &|| without_key(&program)),
        ("a service that does not answer", &|| without_key(&metadata)),
        ("a URI that does not answer", &|| without_key(&uri)),
    ];
    for (name, options) in sources {
        keeps_the_promise(&format!("planning, {name}"), || planning(options()));
        keeps_the_promise(&format!("reading, {name}"), || {
            let options = options();
            reading(Split::open(&session(&options).0, 0, &options).unwrap())
        });
    }
    drop(test);
}
