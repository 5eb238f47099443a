//! Pieces that are read at the same time and go to the engine one after the other.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::chunk::Chunk;
use super::position::{Piece, Position};
use super::reader::Reader;
use super::sink::Sink;
use super::source::Source;
use crate::error::Result;
use crate::memory::Ahead;
use crate::runtime::{Group, Handoff, LaneOut, Task, lane, within};

/// How often a look is taken at whether the piece whose turn it is is held up by what was read ahead of it.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// The batches of a piece, and how its reader ended.
struct Lane {
    piece: Piece,
    batches: LaneOut<Chunk>,
    end: LaneOut<Result<()>>,
    ahead: Ahead,
    task: Task,
}

/// Reads `pieces`, up to `requests` of them ahead in lanes of their own, and hands their batches on in the order of the pieces.
/// `done` is told of each piece that is complete.
pub(crate) async fn in_order(
    source: Arc<Source>,
    pieces: impl Iterator<Item = Result<Piece>> + Send,
    requests: usize,
    queue: Arc<Handoff<Chunk>>,
    done: impl Fn(&Piece) + Send,
) -> Result<()> {
    queue.fed_by(assemble(source, pieces, requests, &queue, done)).await
}

async fn assemble(
    source: Arc<Source>,
    mut pieces: impl Iterator<Item = Result<Piece>> + Send,
    requests: usize,
    queue: &Handoff<Chunk>,
    done: impl Fn(&Piece) + Send,
) -> Result<()> {
    let mut readers = Group::default();
    let mut lanes: VecDeque<Lane> = VecDeque::new();
    // Pieces that come before the others, the next one last.
    let mut given_up: Vec<Piece> = Vec::new();
    let mut width = requests;
    let lane_bytes = source.prefetch_bytes / requests.max(1) as u64;
    loop {
        while lanes.len() < width
            && let Some(piece) = given_up.pop().map(Ok).or_else(|| pieces.next())
        {
            let piece = piece?;
            let (into, batches) = lane(source.lane_batches(), lane_bytes);
            let (said, end) = lane(1, 1);
            let reader = Reader::new(&source, Arc::new(Position::new(piece)), piece, Sink::Lane(into));
            let ahead = reader.ahead().clone();
            let task = readers.start(async move {
                let result = reader.run().await;
                said.put(result, 0).await;
                Ok(())
            });
            lanes.push_back(Lane { piece, batches, end, ahead, task });
        }
        let Some(mut front) = lanes.pop_front() else { return Ok(()) };
        loop {
            match within(LOOK_AGAIN, front.batches.take()).await {
                Some(Some(chunk)) => {
                    let bytes = chunk.bytes;
                    queue.put(chunk, bytes).await;
                }
                Some(None) => break,
                // The host gives no more, and the engine can take nothing but what comes from here: what was read ahead is dropped, the
                // last of it first, and read again when its turn comes. Less is read ahead from then on.
                None if front.ahead.is_refused() => {
                    if let Some(last) = lanes.pop_back() {
                        log::info!("the host refuses memory: what was read of split {} is dropped", last.piece.split);
                        source.expect_again();
                        last.task.abort();
                        given_up.push(last.piece);
                        width = lanes.len() + 1;
                    }
                }
                None => {}
            }
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
