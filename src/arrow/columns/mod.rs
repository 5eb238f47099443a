//! Columns of Arrow arrays, copied into the columns that an engine has itself: values, NULLs, strings. What lies where is found out by
//! `ffi`, which hands over slices of exactly the rows that are meant; what is copied how is said here.

mod bits;
mod layout;
mod strings;

pub use bits::{Bitmap, Nulls};
pub use layout::{KeyWidth, Layout};
pub use strings::{Offsets, Strings};

use std::mem::MaybeUninit;

use crate::error::{Error, Kind, Result};

/// Memory of the caller, which need not hold anything yet.
pub type Room<'a, T = u8> = &'a mut [MaybeUninit<T>];

/// Values of the same size each.
#[derive(Debug, Clone, Copy)]
pub enum Values<'a> {
    /// A bit each; they are copied as a byte each.
    Bits(Bitmap<'a>),
    /// Bytes, as many for each.
    Bytes(&'a [u8]),
}

impl Values<'_> {
    /// Copies the values of `rows` rows to the start of `room`.
    pub fn copy(&self, rows: usize, room: Room<'_>) -> Result<()> {
        let needed = match self {
            Values::Bits(_) => rows,
            Values::Bytes(bytes) => bytes.len(),
        };
        let room = within(room, needed, "out_values", "bytes")?;
        match self {
            Values::Bits(bits) => bits.spread(room),
            Values::Bytes(bytes) => _ = room.write_copy_of_slice(bytes),
        }
        Ok(())
    }
}

/// The first `needed` items of what the caller has.
pub fn within<'a, T>(room: Room<'a, T>, needed: usize, name: &str, unit: &str) -> Result<Room<'a, T>> {
    let has = room.len();
    room.get_mut(..needed).ok_or_else(|| {
        Error::new(Kind::InvalidArgument, format!("{name} has {has} {unit}, but these rows need {needed}"))
    })
}

/// The error for an array that is not what the C data interface says.
fn malformed(what: &str) -> Error {
    Error::new(Kind::InvalidArgument, format!("array is malformed: {what}"))
}
