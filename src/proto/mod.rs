//! The wire protocol as data: requests that can be sent, answers that were received. No I/O here.
//!
//! Source of the facts: Storage API v1 and the REST conventions of MaxCompute.

pub mod failure;
pub mod metadata;
pub mod preview;
mod request;
mod table_name;
pub mod v1;
mod xml;

pub use request::{Method, Request};
pub use table_name::{TableName, check_name};
