//! The Arrow IPC stream in a request body, message by message.
//!
//! The async side only collects the bytes of the next message, so a slow client holds no thread. Decoding and writing
//! run on a blocking thread, and the next message is not read before they are done: that is the back-pressure. In memory
//! are one message and its decoded batch.

use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::ipc::reader::StreamDecoder;
use arrow::ipc::root_as_message;
use axum::body::{Body, BodyDataStream};
use bytes::{Buf, Bytes, BytesMut};
use futures::StreamExt;
use futures::stream::Fuse;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout, timeout_at};

use super::error::WriteError;
use super::sizes::Sizes;
use super::writer::{TableWriter, Written};
use crate::error::ApiError;

/// A body that stands still for this long is given up (service-behaviour.md 3.5).
const IDLE: Duration = Duration::from_secs(120);

/// Largest message, metadata and data.
const MAX_MESSAGE_BYTES: usize = 256 << 20;

/// What is read of a body that was refused, so that the client sees the answer and not a broken connection.
const DRAIN_BYTES: usize = 64 << 20;
const DRAIN_TIME: Duration = Duration::from_secs(10);

/// First four bytes of every message.
const CONTINUATION: [u8; 4] = [0xff; 4];

/// The end-of-stream marker.
const END: [u8; 8] = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];

/// Writes the rows of a body. `open` makes the writer when the schema of the stream is known. `None` if the body is
/// empty. A body without end-of-stream marker, or with bytes behind it, is refused.
pub async fn receive(
    body: Body,
    open: impl FnOnce(&Schema) -> Result<TableWriter, WriteError> + Send + 'static,
) -> Result<Option<Written>, ApiError> {
    let mut messages = Messages::new(body);
    let result = receive_all(&mut messages, open).await;
    if result.is_err() {
        drain_stream(&mut messages.body).await;
    }
    result
}

async fn receive_all(
    messages: &mut Messages,
    open: impl FnOnce(&Schema) -> Result<TableWriter, WriteError> + Send + 'static,
) -> Result<Option<Written>, ApiError> {
    if messages.is_empty().await? {
        return Ok(None);
    }
    let mut intake = Intake { sizes: Sizes::default(), decoder: StreamDecoder::new(), open: Some(open), writer: None };
    while let Some(message) = messages.next().await? {
        intake = blocking(move || intake.take(message)).await?;
    }
    blocking(move || intake.finish()).await.map(Some)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, WriteError> + Send + 'static,
) -> Result<T, ApiError> {
    match spawn_blocking(work).await {
        Ok(result) => Ok(result?),
        // The decoder checks what it reads, but does not promise to check everything.
        Err(error) => Err(WriteError::Rows(format!("the stream cannot be decoded: {error}")).into()),
    }
}

/// Decoder and writer on their way from one blocking thread to the next.
struct Intake<F> {
    sizes: Sizes,
    decoder: StreamDecoder,
    open: Option<F>,
    writer: Option<TableWriter>,
}

impl<F: FnOnce(&Schema) -> Result<TableWriter, WriteError>> Intake<F> {
    fn take(mut self, mut message: Bytes) -> Result<Self, WriteError> {
        self.sizes.check(&message)?;
        if self.open.is_some() {
            // The decoder looks at the schema only when more bytes come; columns that do not fit are refused before any
            // dictionary is decoded.
            self.decode(message.split_to(CONTINUATION.len().min(message.len())))?;
            self.ready()?;
        }
        self.decode(message)?;
        Ok(self)
    }

    fn finish(mut self) -> Result<Written, WriteError> {
        // The decoder looks at a message without data only when more bytes come.
        self.decode(Bytes::from_static(&END))?;
        self.ready()?;
        let writer = self.writer.ok_or_else(|| malformed("it has no schema"))?;
        writer.finish()
    }

    fn decode(&mut self, bytes: Bytes) -> Result<(), WriteError> {
        let mut buffer = Buffer::from(bytes);
        while !buffer.is_empty() {
            let batch = self.decoder.decode(&mut buffer).map_err(|error| malformed(&error.to_string()))?;
            if let Some(batch) = batch {
                self.write(&batch)?;
            }
        }
        Ok(())
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<(), WriteError> {
        self.ready()?;
        self.writer.as_mut().map_or(Ok(()), |writer| writer.write(batch))
    }

    fn ready(&mut self) -> Result<(), WriteError> {
        let schema: Option<SchemaRef> = self.decoder.schema();
        // Not before there is a schema: `open` makes one writer only.
        let Some(schema) = schema else { return Ok(()) };
        if let Some(open) = self.open.take() {
            self.writer = Some(open(&schema)?);
        }
        Ok(())
    }
}

/// A refusal of bytes that are no Arrow IPC stream.
pub fn malformed(why: &str) -> WriteError {
    WriteError::Rows(format!("the body is not a complete Arrow IPC stream: {why}"))
}

/// Cuts a body into Arrow IPC messages.
struct Messages {
    body: Fuse<BodyDataStream>,
    rest: BytesMut,
}

impl Messages {
    fn new(body: Body) -> Messages {
        Messages { body: body.into_data_stream().fuse(), rest: BytesMut::new() }
    }

    /// Whether the body has no bytes at all. To be asked first.
    async fn is_empty(&mut self) -> Result<bool, ApiError> {
        Ok(!self.fill(1).await?)
    }

    /// The next complete message with its prefix; `None` after the end-of-stream marker.
    async fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
        self.need(8).await?;
        let (continuation, length) = self.rest.split_at(4);
        let length = length.get(..4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes) as usize;
        if continuation != CONTINUATION {
            return Err(malformed("a message does not begin with FF FF FF FF").into());
        }
        if length == 0 {
            self.rest.advance(8);
            return match self.fill(1).await? {
                true => Err(malformed("bytes follow its end-of-stream marker").into()),
                false => Ok(None),
            };
        }
        let head = 8 + length;
        limit(head)?;
        self.need(head).await?;
        let metadata = self.rest.get(8..head).unwrap_or_default();
        let data = root_as_message(metadata).map_err(|error| malformed(&error.to_string()))?.bodyLength();
        let data = usize::try_from(data).map_err(|_| malformed("a message has a negative length"))?;
        let total = head.saturating_add(data);
        limit(total)?;
        self.need(total).await?;
        Ok(Some(self.rest.split_to(total).freeze()))
    }

    async fn need(&mut self, count: usize) -> Result<(), ApiError> {
        match self.fill(count).await? {
            true => Ok(()),
            false => Err(malformed("it ends without an end-of-stream marker").into()),
        }
    }

    /// Reads until `count` bytes wait; false if the body ends before.
    async fn fill(&mut self, count: usize) -> Result<bool, ApiError> {
        while self.rest.len() < count {
            let Ok(piece) = timeout(IDLE, self.body.next()).await else {
                let message = format!("no byte of the request body arrived for {} s", IDLE.as_secs());
                return Err(ApiError::new(408, "RequestTimeout", message));
            };
            match piece {
                Some(Ok(piece)) => self.rest.extend_from_slice(&piece),
                Some(Err(_)) => {
                    return Err(ApiError::new(400, "IncompleteBody", "the request body ended too early"));
                }
                None => return Ok(false),
            }
        }
        Ok(true)
    }
}

/// Reads what is left of a body that was refused, within bounds.
pub async fn drain(body: Body) {
    drain_stream(&mut body.into_data_stream().fuse()).await;
}

async fn drain_stream(body: &mut Fuse<BodyDataStream>) {
    let end = Instant::now() + DRAIN_TIME;
    let mut left = DRAIN_BYTES;
    while let Ok(Some(Ok(piece))) = timeout_at(end, body.next()).await {
        left = left.saturating_sub(piece.len());
        if left == 0 {
            return;
        }
    }
}

fn limit(bytes: usize) -> Result<(), ApiError> {
    match bytes <= MAX_MESSAGE_BYTES {
        true => Ok(()),
        false => Err(ApiError::new(
            413,
            "MaxMessageLengthExceeded",
            format!("a batch of {bytes} bytes is larger than {MAX_MESSAGE_BYTES}: write shorter batches"),
        )),
    }
}
