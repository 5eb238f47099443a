//! The library's `runtime`, as far as it is modelled.

#[path = "../../../src/runtime/handoff.rs"]
pub mod handoff;
#[path = "../../../src/runtime/waker.rs"]
pub mod waker;

pub use handoff::Handoff;
pub use waker::Waker;

/// No thread of a model is inside a callback when it closes.
fn check_thread() -> crate::error::Result<()> {
    Ok(())
}

/// The pipe behind the descriptor, as a flag.
pub mod signal {
    use std::os::fd::RawFd;

    #[derive(Debug)]
    pub struct Signal {
        set: bool,
    }

    impl Signal {
        pub fn new() -> crate::error::Result<Self> {
            Ok(Signal { set: false })
        }

        pub fn set(&mut self, ready: bool) {
            self.set = ready;
        }

        /// Stands for "readable".
        pub fn descriptor(&self) -> RawFd {
            RawFd::from(self.set)
        }
    }
}

pub mod sync {
    pub use loom::sync::atomic::{AtomicBool, Ordering, fence};
    pub use loom::sync::{Condvar, Mutex, MutexGuard};
    pub use std::sync::{PoisonError, TryLockError};

    use std::future::poll_fn;
    use std::task::{Poll, Waker};

    /// Tokio's `Notify` for one waiter, with its promise: a permit that comes before the wait is not lost.
    #[derive(Debug)]
    pub struct Notify(Mutex<(bool, Option<Waker>)>);

    impl Notify {
        pub fn new() -> Self {
            Notify(Mutex::new((false, None)))
        }

        pub fn notify_one(&self) {
            let waiter = {
                let mut state = self.0.lock().expect("not poisoned");
                state.0 = true;
                state.1.take()
            };
            if let Some(waiter) = waiter {
                waiter.wake();
            }
        }

        pub async fn notified(&self) {
            poll_fn(|context| {
                let mut state = self.0.lock().expect("not poisoned");
                if std::mem::take(&mut state.0) {
                    return Poll::Ready(());
                }
                state.1 = Some(context.waker().clone());
                Poll::Pending
            })
            .await;
        }
    }
}
