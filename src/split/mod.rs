//! A split: an open reader over one unit of a session.
//!
//! A background task owns the stream from the socket to finished batches; the engine's thread only takes them.

mod assembly;
mod chunk;
mod constants;
mod due;
mod feed;
mod kept;
mod keys;
mod limits;
mod patience;
mod pieces;
mod position;
mod reader;
mod refine;
mod row_limit;
mod sink;
mod source;

use std::os::fd::RawFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Instant;

use crate::error::{Error, Kind, Result};
use crate::options::{self, Options};
use crate::predicate::Predicate;
use crate::runtime::{Callback, Cancel, Handoff, Place, forced_panic};
use crate::session::Session;
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use pieces::Listed;

pub use crate::metrics::Metric;
pub(crate) use assembly::in_order;
pub(crate) use chunk::Chunk;
pub(crate) use feed::Feed;
pub(crate) use pieces::Pieces;
pub(crate) use position::{Piece, Position};
pub(crate) use reader::Reader;
pub(crate) use sink::Sink;
pub(crate) use source::Source;

/// The progress of a read whose end was not seen yet, at most.
const NEARLY_DONE: f64 = 0.999;

/// What a split has if all are alike.
fn average_rows(session: &Session) -> Option<u64> {
    let rows = session.estimated_rows()?.checked_div(session.split_count())?;
    u64::try_from(rows).ok()
}

/// An open reader. One thread at a time takes batches; everything else may be called at any time from any thread.
#[derive(Debug)]
pub struct Split {
    feed: Feed,
    /// Rows that it is expected to deliver.
    expected: Option<u64>,
    deadline: Mutex<Option<Instant>>,
    forced_panic: Option<String>,
}

impl Split {
    /// Starts to read split `index`. Does not wait for the network: failures come with the batches.
    pub fn open(session: &Session, index: i64, read: &Options) -> Result<Self> {
        session.client().runtime().check()?;
        let session = &session.of_known_splits();
        if read.is_set(&options::SCAN_ROW_LIMIT) {
            let message = format!(
                "{} is for a scan; {} bounds the rows of a split",
                options::SCAN_ROW_LIMIT.name,
                options::READ_ROW_COUNT.name
            );
            return Err(Error::new(Kind::InvalidOption, message));
        }
        let requests = usize::try_from(read.number(&options::READ_REQUESTS_PER_SPLIT)).unwrap_or(1);
        let count = read.is_set(&options::READ_ROW_COUNT).then(|| read.number(&options::READ_ROW_COUNT));
        let piece = Source::split(session, index)?.part(read.number(&options::READ_START_ROW), count)?;
        let source = Source::new(session, read, requests)?;
        let queue = Arc::new(Handoff::new(source.prefetch_batches, source.prefetch_bytes));
        let expected = piece.addressed().or(count).or_else(|| average_rows(session));
        let mut feed = if requests > 1 && piece.addressed().is_some() {
            source.expect(&piece);
            let asking = Arc::clone(&source);
            let pieces = source.cut(piece).filter_map(move |piece| asking.wanted(piece, |_| {}));
            let work = in_order(Arc::clone(&source), Listed(pieces), requests, Arc::clone(&queue), |_| {});
            Feed::start(session, queue, source, work)
        } else {
            source.expect_again();
            let reader = Reader::new(&source, Arc::new(Position::new(piece)), piece, Sink::Engine(Arc::clone(&queue)));
            Feed::start(session, queue, source, reader.run())
        };
        feed.tell_end(read, Some(index));
        let forced_panic = read.text(&options::DEBUG_PANIC).map(str::to_owned);
        Ok(Split { feed, expected, deadline: Mutex::default(), forced_panic })
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
        self.feed.try_take().map(|taken| Ok(taken?.map(|(_, batch)| batch)))
    }

    /// Until when [`Split::next_batch`] blocks; `None` for as long as it takes. Calls that block already keep theirs.
    pub fn set_deadline(&self, deadline: Option<Instant>) {
        *self.deadline.lock().unwrap_or_else(PoisonError::into_inner) = deadline;
    }

    /// Has later batches be no larger than this; 0 for what the read options say. Nothing is copied, and nothing lost: the rest of a larger one
    /// comes next.
    pub fn set_batch_limits(&self, rows: u64, bytes: u64) {
        self.feed.set_batch_limits(rows, bytes);
    }

    /// Has `callback` called whenever [`Split::try_next_batch`] begins to have an answer.
    pub fn set_waker(&self, callback: Option<Callback>) -> Result<()> {
        self.feed.set_waker(callback)
    }

    /// A descriptor that is readable while [`Split::try_next_batch`] has an answer. It belongs to the split.
    pub fn descriptor(&self) -> Result<RawFd> {
        self.feed.descriptor()
    }

    /// Adds a filter for everything that was not handed out yet; it must be about columns that the session delivers.
    pub fn add_filter(&self, filter: &Predicate) -> Result<()> {
        self.feed.add_filter(filter)
    }

    /// How many rows of the split are done with: handed out, or filtered out before the last one that was.
    pub fn rows_delivered(&self) -> i64 {
        self.feed.rows_delivered()
    }

    /// How much was handed out, from 0 to 1: exact for rows that have addresses and no filter, else by the estimate of the plan. 1
    /// only at the end.
    pub fn progress(&self) -> f64 {
        if self.feed.is_finished() {
            return 1.0;
        }
        let delivered = self.rows_delivered().max(0) as f64;
        self.expected.map_or(0.0, |expected| (delivered / expected.max(1) as f64).min(NEARLY_DONE))
    }

    /// Whether nothing is left that no request was sent for.
    pub fn all_requested(&self) -> bool {
        self.feed.all_requested()
    }

    /// What reading has cost so far.
    pub fn metrics(&self) -> Vec<Metric> {
        self.feed.metrics()
    }

    /// Ends the read for good and wakes whoever waits for it. From now on every batch is `MS_CANCELLED`.
    pub fn cancel(&self) {
        self.feed.cancel();
    }

    /// Has `cancel` end the read, too; its deadline does not matter here.
    pub fn end_with(&self, cancel: &Cancel) -> Result<()> {
        self.feed.end_with(cancel)
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
