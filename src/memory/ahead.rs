//! Whether a read has something for the engine.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;

/// The batches of one request that the engine did not take yet. While there is none, the engine may be waiting for this very request,
/// so it must be able to go on.
#[derive(Debug, Clone, Default)]
pub struct Ahead(Arc<State>);

#[derive(Debug, Default)]
struct State {
    batches: AtomicUsize,
    /// The host refuses memory, and there is nothing for the engine.
    is_refused: AtomicBool,
    /// Woken when the last batch is taken.
    waiting: Mutex<Option<Waker>>,
}

/// A batch that the engine did not take yet; dropped when it does.
#[derive(Debug)]
pub struct Ready(Arc<State>);

impl Ahead {
    /// Counts a batch until the result is dropped.
    pub fn put(&self) -> Ready {
        self.0.batches.fetch_add(1, Ordering::SeqCst);
        Ready(Arc::clone(&self.0))
    }

    /// Whether the engine has taken everything.
    pub fn is_empty(&self) -> bool {
        self.0.batches.load(Ordering::SeqCst) == 0
    }

    /// Whether the engine may wait in vain, because the host refuses memory.
    pub fn is_refused(&self) -> bool {
        self.0.is_refused.load(Ordering::SeqCst)
    }

    /// Says so, or that it is over.
    pub fn set_refused(&self, is_refused: bool) {
        self.0.is_refused.store(is_refused, Ordering::SeqCst);
    }

    /// Has `waker` called when everything is taken. Look at [`Ahead::is_empty`] again afterwards.
    pub(super) fn wake_when_empty(&self, waker: &Waker) {
        *self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner) = Some(waker.clone());
    }
}

impl Drop for Ready {
    fn drop(&mut self) {
        if self.0.batches.fetch_sub(1, Ordering::SeqCst) == 1 {
            let waiting = self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(waker) = waiting {
                waker.wake();
            }
        }
    }
}
