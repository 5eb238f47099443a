//! From a plan to bytes on the wire: rows out of Parquet, into an Arrow IPC stream, in pieces of bounded size.

mod changes;
mod constants;
#[cfg(test)]
mod delta_test;
mod encode;
mod replay;
mod rows;
mod size;
mod stream;
mod wire;

pub use encode::{Compression, Encoder, Shape};
pub use replay::{Replay, ReplayKey};
pub use rows::Rows;
pub use size::batch_size;
pub use stream::pieces;
