//! The wire protocol as data: what is asked for ([`call`]), the requests that ask for it in each [`Version`], and the answers
//! ([`answer`], [`failure`]). No I/O here.
//!
//! Source of the facts: Storage API versions 1, 2 and 3, and the REST conventions of MaxCompute.

pub mod answer;
pub mod call;
mod discovery;
pub mod failure;
pub mod metadata;
mod nested_schema;
mod request;
mod source;
mod table_name;
mod v1;
mod v2;
mod version;
mod xml;

pub use discovery::discover;
pub use request::{Method, ROUTE_TOKEN, Request, TRACE_PARENT};
pub use source::Source;
pub use table_name::{TableName, check_name};
pub use version::{Version, may_lack_version};
