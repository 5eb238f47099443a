//! Pieces that are read at the same time and go to the engine one after the other.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::chunk::Chunk;
use super::pieces::Pieces;
use super::position::{Piece, Position};
use super::reader::Reader;
use super::sink::Sink;
use super::source::Source;
use crate::error::{Error, Result};
use crate::memory::Ahead;
use crate::runtime::{First, Group, Handoff, LaneOut, Task, first_of, lane, within};

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
/// `done` is told of each piece that is complete. The failure of a piece to come ends the read when those before it were handed on.
pub(crate) async fn in_order(
    source: Arc<Source>,
    pieces: impl Pieces,
    requests: usize,
    queue: Arc<Handoff<Chunk>>,
    done: impl Fn(&Piece) + Send,
) -> Result<()> {
    let assembly = Assembly {
        pieces,
        is_waiting: false,
        failure: None,
        readers: Group::default(),
        lanes: VecDeque::new(),
        given_up: Vec::new(),
        width: requests,
        lane_bytes: source.prefetch_bytes / requests.max(1) as u64,
        source,
    };
    queue.fed_by(assembly.run(&queue, done)).await
}

/// Pieces that are being read.
struct Assembly<P> {
    source: Arc<Source>,
    pieces: P,
    /// Whether the next piece is not known yet.
    is_waiting: bool,
    /// Why there is no next piece.
    failure: Option<Error>,
    readers: Group,
    /// Those whose turn has not come, in order.
    lanes: VecDeque<Lane>,
    /// Pieces that come before the others, the next one last.
    given_up: Vec<Piece>,
    /// How many may be read at the same time.
    width: usize,
    lane_bytes: u64,
}

impl<P: Pieces> Assembly<P> {
    async fn run(mut self, queue: &Handoff<Chunk>, done: impl Fn(&Piece) + Send) -> Result<()> {
        loop {
            self.begin(self.width);
            let Some(mut front) = self.lanes.pop_front() else {
                if let Some(failure) = self.failure {
                    return Err(failure);
                }
                if !self.is_waiting {
                    return Ok(());
                }
                self.pieces.changed().await;
                continue;
            };
            loop {
                let next = first_of(front.batches.take(), self.pieces.changed());
                match within(LOOK_AGAIN, next).await {
                    Some(First::One(Some(chunk))) => {
                        let bytes = chunk.bytes;
                        queue.put(chunk, bytes).await;
                    }
                    Some(First::One(None)) => break,
                    // Without the one whose turn it is.
                    Some(First::Other(())) => self.begin(self.width.saturating_sub(1)),
                    // The host gives no more, and the engine can take nothing but what comes from here: what was read ahead is dropped, the
                    // last of it first, and read again when its turn comes. Less is read ahead from then on.
                    None if front.ahead.is_refused() => self.give_up_last(),
                    None => {}
                }
            }
            match front.end.take().await {
                Some(ended) => ended?,
                // A reader that panicked says nothing; the group knows.
                None => {
                    while let Some(ended) = self.readers.ended().await {
                        ended?;
                    }
                }
            }
            done(&front.piece);
        }
    }

    /// Begins to read pieces, so that there are `width` lanes.
    fn begin(&mut self, width: usize) {
        while self.lanes.len() < width {
            let next = match self.given_up.pop() {
                Some(piece) => Poll::Ready(Some(Ok(piece))),
                None if self.failure.is_some() => break,
                None => self.pieces.next(),
            };
            self.is_waiting = next.is_pending();
            match next {
                Poll::Ready(Some(Ok(piece))) => self.read(piece),
                Poll::Ready(Some(Err(error))) => self.failure = Some(error),
                _ => break,
            }
        }
    }

    fn read(&mut self, piece: Piece) {
        let (into, batches) = lane(self.source.lane_batches(), self.lane_bytes);
        let (said, end) = lane(1, 1);
        let reader = Reader::new(&self.source, Arc::new(Position::new(piece)), piece, Sink::Lane(into));
        let ahead = reader.ahead().clone();
        let task = self.readers.start(async move {
            let result = reader.run().await;
            said.put(result, 0).await;
            Ok(())
        });
        self.lanes.push_back(Lane { piece, batches, end, ahead, task });
    }

    /// Drops what was read of the last piece.
    fn give_up_last(&mut self) {
        if let Some(last) = self.lanes.pop_back() {
            log::info!("the host refuses memory: what was read of split {} is dropped", last.piece.split);
            self.source.expect_again();
            last.task.abort();
            self.given_up.push(last.piece);
            self.width = self.lanes.len() + 1;
        }
    }
}
