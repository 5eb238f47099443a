//! The native way into MaxCompute: reads tables through the Storage API (Open Storage) as Arrow batches.
//!
//! The C interface is `include/maxstorage.h`; this crate is also usable from Rust as it is. The modules below are
//! listed in layers; a module uses only what lies above it in this list (`tests/layers.rs` checks it).
//!
//! The way of a batch, from the wire to the engine: `transport` (HTTP body) → `arrow` (frames, messages, record
//! batch) → `split` (bounded hand-off to the engine's thread) → `ffi` (Arrow C Data Interface).

#![deny(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::unreachable)
)]

// Layer 0: facts about failures, memory and settings.
pub mod error;
pub mod memory;
pub mod metrics;
pub mod options;

// Layer 1: encodings, no I/O.
pub mod arrow;
pub mod auth;
pub mod proto;

// What rows are wanted.
pub mod predicate;

// Layer 2: threads and network.
pub mod runtime;
pub mod transport;

// Layer 3: what an engine works with.
pub mod catalog;
pub mod client;
pub mod session;
pub mod split;

// Many splits at once.
pub mod scan;

// Layer 4: the C boundary.
pub mod ffi;
