//! The HTTP listener: one port, service plane under `/api`, storage plane under `/api/storage/v1`.

mod accept;
mod admin;
mod auth;
mod canonical;
mod data;
mod faults;
mod instances;
mod query;
mod reply;
mod request;
mod route;
mod schemas;
mod server;
mod service;
mod sessions;
mod state;
mod subject;
mod tables;
mod unparsed;
mod write_sessions;
mod xml;

pub use auth::Account;
pub use server::serve;
pub use state::{Profile, ServeOptions, Shared};
