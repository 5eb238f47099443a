//! A bounded queue from one task to another.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// The end where items go in.
#[derive(Debug)]
pub struct LaneIn<T> {
    items: mpsc::Sender<(T, OwnedSemaphorePermit)>,
    /// Bytes that may still be put in.
    bytes: Arc<Semaphore>,
    capacity_bytes: u32,
}

/// The end where items come out.
#[derive(Debug)]
pub struct LaneOut<T>(mpsc::Receiver<(T, OwnedSemaphorePermit)>);

/// A queue that holds up to `capacity` items and `capacity_bytes` bytes, one item in any case.
pub fn lane<T>(capacity: usize, capacity_bytes: u64) -> (LaneIn<T>, LaneOut<T>) {
    let (sender, receiver) = mpsc::channel(capacity.max(1));
    let capacity_bytes = u32::try_from(capacity_bytes.max(1)).unwrap_or(MOST_BYTES).min(MOST_BYTES);
    let bytes = Arc::new(Semaphore::new(capacity_bytes as usize));
    (LaneIn { items: sender, bytes, capacity_bytes }, LaneOut(receiver))
}

/// More than any lane needs, and fewer than a semaphore has.
const MOST_BYTES: u32 = 1 << 28;

impl<T> LaneIn<T> {
    /// Adds an item of `bytes` if there is room for it, else gives it back; drops it if nobody will take it.
    pub fn try_put(&self, item: T, bytes: u64) -> Option<T> {
        let Ok(permit) = Arc::clone(&self.bytes).try_acquire_many_owned(self.permits(bytes)) else { return Some(item) };
        match self.items.try_send((item, permit)) {
            Err(mpsc::error::TrySendError::Full((item, _))) => Some(item),
            _ => None,
        }
    }

    /// Adds an item of `bytes` when there is room for it; drops it if nobody will take it.
    pub async fn put(&self, item: T, bytes: u64) {
        let permit = Arc::clone(&self.bytes).acquire_many_owned(self.permits(bytes)).await;
        if let Ok(permit) = permit {
            // The receiver is gone only when its owner has ended, and this task is about to.
            let _ = self.items.send((item, permit)).await;
        }
    }

    fn permits(&self, bytes: u64) -> u32 {
        u32::try_from(bytes).unwrap_or(u32::MAX).min(self.capacity_bytes)
    }
}

impl<T> LaneOut<T> {
    /// The next item; `None` when the other end is gone and all items are taken.
    pub async fn take(&mut self) -> Option<T> {
        self.0.recv().await.map(|(item, _)| item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_and_bytes_are_bounded_and_one_item_always_fits() {
        let (into, mut out) = lane(2, 100);
        assert!(into.try_put('a', 5000).is_none());
        assert_eq!(into.try_put('b', 1), Some('b'));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert_eq!(runtime.block_on(out.take()), Some('a'));
        assert!(into.try_put('c', 40).is_none() && into.try_put('d', 40).is_none());
        assert_eq!(into.try_put('e', 1), Some('e'));
        assert_eq!(runtime.block_on(out.take()), Some('c'));
        assert_eq!(into.try_put('f', 61), Some('f'));
        drop(into);
        assert_eq!(runtime.block_on(async { (out.take().await, out.take().await) }), (Some('d'), None));
    }
}
