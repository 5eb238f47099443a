//! Which values below a list or map can be seen: a list that is NULL, or part of something that is, may still have some.

use arrow_buffer::{BooleanBufferBuilder, NullBuffer, OffsetBuffer};

/// The values of rows that can be seen by `rows`, out of `count` values; `None` if all can.
pub(super) fn values(offsets: &OffsetBuffer<i32>, rows: Option<&NullBuffer>, count: usize) -> Option<NullBuffer> {
    let rows = rows.filter(|rows| rows.null_count() > 0);
    if rows.is_none() && offsets.first() == 0 && offsets.last() as usize == count {
        return None;
    }
    let mut seen = BooleanBufferBuilder::new(count);
    for (row, range) in offsets.windows(2).enumerate() {
        let [start, end] = *range else { continue };
        seen.append_n((start as usize).saturating_sub(seen.len()), false);
        seen.append_n((end - start) as usize, rows.is_none_or(|rows| rows.is_valid(row)));
    }
    seen.append_n(count.saturating_sub(seen.len()), false);
    Some(seen.finish().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_rows_that_are_null_and_of_no_row_are_hidden() {
        let offsets = OffsetBuffer::new(vec![1, 3, 3, 5].into());
        let shown = |rows: Option<Vec<bool>>, count| {
            let rows = rows.map(NullBuffer::from);
            values(&offsets, rows.as_ref(), count).map(|seen| seen.iter().map(u8::from).collect::<Vec<_>>())
        };
        assert_eq!(shown(None, 6).unwrap(), [0, 1, 1, 1, 1, 0]);
        assert_eq!(shown(Some(vec![false, true, true]), 5).unwrap(), [0, 0, 0, 1, 1]);
        let whole = OffsetBuffer::<i32>::from_lengths([2, 0]);
        assert!(values(&whole, Some(&vec![true, true].into()), 2).is_none());
        assert!(values(&whole, Some(&vec![false, true].into()), 2).is_some());
    }
}
