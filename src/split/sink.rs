//! Where a reader puts its batches.

use std::sync::Arc;

use super::chunk::Chunk;
use crate::runtime::{Handoff, LaneIn};

/// The way of the batches of one request.
#[derive(Debug)]
pub(crate) enum Sink {
    /// To the engine.
    Engine(Arc<Handoff<Chunk>>),
    /// To where batches are put in order.
    Lane(LaneIn<Chunk>),
}

impl Sink {
    /// Runs what hands batches on.
    pub(super) async fn fed_by<R>(&self, work: impl Future<Output = R>) -> R {
        match self {
            Sink::Engine(queue) => queue.fed_by(work).await,
            Sink::Lane(_) => work.await,
        }
    }

    /// Hands a batch on if there is room for it, else gives it back.
    pub(super) fn try_put(&self, chunk: Chunk) -> Option<Chunk> {
        let bytes = chunk.bytes;
        match self {
            Sink::Engine(queue) => queue.try_put(chunk, bytes),
            Sink::Lane(lane) => lane.try_put(chunk, bytes),
        }
    }

    /// Hands a batch on when there is room for it.
    pub(super) async fn put(&self, chunk: Chunk) {
        let bytes = chunk.bytes;
        match self {
            Sink::Engine(queue) => queue.put(chunk, bytes).await,
            Sink::Lane(lane) => lane.put(chunk, bytes).await,
        }
    }
}
