//! Runs an encoder on blocking threads and hands its pieces to an async body.

use std::io;

use bytes::Bytes;
use futures::Stream;
use futures::stream::unfold;
use tokio::task::{JoinHandle, spawn_blocking};

use super::encode::Encoder;

/// A piece in the making, with the encoder that makes it.
type Job = JoinHandle<(Encoder, anyhow::Result<Option<Bytes>>)>;

/// The pieces of a body. One piece is prepared while the previous one is being sent, never more, so memory is bounded
/// by two pieces and a slow client holds no thread.
///
/// An error ends the stream with `Err`, which makes the HTTP layer cut the connection without a final chunk.
pub fn pieces(encoder: Encoder, request_id: String) -> impl Stream<Item = io::Result<Bytes>> + Send {
    unfold(Some(start(encoder)), move |job| {
        let request_id = request_id.clone();
        async move {
            let failure = match job?.await {
                Ok((encoder, Ok(Some(piece)))) => return Some((Ok(piece), Some(start(encoder)))),
                Ok((_, Ok(None))) => return None,
                Ok((_, Err(error))) => format!("{error:#}"),
                Err(error) => format!("the encoder failed: {error}"),
            };
            tracing::error!(request = %request_id, "answer cut short: {failure}");
            Some((Err(io::Error::other(failure)), None))
        }
    })
}

fn start(mut encoder: Encoder) -> Job {
    spawn_blocking(move || {
        let piece = encoder.next_piece();
        (encoder, piece)
    })
}
