//! What decoding makes besides the slabs that a message lies in: copies of buffers that are not aligned as their type needs it, and times.

use arrow_schema::DataType;

use super::message::Node;
use super::seconds;
use super::slabs::ALIGNMENT;

/// What the arrays and buffers of a stream need, in the order in which messages have them.
#[derive(Debug, Default)]
pub(super) struct Needs {
    /// Whether an array is one of times that are counted in their unit.
    times: Vec<bool>,
    /// The alignment of each buffer.
    alignments: Vec<usize>,
}

impl Needs {
    /// Adds a column that arrives as `wire` and is delivered as `wanted`.
    pub(super) fn add(&mut self, wire: &DataType, wanted: &DataType) {
        self.times.push(seconds::can_become(wire, wanted));
        // The bitmap of NULL.
        self.alignments.push(1);
        match (wire, wanted) {
            (DataType::Utf8 | DataType::Binary, _) => self.alignments.extend([size_of::<i32>(), 1]),
            (DataType::List(wire) | DataType::Map(wire, _), DataType::List(wanted) | DataType::Map(wanted, _)) => {
                self.alignments.push(size_of::<i32>());
                self.add(wire.data_type(), wanted.data_type());
            }
            (DataType::Struct(wire), DataType::Struct(wanted)) => {
                wire.iter().zip(wanted).for_each(|(wire, wanted)| self.add(wire.data_type(), wanted.data_type()));
            }
            // Of a time.
            (DataType::Struct(parts), _) => parts.iter().for_each(|part| self.add(part.data_type(), part.data_type())),
            (other, _) => self.alignments.push(other.primitive_width().unwrap_or(1)),
        }
    }

    /// Whether any of the arrays are such times.
    pub(super) fn has_times(&self) -> bool {
        self.times.contains(&true)
    }

    /// Bytes that are made at most of a message with arrays `nodes`, none of which has more than `values`, and buffers at these places, each
    /// with its length.
    pub(super) fn most_bytes(
        &self,
        nodes: &[Node],
        values: usize,
        buffers: impl Iterator<Item = (*const u8, usize)>,
    ) -> u64 {
        let copied = self.alignments.iter().zip(buffers).map(|(alignment, (place, length))| {
            if place.align_offset(*alignment) == 0 { 0 } else { length.next_multiple_of(ALIGNMENT) }
        });
        let times = self.times.iter().zip(nodes).filter(|(is_time, _)| **is_time).map(|(_, node)| {
            let values = node.length.min(values);
            values * size_of::<i64>() + values.div_ceil(8).next_multiple_of(ALIGNMENT)
        });
        copied.chain(times).map(|bytes| bytes as u64).sum()
    }
}
