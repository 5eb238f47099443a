//! From a predicate to a condition on the columns of a table.
//!
//! NOT is pushed down to the tests, where it becomes the opposite test: unknown stays unknown. Above the tests there are only AND
//! and OR then, for which unknown and false are the same as far as the truth of the whole goes.

use super::column::same_name;
use super::domain::{Domain, TypedColumn, View, field_of};
use super::interval::{Interval, Value, interval, nanos};
use super::{Column, Literal, Node, Op, Predicate};
use crate::error::{Error, Kind, Result};

/// A condition that a row meets or not.
#[derive(Debug, Clone, PartialEq)]
pub enum Bound {
    /// All of them; every row, if there are none.
    All(Vec<Bound>),
    /// Any of them; no row, if there are none.
    Any(Vec<Bound>),
    /// The value is NULL, or is not.
    Null {
        /// The column.
        place: Place,
        /// Whether it must have a value.
        negated: bool,
    },
    /// The value is not NULL and compares so.
    Compare {
        /// The column.
        place: Place,
        /// How.
        op: Op,
        /// With what.
        value: Value,
    },
    /// The value is not NULL and is one of some values, or none of them.
    In {
        /// The column.
        place: Place,
        /// Whether it must be none of them.
        negated: bool,
        /// The values.
        values: Vec<Value>,
    },
    /// A test that is not understood, and why.
    Foreign(String),
}

/// A column, or a field of a struct in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    /// Number of the column.
    pub column: usize,
    /// Numbers of fields, from the outside to the inside.
    pub fields: Vec<usize>,
    /// Its values.
    pub domain: Domain,
}

impl Bound {
    /// No row.
    pub(super) const NEVER: Bound = Bound::Any(Vec::new());
    /// Every row.
    pub(super) const ALWAYS: Bound = Bound::All(Vec::new());

    fn all(parts: impl IntoIterator<Item = Bound>) -> Bound {
        let parts: Vec<Bound> = parts.into_iter().filter(|part| *part != Bound::ALWAYS).collect();
        match parts.as_slice() {
            [only] => only.clone(),
            parts if parts.contains(&Bound::NEVER) => Bound::NEVER,
            _ => Bound::All(parts),
        }
    }

    fn any(parts: impl IntoIterator<Item = Bound>) -> Bound {
        let parts: Vec<Bound> = parts.into_iter().filter(|part| *part != Bound::NEVER).collect();
        match parts.as_slice() {
            [only] => only.clone(),
            parts if parts.contains(&Bound::ALWAYS) => Bound::ALWAYS,
            _ => Bound::Any(parts),
        }
    }

    /// Why a part of the condition is not understood, if one is not.
    pub fn foreign(&self) -> Option<&str> {
        match self {
            Bound::All(parts) | Bound::Any(parts) => parts.iter().find_map(Bound::foreign),
            Bound::Foreign(reason) => Some(reason),
            _ => None,
        }
    }
}

/// The numbers of the columns that a predicate names, in the order of the columns. `MS_NOT_FOUND` if one is missing.
pub fn columns_of(predicate: &Predicate, columns: &[TypedColumn]) -> Result<Vec<usize>> {
    let mut used = vec![false; columns.len()];
    let mut missing = None;
    predicate.visit_columns(&mut |column| match index_of(column, columns) {
        Some(index) => used.iter_mut().skip(index).take(1).for_each(|used| *used = true),
        None => missing = missing.or(Some(column)),
    });
    match missing {
        Some(column) => Err(no_column(column)),
        None => Ok(used.iter().enumerate().filter_map(|(index, used)| used.then_some(index)).collect()),
    }
}

/// The condition that a predicate sets on columns. `MS_NOT_FOUND` if one of its columns is missing.
pub fn bind(predicate: &Predicate, columns: &[TypedColumn], view: View) -> Result<Bound> {
    Binder { columns, view }.bind(predicate, false)
}

fn index_of(column: &Column, columns: &[TypedColumn]) -> Option<usize> {
    columns.iter().position(|known| same_name(&known.name, column.name()))
}

fn no_column(column: &Column) -> Error {
    Error::new(Kind::NotFound, format!("the filter names the column {column}, which the table does not have"))
}

struct Binder<'a> {
    columns: &'a [TypedColumn],
    view: View,
}

impl Binder<'_> {
    fn bind(&self, predicate: &Predicate, negated: bool) -> Result<Bound> {
        let parts = |parts: &[Predicate]| parts.iter().map(|part| self.bind(part, negated)).collect::<Result<Vec<_>>>();
        Ok(match (predicate.node(), negated) {
            (Node::And(inner), false) | (Node::Or(inner), true) => Bound::all(parts(inner)?),
            (Node::And(inner), true) | (Node::Or(inner), false) => Bound::any(parts(inner)?),
            (Node::Not(inner), _) => return self.bind(inner, !negated),
            (Node::Compare { column, op, value }, _) => {
                let op = if negated { op.opposite() } else { *op };
                settled(column, compare(self.place(column)?, op, value))
            }
            (Node::In { column, negated: not_in, values }, _) => {
                settled(column, in_set(&self.place(column)?, *not_in != negated, values))
            }
            (Node::IsNull { column, negated: not_null }, _) => {
                Bound::Null { place: self.place(column)?, negated: *not_null != negated }
            }
        })
    }

    fn place(&self, column: &Column) -> Result<Place> {
        let index = index_of(column, self.columns).ok_or_else(|| no_column(column))?;
        let known = self.columns.get(index).ok_or_else(|| no_column(column))?;
        let (mut text, mut delivered) = (known.type_text.as_str(), known.delivered.as_ref());
        let mut fields = Vec::new();
        for field in column.fields() {
            let (place, inner) = field_of(text, field).ok_or_else(|| no_column(column))?;
            fields.push(place);
            text = inner;
            delivered = match delivered {
                Some(arrow_schema::DataType::Struct(inner)) => inner.get(place).map(|field| field.data_type()),
                _ => None,
            };
        }
        Ok(Place { column: index, fields, domain: Domain::of(text, delivered, self.view) })
    }
}

/// The test, or one that is not understood.
fn settled(column: &Column, test: std::result::Result<Bound, String>) -> Bound {
    test.unwrap_or_else(|reason| Bound::Foreign(format!("{column}: {reason}")))
}

fn compare(place: Place, op: Op, literal: &Literal) -> std::result::Result<Bound, String> {
    if *literal == Literal::Null {
        return Ok(Bound::NEVER);
    }
    let (Domain::Instant { slack, .. } | Domain::Clock { slack, .. }) = place.domain else {
        return Ok(among(place.clone(), op, interval(literal, place.domain)?));
    };
    let moved = |by: i128| match nanos(literal) {
        Some(nanos) => interval(&Literal::Instant(nanos + by), place.domain),
        None => interval(literal, place.domain),
    };
    // What was cut down to a coarser unit may lie on the other side of the literal: the test is widened to both sides.
    Ok(match op {
        op if slack == 0 => among(place.clone(), op, moved(0)?),
        Op::Less | Op::LessOrEqual => among(place.clone(), op, moved(slack)?),
        Op::Greater | Op::GreaterOrEqual => among(place.clone(), op, moved(-slack)?),
        Op::Equal => Bound::all([
            among(place.clone(), Op::GreaterOrEqual, moved(-slack)?),
            among(place.clone(), Op::LessOrEqual, moved(slack)?),
        ]),
        Op::NotEqual => {
            moved(0)?;
            Bound::Null { place, negated: true }
        }
    })
}

/// A comparison with what lies between two neighbouring values, or at one.
fn among(place: Place, op: Op, Interval { above, below }: Interval) -> Bound {
    let not_null = Bound::Null { place: place.clone(), negated: true };
    let test = |op, value| Bound::Compare { place: place.clone(), op, value };
    match (op, above, below) {
        (Op::Less, None, _) | (Op::Greater, _, None) => not_null,
        (Op::GreaterOrEqual, None, _) | (Op::LessOrEqual, _, None) => Bound::NEVER,
        (Op::Less | Op::GreaterOrEqual, Some(above), _) => test(op, above),
        (Op::Greater | Op::LessOrEqual, _, Some(below)) => test(op, below),
        (Op::Equal | Op::NotEqual, Some(above), Some(below)) if above == below => test(op, above),
        // Decimals that are all the nearest ones to a double.
        (Op::Equal, Some(Value::Whole(above)), Some(Value::Whole(below))) if above < below => {
            Bound::all([test(Op::GreaterOrEqual, Value::Whole(above)), test(Op::LessOrEqual, Value::Whole(below))])
        }
        (Op::NotEqual, Some(Value::Whole(above)), Some(Value::Whole(below))) if above < below => {
            Bound::any([test(Op::Less, Value::Whole(above)), test(Op::Greater, Value::Whole(below))])
        }
        (Op::Equal, ..) => Bound::NEVER,
        (Op::NotEqual, ..) => not_null,
    }
}

fn in_set(place: &Place, negated: bool, literals: &[Literal]) -> std::result::Result<Bound, String> {
    if literals.is_empty() {
        return Ok(if negated { Bound::ALWAYS } else { Bound::NEVER });
    }
    // Unknown at best, where it is not equal to another one.
    if negated && literals.contains(&Literal::Null) {
        return Ok(Bound::NEVER);
    }
    let op = if negated { Op::NotEqual } else { Op::Equal };
    let (mut values, mut others) = (Vec::new(), Vec::new());
    for literal in literals {
        match compare(place.clone(), op, literal)? {
            Bound::Compare { op: found, value, .. } if found == op => values.push(value),
            other => others.push(other),
        }
    }
    if !values.is_empty() {
        others.push(Bound::In { place: place.clone(), negated, values });
    }
    Ok(if negated {
        others.dedup();
        Bound::all(others)
    } else {
        Bound::any(others)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns() -> Vec<TypedColumn> {
        [
            ("n", "int"),
            ("s", "string"),
            ("t", "timestamp"),
            ("r", "struct<x:tinyint,`y z`:char(2)>"),
            ("l", "array<int>"),
        ]
        .into_iter()
        .map(|(name, text)| TypedColumn { name: name.into(), type_text: text.into(), delivered: None })
        .collect()
    }

    fn bound(text: &str) -> Bound {
        bind(&Predicate::parse(text).unwrap(), &columns(), View::Stored).unwrap()
    }

    #[test]
    fn literals_become_values_of_the_column() {
        assert_eq!(bound("n < 3.5"), bound("n < 4"));
        assert_eq!(bound("n <= 3.5"), bound("n <= 3"));
        assert_eq!(bound("n > 3.5"), bound("n > 3"));
        assert_eq!(bound("n >= 3.5"), bound("n >= 4"));
        assert_eq!(bound("n = 3.5"), Bound::NEVER);
        assert_eq!(bound("n != 3.5"), bound("n is not null"));
        assert_eq!(bound("n < 1e99"), bound("n is not null"));
        assert_eq!(bound("n > 2147483648"), bound("n > 2147483647"));
        assert_eq!(bound("n >= 2147483648"), Bound::NEVER);
        assert_eq!(bound("n in (1, 2.5, NULL, 3e0)"), bound("n in (1, 3)"));
        assert_eq!(bound("n not in (2.5)"), bound("n is not null"));
        assert_eq!((bound("n in ()"), bound("n not in ()")), (Bound::NEVER, Bound::ALWAYS));
        assert_eq!(bound("n not in (1, null)"), Bound::NEVER);
    }

    #[test]
    fn not_goes_down_and_unknown_stays_unknown() {
        assert_eq!(bound("not (n = 1 and s = 'x')"), bound("n != 1 or s != 'x'"));
        assert_eq!(bound("not (n < 1 or not (n is null))"), bound("n >= 1 and n is null"));
        assert_eq!(bound("not n in (1, 2)"), bound("n not in (1, 2)"));
        assert_eq!(bound("not n not in (1, null)"), bound("n in (1)"));
        assert_eq!(bound("not n = null"), Bound::NEVER);
        assert_eq!(bound("not n between 1 and 2"), bound("n < 1 or n > 2"));
    }

    #[test]
    fn fields_and_what_is_not_understood() {
        let Bound::Compare { place, .. } = bound("r.`Y Z` = 'a '") else { panic!("no comparison") };
        assert_eq!((place.column, place.fields.as_slice(), place.domain), (3, &[1][..], Domain::Char));
        assert!(bound("s = 1 or n = 1").foreign().unwrap().contains("`s`"));
        assert!(bound("l = 1").foreign().is_some());
        assert!(bound("l is null and n = 1").foreign().is_none());
        for missing in ["x = 1", "n.x = 1", "r.q is null"] {
            let error = bind(&Predicate::parse(missing).unwrap(), &columns(), View::Stored).unwrap_err();
            assert_eq!(error.kind(), Kind::NotFound, "{missing}");
        }
        let used = columns_of(&Predicate::parse("S = 'a' and t is null and s != 'b'").unwrap(), &columns()).unwrap();
        assert_eq!(used, [1, 2]);
    }

    #[test]
    fn coarser_delivery_widens() {
        let mut columns = columns();
        let milli = arrow_schema::DataType::Timestamp(arrow_schema::TimeUnit::Millisecond, None);
        columns[2].delivered = Some(milli);
        let sent = |text: &str, columns: &[TypedColumn]| {
            super::super::push(&Predicate::parse(text).unwrap(), columns).unwrap().text
        };
        let plain = super::tests::columns();
        let at = |micros: u32| format!("TIMESTAMP'1970-01-01 00:00:01.{micros:06}'");
        for (text, widened) in [
            (format!("t < {}", at(500)), format!("t < {}", at(1500))),
            (format!("t >= {}", at(2500)), format!("t >= {}", at(1500))),
            (format!("t = {}", at(2000)), format!("t >= {} and t <= {}", at(1000), at(3000))),
            (format!("t in ({}, NULL)", at(2000)), format!("t >= {} and t <= {}", at(1000), at(3000))),
            (format!("t != {}", at(500)), "t is not null".to_owned()),
        ] {
            assert_eq!(sent(&text, &columns), sent(&widened, &plain), "{text}");
        }
    }
}
