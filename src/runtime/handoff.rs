//! The bounded queue between the task that owns a stream and the engine's thread.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::error::{Error, Kind, Result};

/// A queue with one asynchronous producer and one blocking consumer. Cancelling is sticky and wakes both at once.
#[derive(Debug)]
pub struct Handoff<T> {
    state: Mutex<State<T>>,
    ready: Condvar,
    room: Notify,
    capacity: usize,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<T>,
    end: End,
}

#[derive(Debug)]
enum End {
    NotYet,
    Finished,
    Failed(Error),
    Cancelled,
}

impl<T> Handoff<T> {
    /// A queue that holds up to `capacity` items.
    pub fn new(capacity: usize) -> Self {
        let state = State { items: VecDeque::with_capacity(capacity), end: End::NotYet };
        Handoff { state: Mutex::new(state), ready: Condvar::new(), room: Notify::new(), capacity }
    }

    /// Adds an item when there is room for it. An item that comes after the end is dropped.
    pub async fn put(&self, item: T) {
        loop {
            {
                let mut state = self.lock();
                if !matches!(state.end, End::NotYet) {
                    return;
                }
                if state.items.len() < self.capacity {
                    state.items.push_back(item);
                    self.ready.notify_one();
                    return;
                }
            }
            self.room.notified().await;
        }
    }

    /// Says that nothing more will come: all is delivered, or `result` tells what broke. The first end stays.
    pub fn finish(&self, result: Result<()>) {
        let mut state = self.lock();
        if matches!(state.end, End::NotYet) {
            state.end = match result {
                Ok(()) => End::Finished,
                Err(error) => End::Failed(error),
            };
            self.ready.notify_all();
        }
    }

    /// Drops what is queued and ends the queue for both sides.
    pub fn cancel(&self) {
        let mut state = self.lock();
        state.end = End::Cancelled;
        state.items.clear();
        self.ready.notify_all();
        self.room.notify_one();
    }

    /// The next item; blocks until there is one. `None` at the end. Items that arrived before a failure come first; a
    /// failure is returned again by every later call.
    pub fn take(&self) -> Result<Option<T>> {
        let mut state = self.lock();
        loop {
            if let Some(item) = state.items.pop_front() {
                self.room.notify_one();
                return Ok(Some(item));
            }
            match &state.end {
                End::NotYet => state = self.ready.wait(state).unwrap_or_else(PoisonError::into_inner),
                End::Finished => return Ok(None),
                End::Failed(error) => return Err(error.clone()),
                End::Cancelled => return Err(Error::new(Kind::Cancelled, "the split was cancelled")),
            }
        }
    }

    /// No code that can panic runs under the lock, so its state is good even if a holder died.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    fn block_on<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    #[test]
    fn items_come_in_order_then_the_end_stays() {
        let queue = Handoff::new(3);
        block_on(async {
            queue.put(1).await;
            queue.put(2).await;
        });
        queue.finish(Err(Error::new(Kind::Connection, "broke")));
        queue.finish(Ok(()));
        assert_eq!((queue.take().unwrap(), queue.take().unwrap()), (Some(1), Some(2)));
        for _ in 0..2 {
            assert_eq!(queue.take().unwrap_err().kind(), Kind::Connection);
        }
    }

    #[test]
    fn a_full_queue_holds_the_producer_back() {
        let queue = Arc::new(Handoff::new(2));
        let producer = {
            let queue = Arc::clone(&queue);
            std::thread::spawn(move || {
                block_on(async {
                    for number in 0..1000 {
                        queue.put(number).await;
                        assert!(queue.lock().items.len() <= 2);
                    }
                });
                queue.finish(Ok(()));
            })
        };
        let mut expected = 0;
        while let Some(number) = queue.take().unwrap() {
            assert_eq!(number, expected);
            expected += 1;
        }
        producer.join().unwrap();
        assert_eq!(expected, 1000);
    }

    #[test]
    fn cancel_wakes_both_sides_and_is_sticky() {
        let queue = Arc::new(Handoff::<u8>::new(1));
        let waiting = {
            let queue = Arc::clone(&queue);
            std::thread::spawn(move || queue.take().unwrap_err().kind())
        };
        std::thread::sleep(Duration::from_millis(20));
        let start = Instant::now();
        queue.cancel();
        assert_eq!(waiting.join().unwrap(), Kind::Cancelled);
        assert!(start.elapsed() < Duration::from_millis(500));

        let full = Arc::new(Handoff::new(1));
        let producer = {
            let full = Arc::clone(&full);
            std::thread::spawn(move || {
                block_on(async {
                    full.put(1).await;
                    full.put(2).await;
                });
            })
        };
        std::thread::sleep(Duration::from_millis(20));
        full.cancel();
        producer.join().unwrap();
        full.finish(Ok(()));
        assert_eq!(full.take().unwrap_err().kind(), Kind::Cancelled);
    }
}
