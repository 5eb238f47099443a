//! Record batch messages to record batches.
//!
//! Every length and offset of a message is checked against the body before it is used; the arrays are built with
//! Arrow's full validation. The buffers of an uncompressed batch are slices of the body that was received.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow_array::types::{BinaryType, ByteArrayType, Utf8Type};
use arrow_array::{ArrayRef, GenericByteArray, RecordBatch, RecordBatchOptions, make_array};
use arrow_buffer::{BooleanBuffer, Buffer, MutableBuffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_data::{ArrayData, ArrayDataBuilder};
use arrow_ipc::{BodyCompressionMethod, CompressionType};
use arrow_schema::{DataType, SchemaRef};

use super::codec::Codec;
use super::frame::parse;
use super::{Slabs, corrupt};
use crate::error::{Error, Result};

/// Largest batch after decompression.
const MAX_DECODED_BYTES: usize = 4 << 30;
/// Alignment of every decompressed buffer.
const ALIGNMENT: usize = 64;

/// Decodes the batches of one stream as the schema of the session.
#[derive(Debug)]
pub struct Decoder {
    schema: SchemaRef,
    slabs: Slabs,
    codec: Codec,
    decoded_bytes: u64,
    copied_bytes: u64,
}

impl Decoder {
    /// A decoder that delivers `schema`; the wire's schema must have passed [`super::check`].
    pub fn new(schema: SchemaRef, slabs: &Slabs) -> Self {
        Decoder { schema, slabs: slabs.clone(), codec: Codec::new(), decoded_bytes: 0, copied_bytes: 0 }
    }

    /// Bytes of all buffers decoded so far, the same whatever the compression.
    pub fn decoded_bytes(&self) -> u64 {
        self.decoded_bytes
    }

    /// Bytes that had to be copied because the wire aligns them to less than their type needs.
    pub fn copied_bytes(&self) -> u64 {
        self.copied_bytes
    }

    /// Decodes one message.
    pub fn decode(&mut self, metadata: &Buffer, body: &Buffer) -> Result<RecordBatch> {
        let message = parse(metadata)?;
        let batch = message.header_as_record_batch().ok_or_else(|| corrupt("a batch message has no batch"))?;
        if batch.variadicBufferCounts().is_some_and(|counts| !counts.is_empty()) {
            return Err(corrupt("a batch has view arrays, which the schema does not"));
        }
        let rows = length_of(batch.length())?;
        let ranges = batch.buffers().into_iter().flatten().map(|buffer| (buffer.offset(), buffer.length()));
        let ranges =
            ranges.map(|(offset, length)| check_range(offset, length, body.len())).collect::<Result<Vec<_>>>()?;
        let buffers: VecDeque<Buffer> = match batch.compression() {
            None => ranges.iter().map(|(offset, length)| body.slice_with_length(*offset, *length)).collect(),
            Some(compression) if compression.method() == BodyCompressionMethod::BUFFER => {
                self.decompress(compression.codec(), body, &ranges)?
            }
            Some(_) => return Err(corrupt("a batch is compressed in an unknown way")),
        };
        self.decoded_bytes += buffers.iter().map(|buffer| buffer.len() as u64).sum::<u64>();
        let nodes = batch.nodes().into_iter().flatten().map(|node| (node.length(), node.null_count()));
        let mut parts = Parts { nodes: nodes.collect(), buffers, copied_bytes: 0 };
        let mut columns = Vec::with_capacity(self.schema.fields().len());
        for field in self.schema.fields() {
            let named = |error: Error| error.context(format!("column {}", field.name()));
            let array = parts.array(field.data_type()).map_err(named)?;
            if array.len() != rows {
                let message = format!("it has {} rows in a batch of {rows}", array.len());
                return Err(named(corrupt(&message)));
            }
            columns.push(array);
        }
        if !parts.nodes.is_empty() || !parts.buffers.is_empty() {
            return Err(corrupt("a batch has more buffers than the schema has use for"));
        }
        self.copied_bytes += parts.copied_bytes;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(|error| corrupt(&error.to_string()))
    }

    /// Decompresses all buffers of a batch into one allocation.
    fn decompress(
        &mut self,
        kind: CompressionType,
        body: &Buffer,
        ranges: &[(usize, usize)],
    ) -> Result<VecDeque<Buffer>> {
        let sizes = ranges.iter().map(|range| announced(body, *range)).collect::<Result<Vec<_>>>()?;
        let total =
            sizes.iter().flatten().try_fold(0usize, |sum, size| sum.checked_add(size.next_multiple_of(ALIGNMENT)));
        let total = total
            .filter(|total| *total <= MAX_DECODED_BYTES)
            .ok_or_else(|| corrupt("a batch announces more bytes than can be decompressed at once"))?;
        let mut target = self.slabs.take(total)?;
        // Zeroes only what was never used before; the rest is overwritten.
        target.resize(total, 0);
        let mut rest = target.as_slice_mut();
        for ((offset, length), size) in ranges.iter().zip(&sizes) {
            if let Some(size) = size {
                let (place, behind) =
                    rest.split_at_mut_checked(size.next_multiple_of(ALIGNMENT)).ok_or_else(overrun)?;
                let place = place.get_mut(..*size).ok_or_else(overrun)?;
                let source = body.get(offset + SIZE_BYTES..offset + length).ok_or_else(overrun)?;
                // Arrow Java writes an empty buffer as its size, 0, and nothing else.
                if *size > 0 {
                    self.codec.decompress(kind, source, place)?;
                }
                rest = behind;
            }
        }
        let target = self.slabs.share(target);
        let mut at = 0;
        let buffers = ranges.iter().zip(&sizes).map(|((offset, length), size)| match size {
            Some(size) => {
                let buffer = target.slice_with_length(at, *size);
                at += size.next_multiple_of(ALIGNMENT);
                buffer
            }
            None if *length == 0 => Buffer::default(),
            None => body.slice_with_length(offset + SIZE_BYTES, length - SIZE_BYTES),
        });
        Ok(buffers.collect())
    }
}

/// Length of an offset.
const OFFSET_BYTES: usize = size_of::<i32>();
/// Length of the size in front of a compressed buffer.
const SIZE_BYTES: usize = 8;

/// Decompressed size of a buffer; `None` if its bytes are stored as they are.
fn announced(body: &Buffer, (offset, length): (usize, usize)) -> Result<Option<usize>> {
    if length == 0 {
        return Ok(None);
    }
    let prefix = body.get(offset..offset + length).and_then(|bytes| bytes.first_chunk::<SIZE_BYTES>());
    let prefix = prefix.ok_or_else(|| corrupt("a compressed buffer is too short to tell its size"))?;
    match i64::from_le_bytes(*prefix) {
        -1 => Ok(None),
        size => match usize::try_from(size) {
            Ok(size) if size <= MAX_DECODED_BYTES => Ok(Some(size)),
            _ => Err(corrupt(&format!("a compressed buffer announces {size} bytes"))),
        },
    }
}

/// The nodes and buffers of a message that are not used up yet.
struct Parts {
    nodes: VecDeque<(i64, i64)>,
    buffers: VecDeque<Buffer>,
    copied_bytes: u64,
}

impl Parts {
    fn buffer(&mut self) -> Result<Buffer> {
        self.buffers.pop_front().ok_or_else(|| corrupt("a batch has fewer buffers than the schema needs"))
    }

    /// The next buffer, at an address that suits values of `width` bytes: IPC promises 8, decimals need 16.
    fn aligned_buffer(&mut self, width: usize) -> Result<Buffer> {
        let buffer = self.buffer()?;
        if width < 2 || buffer.as_ptr().align_offset(width) == 0 {
            return Ok(buffer);
        }
        self.copied_bytes += buffer.len() as u64;
        let mut aligned = MutableBuffer::with_capacity(buffer.len());
        aligned.extend_from_slice(buffer.as_slice());
        Ok(aligned.into())
    }

    fn array(&mut self, data_type: &DataType) -> Result<ArrayRef> {
        match data_type {
            DataType::Utf8 => return self.bytes_array::<Utf8Type>(),
            DataType::Binary => return self.bytes_array::<BinaryType>(),
            _ => {}
        }
        let data = self.builder(data_type)?.build().map_err(|error| corrupt(&error.to_string()))?;
        Ok(make_array(data))
    }

    /// Strings or bytes. The offsets are checked here, a whole array at once: Arrow's general validation takes them one by one.
    fn bytes_array<T: ByteArrayType<Offset = i32>>(&mut self) -> Result<ArrayRef> {
        let (length, nulls) = self.node()?;
        let offsets = offsets_of(self.aligned_buffer(OFFSET_BYTES)?, length)?;
        let values = self.buffer()?;
        let offsets = ScalarBuffer::<i32>::new(offsets, 0, length + 1);
        let steps = offsets.iter().zip(offsets.iter().skip(1));
        let ascending = steps.fold(true, |ascending, (one, next)| ascending & (one <= next));
        if !ascending || offsets.first().is_none_or(|first| *first < 0) {
            return Err(corrupt("the offsets of an array do not ascend"));
        }
        let array = GenericByteArray::<T>::try_new(OffsetBuffer::new(offsets), values, nulls);
        Ok(Arc::new(array.map_err(|error| corrupt(&error.to_string()))?))
    }

    /// Length and NULLs of the next array.
    fn node(&mut self) -> Result<(usize, Option<NullBuffer>)> {
        let node = self.nodes.pop_front().ok_or_else(|| corrupt("a batch has fewer arrays than the schema needs"))?;
        let (length, nulls) = (length_of(node.0)?, length_of(node.1)?);
        if nulls > length {
            return Err(corrupt(&format!("an array of {length} values claims {nulls} NULLs")));
        }
        let validity = self.buffer()?;
        Ok((length, validity_of(validity, length, nulls)?))
    }

    /// The parts of an array and of its children, depth first, as the format orders them.
    fn builder(&mut self, data_type: &DataType) -> Result<ArrayDataBuilder> {
        let (length, nulls) = self.node()?;
        let builder = ArrayData::builder(data_type.clone()).len(length).nulls(nulls);
        Ok(match data_type {
            DataType::List(child) | DataType::Map(child, _) => {
                let offsets = self.aligned_buffer(OFFSET_BYTES)?;
                let child = self.child(child.data_type())?;
                builder.add_buffer(offsets_of(offsets, length)?).add_child_data(child)
            }
            DataType::Struct(fields) => {
                let children = fields.iter().map(|field| self.child(field.data_type()));
                builder.child_data(children.collect::<Result<Vec<_>>>()?)
            }
            _ => builder.add_buffer(self.aligned_buffer(data_type.primitive_width().unwrap_or(1))?),
        })
    }

    fn child(&mut self, data_type: &DataType) -> Result<ArrayData> {
        Ok(self.array(data_type)?.to_data())
    }
}

/// The NULL bitmap of an array; the count is taken from the bits, not from the message.
fn validity_of(bits: Buffer, length: usize, nulls: usize) -> Result<Option<NullBuffer>> {
    if nulls == 0 {
        return Ok(None);
    }
    if bits.len() < length.div_ceil(8) {
        return Err(corrupt("a NULL bitmap is shorter than its array"));
    }
    Ok(Some(NullBuffer::new(BooleanBuffer::new(bits, 0, length))))
}

/// The offsets of an array, without padding. Writers may leave out the single offset of an array without values.
fn offsets_of(offsets: Buffer, length: usize) -> Result<Buffer> {
    if length == 0 && offsets.is_empty() {
        return Ok(Buffer::from_slice_ref([0i32]));
    }
    let wanted = length.checked_add(1).and_then(|count| count.checked_mul(OFFSET_BYTES));
    match wanted.filter(|wanted| *wanted <= offsets.len()) {
        Some(wanted) => Ok(offsets.slice_with_length(0, wanted)),
        None => Err(corrupt("the offsets of an array are shorter than it")),
    }
}

fn check_range(offset: i64, length: i64, body: usize) -> Result<(usize, usize)> {
    let (start, size) = (length_of(offset)?, length_of(length)?);
    match start.checked_add(size) {
        Some(end) if end <= body => Ok((start, size)),
        _ => Err(corrupt(&format!("a buffer lies at {start}+{size} in a body of {body} bytes"))),
    }
}

fn length_of(number: i64) -> Result<usize> {
    usize::try_from(number).map_err(|_| corrupt(&format!("{number} is not a length")))
}

fn overrun() -> Error {
    corrupt("a compressed buffer lies outside of its batch")
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_schema::Schema;

    #[test]
    fn empty_buffers_in_the_form_of_arrow_java_are_empty() {
        let body = Buffer::from_slice_ref([0i64]);
        for kind in [CompressionType::LZ4_FRAME, CompressionType::ZSTD] {
            let mut decoder = Decoder::new(Arc::new(Schema::empty()), &Slabs::default());
            let buffers = decoder.decompress(kind, &body, &[(0, 8), (8, 0)]).unwrap();
            assert!(buffers.len() == 2 && buffers.iter().all(Buffer::is_empty));
        }
    }
}
