//! Predicates: the tree, its text, its meaning for the columns of a table, and its evaluation.
//!
//! ```text
//! text ─ parse ─▶ Predicate ─ bind(columns) ─▶ Bound ─┬─ push: text that the service prunes by
//! Arrow literals ─┤    └ render: text for logs, tokens └─ evaluate: which rows of a batch
//! ```
//!
//! A [`Predicate`] knows no types. Binding finds its columns, pushes NOT down to the comparisons and turns each literal into
//! values of its column, so that what is left needs no conversion and no third truth value.

mod bind;
mod calendar;
mod column;
mod domain;
mod evaluate;
mod import;
mod interval;
mod lexer;
mod literal;
mod parser;
mod push;
mod render;
mod select;
mod substrait;
mod tree;

pub use bind::{Bound, Place, bind, columns_of};
pub use column::Column;
pub use domain::{Domain, TypedColumn, View};
pub use import::literals;
pub use literal::{Literal, Real};
pub use push::{Conjunct, Exactness, Pushdown, push};
pub use select::Selection;
pub use tree::{Node, Op, Predicate};
