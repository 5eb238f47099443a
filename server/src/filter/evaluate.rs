//! Evaluates a predicate for the rows of a batch.

use std::cmp::Ordering;

use anyhow::{Context, Result};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};

use super::ast::Op;
use super::bind::{Bound, Term};
use super::prune::{Truths, World, evaluate};
use super::value::Value;
use crate::catalog::Column;
use crate::plan::partition_cell;
use crate::store::column_index;
use crate::types::Type;

/// Which rows of a batch of stored rows the predicate keeps: those for which it is true, or may be where a part of it is
/// not evaluated.
///
/// The batch holds the data columns that the predicate reads; one that it lacks is NULL, as the column was added later; `partition` names the partition columns and
/// their values. Numbers compare by value, a fraction without `BD` as DECIMAL against exact numbers and as DOUBLE
/// against floating ones. NaN is equal to itself and larger than everything else. CHAR compares with its blanks.
pub fn matches<'a>(
    predicate: &Bound,
    columns: &[Column],
    partition: impl Iterator<Item = (&'a Column, &'a String)>,
    batch: &RecordBatch,
) -> Result<Vec<bool>> {
    let mut sources: Vec<Source> = Vec::new();
    for column in columns {
        let array = column_index(batch.schema_ref(), &column.name).map(|place| batch.column(place).clone());
        sources.push(Source::Array(array, matches!(column.ty, Type::Char(_))));
    }
    for (column, value) in partition {
        sources.push(Source::Constant(partition_cell(value, &column.ty).context("a partition value is damaged")?));
    }
    Ok((0..batch.num_rows()).map(|row| evaluate(predicate, &Row { sources: &sources, row }).is_true).collect())
}

/// Where the values of a column come from.
enum Source {
    /// An array, and whether it holds CHAR. Columns that the file lacks have none, nor those that are not read.
    Array(Option<ArrayRef>, bool),
    Constant(Value),
}

/// One row.
struct Row<'a> {
    sources: &'a [Source],
    row: usize,
}

impl World for Row<'_> {
    fn compare(&self, op: Op, left: &Term, right: &Term) -> Truths {
        let order = match (self.cell(left), self.cell(right)) {
            (Cell::Null, _) | (_, Cell::Null) => return Truths::UNKNOWN,
            (left, right) => left.order(&right),
        };
        let Some(order) = order else { return Truths::ANY };
        let is_true = match op {
            Op::Equal => order.is_eq(),
            Op::NotEqual => order.is_ne(),
            Op::Less => order.is_lt(),
            Op::LessOrEqual => order.is_le(),
            Op::Greater => order.is_gt(),
            Op::GreaterOrEqual => order.is_ge(),
        };
        if is_true { Truths::TRUE } else { Truths::FALSE }
    }

    fn is_null(&self, term: &Term) -> Truths {
        let is_null = match term {
            // Also of columns that cannot be compared, such as lists.
            Term::Column(index) => match self.sources.get(*index) {
                Some(Source::Array(Some(array), _)) => array.is_null(self.row),
                Some(Source::Array(None, _)) => true,
                Some(Source::Constant(_)) => false,
                None => return Truths::ANY,
            },
            other => matches!(self.cell(other), Cell::Null),
        };
        if is_null { Truths::TRUE } else { Truths::FALSE }
    }
}

impl<'a> Row<'a> {
    fn cell(&self, term: &'a Term) -> Cell<'a> {
        match term {
            Term::Null => Cell::Null,
            Term::Value(value) => Cell::of(value),
            Term::Column(index) => match self.sources.get(*index) {
                Some(Source::Array(Some(array), is_char)) => Cell::at(array, self.row, *is_char),
                // The file is older than the column.
                Some(Source::Array(None, _)) => Cell::Null,
                Some(Source::Constant(value)) => Cell::of(value),
                None => Cell::Other,
            },
        }
    }
}

/// A value without a copy of it.
#[derive(Clone, Copy, Debug)]
enum Cell<'a> {
    Null,
    Exact {
        unscaled: i128,
        scale: u32,
    },
    /// A literal that is exact against exact numbers, and a DOUBLE against floating ones.
    Loose {
        unscaled: i128,
        scale: u32,
    },
    Double(f64),
    Text(&'a str),
    Char(&'a str),
    Bytes(&'a [u8]),
    Bool(bool),
    Date(i64),
    Instant(i128),
    /// Something that is not compared.
    Other,
}

impl<'a> Cell<'a> {
    fn of(value: &'a Value) -> Cell<'a> {
        match value {
            Value::Exact { unscaled, scale } => Cell::Exact { unscaled: *unscaled, scale: *scale },
            Value::Loose { unscaled, scale } => Cell::Loose { unscaled: *unscaled, scale: *scale },
            Value::Single(v) => Cell::Double(f64::from(*v)),
            Value::Double(v) => Cell::Double(*v),
            Value::Text(text) => Cell::Text(text),
            Value::Char(text) => Cell::Char(text),
            Value::Bytes(bytes) => Cell::Bytes(bytes),
            Value::Bool(v) => Cell::Bool(*v),
            Value::Date(days) => Cell::Date(*days),
            Value::Instant(nanos) => Cell::Instant(*nanos),
        }
    }

    fn at(array: &'a ArrayRef, row: usize, is_char: bool) -> Cell<'a> {
        if array.is_null(row) {
            return Cell::Null;
        }
        let whole = |v: i64| Cell::Exact { unscaled: i128::from(v), scale: 0 };
        let instant = |v: i64, nanos: i64| Cell::Instant(i128::from(v) * i128::from(nanos));
        match array.data_type() {
            DataType::Int8 => whole(array.as_primitive::<Int8Type>().value(row).into()),
            DataType::Int16 => whole(array.as_primitive::<Int16Type>().value(row).into()),
            DataType::Int32 => whole(array.as_primitive::<Int32Type>().value(row).into()),
            DataType::Int64 => whole(array.as_primitive::<Int64Type>().value(row)),
            DataType::Decimal128(_, scale) => match u32::try_from(*scale) {
                Ok(scale) => Cell::Exact { unscaled: array.as_primitive::<Decimal128Type>().value(row), scale },
                Err(_) => Cell::Other,
            },
            DataType::Float32 => Cell::Double(array.as_primitive::<Float32Type>().value(row).into()),
            DataType::Float64 => Cell::Double(array.as_primitive::<Float64Type>().value(row)),
            DataType::Boolean => Cell::Bool(array.as_boolean().value(row)),
            DataType::Utf8 if is_char => Cell::Char(array.as_string::<i32>().value(row)),
            DataType::Utf8 => Cell::Text(array.as_string::<i32>().value(row)),
            DataType::Binary => Cell::Bytes(array.as_binary::<i32>().value(row)),
            DataType::Date32 => Cell::Date(array.as_primitive::<Date32Type>().value(row).into()),
            DataType::Timestamp(TimeUnit::Second, _) => {
                instant(array.as_primitive::<TimestampSecondType>().value(row), 1_000_000_000)
            }
            DataType::Timestamp(TimeUnit::Millisecond, _) => {
                instant(array.as_primitive::<TimestampMillisecondType>().value(row), 1_000_000)
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                instant(array.as_primitive::<TimestampMicrosecondType>().value(row), 1_000)
            }
            DataType::Timestamp(TimeUnit::Nanosecond, _) => {
                instant(array.as_primitive::<TimestampNanosecondType>().value(row), 1)
            }
            _ => Cell::Other,
        }
    }

    /// The order of two values that are not NULL; `None` for kinds that are not compared.
    fn order(&self, other: &Cell<'_>) -> Option<Ordering> {
        use Cell::{Double, Exact, Loose};
        Some(match (*self, *other) {
            (
                Exact { unscaled: a, scale: s } | Loose { unscaled: a, scale: s },
                Exact { unscaled: b, scale: t } | Loose { unscaled: b, scale: t },
            ) => exact(a, s, b, t),
            (Double(a), Double(b)) => floating(a, b),
            (Double(a), Loose { unscaled, scale }) => floating(a, nearest(unscaled, scale)),
            (Loose { unscaled, scale }, Double(b)) => floating(nearest(unscaled, scale), b),
            (Double(a), Exact { unscaled, scale }) => mixed(a, unscaled, scale),
            (Exact { unscaled, scale }, Double(b)) => mixed(b, unscaled, scale).reverse(),
            (Cell::Text(a), Cell::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
            (Cell::Char(a), Cell::Char(b)) => padded(a.as_bytes(), b.as_bytes()),
            (Cell::Bytes(a), Cell::Bytes(b)) => a.cmp(b),
            (Cell::Bool(a), Cell::Bool(b)) => a.cmp(&b),
            (Cell::Date(a), Cell::Date(b)) => a.cmp(&b),
            (Cell::Instant(a), Cell::Instant(b)) => a.cmp(&b),
            _ => return None,
        })
    }
}

/// Texts as if the shorter one went on with blanks.
fn padded(a: &[u8], b: &[u8]) -> Ordering {
    let length = a.len().max(b.len());
    let pad =
        |text: &[u8]| text.iter().copied().chain(std::iter::repeat_n(b' ', length - text.len())).collect::<Vec<_>>();
    if a.len() == b.len() { a.cmp(b) } else { pad(a).cmp(&pad(b)) }
}

/// `a * 10^-s` against `b * 10^-t`.
fn exact(a: i128, s: u32, b: i128, t: u32) -> Ordering {
    // The one with fewer fraction digits is widened; if that overflows, it is the one further from zero.
    let widen = |v: i128, by: u32| 10i128.checked_pow(by).and_then(|factor| v.checked_mul(factor));
    if s <= t {
        widen(a, t - s).map_or(a.cmp(&0), |a| a.cmp(&b))
    } else {
        widen(b, s - t).map_or(0.cmp(&b), |b| a.cmp(&b))
    }
}

/// NaN is equal to itself and larger than everything else.
fn floating(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

fn nearest(unscaled: i128, scale: u32) -> f64 {
    // By way of text, which is rounded once.
    format!("{unscaled}e-{scale}").parse().unwrap_or(f64::NAN)
}

/// A floating number against `unscaled * 10^-scale`, by value.
fn mixed(a: f64, unscaled: i128, scale: u32) -> Ordering {
    let b = nearest(unscaled, scale);
    match floating(a, b) {
        // Equal after rounding: whole numbers are compared again without it.
        Ordering::Equal if a.fract() == 0.0 && a.abs() < 1e38 => exact(a as i128, 0, unscaled, scale),
        order => order,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compare_by_value() {
        let exact = |unscaled, scale| Cell::Exact { unscaled, scale };
        let order = |a: Cell<'_>, b: Cell<'_>| a.order(&b).unwrap();
        assert!(order(exact(100, 2), exact(1, 0)).is_eq());
        assert!(order(exact(i128::MAX, 0), exact(1, 38)).is_gt());
        assert!(order(exact(-5, 0), exact(i128::MAX, 38)).is_lt());
        assert!(order(Cell::Double((1i64 << 53) as f64), exact((1 << 53) + 1, 0)).is_lt());
        assert!(order(Cell::Double(0.1), Cell::Loose { unscaled: 1, scale: 1 }).is_eq());
        assert!(order(Cell::Double(0.1f32.into()), Cell::Loose { unscaled: 1, scale: 1 }).is_gt());
        assert!(order(Cell::Double(f64::NAN), Cell::Double(f64::INFINITY)).is_gt());
        assert!(order(Cell::Double(f64::NAN), Cell::Double(f64::NAN)).is_eq());
        assert!(order(Cell::Char("a"), Cell::Char("a  ")).is_eq());
        assert!(order(Cell::Char("a\u{1}"), Cell::Char("a")).is_lt());
        assert!(Cell::Bool(true).order(&Cell::Date(1)).is_none());
    }
}
