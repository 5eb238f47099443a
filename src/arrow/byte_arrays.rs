//! Strings and bytes: the checks of a whole array at once, at the speed of memory.
//!
//! Arrow's own constructors check the same, value by value, several times. They are used unless somebody who may has said how to
//! do without (see [`build_byte_arrays_with`]).

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BinaryArray, LargeBinaryArray, LargeStringArray, StringArray};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType};
use once_cell::sync::OnceCell;

use super::corrupt;
use crate::error::{Error, Result};

/// What the values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BytesKind {
    /// UTF-8.
    Text,
    /// Anything.
    Binary,
}

/// The parts of an array of strings or bytes that make a valid array. Only [`CheckedBytes::check`] makes one.
#[derive(Debug, Clone)]
pub struct CheckedBytes {
    kind: BytesKind,
    offsets: ScalarBuffer<i32>,
    values: Buffer,
    nulls: Option<NullBuffer>,
}

/// The parts of an array of strings or bytes with 64-bit offsets. Only [`WideBytes::of`] makes one, of an array, which is valid.
#[derive(Debug, Clone)]
pub struct WideBytes {
    kind: BytesKind,
    offsets: ScalarBuffer<i64>,
    values: Buffer,
    nulls: Option<NullBuffer>,
}

/// Builds arrays of parts that are known to be good.
#[derive(Debug, Clone, Copy)]
pub struct Builders {
    /// Of parts that were checked.
    pub checked: fn(CheckedBytes) -> ArrayRef,
    /// Of parts of an array.
    pub wide: fn(WideBytes) -> ArrayRef,
}

static BUILDERS: OnceCell<Builders> = OnceCell::new();

/// Has arrays built by `builders`, which may do without checks; the first registration stays.
pub fn build_byte_arrays_with(builders: Builders) {
    BUILDERS.get_or_init(|| builders);
}

impl CheckedBytes {
    /// Checks that there is one offset more than values, that the offsets ascend within `values`, and for text that every value is
    /// UTF-8. `nulls` must be as long as the array.
    pub fn check(
        kind: BytesKind,
        offsets: ScalarBuffer<i32>,
        values: Buffer,
        nulls: Option<NullBuffer>,
    ) -> Result<Self> {
        let (Some(first), Some(last)) = (offsets.first(), offsets.last()) else {
            return Err(corrupt("an array has no offsets"));
        };
        if nulls.as_ref().is_some_and(|nulls| nulls.len() + 1 != offsets.len()) {
            return Err(corrupt("a NULL bitmap does not suit its array"));
        }
        // Without a branch on each pair, so that the compiler compares many at once.
        let pairs = offsets.iter().zip(offsets.get(1..).unwrap_or_default());
        let ascending = pairs.fold(true, |ascending, (one, next)| ascending & (one <= next));
        let (Ok(start), Ok(end), true) = (usize::try_from(*first), usize::try_from(*last), ascending) else {
            return Err(corrupt("the offsets of an array do not ascend"));
        };
        let span = values.get(start..end).ok_or_else(|| corrupt("the offsets of an array lie behind its values"))?;
        if kind == BytesKind::Text {
            check_text(span, &offsets, *first)?;
        }
        Ok(CheckedBytes { kind, offsets, values, nulls })
    }

    /// What the values are.
    pub fn kind(&self) -> BytesKind {
        self.kind
    }

    /// Offsets, values and NULLs.
    pub fn into_parts(self) -> (ScalarBuffer<i32>, Buffer, Option<NullBuffer>) {
        (self.offsets, self.values, self.nulls)
    }

    /// The array, built as [`build_byte_arrays_with`] said, or with Arrow's checks once more.
    pub(super) fn into_array(self) -> Result<ArrayRef> {
        match BUILDERS.get() {
            Some(builders) => Ok((builders.checked)(self)),
            None => self.validated(),
        }
    }

    /// The array with Arrow's own checks.
    pub fn validated(self) -> Result<ArrayRef> {
        let offsets = OffsetBuffer::new(self.offsets);
        Ok(match self.kind {
            BytesKind::Text => Arc::new(StringArray::try_new(offsets, self.values, self.nulls).map_err(broken)?),
            BytesKind::Binary => Arc::new(BinaryArray::try_new(offsets, self.values, self.nulls).map_err(broken)?),
        })
    }
}

impl WideBytes {
    /// The parts of an array with 32-bit offsets, which get 64 bits; the values are shared. `None` if it is of neither strings nor bytes.
    pub fn of(array: &ArrayRef) -> Option<Self> {
        let (kind, offsets, values) = match array.data_type() {
            DataType::Utf8 => {
                let texts = array.as_string::<i32>();
                (BytesKind::Text, texts.offsets(), texts.values())
            }
            DataType::Binary => {
                let bytes = array.as_binary::<i32>();
                (BytesKind::Binary, bytes.offsets(), bytes.values())
            }
            _ => return None,
        };
        let offsets = offsets.iter().map(|offset| i64::from(*offset)).collect();
        Some(WideBytes { kind, offsets, values: values.clone(), nulls: array.nulls().cloned() })
    }

    /// What the values are.
    pub fn kind(&self) -> BytesKind {
        self.kind
    }

    /// Offsets, values and NULLs.
    pub fn into_parts(self) -> (ScalarBuffer<i64>, Buffer, Option<NullBuffer>) {
        (self.offsets, self.values, self.nulls)
    }

    /// The array, built as [`build_byte_arrays_with`] said, or with Arrow's checks.
    pub(super) fn into_array(self) -> Result<ArrayRef> {
        if let Some(builders) = BUILDERS.get() {
            return Ok((builders.wide)(self));
        }
        let offsets = OffsetBuffer::new(self.offsets);
        Ok(match self.kind {
            BytesKind::Text => Arc::new(LargeStringArray::try_new(offsets, self.values, self.nulls).map_err(broken)?),
            BytesKind::Binary => Arc::new(LargeBinaryArray::try_new(offsets, self.values, self.nulls).map_err(broken)?),
        })
    }
}

fn broken(error: ArrowError) -> Error {
    corrupt(&error.to_string())
}

/// Checks that all of `span` is UTF-8 and that no value begins inside a character; `first` is the offset where it begins.
fn check_text(span: &[u8], offsets: &[i32], first: i32) -> Result<()> {
    if span.is_ascii() {
        return Ok(());
    }
    simdutf8::basic::from_utf8(span).map_err(|_| corrupt("a string is not UTF-8"))?;
    // The offsets ascend within the span, so only the last ones can lie behind its last byte.
    let begins = |offset: &i32| {
        let byte = usize::try_from(offset - first).ok().and_then(|at| span.get(at));
        byte.is_none_or(|byte| byte & 0b1100_0000 != 0b1000_0000)
    };
    if offsets.iter().fold(true, |all, offset| all & begins(offset)) { Ok(()) } else { Err(split_character()) }
}

fn split_character() -> Error {
    corrupt("a string begins or ends inside a character")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: BytesKind, offsets: &[i32], values: &[u8]) -> Result<CheckedBytes> {
        CheckedBytes::check(kind, offsets.to_vec().into(), Buffer::from_slice_ref(values), None)
    }

    #[test]
    fn what_passes_is_what_arrow_takes() {
        let texts: [&[u8]; 7] =
            [b"", b"plain", "gr\u{fc}n".as_bytes(), "\u{1d11e}\u{4e2d}".as_bytes(), b"\xff", b"ab\xc3", &[b'a'; 100]];
        let mut passed = [0, 0];
        for text in texts {
            for a in 0..=8i32 {
                for b in -1..=8i32 {
                    for kind in [BytesKind::Text, BytesKind::Binary] {
                        let offsets = OffsetBuffer::new(vec![0, a, a].into());
                        let mut raw = offsets.to_vec();
                        raw[2] = b;
                        let ours = check(kind, &raw, text).is_ok();
                        let theirs = b >= a && {
                            let offsets = OffsetBuffer::new(raw.into());
                            let values = Buffer::from_slice_ref(text);
                            match kind {
                                BytesKind::Text => StringArray::try_new(offsets, values, None).is_ok(),
                                BytesKind::Binary => BinaryArray::try_new(offsets, values, None).is_ok(),
                            }
                        };
                        assert_eq!(ours, theirs, "{kind:?} 0 {a} {b} in {text:?}");
                        passed[usize::from(ours)] += 1;
                    }
                }
            }
        }
        assert!(passed.iter().all(|count| *count > 100), "{passed:?}");
    }

    #[test]
    fn only_the_values_between_the_offsets_are_looked_at() {
        let checked = check(BytesKind::Text, &[1, 1, 3], b"\xff\xc3\xbc\xff").unwrap();
        assert_eq!(checked.validated().unwrap().len(), 2);
        assert!(check(BytesKind::Text, &[1, 2, 3], b"\xff\xc3\xbc\xff").is_err());
        assert!(check(BytesKind::Text, &[-1, 0], b"a").is_err());
        assert!(check(BytesKind::Text, &[], b"a").is_err());
    }

    #[test]
    fn a_null_bitmap_must_suit() {
        let parts = |nulls: usize| {
            CheckedBytes::check(
                BytesKind::Binary,
                vec![0, 1].into(),
                vec![1u8].into(),
                Some(NullBuffer::new_null(nulls)),
            )
        };
        assert!(parts(1).is_ok() && parts(2).is_err());
    }
}
