//! From an Arrow field (as a Parquet file declares it) to a MaxCompute type.

use arrow::datatypes::{DataType, Field, IntervalUnit, TimeUnit};

use super::Type;

/// Field metadata key that names the MaxCompute type of a column, such as `varchar(20)`.
pub const TYPE_KEY: &str = "maxcompute.type";

/// The MaxCompute type of an Arrow field.
///
/// The metadata key [`TYPE_KEY`] overrides the natural mapping where the layouts agree. The error is a phrase that
/// completes "column x ...".
pub fn infer(field: &Field) -> Result<Type, String> {
    let source = unwrap_dictionary(field.data_type());
    if let Some(text) = field.metadata().get(TYPE_KEY) {
        let ty: Type = text.parse().map_err(|e| format!("names a bad type: {e}"))?;
        return if fits(source, &ty) {
            Ok(ty)
        } else {
            Err(format!("is declared {ty} by its metadata, but its Arrow type {source} cannot carry that"))
        };
    }
    Ok(match source {
        DataType::Int8 => Type::TinyInt,
        DataType::Int16 => Type::SmallInt,
        DataType::Int32 => Type::Int,
        DataType::Int64 => Type::BigInt,
        DataType::Float32 => Type::Float,
        DataType::Float64 => Type::Double,
        DataType::Boolean => Type::Boolean,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Type::String,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => Type::Binary,
        DataType::Decimal32(p, s) | DataType::Decimal64(p, s) | DataType::Decimal128(p, s) if *s >= 0 => {
            Type::Decimal(*p, *s)
        }
        DataType::Date32 => Type::Date,
        DataType::Timestamp(TimeUnit::Millisecond, _) => Type::Datetime,
        DataType::Timestamp(_, Some(_)) => Type::Timestamp,
        DataType::Timestamp(_, None) => Type::TimestampNtz,
        DataType::Interval(IntervalUnit::DayTime) => Type::IntervalDayTime,
        DataType::Interval(IntervalUnit::YearMonth) => Type::IntervalYearMonth,
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            Type::Array(Box::new(infer(item)?))
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) => match fields.as_ref() {
                [key, value] => Type::Map(Box::new(infer(key)?), Box::new(infer(value)?)),
                _ => return Err("is a map without key and value".into()),
            },
            other => return Err(format!("is a map over {other}")),
        },
        DataType::Struct(fields) if !fields.is_empty() => {
            let fields = fields.iter().map(|f| Ok((f.name().clone(), infer(f)?))).collect::<Result<_, String>>()?;
            Type::Struct(fields)
        }
        other => return Err(format!("has Arrow type {other}, which MaxCompute has no type for")),
    })
}

fn unwrap_dictionary(ty: &DataType) -> &DataType {
    match ty {
        DataType::Dictionary(_, value) => value,
        other => other,
    }
}

/// Whether values of the Arrow type can be stored as the MaxCompute type without interpretation.
fn fits(source: &DataType, ty: &Type) -> bool {
    match (unwrap_dictionary(source), ty) {
        (
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View,
            Type::String | Type::Varchar(_) | Type::Char(_) | Type::Json,
        ) => true,
        (
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_),
            Type::Binary | Type::Blob,
        ) => true,
        (DataType::Decimal32(p, s) | DataType::Decimal64(p, s) | DataType::Decimal128(p, s), ty) => {
            ty.decimal_shape() == Some((*p, *s))
        }
        (DataType::Timestamp(_, _), Type::Datetime | Type::Timestamp | Type::TimestampNtz) => true,
        (
            DataType::Interval(IntervalUnit::DayTime) | DataType::Int64 | DataType::Duration(_),
            Type::IntervalDayTime,
        ) => true,
        (DataType::Interval(IntervalUnit::YearMonth) | DataType::Int32, Type::IntervalYearMonth) => true,
        (DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _), Type::Array(ty)) => {
            fits(item.data_type(), ty)
        }
        (DataType::Map(entries, _), Type::Map(key, value)) => match entries.data_type() {
            DataType::Struct(fields) => match fields.as_ref() {
                [k, v] => fits(k.data_type(), key) && fits(v.data_type(), value),
                _ => false,
            },
            _ => false,
        },
        (DataType::Struct(fields), Type::Struct(types)) => {
            fields.len() == types.len() && fields.iter().zip(types).all(|(f, (_, ty))| fits(f.data_type(), ty))
        }
        (source, ty) => infer(&Field::new("x", source.clone(), true)).as_ref() == Ok(ty),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn named(source: DataType, text: &str) -> Result<Type, String> {
        infer(&Field::new("x", source, true).with_metadata(HashMap::from([(TYPE_KEY.into(), text.into())])))
    }

    #[test]
    fn maps_timestamps_by_unit_and_zone() {
        let of =
            |unit, zone: Option<&str>| infer(&Field::new("x", DataType::Timestamp(unit, zone.map(Into::into)), true));
        assert_eq!(of(TimeUnit::Millisecond, Some("UTC")), Ok(Type::Datetime));
        assert_eq!(of(TimeUnit::Millisecond, None), Ok(Type::Datetime));
        assert_eq!(of(TimeUnit::Microsecond, Some("UTC")), Ok(Type::Timestamp));
        assert_eq!(of(TimeUnit::Nanosecond, None), Ok(Type::TimestampNtz));
        assert_eq!(of(TimeUnit::Second, None), Ok(Type::TimestampNtz));
    }

    #[test]
    fn metadata_overrides_only_compatible_layouts() {
        assert_eq!(named(DataType::Utf8, "char(8)"), Ok(Type::Char(8)));
        assert_eq!(named(DataType::Int64, "interval_day_time"), Ok(Type::IntervalDayTime));
        assert_eq!(named(DataType::Decimal128(38, 18), "decimal"), Ok(Type::PlainDecimal));
        assert!(named(DataType::Decimal128(10, 2), "decimal").is_err());
        assert!(named(DataType::Int32, "string").is_err());
        assert!(infer(&Field::new("x", DataType::UInt32, true)).unwrap_err().contains("UInt32"));
    }
}
