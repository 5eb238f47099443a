//! Literals, before it is known which column they meet.

/// A value in a predicate.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// NULL: comparisons with it are unknown.
    Null,
    /// TRUE or FALSE.
    Bool(bool),
    /// `unscaled * 10^-scale`, exactly: whole numbers and decimals.
    Decimal {
        /// Digits.
        unscaled: i128,
        /// How many of them are behind the point.
        scale: u8,
    },
    /// A fraction written without a suffix: exact against whole numbers and decimals, the nearest DOUBLE against floating ones.
    Fraction {
        /// Digits.
        unscaled: i128,
        /// How many of them are behind the point, at least one.
        scale: u8,
    },
    /// A floating number.
    Double(Real),
    /// STRING, VARCHAR, CHAR.
    Text(String),
    /// BINARY.
    Binary(Vec<u8>),
    /// Days since 1970-01-01.
    Date(i64),
    /// Nanoseconds since 1970-01-01 00:00:00 UTC: DATETIME, TIMESTAMP.
    Instant(i128),
    /// The same of a clock without a zone: TIMESTAMP_NTZ.
    Clock(i128),
}

/// A floating number that is equal to itself, also if it is NaN. Zero has no sign.
#[derive(Debug, Clone, Copy)]
pub struct Real(f64);

impl Real {
    /// Takes a number; all NaN become one, and so do both zeros.
    pub fn new(value: f64) -> Self {
        match value {
            value if value.is_nan() => Real(f64::NAN),
            0.0 => Real(0.0),
            value => Real(value),
        }
    }

    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl PartialEq for Real {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl Literal {
    /// A whole number.
    pub fn whole(value: impl Into<i128>) -> Self {
        Literal::Decimal { unscaled: value.into(), scale: 0 }
    }

    /// What it is, for a sentence.
    pub(super) fn describe(&self) -> &'static str {
        match self {
            Literal::Null => "NULL",
            Literal::Bool(_) => "a boolean",
            Literal::Decimal { .. } | Literal::Fraction { .. } | Literal::Double(_) => "a number",
            Literal::Text(_) => "text",
            Literal::Binary(_) => "binary",
            Literal::Date(_) => "a date",
            Literal::Instant(_) | Literal::Clock(_) => "a time",
        }
    }
}
