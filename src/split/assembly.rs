//! Pieces that are read at the same time and go to the engine one after the other.

use std::collections::VecDeque;
use std::sync::Arc;

use super::chunk::Chunk;
use super::position::{Piece, Position};
use super::reader::Reader;
use super::sink::Sink;
use super::source::Source;
use crate::error::Result;
use crate::runtime::{Group, Handoff, LaneOut, lane};

/// The batches of a piece, and how its reader ended.
struct Lane {
    piece: Piece,
    batches: LaneOut<Chunk>,
    end: LaneOut<Result<()>>,
}

/// Reads `pieces`, up to `requests` of them ahead in lanes of their own, and hands their batches on in the order of the pieces.
/// `done` is told of each piece that is complete.
pub(crate) async fn in_order(
    source: Arc<Source>,
    mut pieces: impl Iterator<Item = Result<Piece>> + Send,
    requests: usize,
    queue: Arc<Handoff<Chunk>>,
    done: impl Fn(&Piece) + Send,
) -> Result<()> {
    let mut readers = Group::default();
    let mut lanes: VecDeque<Lane> = VecDeque::new();
    let lane_bytes = source.prefetch_bytes / requests.max(1) as u64;
    loop {
        while lanes.len() < requests
            && let Some(piece) = pieces.next()
        {
            let piece = piece?;
            let (into, batches) = lane(source.lane_batches(), lane_bytes);
            let (said, end) = lane(1, 1);
            let reader = Reader::new(&source, Position::new(piece), piece, Sink::Lane(into));
            readers.start(async move {
                let result = reader.run().await;
                said.put(result, 0).await;
                Ok(())
            });
            lanes.push_back(Lane { piece, batches, end });
        }
        let Some(mut front) = lanes.pop_front() else { return Ok(()) };
        while let Some(chunk) = front.batches.take().await {
            let bytes = chunk.bytes;
            queue.put(chunk, bytes).await;
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
        done(&front.piece);
    }
}
