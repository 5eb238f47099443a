//! A bounded queue from one task to another.

use tokio::sync::mpsc;

/// The end where items go in.
#[derive(Debug)]
pub struct LaneIn<T>(mpsc::Sender<T>);

/// The end where items come out.
#[derive(Debug)]
pub struct LaneOut<T>(mpsc::Receiver<T>);

/// A queue that holds up to `capacity` items.
pub fn lane<T>(capacity: usize) -> (LaneIn<T>, LaneOut<T>) {
    let (sender, receiver) = mpsc::channel(capacity.max(1));
    (LaneIn(sender), LaneOut(receiver))
}

impl<T> LaneIn<T> {
    /// Adds an item if there is room for it, else gives it back; drops it if nobody will take it.
    pub fn try_put(&self, item: T) -> Option<T> {
        match self.0.try_send(item) {
            Err(mpsc::error::TrySendError::Full(item)) => Some(item),
            _ => None,
        }
    }

    /// Adds an item when there is room for it; drops it if nobody will take it.
    pub async fn put(&self, item: T) {
        // The receiver is gone only when its owner has ended, and this task is about to.
        let _ = self.0.send(item).await;
    }
}

impl<T> LaneOut<T> {
    /// The next item; `None` when the other end is gone and all items are taken.
    pub async fn take(&mut self) -> Option<T> {
        self.0.recv().await
    }
}
