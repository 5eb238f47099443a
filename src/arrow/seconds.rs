//! Times that arrive as `struct<sec:int64,nano:int32>`, as the columns of a session have them.
//!
//! Versions 2 and 3 of the Storage API send day-time intervals so, and timestamps whose values a count of nanoseconds cannot hold.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, ArrowTimestampType, Int32Type, Int64Type, IntervalDayTime, IntervalDayTimeType,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use arrow_array::{Array, ArrayRef, ListArray, MapArray, PrimitiveArray, StructArray};
use arrow_buffer::NullBuffer;
use arrow_schema::{ArrowError, DataType, Fields, IntervalUnit, TimeUnit};

use super::corrupt;
use crate::error::{Error, Kind, Result};

const MILLIS_PER_DAY: i128 = 86_400_000;

/// Whether values of the type `wire` are times that can become `wanted`.
pub(super) fn can_become(wire: &DataType, wanted: &DataType) -> bool {
    let is_time = matches!(wanted, DataType::Timestamp(..) | DataType::Interval(IntervalUnit::DayTime));
    let parts = |fields: &Fields| match fields.as_ref() {
        [sec, nano] => {
            let named = sec.name().eq_ignore_ascii_case("sec") && nano.name().eq_ignore_ascii_case("nano");
            named && *sec.data_type() == DataType::Int64 && *nano.data_type() == DataType::Int32
        }
        _ => false,
    };
    is_time && matches!(wire, DataType::Struct(fields) if parts(fields))
}

/// An array in the layout of the wire as one of type `wanted`; they differ in the layout of times only, at any depth.
pub(super) fn convert(array: &ArrayRef, wanted: &DataType) -> Result<ArrayRef> {
    if array.data_type() == wanted {
        return Ok(Arc::clone(array));
    }
    let wrong = |error: ArrowError| corrupt(&error.to_string());
    Ok(match (array.data_type(), wanted) {
        (DataType::Struct(_), DataType::Timestamp(unit, zone)) => {
            let parts = array.as_struct();
            let zone = zone.clone();
            match unit {
                TimeUnit::Second => Arc::new(instants::<TimestampSecondType>(parts)?.with_timezone_opt(zone)),
                TimeUnit::Millisecond => Arc::new(instants::<TimestampMillisecondType>(parts)?.with_timezone_opt(zone)),
                TimeUnit::Microsecond => Arc::new(instants::<TimestampMicrosecondType>(parts)?.with_timezone_opt(zone)),
                TimeUnit::Nanosecond => Arc::new(instants::<TimestampNanosecondType>(parts)?.with_timezone_opt(zone)),
            }
        }
        (DataType::Struct(_), DataType::Interval(_)) => Arc::new(intervals(array.as_struct())?),
        (DataType::Struct(_), DataType::Struct(fields)) => {
            let parts = array.as_struct();
            let columns = children(parts.columns(), fields)?;
            let nulls = parts.nulls().cloned();
            Arc::new(StructArray::try_new_with_length(fields.clone(), columns, nulls, parts.len()).map_err(wrong)?)
        }
        (DataType::List(_), DataType::List(child)) => {
            let list = array.as_list::<i32>();
            let values = convert(list.values(), child.data_type())?;
            let (offsets, nulls) = (list.offsets().clone(), list.nulls().cloned());
            Arc::new(ListArray::try_new(Arc::clone(child), offsets, values, nulls).map_err(wrong)?)
        }
        (DataType::Map(..), DataType::Map(entries, sorted)) => {
            let map = array.as_map();
            let DataType::Struct(fields) = entries.data_type() else { return Err(corrupt("a map has no entries")) };
            let pairs = StructArray::try_new(fields.clone(), children(map.entries().columns(), fields)?, None);
            let (offsets, nulls) = (map.offsets().clone(), map.nulls().cloned());
            let pairs = pairs.map_err(wrong)?;
            Arc::new(MapArray::try_new(Arc::clone(entries), offsets, pairs, nulls, *sorted).map_err(wrong)?)
        }
        (got, want) => return Err(Error::new(Kind::Internal, format!("{got} was taken for {want}"))),
    })
}

fn children(columns: &[ArrayRef], fields: &Fields) -> Result<Vec<ArrayRef>> {
    columns.iter().zip(fields).map(|(column, field)| convert(column, field.data_type())).collect()
}

/// Nanoseconds since 1970, or those of an interval. No sum of the two parts is out of range. The two parts of a value may have
/// different signs.
fn nanos(parts: &StructArray) -> Result<(impl Iterator<Item = i128>, Option<NullBuffer>)> {
    let [seconds, nanos] = parts.columns() else { return Err(corrupt("a time has no seconds and nanoseconds")) };
    let (seconds, nanos) = (seconds.as_primitive::<Int64Type>(), nanos.as_primitive::<Int32Type>());
    // A time without one of its parts is none.
    let nulls = NullBuffer::union(parts.nulls(), NullBuffer::union(seconds.nulls(), nanos.nulls()).as_ref());
    let sum = |(seconds, nanos): (&i64, &i32)| i128::from(*seconds) * 1_000_000_000 + i128::from(*nanos);
    Ok((seconds.values().iter().zip(nanos.values()).map(sum), nulls))
}

/// Timestamps, rounded down to their unit.
fn instants<T: ArrowTimestampType>(parts: &StructArray) -> Result<PrimitiveArray<T>> {
    let step: i128 = match T::UNIT {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    };
    each(parts, |nanos| i64::try_from(nanos.div_euclid(step)).ok())
}

/// Day-time intervals have milliseconds; what is finer is cut off.
fn intervals(parts: &StructArray) -> Result<PrimitiveArray<IntervalDayTimeType>> {
    each(parts, |nanos| {
        let millis = nanos / 1_000_000;
        let days = i32::try_from(millis / MILLIS_PER_DAY).ok()?;
        Some(IntervalDayTime::new(days, i32::try_from(millis % MILLIS_PER_DAY).ok()?))
    })
}

/// The place where a value is found to have no equal in the type of its column.
fn each<T: ArrowPrimitiveType>(
    parts: &StructArray,
    value: impl Fn(i128) -> Option<T::Native>,
) -> Result<PrimitiveArray<T>> {
    let (nanos, nulls) = nanos(parts)?;
    let mut values = Vec::with_capacity(parts.len());
    for (row, nanos) in nanos.enumerate() {
        if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            values.push(T::Native::default());
            continue;
        }
        values.push(value(nanos).ok_or_else(|| {
            let (seconds, rest) = (nanos.div_euclid(1_000_000_000), nanos.rem_euclid(1_000_000_000));
            let message = format!("{seconds} s and {rest} ns cannot be told as {}", T::DATA_TYPE);
            Error::new(Kind::ValueOutOfRange, message)
        })?);
    }
    PrimitiveArray::try_new(values.into(), nulls).map_err(|error| corrupt(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{Int32Array, Int64Array};
    use arrow_buffer::OffsetBuffer;
    use arrow_schema::Field;

    fn times(values: &[Option<(i64, i32)>]) -> ArrayRef {
        let seconds: Int64Array = values.iter().map(|value| Some(value.map_or(i64::MAX, |value| value.0))).collect();
        let nanos: Int32Array = values.iter().map(|value| Some(value.map_or(0, |value| value.1))).collect();
        let nulls = values.iter().map(Option::is_some).collect::<Vec<bool>>().into();
        Arc::new(StructArray::new(fields(), vec![Arc::new(seconds), Arc::new(nanos)], Some(nulls)))
    }

    fn fields() -> Fields {
        vec![Field::new("sec", DataType::Int64, false), Field::new("nano", DataType::Int32, false)].into()
    }

    fn utc(unit: TimeUnit) -> DataType {
        DataType::Timestamp(unit, Some("UTC".into()))
    }

    #[test]
    fn instants_in_every_unit_are_rounded_down() {
        let wire = times(&[Some((1, 999_999_999)), None, Some((-1, 1)), Some((0, -1))]);
        for (unit, expected) in [
            (TimeUnit::Second, [1, -1, -1]),
            (TimeUnit::Millisecond, [1999, -1000, -1]),
            (TimeUnit::Microsecond, [1_999_999, -1_000_000, -1]),
            (TimeUnit::Nanosecond, [1_999_999_999, -999_999_999, -1]),
        ] {
            let got = convert(&wire, &utc(unit)).unwrap();
            assert_eq!(*got.data_type(), utc(unit));
            let values = got.to_data();
            let values = values.buffers()[0].typed_data::<i64>();
            assert_eq!(([values[0], values[2], values[3]], got.is_null(1)), (expected, true), "{unit:?}");
        }
    }

    #[test]
    fn what_a_unit_cannot_tell_is_an_error() {
        let year_9999 = times(&[Some((253_402_300_799, 999_999_999))]);
        let error = convert(&year_9999, &utc(TimeUnit::Nanosecond)).unwrap_err();
        assert_eq!(error.kind(), Kind::ValueOutOfRange);
        assert!(error.message().contains("253402300799 s"), "{error}");
        convert(&year_9999, &utc(TimeUnit::Microsecond)).unwrap();
        let limits = times(&[Some((i64::MAX / 1_000_000_000, 854_775_807)), Some((-9_223_372_037, 145_224_192))]);
        let limits = convert(&limits, &utc(TimeUnit::Nanosecond)).unwrap();
        assert_eq!(limits.as_primitive::<TimestampNanosecondType>().values().as_ref(), [i64::MAX, i64::MIN]);
    }

    #[test]
    fn intervals_have_days_and_milliseconds_of_one_sign() {
        let wire = times(&[Some((90_000, 1_999_999)), Some((-86_401, -1_000_000)), None]);
        let got = convert(&wire, &DataType::Interval(IntervalUnit::DayTime)).unwrap();
        let got = got.as_primitive::<IntervalDayTimeType>();
        assert_eq!(
            (got.value(0), got.value(1)),
            (IntervalDayTime::new(1, 3_600_001), IntervalDayTime::new(-1, -1_001))
        );
        assert!(got.is_null(2));
        let far = times(&[Some((i64::MAX, 0))]);
        assert!(convert(&far, &DataType::Interval(IntervalUnit::DayTime)).is_err());
    }

    #[test]
    fn at_any_depth() {
        let item = |data_type: &DataType| Arc::new(Field::new("element", data_type.clone(), true));
        let offsets = OffsetBuffer::from_lengths([1, 0, 1]);
        let wire_type = DataType::Struct(fields());
        let list = ListArray::new(item(&wire_type), offsets.clone(), times(&[Some((1, 0)), None]), None);
        let of = |data_type: DataType| Fields::from(vec![Field::new("x", data_type, true)]);
        let inner: Fields = of(DataType::List(item(&wire_type)));
        let wire: ArrayRef =
            Arc::new(StructArray::new(inner, vec![Arc::new(list)], Some(vec![true, false, true].into())));
        let wanted = DataType::Struct(of(DataType::List(item(&utc(TimeUnit::Second)))));
        let got = convert(&wire, &wanted).unwrap();
        assert_eq!(*got.data_type(), wanted);
        assert!(got.is_null(1));
        let list = got.as_struct().column(0).as_list::<i32>();
        assert_eq!((list.value_length(0), list.value(0).as_primitive::<TimestampSecondType>().value(0)), (1, 1));
        let pair = |data_type: &DataType| {
            let fields =
                vec![Field::new("key", data_type.clone(), false), Field::new("value", data_type.clone(), true)];
            Fields::from(fields)
        };
        let entries = |data_type: &DataType| Arc::new(Field::new("entries", DataType::Struct(pair(data_type)), false));
        let keys = times(&[Some((7, 0)), Some((8, 0))]);
        let pairs = StructArray::new(pair(&wire_type), vec![Arc::clone(&keys), times(&[None, Some((9, 0))])], None);
        let wire: ArrayRef = Arc::new(MapArray::new(entries(&wire_type), offsets, pairs, None, false));
        let wanted = DataType::Map(entries(&utc(TimeUnit::Second)), false);
        let got = convert(&wire, &wanted).unwrap();
        assert_eq!(got.as_map().keys().as_primitive::<TimestampSecondType>().values().as_ref(), [7, 8]);
    }

    #[test]
    fn only_times_are_taken_for_times() {
        let wire = DataType::Struct(fields());
        assert!(can_become(&wire, &utc(TimeUnit::Second)) && !can_become(&wire, &DataType::Int64));
        assert!(!can_become(&DataType::Int64, &utc(TimeUnit::Second)));
        let other = vec![Field::new("a", DataType::Int64, false), Field::new("b", DataType::Int32, false)];
        assert!(!can_become(&DataType::Struct(other.into()), &utc(TimeUnit::Second)));
    }
}
