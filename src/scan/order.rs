//! Which rows of a scan are read when.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::Progress;
use crate::error::{Error, Result};
use crate::runtime::{First, Group, Handoff, first_of, within};
use crate::split::{Chunk, Piece, Pieces, Position, Reader, Sink, Source};

/// How often requests that have nothing to do look for work again.
const LOOK_AGAIN: Duration = Duration::from_millis(250);
/// What is done sooner is not worth another request.
const WORTH_SHARING: Duration = Duration::from_millis(500);

/// Every request puts its batches where the engine takes them. One that ends makes room for the next piece; while there is none, it
/// takes over half of what the slowest one has still to read. The failure of a piece to come ends the scan when those before it were read.
pub(super) async fn as_it_comes(
    source: Arc<Source>,
    mut pieces: impl Pieces,
    requests: usize,
    queue: Arc<Handoff<Chunk>>,
    progress: Arc<Progress>,
) -> Result<()> {
    let mut readers = Group::default();
    let mut running: Vec<Arc<Position>> = Vec::new();
    let mut failure: Option<Error> = None;
    loop {
        let mut is_waiting = false;
        while failure.is_none() && running.len() < requests {
            let next = pieces.next();
            is_waiting = next.is_pending();
            let (piece, is_new) = match next {
                Poll::Ready(Some(Ok(piece))) => (Some(piece), true),
                Poll::Ready(Some(Err(error))) => {
                    failure = Some(error);
                    break;
                }
                _ if queue.is_full() => (None, false),
                _ => (rest_of_the_slowest(&running, source.least_rows()), false),
            };
            let Some(piece) = piece else { break };
            let position = Arc::new(Position::new(piece));
            running.push(Arc::clone(&position));
            let read = if is_new { Reader::new } else { Reader::taking_over };
            readers.start(read(&source, position, piece, Sink::Engine(Arc::clone(&queue))).run());
        }
        if running.is_empty() {
            // The last ones may have failed.
            while let Some(ended) = readers.ended().await {
                ended?;
            }
            if let Some(failure) = failure {
                return Err(failure);
            }
            if !is_waiting {
                return Ok(());
            }
            pieces.changed().await;
            continue;
        }
        match within(LOOK_AGAIN, first_of(readers.ended(), pieces.changed())).await {
            Some(First::One(Some(ended))) => ended?,
            _ => continue,
        }
        // A reader drops its position when it ends.
        running.retain(|position| {
            let goes_on = Arc::strong_count(position) > 1;
            if !goes_on {
                progress.done(&position.piece());
            }
            goes_on
        });
    }
}

/// Half of the rows that will take longest.
fn rest_of_the_slowest(running: &[Arc<Position>], least: u64) -> Option<Piece> {
    let times = running.iter().filter_map(|position| Some((position.time_left()?, position)));
    let (time, slowest) = times.max_by_key(|(time, _)| *time)?;
    (time >= WORTH_SHARING).then(|| slowest.halve(least))?
}
