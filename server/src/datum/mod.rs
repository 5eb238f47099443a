//! Single values: what SQL literals are, what records of the tunnel carry, what CSV shows.
//!
//! Everything that moves rows in bulk uses Arrow; this is the bridge for what comes or goes cell by cell.

mod arrays;
mod cast;
mod text;

use crate::types::Type;

pub use arrays::{array, at};

/// A value of any type. It has no type of its own: [`Datum::cast`] brings it into the form that a type has.
#[derive(Clone, Debug, PartialEq)]
pub enum Datum {
    Null,
    Bool(bool),
    /// An exact number: `unscaled * 10^-scale`.
    Number {
        unscaled: i128,
        scale: u32,
    },
    Double(f64),
    Text(String),
    Bytes(Vec<u8>),
    /// Days since the epoch.
    Date(i64),
    /// Nanoseconds since the epoch.
    Instant(i128),
    /// INTERVAL_YEAR_MONTH.
    Months(i128),
    /// INTERVAL_DAY_TIME in nanoseconds.
    Duration(i128),
    List(Vec<Datum>),
    Map(Vec<(Datum, Datum)>),
    /// Fields in declared order.
    Struct(Vec<Datum>),
}

impl Datum {
    /// A whole number.
    pub fn int(value: impl Into<i128>) -> Datum {
        Datum::Number { unscaled: value.into(), scale: 0 }
    }

    /// The value of digits with an optional sign, fraction and exponent.
    pub fn number(text: &str) -> Option<Datum> {
        if text.contains(['e', 'E']) {
            return text.parse().ok().map(Datum::Double);
        }
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = format!("{whole}{fraction}");
        let bare = digits.strip_prefix(['-', '+']).unwrap_or(&digits);
        if bare.is_empty() || !bare.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        Some(Datum::Number { unscaled: digits.parse().ok()?, scale: u32::try_from(fraction.len()).ok()? })
    }

    /// The number with the other sign; `None` for what has no sign.
    pub fn negate(self) -> Option<Datum> {
        Some(match self {
            Datum::Number { unscaled, scale } => Datum::Number { unscaled: unscaled.checked_neg()?, scale },
            Datum::Double(value) => Datum::Double(-value),
            Datum::Months(months) => Datum::Months(-months),
            Datum::Duration(nanos) => Datum::Duration(-nanos),
            _ => return None,
        })
    }

    /// The type of a literal that nobody cast: whole numbers are INT or BIGINT, times are TIMESTAMP.
    pub fn natural_type(&self) -> Type {
        match self {
            Datum::Null | Datum::Text(_) => Type::String,
            Datum::Bool(_) => Type::Boolean,
            Datum::Number { unscaled, scale: 0 } if i32::try_from(*unscaled).is_ok() => Type::Int,
            Datum::Number { unscaled, scale: 0 } if i64::try_from(*unscaled).is_ok() => Type::BigInt,
            Datum::Number { scale, .. } => Type::Decimal(38, i8::try_from(*scale).unwrap_or(18).min(38)),
            Datum::Double(_) => Type::Double,
            Datum::Bytes(_) => Type::Binary,
            Datum::Date(_) => Type::Date,
            Datum::Instant(_) => Type::Timestamp,
            Datum::Months(_) => Type::IntervalYearMonth,
            Datum::Duration(_) => Type::IntervalDayTime,
            Datum::List(items) => Type::Array(Box::new(items.first().map_or(Type::String, Datum::natural_type))),
            Datum::Map(pairs) => {
                let (key, value) = pairs
                    .first()
                    .map_or((Type::String, Type::String), |(key, value)| (key.natural_type(), value.natural_type()));
                Type::Map(Box::new(key), Box::new(value))
            }
            Datum::Struct(fields) => Type::Struct(
                fields.iter().enumerate().map(|(i, field)| (format!("col{}", i + 1), field.natural_type())).collect(),
            ),
        }
    }
}
