//! The values inside of lists and maps.

use arrow::array::{Array, ArrayRef};

/// The part of a child between the first and the last offset: what a slice of its parent holds.
pub fn inside(child: &ArrayRef, offsets: &[i32]) -> ArrayRef {
    let start = offsets.first().copied().unwrap_or_default() as usize;
    let end = offsets.last().copied().unwrap_or_default() as usize;
    child.slice(start, end.saturating_sub(start))
}
