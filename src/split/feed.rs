//! What an open read of any kind consists of: the queue that tasks fill and the engine empties, and what goes with it.

use std::sync::Arc;
use std::time::Instant;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::metrics::{Metric, Metrics};
use crate::error::Result;
use crate::runtime::{Handoff, Task};
use crate::session::{Hold, Session};

/// A batch and the split it belongs to.
pub(crate) type Tagged = (i64, RecordBatch);

/// An open read. Dropping it ends the read.
#[derive(Debug)]
pub(crate) struct Feed {
    session: Session,
    queue: Arc<Handoff<Tagged>>,
    metrics: Arc<Metrics>,
    task: Task,
    _hold: Hold,
}

impl Feed {
    /// A read whose batches `work` puts into `queue`; its end is the end of the queue.
    pub(crate) fn start(
        session: &Session,
        queue: Arc<Handoff<Tagged>>,
        metrics: Arc<Metrics>,
        work: impl Future<Output = Result<()>> + Send + 'static,
    ) -> Self {
        let fed = Arc::clone(&queue);
        let task = session.client().runtime().spawn(work, move |result| fed.finish(result));
        Feed { session: session.clone(), queue, metrics, task, _hold: session.hold() }
    }

    /// The schema of every batch.
    pub(crate) fn schema(&self) -> &SchemaRef {
        self.session.schema()
    }

    /// The queue, for whoever does not block.
    pub(super) fn queue(&self) -> &Handoff<Tagged> {
        &self.queue
    }

    /// The next batch, never an empty one; `None` after the last. Blocks until it is there or the deadline passes.
    pub(crate) fn take(&self, deadline: Option<Instant>) -> Result<Option<Tagged>> {
        let start = Instant::now();
        let taken = self.queue.take(deadline);
        self.metrics.consumer_wait.add_time(start.elapsed());
        self.counted(taken)
    }

    /// Counts what the engine gets.
    pub(super) fn counted(&self, taken: Result<Option<Tagged>>) -> Result<Option<Tagged>> {
        if let Ok(Some((_, batch))) = &taken {
            self.metrics.rows.add(batch.num_rows() as u64);
            self.metrics.batches.add(1);
        }
        taken
    }

    /// How many rows were handed out.
    pub(super) fn rows_delivered(&self) -> i64 {
        i64::try_from(self.metrics.rows.get()).unwrap_or(i64::MAX)
    }

    /// What reading has cost so far.
    pub(crate) fn metrics(&self) -> Vec<Metric> {
        self.metrics.list()
    }

    /// Ends the read for good and wakes whoever waits for it. From now on every batch is `MS_CANCELLED`.
    pub(crate) fn cancel(&self) {
        self.queue.cancel();
        self.task.abort();
    }

    /// Fails where waiting for this read is not possible (see [`crate::runtime::Runtime::check`]).
    pub(crate) fn check(&self) -> Result<()> {
        self.session.client().runtime().check()
    }

    /// Whether the read was opened in another process, from which this one was forked.
    pub(crate) fn is_inherited(&self) -> bool {
        self.session.client().runtime().is_inherited()
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.queue.close();
        self.task.abort();
    }
}
