//! A scan: all splits of a session read concurrently, for any number of threads that take batches.

mod demand;
mod order;
mod pieces;
mod push;

use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Instant;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use crate::error::{Error, Kind, Result};
use crate::options::{self, Options};
use crate::predicate::Predicate;
use crate::runtime::{Callback, Cancel, Handoff};
use crate::session::{Parts, Session};
use crate::split::{Feed, Metric, Piece, Source, in_order};
use pieces::AllPieces;

pub use demand::Demand;
pub use push::Sink;

/// An open scan. Every call may be made at any time from any thread.
#[derive(Debug)]
pub struct Scan {
    feed: Feed,
    progress: Arc<Progress>,
}

/// How much of a scan was read: rows where they have addresses, else splits.
#[derive(Debug)]
struct Progress {
    parts: Parts,
    done: AtomicU64,
}

impl Progress {
    fn done(&self, piece: &Piece) {
        self.done.fetch_add(piece.addressed().unwrap_or(1), Ordering::Relaxed);
    }

    /// From 0 to 1. What is not planned yet is taken to be like what is.
    fn share(&self) -> f64 {
        let (share, is_whole) = (self.parts.share(), self.parts.is_whole());
        let known = self.parts.sum_of_known(|plan| plan.addressed_rows().or(Some(plan.split_count())));
        match known.unwrap_or(0) {
            0 => f64::from(is_whole),
            known => (self.done.load(Ordering::Relaxed) as f64 / known as f64 * share).min(1.0),
        }
    }
}

impl Scan {
    /// Starts to read every split of a session. Does not wait for the network: failures come with the batches.
    pub fn open(session: &Session, read: &Options) -> Result<Self> {
        session.client().runtime().check()?;
        for key in [&options::READ_START_ROW, &options::READ_ROW_COUNT] {
            if read.is_set(key) {
                let message = format!("{} is for a split; a scan reads all of them to their ends", key.name);
                return Err(Error::new(Kind::InvalidOption, message));
            }
        }
        session.parts().check_alone()?;
        let requests = usize::try_from(read.number(&options::SCAN_CONCURRENCY)).unwrap_or(1);
        let source = Source::new(session, read, requests)?;
        let progress = Arc::new(Progress { parts: session.parts().clone(), done: AtomicU64::new(0) });
        let pieces = AllPieces::new(session, &source, Arc::clone(&progress))?;
        let told = Arc::clone(&progress);
        let mut feed = if read.flag(&options::SCAN_ORDERED) {
            // The batches wait in lanes.
            let queue = Arc::new(Handoff::new(source.prefetch_batches, source.prefetch_bytes));
            let done = move |piece: &Piece| told.done(piece);
            let work = in_order(Arc::clone(&source), pieces, requests, Arc::clone(&queue), done);
            Feed::start(session, queue, source, work)
        } else {
            let batches = source.prefetch_batches.saturating_mul(requests);
            let queue = Arc::new(Handoff::new(batches, source.prefetch_bytes));
            let work = order::as_it_comes(Arc::clone(&source), pieces, requests, Arc::clone(&queue), told);
            Feed::start(session, queue, source, work)
        };
        feed.tell_end(read, None);
        match read.number(&options::SCAN_ROW_LIMIT) {
            0 => {}
            rows => feed.set_limit(rows),
        }
        Ok(Scan { feed, progress })
    }

    /// The schema of every batch.
    pub fn schema(&self) -> &SchemaRef {
        self.feed.schema()
    }

    /// The next batch of any split, never an empty one, and the number of its split; `None` after the last. Blocks until there
    /// is one. Many threads may wait; each batch goes to one of them.
    pub fn next_batch(&self) -> Result<Option<(i64, RecordBatch)>> {
        self.next_batch_until(None)
    }

    /// As [`Scan::next_batch`], until `deadline`. A call that fails so may be made again.
    pub fn next_batch_until(&self, deadline: Option<Instant>) -> Result<Option<(i64, RecordBatch)>> {
        self.feed.take(deadline)
    }

    /// As [`Scan::next_batch`], without blocking.
    pub fn try_next_batch(&self) -> Poll<Result<Option<(i64, RecordBatch)>>> {
        self.feed.try_take()
    }

    /// Has later batches be no larger than this, for every thread; 0 for what the read options say. Nothing is copied, and nothing lost: the
    /// rest of a larger one comes next.
    pub fn set_batch_limits(&self, rows: u64, bytes: u64) {
        self.feed.set_batch_limits(rows, bytes);
    }

    /// Has `callback` called whenever [`Scan::try_next_batch`] begins to have an answer.
    pub fn set_waker(&self, callback: Option<Callback>) -> Result<()> {
        self.feed.set_waker(callback)
    }

    /// A descriptor that is readable while [`Scan::try_next_batch`] has an answer. It belongs to the scan.
    pub fn descriptor(&self) -> Result<RawFd> {
        self.feed.descriptor()
    }

    /// Adds a filter for everything that was not handed out yet; it must be about columns that the session delivers.
    pub fn add_filter(&self, filter: &Predicate) -> Result<()> {
        self.feed.add_filter(filter)
    }

    /// How much of the scan was read by requests that are complete, from 0 to 1; while the plan is not whole an estimate, which may go back.
    pub fn progress(&self) -> f64 {
        self.progress.share()
    }

    /// Whether nothing is left that no request was sent for.
    pub fn all_requested(&self) -> bool {
        self.feed.all_requested()
    }

    /// What the scan has cost so far, over all its splits.
    pub fn metrics(&self) -> Vec<Metric> {
        self.feed.metrics()
    }

    /// Ends the scan for good and wakes everybody who waits for it. From now on every batch is `MS_CANCELLED`.
    pub fn cancel(&self) {
        self.feed.cancel();
    }

    /// Has `cancel` end the scan, too; its deadline does not matter here.
    pub fn end_with(&self, cancel: &Cancel) -> Result<()> {
        self.feed.end_with(cancel)
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
