//! Arrow IPC bytes to record batches: types, framing, decompression, decoding. No I/O here.

mod codec;
mod decode;
mod frame;
mod schema;
mod types;

pub use decode::Decoder;
pub use frame::{Frame, Framer};
pub use schema::{ColumnFacts, check, expected};
pub use types::{Units, data_type, time_unit};
