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
    fn of<T>(offsets: &[T], number: impl Fn(&T) -> i64, nulls: &Nulls<'_>) -> Result<Self> {
        let (Some(first), Some(last)) = (offsets.first(), offsets.last()) else {
            return Ok(Span { bytes: 0..0, hidden: 0 });
        };
        // Without a branch on each pair, so that the compiler compares many at once.
        let pairs = || offsets.iter().zip(offsets.iter().skip(1)).map(|(one, next)| (number(one), number(next)));
        let ascends = pairs().fold(true, |ascends, (one, next)| ascends & (one <= next));
        match (usize::try_from(number(first)), usize::try_from(number(last))) {
            (Ok(start), Ok(end)) if ascends => {
                let lengths = pairs().map(|(one, next)| (next - one) as usize).enumerate();
                let hidden = match nulls.are_none() {
                    true => 0,
                    false => lengths
                        .filter(|(row, length)| *length > 0 && nulls.is_null(*row))
                        .map(|(_, length)| length)
                        .sum(),
                };
                Ok(Span { bytes: start..end, hidden })
            }
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
            // Where they lie is looked at when they are copied.
            Strings::Views { views, .. } => {
                let lengths = views.iter().map(|view| word(view, 0)).enumerate();
                Ok(lengths.filter(|(row, _)| nulls.are_none() || !nulls.is_null(*row)).map(|(_, length)| length).sum())
            }
            Strings::Keyed { .. } => {
                let mut size: usize = 0;
                self.each(rows, nulls, |value| {
                    size = size.checked_add(value.len()).ok_or_else(|| malformed("its strings have too many bytes"))?;
                    Ok(())
                })?;
                Ok(size)
            }
        }
    }

    /// Copies the bytes of `rows` rows to the start of `room`, and where each of them ends, counted from `start`, to that of `ends`.
    pub fn copy(&self, rows: usize, nulls: &Nulls<'_>, start: u32, room: Room<'_>, ends: Room<'_, u32>) -> Result<()> {
        let ends = within(ends, rows, "out_ends", "items")?;
        if let Strings::Between { offsets, bytes } = self {
            let span = span(offsets, nulls)?;
            if span.hidden == 0 {
                let room = fitting(room, span.bytes.len(), start)?;
                let first = span.bytes.start;
                room.write_copy_of_slice(bytes.get(span.bytes).ok_or_else(unordered)?);
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
        let room = fitting(room, self.size(rows, nulls)?, start)?;
        let (mut written, mut ends) = (0, ends.iter_mut());
        self.each(rows, nulls, |value| {
            let target = room.get_mut(written..written + value.len());
            target.ok_or_else(|| malformed("it changes while it is read"))?.write_copy_of_slice(value);
            written += value.len();
            if let Some(end) = ends.next() {
                end.write(start + written as u32);
            }
            Ok(())
        })
    }

    /// Visits the bytes of each row; none for those that are NULL.
    fn each(&self, rows: usize, nulls: &Nulls<'_>, mut visit: impl FnMut(&'a [u8]) -> Result<()>) -> Result<()> {
        let all = nulls.are_none();
        let is_there = |row: usize| all || !nulls.is_null(row);
        match self {
            Strings::Keyed { keys, width, values } => {
                // Looked up once for all rows, unless it has more values than there are rows.
                let known = (values.len() <= rows).then(|| (0..values.len()).map(|at| values.value(at)).collect());
                let known: Option<Vec<&[u8]>> = known.transpose()?;
                let of_key = |key: Option<usize>| match (key, &known) {
                    (Some(key), Some(known)) => known.get(key).copied().ok_or_else(outside),
                    (Some(key), None) => values.value(key),
                    (None, _) => Err(outside()),
                };
                let mut visit_row = |row: usize, key: Option<usize>| match is_there(row) {
                    true => visit(of_key(key)?),
                    false => visit(&[]),
                };
                match width.bytes {
                    1 => number::<1>(keys, width.is_signed).enumerate().try_for_each(|(row, key)| visit_row(row, key)),
                    2 => number::<2>(keys, width.is_signed).enumerate().try_for_each(|(row, key)| visit_row(row, key)),
                    4 => number::<4>(keys, width.is_signed).enumerate().try_for_each(|(row, key)| visit_row(row, key)),
                    _ => number::<8>(keys, width.is_signed).enumerate().try_for_each(|(row, key)| visit_row(row, key)),
                }
            }
            _ => (0..rows).try_for_each(|row| match is_there(row) {
                true => visit(self.value(row)?),
                false => visit(&[]),
            }),
        }
    }

    /// How many values there are.
    fn len(&self) -> usize {
        match self {
            Strings::Between { offsets: Offsets::Narrow(offsets), .. } => offsets.len().saturating_sub(1),
            Strings::Between { offsets: Offsets::Wide(offsets), .. } => offsets.len().saturating_sub(1),
            Strings::Views { views, .. } => views.len(),
            Strings::Keyed { keys, width, .. } => keys.len() / width.bytes.max(1),
        }
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
            // No array of the C data interface has keys for keys.
            Strings::Keyed { .. } => Err(outside()),
        }
    }
}

/// The room for so many bytes, whose ends must fit 32 bits.
fn fitting(room: Room<'_>, needed: usize, start: u32) -> Result<Room<'_>> {
    let room = within(room, needed, "out_bytes", "bytes")?;
    if u32::try_from(needed).ok().and_then(|needed| needed.checked_add(start)).is_none() {
        let message = format!("{needed} bytes behind {start} do not fit ends of 32 bits: copy fewer rows at once");
        return Err(Error::new(Kind::ValueOutOfRange, message));
    }
    Ok(room)
}

fn span(offsets: &Offsets<'_>, nulls: &Nulls<'_>) -> Result<Span> {
    match offsets {
        Offsets::Narrow(offsets) => Span::of(offsets, |offset| i64::from(i32::from_ne_bytes(*offset)), nulls),
        Offsets::Wide(offsets) => Span::of(offsets, |offset| i64::from_ne_bytes(*offset), nulls),
    }
}

/// One of the four numbers of a view.
fn word(view: &[u8; 16], at: usize) -> usize {
    let (words, _) = view.as_chunks::<4>();
    words.get(at).map_or(usize::MAX, |word| u32::from_ne_bytes(*word) as usize)
}

/// The keys of so many bytes each; `None` for those that are negative, which no key is.
fn number<const BYTES: usize>(keys: &[u8], is_signed: bool) -> impl Iterator<Item = Option<usize>> {
    keys.as_chunks::<BYTES>().0.iter().map(move |key| {
        let mut whole = [0; 8];
        let place =
            if cfg!(target_endian = "little") { whole.first_chunk_mut() } else { whole.last_chunk_mut::<BYTES>() };
        *place? = *key;
        let key = u64::from_ne_bytes(whole);
        // The highest bit of a signed key is its sign.
        let is_negative = is_signed && key >> (8 * BYTES - 1) == 1;
        if is_negative { None } else { usize::try_from(key).ok() }
    })
}

fn unordered() -> Error {
    malformed("its offsets do not ascend")
}

fn outside() -> Error {
    malformed("a value lies outside of its buffers")
}
