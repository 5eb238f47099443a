//! Which rows of a batch meet a condition: a bit per row, computed column by column.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::hash::Hash;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use arrow_array::{Array, ArrayRef};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer};
use arrow_schema::{DataType, TimeUnit};

use super::bind::{Bound, Place};
use super::interval::Value;
use super::{Domain, Op};
use crate::error::{Error, Kind, Result};

/// Sets of at most this many values are searched from one end to the other.
const SMALL_SET: usize = 8;

impl Bound {
    /// The rows that meet the condition, of columns with `rows` rows each.
    pub(super) fn rows(&self, columns: &[ArrayRef], rows: usize) -> Result<BooleanBuffer> {
        match self {
            Bound::All(parts) => {
                let mut met = BooleanBuffer::new_set(rows);
                for part in parts {
                    met = &met & &part.rows(columns, rows)?;
                    if met.count_set_bits() == 0 {
                        break;
                    }
                }
                Ok(met)
            }
            Bound::Any(parts) => {
                let mut met = BooleanBuffer::new_unset(rows);
                for part in parts {
                    met = &met | &part.rows(columns, rows)?;
                }
                Ok(met)
            }
            Bound::Null { place, negated } => {
                let (_, nulls) = look_up(place, columns)?;
                Ok(match (nulls, negated) {
                    (None, negated) => {
                        if *negated {
                            BooleanBuffer::new_set(rows)
                        } else {
                            BooleanBuffer::new_unset(rows)
                        }
                    }
                    (Some(nulls), true) => nulls.into_inner(),
                    (Some(nulls), false) => !nulls.inner(),
                })
            }
            Bound::Compare { place, op, value } => {
                let (array, nulls) = look_up(place, columns)?;
                Ok(valid(compared(array, place.domain, *op, value)?, nulls))
            }
            Bound::In { place, negated, values } => {
                let (array, nulls) = look_up(place, columns)?;
                let within = contained(array, place.domain, values)?;
                Ok(valid(if *negated { !&within } else { within }, nulls))
            }
            Bound::Foreign(reason) => Err(Error::new(Kind::Internal, format!("a test was not refused: {reason}"))),
        }
    }
}

/// The values of a place, and which of them are NULL.
fn look_up<'a>(place: &Place, columns: &'a [ArrayRef]) -> Result<(&'a ArrayRef, Option<NullBuffer>)> {
    let mut array = columns.get(place.column).ok_or_else(|| mismatch("a column is missing"))?;
    let mut nulls = array.logical_nulls();
    for field in &place.fields {
        let inner = array.as_struct_opt().and_then(|array| array.columns().get(*field));
        array = inner.ok_or_else(|| mismatch("a field is missing"))?;
        nulls = NullBuffer::union(nulls.as_ref(), array.logical_nulls().as_ref());
    }
    Ok((array, nulls))
}

fn mismatch(what: &str) -> Error {
    Error::new(Kind::Internal, format!("the batch is not what the filter was made for: {what}"))
}

fn valid(met: BooleanBuffer, nulls: Option<NullBuffer>) -> BooleanBuffer {
    match nulls {
        Some(nulls) => &met & nulls.inner(),
        None => met,
    }
}

/// A bit for each value, 64 at a time.
fn bits<T: Copy>(values: &[T], test: impl Fn(T) -> bool) -> BooleanBuffer {
    let word = |values: &[T]| {
        values.iter().enumerate().fold(0u64, |word, (place, value)| word | (u64::from(test(*value)) << place))
    };
    let words: Vec<u64> = values.chunks(64).map(word).collect();
    BooleanBuffer::new(Buffer::from_vec(words), 0, values.len())
}

/// A bit for each of some values, which may not be there where they are NULL.
fn bits_of<T>(values: impl Iterator<Item = Option<T>>, test: impl Fn(T) -> bool) -> BooleanBuffer {
    values.map(|value| value.is_some_and(&test)).collect()
}

fn compared(array: &ArrayRef, domain: Domain, op: Op, value: &Value) -> Result<BooleanBuffer> {
    match value {
        Value::Whole(number) => with_whole(array, &mut Compared(op, *number)),
        Value::Real(number) => match array.data_type() {
            DataType::Float32 => {
                let values = array.as_primitive::<Float32Type>().values();
                Ok(real_bits(values, op, number.get(), f64::from))
            }
            DataType::Float64 => Ok(real_bits(array.as_primitive::<Float64Type>().values(), op, number.get(), |x| x)),
            other => Err(mismatch(&format!("{other} for a floating number"))),
        },
        Value::Bool(wanted) => {
            let array = array.as_boolean_opt().ok_or_else(|| mismatch("no booleans"))?;
            Ok(bits_of(array.iter(), |value| holds(op, value.cmp(wanted))))
        }
        Value::Text(wanted) => {
            let wanted = wanted.as_bytes();
            match domain {
                Domain::Char => on_bytes(array, |bytes| holds(op, padded(bytes, wanted))),
                _ => on_bytes(array, |bytes| holds(op, bytes.cmp(wanted))),
            }
        }
        Value::Binary(wanted) => on_bytes(array, |bytes| holds(op, bytes.cmp(wanted.as_slice()))),
    }
}

fn contained(array: &ArrayRef, domain: Domain, values: &[Value]) -> Result<BooleanBuffer> {
    match values.first() {
        Some(Value::Whole(_)) => {
            let numbers = values.iter().filter_map(|value| match value {
                Value::Whole(number) => Some(*number),
                _ => None,
            });
            with_whole(array, &mut Contained(numbers.collect()))
        }
        Some(Value::Text(_) | Value::Binary(_)) => {
            let wanted = values.iter().filter_map(|value| match value {
                Value::Text(text) => Some(text.as_bytes()),
                Value::Binary(bytes) => Some(bytes.as_slice()),
                _ => None,
            });
            let wanted = Set::new(wanted.collect());
            match domain {
                Domain::Char => on_bytes(array, |bytes| wanted.has(&trimmed(bytes))),
                _ => on_bytes(array, |bytes| wanted.has(&bytes)),
            }
        }
        // Booleans, and floating numbers, which are compared one by one.
        _ => values.iter().try_fold(BooleanBuffer::new_unset(array.len()), |met, value| {
            Ok(&met | &compared(array, domain, Op::Equal, value)?)
        }),
    }
}

/// Something to do with the whole numbers of an array, which have one of several types.
trait OnWhole {
    fn run<T: ArrowPrimitiveType>(&mut self, values: &[T::Native]) -> Result<BooleanBuffer>
    where
        T::Native: TryFrom<i128> + Ord + Hash;
}

struct Compared(Op, i128);

impl OnWhole for Compared {
    fn run<T: ArrowPrimitiveType>(&mut self, values: &[T::Native]) -> Result<BooleanBuffer>
    where
        T::Native: TryFrom<i128> + Ord + Hash,
    {
        let wanted = T::Native::try_from(self.1).map_err(|_| mismatch("a value is out of range"))?;
        Ok(match self.0 {
            Op::Equal => bits(values, |value| value == wanted),
            Op::NotEqual => bits(values, |value| value != wanted),
            Op::Less => bits(values, |value| value < wanted),
            Op::LessOrEqual => bits(values, |value| value <= wanted),
            Op::Greater => bits(values, |value| value > wanted),
            Op::GreaterOrEqual => bits(values, |value| value >= wanted),
        })
    }
}

struct Contained(Vec<i128>);

impl OnWhole for Contained {
    fn run<T: ArrowPrimitiveType>(&mut self, values: &[T::Native]) -> Result<BooleanBuffer>
    where
        T::Native: TryFrom<i128> + Ord + Hash,
    {
        let wanted = Set::new(self.0.iter().filter_map(|number| T::Native::try_from(*number).ok()).collect());
        Ok(bits(values, |value| wanted.has(&value)))
    }
}

fn with_whole(array: &ArrayRef, action: &mut impl OnWhole) -> Result<BooleanBuffer> {
    macro_rules! run {
        ($type:ty) => {
            action.run::<$type>(array.as_primitive::<$type>().values())
        };
    }
    match array.data_type() {
        DataType::Int8 => run!(Int8Type),
        DataType::Int16 => run!(Int16Type),
        DataType::Int32 => run!(Int32Type),
        DataType::Int64 => run!(Int64Type),
        DataType::Date32 => run!(Date32Type),
        DataType::Decimal128(..) => run!(Decimal128Type),
        DataType::Timestamp(TimeUnit::Second, _) => run!(TimestampSecondType),
        DataType::Timestamp(TimeUnit::Millisecond, _) => run!(TimestampMillisecondType),
        DataType::Timestamp(TimeUnit::Microsecond, _) => run!(TimestampMicrosecondType),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => run!(TimestampNanosecondType),
        other => Err(mismatch(&format!("{other} for a whole number"))),
    }
}

/// Floating numbers against one: NaN is equal to itself and larger than everything else.
fn real_bits<T: Copy>(values: &[T], op: Op, wanted: f64, widen: impl Fn(T) -> f64) -> BooleanBuffer {
    match (op, wanted.is_nan()) {
        (Op::Equal, false) => bits(values, |value| widen(value) == wanted),
        (Op::NotEqual, false) => bits(values, |value| widen(value) != wanted),
        (Op::Less, false) => bits(values, |value| widen(value) < wanted),
        (Op::LessOrEqual, false) => bits(values, |value| widen(value) <= wanted),
        (Op::Greater, false) => {
            let test = |value: f64| value > wanted || value.is_nan();
            bits(values, |value| test(widen(value)))
        }
        (Op::GreaterOrEqual, false) => {
            let test = |value: f64| value >= wanted || value.is_nan();
            bits(values, |value| test(widen(value)))
        }
        (Op::Less | Op::NotEqual, true) => bits(values, |value| !widen(value).is_nan()),
        (Op::Equal | Op::GreaterOrEqual, true) => bits(values, |value| widen(value).is_nan()),
        (Op::LessOrEqual, true) => BooleanBuffer::new_set(values.len()),
        (Op::Greater, true) => BooleanBuffer::new_unset(values.len()),
    }
}

fn on_bytes(array: &ArrayRef, test: impl Fn(&[u8]) -> bool) -> Result<BooleanBuffer> {
    Ok(match array.data_type() {
        DataType::Utf8 => bits_of(array.as_string::<i32>().iter(), |text| test(text.as_bytes())),
        DataType::LargeUtf8 => bits_of(array.as_string::<i64>().iter(), |text| test(text.as_bytes())),
        DataType::Utf8View => bits_of(array.as_string_view().iter(), |text| test(text.as_bytes())),
        DataType::Binary => bits_of(array.as_binary::<i32>().iter(), test),
        DataType::LargeBinary => bits_of(array.as_binary::<i64>().iter(), test),
        DataType::BinaryView => bits_of(array.as_binary_view().iter(), test),
        other => return Err(mismatch(&format!("{other} for text or binary"))),
    })
}

fn holds(op: Op, order: Ordering) -> bool {
    match op {
        Op::Equal => order.is_eq(),
        Op::NotEqual => order.is_ne(),
        Op::Less => order.is_lt(),
        Op::LessOrEqual => order.is_le(),
        Op::Greater => order.is_gt(),
        Op::GreaterOrEqual => order.is_ge(),
    }
}

fn trimmed(bytes: &[u8]) -> &[u8] {
    let blanks = bytes.iter().rev().take_while(|byte| **byte == b' ').count();
    bytes.get(..bytes.len() - blanks).unwrap_or(bytes)
}

/// The order of two texts as if the shorter one went on with blanks.
fn padded(one: &[u8], other: &[u8]) -> Ordering {
    let length = one.len().max(other.len());
    let pad = |bytes: &'_ [u8]| bytes.len();
    let (short, long) = (pad(one).min(pad(other)), length);
    let common = one.get(..short).cmp(&other.get(..short));
    common.then_with(|| {
        let blanks = std::iter::repeat_n(b' ', long - short);
        if one.len() > other.len() {
            one.iter().skip(short).copied().cmp(blanks)
        } else {
            blanks.cmp(other.iter().skip(short).copied())
        }
    })
}

/// A set of values to look up in.
enum Set<T> {
    Few(Vec<T>),
    Many(HashSet<T>),
}

impl<T: Eq + Hash> Set<T> {
    fn new(values: Vec<T>) -> Self {
        if values.len() <= SMALL_SET { Set::Few(values) } else { Set::Many(values.into_iter().collect()) }
    }

    fn has(&self, value: &T) -> bool {
        match self {
            Set::Few(values) => values.contains(value),
            Set::Many(values) => values.contains(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_do_not_matter_at_the_end_of_char() {
        for (one, other, order) in [
            ("a", "a  ", Ordering::Equal),
            ("", "   ", Ordering::Equal),
            ("a\u{1}", "a", Ordering::Less),
            ("a", "a\u{1}", Ordering::Greater),
            ("a", "ab", Ordering::Less),
            ("b", "a  ", Ordering::Greater),
        ] {
            assert_eq!(padded(one.as_bytes(), other.as_bytes()), order, "{one:?} {other:?}");
        }
        assert_eq!(trimmed(b"a b  "), b"a b");
    }

    #[test]
    fn bits_are_in_the_order_of_the_values() {
        let values: Vec<i32> = (0..131).collect();
        let found = bits(&values, |value| value % 3 == 0);
        assert_eq!(found.len(), 131);
        assert!(found.iter().enumerate().all(|(at, bit)| bit == (at % 3 == 0)));
    }
}
