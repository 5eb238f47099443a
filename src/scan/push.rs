//! A scan that pushes its batches to a consumer, as many as that asks for.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow_array::RecordBatch;

use super::demand::End;
use super::{Demand, Scan};
use crate::error::{Error, Kind, Result};
use crate::runtime::give_way;

/// Who batches are pushed to: one call at a time, from a thread of the library, none of which may wait. It is dropped when all is over,
/// after the last call and after the scan.
pub trait Sink: Send + 'static {
    /// The stream begins. `false` ends it.
    fn begin(&mut self) -> bool;
    /// A batch that was asked for. `false` ends the stream.
    fn batch(&mut self, batch: RecordBatch) -> bool;
    /// There are no more batches; asked for as a batch is.
    fn end(&mut self);
    /// The stream has failed.
    fn failed(&mut self, error: &Error);
}

impl Scan {
    /// Pushes the batches that were not taken yet to `sink`, as many as `demand` says, until the end, a failure, or a refusal. For a thread
    /// that [`Scan::check`] was called on.
    pub fn push(self, demand: Arc<Demand>, sink: impl Sink) {
        let waking = Arc::clone(&demand);
        self.feed.watch(Some(Box::new(move || waking.wake())));
        let runtime = self.feed.runtime().clone();
        let work = async move {
            pushed(sink, &demand, self).await;
            Ok(())
        };
        runtime.spawn_aside(work, |_| {});
    }
}

/// The scan goes before the sink, also where this ends by a panic: parameters are dropped from the last to the first.
async fn pushed(mut sink: impl Sink, demand: &Demand, scan: Scan) {
    if sink.begin() {
        loop {
            // Readers that are always faster must not keep the thread from other tasks.
            give_way().await;
            match poll_fn(|context| next(&scan, demand, context)).await {
                Ok(Ok(Some((_, batch)))) => {
                    demand.served();
                    if !sink.batch(batch) {
                        break;
                    }
                }
                Ok(Ok(None)) => {
                    sink.end();
                    break;
                }
                Ok(Err(error)) => {
                    sink.failed(&error);
                    break;
                }
                Err(End::Cancelled) => break,
                Err(End::Wrong(count)) => {
                    let message = format!("{count} batches were requested; one is the least");
                    sink.failed(&Error::new(Kind::InvalidArgument, message));
                    break;
                }
            }
        }
    }
    // So that nothing of the scan is left when the consumer hears that all is over.
    drop(scan);
    drop(sink);
}

/// What a scan answers: a batch and the number of its split, or the end.
type Taken = Result<Option<(i64, RecordBatch)>>;

/// The next answer of the scan, once one is wanted and there is one.
fn next(scan: &Scan, demand: &Demand, context: &Context<'_>) -> Poll<std::result::Result<Taken, End>> {
    match demand.poll(context) {
        Poll::Ready(Ok(())) => scan.feed.poll_take().map(Ok),
        Poll::Ready(Err(end)) => Poll::Ready(Err(end)),
        Poll::Pending => Poll::Pending,
    }
}
