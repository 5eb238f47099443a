//! A scan: all splits of a session read concurrently, for any number of threads that take batches.

mod order;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use crate::error::Result;
use crate::options::{self, Options};
use crate::runtime::Handoff;
use crate::session::Session;
use crate::split::{Feed, Metric, Metrics, Tagged};

/// An open scan. Every call may be made at any time from any thread.
#[derive(Debug)]
pub struct Scan {
    feed: Feed,
    splits: i64,
    finished_splits: Arc<AtomicI64>,
}

/// What the tasks of a scan share.
#[derive(Debug, Clone)]
struct Shared {
    session: Session,
    read: Options,
    queue: Arc<Handoff<Tagged>>,
    metrics: Arc<Metrics>,
    finished_splits: Arc<AtomicI64>,
    /// Splits that are read at the same time.
    concurrency: i64,
    /// Batches that each of them may have waiting.
    prefetch: usize,
}

impl Scan {
    /// Starts to read every split of a session. Does not wait for the network: failures come with the batches.
    pub fn open(session: &Session, read: &Options) -> Result<Self> {
        session.client().runtime().check()?;
        let splits = session.split_count();
        let concurrency = i64::try_from(read.number(&options::SCAN_CONCURRENCY)).unwrap_or(i64::MAX);
        let concurrency = concurrency.min(splits).max(1);
        let prefetch = usize::try_from(read.number(&options::READ_PREFETCH_BATCHES)).unwrap_or(1);
        // In order, the batches wait in the lanes of their splits.
        let ordered = read.flag(&options::SCAN_ORDERED);
        let lanes = if ordered { 1 } else { usize::try_from(concurrency).unwrap_or(usize::MAX) };
        let shared = Shared {
            session: session.clone(),
            read: read.clone(),
            queue: Arc::new(Handoff::new(prefetch.saturating_mul(lanes))),
            metrics: Arc::new(Metrics::default()),
            finished_splits: Arc::new(AtomicI64::new(0)),
            concurrency,
            prefetch,
        };
        let (queue, metrics) = (Arc::clone(&shared.queue), Arc::clone(&shared.metrics));
        let finished_splits = Arc::clone(&shared.finished_splits);
        let work =
            async move { if ordered { order::in_order(shared).await } else { order::as_it_comes(shared).await } };
        Ok(Scan { feed: Feed::start(session, queue, metrics, work), splits, finished_splits })
    }

    /// The schema of every batch.
    pub fn schema(&self) -> &SchemaRef {
        self.feed.schema()
    }

    /// The next batch of any split, never an empty one, and the number of its split; `None` after the last. Blocks until there
    /// is one. Many threads may wait; each batch goes to one of them.
    pub fn next_batch(&self) -> Result<Option<(i64, RecordBatch)>> {
        self.check()?;
        self.feed.take(None)
    }

    /// How much of the scan was read: splits that were read to their end, from 0 to 1.
    pub fn progress(&self) -> f64 {
        match self.splits {
            0 => 1.0,
            count => self.finished_splits.load(Ordering::Relaxed) as f64 / count as f64,
        }
    }

    /// What the scan has cost so far, over all its splits.
    pub fn metrics(&self) -> Vec<Metric> {
        self.feed.metrics()
    }

    /// Ends the scan for good and wakes everybody who waits for it. From now on every batch is `MS_CANCELLED`.
    pub fn cancel(&self) {
        self.feed.cancel();
    }

    /// Fails where waiting for this scan is not possible (see [`crate::runtime::Runtime::check`]).
    pub fn check(&self) -> Result<()> {
        self.feed.check()
    }

    /// Whether this scan was opened in another process, from which this one was forked.
    pub fn is_inherited(&self) -> bool {
        self.feed.is_inherited()
    }
}
