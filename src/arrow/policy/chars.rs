//! The blanks at the end of CHAR.

use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};

use super::Touched;
use crate::error::{Error, Kind, Result};

/// Takes them away.
pub(super) fn strip(array: &ArrayRef, touched: &mut Touched) -> ArrayRef {
    let texts = array.as_string::<i32>();
    let padded = texts.iter().flatten().filter(|text| text.ends_with(' ')).count();
    if padded == 0 {
        return Arc::clone(array);
    }
    touched.chars += padded as u64;
    let mut stripped = StringBuilder::with_capacity(texts.len(), texts.value_data().len());
    texts.iter().for_each(|text| stripped.append_option(text.map(|text| text.trim_end_matches(' '))));
    Arc::new(stripped.finish())
}

/// Adds as many as make `length` characters.
pub(super) fn pad(array: &ArrayRef, length: usize, touched: &mut Touched) -> Result<ArrayRef> {
    let texts = array.as_string::<i32>();
    let missing = |text: &str| length.saturating_sub(text.chars().count());
    let (short, blanks) = texts
        .iter()
        .flatten()
        .map(missing)
        .fold((0, 0), |(short, blanks), missing| (short + usize::from(missing > 0), blanks + missing));
    if short == 0 {
        return Ok(Arc::clone(array));
    }
    let bytes = texts.value_data().len() + blanks;
    if i32::try_from(bytes).is_err() {
        let message = format!("{bytes} bytes of padded CHAR do not fit into one batch; lower read.batch_rows");
        return Err(Error::new(Kind::ResourceExhausted, message));
    }
    touched.chars += short as u64;
    let mut padded = StringBuilder::with_capacity(texts.len(), bytes);
    let mut value = String::new();
    for text in texts {
        let Some(text) = text else {
            padded.append_null();
            continue;
        };
        value.clear();
        value.push_str(text);
        value.extend(std::iter::repeat_n(' ', missing(text)));
        padded.append_value(&value);
    }
    Ok(Arc::new(padded.finish()))
}
