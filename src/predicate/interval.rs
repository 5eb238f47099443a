//! Where a literal lies among the values of a column.
//!
//! Comparing a column with a literal of another type needs no conversion of the column: the literal is replaced by its
//! neighbours among the column's values. `n < 3.5` is `n < 4`, `n = 3.5` is never true. No comparison loses anything.

use super::calendar::{DAY, read_date, read_time};
use super::{Domain, Literal, Real};

/// A value of a column.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Whole numbers, days, times in the column's unit, and decimals without their point.
    Whole(i128),
    /// FLOAT and DOUBLE. NaN is equal to itself and larger than everything else.
    Real(Real),
    /// BOOLEAN.
    Bool(bool),
    /// STRING, VARCHAR, CHAR.
    Text(String),
    /// BINARY.
    Binary(Vec<u8>),
}

/// The neighbours of a literal; the literal itself, twice, if it is a value of the column.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Interval {
    /// The smallest value that is not less than the literal.
    pub above: Option<Value>,
    /// The largest value that is not greater than the literal.
    pub below: Option<Value>,
}

impl Interval {
    fn exactly(value: Value) -> Self {
        Interval { above: Some(value.clone()), below: Some(value) }
    }

    /// Whole values within limits around `floor ..= ceil`.
    fn whole(floor: i128, ceil: i128, low: i128, high: i128) -> Self {
        Interval {
            above: (ceil <= high).then(|| Value::Whole(ceil.max(low))),
            below: (floor >= low).then(|| Value::Whole(floor.min(high))),
        }
    }
}

/// The neighbours of a literal that is not NULL, or why there are none.
pub(super) fn interval(literal: &Literal, domain: Domain) -> Result<Interval, String> {
    let found = match (domain, literal) {
        (Domain::Whole(low, high), literal) => numeric(literal, 0, low.into(), high.into()),
        (Domain::Decimal(precision, scale), literal) => {
            let limit = 10i128.checked_pow(precision.into()).map_or(i128::MAX, |limit| limit - 1);
            numeric(literal, scale, -limit, limit)
        }
        (Domain::Double, literal) => floating(literal).map(|(above, below)| Interval {
            above: Some(Value::Real(Real::new(above))),
            below: Some(Value::Real(Real::new(below))),
        }),
        (Domain::Single, literal) => floating(literal).map(|(above, below)| Interval {
            above: Some(Value::Real(Real::new(single_above(above)))),
            below: Some(Value::Real(Real::new(single_below(below)))),
        }),
        (Domain::Bool, Literal::Bool(value)) => Some(Interval::exactly(Value::Bool(*value))),
        (Domain::Text, Literal::Text(text)) => Some(Interval::exactly(Value::Text(text.clone()))),
        (Domain::Char, Literal::Text(text)) => {
            Some(Interval::exactly(Value::Text(text.trim_end_matches(' ').to_owned())))
        }
        (Domain::Binary, Literal::Binary(bytes)) => Some(Interval::exactly(Value::Binary(bytes.clone()))),
        (Domain::Date, literal) => nanos(literal).map(|nanos| in_steps(nanos, DAY, i32::MIN.into(), i32::MAX.into())),
        (Domain::Instant { unit, .. } | Domain::Clock { unit, .. }, literal) => {
            nanos(literal).map(|nanos| in_steps(nanos, unit, i64::MIN.into(), i64::MAX.into()))
        }
        _ => None,
    };
    found.ok_or_else(|| match domain {
        Domain::Other => "values of its type are not compared".to_owned(),
        domain => format!("it is compared with {}, not with {}", domain.describe(), literal.describe()),
    })
}

/// Nanoseconds since 1970 of a date or time; a date stands for its first moment, texts are read.
pub(super) fn nanos(literal: &Literal) -> Option<i128> {
    match literal {
        Literal::Instant(nanos) | Literal::Clock(nanos) => Some(*nanos),
        Literal::Date(days) => Some(i128::from(*days) * DAY),
        Literal::Text(text) => read_date(text).map(|days| i128::from(days) * DAY).or_else(|| read_time(text)),
        _ => None,
    }
}

fn in_steps(nanos: i128, step: i128, low: i128, high: i128) -> Interval {
    let floor = nanos.div_euclid(step);
    Interval::whole(floor, floor + i128::from(nanos.rem_euclid(step) != 0), low, high)
}

/// Around a number among decimals of a scale.
fn numeric(literal: &Literal, scale: u8, low: i128, high: i128) -> Option<Interval> {
    Some(match literal {
        Literal::Decimal { unscaled, scale: from } | Literal::Fraction { unscaled, scale: from } => {
            match rescaled(*unscaled, *from, scale) {
                Some((floor, ceil)) => Interval::whole(floor, ceil, low, high),
                None if *unscaled < 0 => Interval { above: Some(Value::Whole(low)), below: None },
                None => Interval { above: None, below: Some(Value::Whole(high)) },
            }
        }
        Literal::Double(value) => match value.get() {
            // NaN is larger than every number.
            value if value.is_nan() || value >= 1e38 => Interval { above: None, below: Some(Value::Whole(high)) },
            value if value <= -1e38 => Interval { above: Some(Value::Whole(low)), below: None },
            // Exact, because a double of this size that is whole has a whole number of i128.
            value if value.fract() == 0.0 => {
                return numeric(&Literal::whole(value as i128), scale, low, high);
            }
            // A fraction is below 2^53, where whole numbers and their doubles are the same.
            value if scale == 0 => Interval::whole(value.floor() as i128, value.ceil() as i128, low, high),
            value => around_double(value, scale, low, high),
        },
        _ => return None,
    })
}

/// Largest and smallest whole numbers around `unscaled * 10^(to - from)`; `None` if there are none in `i128`.
fn rescaled(unscaled: i128, from: u8, to: u8) -> Option<(i128, i128)> {
    if to >= from {
        let exact = unscaled.checked_mul(10i128.checked_pow(u32::from(to - from))?)?;
        return Some((exact, exact));
    }
    let Some(divisor) = 10i128.checked_pow(u32::from(from - to)) else {
        return Some((-i128::from(unscaled < 0), i128::from(unscaled > 0)));
    };
    let floor = unscaled.div_euclid(divisor);
    Some((floor, floor + i128::from(unscaled.rem_euclid(divisor) != 0)))
}

/// Decimals are compared with a fraction of DOUBLE as their nearest doubles, as SQL does. Those are in the order of the decimals,
/// so the ones on either side are found by halving.
fn around_double(value: f64, scale: u8, low: i128, high: i128) -> Interval {
    let first = |wanted: &dyn Fn(f64) -> bool| {
        let (mut from, mut to) = (low, high + 1);
        while from < to {
            // Rounded down, without an overflow on the way.
            let middle = (from & to) + ((from ^ to) >> 1);
            if wanted(nearest(middle, scale)) { to = middle } else { from = middle + 1 }
        }
        from
    };
    let (above, beyond) = (first(&|number| number >= value), first(&|number| number > value));
    Interval {
        above: (above <= high).then_some(Value::Whole(above)),
        below: (beyond > low).then(|| Value::Whole(beyond - 1)),
    }
}

/// The nearest double of `unscaled * 10^-scale`, by way of text, which is rounded once.
fn nearest(unscaled: i128, scale: u8) -> f64 {
    format!("{unscaled}e-{scale}").parse().unwrap_or(f64::NAN)
}

/// The doubles above and below a number. A fraction is its nearest double; whole numbers are compared by value.
fn floating(literal: &Literal) -> Option<(f64, f64)> {
    let (unscaled, scale) = match literal {
        Literal::Double(value) => return Some((value.get(), value.get())),
        Literal::Fraction { unscaled, scale } => {
            let value = nearest(*unscaled, *scale);
            return Some((value, value));
        }
        Literal::Decimal { unscaled, scale } => (*unscaled, *scale),
        _ => return None,
    };
    let value = nearest(unscaled, scale);
    if value.fract() != 0.0 || value.abs() >= 1e38 {
        return Some((value, value));
    }
    let whole = value as i128;
    Some(match rescaled(unscaled, scale, 0) {
        Some((_, ceil)) if whole < ceil => (value.next_up(), value),
        Some((floor, _)) if whole > floor => (value, value.next_down()),
        _ => (value, value),
    })
}

fn single_above(value: f64) -> f64 {
    let near = value as f32;
    f64::from(if f64::from(near) < value { near.next_up() } else { near })
}

fn single_below(value: f64) -> f64 {
    let near = value as f32;
    f64::from(if f64::from(near) > value { near.next_down() } else { near })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(literal: &Literal, domain: Domain) -> (Option<i128>, Option<i128>) {
        let number = |value: Option<Value>| match value {
            Some(Value::Whole(number)) => Some(number),
            None => None,
            other => panic!("{other:?}"),
        };
        let found = interval(literal, domain).unwrap();
        (number(found.below), number(found.above))
    }

    fn real(literal: &Literal, domain: Domain) -> (f64, f64) {
        let number = |value: Option<Value>| match value {
            Some(Value::Real(number)) => number.get(),
            other => panic!("{other:?}"),
        };
        let found = interval(literal, domain).unwrap();
        (number(found.below), number(found.above))
    }

    fn decimal(unscaled: i128, scale: u8) -> Literal {
        Literal::Decimal { unscaled, scale }
    }

    #[test]
    fn numbers_among_whole_numbers_and_decimals() {
        let tiny = Domain::Whole(-128, 127);
        assert_eq!(whole(&decimal(35, 1), tiny), (Some(3), Some(4)));
        assert_eq!(whole(&decimal(-35, 1), tiny), (Some(-4), Some(-3)));
        assert_eq!(whole(&decimal(300, 2), tiny), (Some(3), Some(3)));
        assert_eq!(whole(&decimal(128, 0), tiny), (Some(127), None));
        assert_eq!(whole(&decimal(-129, 0), tiny), (None, Some(-128)));
        assert_eq!(whole(&Literal::Double(Real::new(3.5)), tiny), (Some(3), Some(4)));
        assert_eq!(whole(&Literal::Double(Real::new(-1e300)), tiny), (None, Some(-128)));
        assert_eq!(whole(&Literal::Double(Real::new(f64::NAN)), tiny), (Some(127), None));
        let money = Domain::Decimal(5, 2);
        assert_eq!(whole(&decimal(12345, 3), money), (Some(1234), Some(1235)));
        assert_eq!(whole(&decimal(100_000, 2), money), (Some(99_999), None));
        assert_eq!(whole(&decimal(i128::MAX, 0), Domain::Decimal(38, 18)), (Some(10i128.pow(38) - 1), None));
        assert_eq!(whole(&decimal(-1, 38), Domain::Whole(-128, 127)), (Some(-1), Some(0)));
        // The double 0.1 is not a decimal, but it is the nearest one of 0.1.
        assert_eq!(whole(&Literal::Double(Real::new(0.1)), money), (Some(10), Some(10)));
        assert_eq!(whole(&Literal::Double(Real::new(0.125)), money), (Some(12), Some(13)));
        // Of 38 digits, many have the same nearest double.
        let (below, above) = whole(&Literal::Double(Real::new(0.1)), Domain::Decimal(38, 30));
        assert!(above < Some(10i128.pow(29)) && below > Some(10i128.pow(29)), "{above:?} {below:?}");
    }

    #[test]
    fn numbers_among_floating_ones() {
        let tenth = Literal::Fraction { unscaled: 1, scale: 1 };
        assert_eq!(real(&tenth, Domain::Double), (0.1, 0.1));
        let (below, above) = real(&tenth, Domain::Single);
        assert!(below < 0.1 && above == f64::from(0.1f32) && above > 0.1);
        let odd = Literal::whole((1i128 << 53) + 1);
        let two = (1u64 << 53) as f64;
        assert_eq!(real(&odd, Domain::Double), (two, two + 2.0));
        assert_eq!(real(&Literal::Double(Real::new(1e300)), Domain::Single), (f32::MAX.into(), f64::INFINITY));
        assert!(real(&Literal::Double(Real::new(f64::NAN)), Domain::Single).0.is_nan());
        assert_eq!(real(&Literal::Double(Real::new(-0.0)), Domain::Double).0.to_bits(), 0);
    }

    #[test]
    fn dates_and_times_meet() {
        let noon = Literal::Instant(DAY / 2);
        assert_eq!(whole(&noon, Domain::Date), (Some(0), Some(1)));
        assert_eq!(whole(&Literal::Instant(-1), Domain::Date), (Some(-1), Some(0)));
        let milli = Domain::Instant { unit: 1_000_000, slack: 0 };
        assert_eq!(whole(&Literal::Instant(-1), milli), (Some(-1), Some(0)));
        assert_eq!(whole(&Literal::Date(1), milli), (Some(86_400_000), Some(86_400_000)));
        assert_eq!(whole(&Literal::Text("1970-01-01 00:00:00.002".into()), milli), (Some(2), Some(2)));
        let nano = Domain::Clock { unit: 1, slack: 0 };
        assert_eq!(whole(&Literal::Clock(i128::from(i64::MAX) + 1), nano), (Some(i64::MAX.into()), None));
    }

    #[test]
    fn types_that_do_not_meet_are_told() {
        for (literal, domain) in [
            (Literal::Text("1".into()), Domain::Double),
            (Literal::whole(1), Domain::Text),
            (Literal::Text("tomorrow".into()), Domain::Date),
            (Literal::Bool(true), Domain::Whole(0, 1)),
            (Literal::whole(1), Domain::Other),
        ] {
            assert!(interval(&literal, domain).is_err(), "{literal:?} {domain:?}");
        }
    }
}
