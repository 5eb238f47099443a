//! Cuts the bytes of an Arrow IPC stream into messages, each body into one aligned buffer of exactly its length.

use arrow_buffer::{Buffer, MutableBuffer};
use arrow_ipc::convert::try_fb_to_schema;
use arrow_ipc::{Message, MessageHeader, root_as_message};
use arrow_schema::Schema;
use bytes::{Buf, Bytes};

use super::{Slabs, corrupt};
use crate::error::{Error, Kind, Result};

/// Start of every encapsulated message since Arrow 0.15.
const CONTINUATION: u32 = u32::MAX;
/// Continuation and length of the metadata.
const PREFIX_BYTES: usize = 8;
/// Largest metadata that is believed; 1,200 columns take far less.
const MAX_METADATA_BYTES: usize = 16 << 20;
/// Largest body that is believed.
const MAX_BODY_BYTES: usize = 1 << 30;

/// One unit of a stream.
#[derive(Debug)]
pub enum Frame {
    /// The schema, always the first.
    Schema(Schema),
    /// A record batch: verified metadata and the body.
    Batch {
        /// Flatbuffer of the message.
        metadata: Buffer,
        /// Body, aligned to 64 bytes.
        body: Buffer,
    },
    /// The end marker.
    End,
}

/// Collects chunks of any size until a frame is complete.
#[derive(Debug)]
pub struct Framer {
    slabs: Slabs,
    state: State,
    has_schema: bool,
}

#[derive(Debug)]
enum State {
    Prefix { bytes: [u8; PREFIX_BYTES], filled: usize },
    Metadata { bytes: MutableBuffer, length: usize },
    Body { metadata: Buffer, bytes: MutableBuffer, length: usize },
    Ended,
}

const START: State = State::Prefix { bytes: [0; PREFIX_BYTES], filled: 0 };

impl Framer {
    /// A framer at the start of a stream.
    pub fn new(slabs: &Slabs) -> Self {
        Framer { slabs: slabs.clone(), state: START, has_schema: false }
    }

    /// Takes bytes from `input` until a frame is complete or `input` is empty.
    pub fn next_frame(&mut self, input: &mut Bytes) -> Result<Option<Frame>> {
        loop {
            let done = match &mut self.state {
                State::Prefix { bytes, filled } => {
                    while *filled < PREFIX_BYTES && input.has_remaining() {
                        if let Some(slot) = bytes.get_mut(*filled) {
                            *slot = input.get_u8();
                        }
                        *filled += 1;
                    }
                    *filled == PREFIX_BYTES
                }
                State::Metadata { bytes, length } | State::Body { bytes, length, .. } => {
                    let part = input.split_to(input.len().min(*length - bytes.len()));
                    bytes.extend_from_slice(&part);
                    bytes.len() == *length
                }
                State::Ended if input.is_empty() => return Ok(None),
                State::Ended => return Err(corrupt("there are bytes after the end marker of the stream")),
            };
            if !done {
                return Ok(None);
            }
            if let Some(frame) = self.advance()? {
                return Ok(Some(frame));
            }
        }
    }

    /// Whether the end marker was seen: a stream that stops before it is incomplete.
    pub fn has_ended(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    /// Goes on to the next state; the present one is filled.
    fn advance(&mut self) -> Result<Option<Frame>> {
        match std::mem::replace(&mut self.state, START) {
            State::Prefix { bytes, .. } => {
                let [a, b, c, d, e, f, g, h] = bytes;
                if u32::from_le_bytes([a, b, c, d]) != CONTINUATION {
                    return Err(corrupt("the stream is not an Arrow IPC stream"));
                }
                match u32::from_le_bytes([e, f, g, h]) as usize {
                    0 if !self.has_schema => Err(corrupt("the stream ends without a schema")),
                    0 => {
                        self.state = State::Ended;
                        Ok(Some(Frame::End))
                    }
                    length if length > MAX_METADATA_BYTES => {
                        Err(corrupt(&format!("a message announces {length} bytes of metadata")))
                    }
                    length => {
                        self.state = State::Metadata { bytes: allocate(length)?, length };
                        Ok(None)
                    }
                }
            }
            State::Metadata { bytes, .. } => self.message(bytes.into()),
            State::Body { metadata, bytes, .. } => Ok(Some(Frame::Batch { metadata, body: self.slabs.share(bytes) })),
            State::Ended => Ok(None),
        }
    }

    /// Looks at a complete metadata flatbuffer.
    fn message(&mut self, metadata: Buffer) -> Result<Option<Frame>> {
        let message = parse(&metadata)?;
        let length = usize::try_from(message.bodyLength())
            .map_err(|_| corrupt(&format!("a message announces a body of {} bytes", message.bodyLength())))?;
        if length > MAX_BODY_BYTES {
            let message =
                format!("a batch of {length} bytes is over the limit; lower read.batch_rows or set read.batch_bytes");
            return Err(Error::new(Kind::ResourceExhausted, message));
        }
        match (message.header_type(), self.has_schema) {
            (MessageHeader::Schema, false) if length == 0 => {
                let schema = message.header_as_schema().ok_or_else(|| corrupt("a schema message has no schema"))?;
                let schema = try_fb_to_schema(schema)
                    .map_err(|error| corrupt(&format!("the schema of the stream cannot be read: {error}")))?;
                self.has_schema = true;
                Ok(Some(Frame::Schema(schema)))
            }
            (MessageHeader::RecordBatch, true) if length == 0 => {
                Ok(Some(Frame::Batch { metadata, body: Buffer::default() }))
            }
            (MessageHeader::RecordBatch, true) => {
                let mut bytes = self.slabs.take(length)?;
                bytes.clear();
                self.state = State::Body { metadata, bytes, length };
                Ok(None)
            }
            (kind, has_schema) => {
                let name = kind.variant_name().unwrap_or("unknown");
                let place = if has_schema { "after" } else { "in place of" };
                Err(corrupt(&format!("a message of type {name} came {place} the schema")))
            }
        }
    }
}

/// Verifies a metadata flatbuffer.
pub(super) fn parse(metadata: &[u8]) -> Result<Message<'_>> {
    root_as_message(metadata).map_err(|error| corrupt(&format!("the metadata of a message is malformed: {error}")))
}

fn allocate(length: usize) -> Result<MutableBuffer> {
    MutableBuffer::try_with_capacity(length)
        .map_err(|error| Error::new(Kind::ResourceExhausted, format!("{length} bytes for a message: {error}")))
}
