//! A cancellation that several calls may listen to.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use tokio::sync::watch;

use crate::error::{Error, Kind, Result};

/// Ends the calls that listen to it, now and later. Level-triggered: once cancelled, always cancelled.
#[derive(Debug)]
pub struct Cancel(watch::Sender<bool>);

impl Default for Cancel {
    fn default() -> Self {
        Cancel(watch::Sender::new(false))
    }
}

impl Cancel {
    /// Ends every call that listens. From any thread, any number of times.
    pub fn cancel(&self) {
        self.0.send_replace(true);
    }

    /// The result of `work`, or `MS_CANCELLED` as soon as this is cancelled; `work` is dropped then.
    pub fn bound<T, F>(&self, work: F) -> impl Future<Output = Result<T>> + Send + use<T, F>
    where
        F: Future<Output = Result<T>> + Send,
        T: Send,
    {
        let mut state = self.0.subscribe();
        async move {
            let mut work = pin!(work);
            // If the sender is gone nobody can cancel any more, and the work alone decides.
            let mut cancelled = pin!(async move {
                if state.wait_for(|cancelled| *cancelled).await.is_err() {
                    std::future::pending::<()>().await;
                }
            });
            poll_fn(|context| {
                if cancelled.as_mut().poll(context).is_ready() {
                    return Poll::Ready(Err(Error::new(Kind::Cancelled, "the call was cancelled")));
                }
                work.as_mut().poll(context)
            })
            .await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    #[test]
    fn work_ends_when_it_is_cancelled_and_not_before() {
        let cancel = Cancel::default();
        assert_eq!(block_on(cancel.bound(async { Ok(7) })).unwrap(), 7);
        let waiting = cancel.bound(std::future::pending::<Result<()>>());
        cancel.cancel();
        assert_eq!(block_on(waiting).unwrap_err().kind(), Kind::Cancelled);
        assert_eq!(block_on(cancel.bound(async { Ok(7) })).unwrap_err().kind(), Kind::Cancelled);
    }

    #[test]
    fn work_goes_on_when_its_cancel_is_freed() {
        let cancel = Cancel::default();
        let working = cancel.bound(async {
            tokio::task::yield_now().await;
            Ok(7)
        });
        drop(cancel);
        assert_eq!(block_on(working).unwrap(), 7);
    }
}
