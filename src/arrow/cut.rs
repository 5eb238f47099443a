//! How many rows of a batch go to the engine at once. Cutting is slicing: the buffers stay where they are.

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;

/// The largest batch that is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Caps {
    /// Rows.
    pub rows: usize,
    /// Uncompressed bytes; 0 for any number. A single row may have more.
    pub bytes: u64,
}

impl Caps {
    /// How many rows, from row `start` on, make the next batch; at least 1.
    pub fn next(&self, batch: &RecordBatch, start: usize) -> usize {
        let most = batch.num_rows().saturating_sub(start).min(self.rows.max(1));
        if self.bytes == 0 || bytes_of(batch, start, most) <= self.bytes {
            return most;
        }
        // The size grows with the rows, so the largest number that fits is found by halving.
        let (mut fits, mut exceeds) = (1, most);
        while exceeds - fits > 1 {
            let middle = fits + (exceeds - fits) / 2;
            if bytes_of(batch, start, middle) <= self.bytes { fits = middle } else { exceeds = middle }
        }
        fits
    }
}

/// Uncompressed bytes of some rows.
pub fn bytes_of(batch: &RecordBatch, start: usize, rows: usize) -> u64 {
    batch.columns().iter().map(|column| array_bytes(column, start, rows)).sum()
}

pub(super) fn array_bytes(array: &dyn Array, start: usize, rows: usize) -> u64 {
    let bits = |rows: usize| rows.div_ceil(8) as u64;
    let nulls = if array.nulls().is_some() { bits(rows) } else { 0 };
    let offsets = (rows * size_of::<i32>()) as u64;
    let between = |offsets: &[i32]| -> (usize, usize) {
        let at = |row: usize| offsets.get(row).and_then(|offset| usize::try_from(*offset).ok()).unwrap_or_default();
        (at(start), at(start + rows).saturating_sub(at(start)))
    };
    let values = match array.data_type() {
        DataType::Null => 0,
        DataType::Boolean => bits(rows),
        DataType::Utf8 => offsets + between(array.as_string::<i32>().offsets()).1 as u64,
        DataType::Binary => offsets + between(array.as_binary::<i32>().offsets()).1 as u64,
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let (first, count) = between(list.offsets());
            offsets + array_bytes(list.values(), first, count)
        }
        DataType::Map(..) => {
            let map = array.as_map();
            let (first, count) = between(map.offsets());
            offsets + array_bytes(map.entries(), first, count)
        }
        DataType::Struct(_) => array.as_struct().columns().iter().map(|child| array_bytes(child, start, rows)).sum(),
        other => match other.primitive_width() {
            Some(width) => (rows * width) as u64,
            // No type that the service sends: its share of the whole.
            None => (array.get_buffer_memory_size() as u64).saturating_mul(rows as u64) / array.len().max(1) as u64,
        },
    };
    nulls + values
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::builder::{Int32Builder, ListBuilder};
    use arrow_array::{ArrayRef, BooleanArray, Int64Array, StringArray};
    use std::sync::Arc;

    fn pieces(batch: &RecordBatch, caps: Caps) -> Vec<usize> {
        let (mut pieces, mut start) = (Vec::new(), 0);
        while start < batch.num_rows() {
            pieces.push(caps.next(batch, start));
            start += pieces.last().unwrap();
        }
        assert_eq!(start, batch.num_rows());
        pieces
    }

    #[test]
    fn rows_and_bytes_hold_and_a_large_row_comes_alone() {
        let texts = ["", "a", "bb", &"x".repeat(1000), "c", "d"];
        let columns: [(&str, ArrayRef); 2] = [
            ("n", Arc::new(Int64Array::from_iter_values(0..6))),
            ("s", Arc::new(StringArray::from_iter_values(texts))),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        assert_eq!(pieces(&batch, Caps { rows: 100, bytes: 0 }), [6]);
        assert_eq!(pieces(&batch, Caps { rows: 4, bytes: 0 }), [4, 2]);
        // 12 bytes per row besides the text.
        assert_eq!(pieces(&batch, Caps { rows: 100, bytes: 39 }), [3, 1, 2]);
        assert_eq!(pieces(&batch, Caps { rows: 100, bytes: 38 }), [2, 1, 1, 2]);
        assert_eq!(pieces(&batch, Caps { rows: 100, bytes: 1 }), [1; 6]);
        assert_eq!(pieces(&batch.slice(2, 4), Caps { rows: 100, bytes: 40 }), [1, 1, 2]);
    }

    #[test]
    fn nested_values_count_for_their_row() {
        let mut lists = ListBuilder::new(Int32Builder::new());
        for length in [0, 10, 1, 1] {
            (0..length).for_each(|value| lists.values().append_value(value));
            lists.append(true);
        }
        let columns: [(&str, ArrayRef); 2] = [
            ("l", Arc::new(lists.finish())),
            ("b", Arc::new(BooleanArray::from(vec![Some(true), None, Some(false), None]))),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        // A list is 4 bytes and 4 per value; the booleans of up to 8 rows are 2 bytes.
        assert_eq!(bytes_of(&batch, 0, 1), 4 + 2);
        assert_eq!(bytes_of(&batch, 1, 1), 44 + 2);
        assert_eq!(bytes_of(&batch, 0, 4), 16 + 48 + 2);
        assert_eq!(pieces(&batch, Caps { rows: 10, bytes: 20 }), [1, 1, 2]);
    }
}
