//! Looks up the names of a predicate and checks that the two sides of each comparison have one type.

use serde::{Deserialize, Serialize};

use super::FilterError;
use super::ast::{Expr, Literal, Op, Operand};
use super::value::Value;
use crate::catalog::Column;
use crate::types::temporal::{parse_date, parse_instant};
use crate::types::{Type, Zone};

/// A predicate over column numbers: data columns first, then partition columns.
#[derive(Clone, Debug, PartialEq)]
pub enum Bound {
    And(Vec<Bound>),
    Or(Vec<Bound>),
    Not(Box<Bound>),
    Compare(Op, Term, Term),
    In(Term, Vec<Term>),
    IsNull(Term),
    /// A BOOLEAN that stands alone.
    Truth(Term),
    /// A part that is not evaluated; it may be anything for any row.
    Anything,
}

/// One side of a bound comparison.
#[derive(Clone, Debug, PartialEq)]
pub enum Term {
    Column(usize),
    Value(Value),
    Null,
}

/// How names and literals are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// Unsupported parts become [`Bound::Anything`] instead of errors.
    pub fallback: bool,
    /// The zone of times without one.
    pub zone: Zone,
}

/// Binds a predicate to columns.
pub fn bind(expr: &Expr, columns: &[&Column], rules: Rules) -> Result<Bound, FilterError> {
    Binder { columns, rules }.expr(expr)
}

impl Bound {
    /// Marks the columns that the predicate reads.
    pub fn columns(&self, used: &mut [bool]) {
        let mut mark = |term: &Term| {
            if let Term::Column(index) = term
                && let Some(slot) = used.get_mut(*index)
            {
                *slot = true;
            }
        };
        match self {
            Bound::And(items) | Bound::Or(items) => items.iter().for_each(|item| item.columns(used)),
            Bound::Not(item) => item.columns(used),
            Bound::Compare(_, left, right) => [left, right].into_iter().for_each(mark),
            Bound::In(term, items) => {
                mark(term);
                items.iter().for_each(mark);
            }
            Bound::IsNull(term) | Bound::Truth(term) => mark(term),
            Bound::Anything => {}
        }
    }
}

/// What a column or literal can be compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Number,
    Text,
    /// CHAR: short values are padded with blanks.
    Char,
    Binary,
    Bool,
    Date,
    Instant,
    /// The reading of a clock somewhere: TIMESTAMP_NTZ.
    Clock,
}

fn kind(ty: &Type) -> Option<Kind> {
    Some(match ty {
        Type::TinyInt | Type::SmallInt | Type::Int | Type::BigInt | Type::Float | Type::Double => Kind::Number,
        Type::Decimal(..) | Type::PlainDecimal => Kind::Number,
        Type::String | Type::Varchar(_) => Kind::Text,
        Type::Char(_) => Kind::Char,
        Type::Binary => Kind::Binary,
        Type::Boolean => Kind::Bool,
        Type::Date => Kind::Date,
        Type::Datetime | Type::Timestamp => Kind::Instant,
        Type::TimestampNtz => Kind::Clock,
        Type::Blob | Type::Json | Type::IntervalDayTime | Type::IntervalYearMonth => return None,
        Type::Array(_) | Type::Map(..) | Type::Struct(_) => return None,
    })
}

struct Binder<'a> {
    columns: &'a [&'a Column],
    rules: Rules,
}

impl Binder<'_> {
    fn expr(&self, expr: &Expr) -> Result<Bound, FilterError> {
        let bound = match expr {
            Expr::And(items) => Bound::And(items.iter().map(|item| self.expr(item)).collect::<Result<_, _>>()?),
            Expr::Or(items) => Bound::Or(items.iter().map(|item| self.expr(item)).collect::<Result<_, _>>()?),
            Expr::Not(item) => Bound::Not(Box::new(self.expr(item)?)),
            Expr::Compare { op, left, right } => return self.settle(self.compare(*op, left, right)),
            Expr::In { operand, items } => return self.settle(self.set(operand, items)),
            Expr::Between { operand, low, high } => {
                let range = |()| {
                    let above = self.compare(Op::GreaterOrEqual, operand, low)?;
                    Ok(Bound::And(vec![above, self.compare(Op::LessOrEqual, operand, high)?]))
                };
                return self.settle(range(()));
            }
            Expr::IsNull(operand) => return self.settle(self.null_test(operand)),
            Expr::Truth(operand) => return self.settle(self.truth(operand)),
            Expr::Unsupported { what, position } => return self.settle(unsupported(what.clone(), *position)),
        };
        Ok(bound)
    }

    /// Applies the fallback to one leaf.
    fn settle(&self, leaf: Result<Bound, FilterError>) -> Result<Bound, FilterError> {
        match leaf {
            Err(FilterError::Unsupported { .. }) if self.rules.fallback => Ok(Bound::Anything),
            other => other,
        }
    }

    fn column(&self, name: &str, position: usize) -> Result<usize, FilterError> {
        self.columns
            .iter()
            .position(|c| c.name.eq_ignore_ascii_case(name))
            .ok_or_else(|| FilterError::Malformed { what: format!("the table has no column {name}"), position })
    }

    /// The operand as written, with `NaN` and `Infinity` read as numbers unless a column has that name.
    fn resolve(&self, operand: &Operand) -> Result<Resolved, FilterError> {
        match operand {
            Operand::Unsupported { what, position } => unsupported(what.clone(), *position),
            Operand::Literal { value, .. } => Ok(Resolved::Literal(value.clone())),
            Operand::Column { name, position } => match (self.column(name, *position), name.as_str()) {
                (Err(_), "NaN") => Ok(Resolved::Literal(Literal::Double(f64::NAN))),
                (Err(_), "Infinity") => Ok(Resolved::Literal(Literal::Double(f64::INFINITY))),
                (found, _) => Ok(Resolved::Column(found?)),
            },
        }
    }

    fn kind_of(&self, resolved: &Resolved, position: usize) -> Result<Option<Kind>, FilterError> {
        Ok(Some(match resolved {
            Resolved::Column(index) => {
                let Some(column) = self.columns.get(*index) else { return unsupported("column", position) };
                match kind(&column.ty) {
                    Some(kind) => kind,
                    None => {
                        let what = format!("comparison of column {} of type {}", column.name, column.ty);
                        return unsupported(what, position);
                    }
                }
            }
            Resolved::Literal(Literal::Null) => return Ok(None),
            Resolved::Literal(Literal::Number(_) | Literal::Fraction(_) | Literal::Double(_)) => Kind::Number,
            Resolved::Literal(Literal::Text(_)) => Kind::Text,
            Resolved::Literal(Literal::Binary(_)) => Kind::Binary,
            Resolved::Literal(Literal::Bool(_)) => Kind::Bool,
            Resolved::Literal(Literal::Date(_)) => Kind::Date,
            Resolved::Literal(Literal::Instant(_)) => Kind::Instant,
        }))
    }

    fn compare(&self, op: Op, left: &Operand, right: &Operand) -> Result<Bound, FilterError> {
        let (l, r) = (self.resolve(left)?, self.resolve(right)?);
        let (lk, rk) = (self.kind_of(&l, left.position())?, self.kind_of(&r, right.position())?);
        // The literal side takes the kind of the column side, as far as its text allows.
        let common = match (&l, &r) {
            (Resolved::Literal(_), Resolved::Column(_)) => rk.or(lk),
            _ => lk.or(rk),
        };
        Ok(Bound::Compare(op, self.term(l, common, left.position())?, self.term_as(r, common, rk, right.position())?))
    }

    fn set(&self, operand: &Operand, items: &[Operand]) -> Result<Bound, FilterError> {
        let head = self.resolve(operand)?;
        let wanted = self.kind_of(&head, operand.position())?;
        let mut terms = Vec::with_capacity(items.len());
        for item in items {
            let resolved = self.resolve(item)?;
            let found = self.kind_of(&resolved, item.position())?;
            terms.push(self.term_as(resolved, wanted, found, item.position())?);
        }
        Ok(Bound::In(self.term(head, wanted, operand.position())?, terms))
    }

    fn null_test(&self, operand: &Operand) -> Result<Bound, FilterError> {
        match self.resolve(operand)? {
            Resolved::Column(index) => Ok(Bound::IsNull(Term::Column(index))),
            Resolved::Literal(Literal::Null) => Ok(Bound::IsNull(Term::Null)),
            Resolved::Literal(_) => Ok(Bound::IsNull(Term::Value(Value::Bool(true)))),
        }
    }

    fn truth(&self, operand: &Operand) -> Result<Bound, FilterError> {
        let resolved = self.resolve(operand)?;
        match self.kind_of(&resolved, operand.position())? {
            Some(Kind::Bool) | None => Ok(Bound::Truth(self.term(resolved, Some(Kind::Bool), operand.position())?)),
            Some(_) => unsupported("a value that is not BOOLEAN used as a condition", operand.position()),
        }
    }

    /// A term that must be of the kind `wanted`; columns must already be.
    fn term_as(
        &self,
        resolved: Resolved,
        wanted: Option<Kind>,
        found: Option<Kind>,
        position: usize,
    ) -> Result<Term, FilterError> {
        match (&resolved, wanted, found) {
            (Resolved::Column(_), Some(w), Some(f)) if w != f => unsupported("comparison of different types", position),
            _ => self.term(resolved, wanted, position),
        }
    }

    fn term(&self, resolved: Resolved, wanted: Option<Kind>, position: usize) -> Result<Term, FilterError> {
        let literal = match resolved {
            Resolved::Column(index) => return Ok(Term::Column(index)),
            Resolved::Literal(Literal::Null) => return Ok(Term::Null),
            Resolved::Literal(literal) => literal,
        };
        let Some(kind) = wanted else { return unsupported("comparison of NULL with a literal", position) };
        let value = match (kind, literal) {
            (Kind::Number, Literal::Number(text)) => number(&text, |unscaled, scale| Value::Exact { unscaled, scale }),
            (Kind::Number, Literal::Fraction(text)) => {
                number(&text, |unscaled, scale| Value::Loose { unscaled, scale })
            }
            (Kind::Number, Literal::Double(v)) => Some(Value::Double(v)),
            (Kind::Text, Literal::Text(text)) => Some(Value::Text(text)),
            (Kind::Char, Literal::Text(text)) => Some(Value::Char(text)),
            (Kind::Binary, Literal::Binary(bytes)) => Some(Value::Bytes(bytes)),
            (Kind::Bool, Literal::Bool(v)) => Some(Value::Bool(v)),
            (Kind::Date, Literal::Date(days)) => Some(Value::Date(days)),
            (Kind::Instant, Literal::Instant(nanos)) => Some(Value::Instant(self.rules.zone.to_utc(nanos))),
            (Kind::Clock, Literal::Instant(nanos)) => Some(Value::Instant(nanos)),
            (Kind::Date, Literal::Text(text)) => parse_date(&text).map(Value::Date),
            (Kind::Instant, Literal::Text(text)) => {
                parse_instant(&text).map(|nanos| Value::Instant(self.rules.zone.to_utc(nanos)))
            }
            (Kind::Clock, Literal::Text(text)) => parse_instant(&text).map(Value::Instant),
            _ => None,
        };
        match value {
            Some(value) => Ok(Term::Value(value)),
            None => unsupported(format!("comparison with a literal that is not {}", describe(kind)), position),
        }
    }
}

enum Resolved {
    Column(usize),
    Literal(Literal),
}

fn unsupported<T>(what: impl Into<String>, position: usize) -> Result<T, FilterError> {
    Err(FilterError::Unsupported { what: what.into(), position })
}

fn describe(kind: Kind) -> &'static str {
    match kind {
        Kind::Number => "a number",
        Kind::Text | Kind::Char => "text",
        Kind::Binary => "binary",
        Kind::Bool => "a boolean",
        Kind::Date => "a date",
        Kind::Instant | Kind::Clock => "a time",
    }
}

/// The digits of a number and its scale as a value, or its floating approximation if there are too many digits.
fn number(text: &str, value: fn(i128, u32) -> Value) -> Option<Value> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let exact = format!("{whole}{fraction}").parse::<i128>().ok();
    match exact {
        Some(unscaled) => Some(value(unscaled, fraction.len() as u32)),
        None => text.parse().ok().map(Value::Double),
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    fn columns() -> Vec<Column> {
        let column = |name: &str, ty: &str| Column::new(name, ty.parse().unwrap(), true);
        vec![
            column("a", "bigint"),
            column("s", "string"),
            column("c", "char(3)"),
            column("d", "date"),
            column("t", "datetime"),
            column("l", "array<int>"),
            column("b", "boolean"),
        ]
    }

    fn bound(text: &str, fallback: bool) -> Result<Bound, FilterError> {
        let columns = columns();
        let columns: Vec<&Column> = columns.iter().collect();
        bind(&parse(text).unwrap().unwrap(), &columns, Rules { fallback, zone: Zone::UTC })
    }

    #[test]
    fn literals_take_the_type_of_the_column() {
        let value = |text: &str| match bound(text, false).unwrap() {
            Bound::Compare(_, _, Term::Value(v)) | Bound::Compare(_, Term::Value(v), _) => v,
            other => panic!("{other:?}"),
        };
        assert_eq!(value("A = 1.50"), Value::Loose { unscaled: 150, scale: 2 });
        assert_eq!(value("A = 1.50BD"), Value::Exact { unscaled: 150, scale: 2 });
        assert_eq!(value("'x  ' = c"), Value::Char("x  ".into()));
        assert_eq!(value("d > '1970-01-02'"), Value::Date(1));
        assert_eq!(value("t > '1970-01-01 00:00:01'"), Value::Instant(1_000_000_000));
        assert!(matches!(value("a > NaN"), Value::Double(v) if v.is_nan()));
    }

    #[test]
    fn mismatches_are_unsupported_and_fall_back() {
        for text in ["a = 'x'", "s = 1", "d = 'tomorrow'", "l = 1", "a = s", "a", "d > DATETIME'2024-01-01 00:00:00'"] {
            assert!(matches!(bound(text, false), Err(FilterError::Unsupported { .. })), "{text}");
            assert_eq!(bound(text, true), Ok(Bound::Anything), "{text}");
        }
        assert!(matches!(bound("nope = 1", true), Err(FilterError::Malformed { position: 1, .. })));
        assert!(matches!(bound("l is null and b", false), Ok(Bound::And(_))));
    }
}
