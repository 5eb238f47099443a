//! 64-bit offsets: the values stay where they are.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef};
use arrow_buffer::OffsetBuffer;

use super::Touched;
use crate::arrow::byte_arrays::WideBytes;
use crate::error::Result;

/// Strings or binary values with 64-bit offsets.
pub(super) fn widen_bytes(array: &ArrayRef, touched: &mut Touched) -> Result<ArrayRef> {
    let Some(wide) = WideBytes::of(array) else { return Ok(Arc::clone(array)) };
    touched.offsets += (array.len() - array.null_count()) as u64;
    wide.into_array()
}

/// The same offsets with 64 bits.
pub(super) fn widened(offsets: &OffsetBuffer<i32>) -> OffsetBuffer<i64> {
    OffsetBuffer::new(offsets.iter().map(|offset| i64::from(*offset)).collect())
}
