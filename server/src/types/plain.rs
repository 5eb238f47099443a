//! The Arrow layout of versions 2 and 3 of the Storage API (storage-api-v2-v3.md 2.5): no zones, day-time intervals as
//! a struct, long strings on demand.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, Int64Array, ListArray, MapArray, StructArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Fields, IntervalDayTimeType, IntervalUnit};
use arrow::error::ArrowError;

use super::{Type, Units, arrow_type};

/// What a client chooses about the layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlainLayout {
    pub units: Units,
    /// 64-bit offsets for texts.
    pub large_text: bool,
    /// TIMESTAMP as seconds and nanoseconds.
    pub wide_timestamps: bool,
}

/// `struct<sec:int64,nano:int32>`.
fn seconds_and_nanos() -> DataType {
    DataType::Struct(Fields::from(vec![
        Field::new("sec", DataType::Int64, false),
        Field::new("nano", DataType::Int32, false),
    ]))
}

/// The layout of values of type `ty`.
pub fn plain_type(ty: &Type, layout: PlainLayout) -> DataType {
    let nested = |name: &str, ty: &Type, nullable: bool| Field::new(name, plain_type(ty, layout), nullable);
    match ty {
        Type::String | Type::Varchar(_) | Type::Char(_) | Type::Json if layout.large_text => DataType::LargeUtf8,
        Type::Datetime => DataType::Timestamp(layout.units.datetime, None),
        Type::Timestamp | Type::TimestampNtz if layout.wide_timestamps => seconds_and_nanos(),
        Type::Timestamp | Type::TimestampNtz => DataType::Timestamp(layout.units.timestamp, None),
        Type::IntervalDayTime => seconds_and_nanos(),
        Type::Array(item) => DataType::List(Arc::new(nested("element", item, true))),
        Type::Map(key, value) => {
            let entries = Fields::from(vec![nested("key", key, false), nested("value", value, true)]);
            DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entries), false)), false)
        }
        Type::Struct(fields) => DataType::Struct(fields.iter().map(|(name, ty)| nested(name, ty, true)).collect()),
        other => arrow_type(other, layout.units),
    }
}

/// Turns values in the layout of version 1 into `target`, which is their [`plain_type`].
pub fn to_plain(array: &ArrayRef, target: &DataType) -> Result<ArrayRef, ArrowError> {
    Ok(match (array.data_type(), target) {
        (from, to) if from == to => array.clone(),
        (DataType::Interval(IntervalUnit::DayTime), DataType::Struct(fields)) => {
            let intervals = array.as_primitive::<IntervalDayTimeType>();
            let millis: Int64Array = intervals.unary(|v| i64::from(v.days) * 86_400_000 + i64::from(v.milliseconds));
            // Seconds and nanoseconds have the same sign, as in the durations of the official clients.
            let seconds = Int64Array::from_iter_values(millis.values().iter().map(|v| v / 1000));
            let nanos = Int32Array::from_iter_values(millis.values().iter().map(|v| (v % 1000) as i32 * 1_000_000));
            let parts: Vec<ArrayRef> = vec![Arc::new(seconds), Arc::new(nanos)];
            Arc::new(StructArray::try_new(fields.clone(), parts, millis.nulls().cloned())?)
        }
        (DataType::List(_), DataType::List(child)) => {
            let list = array.as_list::<i32>();
            let values = to_plain(list.values(), child.data_type())?;
            Arc::new(ListArray::try_new(child.clone(), list.offsets().clone(), values, list.nulls().cloned())?)
        }
        (DataType::Map(..), DataType::Map(entries, sorted)) => {
            let map = array.as_map();
            let DataType::Struct(fields) = entries.data_type() else { return cast(array, target) };
            let parts =
                map.entries().columns().iter().zip(fields).map(|(part, field)| to_plain(part, field.data_type()));
            let pairs = StructArray::try_new(fields.clone(), parts.collect::<Result<_, _>>()?, None)?;
            let nulls = map.nulls().cloned();
            Arc::new(MapArray::try_new(entries.clone(), map.offsets().clone(), pairs, nulls, *sorted)?)
        }
        (DataType::Struct(_), DataType::Struct(fields)) => {
            let parts = array.as_struct();
            let columns = parts.columns().iter().zip(fields).map(|(part, field)| to_plain(part, field.data_type()));
            let nulls = parts.nulls().cloned();
            Arc::new(StructArray::try_new(fields.clone(), columns.collect::<Result<_, _>>()?, nulls)?)
        }
        // Text with wider offsets, and timestamps without their zone, which changes no value.
        _ => cast_plain(array, target)?,
    })
}

fn cast_plain(array: &ArrayRef, target: &DataType) -> Result<ArrayRef, ArrowError> {
    match (array.data_type(), target) {
        (DataType::Timestamp(from, Some(_)), DataType::Timestamp(to, None)) if from == to => {
            // A cast would move the instant into the zone.
            let data = array.to_data().into_builder().data_type(target.clone()).build()?;
            Ok(arrow::array::make_array(data))
        }
        _ => cast(array, target),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{IntervalDayTimeArray, StringArray, TimestampMillisecondArray};
    use arrow::datatypes::{Int32Type, Int64Type, IntervalDayTime, TimeUnit, TimestampMillisecondType};

    use super::*;

    const LAYOUT: PlainLayout = PlainLayout {
        units: Units { datetime: TimeUnit::Millisecond, timestamp: TimeUnit::Nanosecond },
        large_text: false,
        wide_timestamps: false,
    };

    fn parts(array: &ArrayRef, row: usize) -> (i64, i32) {
        let parts = array.as_struct();
        (parts.column(0).as_primitive::<Int64Type>().value(row), parts.column(1).as_primitive::<Int32Type>().value(row))
    }

    #[test]
    fn zones_go_and_instants_stay() {
        let millis: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![Some(-5), None]).with_timezone("UTC"));
        let plain = to_plain(&millis, &plain_type(&Type::Datetime, LAYOUT)).unwrap();
        assert_eq!(plain.data_type(), &DataType::Timestamp(TimeUnit::Millisecond, None));
        assert_eq!(plain.as_primitive::<TimestampMillisecondType>().value(0), -5);
        assert!(plain.is_null(1));
    }

    #[test]
    fn structs_of_seconds_and_nanoseconds() {
        let values = vec![Some(IntervalDayTime::new(1, 1500)), Some(IntervalDayTime::new(0, -1500)), None];
        let intervals: ArrayRef = Arc::new(IntervalDayTimeArray::from(values));
        let plain = to_plain(&intervals, &plain_type(&Type::IntervalDayTime, LAYOUT)).unwrap();
        assert_eq!((parts(&plain, 0), parts(&plain, 1)), ((86_401, 500_000_000), (-1, -500_000_000)));
        assert!(plain.is_null(2));
    }

    #[test]
    fn texts_inside_maps_become_large() {
        let ty: Type = "map<string,array<string>>".parse().unwrap();
        let large = plain_type(&ty, PlainLayout { large_text: true, ..LAYOUT });
        let small = plain_type(&ty, LAYOUT);
        let array = arrow::array::new_null_array(&small, 2);
        assert_eq!(to_plain(&array, &large).unwrap().data_type(), &large);
        let text: ArrayRef = Arc::new(StringArray::from(vec!["a"]));
        assert_eq!(to_plain(&text, &DataType::LargeUtf8).unwrap().as_string::<i64>().value(0), "a");
    }
}
