//! Checks of single values that the Arrow layout does not make: sizes, precision, calendar.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    ArrowTimestampType, DataType, Date32Type, Decimal128Type, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};

/// 0000-01-01 and 10000-01-01 as days since the epoch (service-behaviour.md 5.1, 8: the lowest year is 0000).
const FIRST_DAY: i64 = -719_528;
const END_DAY: i64 = 2_932_897;

/// Refuses values that MaxCompute cannot hold. `array` is in stored layout.
pub fn check(array: &ArrayRef, max_bytes: usize) -> Result<(), String> {
    match array.data_type() {
        DataType::Utf8 => sizes(array.as_string::<i32>().value_offsets(), max_bytes),
        DataType::Binary => sizes(array.as_binary::<i32>().value_offsets(), max_bytes),
        DataType::Decimal128(precision, _) => {
            let values = array.as_primitive::<Decimal128Type>();
            values.validate_decimal_precision(*precision).map_err(|error| error.to_string())
        }
        DataType::Date32 => {
            let values = array.as_primitive::<Date32Type>();
            let outside = values.iter().flatten().find(|days| !(FIRST_DAY..END_DAY).contains(&i64::from(*days)));
            outside.map_or(Ok(()), |days| Err(format!("day {days} since 1970-01-01 is not in the years 0 to 9999")))
        }
        DataType::Timestamp(TimeUnit::Second, _) => instants::<TimestampSecondType>(array, 86_400),
        DataType::Timestamp(TimeUnit::Millisecond, _) => instants::<TimestampMillisecondType>(array, 86_400_000),
        DataType::Timestamp(TimeUnit::Microsecond, _) => instants::<TimestampMicrosecondType>(array, 86_400_000_000),
        // All of them lie in the years 1677 to 2262.
        DataType::Timestamp(TimeUnit::Nanosecond, _) => instants::<TimestampNanosecondType>(array, i64::MAX),
        DataType::List(_) => check(array.as_list::<i32>().values(), max_bytes),
        DataType::Map(_, _) => array.as_map().entries().columns().iter().try_for_each(|part| check(part, max_bytes)),
        DataType::Struct(_) => array.as_struct().columns().iter().try_for_each(|part| check(part, max_bytes)),
        _ => Ok(()),
    }
}

fn sizes(offsets: &[i32], max_bytes: usize) -> Result<(), String> {
    let lengths = offsets.iter().zip(offsets.iter().skip(1)).map(|(start, end)| (end - start).max(0) as usize);
    match lengths.max() {
        Some(longest) if longest > max_bytes => {
            Err(format!("a value of {longest} bytes is longer than the {max_bytes} allowed"))
        }
        _ => Ok(()),
    }
}

fn instants<T: ArrowTimestampType>(array: &ArrayRef, per_day: i64) -> Result<(), String> {
    let fits = |value: i64| (FIRST_DAY..END_DAY).contains(&value.div_euclid(per_day));
    match array.as_primitive::<T>().iter().flatten().find(|value| !fits(*value)) {
        Some(value) => Err(format!("the instant {value} ({:?}s since 1970) is not in the years 0 to 9999", T::UNIT)),
        None => Ok(()),
    }
}
