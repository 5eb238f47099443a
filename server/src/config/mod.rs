//! Where settings come from: command line, then environment, then file, then the defaults.
//!
//! The options of `serve` are declared once, in `cli`. A file may set each of them under its long name, and so may the
//! environment; both reach the command-line parser as values it falls back to.

mod file;
mod options;
mod print;
mod seed;

pub use options::parse;
pub use print::{commented, described};
pub use seed::Seed;
