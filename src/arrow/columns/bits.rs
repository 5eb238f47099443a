//! Bitmaps, 64 rows at a time.

use std::mem::MaybeUninit;

use super::{Room, within};
use crate::error::Result;

/// Rows that a byte of a bitmap tells of.
const EIGHT: usize = 8;
/// Rows that are looked at together.
const WORD: usize = 64;

/// Bits of consecutive rows, the first of them in the lowest place of its byte that `shift` says.
#[derive(Debug, Clone, Copy)]
pub struct Bitmap<'a> {
    bytes: &'a [u8],
    shift: u32,
}

impl<'a> Bitmap<'a> {
    /// The bits from `shift` on, which is less than 8, of the first byte.
    pub fn new(bytes: &'a [u8], shift: usize) -> Self {
        Bitmap { bytes, shift: (shift % EIGHT) as u32 }
    }

    /// The bits of 64 rows, the first in the lowest place. Bits behind the last byte are 0.
    fn word(&self, index: usize) -> u64 {
        let rest = self.bytes.get(index * EIGHT..).unwrap_or_default();
        let (low, behind) = match rest.split_first_chunk::<EIGHT>() {
            Some((low, behind)) => (u64::from_le_bytes(*low), behind.first()),
            None => (rest.iter().rev().fold(0, |word, byte| word << EIGHT | u64::from(*byte)), None),
        };
        match (self.shift, behind) {
            (0, _) => low,
            (shift, None) => low >> shift,
            (shift, Some(high)) => low >> shift | u64::from(*high) << (WORD as u32 - shift),
        }
    }

    /// Whether the bit of a row is set.
    pub fn is_set(&self, row: usize) -> bool {
        let bit = row + self.shift as usize;
        self.bytes.get(bit / EIGHT).is_some_and(|byte| byte >> (bit % EIGHT) & 1 == 1)
    }

    /// Writes each bit as a byte, 0 or 1.
    pub(super) fn spread(&self, room: Room<'_>) {
        spread_words(room, |index, _| self.word(index));
    }
}

/// Which rows are NULL: those that the column says, and those of which what they are part of is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nulls<'a> {
    /// The column's; `None` if it has none.
    pub own: Option<Bitmap<'a>>,
    /// Those of the struct that the column is part of.
    pub outer: Option<Bitmap<'a>>,
}

impl Nulls<'_> {
    /// Whether no row is NULL, for sure.
    pub fn are_none(&self) -> bool {
        self.own.is_none() && self.outer.is_none()
    }

    /// A bit of 1 for each of 64 rows that is not NULL; `rows` says how many of them there are.
    fn valid(&self, index: usize, rows: usize) -> u64 {
        let bits = |bitmap: &Option<Bitmap<'_>>| bitmap.map_or(u64::MAX, |bitmap| bitmap.word(index));
        let those = if rows < WORD { (1 << rows) - 1 } else { u64::MAX };
        bits(&self.own) & bits(&self.outer) & those
    }

    /// Whether a row is NULL.
    pub(super) fn is_null(&self, row: usize) -> bool {
        let is_valid = |bitmap: &Option<Bitmap<'_>>| bitmap.is_none_or(|bitmap| bitmap.is_set(row));
        !(is_valid(&self.own) && is_valid(&self.outer))
    }

    /// Writes a byte for each of `rows` rows, 1 for NULL, and tells how many are.
    pub fn copy(&self, rows: usize, room: Room<'_>) -> Result<usize> {
        let room = within(room, rows, "out_nulls", "bytes")?;
        let mut valid = 0;
        spread_words(room, |index, rows| {
            let bits = self.valid(index, rows);
            valid += bits.count_ones() as usize;
            !bits
        });
        Ok(rows - valid)
    }

    /// Writes a bit for each of `rows` rows, 1 for a value, the first in the lowest place, and tells how many rows are NULL. Bits of the last
    /// byte that belong to no row are 0.
    pub fn copy_validity(&self, rows: usize, room: Room<'_>) -> Result<usize> {
        let room = within(room, rows.div_ceil(EIGHT), "out_validity", "bytes")?;
        let mut valid = 0;
        for (index, target) in room.chunks_mut(EIGHT).enumerate() {
            let bits = self.valid(index, rows - index * WORD);
            valid += bits.count_ones() as usize;
            target.iter_mut().zip(bits.to_le_bytes()).for_each(|(target, byte)| _ = target.write(byte));
        }
        Ok(rows - valid)
    }
}

/// Each bit as a byte, the lowest first.
fn spread(bits: u8) -> [u8; EIGHT] {
    const EACH: u64 = 0x0101_0101_0101_0101;
    // One bit in each byte is kept, and then moved to its lowest place: adding 0x7f brings it to the highest, whichever it was.
    let kept = (u64::from(bits) * EACH) & 0x8040_2010_0804_0201;
    ((kept + 0x7f * EACH) >> 7 & EACH).to_le_bytes()
}

/// Fills memory with a byte for each bit of words, of which each is asked for with the number of rows that it is about.
fn spread_words(room: Room<'_>, mut word: impl FnMut(usize, usize) -> u64) {
    for (index, rows) in room.chunks_mut(WORD).enumerate() {
        let bits = word(index, rows.len());
        // Most columns have few rows that are NULL.
        if bits == 0 {
            rows.fill(MaybeUninit::new(0));
            continue;
        }
        let bytes = bits.to_le_bytes();
        let (whole, rest) = rows.as_chunks_mut::<EIGHT>();
        let last = bytes.get(whole.len()).copied().unwrap_or_default();
        whole.iter_mut().zip(bytes).for_each(|(target, byte)| _ = target.write_copy_of_slice(&spread(byte)));
        rest.iter_mut().zip(spread(last)).for_each(|(target, byte)| _ = target.write(byte));
    }
}
