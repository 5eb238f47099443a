//! What an open read of any kind consists of: the queue that tasks fill and the engine empties, and what goes with it.

use std::os::fd::RawFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Instant;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::chunk::Chunk;
use super::limits::BatchLimits;
use super::row_limit::RowLimit;
use super::source::Source;
use crate::error::Result;
use crate::memory::{Ahead, Allowance};
use crate::metrics::Metric;
use crate::options::{Options, ReadEnd, ReadEndHook};
use crate::predicate::Predicate;
use crate::runtime::{Callback, Cancel, Cancellable, Handoff, Runtime, Task};
use crate::session::{Hold, Session};

/// A batch and the split it belongs to.
pub(crate) type Tagged = (i64, RecordBatch);

/// An open read. Dropping it ends the read.
#[derive(Debug)]
pub(crate) struct Feed {
    session: Session,
    queue: Arc<Handoff<Chunk>>,
    source: Arc<Source>,
    /// Of the last batch that was handed out.
    position: AtomicU64,
    limit: Option<RowLimit>,
    limits: BatchLimits,
    work: Arc<Work>,
    /// Who is told of the end, and the split that is read; `None` for a scan.
    told: Option<(ReadEndHook, Option<i64>)>,
    _holds: Vec<Hold>,
}

/// What goes on for a read, and how it is ended.
#[derive(Debug)]
struct Work {
    runtime: Runtime,
    queue: Arc<Handoff<Chunk>>,
    task: Task,
    /// What waits for memory for batches that were taken once.
    waiting: Mutex<Vec<Task>>,
}

impl Work {
    /// Ends all of it.
    fn end(&self) {
        self.task.abort();
        self.waiting().drain(..).for_each(|task| task.abort());
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Task>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cancellable for Work {
    fn cancel(&self) {
        // In a child made by fork it is the read of the parent, which shares its descriptor.
        if !self.runtime.is_inherited() {
            self.queue.cancel();
            self.end();
        }
    }
}

impl Feed {
    /// A read of `source` whose batches `work` puts into `queue`; its end is the end of the queue. The planning of further splits goes on as
    /// long as the work does.
    pub(crate) fn start(
        session: &Session,
        queue: Arc<Handoff<Chunk>>,
        source: Arc<Source>,
        work: impl Future<Output = Result<()>> + Send + 'static,
    ) -> Self {
        let (fed, transport) = (Arc::clone(&queue), Arc::clone(&source.transport));
        let end = move |result: Result<()>| fed.finish(result.map_err(|error| transport.told(error)));
        let planning = session.planning();
        let work = async move {
            let _planning = planning;
            work.await
        };
        let task = session.client().runtime().spawn(work, end);
        Feed {
            session: session.of_known_splits(),
            work: Arc::new(Work {
                runtime: session.client().runtime().clone(),
                queue: Arc::clone(&queue),
                task,
                waiting: Mutex::default(),
            }),
            queue,
            source,
            position: AtomicU64::new(0),
            limit: None,
            limits: BatchLimits::default(),
            told: None,
            _holds: session.parts().hold(0, session.client().runtime()),
        }
    }

    /// Has the read end as soon as so many rows were handed out.
    pub(crate) fn set_limit(&mut self, rows: u64) {
        self.limit = Some(RowLimit::new(rows));
    }

    /// Has whom the options name told of the end of the read, of a split or of a scan.
    pub(crate) fn tell_end(&mut self, read: &Options, split: Option<i64>) {
        self.told = self.session.client().read_end_hook(read).map(|hook| (hook, split));
    }

    /// Has the calls that begin from now on take no more than so many rows and bytes at once; 0 for what the read options say. What is beyond
    /// them stays where it is.
    pub(crate) fn set_batch_limits(&self, rows: u64, bytes: u64) {
        self.limits.set(rows, bytes);
    }

    /// The schema of every batch.
    pub(crate) fn schema(&self) -> &SchemaRef {
        self.source.delivered()
    }

    /// The next batch, never an empty one; `None` after the last. Blocks until it is there or the deadline passes.
    pub(crate) fn take(&self, deadline: Option<Instant>) -> Result<Option<Tagged>> {
        self.check()?;
        let caps = self.limits.caps();
        loop {
            let start = Instant::now();
            let taken = self.queue.take_part(deadline, &mut |chunk| chunk.cut(caps?));
            self.source.metrics.consumer_wait.add_time(start.elapsed());
            let Some(chunk) = taken? else { return Ok(None) };
            if let Some(batch) = self.handed_out(chunk)? {
                return Ok(Some(batch));
            }
        }
    }

    /// As [`Feed::take`], without blocking.
    pub(crate) fn try_take(&self) -> Poll<Result<Option<Tagged>>> {
        match self.check() {
            Ok(()) => self.poll_take(),
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// As [`Feed::try_take`], for a task of the library.
    pub(crate) fn poll_take(&self) -> Poll<Result<Option<Tagged>>> {
        let caps = self.limits.caps();
        loop {
            let chunk = match self.queue.try_take_part(&mut |chunk| chunk.cut(caps?)) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(Some(chunk))) => chunk,
                Poll::Ready(Ok(None)) => return Poll::Ready(Ok(None)),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            };
            match self.handed_out(chunk) {
                Ok(None) => {}
                done => return Poll::Ready(done),
            }
        }
    }

    /// Has `callback` called whenever [`Feed::try_take`] begins to have an answer.
    pub(crate) fn set_waker(&self, callback: Option<Callback>) -> Result<()> {
        self.check()?;
        self.watch(callback);
        Ok(())
    }

    /// As [`Feed::set_waker`], for a thread that was checked.
    pub(crate) fn watch(&self, callback: Option<Callback>) {
        self.queue.set_waker(callback);
    }

    /// A descriptor that is readable while [`Feed::try_take`] has an answer. It belongs to the read.
    pub(crate) fn descriptor(&self) -> Result<RawFd> {
        self.check()?;
        self.queue.descriptor()
    }

    /// Adds a filter for everything that was not handed out yet.
    pub(crate) fn add_filter(&self, filter: &Predicate) -> Result<()> {
        self.source.add_filter(filter)
    }

    /// What the engine gets of a batch; nothing, if the filters that were added while it waited leave no row, or if there is no memory yet
    /// for the rows that they leave. A batch that fails is the end of the read: the rows behind it are not delivered as if it had not been
    /// there.
    fn handed_out(&self, chunk: Chunk) -> Result<Option<Tagged>> {
        let position = chunk.position;
        let finished = self.finished(chunk).inspect_err(|error| {
            self.queue.fail(error.clone());
            self.work.end();
        })?;
        let Some((split, batch)) = finished else { return Ok(None) };
        self.position.store(position, Ordering::Relaxed);
        let batch = self.within_limit(batch);
        if batch.num_rows() == 0 {
            return Ok(None);
        }
        let metrics = &self.source.metrics;
        metrics.rows.add(batch.num_rows() as u64);
        metrics.batches.add(1);
        Ok(Some((split, batch)))
    }

    /// A batch, maybe without rows, by all filters that there are now and in the form that the engine gets. `None` if there is no memory for
    /// it yet.
    fn finished(&self, mut chunk: Chunk) -> Result<Option<Tagged>> {
        let Source { refinement, metrics, account, .. } = &*self.source;
        let filters = refinement.since(chunk.passed);
        if filters.count() > 0 {
            // More filters may have come while the memory for some was waited for.
            let bytes = filters.most_bytes(&chunk.batch);
            let memory = match chunk.filtering.take().filter(|memory| memory.has(bytes)) {
                Some(memory) => memory,
                // It is this batch that the engine waits for.
                None => match account.reserve(bytes, &Ahead::default()).now()? {
                    Poll::Ready(grant) => Allowance::new(grant),
                    Poll::Pending => {
                        self.wait_for_memory(chunk, bytes);
                        return Ok(None);
                    }
                },
            };
            chunk.batch = filters.apply(chunk.batch, metrics, Some(&memory))?;
        }
        let (split, batch, allowance) = chunk.taken();
        Ok(Some((split, refinement.finish(batch, metrics, allowance.as_deref())?)))
    }

    /// Has a batch come back when the host grants `bytes` for the rows that filters leave of it. Those behind it wait, too.
    fn wait_for_memory(&self, mut chunk: Chunk, bytes: u64) {
        // Who ends the read cuts the queue off and then takes this lock: either that is seen here, or the task is seen there.
        let mut waiting = self.work.waiting();
        if !self.queue.hold() {
            drop(waiting);
            return;
        }
        let (source, queue, reading) = (Arc::clone(&self.source), Arc::clone(&self.queue), self.work.task.clone());
        let granted = source.granted_at_once(bytes);
        let task = self.session.client().runtime().spawn_aside(granted, move |granted| match granted {
            Ok(memory) => {
                chunk.filtering = Some(memory);
                queue.give_back(chunk);
            }
            Err(error) => {
                queue.fail(error);
                reading.abort();
            }
        });
        waiting.retain(|task| !task.is_finished());
        waiting.push(task);
    }

    /// The rows of a batch that are wanted. Behind the last of them nothing is read any more.
    fn within_limit(&self, batch: RecordBatch) -> RecordBatch {
        let Some(limit) = &self.limit else { return batch };
        let (wanted, is_last) = limit.claim(batch.num_rows());
        if is_last {
            self.queue.stop();
            self.work.end();
        }
        if wanted == batch.num_rows() { batch } else { batch.slice(0, wanted) }
    }

    /// How many rows of a split are done with: handed out, or filtered out before the last one that was.
    pub(super) fn rows_delivered(&self) -> i64 {
        i64::try_from(self.position.load(Ordering::Relaxed)).unwrap_or(i64::MAX)
    }

    /// Whether everything was handed out.
    pub(super) fn is_finished(&self) -> bool {
        self.queue.is_finished()
    }

    /// Whether nothing is left that no request was sent for, or will be.
    pub(crate) fn all_requested(&self) -> bool {
        self.source.all_requested() || self.queue.has_ended()
    }

    /// What reading has cost so far.
    pub(crate) fn metrics(&self) -> Vec<Metric> {
        self.source.list_metrics()
    }

    /// Ends the read for good and wakes whoever waits for it. From now on every batch is `MS_CANCELLED`.
    pub(crate) fn cancel(&self) {
        self.work.cancel();
    }

    /// Has `cancel` end the read, too.
    pub(crate) fn end_with(&self, cancel: &Cancel) -> Result<()> {
        self.check()?;
        let work: Arc<dyn Cancellable> = Arc::clone(&self.work) as _;
        cancel.add(Arc::downgrade(&work));
        Ok(())
    }

    /// Fails where waiting for this read is not possible (see [`crate::runtime::Runtime::check`]).
    pub(crate) fn check(&self) -> Result<()> {
        self.session.client().runtime().check()
    }

    /// The threads that the read runs on.
    pub(crate) fn runtime(&self) -> &Runtime {
        self.session.client().runtime()
    }

    /// Whether the read was opened in another process, from which this one was forked.
    pub(crate) fn is_inherited(&self) -> bool {
        self.session.client().runtime().is_inherited()
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        let outcome = self.told.is_some().then(|| self.queue.outcome());
        self.queue.close();
        self.work.end();
        if let (Some((hook, split)), Some(outcome)) = (&self.told, &outcome) {
            hook.tell(&ReadEnd { split: *split, outcome, metrics: &self.metrics() });
        }
    }
}
