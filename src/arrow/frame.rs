//! Cuts an Arrow IPC stream into messages. The framer says where the next bytes belong, so that a body can be received in the
//! place where its batch will lie.

use arrow_buffer::{Buffer, MutableBuffer};
use arrow_ipc::MessageHeader;
use arrow_ipc::convert::try_fb_to_schema;
use arrow_schema::Schema;

use super::message::{self, Layout};
use super::{Slab, Slabs, corrupt};
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
    /// A batch begins: [`Framer::give`] a slab of so many bytes for its body before going on.
    Room(usize),
    /// A record batch.
    Batch(Encoded),
    /// The end marker.
    End,
}

/// A record batch as it arrived.
#[derive(Debug)]
pub struct Encoded {
    /// What its metadata says.
    pub(super) layout: Layout,
    /// Body, aligned to 64 bytes.
    pub(super) body: Buffer,
}

impl Encoded {
    /// The bytes behind the metadata, in which the buffers of an uncompressed batch lie.
    pub fn body(&self) -> &Buffer {
        &self.body
    }
}

/// Collects bytes until a frame is complete.
#[derive(Debug)]
pub struct Framer {
    slabs: Slabs,
    state: State,
    /// Of the last message; its memory is used for the next one.
    metadata: MutableBuffer,
    has_schema: bool,
}

#[derive(Debug)]
enum State {
    Prefix {
        bytes: [u8; PREFIX_BYTES],
        filled: usize,
    },
    Metadata {
        filled: usize,
    },
    /// A body is to come and has no place yet.
    Homeless {
        layout: Layout,
        length: usize,
    },
    Body {
        layout: Layout,
        slab: Slab,
        length: usize,
        filled: usize,
    },
    Ended,
}

const START: State = State::Prefix { bytes: [0; PREFIX_BYTES], filled: 0 };

impl Framer {
    /// A framer at the start of a stream.
    pub fn new(slabs: &Slabs) -> Self {
        Framer { slabs: slabs.clone(), state: START, metadata: MutableBuffer::default(), has_schema: false }
    }

    /// Where the next bytes of the stream belong; empty behind the end marker and before a body has its place.
    pub fn room(&mut self) -> &mut [u8] {
        match &mut self.state {
            State::Prefix { bytes, filled } => bytes.get_mut(*filled..),
            State::Metadata { filled } => self.metadata.as_slice_mut().get_mut(*filled..),
            State::Body { slab, length, filled, .. } => slab.as_slice_mut().get_mut(*filled..*length),
            State::Homeless { .. } | State::Ended => None,
        }
        .unwrap_or_default()
    }

    /// Takes note that the first `count` bytes of [`Framer::room`] were filled, and returns the frame that they completed.
    pub fn advance(&mut self, count: usize) -> Result<Option<Frame>> {
        match &mut self.state {
            State::Prefix { filled, .. } | State::Metadata { filled } | State::Body { filled, .. } => *filled += count,
            State::Homeless { .. } | State::Ended => {}
        }
        if self.room().is_empty() { self.complete() } else { Ok(None) }
    }

    /// Gives the body that [`Frame::Room`] announced its place.
    pub fn give(&mut self, slab: Slab) {
        self.state = match std::mem::replace(&mut self.state, START) {
            State::Homeless { layout, length } => State::Body { layout, slab, length, filled: 0 },
            other => other,
        };
    }

    /// Whether the end marker was seen: a stream that stops before it is incomplete.
    pub fn has_ended(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    /// Goes on to the next state; the present one is filled.
    fn complete(&mut self) -> Result<Option<Frame>> {
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
                        if self.metadata.capacity() < length {
                            self.metadata = allocate(length)?;
                        }
                        self.metadata.resize(length, 0);
                        self.state = State::Metadata { filled: 0 };
                        Ok(None)
                    }
                }
            }
            State::Metadata { .. } => self.message(),
            State::Body { layout, slab, length, .. } => {
                Ok(Some(Frame::Batch(Encoded { layout, body: self.slabs.share(slab, length) })))
            }
            other @ (State::Homeless { .. } | State::Ended) => {
                self.state = other;
                Ok(None)
            }
        }
    }

    /// Looks at a complete metadata flatbuffer.
    fn message(&mut self) -> Result<Option<Frame>> {
        let message = message::parse(&self.metadata)?;
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
            (MessageHeader::RecordBatch, true) => {
                let batch = message.header_as_record_batch().ok_or_else(|| corrupt("a batch message has no batch"))?;
                let layout = message::layout(batch, length)?;
                if length == 0 {
                    return Ok(Some(Frame::Batch(Encoded { layout, body: Buffer::default() })));
                }
                self.state = State::Homeless { layout, length };
                Ok(Some(Frame::Room(length)))
            }
            (kind, has_schema) => {
                let name = kind.variant_name().unwrap_or("unknown");
                let place = if has_schema { "after" } else { "in place of" };
                Err(corrupt(&format!("a message of type {name} came {place} the schema")))
            }
        }
    }
}

/// The error for bytes after the end marker.
pub fn behind_the_end() -> Error {
    corrupt("there are bytes after the end marker of the stream")
}

fn allocate(length: usize) -> Result<MutableBuffer> {
    MutableBuffer::try_from_len_zeroed(length)
        .map_err(|error| Error::new(Kind::ResourceExhausted, format!("{length} bytes for a message: {error}")))
}
