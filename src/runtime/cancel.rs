//! A cancellation, or a deadline, that several calls may listen to.

use std::future::{Future, pending, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Mutex, PoisonError, Weak};
use std::task::Poll;
use std::time::Instant;

use tokio::sync::watch;
use tokio::time::timeout_at;

use crate::error::{Error, Kind, Result};

/// What a call is told to do.
#[derive(Debug, Clone, Copy, Default)]
struct Order {
    cancelled: bool,
    deadline: Option<Instant>,
}

/// What goes on by itself and can be ended for good, from any thread, any number of times.
pub trait Cancellable: Send + Sync {
    /// Ends it.
    fn cancel(&self);
}

/// Ends the calls that listen to it and the reads that were added, now and later. Level-triggered: once cancelled, always cancelled.
pub struct Cancel {
    orders: watch::Sender<Order>,
    reads: Mutex<Vec<Weak<dyn Cancellable>>>,
}

impl std::fmt::Debug for Cancel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Cancel").field(&*self.orders.borrow()).finish()
    }
}

impl Default for Cancel {
    fn default() -> Self {
        Cancel { orders: watch::Sender::new(Order::default()), reads: Mutex::default() }
    }
}

impl Cancel {
    /// Ends every call that listens, and every read. From any thread, any number of times.
    pub fn cancel(&self) {
        self.orders.send_modify(|order| order.cancelled = true);
        // A read that is added meanwhile sees the order itself. None is ended under the lock: it may wake somebody.
        let reads = std::mem::take(&mut *self.reads.lock().unwrap_or_else(PoisonError::into_inner));
        reads.iter().filter_map(Weak::upgrade).for_each(|read| read.cancel());
    }

    /// Has `read` end with the calls; at once if they were ended already.
    pub fn add(&self, read: Weak<dyn Cancellable>) {
        {
            let mut reads = self.reads.lock().unwrap_or_else(PoisonError::into_inner);
            // Looked through when it would grow, so that each read costs the same however many there are.
            if reads.len() == reads.capacity() {
                reads.retain(|read| read.strong_count() > 0);
            }
            reads.push(Weak::clone(&read));
        }
        if self.orders.borrow().cancelled
            && let Some(read) = read.upgrade()
        {
            read.cancel();
        }
    }

    /// Until when calls that listen may take, those under way as well; `None` for as long as they take.
    pub fn set_deadline(&self, deadline: Option<Instant>) {
        self.orders.send_modify(|order| order.deadline = deadline);
    }
}

/// Everything that may end a call: any number of cancellations, which may be dropped before.
#[derive(Debug, Clone, Default)]
pub struct Bounds(Vec<watch::Receiver<Order>>);

impl Bounds {
    /// These bounds and one more.
    pub fn with(&self, cancel: Option<&Cancel>) -> Self {
        Bounds(self.0.iter().cloned().chain(cancel.map(|cancel| cancel.orders.subscribe())).collect())
    }

    /// The result of `work`, or `MS_CANCELLED` or `MS_DEADLINE_EXCEEDED` as soon as it has to end; `work` is dropped then.
    pub fn bound<T, F>(&self, work: F) -> impl Future<Output = Result<T>> + Send + use<T, F>
    where
        F: Future<Output = Result<T>> + Send,
        T: Send,
    {
        let mut ends: Vec<Pin<Box<dyn Future<Output = Error> + Send>>> = Vec::with_capacity(self.0.len());
        ends.extend(self.0.iter().cloned().map(|orders| Box::pin(end(orders)) as _));
        async move {
            let mut work = pin!(work);
            poll_fn(|context| {
                for end in &mut ends {
                    if let Poll::Ready(error) = end.as_mut().poll(context) {
                        return Poll::Ready(Err(error));
                    }
                }
                work.as_mut().poll(context)
            })
            .await
        }
    }
}

/// Waits until a call has to end.
async fn end(mut orders: watch::Receiver<Order>) -> Error {
    loop {
        let Order { cancelled, deadline } = *orders.borrow_and_update();
        if cancelled {
            return Error::new(Kind::Cancelled, "the call was cancelled");
        }
        let changed = async {
            // If the sender is gone nobody can change anything any more; the deadline stays.
            if orders.changed().await.is_err() {
                pending::<()>().await;
            }
        };
        let Some(deadline) = deadline else {
            changed.await;
            continue;
        };
        if deadline <= Instant::now() || timeout_at(deadline.into(), changed).await.is_err() {
            return Error::new(Kind::DeadlineExceeded, "the call did not end before its deadline");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
    }

    fn under(cancel: &Cancel) -> Bounds {
        Bounds::default().with(Some(cancel))
    }

    #[test]
    fn work_ends_when_it_is_cancelled_and_not_before() {
        let cancel = Cancel::default();
        assert_eq!(block_on(under(&cancel).bound(async { Ok(7) })).unwrap(), 7);
        let waiting = under(&cancel).bound(pending::<Result<()>>());
        cancel.cancel();
        assert_eq!(block_on(waiting).unwrap_err().kind(), Kind::Cancelled);
        assert_eq!(block_on(under(&cancel).bound(async { Ok(7) })).unwrap_err().kind(), Kind::Cancelled);
    }

    #[test]
    fn work_goes_on_when_its_cancel_is_freed_but_keeps_its_deadline() {
        let cancel = Cancel::default();
        let working = under(&cancel).bound(async {
            tokio::task::yield_now().await;
            Ok(7)
        });
        drop(cancel);
        assert_eq!(block_on(working).unwrap(), 7);
        let cancel = Cancel::default();
        cancel.set_deadline(Some(Instant::now() + Duration::from_millis(20)));
        let waiting = under(&cancel).bound(pending::<Result<()>>());
        drop(cancel);
        assert_eq!(block_on(waiting).unwrap_err().kind(), Kind::DeadlineExceeded);
    }

    #[test]
    fn a_deadline_can_be_moved_while_work_is_under_way() {
        block_on(async {
            let cancel = Cancel::default();
            let minute = Duration::from_secs(60);
            cancel.set_deadline(Some(Instant::now() + minute));
            let waiting = tokio::spawn(under(&cancel).bound(pending::<Result<()>>()));
            tokio::task::yield_now().await;
            cancel.set_deadline(Some(Instant::now()));
            assert_eq!(waiting.await.unwrap().unwrap_err().kind(), Kind::DeadlineExceeded);
            assert_eq!(under(&cancel).bound(async { Ok(7) }).await.unwrap_err().kind(), Kind::DeadlineExceeded);
            // Unlike a cancellation it can be taken back.
            cancel.set_deadline(None);
            assert_eq!(under(&cancel).bound(async { Ok(7) }).await.unwrap(), 7);
        });
    }

    #[test]
    fn reads_that_were_added_before_or_after_end_with_it() {
        #[derive(Default)]
        struct Read(AtomicUsize);
        impl Cancellable for Read {
            fn cancel(&self) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let weak = |read: &Arc<Read>| -> Weak<dyn Cancellable> { Arc::downgrade(read) as _ };
        let (cancel, before, gone, after) = (Cancel::default(), Arc::default(), Arc::default(), Arc::default());
        cancel.add(weak(&before));
        cancel.add(weak(&gone));
        drop(gone);
        cancel.set_deadline(Some(Instant::now()));
        assert_eq!(before.0.load(Ordering::Relaxed), 0, "reads have deadlines of their own");
        cancel.cancel();
        cancel.add(weak(&after));
        assert_eq!([&before, &after].map(|read| read.0.load(Ordering::Relaxed)), [1, 1]);
    }

    #[test]
    fn reads_that_are_gone_are_forgotten() {
        struct Read;
        impl Cancellable for Read {
            fn cancel(&self) {}
        }
        let cancel = Cancel::default();
        for _ in 0..1000 {
            let read: Arc<dyn Cancellable> = Arc::new(Read);
            cancel.add(Arc::downgrade(&read));
        }
        assert!(cancel.reads.lock().unwrap().len() < 10);
    }

    #[test]
    fn the_first_of_several_bounds_decides() {
        let (patient, hasty) = (Cancel::default(), Cancel::default());
        hasty.set_deadline(Some(Instant::now()));
        let both = under(&patient).with(Some(&hasty));
        assert_eq!(block_on(both.bound(pending::<Result<()>>())).unwrap_err().kind(), Kind::DeadlineExceeded);
        patient.cancel();
        assert_eq!(block_on(both.bound(pending::<Result<()>>())).unwrap_err().kind(), Kind::Cancelled);
    }
}
