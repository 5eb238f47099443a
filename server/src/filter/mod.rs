//! `FilterPredicate`: text to tree, tree to bound tree, bound tree to "can a row of this block match?".
//!
//! Grammar: storage-api-v1.md section 5 and service-behaviour.md 2.2 to 2.5. A predicate skips blocks in which provably
//! no row is true, or, on request, picks the rows that are true; everything it does not understand keeps every row.

mod ast;
mod bind;
mod evaluate;
mod facts;
mod keys;
mod lexer;
mod parser;
#[cfg(test)]
mod property_test;
mod prune;
mod value;

pub use bind::{Bound, Rules, bind};
pub use evaluate::matches;
pub use facts::{BlockFacts, Facts, of_file};
pub use keys::required_values;
pub use parser::parse;
pub use prune::can_match;
pub use value::Value;

use serde::{Deserialize, Serialize};

use crate::catalog::Column;

/// A predicate as it was sent, with the rules by which it is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Predicate {
    pub text: String,
    pub rules: Rules,
}

impl Predicate {
    /// The bound tree over these columns, data columns first; `None` if the text holds no predicate.
    pub fn bind(&self, columns: &[&Column]) -> Result<Option<Bound>, FilterError> {
        parse(&self.text)?.map(|expr| bind(&expr, columns, self.rules)).transpose()
    }
}

/// Why a predicate was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FilterError {
    /// The text is not a predicate at all. Fatal even with fallback.
    Malformed { what: String, position: usize },
    /// The text is a predicate with a construct outside the supported set. With fallback, that part keeps every row.
    Unsupported { what: String, position: usize },
}

impl std::error::Error for FilterError {}

impl std::fmt::Display for FilterError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            FilterError::Malformed { what, position } => {
                write!(f, "malformed FilterPredicate at character {position}: {what}")
            }
            FilterError::Unsupported { what, position } => {
                write!(f, "unsupported FilterPredicate at character {position}: {what}")
            }
        }
    }
}
