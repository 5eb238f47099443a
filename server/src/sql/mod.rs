//! SQL statements: those that SDKs and tests send to define, fill and look at tables.
//!
//! `parser` turns text into [`ast`], `run` runs it. What is not supported fails with the place and the name of the
//! construct. Statements on rights and quotas never come here: area governance takes them first.

mod alter;
mod ast;
mod change;
mod context;
mod csv;
mod cursor;
mod define;
mod error;
mod expr;
mod insert;
mod instances;
mod job;
mod lexer;
mod parser;
mod query;
mod rows;
mod run;
mod show;
mod tables;

pub use csv::{MAX_ROWS, csv};
pub use instances::{Running, start};
pub use job::parse as parse_job;
