//! Strings and binary values as views.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BinaryViewArray, StringViewArray};
use arrow_schema::DataType;

use super::Touched;

/// Views into the buffer that the values lie in; none of them is copied, but for those of at most 12 bytes, which a view holds itself.
pub(super) fn view(array: &ArrayRef, touched: &mut Touched) -> ArrayRef {
    touched.views += (array.len() - array.null_count()) as u64;
    match array.data_type() {
        DataType::Utf8 => Arc::new(StringViewArray::from(array.as_string::<i32>())),
        DataType::Binary => Arc::new(BinaryViewArray::from(array.as_binary::<i32>())),
        _ => Arc::clone(array),
    }
}
