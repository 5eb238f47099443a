//! Record batch messages to record batches.
//!
//! Every length and offset of a message was checked against the body before it comes here; the values of
//! strings, bytes and lists are checked here. The buffers of an uncompressed batch are slices of the body that was received.

use std::collections::HashSet;
use std::ptr::NonNull;
use std::sync::{Arc, LazyLock};

use arrow_array::{
    ArrayRef, ArrowPrimitiveType, PrimitiveArray, RecordBatch, RecordBatchOptions, downcast_primitive, make_array,
};
use arrow_buffer::{BooleanBuffer, Buffer, MutableBuffer, NullBuffer, ScalarBuffer};
use arrow_data::{ArrayData, ArrayDataBuilder};
use arrow_ipc::CompressionType;
use arrow_schema::{DataType, Schema, SchemaRef};

use super::byte_arrays::{BytesKind, CheckedBytes};
use super::codec::Codec;
use super::frame::Encoded;
use super::fresh::claim_all_but;
use super::made::Needs;
use super::message::Node;
use super::policy::Overflow;
use super::schema::{LaidOut, Layout};
use super::slabs::ALIGNMENT;
use super::{Slab, Slabs, corrupt, seconds};
use crate::error::{Error, Result};
use crate::memory::Allowance;

/// Largest batch after decompression.
const MAX_DECODED_BYTES: usize = 4 << 30;

/// Decodes the batches of one stream as the schema of the session.
#[derive(Debug)]
pub struct Decoder {
    schema: SchemaRef,
    layout: Layout,
    needs: Needs,
    slabs: Slabs,
    codec: Codec,
    fitting: seconds::Fitting,
    decoded_bytes: u64,
    copied_bytes: u64,
}

impl Decoder {
    /// A decoder that delivers `schema`, for a stream that is just so unless [`Decoder::begin`] says otherwise.
    pub fn new(schema: SchemaRef, slabs: &Slabs) -> Self {
        let layout = Layout::same(&schema);
        Decoder {
            needs: layout.needs(&schema),
            schema,
            layout,
            slabs: slabs.clone(),
            codec: Codec::new(),
            fitting: seconds::Fitting::default(),
            decoded_bytes: 0,
            copied_bytes: 0,
        }
    }

    /// The same with a policy for times that do not fit their unit.
    pub fn with_overflow(mut self, overflow: Overflow) -> Self {
        self.fitting.overflow = overflow;
        self
    }

    /// Takes note of the schema of the stream. Fails if its batches cannot be delivered in the schema of the decoder.
    pub fn begin(&mut self, wire: &Schema) -> Result<()> {
        self.layout = Layout::of(wire, &self.schema)?;
        self.needs = self.layout.needs(&self.schema);
        Ok(())
    }

    /// Bytes of all buffers decoded so far, the same whatever the compression.
    pub fn decoded_bytes(&self) -> u64 {
        self.decoded_bytes
    }

    /// Bytes that had to be copied because the wire aligns them to less than their type needs.
    pub fn copied_bytes(&self) -> u64 {
        self.copied_bytes
    }

    /// Times that did not fit and were replaced, as the policy says.
    pub fn replaced_times(&self) -> u64 {
        self.fitting.replaced
    }

    /// Bytes that a message takes when it is decompressed; 0 for one that is not compressed.
    pub fn decompressed_bytes(&self, encoded: &Encoded) -> Result<usize> {
        match encoded.layout.compression {
            None => Ok(0),
            Some(_) => total_of(&sizes_of(&encoded.body, &encoded.layout.buffers)?),
        }
    }

    /// Bytes that decoding a message makes at most besides [`Decoder::decompressed_bytes`]; 0 for most.
    pub fn made_bytes(&self, encoded: &Encoded) -> Result<u64> {
        let Encoded { layout, body } = encoded;
        // More seconds than fit in the message are not there, whatever it says.
        let times = if self.needs.has_times() { body.len().max(self.decompressed_bytes(encoded)?) / 8 } else { 0 };
        let places = layout.buffers.iter().map(|(offset, length)| match layout.compression {
            // What is decompressed is aligned.
            Some(_) if !matches!(announced(body, (*offset, *length)), Ok(None)) => (std::ptr::null(), 0),
            Some(_) if *length > 0 => (body.as_ptr().wrapping_add(offset + SIZE_BYTES), length - SIZE_BYTES),
            _ => (body.as_ptr().wrapping_add(*offset), *length),
        });
        Ok(self.needs.most_bytes(&layout.nodes, times, places))
    }

    /// Decodes one message. `target` is a slab of [`Decoder::decompressed_bytes`], and `made` memory for [`Decoder::made_bytes`], if
    /// these are not 0.
    pub fn decode(&mut self, encoded: &Encoded, target: Option<Slab>, made: Option<&Allowance>) -> Result<RecordBatch> {
        let Encoded { layout, body } = encoded;
        let buffers: Vec<Buffer> = match layout.compression {
            None => layout.buffers.iter().map(|(offset, length)| body.slice_with_length(*offset, *length)).collect(),
            Some(codec) => self.decompress(codec, body, &layout.buffers, target)?,
        };
        self.decoded_bytes += buffers.iter().map(|buffer| buffer.len() as u64).sum::<u64>();
        // Also what belongs to nobody.
        let received = |_| buffers.iter().chain([&*NO_VALUES]).map(Buffer::data_ptr).collect::<HashSet<NonNull<u8>>>();
        let received = made.map(received);
        let mut parts = Parts { nodes: layout.nodes.iter(), buffers: buffers.into_iter(), copied_bytes: 0 };
        let mut placed: Vec<Option<ArrayRef>> = vec![None; self.schema.fields().len()];
        for LaidOut { place, data_type } in &self.layout.columns {
            let field = self.schema.field(*place);
            let named = |error: Error| error.context(format!("column {}", field.name()));
            let array = parts.array(data_type).map_err(named)?;
            if array.len() != layout.rows {
                let message = format!("it has {} rows in a batch of {}", array.len(), layout.rows);
                return Err(named(corrupt(&message)));
            }
            if let Some(column) = placed.get_mut(*place) {
                let converted = seconds::convert(&array, field.data_type(), field.is_nullable(), &mut self.fitting);
                *column = Some(converted.map_err(named)?);
            }
        }
        let columns: Vec<ArrayRef> = placed.into_iter().flatten().collect();
        if parts.nodes.len() != 0 || parts.buffers.len() != 0 {
            return Err(corrupt("a batch has more buffers than the schema has use for"));
        }
        self.copied_bytes += parts.copied_bytes;
        let options = RecordBatchOptions::new().with_row_count(Some(layout.rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(|error| corrupt(&error.to_string()))?;
        if let (Some(made), Some(received)) = (made, received) {
            claim_all_but(received, &batch, made);
        }
        Ok(batch)
    }

    /// Decompresses all buffers of a batch into one slab.
    fn decompress(
        &mut self,
        kind: CompressionType,
        body: &Buffer,
        ranges: &[(usize, usize)],
        target: Option<Slab>,
    ) -> Result<Vec<Buffer>> {
        let sizes = sizes_of(body, ranges)?;
        let mut target = target;
        let mut rest = target.as_mut().map(Slab::as_slice_mut).unwrap_or_default();
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
        let total = total_of(&sizes)?;
        let target = target.map(|slab| self.slabs.share(slab, total)).unwrap_or_default();
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

/// Decompressed sizes of the buffers of a batch.
fn sizes_of(body: &Buffer, ranges: &[(usize, usize)]) -> Result<Vec<Option<usize>>> {
    ranges.iter().map(|range| announced(body, *range)).collect()
}

/// What the decompressed buffers of a batch take together.
fn total_of(sizes: &[Option<usize>]) -> Result<usize> {
    let total = sizes.iter().flatten().try_fold(0usize, |sum, size| sum.checked_add(size.next_multiple_of(ALIGNMENT)));
    total
        .filter(|total| *total <= MAX_DECODED_BYTES)
        .ok_or_else(|| corrupt("a batch announces more bytes than can be decompressed at once"))
}

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
struct Parts<'a> {
    nodes: std::slice::Iter<'a, Node>,
    buffers: std::vec::IntoIter<Buffer>,
    copied_bytes: u64,
}

impl Parts<'_> {
    fn buffer(&mut self) -> Result<Buffer> {
        self.buffers.next().ok_or_else(|| corrupt("a batch has fewer buffers than the schema needs"))
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
            DataType::Utf8 => return self.bytes_array(BytesKind::Text),
            DataType::Binary => return self.bytes_array(BytesKind::Binary),
            _ => {}
        }
        macro_rules! primitive {
            ($primitive:ty) => {
                return self.primitive_array::<$primitive>(data_type)
            };
        }
        downcast_primitive! {
            data_type => (primitive),
            _ => {}
        }
        let data = self.builder(data_type)?.build().map_err(|error| corrupt(&error.to_string()))?;
        Ok(make_array(data))
    }

    /// Values of a fixed size, of which all bits are valid. Built here, because `ArrayData` costs several allocations more.
    fn primitive_array<T: ArrowPrimitiveType>(&mut self, data_type: &DataType) -> Result<ArrayRef> {
        let (length, nulls) = self.node()?;
        let values = self.aligned_buffer(size_of::<T::Native>())?;
        if length.checked_mul(size_of::<T::Native>()).is_none_or(|wanted| wanted > values.len()) {
            return Err(corrupt("the values of an array are shorter than it"));
        }
        let array = PrimitiveArray::<T>::try_new(ScalarBuffer::new(values, 0, length), nulls)
            .map_err(|error| corrupt(&error.to_string()))?;
        Ok(Arc::new(array.with_data_type(data_type.clone())))
    }

    /// Strings or bytes.
    fn bytes_array(&mut self, kind: BytesKind) -> Result<ArrayRef> {
        let (length, nulls) = self.node()?;
        let offsets = offsets_of(self.aligned_buffer(OFFSET_BYTES)?, length)?;
        let offsets = ScalarBuffer::new(offsets, 0, length + 1);
        CheckedBytes::check(kind, offsets, self.buffer()?, nulls)?.into_array()
    }

    /// Length and NULLs of the next array.
    fn node(&mut self) -> Result<(usize, Option<NullBuffer>)> {
        let node = self.nodes.next().ok_or_else(|| corrupt("a batch has fewer arrays than the schema needs"))?;
        let Node { length, nulls } = *node;
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
        return Ok(NO_VALUES.clone());
    }
    let wanted = length.checked_add(1).and_then(|count| count.checked_mul(OFFSET_BYTES));
    match wanted.filter(|wanted| *wanted <= offsets.len()) {
        Some(wanted) => Ok(offsets.slice_with_length(0, wanted)),
        None => Err(corrupt("the offsets of an array are shorter than it")),
    }
}

/// The offsets of an array without values, the same for all.
static NO_VALUES: LazyLock<Buffer> = LazyLock::new(|| Buffer::from_slice_ref([0i32]));

fn overrun() -> Error {
    corrupt("a compressed buffer lies outside of its batch")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arrow::{Frame, Framer};
    use crate::memory::{Account, Ahead, Budget};
    use arrow_array::{Array, Decimal128Array, Int32Array, Int64Array, ListArray, StructArray};
    use arrow_buffer::OffsetBuffer;
    use arrow_ipc::MetadataVersion;
    use arrow_ipc::writer::{IpcWriteOptions, StreamWriter};
    use arrow_schema::{Field, Fields, TimeUnit};

    #[test]
    fn values_that_are_shorter_than_their_array_are_refused() {
        for (data_type, width) in [(DataType::Int32, 4), (DataType::Int64, 8), (DataType::Decimal128(20, 2), 16)] {
            let numbers = |bytes: usize, length| {
                let buffers = vec![Buffer::default(), Buffer::from(vec![1u8; bytes])];
                let nodes = [Node { length, nulls: 0 }];
                let mut parts = Parts { nodes: nodes.iter(), buffers: buffers.into_iter(), copied_bytes: 0 };
                parts.array(&data_type).map(|array| array.len())
            };
            assert_eq!(numbers(3 * width, 3).unwrap(), 3);
            assert_eq!(numbers(3 * width + 1, 3).unwrap(), 3, "padding");
            for (bytes, length) in [(3 * width - 1, 3), (0, 1), (3 * width, usize::MAX / 2)] {
                assert!(numbers(bytes, length).is_err(), "{data_type}: {bytes} bytes for {length}");
            }
        }
    }

    #[test]
    fn empty_buffers_in_the_form_of_arrow_java_are_empty() {
        let body = Buffer::from_slice_ref([0i64]);
        for kind in [CompressionType::LZ4_FRAME, CompressionType::ZSTD] {
            let mut decoder = Decoder::new(Arc::new(Schema::empty()), &Slabs::default());
            let buffers = decoder.decompress(kind, &body, &[(0, 8), (8, 0)], None).unwrap();
            assert!(buffers.len() == 2 && buffers.iter().all(Buffer::is_empty));
        }
    }

    /// The first batch of a stream, decoded as `schema`, what was reserved for what is made, and what is accounted then.
    fn accounted(batch: &RecordBatch, schema: &Schema, codec: Option<CompressionType>) -> (RecordBatch, u64, u64, u64) {
        let options = IpcWriteOptions::try_new(8, false, MetadataVersion::V5).unwrap();
        let options = options.try_with_compression(codec).unwrap();
        let mut writer = StreamWriter::try_new_with_options(Vec::new(), &batch.schema(), options).unwrap();
        writer.write(batch).unwrap();
        let bytes = writer.into_inner().unwrap();
        let account = Account::new(&Budget::new(0, None));
        let (slabs, ahead) = (Slabs::default(), Ahead::default());
        let slab = |length| at_once(slabs.take(length, &ahead));
        let (mut framer, mut rest) = (Framer::new(&slabs), bytes.as_slice());
        let mut decoder = Decoder::new(Arc::new(schema.clone()), &slabs).with_overflow(Overflow::Null);
        loop {
            let room = framer.room();
            let (now, later) = rest.split_at(room.len());
            room.copy_from_slice(now);
            rest = later;
            match framer.advance(now.len()).unwrap() {
                Some(Frame::Schema(wire)) => decoder.begin(&wire).unwrap(),
                Some(Frame::Room(length)) => framer.give(slab(length)),
                Some(Frame::Batch(encoded)) => {
                    let target = match decoder.decompressed_bytes(&encoded).unwrap() {
                        0 => None,
                        bytes => Some(slab(bytes)),
                    };
                    let most = decoder.made_bytes(&encoded).unwrap();
                    let made = Allowance::new(at_once(account.reserve(most, &ahead)));
                    let batch = decoder.decode(&encoded, target, Some(&made)).unwrap();
                    drop(made);
                    return (batch, most, account.held(), decoder.copied_bytes());
                }
                _ => {}
            }
        }
    }

    fn at_once<T>(taking: impl Future<Output = Result<T>>) -> T {
        match std::pin::pin!(taking).poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
            std::task::Poll::Ready(taken) => taken.unwrap(),
            std::task::Poll::Pending => panic!("no memory"),
        }
    }

    const ROWS: usize = 1000;

    #[test]
    fn copies_for_alignment_are_accounted_and_nothing_else() {
        // Behind so many bytes of NULL bitmap decimals are not aligned to 16.
        let nulls = |from: usize| (0..ROWS).map(|row| (row > from).then_some(row as i128)).collect::<Decimal128Array>();
        let list = ListArray::new(
            Arc::new(Field::new("element", DataType::Decimal128(38, 10), true)),
            OffsetBuffer::from_lengths([ROWS / 4; 4].into_iter().chain([0; ROWS - 4])),
            Arc::new(nulls(3)),
            None,
        );
        let numbers: Int64Array = (0..ROWS as i64).collect();
        let columns: [(&str, ArrayRef); 4] =
            [("n", Arc::new(numbers)), ("a", Arc::new(nulls(1))), ("b", Arc::new(nulls(2))), ("l", Arc::new(list))];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        for codec in [None, Some(CompressionType::LZ4_FRAME), Some(CompressionType::ZSTD)] {
            let (decoded, most, held, copied) = accounted(&batch, &batch.schema(), codec);
            assert_eq!(decoded.columns(), batch.columns());
            assert_eq!((most, held), (held, copied.next_multiple_of(64)), "{codec:?}");
            // What is compressed is written where it is aligned.
            assert_eq!(copied > 0, codec.is_none(), "{codec:?}: {copied}");
        }
        let numbers = batch.project(&[0]).unwrap();
        let (_, most, held, copied) = accounted(&numbers, &numbers.schema(), None);
        assert_eq!((most, held, copied), (0, 0, 0));
    }

    #[test]
    fn times_in_their_unit_are_accounted_at_every_depth() {
        let parts =
            Fields::from(vec![Field::new("sec", DataType::Int64, false), Field::new("nano", DataType::Int32, false)]);
        let times = || {
            // Every third does not fit.
            let seconds: Int64Array =
                (0..ROWS as i64).map(|row| if row % 3 == 0 { i64::MAX / 2 } else { row }).collect();
            let nulls = (0..ROWS).map(|row| row % 5 > 0).collect::<Vec<bool>>();
            let columns: Vec<ArrayRef> = vec![Arc::new(seconds), Arc::new(Int32Array::from(vec![5; ROWS]))];
            StructArray::new(parts.clone(), columns, Some(nulls.into()))
        };
        let item = Arc::new(Field::new("element", DataType::Struct(parts.clone()), true));
        let list = ListArray::new(item, OffsetBuffer::from_repeated_length(1, ROWS), Arc::new(times()), None);
        let inner = Fields::from(vec![Field::new("l", list.data_type().clone(), true)]);
        let nested = StructArray::new(inner, vec![Arc::new(list)], None);
        let columns: [(&str, ArrayRef); 2] = [("t", Arc::new(times())), ("s", Arc::new(nested))];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let time = DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()));
        let list = DataType::List(Arc::new(Field::new("element", time.clone(), true)));
        let nested = DataType::Struct(vec![Field::new("l", list, true)].into());
        let schema = Schema::new(vec![Field::new("t", time, true), Field::new("s", nested, true)]);
        for codec in [None, Some(CompressionType::LZ4_FRAME), Some(CompressionType::ZSTD)] {
            let (decoded, most, held, _) = accounted(&batch, &schema, codec);
            assert_eq!((decoded.column(0).null_count(), decoded.num_rows()), (467, ROWS));
            assert_eq!((most, held), (held, 2 * (8 * ROWS as u64 + 128)), "{codec:?}");
        }
    }
}
