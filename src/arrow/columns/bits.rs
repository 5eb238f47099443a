//! Bitmaps, eight rows at a time.

use std::mem::MaybeUninit;

use super::{Room, within};
use crate::error::Result;

/// Rows that a byte of a bitmap tells of.
const EIGHT: usize = 8;

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

    /// The bits of eight rows. Bits behind the last byte are 0.
    fn eight(&self, block: usize) -> u8 {
        let at = |index: usize| u16::from(self.bytes.get(index).copied().unwrap_or_default());
        let pair = at(block) | at(block + 1) << EIGHT;
        (pair >> self.shift) as u8
    }

    /// Writes each bit as a byte, 0 or 1.
    pub(super) fn spread(&self, room: Room<'_>) {
        each_block(room, |block| spread(self.eight(block)));
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

    /// A bit of 1 for each of eight rows that is not NULL.
    fn valid(&self, block: usize) -> u8 {
        let bits = |bitmap: &Option<Bitmap<'_>>| bitmap.map_or(u8::MAX, |bitmap| bitmap.eight(block));
        bits(&self.own) & bits(&self.outer)
    }

    /// Whether a row is NULL.
    pub(super) fn is_null(&self, row: usize) -> bool {
        self.valid(row / EIGHT) >> (row % EIGHT) & 1 == 0
    }

    /// Writes a byte for each of `rows` rows, 1 for NULL, and tells how many are.
    pub fn copy(&self, rows: usize, room: Room<'_>) -> Result<usize> {
        let room = within(room, rows, "out_nulls", "bytes")?;
        if self.are_none() {
            room.fill(MaybeUninit::new(0));
            return Ok(0);
        }
        let mut count = 0;
        each_block(room, |block| {
            let nulls = !self.valid(block) & first(rows - block * EIGHT);
            count += nulls.count_ones() as usize;
            spread(nulls)
        });
        Ok(count)
    }

    /// Writes a bit for each of `rows` rows, 1 for a value, the first in the lowest place, and tells how many rows are NULL. Bits of the last
    /// byte that belong to no row are 0.
    pub fn copy_validity(&self, rows: usize, room: Room<'_>) -> Result<usize> {
        let room = within(room, rows.div_ceil(EIGHT), "out_validity", "bytes")?;
        let mut valid = 0;
        for (block, byte) in room.iter_mut().enumerate() {
            let bits = self.valid(block) & first(rows - block * EIGHT);
            valid += bits.count_ones() as usize;
            byte.write(bits);
        }
        Ok(rows - valid)
    }
}

/// The bits of so many rows, at most eight.
fn first(rows: usize) -> u8 {
    match rows {
        0..EIGHT => (1 << rows) - 1,
        _ => u8::MAX,
    }
}

/// Each bit as a byte, the lowest first.
fn spread(bits: u8) -> [u8; EIGHT] {
    const EACH: u64 = 0x0101_0101_0101_0101;
    // One bit in each byte is kept, and then moved to its lowest place: adding 0x7f brings it to the highest, whichever it was.
    let kept = (u64::from(bits) * EACH) & 0x8040_2010_0804_0201;
    ((kept + 0x7f * EACH) >> 7 & EACH).to_le_bytes()
}

/// Fills memory eight bytes at a time, the last of them in part.
fn each_block(room: Room<'_>, mut bytes: impl FnMut(usize) -> [u8; EIGHT]) {
    let (whole, rest) = room.as_chunks_mut::<EIGHT>();
    let blocks = whole.len();
    for (block, target) in whole.iter_mut().enumerate() {
        target.write_copy_of_slice(&bytes(block));
    }
    if !rest.is_empty() {
        for (target, byte) in rest.iter_mut().zip(bytes(blocks)) {
            target.write(byte);
        }
    }
}
