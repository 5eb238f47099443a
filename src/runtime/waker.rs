//! A callback for a host that does not block.

use super::check_thread;
use super::sync::{AtomicBool, Mutex, Ordering, PoisonError, TryLockError, fence};

/// What is called.
pub type Callback = Box<dyn Fn() + Send + Sync>;

/// A callback that may be replaced at any time and that never runs twice at once.
#[derive(Default)]
pub struct Waker {
    callback: Mutex<Option<Callback>>,
    /// Somebody asked for a call that did not begin yet.
    asked: AtomicBool,
    closed: AtomicBool,
}

impl std::fmt::Debug for Waker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waker").finish_non_exhaustive()
    }
}

impl Waker {
    /// Registers a callback in place of the former one, which is not running any more when this returns. Waits for it, so it
    /// must not be called from inside a callback.
    pub fn set(&self, callback: Option<Callback>) {
        *self.callback.lock().unwrap_or_else(PoisonError::into_inner) = callback;
        // Whoever asked while the lock was held has left it to the holder.
        if self.is_asked() {
            self.wake();
        }
    }

    /// Ends all calls. A call that is running has returned when this returns, unless this thread is inside a callback, which must
    /// not wait for itself.
    pub fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        if check_thread().is_ok() {
            self.set(None);
        }
    }

    /// Calls the callback, now or, if it is running just now, again afterwards on the thread where it runs.
    pub fn wake(&self) {
        // A swap and not a store: whoever takes the wish back then sees what all had done who wished, not only the last one.
        self.asked.swap(true, Ordering::SeqCst);
        while self.is_asked() {
            let callback = match self.callback.try_lock() {
                Ok(callback) => callback,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                // The holder looks at `asked` after it let go.
                Err(TryLockError::WouldBlock) => return,
            };
            while self.asked.swap(false, Ordering::SeqCst) {
                if let Some(callback) = callback.as_ref().filter(|_| !self.closed.load(Ordering::SeqCst)) {
                    callback();
                }
            }
        }
    }

    /// Whether somebody asked, seen after this thread let go of the lock. One thread asks and then looks at the lock, the other lets go
    /// and then looks whether it was asked: without a fence on both sides each could miss what the other did.
    fn is_asked(&self) -> bool {
        fence(Ordering::SeqCst);
        self.asked.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    #[test]
    fn a_wake_from_inside_the_callback_calls_again_afterwards() {
        let (waker, calls) = (Arc::new(Waker::default()), Arc::new(AtomicUsize::new(0)));
        let (inner, count) = (Arc::downgrade(&waker), Arc::clone(&calls));
        waker.set(Some(Box::new(move || {
            if count.fetch_add(1, Ordering::SeqCst) == 0 {
                inner.upgrade().unwrap().wake();
                assert_eq!(count.load(Ordering::SeqCst), 1, "never inside itself");
            }
        })));
        waker.wake();
        assert_eq!(calls.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn no_wake_is_lost_while_the_callback_is_replaced() {
        let (waker, calls) = (Arc::new(Waker::default()), Arc::new(AtomicUsize::new(0)));
        let callback = |calls: &Arc<AtomicUsize>| -> Callback {
            let calls = Arc::clone(calls);
            Box::new(move || {
                calls.fetch_add(1, Ordering::SeqCst);
            })
        };
        waker.set(Some(callback(&calls)));
        for round in 0..20_000 {
            let before = calls.load(Ordering::SeqCst);
            std::thread::scope(|scope| {
                if round % 20 == 0 {
                    scope.spawn(|| waker.wake());
                    waker.set(Some(callback(&calls)));
                } else {
                    waker.wake();
                }
            });
            assert!(calls.load(Ordering::SeqCst) > before, "round {round}");
        }
    }

    #[test]
    fn no_wake_is_lost_between_threads() {
        let (waker, state) = (Arc::new(Waker::default()), Arc::new((AtomicUsize::new(0), AtomicUsize::new(0))));
        let seen = Arc::clone(&state);
        waker.set(Some(Box::new(move || seen.1.store(seen.0.load(Ordering::SeqCst), Ordering::SeqCst))));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (waker, state) = (Arc::clone(&waker), Arc::clone(&state));
                std::thread::spawn(move || {
                    for _ in 0..10_000 {
                        state.0.fetch_add(1, Ordering::SeqCst);
                        waker.wake();
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(state.1.load(Ordering::SeqCst), 40_000, "the last wake saw the last change");
        waker.set(None);
        waker.wake();
    }
}
