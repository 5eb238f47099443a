//! Bodies of requests for blocking readers.
//!
//! The codings and checks of the tunnel are read like a file, so a body is handed over piece by piece through a channel
//! that holds a few of them. What the reader leaves behind is drained, so that the client sees the answer.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::Schema;
use axum::body::{Body, BodyDataStream};
use bytes::{Buf, Bytes};
use futures::StreamExt;
use futures::stream::{iter, unfold};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

use crate::error::ApiError;
use crate::limited::{Limit, Limited};
use crate::tunnel::{Coding, FrameReader, StreamError, decoder, schema_message};
use crate::write::drain;

/// A body that stands still for this long is given up (service-behaviour.md 3.5).
const IDLE: Duration = Duration::from_secs(120);

/// Pieces of a body that wait for their reader.
const WAITING: usize = 4;

/// The end-of-stream marker of an Arrow stream.
const END: [u8; 8] = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];

/// The bytes of a body. Reading blocks.
pub struct BodyReader {
    pieces: Receiver<io::Result<Bytes>>,
    rest: Bytes,
    /// Free for the next body when nobody reads this one any more.
    _turn: OwnedSemaphorePermit,
}

impl Read for BodyReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.pieces.blocking_recv() {
                Some(piece) => self.rest = piece?,
                None => return Ok(0),
            }
        }
        let count = self.rest.len().min(buffer.len());
        self.rest.copy_to_slice(buffer.get_mut(..count).unwrap_or_default());
        Ok(count)
    }
}

/// What goes on beside the work on a body and may know better why that failed.
pub trait Reading {
    /// The outcome of the work, once all is over.
    async fn settle<T>(self, outcome: Result<T, ApiError>) -> Result<T, ApiError>;
}

/// Reads a body from the network.
pub struct Feeder(JoinHandle<Result<(), ApiError>>);

impl Reading for Feeder {
    async fn settle<T>(self, outcome: Result<T, ApiError>) -> Result<T, ApiError> {
        let fed = self.0.await.unwrap_or(Ok(()));
        // Work that is complete needs no more bytes.
        outcome.map_err(|error| fed.err().unwrap_or(error))
    }
}

/// Hands a body over to a blocking reader, whose turn it is.
pub fn feed(body: Body, turn: OwnedSemaphorePermit) -> (BodyReader, Feeder) {
    let (sender, pieces) = channel(WAITING);
    let task = async move {
        let mut body = body.into_data_stream();
        loop {
            let (piece, failure) = match next(&mut body).await {
                Ok(Some(piece)) => (Ok(piece), None),
                Ok(None) => return Ok(()),
                Err(error) => (Err(io::ErrorKind::UnexpectedEof.into()), Some(error)),
            };
            let gone = sender.send(piece).await.is_err();
            match failure {
                Some(error) => return Err(error),
                None if gone => break,
                None => {}
            }
        }
        drain(Body::from_stream(body)).await;
        Ok(())
    };
    (BodyReader { pieces, rest: Bytes::new(), _turn: turn }, Feeder(tokio::spawn(task)))
}

async fn next(body: &mut BodyDataStream) -> Result<Option<Bytes>, ApiError> {
    let Ok(piece) = timeout(IDLE, body.next()).await else {
        let message = format!("no byte of the request body arrived for {} s", IDLE.as_secs());
        return Err(ApiError::new(408, "RequestTimeout", message));
    };
    let early = |_| ApiError::new(400, "IncompleteBody", "the request body ended too early");
    piece.transpose().map_err(early)
}

/// Takes an Arrow body out of its chunks.
pub struct Unframing {
    feeder: Feeder,
    work: JoinHandle<Result<(), StreamError>>,
}

impl Reading for Unframing {
    async fn settle<T>(self, outcome: Result<T, ApiError>) -> Result<T, ApiError> {
        let unframed = self.work.await.unwrap_or(Ok(()));
        let outcome = outcome.map_err(|error| unframed.err().map_or(error, ApiError::from));
        self.feeder.settle(outcome).await
    }
}

/// Turns a body of chunks with bare batches into a complete Arrow stream of that schema, within a limit after decoding. A body without batches becomes
/// one without bytes.
pub fn arrow_body(
    body: Body,
    turn: OwnedSemaphorePermit,
    coding: Coding,
    limit: Limit,
    schema: &Arc<Schema>,
) -> Result<(Body, Unframing), ApiError> {
    let head = Bytes::from(schema_message(schema)?);
    let (reader, feeder) = feed(body, turn);
    let (sender, chunks) = channel::<Result<Bytes, io::Error>>(WAITING);
    let work = spawn_blocking(move || {
        let work = || -> Result<(), StreamError> {
            let input = decoder(coding, reader).map_err(|e| StreamError::read(&e, "the body is empty"))?;
            let mut frames = FrameReader::new(Limited::new(input, limit));
            while let Some(chunk) = frames.next_chunk()? {
                if sender.blocking_send(Ok(chunk.into())).is_err() {
                    // The batches were refused; what comes does not matter.
                    return Ok(());
                }
            }
            Ok(())
        };
        let outcome = work();
        if outcome.is_err() {
            let _ = sender.blocking_send(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        outcome
    });
    // Head and end go around the chunks if there are any.
    let pieces = unfold((chunks, Some(head), true), |(mut chunks, head, more)| async move {
        if !more {
            return None;
        }
        match chunks.recv().await {
            Some(Ok(chunk)) => {
                let pieces: Vec<io::Result<Bytes>> = head.into_iter().chain([chunk]).map(Ok).collect();
                Some((pieces, (chunks, None, true)))
            }
            Some(Err(error)) => Some((vec![Err(error)], (chunks, None, false))),
            None if head.is_some() => None,
            None => Some((vec![Ok(Bytes::from_static(&END))], (chunks, None, false))),
        }
    });
    Ok((Body::from_stream(pieces.flat_map(iter)), Unframing { feeder, work }))
}
