//! Times that arrive as `struct<sec:int64,nano:int32>`, as the columns of a session have them.
//!
//! Versions 2 and 3 of the Storage API send day-time intervals so, and timestamps whose values a count of nanoseconds cannot hold. This
//! is where a value is found to have no equal in the type of its column.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, ArrowTimestampType, Int32Type, Int64Type, IntervalDayTime, IntervalDayTimeType,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use arrow_array::{Array, ArrayRef, ListArray, MapArray, PrimitiveArray, StructArray};
use arrow_buffer::{BooleanBuffer, NullBuffer};
use arrow_schema::{ArrowError, DataType, FieldRef, Fields, IntervalUnit, TimeUnit};

use super::policy::Overflow;
use super::{corrupt, visible};
use crate::error::{Error, Kind, Result};

const MILLIS_PER_DAY: i128 = 86_400_000;

/// What happens to times that do not fit, and how many there were.
#[derive(Debug, Default)]
pub(super) struct Fitting {
    pub(super) overflow: Overflow,
    /// Times that became NULL or another one.
    pub(super) replaced: u64,
}

/// Where an array belongs.
#[derive(Debug, Clone, Copy)]
struct Place<'a> {
    /// Whether a value may be NULL there.
    nullable: bool,
    /// Which of its values can be seen; `None` for all. What does not fit where nobody sees it does no harm.
    seen: Option<&'a NullBuffer>,
}

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

/// An array in the layout of the wire as one of type `wanted`, which may have NULL or not; they differ in the layout of times only, at
/// any depth.
pub(super) fn convert(array: &ArrayRef, wanted: &DataType, nullable: bool, fitting: &mut Fitting) -> Result<ArrayRef> {
    convert_at(array, wanted, Place { nullable, seen: None }, fitting)
}

fn convert_at(array: &ArrayRef, wanted: &DataType, place: Place<'_>, fitting: &mut Fitting) -> Result<ArrayRef> {
    if array.data_type() == wanted {
        return Ok(Arc::clone(array));
    }
    let wrong = |error: ArrowError| corrupt(&error.to_string());
    Ok(match (array.data_type(), wanted) {
        (DataType::Struct(_), DataType::Timestamp(unit, zone)) => {
            let (parts, zone) = (array.as_struct(), zone.clone());
            match unit {
                TimeUnit::Second => instants::<TimestampSecondType>(parts, zone, place, fitting)?,
                TimeUnit::Millisecond => instants::<TimestampMillisecondType>(parts, zone, place, fitting)?,
                TimeUnit::Microsecond => instants::<TimestampMicrosecondType>(parts, zone, place, fitting)?,
                TimeUnit::Nanosecond => instants::<TimestampNanosecondType>(parts, zone, place, fitting)?,
            }
        }
        (DataType::Struct(_), DataType::Interval(_)) => Arc::new(intervals(array.as_struct(), place, fitting)?),
        (DataType::Struct(_), DataType::Struct(fields)) => {
            let parts = array.as_struct();
            let seen = NullBuffer::union(place.seen, parts.nulls());
            let columns = children(parts.columns(), fields, seen.as_ref(), fitting)?;
            let nulls = parts.nulls().cloned();
            Arc::new(StructArray::try_new_with_length(fields.clone(), columns, nulls, parts.len()).map_err(wrong)?)
        }
        (DataType::List(_), DataType::List(child)) => {
            let list = array.as_list::<i32>();
            let rows = NullBuffer::union(place.seen, list.nulls());
            let seen = visible::values(list.offsets(), rows.as_ref(), list.values().len());
            let inside = Place { nullable: child.is_nullable(), seen: seen.as_ref() };
            let values = convert_at(list.values(), child.data_type(), inside, fitting)?;
            let (offsets, nulls) = (list.offsets().clone(), list.nulls().cloned());
            Arc::new(ListArray::try_new(Arc::clone(child), offsets, values, nulls).map_err(wrong)?)
        }
        (DataType::Map(..), DataType::Map(entries, sorted)) => {
            let map = array.as_map();
            let DataType::Struct(fields) = entries.data_type() else { return Err(corrupt("a map has no entries")) };
            let rows = NullBuffer::union(place.seen, map.nulls());
            let seen = visible::values(map.offsets(), rows.as_ref(), map.entries().len());
            let columns = children(map.entries().columns(), fields, seen.as_ref(), fitting)?;
            let pairs = StructArray::try_new(fields.clone(), columns, None);
            let (offsets, nulls) = (map.offsets().clone(), map.nulls().cloned());
            let pairs = pairs.map_err(wrong)?;
            Arc::new(MapArray::try_new(Arc::clone(entries), offsets, pairs, nulls, *sorted).map_err(wrong)?)
        }
        (got, want) => return Err(Error::new(Kind::Internal, format!("{got} was taken for {want}"))),
    })
}

fn children(
    columns: &[ArrayRef],
    fields: &Fields,
    seen: Option<&NullBuffer>,
    fitting: &mut Fitting,
) -> Result<Vec<ArrayRef>> {
    let columns = columns.iter().zip(fields);
    let child = |(column, field): (&ArrayRef, &FieldRef)| {
        convert_at(column, field.data_type(), Place { nullable: field.is_nullable(), seen }, fitting)
    };
    columns.map(child).collect()
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
fn instants<T: ArrowTimestampType>(
    parts: &StructArray,
    zone: Option<Arc<str>>,
    place: Place<'_>,
    fitting: &mut Fitting,
) -> Result<ArrayRef> {
    let step: i128 = match T::UNIT {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    };
    let count = |nanos: i128| {
        let count = nanos.div_euclid(step);
        i64::try_from(count).map_err(|_| if count < 0 { i64::MIN } else { i64::MAX })
    };
    Ok(Arc::new(each::<T>(parts, place, fitting, count)?.with_timezone_opt(zone)))
}

/// Day-time intervals have milliseconds; what is finer is cut off.
fn intervals(
    parts: &StructArray,
    place: Place<'_>,
    fitting: &mut Fitting,
) -> Result<PrimitiveArray<IntervalDayTimeType>> {
    const LAST: i32 = 86_399_999;
    each(parts, place, fitting, |nanos| {
        let millis = nanos / 1_000_000;
        match (i32::try_from(millis / MILLIS_PER_DAY), i32::try_from(millis % MILLIS_PER_DAY)) {
            (Ok(days), Ok(rest)) => Ok(IntervalDayTime::new(days, rest)),
            _ if millis < 0 => Err(IntervalDayTime::new(i32::MIN, -LAST)),
            _ => Err(IntervalDayTime::new(i32::MAX, LAST)),
        }
    })
}

/// The values of a column: `value` tells each, or the nearest one there is.
fn each<T: ArrowPrimitiveType>(
    parts: &StructArray,
    place: Place<'_>,
    fitting: &mut Fitting,
    value: impl Fn(i128) -> std::result::Result<T::Native, T::Native>,
) -> Result<PrimitiveArray<T>> {
    let (nanos, nulls) = nanos(parts)?;
    let seen = NullBuffer::union(place.seen, nulls.as_ref());
    let mut values = Vec::with_capacity(parts.len());
    // In the order of the rows.
    let mut lost: Vec<usize> = Vec::new();
    for (row, nanos) in nanos.enumerate() {
        if seen.as_ref().is_some_and(|seen| seen.is_null(row)) {
            values.push(T::Native::default());
            continue;
        }
        values.push(match (value(nanos), fitting.overflow) {
            (Ok(value), _) => value,
            (Err(nearest), Overflow::Clamp) => {
                fitting.replaced += 1;
                nearest
            }
            (Err(_), Overflow::Null) if place.nullable => {
                fitting.replaced += 1;
                lost.push(row);
                T::Native::default()
            }
            (Err(_), overflow) => {
                let (seconds, rest) = (nanos.div_euclid(1_000_000_000), nanos.rem_euclid(1_000_000_000));
                let why = match overflow {
                    Overflow::Null => ", and it may not be NULL there",
                    _ => "; see option types.timestamp_overflow",
                };
                let message = format!("{seconds} s and {rest} ns cannot be told as {}{why}", T::DATA_TYPE);
                return Err(Error::new(Kind::ValueOutOfRange, message));
            }
        });
    }
    let nulls = match lost.as_slice() {
        [] => nulls,
        lost => {
            let left = BooleanBuffer::collect_bool(values.len(), |row| lost.binary_search(&row).is_err());
            NullBuffer::union(nulls.as_ref(), Some(&left.into()))
        }
    };
    PrimitiveArray::try_new(values.into(), nulls).map_err(|error| corrupt(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{Int32Array, Int64Array};
    use arrow_buffer::OffsetBuffer;
    use arrow_schema::Field;

    fn convert(array: &ArrayRef, wanted: &DataType) -> Result<ArrayRef> {
        super::convert(array, wanted, true, &mut Fitting::default())
    }

    /// The array by a policy, and how many of its values were replaced.
    fn fitted(overflow: Overflow, array: &ArrayRef, wanted: &DataType, nullable: bool) -> Result<(ArrayRef, u64)> {
        let mut fitting = Fitting { overflow, replaced: 0 };
        let array = super::convert(array, wanted, nullable, &mut fitting)?;
        Ok((array, fitting.replaced))
    }

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

    const FAR: i64 = 253_402_300_799;

    #[test]
    fn what_does_not_fit_is_null_or_the_nearest_by_policy() {
        let wire = times(&[Some((FAR, 1)), None, Some((-FAR, 0)), Some((1, 5))]);
        let nano = utc(TimeUnit::Nanosecond);
        let values = |overflow| {
            let (array, replaced) = fitted(overflow, &wire, &nano, true).unwrap();
            assert_eq!((array.data_type(), replaced), (&nano, 2));
            array.as_primitive::<TimestampNanosecondType>().iter().collect::<Vec<_>>()
        };
        assert_eq!(values(Overflow::Null), [None, None, None, Some(1_000_000_005)]);
        assert_eq!(values(Overflow::Clamp), [Some(i64::MAX), None, Some(i64::MIN), Some(1_000_000_005)]);
        // In the coarser units there is nothing to do, up to where no calendar goes.
        for unit in [TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Microsecond] {
            let (array, replaced) = fitted(Overflow::Null, &wire, &utc(unit), true).unwrap();
            assert_eq!((array.null_count(), replaced), (1, 0), "{unit:?}");
        }
        let last = times(&[Some((i64::MAX, 1_000_000_000)), Some((i64::MIN, -1))]);
        let (array, replaced) = fitted(Overflow::Clamp, &last, &utc(TimeUnit::Second), true).unwrap();
        assert_eq!(array.as_primitive::<TimestampSecondType>().values().as_ref(), [i64::MAX, i64::MIN]);
        assert_eq!(replaced, 2);
        let interval = DataType::Interval(IntervalUnit::DayTime);
        let (array, replaced) = fitted(Overflow::Clamp, &last, &interval, true).unwrap();
        let array = array.as_primitive::<IntervalDayTimeType>();
        assert_eq!((array.value(0), replaced), (IntervalDayTime::new(i32::MAX, 86_399_999), 2));
        assert_eq!(array.value(1), IntervalDayTime::new(i32::MIN, -86_399_999));
        // A column without NULL gets none.
        let error = fitted(Overflow::Null, &wire, &nano, false).unwrap_err();
        assert!(error.kind() == Kind::ValueOutOfRange && error.message().contains("may not be NULL"), "{error}");
    }

    /// One value that does not fit, below a parent of each kind that is NULL or is not.
    #[test]
    fn what_nobody_sees_does_no_harm() {
        let (wire_type, nano) = (DataType::Struct(fields()), utc(TimeUnit::Nanosecond));
        let of = |inner: &DataType| {
            let item = Arc::new(Field::new("element", inner.clone(), true));
            let pair = vec![Field::new("key", DataType::Int64, false), Field::new("value", inner.clone(), true)];
            let entries = Arc::new(Field::new("entries", DataType::Struct(pair.into()), false));
            (Fields::from(vec![Field::new("x", inner.clone(), true)]), item, entries)
        };
        let (part, item, entries) = of(&wire_type);
        let (wanted_part, wanted_item, wanted_entries) = of(&nano);
        for seen in [false, true] {
            let far = times(&[Some((FAR, 0)), Some((1, 0))]);
            let nulls: NullBuffer = vec![seen, true].into();
            let offsets = OffsetBuffer::from_lengths([1, 1]);
            let DataType::Struct(pair) = entries.data_type() else { panic!("entries") };
            let keys: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
            let pairs = StructArray::new(pair.clone(), vec![keys, Arc::clone(&far)], None);
            let list: ArrayRef =
                Arc::new(ListArray::new(Arc::clone(&item), offsets.clone(), Arc::clone(&far), Some(nulls.clone())));
            let map: ArrayRef =
                Arc::new(MapArray::new(Arc::clone(&entries), offsets.clone(), pairs, Some(nulls.clone()), false));
            let part: ArrayRef = Arc::new(StructArray::new(part.clone(), vec![Arc::clone(&far)], Some(nulls.clone())));
            // A list that is no NULL itself, in a struct that is.
            let whole = ListArray::new(Arc::clone(&item), offsets, far, None);
            let outer = |data_type: DataType| Fields::from(vec![Field::new("l", data_type, true)]);
            let deep: ArrayRef =
                Arc::new(StructArray::new(outer(whole.data_type().clone()), vec![Arc::new(whole)], Some(nulls)));
            for (wire, wanted) in [
                (list, DataType::List(Arc::clone(&wanted_item))),
                (map, DataType::Map(Arc::clone(&wanted_entries), false)),
                (part, DataType::Struct(wanted_part.clone())),
                (deep, DataType::Struct(outer(DataType::List(Arc::clone(&wanted_item))))),
            ] {
                let error = fitted(Overflow::Error, &wire, &wanted, true).map(|_| ());
                assert_eq!(error.is_err(), seen, "{wanted}");
                let (array, replaced) = fitted(Overflow::Null, &wire, &wanted, true).unwrap();
                assert_eq!((array.len(), array.is_null(0), replaced), (2, !seen, u64::from(seen)), "{wanted}");
            }
        }
    }

    #[test]
    fn keys_of_maps_never_become_null() {
        let wire_type = DataType::Struct(fields());
        let entries = |key: &DataType| {
            let pair = vec![Field::new("key", key.clone(), false), Field::new("value", DataType::Int64, true)];
            Arc::new(Field::new("entries", DataType::Struct(pair.into()), false))
        };
        let wire_entries = entries(&wire_type);
        let DataType::Struct(pair) = wire_entries.data_type() else { panic!("entries") };
        let values: ArrayRef = Arc::new(Int64Array::from(vec![1]));
        let pairs = StructArray::new(pair.clone(), vec![times(&[Some((FAR, 0))]), values], None);
        let wire: ArrayRef =
            Arc::new(MapArray::new(Arc::clone(&wire_entries), OffsetBuffer::from_lengths([1]), pairs, None, false));
        let wanted = DataType::Map(entries(&utc(TimeUnit::Nanosecond)), false);
        assert_eq!(fitted(Overflow::Null, &wire, &wanted, true).unwrap_err().kind(), Kind::ValueOutOfRange);
        let (map, _) = fitted(Overflow::Clamp, &wire, &wanted, true).unwrap();
        assert_eq!(map.as_map().keys().as_primitive::<TimestampNanosecondType>().value(0), i64::MAX);
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
