//! Arrow IPC bytes to record batches: decompression of bodies, framing, decoding, types. No I/O here.

mod byte_arrays;
mod codec;
pub mod columns;
mod cut;
mod decode;
mod frame;
mod fresh;
mod lz4;
mod made;
mod message;
mod packed;
pub mod policy;
mod schema;
mod seconds;
mod slabs;
mod types;
mod unpack;
mod visible;

pub use byte_arrays::{Builders, BytesKind, CheckedBytes, WideBytes, build_byte_arrays_with};
pub use cut::{Caps, bytes_of};
pub use decode::Decoder;
pub use frame::{Encoded, Frame, Framer, behind_the_end};
pub use fresh::claim_fresh;
pub use schema::{ColumnFacts, PARTITION_KEY, TYPE_KEY, expected, is_partition_key, type_text};
pub use slabs::{Slab, Slabs};
pub use types::{MaxType, Units, data_type, time_unit};
pub use unpack::Unpacker;

use crate::error::{Error, Kind};

/// The error for bytes that are not what they should be.
fn corrupt(message: &str) -> Error {
    Error::new(Kind::CorruptData, message)
}
