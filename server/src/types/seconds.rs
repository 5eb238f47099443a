//! Day-time intervals as seconds and nanoseconds, which clients send in the layout of the tunnel and of version 2.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Int32Type, Int64Type};

const NANOS_PER_MILLI: i64 = 1_000_000;

/// Seconds and nanoseconds of an interval, both with its sign.
pub fn day_time(millis: i64) -> (i64, i32) {
    (millis / 1000, (millis % 1000 * NANOS_PER_MILLI) as i32)
}

/// Milliseconds of an interval; what is below them is cut.
pub fn millis(seconds: i64, nanos: i32) -> Option<i64> {
    seconds.checked_mul(1000)?.checked_add(i64::from(nanos) / NANOS_PER_MILLI)
}

/// Intervals in milliseconds; `None` if the array is no struct of seconds and nanoseconds. An interval that no
/// milliseconds can hold becomes the longest one, which no column takes.
pub fn from_seconds(array: &ArrayRef) -> Option<Vec<Option<i64>>> {
    if !matches!(array.data_type(), DataType::Struct(found) if found.len() == 2) {
        return None;
    }
    let parts = array.as_struct();
    let seconds = parts.column(0).as_primitive_opt::<Int64Type>()?;
    let nanos = parts.column(1).as_primitive_opt::<Int32Type>()?;
    let row = |row: usize| {
        let nano = if nanos.is_valid(row) { nanos.value(row) } else { 0 };
        let there = parts.is_valid(row) && seconds.is_valid(row);
        there.then(|| millis(seconds.value(row), nano).unwrap_or(i64::MAX))
    };
    Some((0..array.len()).map(row).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int32Array, Int64Array, StructArray};
    use arrow::datatypes::Field;

    use super::*;

    #[test]
    fn intervals_come_from_seconds() {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(vec![Some(-86_401), None, Some(i64::MAX)])),
            Arc::new(Int32Array::from(vec![-500_000_000, 0, 0])),
        ];
        let fields = vec![Field::new("sec", DataType::Int64, true), Field::new("nano", DataType::Int32, true)];
        let seconds: ArrayRef = Arc::new(StructArray::try_new(fields.into(), columns, None).unwrap());
        assert_eq!(from_seconds(&seconds), Some(vec![Some(-86_401_500), None, Some(i64::MAX)]));
        assert_eq!(day_time(-86_401_500), (-86_401, -500_000_000));
        assert!(from_seconds(seconds.as_struct().column(0)).is_none());
    }
}
