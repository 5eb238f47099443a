//! One reading of the whole table, in one of the ways in which engines read.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;

use maxstorage::client::Client;
use maxstorage::error::Error;
use maxstorage::options::Options;
use maxstorage::scan::Scan;
use maxstorage::session::Session;
use maxstorage::split::{Metric, Split};

use crate::Result;
use crate::digest::Digest;

/// What is read, and how the library is to bear it: more attempts than faults come in a row, and short waits.
const OPTIONS: [(&str, &str); 15] = [
    ("project", "local"),
    ("table", "lineitem"),
    ("access_key_id", "local"),
    ("access_key_secret", "local"),
    ("connect_timeout_ms", "1000"),
    ("read_idle_timeout_ms", "1000"),
    ("retry.max_attempts", "100"),
    ("retry.initial_backoff_ms", "5"),
    ("retry.max_backoff_ms", "250"),
    ("limits.memory_bytes", "67108864"),
    ("split.parallelism", "12"),
    ("split.rows", "260000"),
    ("scan.concurrency", "6"),
    ("read.request_rows", "45000"),
    ("read.batch_rows", "8000"),
];
/// Threads that read splits, or take from one scan.
const THREADS: usize = 3;

/// How the table is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Splits that the service made, each by one request.
    Splits,
    /// Splits of rows, each by several requests.
    SplitsOfRows,
    /// A scan of the splits of the service, as batches arrive.
    Scan,
    /// A scan of rows by several threads.
    ScanOfRows,
    /// A scan of rows, one after the other.
    OrderedScan,
}

impl Way {
    pub const ALL: [Way; 5] = [Way::Splits, Way::OrderedScan, Way::ScanOfRows, Way::SplitsOfRows, Way::Scan];

    fn options(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Way::Splits | Way::Scan => &[("split.mode", "parallelism")],
            Way::SplitsOfRows => &[("split.mode", "row_offset"), ("read.requests_per_split", "3")],
            Way::ScanOfRows => &[("split.mode", "row_offset")],
            Way::OrderedScan => &[("split.mode", "row_offset"), ("scan.ordered", "true")],
        }
    }

    /// Whether the order of all rows is known.
    pub fn is_ordered(self) -> bool {
        self != Way::ScanOfRows
    }
}

/// A reading to be done.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    pub version: &'static str,
    pub compression: &'static str,
    pub way: Way,
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "version {}, {}, {:?}", self.version, self.compression, self.way)
    }
}

/// What was read, and what it took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    pub digest: Digest,
    pub requests: u64,
    pub resumes: u64,
    pub rows_reread: u64,
}

impl Reading {
    pub fn run(self, address: &str) -> Result<Outcome> {
        let mut options = Options::new();
        let endpoints = [("endpoint", format!("http://{address}/api")), ("data_endpoint", format!("http://{address}"))];
        let endpoints = endpoints.iter().map(|(key, value)| (*key, value.as_str()));
        let own = [("protocol", self.version), ("read.compression", self.compression)];
        for (key, value) in endpoints.chain(OPTIONS).chain(own).chain(self.way.options().iter().copied()) {
            options.set(key, value).map_err(told)?;
        }
        let session = Session::open(&Client::open(&options).map_err(told)?, &options).map_err(told)?;
        match self.way {
            Way::Splits | Way::SplitsOfRows => splits(&session, &options),
            Way::Scan | Way::OrderedScan => scan(&session, &options, 1),
            Way::ScanOfRows => scan(&session, &options, THREADS),
        }
    }
}

/// Reads the splits by some threads, each the next one that nobody has.
fn splits(session: &Session, options: &Options) -> Result<Outcome> {
    let (next, parts) = (AtomicI64::new(0), Mutex::new(Parts::default()));
    let read = || -> Result<()> {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= session.split_count() {
                return Ok(());
            }
            let split = Split::open(session, index, options).map_err(told)?;
            let mut digest = Digest::default();
            while let Some(batch) = split.next_batch().map_err(told)? {
                digest.add(&batch)?;
            }
            parts.lock().map_err(|_| "a reader panicked")?.add(index, &digest, &split.metrics());
        }
    };
    on_threads(THREADS, read)?;
    Ok(parts.into_inner()?.together())
}

/// Takes the batches of a scan by some threads; the order of the rows is that of one thread.
fn scan(session: &Session, options: &Options, threads: usize) -> Result<Outcome> {
    let (scan, parts) = (Scan::open(session, options).map_err(told)?, Mutex::new(Parts::default()));
    let read = || -> Result<()> {
        while let Some((index, batch)) = scan.next_batch().map_err(told)? {
            let mut digest = Digest::default();
            digest.add(&batch)?;
            parts.lock().map_err(|_| "a reader panicked")?.add(index, &digest, &[]);
        }
        Ok(())
    };
    on_threads(threads, read)?;
    let mut parts = parts.into_inner()?;
    parts.cost(&scan.metrics());
    Ok(parts.together())
}

fn on_threads(count: usize, work: impl Fn() -> Result<()> + Sync) -> Result<()> {
    thread::scope(|scope| {
        let threads: Vec<_> = (0..count).map(|_| scope.spawn(&work)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a reader panicked")?)
    })
}

/// What was read of each split.
#[derive(Debug, Default)]
struct Parts {
    splits: BTreeMap<i64, Digest>,
    outcome: Outcome,
}

impl Parts {
    fn add(&mut self, split: i64, digest: &Digest, metrics: &[Metric]) {
        self.splits.entry(split).or_default().then(digest);
        self.cost(metrics);
    }

    fn cost(&mut self, metrics: &[Metric]) {
        for metric in metrics {
            match metric.name {
                "requests" => self.outcome.requests += metric.value,
                "resumes" => self.outcome.resumes += metric.value,
                "rows_reread" => self.outcome.rows_reread += metric.value,
                _ => {}
            }
        }
    }

    fn together(mut self) -> Outcome {
        for digest in self.splits.values() {
            self.outcome.digest.then(digest);
        }
        self.outcome
    }
}

fn told(error: Error) -> String {
    error.to_string()
}
