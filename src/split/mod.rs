//! A split: an open reader over one unit of a session.
//!
//! A background task owns the stream from the socket to finished batches; the engine's thread only takes them.

mod feed;
mod metrics;
mod position;
mod reader;
mod sink;

use std::os::fd::RawFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Instant;

use crate::error::Result;
use crate::options::{self, Options};
use crate::runtime::{Callback, Handoff, Place, forced_panic};
use crate::session::Session;
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

pub(crate) use feed::{Feed, Tagged};
pub use metrics::{Metric, Metrics};
pub(crate) use reader::Reader;
pub(crate) use sink::Sink;

/// An open reader. One thread at a time takes batches; everything else may be called at any time from any thread.
#[derive(Debug)]
pub struct Split {
    feed: Feed,
    deadline: Mutex<Option<Instant>>,
    forced_panic: Option<String>,
}

impl Split {
    /// Starts to read split `index`. Does not wait for the network: failures come with the batches.
    pub fn open(session: &Session, index: i64, read: &Options) -> Result<Self> {
        session.client().runtime().check()?;
        let capacity = usize::try_from(read.number(&options::READ_PREFETCH_BATCHES)).unwrap_or(1);
        let queue = Arc::new(Handoff::new(capacity));
        let metrics = Arc::new(Metrics::default());
        let reader = Reader::new(session, index, read, Sink::Engine(Arc::clone(&queue), index), Arc::clone(&metrics))?;
        let feed = Feed::start(session, queue, metrics, reader.run());
        let forced_panic = read.text(&options::DEBUG_PANIC).map(str::to_owned);
        Ok(Split { feed, deadline: Mutex::default(), forced_panic })
    }

    /// The schema of every batch.
    pub fn schema(&self) -> &SchemaRef {
        self.feed.schema()
    }

    /// The next batch, never an empty one; `None` after the last. Blocks until it is there or the deadline passes.
    pub fn next_batch(&self) -> Result<Option<RecordBatch>> {
        self.check()?;
        forced_panic(self.forced_panic.as_deref(), Place::NextBatch);
        let deadline = *self.deadline.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(self.feed.take(deadline)?.map(|(_, batch)| batch))
    }

    /// As [`Split::next_batch`], without blocking.
    pub fn try_next_batch(&self) -> Poll<Result<Option<RecordBatch>>> {
        if let Err(error) = self.check() {
            return Poll::Ready(Err(error));
        }
        self.feed.queue().try_take().map(|taken| Ok(self.feed.counted(taken)?.map(|(_, batch)| batch)))
    }

    /// Until when [`Split::next_batch`] blocks; `None` for as long as it takes. Calls that block already keep theirs.
    pub fn set_deadline(&self, deadline: Option<Instant>) {
        *self.deadline.lock().unwrap_or_else(PoisonError::into_inner) = deadline;
    }

    /// Has `callback` called whenever [`Split::try_next_batch`] begins to have an answer.
    pub fn set_waker(&self, callback: Option<Callback>) -> Result<()> {
        self.check()?;
        self.feed.queue().set_waker(callback);
        Ok(())
    }

    /// A descriptor that is readable while [`Split::try_next_batch`] has an answer. It belongs to the split.
    pub fn descriptor(&self) -> Result<RawFd> {
        self.check()?;
        self.feed.queue().descriptor()
    }

    /// How many rows were handed out.
    pub fn rows_delivered(&self) -> i64 {
        self.feed.rows_delivered()
    }

    /// What reading has cost so far.
    pub fn metrics(&self) -> Vec<Metric> {
        self.feed.metrics()
    }

    /// Ends the read for good and wakes whoever waits for it. From now on every batch is `MS_CANCELLED`.
    pub fn cancel(&self) {
        self.feed.cancel();
    }

    /// Fails where waiting for this split is not possible (see [`crate::runtime::Runtime::check`]).
    pub fn check(&self) -> Result<()> {
        self.feed.check()
    }

    /// Whether this split was opened in another process, from which this one was forked.
    pub fn is_inherited(&self) -> bool {
        self.feed.is_inherited()
    }
}
