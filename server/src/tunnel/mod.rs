//! The forms in which the classic tunnel carries rows: records, Arrow in checked chunks, and the codings around both.
//!
//! Learnt from the official clients (PyODPS `odps/tunnel`, the Java SDK `com.aliyun.odps.tunnel`); nothing of this is in
//! a public specification.

mod coding;
mod decimal;
mod decode;
mod encode;
mod error;
mod frame;
mod layout;
#[cfg(test)]
mod property_test;
mod wire;

pub use coding::{Coder, Coding, decoder};
pub use decode::RecordReader;
pub use encode::RecordWriter;
pub use error::StreamError;
pub use frame::{FrameReader, FrameWriter};
pub use layout::{Instants, arrow_schema, record_schema, schema_message, to_arrow_layout};
