//! Makes pieces on blocking threads and hands its pieces to an async body.

use std::io;

use bytes::Bytes;
use futures::Stream;
use futures::stream::unfold;
use tokio::task::{JoinHandle, spawn_blocking};

use super::source::Pieces;

/// A piece in the making, with what makes it.
type Job<P> = JoinHandle<(P, anyhow::Result<Option<Bytes>>)>;

/// The pieces of a body. One piece is prepared while the previous one is being sent, never more, so memory is bounded
/// by two pieces and a slow client holds no thread.
///
/// An error ends the stream with `Err`, which makes the HTTP layer cut the connection without a final chunk.
pub fn pieces<P: Pieces>(source: P, request_id: String) -> impl Stream<Item = io::Result<Bytes>> + Send {
    unfold(Some(start(source)), move |job| {
        let request_id = request_id.clone();
        async move {
            let failure = match job?.await {
                Ok((source, Ok(Some(piece)))) => return Some((Ok(piece), Some(start(source)))),
                Ok((_, Ok(None))) => return None,
                Ok((_, Err(error))) => format!("{error:#}"),
                Err(error) => format!("making the answer failed: {error}"),
            };
            tracing::error!(request = %request_id, "answer cut short: {failure}");
            Some((Err(io::Error::other(failure)), None))
        }
    })
}

fn start<P: Pieces>(mut source: P) -> Job<P> {
    spawn_blocking(move || {
        let piece = source.next_piece();
        (source, piece)
    })
}
