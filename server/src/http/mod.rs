//! The HTTP listener: one port, service plane under `/api`, storage plane under `/api/storage/v1`, `v2` and `v3`.

mod accept;
mod admin;
mod auth;
mod canonical;
mod data;
mod document;
mod faults;
mod instances;
mod paging;
mod projects;
mod query;
mod reply;
mod request;
mod route;
mod schemas;
mod security;
mod server;
mod service;
mod sessions;
mod state;
mod subject;
mod tables;
mod tls;
mod tunnel;
mod unparsed;
mod v2;
mod write_sessions;
mod xml;

pub use auth::{Account, bearer_id, sign};
pub use request::{Head, Plane};
pub use server::{no_such, serve};
pub use sessions::blocking;
pub use state::{Profile, ServeOptions, Shared};
pub use tls::TlsOptions;
pub use v2::DEFAULT_SESSION;
pub use xml::element;
