//! From a plan to bytes on the wire: rows out of Parquet, into an Arrow IPC stream, in pieces of bounded size.

mod changes;
mod coding;
mod constants;
#[cfg(test)]
mod delta_test;
mod encode;
mod overflow;
#[cfg(test)]
mod property_test;
mod recast;
mod replay;
#[cfg(test)]
mod round_trip_test;
mod rows;
mod size;
mod source;
mod stream;
mod wire;

pub use coding::{Coded, Coding};
pub use encode::{Compression, Encoder, Shape};
pub use overflow::timestamps_overflow;
pub use recast::{Recast, Recolumn};
pub use replay::{Replay, ReplayKey};
pub use rows::Rows;
pub use size::batch_size;
pub use source::{Batches, Joined, Pieces};
pub use stream::pieces;
