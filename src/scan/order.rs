//! Which splits of a scan are read when, and in which order their batches go to the engine.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow_array::RecordBatch;

use super::Shared;
use crate::error::Result;
use crate::runtime::{Group, LaneOut, lane};
use crate::split::{Reader, Sink};

/// Every split puts its batches where the engine takes them. A split that ends makes room for the next one.
pub(super) async fn as_it_comes(shared: Shared) -> Result<()> {
    let mut readers = Group::default();
    let mut splits = 0..shared.session.split_count();
    let start = |readers: &mut Group, split: i64| {
        let reader = shared.reader(split, Sink::Engine(Arc::clone(&shared.queue), split))?;
        readers.start(reader.run());
        Ok(())
    };
    for split in splits.by_ref().take(usize::try_from(shared.concurrency).unwrap_or(usize::MAX)) {
        start(&mut readers, split)?;
    }
    while let Some(ended) = readers.ended().await {
        ended?;
        shared.finished_splits.fetch_add(1, Ordering::Relaxed);
        if let Some(split) = splits.next() {
            start(&mut readers, split)?;
        }
    }
    Ok(())
}

/// The batches of a split, and how its reader ended.
struct Lane {
    split: i64,
    batches: LaneOut<RecordBatch>,
    end: LaneOut<Result<()>>,
}

/// Splits are read ahead in lanes of their own, and go to the engine one after the other.
pub(super) async fn in_order(shared: Shared) -> Result<()> {
    let mut readers = Group::default();
    let mut lanes: VecDeque<Lane> = VecDeque::new();
    let mut splits = 0..shared.session.split_count();
    loop {
        while (lanes.len() as i64) < shared.concurrency
            && let Some(split) = splits.next()
        {
            let (into, batches) = lane(shared.prefetch);
            let (said, end) = lane(1);
            let reader = shared.reader(split, Sink::Lane(into))?;
            readers.start(async move {
                let result = reader.run().await;
                said.put(result).await;
                Ok(())
            });
            lanes.push_back(Lane { split, batches, end });
        }
        let Some(mut front) = lanes.pop_front() else { return Ok(()) };
        while let Some(batch) = front.batches.take().await {
            shared.queue.put((front.split, batch)).await;
        }
        match front.end.take().await {
            Some(ended) => ended?,
            // A reader that panicked says nothing; the group knows.
            None => {
                while let Some(ended) = readers.ended().await {
                    ended?;
                }
            }
        }
        shared.finished_splits.fetch_add(1, Ordering::Relaxed);
    }
}

impl Shared {
    fn reader(&self, split: i64, sink: Sink) -> Result<Reader> {
        Reader::new(&self.session, split, &self.read, sink, Arc::clone(&self.metrics))
    }
}
