//! Values of predicates and block statistics, and how they compare.

use std::cmp::Ordering;

/// A few units in the last place of a DOUBLE, and of a FLOAT.
const DOUBLE_TOLERANCE: f64 = 4.0 * f64::EPSILON;
const SINGLE_TOLERANCE: f64 = 4.0 * f32::EPSILON as f64;

/// A value that can be compared. Kinds that never meet after binding compare as [`Outcomes::ANY`].
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `unscaled * 10^-scale`: integers and decimals.
    Exact {
        unscaled: i128,
        scale: u32,
    },
    /// A literal `unscaled * 10^-scale` that an engine may also read as the nearest DOUBLE.
    Loose {
        unscaled: i128,
        scale: u32,
    },
    /// A value of a FLOAT column.
    Single(f32),
    /// A value of a DOUBLE column, or a number literal that is not exact.
    Double(f64),
    Text(String),
    /// A CHAR value, with or without its trailing blanks.
    Char(String),
    Bytes(Vec<u8>),
    Bool(bool),
    /// Days since the epoch.
    Date(i64),
    /// Nanoseconds since the epoch.
    Instant(i128),
}

/// The results a comparison may have, given what is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcomes {
    pub less: bool,
    pub equal: bool,
    pub greater: bool,
}

impl Outcomes {
    /// Nothing is known.
    pub const ANY: Outcomes = Outcomes { less: true, equal: true, greater: true };

    fn only(order: Ordering) -> Outcomes {
        Outcomes { less: order == Ordering::Less, equal: order == Ordering::Equal, greater: order == Ordering::Greater }
    }

    /// Of two values that may have been rounded on the way. Only a distance beyond `tolerance` (relative) is certain,
    /// whatever rounding an engine applies; anything closer says nothing, and neither does NaN.
    fn rounded(a: f64, b: f64, tolerance: f64) -> Outcomes {
        let apart = (a - b).abs() > tolerance * a.abs().max(b.abs());
        match a.partial_cmp(&b) {
            Some(order) if order != Ordering::Equal && (apart || a.is_infinite() || b.is_infinite()) => {
                Outcomes::only(order)
            }
            _ => Outcomes::ANY,
        }
    }
}

impl Value {
    /// How `self` may compare with `other`. Numbers of different kinds are compared so that the answer holds whether
    /// the engine widens or rounds; NaN compares as anything.
    pub fn compare(&self, other: &Value) -> Outcomes {
        match (self, other) {
            (Value::Exact { unscaled: a, scale: s }, Value::Exact { unscaled: b, scale: t }) => {
                match exact(*a, *s, *b, *t) {
                    Some(order) => Outcomes::only(order),
                    None => Outcomes::rounded(self.as_f64(), other.as_f64(), DOUBLE_TOLERANCE),
                }
            }
            (
                Value::Exact { unscaled: a, scale: s } | Value::Loose { unscaled: a, scale: s },
                Value::Exact { unscaled: b, scale: t } | Value::Loose { unscaled: b, scale: t },
            ) => {
                // Rounding keeps the order but may make close numbers equal.
                let close = Outcomes::rounded(self.as_f64(), other.as_f64(), DOUBLE_TOLERANCE);
                match exact(*a, *s, *b, *t) {
                    Some(order) => Outcomes { equal: close.equal, ..Outcomes::only(order) },
                    None => close,
                }
            }
            (Value::Double(a), Value::Double(b)) => a.partial_cmp(b).map_or(Outcomes::ANY, Outcomes::only),
            (Value::Single(a), Value::Single(b)) => a.partial_cmp(b).map_or(Outcomes::ANY, Outcomes::only),
            (Value::Single(_), b) | (b, Value::Single(_)) if b.is_number() => {
                Outcomes::rounded(self.as_f64(), other.as_f64(), SINGLE_TOLERANCE)
            }
            (Value::Double(_), b) | (b, Value::Double(_)) if b.is_number() => {
                Outcomes::rounded(self.as_f64(), other.as_f64(), DOUBLE_TOLERANCE)
            }
            (Value::Text(a), Value::Text(b)) => Outcomes::only(a.as_bytes().cmp(b.as_bytes())),
            (Value::Char(a), Value::Char(b)) => padded(a, b),
            (Value::Bytes(a), Value::Bytes(b)) => Outcomes::only(a.cmp(b)),
            (Value::Bool(a), Value::Bool(b)) => Outcomes::only(a.cmp(b)),
            (Value::Date(a), Value::Date(b)) => Outcomes::only(a.cmp(b)),
            (Value::Instant(a), Value::Instant(b)) => Outcomes::only(a.cmp(b)),
            _ => Outcomes::ANY,
        }
    }

    /// Whether the value is a number of any kind.
    pub fn is_number(&self) -> bool {
        matches!(self, Value::Exact { .. } | Value::Loose { .. } | Value::Single(_) | Value::Double(_))
    }

    fn as_f64(&self) -> f64 {
        match self {
            Value::Exact { unscaled, scale } | Value::Loose { unscaled, scale } => {
                *unscaled as f64 / 10f64.powi(*scale as i32)
            }
            Value::Single(v) => f64::from(*v),
            Value::Double(v) => *v,
            _ => f64::NAN,
        }
    }
}

/// How CHAR values between bounds may compare, where `a` and `b` are bounds of values without trailing blanks.
///
/// Such values are stored and bounded in the order of their bytes, in which the end of a text comes first. CHAR compares
/// texts padded with blanks, so a text that goes on with a character below the blank comes before the one that ends
/// there. What follows for the values holds only where the bounds differ and have no such characters.
fn padded(a: &str, b: &str) -> Outcomes {
    let (a, b) = (a.trim_end_matches(' '), b.trim_end_matches(' '));
    if a == b || a.bytes().chain(b.bytes()).any(|byte| byte < b' ') {
        return Outcomes::ANY;
    }
    Outcomes::only(a.as_bytes().cmp(b.as_bytes()))
}

/// Compares two scaled integers; `None` if bringing them to one scale overflows.
fn exact(a: i128, scale_a: u32, b: i128, scale_b: u32) -> Option<Ordering> {
    let common = scale_a.max(scale_b);
    let widen = |v: i128, scale: u32| v.checked_mul(10i128.checked_pow(common - scale)?);
    Some(widen(a, scale_a)?.cmp(&widen(b, scale_b)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mixed_numbers_are_certain_only_when_strict() {
        let ten = Value::Exact { unscaled: 100, scale: 1 };
        assert_eq!(ten.compare(&Value::Exact { unscaled: 10, scale: 0 }), Outcomes::only(Ordering::Equal));
        assert_eq!(ten.compare(&Value::Double(10.0)), Outcomes::ANY);
        assert_eq!(ten.compare(&Value::Double(11.0)), Outcomes::only(Ordering::Less));
        let big = Value::Exact { unscaled: (1 << 53) + 1, scale: 0 };
        assert_eq!(big.compare(&Value::Double((1i64 << 53) as f64)), Outcomes::ANY);
        assert_eq!(Value::Single(0.1).compare(&Value::Exact { unscaled: 1, scale: 1 }), Outcomes::ANY);
        assert_eq!(Value::Double(f64::NAN).compare(&Value::Double(0.0)), Outcomes::ANY);
        let loose = |unscaled, scale| Value::Loose { unscaled, scale };
        let found = big.compare(&loose(90071992547409920, 1));
        assert_eq!(found, Outcomes { less: false, equal: true, greater: true });
        let wide = Value::Exact { unscaled: 100_000_000_000_000_001, scale: 18 };
        assert_eq!(wide.compare(&loose(1, 1)), Outcomes { less: false, equal: true, greater: true });
        assert_eq!(ten.compare(&loose(101, 1)), Outcomes::only(Ordering::Less));
        assert_eq!(Value::Double(-0.0).compare(&Value::Double(0.0)), Outcomes::only(Ordering::Equal));
    }
}
