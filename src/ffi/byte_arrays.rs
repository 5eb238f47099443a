//! Arrays of strings and bytes without the checks of Arrow's constructors, which were made already.

use std::sync::Arc;

use arrow_array::{ArrayRef, BinaryArray, LargeBinaryArray, LargeStringArray, StringArray};
use arrow_buffer::OffsetBuffer;

use crate::arrow::{self, Builders, BytesKind, CheckedBytes, WideBytes};

/// From now on arrays of strings and bytes are built without a second check. Every open of a client through the C interface says so.
pub fn trust_checked_byte_arrays() {
    arrow::build_byte_arrays_with(Builders { checked, wide });
}

fn checked(checked: CheckedBytes) -> ArrayRef {
    let kind = checked.kind();
    let (offsets, values, nulls) = checked.into_parts();
    // SAFETY: `CheckedBytes` is made only of offsets that are there, not negative, ascending and within the values, of NULLs that are
    // as many as the values, and for text of values that are UTF-8 each.
    unsafe {
        let offsets = OffsetBuffer::new_unchecked(offsets);
        match kind {
            BytesKind::Text => Arc::new(StringArray::new_unchecked(offsets, values, nulls)),
            BytesKind::Binary => Arc::new(BinaryArray::new_unchecked(offsets, values, nulls)),
        }
    }
}

fn wide(wide: WideBytes) -> ArrayRef {
    let kind = wide.kind();
    let (offsets, values, nulls) = wide.into_parts();
    // SAFETY: `WideBytes` is made only of an array, which is valid, and has its offsets, values and NULLs.
    unsafe {
        let offsets = OffsetBuffer::new_unchecked(offsets);
        match kind {
            BytesKind::Text => Arc::new(LargeStringArray::new_unchecked(offsets, values, nulls)),
            BytesKind::Binary => Arc::new(LargeBinaryArray::new_unchecked(offsets, values, nulls)),
        }
    }
}
