//! Between Arrow arrays and single values.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array,
    Int8Array, Int16Array, Int32Array, Int64Array, IntervalDayTimeArray, IntervalYearMonthArray, ListArray, MapArray,
    StringArray, StructArray, TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    IntervalDayTime, IntervalDayTimeType, IntervalYearMonthType, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};

use super::Datum;
use crate::types::temporal::DAY_NANOS;
use crate::types::{Type, Units, arrow_type};

/// An array of values that [`Datum::cast`] has brought into the form of `ty`. Instants are nanoseconds, or microseconds
/// if one of them is too far away for that.
pub fn array(values: &[Datum], ty: &Type) -> Result<ArrayRef> {
    let timestamp = if values.iter().all(fits_nanoseconds) { TimeUnit::Nanosecond } else { TimeUnit::Microsecond };
    let refs: Vec<&Datum> = values.iter().collect();
    build(&refs, ty, Units { datetime: TimeUnit::Millisecond, timestamp })
}

fn fits_nanoseconds(value: &Datum) -> bool {
    match value {
        Datum::Instant(nanos) => i64::try_from(*nanos).is_ok(),
        Datum::List(items) | Datum::Struct(items) => items.iter().all(fits_nanoseconds),
        Datum::Map(pairs) => pairs.iter().all(|(key, value)| fits_nanoseconds(key) && fits_nanoseconds(value)),
        _ => true,
    }
}

/// Takes what `pick` finds in each value; NULL stays NULL, anything else is an error.
fn column<'a, T, A: FromIterator<Option<T>> + Array + 'static>(
    values: &[&'a Datum],
    ty: &Type,
    pick: impl Fn(&'a Datum) -> Option<T>,
) -> Result<A> {
    let one = |value: &&'a Datum| match value {
        Datum::Null => Ok(None),
        value => pick(value).map(Some).with_context(|| format!("a value is not in the form of {ty}")),
    };
    values.iter().map(one).collect()
}

fn build(values: &[&Datum], ty: &Type, units: Units) -> Result<ArrayRef> {
    fn whole<T: TryFrom<i128>>(value: &Datum) -> Option<T> {
        match value {
            Datum::Number { unscaled, scale: 0 } => T::try_from(*unscaled).ok(),
            _ => None,
        }
    }
    let instant = |unit: i128| {
        move |value: &Datum| match value {
            Datum::Instant(nanos) => i64::try_from(nanos.div_euclid(unit)).ok(),
            _ => None,
        }
    };
    Ok(match ty {
        Type::TinyInt => Arc::new(column::<_, Int8Array>(values, ty, whole::<i8>)?),
        Type::SmallInt => Arc::new(column::<_, Int16Array>(values, ty, whole::<i16>)?),
        Type::Int => Arc::new(column::<_, Int32Array>(values, ty, whole::<i32>)?),
        Type::BigInt => Arc::new(column::<_, Int64Array>(values, ty, whole::<i64>)?),
        Type::Float => Arc::new(column::<_, Float32Array>(values, ty, |v| match v {
            Datum::Double(value) => Some(*value as f32),
            _ => None,
        })?),
        Type::Double => Arc::new(column::<_, Float64Array>(values, ty, |v| match v {
            Datum::Double(value) => Some(*value),
            _ => None,
        })?),
        Type::Boolean => Arc::new(column::<_, BooleanArray>(values, ty, |v| match v {
            Datum::Bool(value) => Some(*value),
            _ => None,
        })?),
        Type::String | Type::Varchar(_) | Type::Char(_) | Type::Json => {
            Arc::new(column::<_, StringArray>(values, ty, |v| match v {
                Datum::Text(text) => Some(text.as_str()),
                _ => None,
            })?)
        }
        Type::Binary | Type::Blob => Arc::new(column::<_, BinaryArray>(values, ty, |v| match v {
            Datum::Bytes(bytes) => Some(bytes.as_slice()),
            _ => None,
        })?),
        Type::Date => Arc::new(column::<_, Date32Array>(values, ty, |v| match v {
            Datum::Date(days) => i32::try_from(*days).ok(),
            _ => None,
        })?),
        Type::Datetime => {
            Arc::new(column::<_, TimestampMillisecondArray>(values, ty, instant(1_000_000))?.with_timezone("UTC"))
        }
        Type::Timestamp | Type::TimestampNtz => {
            let zone: Option<Arc<str>> = (*ty == Type::Timestamp).then(|| "UTC".into());
            match units.timestamp {
                TimeUnit::Microsecond => Arc::new(
                    column::<_, TimestampMicrosecondArray>(values, ty, instant(1_000))?.with_timezone_opt(zone),
                ),
                _ => Arc::new(column::<_, TimestampNanosecondArray>(values, ty, instant(1))?.with_timezone_opt(zone)),
            }
        }
        Type::IntervalYearMonth => Arc::new(column::<_, IntervalYearMonthArray>(values, ty, |v| match v {
            Datum::Months(months) => i32::try_from(*months).ok(),
            _ => None,
        })?),
        Type::IntervalDayTime => Arc::new(column::<_, IntervalDayTimeArray>(values, ty, |v| match v {
            Datum::Duration(nanos) => {
                let (days, rest) = (nanos / DAY_NANOS, nanos % DAY_NANOS);
                Some(IntervalDayTime::new(i32::try_from(days).ok()?, (rest / 1_000_000) as i32))
            }
            _ => None,
        })?),
        Type::Decimal(..) | Type::PlainDecimal => {
            let (precision, scale) = ty.decimal_shape().context("no decimal")?;
            let pick = |v: &Datum| match v {
                Datum::Number { unscaled, scale: found } if *found == u32::from(scale.unsigned_abs()) => {
                    Some(*unscaled)
                }
                _ => None,
            };
            Arc::new(column::<_, Decimal128Array>(values, ty, pick)?.with_precision_and_scale(precision, scale)?)
        }
        Type::Array(item) => {
            let mut inner: Vec<&Datum> = Vec::new();
            let mut lengths = Vec::with_capacity(values.len());
            for value in values {
                match value {
                    Datum::List(items) => {
                        lengths.push(items.len());
                        inner.extend(items);
                    }
                    Datum::Null => lengths.push(0),
                    _ => bail!("a value is not in the form of {ty}"),
                }
            }
            let DataType::List(field) = arrow_type(ty, units) else { bail!("{ty} is no list") };
            let offsets = OffsetBuffer::from_lengths(lengths);
            Arc::new(ListArray::try_new(field, offsets, build(&inner, item, units)?, nulls(values))?)
        }
        Type::Map(key, value) => {
            let (mut keys, mut items): (Vec<&Datum>, Vec<&Datum>) = Default::default();
            let mut lengths = Vec::with_capacity(values.len());
            for entry in values {
                match entry {
                    Datum::Map(pairs) => {
                        lengths.push(pairs.len());
                        keys.extend(pairs.iter().map(|(key, _)| key));
                        items.extend(pairs.iter().map(|(_, value)| value));
                    }
                    Datum::Null => lengths.push(0),
                    _ => bail!("a value is not in the form of {ty}"),
                }
            }
            let DataType::Map(field, ordered) = arrow_type(ty, units) else { bail!("{ty} is no map") };
            let DataType::Struct(fields) = field.data_type().clone() else { bail!("{ty} has no entries") };
            let columns = vec![build(&keys, key, units)?, build(&items, value, units)?];
            let entries = StructArray::try_new(fields, columns, None)?;
            Arc::new(MapArray::try_new(field, OffsetBuffer::from_lengths(lengths), entries, nulls(values), ordered)?)
        }
        Type::Struct(fields) => {
            let DataType::Struct(arrow_fields) = arrow_type(ty, units) else { bail!("{ty} is no struct") };
            let mut columns = Vec::with_capacity(fields.len());
            for (place, (_, field)) in fields.iter().enumerate() {
                let inner = values.iter().map(|value| match value {
                    Datum::Struct(items) => items.get(place).unwrap_or(&Datum::Null),
                    _ => &Datum::Null,
                });
                columns.push(build(&inner.collect::<Vec<_>>(), field, units)?);
            }
            Arc::new(StructArray::try_new_with_length(arrow_fields, columns, nulls(values), values.len())?)
        }
    })
}

fn nulls(values: &[&Datum]) -> Option<NullBuffer> {
    let valid: Vec<bool> = values.iter().map(|value| !matches!(value, Datum::Null)).collect();
    valid.contains(&false).then(|| NullBuffer::from(valid))
}

/// The value of one row of an array.
pub fn at(array: &dyn Array, row: usize) -> Result<Datum> {
    if array.is_null(row) {
        return Ok(Datum::Null);
    }
    let instant = |value: i64, unit: i64| Datum::Instant(i128::from(value) * i128::from(unit));
    Ok(match array.data_type() {
        DataType::Null => Datum::Null,
        DataType::Boolean => Datum::Bool(array.as_boolean().value(row)),
        DataType::Int8 => Datum::int(array.as_primitive::<Int8Type>().value(row)),
        DataType::Int16 => Datum::int(array.as_primitive::<Int16Type>().value(row)),
        DataType::Int32 => Datum::int(array.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => Datum::int(array.as_primitive::<Int64Type>().value(row)),
        DataType::Float32 => Datum::Double(array.as_primitive::<Float32Type>().value(row).into()),
        DataType::Float64 => Datum::Double(array.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal128(_, scale) => Datum::Number {
            unscaled: array.as_primitive::<Decimal128Type>().value(row),
            scale: u32::from(scale.unsigned_abs()),
        },
        DataType::Utf8 => Datum::Text(array.as_string::<i32>().value(row).to_string()),
        DataType::Binary => Datum::Bytes(array.as_binary::<i32>().value(row).to_vec()),
        DataType::Date32 => Datum::Date(array.as_primitive::<Date32Type>().value(row).into()),
        DataType::Timestamp(unit, _) => match unit {
            TimeUnit::Second => instant(array.as_primitive::<TimestampSecondType>().value(row), 1_000_000_000),
            TimeUnit::Millisecond => instant(array.as_primitive::<TimestampMillisecondType>().value(row), 1_000_000),
            TimeUnit::Microsecond => instant(array.as_primitive::<TimestampMicrosecondType>().value(row), 1_000),
            TimeUnit::Nanosecond => instant(array.as_primitive::<TimestampNanosecondType>().value(row), 1),
        },
        DataType::Interval(arrow::datatypes::IntervalUnit::YearMonth) => {
            Datum::Months(array.as_primitive::<IntervalYearMonthType>().value(row).into())
        }
        DataType::Interval(arrow::datatypes::IntervalUnit::DayTime) => {
            let value = array.as_primitive::<IntervalDayTimeType>().value(row);
            Datum::Duration(i128::from(value.days) * DAY_NANOS + i128::from(value.milliseconds) * 1_000_000)
        }
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            Datum::List((0..items.len()).map(|i| at(&items, i)).collect::<Result<_>>()?)
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            let (keys, values) = (entries.column(0), entries.column(1));
            Datum::Map((0..entries.len()).map(|i| Ok((at(keys, i)?, at(values, i)?))).collect::<Result<_>>()?)
        }
        DataType::Struct(_) => {
            let columns = array.as_struct().columns();
            Datum::Struct(columns.iter().map(|column| at(column, row)).collect::<Result<_>>()?)
        }
        other => bail!("values of Arrow type {other} are not taken apart"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_keep_values_of_every_type() {
        let text = |text: &str| Datum::Text(text.into());
        let cases = [
            ("tinyint", Datum::int(-7)),
            ("bigint", Datum::int(i64::MAX)),
            ("float", Datum::Double(0.5)),
            ("double", Datum::Double(-1e300)),
            ("boolean", Datum::Bool(true)),
            ("varchar(5)", text("ä中")),
            ("binary", Datum::Bytes(vec![0, 255])),
            ("date", Datum::Date(-719_528)),
            ("datetime", Datum::Instant(1_000_000)),
            ("timestamp", Datum::Instant(-1)),
            ("timestamp_ntz", Datum::Instant(-62_135_596_800_000_000_000)),
            ("decimal(38,18)", Datum::Number { unscaled: -5, scale: 18 }),
            ("interval_year_month", Datum::Months(-14)),
            ("interval_day_time", Datum::Duration(-90_000_000_000_000)),
            ("array<bigint>", Datum::List(vec![Datum::int(1), Datum::Null])),
            ("map<string,array<int>>", Datum::Map(vec![(text("k"), Datum::List(vec![]))])),
            ("struct<a:bigint,b:string>", Datum::Struct(vec![Datum::Null, text("x")])),
        ];
        for (ty, value) in cases {
            let ty: Type = ty.parse().unwrap();
            let array = array(&[value.clone(), Datum::Null, value.clone()], &ty).unwrap();
            assert_eq!(at(&array, 0).unwrap(), value, "{ty}");
            assert_eq!(at(&array, 1).unwrap(), Datum::Null, "{ty}");
            assert_eq!(at(&array, 2).unwrap(), value, "{ty}");
        }
        assert!(array(&[text("x")], &Type::BigInt).is_err());
    }
}
