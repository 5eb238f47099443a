//! The predicate as written, before names are looked up.

/// Comparison operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A literal as written.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// Digits with an optional fraction: exact. Sign included.
    Number(String),
    /// A fraction without the suffix BD: engines read it as DECIMAL or as DOUBLE. Sign included.
    Fraction(String),
    /// A number with an exponent or a floating suffix.
    Double(f64),
    Text(String),
    Binary(Vec<u8>),
    Bool(bool),
    /// Days since the epoch.
    Date(i64),
    /// Nanoseconds since the epoch.
    Instant(i128),
    Null,
}

/// One side of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    Column {
        name: String,
        position: usize,
    },
    Literal {
        value: Literal,
        position: usize,
    },
    /// Something that was read but is not evaluated.
    Unsupported {
        what: String,
        position: usize,
    },
}

impl Operand {
    /// Where the operand starts, in characters from 1.
    pub fn position(&self) -> usize {
        match self {
            Operand::Column { position, .. }
            | Operand::Literal { position, .. }
            | Operand::Unsupported { position, .. } => *position,
        }
    }
}

/// A boolean expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
    Compare {
        op: Op,
        left: Operand,
        right: Operand,
    },
    In {
        operand: Operand,
        items: Vec<Operand>,
    },
    Between {
        operand: Operand,
        low: Operand,
        high: Operand,
    },
    IsNull(Operand),
    /// An operand that stands alone, such as a BOOLEAN column.
    Truth(Operand),
    Unsupported {
        what: String,
        position: usize,
    },
}
