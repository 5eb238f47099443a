//! The metadata of messages: flatbuffers, verified and read once.

use arrow_ipc::{BodyCompressionMethod, CompressionType, Message, RecordBatch, root_as_message};

use super::corrupt;
use crate::error::Result;

/// What the metadata of a record batch says; every buffer lies inside the body.
#[derive(Debug, Default)]
pub(super) struct Layout {
    pub(super) rows: usize,
    /// The arrays, depth first.
    pub(super) nodes: Vec<Node>,
    /// Their buffers: offset in the body and length.
    pub(super) buffers: Vec<(usize, usize)>,
    pub(super) compression: Option<CompressionType>,
}

/// Length of an array and how many of its values are NULL.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    pub(super) length: usize,
    pub(super) nulls: usize,
}

/// Verifies a metadata flatbuffer.
pub(super) fn parse(metadata: &[u8]) -> Result<Message<'_>> {
    root_as_message(metadata).map_err(|error| corrupt(&format!("the metadata of a message is malformed: {error}")))
}

/// Reads the metadata of a record batch with a body of `body` bytes.
pub(super) fn layout(batch: RecordBatch<'_>, body: usize) -> Result<Layout> {
    if batch.variadicBufferCounts().is_some_and(|counts| !counts.is_empty()) {
        return Err(corrupt("a batch has view arrays, which the schema does not"));
    }
    let compression = match batch.compression() {
        None => None,
        Some(compression) if compression.method() == BodyCompressionMethod::BUFFER => Some(compression.codec()),
        Some(_) => return Err(corrupt("a batch is compressed in an unknown way")),
    };
    let (nodes, buffers) = (batch.nodes().unwrap_or_default(), batch.buffers().unwrap_or_default());
    Ok(Layout {
        rows: length_of(batch.length())?,
        nodes: all(nodes.iter().map(|node| Node::new(node.length(), node.null_count())))?,
        buffers: all(buffers.iter().map(|buffer| range(buffer.offset(), buffer.length(), body)))?,
        compression,
    })
}

/// All values, or the first failure. `collect` does not know how many there will be, and allocates again and again.
fn all<T>(values: impl ExactSizeIterator<Item = Result<T>>) -> Result<Vec<T>> {
    let mut found = Vec::with_capacity(values.len());
    for value in values {
        found.push(value?);
    }
    Ok(found)
}

impl Node {
    fn new(length: i64, nulls: i64) -> Result<Self> {
        let (length, nulls) = (length_of(length)?, length_of(nulls)?);
        if nulls > length {
            return Err(corrupt(&format!("an array of {length} values claims {nulls} NULLs")));
        }
        Ok(Node { length, nulls })
    }
}

fn range(offset: i64, length: i64, body: usize) -> Result<(usize, usize)> {
    let (start, size) = (length_of(offset)?, length_of(length)?);
    match start.checked_add(size) {
        Some(end) if end <= body => Ok((start, size)),
        _ => Err(corrupt(&format!("a buffer lies at {start}+{size} in a body of {body} bytes"))),
    }
}

fn length_of(number: i64) -> Result<usize> {
    usize::try_from(number).map_err(|_| corrupt(&format!("{number} is not a length")))
}
