//! Literals, and casts of them that lose nothing.

use super::wire::{Message, malformed};
use super::{MAX_LEVELS, too_deep, unsupported};
use crate::error::Result;
use crate::predicate::calendar::{DAY, read_date, read_time};
use crate::predicate::{Literal, Real};

/// Most digits of a decimal.
const MAX_DIGITS: u32 = 38;

/// The value of a literal.
pub(super) fn literal(message: &Message) -> Result<Literal> {
    // Besides the value there may be whether its type takes NULL, which says nothing about the value, and a variation of the type.
    if message.reference(51)? != 0 {
        return Err(unsupported("a literal of a type variation"));
    }
    let Some(kind) = single(message.numbers().filter(|number| ![50, 51].contains(number)))? else {
        return Err(malformed("a literal without a value"));
    };
    Ok(match kind {
        1 => Literal::Bool(message.whole(1)? != 0),
        2 | 3 | 5 => Literal::whole(message.int(kind)?),
        7 => Literal::whole(message.whole(7)?),
        10 => Literal::Double(Real::new(message.single(10)?.into())),
        11 => Literal::Double(Real::new(message.double(11)?)),
        12 | 21 => Literal::Text(message.text(kind)?.to_owned()),
        22 => Literal::Text(message.message(22)?.map_or(Ok(""), |text| text.text(1))?.to_owned()),
        13 | 23 => Literal::Binary(message.bytes(kind)?.to_owned()),
        16 => Literal::Date(message.int(16)?.into()),
        24 => decimal(&message.message(24)?.unwrap_or_else(Message::empty))?,
        // Microseconds, in messages of before the precise ones.
        14 => Literal::Clock(i128::from(message.whole(14)?) * 1000),
        27 => Literal::Instant(i128::from(message.whole(27)?) * 1000),
        34 => Literal::Clock(precise(&message.message(34)?.unwrap_or_else(Message::empty))?),
        35 => Literal::Instant(precise(&message.message(35)?.unwrap_or_else(Message::empty))?),
        29 => Literal::Null,
        other => return Err(unsupported(&format!("a literal of {}", kind_of_literal(other)))),
    })
}

fn kind_of_literal(number: u32) -> &'static str {
    match number {
        17 | 37 => "a time of day",
        19 | 20 | 36 => "an interval",
        25 => "a struct",
        26 | 32 => "a map",
        28 => "a UUID",
        30 | 31 => "a list",
        33 => "a type of an extension",
        _ => "a type that is not known",
    }
}

fn decimal(message: &Message) -> Result<Literal> {
    let bytes: [u8; 16] = message.bytes(1)?.try_into().map_err(|_| malformed("a decimal that has not 16 bytes"))?;
    let unscaled = i128::from_le_bytes(bytes);
    let (precision, scale) = (message.int(2)?, message.int(3)?);
    let (precision, scale) = size_of_decimal(precision, scale)?;
    if unscaled.unsigned_abs() >= 10u128.pow(precision) {
        return Err(malformed("a decimal of more digits than its precision"));
    }
    Ok(Literal::Decimal { unscaled, scale })
}

fn size_of_decimal(precision: i32, scale: i32) -> Result<(u32, u8)> {
    let precision = u32::try_from(precision).ok().filter(|digits| (1..=MAX_DIGITS).contains(digits));
    let found = precision.and_then(|precision| {
        let scale = u8::try_from(scale).ok().filter(|scale| u32::from(*scale) <= precision)?;
        Some((precision, scale))
    });
    found.ok_or_else(|| malformed("a decimal of a precision that there is not"))
}

/// Nanoseconds of a time with its precision.
fn precise(message: &Message) -> Result<i128> {
    let value = i128::from(message.whole(2)?);
    match unit(message.int(1)?)? {
        Unit::Nanos(nanos) => Ok(value * nanos),
        Unit::Parts(parts) if value.rem_euclid(parts) == 0 => Ok(value.div_euclid(parts)),
        Unit::Parts(_) => Err(unsupported("a time finer than nanoseconds")),
    }
}

enum Unit {
    /// So many nanoseconds.
    Nanos(i128),
    /// One of so many parts of a nanosecond.
    Parts(i128),
}

fn unit(precision: i32) -> Result<Unit> {
    match u32::try_from(precision) {
        Ok(digits @ 0..=9) => Ok(Unit::Nanos(10i128.pow(9 - digits))),
        Ok(digits @ 10..=12) => Ok(Unit::Parts(10i128.pow(digits - 9))),
        _ => Err(malformed("a time of a precision that there is not")),
    }
}

/// A literal, or a cast of one.
pub(super) fn cast(expression: &Message, level: usize) -> Result<Literal> {
    if level > MAX_LEVELS {
        return Err(too_deep());
    }
    if let Some(message) = expression.message(1)? {
        return literal(&message);
    }
    let Some(cast_of) = expression.message(11)? else {
        return Err(unsupported("a cast of something else than a literal"));
    };
    let input = cast_of.message(2)?.ok_or_else(|| malformed("a cast of nothing"))?;
    let target = cast_of.message(1)?.ok_or_else(|| malformed("a cast to nothing"))?;
    let value = cast(&input, level + 1)?;
    if value == Literal::Null {
        return Ok(value);
    }
    let target_kind = single(target.numbers())?.ok_or_else(|| malformed("a cast to nothing"))?;
    let inner = target.message(target_kind)?.unwrap_or_else(Message::empty);
    converted(&value, target_kind, &inner)?
        .ok_or_else(|| unsupported(&format!("a cast of the literal {value} that changes it, or may")))
}

/// The value in another type, if it is the same there.
fn converted(value: &Literal, target: u32, inner: &Message) -> Result<Option<Literal>> {
    Ok(match target {
        1 => matches!(value, Literal::Bool(_)).then(|| value.clone()),
        2 => whole(value, i8::MIN.into(), i8::MAX.into()),
        3 => whole(value, i16::MIN.into(), i16::MAX.into()),
        5 => whole(value, i32::MIN.into(), i32::MAX.into()),
        7 => whole(value, i64::MIN.into(), i64::MAX.into()),
        10 => double(value).filter(|number| number.is_nan() || f64::from(*number as f32) == *number).map(real),
        11 => double(value).map(real),
        12 => matches!(value, Literal::Text(_)).then(|| value.clone()),
        // Padded otherwise, or cut.
        21 => text(value, |length| i64::try_from(length).ok() == inner.int(1).ok().map(i64::from)),
        22 => {
            text(value, |length| i64::try_from(length).is_ok_and(|length| length <= inner.int(1).map_or(0, i64::from)))
        }
        13 => matches!(value, Literal::Binary(_)).then(|| value.clone()),
        16 => date(value),
        24 => {
            let (precision, scale) = size_of_decimal(inner.int(2)?, inner.int(1)?)?;
            to_decimal(value, precision, scale)
        }
        14 => time(value, Literal::Clock, Unit::Nanos(1000)),
        29 => time(value, Literal::Instant, Unit::Nanos(1000)),
        33 => time(value, Literal::Clock, unit(inner.int(1)?)?),
        34 => time(value, Literal::Instant, unit(inner.int(1)?)?),
        _ => None,
    })
}

fn real(value: f64) -> Literal {
    Literal::Double(Real::new(value))
}

/// A number as a whole one within limits.
fn whole(value: &Literal, low: i128, high: i128) -> Option<Literal> {
    to_decimal(value, MAX_DIGITS, 0)
        .filter(|value| matches!(value, Literal::Decimal { unscaled, .. } if (low..=high).contains(unscaled)))
}

/// A number with so many digits, so many of them behind the point.
fn to_decimal(value: &Literal, precision: u32, scale: u8) -> Option<Literal> {
    let (unscaled, from) = match value {
        Literal::Decimal { unscaled, scale } => (*unscaled, *scale),
        // Whole numbers up to 2^53, where each is a double of its own.
        Literal::Double(number) if number.get().fract() == 0.0 && number.get().abs() <= 9_007_199_254_740_992.0 => {
            (number.get() as i128, 0)
        }
        _ => return None,
    };
    let unscaled = if scale >= from {
        unscaled.checked_mul(10i128.checked_pow(u32::from(scale - from))?)?
    } else {
        let divisor = 10i128.checked_pow(u32::from(from - scale))?;
        (unscaled % divisor == 0).then_some(unscaled / divisor)?
    };
    (unscaled.unsigned_abs() < 10u128.pow(precision)).then_some(Literal::Decimal { unscaled, scale })
}

/// A number as a double, if it is one.
fn double(value: &Literal) -> Option<f64> {
    match value {
        Literal::Double(number) => Some(number.get()),
        Literal::Decimal { unscaled, scale } => {
            let number: f64 = format!("{unscaled}e-{scale}").parse().ok()?;
            is_exact(number, *unscaled, *scale).then_some(number)
        }
        _ => None,
    }
}

/// Whether a double is `unscaled * 10^-scale`. It has as many decimal digits behind the point as it has binary ones, so with all
/// of them within the scale the text of the number is the number itself.
fn is_exact(number: f64, unscaled: i128, scale: u8) -> bool {
    let digits = format!("{number:.width$}", width = usize::from(scale)).replace('.', "");
    (number * 2f64.powi(scale.into())).fract() == 0.0 && digits.parse::<i128>() == Ok(unscaled)
}

fn text(value: &Literal, fits: impl Fn(usize) -> bool) -> Option<Literal> {
    match value {
        Literal::Text(text) if fits(text.chars().count()) => Some(value.clone()),
        _ => None,
    }
}

fn date(value: &Literal) -> Option<Literal> {
    match value {
        Literal::Date(_) => Some(value.clone()),
        Literal::Text(text) => read_date(text).map(Literal::Date),
        Literal::Clock(nanos) if nanos.rem_euclid(DAY) == 0 => {
            i64::try_from(nanos.div_euclid(DAY)).ok().map(Literal::Date)
        }
        _ => None,
    }
}

/// A time in a unit. Between a clock without a zone and an instant there is a zone, which the message does not name.
fn time(value: &Literal, kind: fn(i128) -> Literal, unit: Unit) -> Option<Literal> {
    let nanos = match (value, kind(0)) {
        (Literal::Clock(nanos), Literal::Clock(_)) | (Literal::Instant(nanos), Literal::Instant(_)) => *nanos,
        (Literal::Date(days), Literal::Clock(_)) => i128::from(*days) * DAY,
        (Literal::Text(text), Literal::Clock(_)) => {
            read_date(text).map(|days| i128::from(days) * DAY).or_else(|| read_time(text))?
        }
        _ => return None,
    };
    match unit {
        Unit::Nanos(step) if nanos.rem_euclid(step) != 0 => None,
        _ => Some(kind(nanos)),
    }
}

/// The one number of a choice of fields.
pub(super) fn single(mut numbers: impl Iterator<Item = u32>) -> Result<Option<u32>> {
    match (numbers.next(), numbers.next()) {
        (found, None) => Ok(found),
        _ => Err(malformed("two values where one of several belongs")),
    }
}
