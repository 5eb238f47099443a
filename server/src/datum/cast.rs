//! Values into the form of a type, as implicit conversion and CAST do it.

use super::Datum;
use crate::types::Type;
use crate::types::temporal::{DAY_NANOS, parse_date, parse_instant};

/// Most digits of an exact number.
const MAX_DIGITS: u32 = 38;

impl Datum {
    /// The value as one of type `ty`, or the sentence why it is none. NULL stays NULL.
    ///
    /// Decimals are rounded half away from zero to the scale of the type; nothing else loses digits in silence but CAST
    /// of a fraction to a whole number, which cuts, and of an instant to DATETIME, which floors to milliseconds.
    pub fn cast(self, ty: &Type) -> Result<Datum, String> {
        let refuse = |value: &Datum| Err(format!("{} cannot be converted to {ty}", value.describe()));
        if self == Datum::Null {
            return Ok(Datum::Null);
        }
        Ok(match ty {
            Type::TinyInt => self.whole(i8::MIN.into(), i8::MAX.into(), ty)?,
            Type::SmallInt => self.whole(i16::MIN.into(), i16::MAX.into(), ty)?,
            Type::Int => self.whole(i32::MIN.into(), i32::MAX.into(), ty)?,
            Type::BigInt => self.whole(i64::MIN.into(), i64::MAX.into(), ty)?,
            Type::Float => match self.floating(ty)? {
                Datum::Double(value) => Datum::Double(f64::from(value as f32)),
                other => other,
            },
            Type::Double => self.floating(ty)?,
            Type::Boolean => match self {
                Datum::Bool(value) => Datum::Bool(value),
                Datum::Text(text) if text.eq_ignore_ascii_case("true") => Datum::Bool(true),
                Datum::Text(text) if text.eq_ignore_ascii_case("false") => Datum::Bool(false),
                Datum::Number { unscaled, .. } => Datum::Bool(unscaled != 0),
                other => return refuse(&other),
            },
            Type::String | Type::Json => Datum::Text(self.plain_text(ty)?),
            Type::Varchar(limit) => self.bounded_text(*limit, ty)?,
            Type::Char(limit) => {
                let text = self.plain_text(ty)?;
                Datum::Text(text.trim_end_matches(' ').to_string()).bounded_text(*limit, ty)?
            }
            Type::Binary | Type::Blob => match self {
                Datum::Bytes(bytes) => Datum::Bytes(bytes),
                Datum::Text(text) => Datum::Bytes(text.into_bytes()),
                other => return refuse(&other),
            },
            Type::Date => match self {
                Datum::Date(days) => Datum::Date(days),
                Datum::Instant(nanos) => Datum::Date(nanos.div_euclid(DAY_NANOS) as i64),
                Datum::Text(text) => match parse_date(&text) {
                    Some(days) => Datum::Date(days),
                    None => return refuse(&Datum::Text(text)),
                },
                other => return refuse(&other),
            },
            Type::Datetime | Type::Timestamp | Type::TimestampNtz => {
                let unit = if *ty == Type::Datetime { 1_000_000 } else { 1 };
                match self {
                    Datum::Instant(nanos) => Datum::Instant(nanos.div_euclid(unit) * unit),
                    Datum::Date(days) => Datum::Instant(i128::from(days) * DAY_NANOS),
                    Datum::Text(text) => match parse_instant(&text) {
                        Some(nanos) => Datum::Instant(nanos.div_euclid(unit) * unit),
                        None => return refuse(&Datum::Text(text)),
                    },
                    other => return refuse(&other),
                }
            }
            Type::IntervalYearMonth if matches!(self, Datum::Months(_)) => self,
            Type::IntervalDayTime if matches!(self, Datum::Duration(_)) => self,
            Type::Decimal(precision, scale) => self.decimal(u32::from(*precision), *scale, ty)?,
            Type::PlainDecimal => self.decimal(MAX_DIGITS, 18, ty)?,
            Type::Array(item) => match self {
                Datum::List(items) => Datum::List(items.into_iter().map(|v| v.cast(item)).collect::<Result<_, _>>()?),
                other => return refuse(&other),
            },
            Type::Map(key, value) => match self {
                Datum::Map(pairs) => {
                    let pair = |(k, v): (Datum, Datum)| match k.cast(key)? {
                        Datum::Null => Err("the key of a map is NULL".to_string()),
                        k => Ok((k, v.cast(value)?)),
                    };
                    Datum::Map(pairs.into_iter().map(pair).collect::<Result<_, _>>()?)
                }
                other => return refuse(&other),
            },
            Type::Struct(fields) => match self {
                Datum::Struct(values) if values.len() == fields.len() => {
                    let pairs = values.into_iter().zip(fields);
                    Datum::Struct(pairs.map(|(v, (_, ty))| v.cast(ty)).collect::<Result<_, _>>()?)
                }
                other => return refuse(&other),
            },
            Type::IntervalYearMonth | Type::IntervalDayTime => return refuse(&self),
        })
    }

    fn describe(&self) -> String {
        match self {
            Datum::List(_) | Datum::Map(_) | Datum::Struct(_) => "a nested value".into(),
            other => format!("'{}'", other.text(&other.natural_type())),
        }
    }

    fn whole(self, low: i128, high: i128, ty: &Type) -> Result<Datum, String> {
        let refuse = |value: &Datum| format!("{} is outside the range of {ty}", value.describe());
        let value = match &self {
            Datum::Number { unscaled, scale } => 10i128.checked_pow(*scale).map(|unit| unscaled / unit),
            Datum::Double(value) if value.is_finite() && value.abs() < 1e19 => Some(*value as i128),
            Datum::Bool(value) => Some(i128::from(*value)),
            Datum::Text(text) => match Datum::number(text.trim()) {
                Some(number) => return number.whole(low, high, ty),
                None => return Err(format!("{} cannot be converted to {ty}", self.describe())),
            },
            Datum::Double(_) => None,
            _ => return Err(format!("{} cannot be converted to {ty}", self.describe())),
        };
        value.filter(|value| (low..=high).contains(value)).map(Datum::int).ok_or_else(|| refuse(&self))
    }

    fn floating(self, ty: &Type) -> Result<Datum, String> {
        let value = match &self {
            // By way of text, which is rounded once.
            Datum::Number { unscaled, scale } => format!("{unscaled}e-{scale}").parse().ok(),
            Datum::Double(value) => Some(*value),
            Datum::Text(text) => text.trim().parse().ok(),
            _ => None,
        };
        value.map(Datum::Double).ok_or_else(|| format!("{} cannot be converted to {ty}", self.describe()))
    }

    fn decimal(self, precision: u32, scale: i8, ty: &Type) -> Result<Datum, String> {
        let scale = u32::try_from(scale).unwrap_or_default();
        let refuse = |value: &Datum| format!("{} cannot be converted to {ty}", value.describe());
        let (unscaled, from) = match &self {
            Datum::Number { unscaled, scale } => (*unscaled, *scale),
            Datum::Text(text) => match Datum::number(text.trim()) {
                Some(number @ Datum::Number { .. }) => return number.decimal(precision, scale as i8, ty),
                _ => return Err(refuse(&self)),
            },
            Datum::Double(value) if value.is_finite() => match Datum::number(&format!("{value}")) {
                Some(number @ Datum::Number { .. }) => return number.decimal(precision, scale as i8, ty),
                _ => return Err(refuse(&self)),
            },
            _ => return Err(refuse(&self)),
        };
        let value = if from <= scale {
            10i128.checked_pow(scale - from).and_then(|unit| unscaled.checked_mul(unit))
        } else {
            10i128.checked_pow(from - scale).map(|unit| {
                let (whole, rest) = (unscaled / unit, unscaled % unit);
                whole + if rest.abs() * 2 >= unit { rest.signum() } else { 0 }
            })
        };
        let bound = 10u128.checked_pow(precision).unwrap_or(u128::MAX);
        match value.filter(|value| value.unsigned_abs() < bound) {
            Some(unscaled) => Ok(Datum::Number { unscaled, scale }),
            None => Err(format!("{} has too many digits for {ty}", self.describe())),
        }
    }

    fn plain_text(self, ty: &Type) -> Result<String, String> {
        match self {
            Datum::Text(text) => Ok(text),
            Datum::Bytes(bytes) => String::from_utf8(bytes).map_err(|_| format!("binary is no text for {ty}")),
            Datum::List(_) | Datum::Map(_) | Datum::Struct(_) => {
                Err(format!("{} cannot be converted to {ty}", self.describe()))
            }
            other => Ok(other.text(&other.natural_type())),
        }
    }

    fn bounded_text(self, limit: u32, ty: &Type) -> Result<Datum, String> {
        let text = self.plain_text(ty)?;
        match text.chars().count() <= limit as usize {
            true => Ok(Datum::Text(text)),
            false => Err(format!("a text of {} characters does not fit {ty}", text.chars().count())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cast(value: Datum, ty: &str) -> Result<Datum, String> {
        value.cast(&ty.parse().unwrap())
    }

    #[test]
    fn values_take_the_form_of_their_type() {
        let number = |text: &str| Datum::number(text).unwrap();
        let text = |text: &str| Datum::Text(text.into());
        assert_eq!(cast(number("7"), "tinyint"), Ok(Datum::int(7)));
        assert!(cast(number("300"), "tinyint").unwrap_err().contains("outside the range"));
        assert_eq!(cast(number("1.5"), "decimal(10,2)"), Ok(Datum::Number { unscaled: 150, scale: 2 }));
        assert_eq!(cast(number("1.005"), "decimal(10,2)"), Ok(Datum::Number { unscaled: 101, scale: 2 }));
        assert!(cast(number("123.4"), "decimal(3,1)").is_err());
        assert_eq!(cast(text("12"), "bigint"), Ok(Datum::int(12)));
        assert!(cast(text("x"), "bigint").is_err());
        assert_eq!(cast(number("0.1"), "double"), Ok(Datum::Double(0.1)));
        assert_eq!(cast(number("12"), "string"), Ok(text("12")));
        assert_eq!(cast(text("1970-01-02"), "date"), Ok(Datum::Date(1)));
        assert_eq!(cast(text("1970-01-01 00:00:01"), "datetime"), Ok(Datum::Instant(1_000_000_000)));
        assert!(cast(text("abc"), "varchar(2)").is_err());
        assert_eq!(cast(text("a  "), "char(2)"), Ok(text("a")));
        assert_eq!(cast(Datum::Null, "bigint"), Ok(Datum::Null));
        let nested = Datum::List(vec![Datum::Struct(vec![number("1"), text("x")])]);
        assert!(cast(nested.clone(), "array<struct<a:bigint,b:string>>").is_ok());
        assert!(cast(nested, "array<bigint>").is_err());
    }
}
