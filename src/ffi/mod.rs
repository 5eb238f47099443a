//! The C boundary. The only place with `unsafe`, with `catch_unwind`, and with Arrow's C structs (in `arrow`).
//!
//! Every exported function is: gate, claim outputs, borrow inputs, call the layer below, fill outputs. What a C
//! programmer reads about it is its comment here: `include/maxstorage.h` is generated from this folder.

#![allow(unsafe_code)]
#![allow(non_camel_case_types)]
#![allow(clippy::missing_safety_doc)] // The rules for callers stand in each comment, in the words of the header.

// What every function stands on.
mod args;
mod arrow;
mod byte_arrays;
mod deadline;
mod gate;
mod live;
mod signals;
mod sockets;

// The functions, in the order of the header.
mod status;

mod features;
mod version;

mod callbacks;
mod log;

mod error;

mod options;

mod allocator;
mod credentials;
mod memory;
mod read_end;
mod retry;
mod span;
mod threads;

mod client;

mod predicate;

mod cancel;

mod catalog;

mod scan;
mod scan_async;
mod session;

mod split_info;

mod split;

mod metrics;
mod more_splits;

mod bytes;

mod columns;

pub use allocator::*;
pub use arrow::{ArrowArrayStream, ArrowAsyncDeviceStreamHandler};
pub use byte_arrays::trust_checked_byte_arrays;
pub use bytes::*;
pub use cancel::*;
pub use catalog::*;
pub use client::*;
pub use columns::*;
pub use credentials::*;
pub use error::*;
pub use features::*;
pub use log::*;
pub use memory::*;
pub use metrics::*;
pub use options::*;
pub use predicate::*;
pub use read_end::*;
pub use retry::*;
pub use scan::*;
pub use scan_async::*;
pub use session::*;
pub use sockets::wake_sockets_late;
pub use span::*;
pub use split::*;
pub use split_info::*;
pub use status::*;
pub use threads::*;
pub use version::*;
