//! From a MaxCompute type to the Arrow layout that carries it, on disk and on the wire.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, IntervalUnit, TimeUnit};

use super::Type;

/// Timestamp units of one layout. A session chooses them by `ArrowOptions`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Units {
    pub datetime: TimeUnit,
    pub timestamp: TimeUnit,
}

/// The Arrow layout of `ty`: storage-api-v1.md 12.2, with the choices of service-behaviour.md 5.2 (zone "UTC" on
/// instants, list child `element`, map entries `element` of `key` and `value`).
pub fn arrow_type(ty: &Type, units: Units) -> DataType {
    match ty {
        Type::TinyInt => DataType::Int8,
        Type::SmallInt => DataType::Int16,
        Type::Int => DataType::Int32,
        Type::BigInt => DataType::Int64,
        Type::Float => DataType::Float32,
        Type::Double => DataType::Float64,
        Type::Boolean => DataType::Boolean,
        Type::String | Type::Varchar(_) | Type::Char(_) | Type::Json => DataType::Utf8,
        Type::Binary | Type::Blob => DataType::Binary,
        Type::Date => DataType::Date32,
        Type::Datetime => DataType::Timestamp(units.datetime, Some("UTC".into())),
        Type::Timestamp => DataType::Timestamp(units.timestamp, Some("UTC".into())),
        Type::TimestampNtz => DataType::Timestamp(units.timestamp, None),
        Type::IntervalDayTime => DataType::Interval(IntervalUnit::DayTime),
        Type::IntervalYearMonth => DataType::Interval(IntervalUnit::YearMonth),
        Type::Decimal(precision, scale) => DataType::Decimal128(*precision, *scale),
        Type::PlainDecimal => DataType::Decimal128(38, 18),
        Type::Array(item) => DataType::List(Arc::new(Field::new("element", arrow_type(item, units), true))),
        Type::Map(key, value) => {
            let entries = Fields::from(vec![
                Field::new("key", arrow_type(key, units), false),
                Field::new("value", arrow_type(value, units), true),
            ]);
            DataType::Map(Arc::new(Field::new("element", DataType::Struct(entries), false)), false)
        }
        Type::Struct(fields) => {
            DataType::Struct(fields.iter().map(|(name, ty)| Field::new(name, arrow_type(ty, units), true)).collect())
        }
    }
}

/// The unit in which timestamps of a source column are stored: nanoseconds if any part of it has them, else
/// microseconds, which cover the years 0 to 9999 that nanoseconds do not.
pub fn finest_unit(source: &DataType) -> TimeUnit {
    let nested: Vec<&DataType> = match source {
        DataType::Timestamp(TimeUnit::Nanosecond, _) => return TimeUnit::Nanosecond,
        DataType::List(field) | DataType::LargeList(field) | DataType::Map(field, _) => vec![field.data_type()],
        DataType::FixedSizeList(field, _) => vec![field.data_type()],
        DataType::Struct(fields) => fields.iter().map(|f| f.data_type()).collect(),
        _ => Vec::new(),
    };
    if nested.into_iter().any(|ty| finest_unit(ty) == TimeUnit::Nanosecond) {
        TimeUnit::Nanosecond
    } else {
        TimeUnit::Microsecond
    }
}
