//! Where a reader puts its batches.

use std::sync::Arc;

use arrow_array::RecordBatch;

use super::feed::Tagged;
use crate::runtime::{Handoff, LaneIn};

/// The way of the batches of one split.
#[derive(Debug)]
pub(crate) enum Sink {
    /// To the engine.
    Engine(Arc<Handoff<Tagged>>, i64),
    /// To a scan that keeps the order of splits.
    Lane(LaneIn<RecordBatch>),
}

impl Sink {
    /// Hands a batch on if there is room for it, else gives it back.
    pub(super) fn try_put(&self, batch: RecordBatch) -> Option<RecordBatch> {
        match self {
            Sink::Engine(queue, split) => queue.try_put((*split, batch)).map(|(_, batch)| batch),
            Sink::Lane(lane) => lane.try_put(batch),
        }
    }

    /// Hands a batch on when there is room for it.
    pub(super) async fn put(&self, batch: RecordBatch) {
        match self {
            Sink::Engine(queue, split) => queue.put((*split, batch)).await,
            Sink::Lane(lane) => lane.put(batch).await,
        }
    }
}
