//! Day-time intervals as seconds and nanoseconds: how the classic tunnel carries them.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, Int64Array, StructArray};
use arrow::datatypes::{DataType, Field, Fields, Int32Type, Int64Type, IntervalDayTimeType, IntervalUnit};

const NANOS_PER_MILLI: i64 = 1_000_000;

/// `struct<sec: int64, nano: int32>`.
pub fn seconds_type() -> DataType {
    DataType::Struct(fields())
}

fn fields() -> Fields {
    Fields::from(vec![Field::new("sec", DataType::Int64, true), Field::new("nano", DataType::Int32, true)])
}

/// Intervals as seconds and nanoseconds; `None` if the array holds no intervals.
pub fn to_seconds(array: &ArrayRef) -> Option<ArrayRef> {
    if *array.data_type() != DataType::Interval(IntervalUnit::DayTime) {
        return None;
    }
    let values = array.as_primitive::<IntervalDayTimeType>().values();
    let (seconds, nanos): (Vec<i64>, Vec<i32>) =
        values.iter().map(|v| day_time(i64::from(v.days) * 86_400_000 + i64::from(v.milliseconds))).unzip();
    let columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(seconds)), Arc::new(Int32Array::from(nanos))];
    let array = StructArray::try_new(fields(), columns, array.logical_nulls()).ok()?;
    Some(Arc::new(array))
}

/// Seconds and nanoseconds of an interval, both with its sign.
pub fn day_time(millis: i64) -> (i64, i32) {
    (millis / 1000, (millis % 1000 * NANOS_PER_MILLI) as i32)
}

/// Milliseconds of an interval; what is below them is cut.
pub fn millis(seconds: i64, nanos: i32) -> Option<i64> {
    seconds.checked_mul(1000)?.checked_add(i64::from(nanos) / NANOS_PER_MILLI)
}

/// Intervals in milliseconds from seconds and nanoseconds; `None` if the array is laid out differently. An interval that
/// no milliseconds can hold becomes the longest one, which no column takes.
pub fn from_seconds(array: &ArrayRef) -> Option<Vec<Option<i64>>> {
    if !matches!(array.data_type(), DataType::Struct(found) if found.len() == 2) {
        return None;
    }
    let parts = array.as_struct();
    let seconds = parts.column(0).as_primitive_opt::<Int64Type>()?;
    let nanos = parts.column(1).as_primitive_opt::<Int32Type>()?;
    let nulls = array.logical_nulls();
    let row = |row: usize| {
        let there = nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)) && seconds.is_valid(row);
        let nano = if nanos.is_valid(row) { nanos.value(row) } else { 0 };
        there.then(|| millis(seconds.value(row), nano).unwrap_or(i64::MAX))
    };
    Some((0..array.len()).map(row).collect())
}

#[cfg(test)]
mod tests {
    use arrow::array::IntervalDayTimeArray;
    use arrow::datatypes::IntervalDayTime;

    use super::*;

    #[test]
    fn intervals_become_seconds_and_come_back() {
        let intervals = vec![Some(IntervalDayTime::new(-1, -1500)), None, Some(IntervalDayTime::new(2, 7))];
        let intervals: ArrayRef = Arc::new(IntervalDayTimeArray::from(intervals));
        let seconds = to_seconds(&intervals).unwrap();
        assert_eq!(seconds.data_type(), &seconds_type());
        assert_eq!(seconds.as_struct().column(0).as_primitive::<Int64Type>().value(0), -86_401);
        assert_eq!(seconds.as_struct().column(1).as_primitive::<Int32Type>().value(0), -500_000_000);
        assert_eq!(from_seconds(&seconds), Some(vec![Some(-86_401_500), None, Some(172_800_007)]));
        assert!(from_seconds(&intervals).is_none() && to_seconds(&seconds).is_none());
    }
}
