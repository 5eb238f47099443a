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
use arrow::ipc::{MessageHeader, root_as_message};
use axum::body::{Body, BodyDataStream};
use bytes::{Buf, Bytes, BytesMut};
use futures::StreamExt;
use futures::stream::Fuse;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout, timeout_at};

use super::error::WriteError;
use super::writer::{TableWriter, Written};
use crate::error::ApiError;

/// A body that stands still for this long is given up (service-behaviour.md 3.5).
const IDLE: Duration = Duration::from_secs(120);

/// Largest message, metadata and data.
const MAX_MESSAGE_BYTES: usize = 256 << 20;

/// Largest data of a message after decompression.
const MAX_DECODED_BYTES: u64 = 512 << 20;

/// Most rows of a batch.
const MAX_BATCH_ROWS: i64 = 1 << 26;

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
    let mut intake = Intake { decoder: StreamDecoder::new(), open: Some(open), writer: None };
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
    decoder: StreamDecoder,
    open: Option<F>,
    writer: Option<TableWriter>,
}

impl<F: FnOnce(&Schema) -> Result<TableWriter, WriteError>> Intake<F> {
    fn take(mut self, message: Bytes) -> Result<Self, WriteError> {
        check_sizes(&message)?;
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
        if let (Some(schema), Some(open)) = (schema, self.open.take()) {
            self.writer = Some(open(&schema)?);
        }
        Ok(())
    }
}

fn malformed(why: &str) -> WriteError {
    WriteError::Rows(format!("the body is not a complete Arrow IPC stream: {why}"))
}

/// Refuses a message that would need too much memory, before it is decoded. `message` is complete.
fn check_sizes(message: &[u8]) -> Result<(), WriteError> {
    let metadata = metadata_bytes(message).ok_or_else(|| malformed("a message is cut"))?;
    let header = root_as_message(metadata).map_err(|error| malformed(&error.to_string()))?;
    let batch = match header.header_type() {
        MessageHeader::RecordBatch => header.header_as_record_batch(),
        MessageHeader::DictionaryBatch => header.header_as_dictionary_batch().and_then(|batch| batch.data()),
        _ => None,
    };
    let Some(batch) = batch else { return Ok(()) };
    if !(0..=MAX_BATCH_ROWS).contains(&batch.length()) {
        return Err(WriteError::Rows(format!(
            "a batch has {} rows, at most {MAX_BATCH_ROWS} are taken",
            batch.length()
        )));
    }
    if batch.compression().is_none() {
        return Ok(());
    }
    let body = message.get(8 + metadata.len()..).unwrap_or_default();
    let mut total: u64 = 0;
    for buffer in batch.buffers().into_iter().flatten() {
        // Every compressed buffer begins with its length; -1 says that it is not compressed.
        let start = usize::try_from(buffer.offset()).unwrap_or(usize::MAX);
        let prefix = start.checked_add(8).and_then(|end| body.get(start..end)).and_then(|bytes| bytes.try_into().ok());
        let length = prefix.map_or(-1, i64::from_le_bytes);
        total = total.saturating_add(u64::try_from(length).unwrap_or(buffer.length().max(0) as u64));
    }
    if total > MAX_DECODED_BYTES {
        return Err(WriteError::Rows(format!(
            "a batch has {total} bytes, at most {MAX_DECODED_BYTES} are taken: write shorter batches"
        )));
    }
    Ok(())
}

/// The metadata of a complete message.
fn metadata_bytes(message: &[u8]) -> Option<&[u8]> {
    let length = u32::from_le_bytes(message.get(4..8)?.try_into().ok()?);
    message.get(8..8 + length as usize)
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
