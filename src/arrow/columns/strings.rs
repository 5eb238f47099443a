//! Strings and binary values of every layout, one behind the other with their ends.

use std::ops::Range;

use super::layout::KeyWidth;
use super::{Nulls, Room, malformed, within};
use crate::error::{Error, Kind, Result};

/// The longest value that a view holds itself.
const INLINE_BYTES: usize = 12;

/// Offsets of values: one more than these.
#[derive(Debug, Clone, Copy)]
pub enum Offsets<'a> {
    /// Of 32 bits.
    Narrow(&'a [[u8; 4]]),
    /// Of 64 bits.
    Wide(&'a [[u8; 8]]),
}

/// Strings or binary values.
#[derive(Debug, Clone)]
pub enum Strings<'a> {
    /// Values between offsets. The bytes end where the last of these is.
    Between {
        /// As many as there are rows, and one.
        offsets: Offsets<'a>,
        /// From the beginning of the array on.
        bytes: &'a [u8],
    },
    /// Values that lie in the view itself, or in one of several buffers.
    Views {
        /// One for each row.
        views: &'a [[u8; 16]],
        /// What they point into.
        buffers: Vec<&'a [u8]>,
    },
    /// Values of a dictionary.
    Keyed {
        /// One for each row.
        keys: &'a [u8],
        /// How they are written.
        width: KeyWidth,
        /// All values of the dictionary.
        values: Box<Strings<'a>>,
    },
}

impl<'a> Offsets<'a> {
    /// The last of them.
    pub fn end(&self) -> Result<usize> {
        let last = match self {
            Offsets::Narrow(offsets) => offsets.last().map(|offset| i64::from(i32::from_ne_bytes(*offset))),
            Offsets::Wide(offsets) => offsets.last().map(|offset| i64::from_ne_bytes(*offset)),
        };
        last.and_then(|last| usize::try_from(last).ok()).ok_or_else(|| malformed("an offset is negative"))
    }

    fn range(&self, row: usize) -> Result<Range<usize>> {
        let at = |at: usize| match self {
            Offsets::Narrow(offsets) => offsets.get(at).map(|offset| i64::from(i32::from_ne_bytes(*offset))),
            Offsets::Wide(offsets) => offsets.get(at).map(|offset| i64::from_ne_bytes(*offset)),
        };
        let (Some(start), Some(end)) = (at(row), at(row + 1)) else { return Err(outside()) };
        match (usize::try_from(start), usize::try_from(end)) {
            (Ok(start), Ok(end)) if start <= end => Ok(start..end),
            _ => Err(unordered()),
        }
    }
}

/// Where the bytes of rows between offsets are.
struct Span {
    bytes: Range<usize>,
    /// How many of them are those of rows that are NULL.
    hidden: usize,
}

impl Span {
    /// Checks that the offsets ascend.
    fn of(offsets: impl Iterator<Item = i64>, nulls: &Nulls<'_>) -> Result<Self> {
        let mut offsets = offsets.peekable();
        let first = offsets.peek().copied().unwrap_or_default();
        let (mut last, mut ascends, mut hidden) = (first, first >= 0, 0);
        let pairs = offsets.skip(1);
        if nulls.are_none() {
            // Without a branch, so that the compiler compares many at once.
            for next in pairs {
                ascends &= last <= next;
                last = next;
            }
        } else {
            for (row, next) in pairs.enumerate() {
                ascends &= last <= next;
                if last != next && nulls.is_null(row) {
                    hidden += next.wrapping_sub(last);
                }
                last = next;
            }
        }
        match (usize::try_from(first), usize::try_from(last), usize::try_from(hidden)) {
            (Ok(start), Ok(end), Ok(hidden)) if ascends => Ok(Span { bytes: start..end, hidden }),
            _ => Err(unordered()),
        }
    }
}

impl<'a> Strings<'a> {
    /// Bytes of `rows` rows. Those that are NULL have none.
    pub fn size(&self, rows: usize, nulls: &Nulls<'_>) -> Result<usize> {
        match self {
            Strings::Between { offsets, .. } => {
                let span = span(offsets, nulls)?;
                Ok(span.bytes.len() - span.hidden)
            }
            _ => (0..rows).filter(|row| !nulls.is_null(*row)).try_fold(0usize, |sum, row| {
                sum.checked_add(self.value(row)?.len()).ok_or_else(|| malformed("its strings have too many bytes"))
            }),
        }
    }

    /// Copies the bytes of `rows` rows to the start of `room`, and where each of them ends, counted from `start`, to that of `ends`.
    pub fn copy(&self, rows: usize, nulls: &Nulls<'_>, start: u32, room: Room<'_>, ends: Room<'_, u32>) -> Result<()> {
        let ends = within(ends, rows, "out_ends", "items")?;
        let needed = self.size(rows, nulls)?;
        let room = within(room, needed, "out_bytes", "bytes")?;
        if u32::try_from(needed).ok().and_then(|needed| needed.checked_add(start)).is_none() {
            let message = format!("{needed} bytes behind {start} do not fit ends of 32 bits: copy fewer rows at once");
            return Err(Error::new(Kind::ValueOutOfRange, message));
        }
        if let Strings::Between { offsets, bytes } = self {
            let span = span(offsets, nulls)?;
            if span.hidden == 0 {
                let first = span.bytes.start;
                let bytes = bytes.get(span.bytes).ok_or_else(unordered)?;
                room.write_copy_of_slice(bytes);
                // Whatever lies between the first offset and the last is less than 32 bits away from either.
                let end = |offset: usize| start + (offset - first) as u32;
                match offsets {
                    Offsets::Narrow(offsets) => {
                        let offsets = offsets.iter().skip(1).map(|offset| i32::from_ne_bytes(*offset) as usize);
                        ends.iter_mut().zip(offsets).for_each(|(target, offset)| _ = target.write(end(offset)));
                    }
                    Offsets::Wide(offsets) => {
                        let offsets = offsets.iter().skip(1).map(|offset| i64::from_ne_bytes(*offset) as usize);
                        ends.iter_mut().zip(offsets).for_each(|(target, offset)| _ = target.write(end(offset)));
                    }
                }
                return Ok(());
            }
        }
        let mut written = 0;
        for (row, end) in ends.iter_mut().enumerate() {
            if !nulls.is_null(row) {
                let value = self.value(row)?;
                let target = room.get_mut(written..written + value.len());
                target.ok_or_else(|| malformed("it changes while it is read"))?.write_copy_of_slice(value);
                written += value.len();
            }
            end.write(start + written as u32);
        }
        Ok(())
    }

    /// The bytes of a row that is not NULL.
    fn value(&self, row: usize) -> Result<&'a [u8]> {
        match self {
            Strings::Between { offsets, bytes } => bytes.get(offsets.range(row)?).ok_or_else(unordered),
            Strings::Views { views, buffers } => {
                let view = views.get(row).ok_or_else(outside)?;
                let [length, index, offset] = [word(view, 0), word(view, 2), word(view, 3)];
                if length <= INLINE_BYTES {
                    return view.get(4..4 + length).ok_or_else(outside);
                }
                let end = offset.checked_add(length).ok_or_else(outside)?;
                buffers.get(index).and_then(|buffer| buffer.get(offset..end)).ok_or_else(outside)
            }
            Strings::Keyed { keys, width, values } => values.value(key(keys, *width, row)?),
        }
    }
}

fn span(offsets: &Offsets<'_>, nulls: &Nulls<'_>) -> Result<Span> {
    match offsets {
        Offsets::Narrow(offsets) => {
            Span::of(offsets.iter().map(|offset| i64::from(i32::from_ne_bytes(*offset))), nulls)
        }
        Offsets::Wide(offsets) => Span::of(offsets.iter().map(|offset| i64::from_ne_bytes(*offset)), nulls),
    }
}

/// One of the four numbers of a view.
fn word(view: &[u8; 16], at: usize) -> usize {
    let (words, _) = view.as_chunks::<4>();
    words.get(at).map_or(usize::MAX, |word| u32::from_ne_bytes(*word) as usize)
}

/// The place of a row's value in the dictionary.
fn key(keys: &[u8], width: KeyWidth, row: usize) -> Result<usize> {
    let start = row * width.bytes;
    let bytes = keys.get(start..start + width.bytes).ok_or_else(outside)?;
    let mut whole = [0; 8];
    let from = if cfg!(target_endian = "little") { 0 } else { whole.len() - width.bytes };
    whole.get_mut(from..from + width.bytes).ok_or_else(outside)?.copy_from_slice(bytes);
    let key = u64::from_ne_bytes(whole);
    // The highest bit of a signed key is its sign.
    if width.is_signed && key >> (8 * width.bytes - 1) == 1 {
        return Err(outside());
    }
    usize::try_from(key).map_err(|_| outside())
}

fn unordered() -> Error {
    malformed("its offsets do not ascend")
}

fn outside() -> Error {
    malformed("a value lies outside of its buffers")
}
