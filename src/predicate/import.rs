//! Literals out of Arrow arrays.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type,
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, TimeUnit};

use super::calendar::DAY;
use super::{Literal, Real};
use crate::error::{Error, Kind, Result};

/// The values of an array. Timestamps with a zone are instants, whatever the zone; those without one are readings of a clock.
pub fn literals(array: &ArrayRef) -> Result<Vec<Literal>> {
    let array = array.as_ref();
    match array.data_type() {
        DataType::Null => Ok(vec![Literal::Null; array.len()]),
        DataType::Boolean => Ok(present(array.as_boolean().iter(), Literal::Bool)),
        DataType::Int8 => each::<Int8Type>(array, |value| Ok(Literal::whole(value))),
        DataType::Int16 => each::<Int16Type>(array, |value| Ok(Literal::whole(value))),
        DataType::Int32 => each::<Int32Type>(array, |value| Ok(Literal::whole(value))),
        DataType::Int64 => each::<Int64Type>(array, |value| Ok(Literal::whole(value))),
        DataType::UInt8 => each::<UInt8Type>(array, |value| Ok(Literal::whole(value))),
        DataType::UInt16 => each::<UInt16Type>(array, |value| Ok(Literal::whole(value))),
        DataType::UInt32 => each::<UInt32Type>(array, |value| Ok(Literal::whole(value))),
        DataType::UInt64 => each::<UInt64Type>(array, |value| Ok(Literal::whole(value))),
        DataType::Float32 => each::<Float32Type>(array, |value| Ok(Literal::Double(Real::new(value.into())))),
        DataType::Float64 => each::<Float64Type>(array, |value| Ok(Literal::Double(Real::new(value)))),
        DataType::Decimal32(_, scale) => each::<Decimal32Type>(array, |value| decimal(value.into(), *scale)),
        DataType::Decimal64(_, scale) => each::<Decimal64Type>(array, |value| decimal(value.into(), *scale)),
        DataType::Decimal128(_, scale) => each::<Decimal128Type>(array, |value| decimal(value, *scale)),
        DataType::Decimal256(_, scale) => each::<Decimal256Type>(array, |value| match value.to_i128() {
            Some(value) => decimal(value, *scale),
            None => Err(too_many_digits()),
        }),
        DataType::Utf8 => Ok(present(array.as_string::<i32>().iter(), |text| Literal::Text(text.to_owned()))),
        DataType::LargeUtf8 => Ok(present(array.as_string::<i64>().iter(), |text| Literal::Text(text.to_owned()))),
        DataType::Utf8View => Ok(present(array.as_string_view().iter(), |text| Literal::Text(text.to_owned()))),
        DataType::Binary => Ok(present(array.as_binary::<i32>().iter(), |bytes| Literal::Binary(bytes.to_owned()))),
        DataType::LargeBinary => {
            Ok(present(array.as_binary::<i64>().iter(), |bytes| Literal::Binary(bytes.to_owned())))
        }
        DataType::BinaryView => Ok(present(array.as_binary_view().iter(), |bytes| Literal::Binary(bytes.to_owned()))),
        DataType::FixedSizeBinary(_) => {
            Ok(present(array.as_fixed_size_binary().iter(), |bytes| Literal::Binary(bytes.to_owned())))
        }
        DataType::Date32 => each::<Date32Type>(array, |days| Ok(Literal::Date(days.into()))),
        DataType::Date64 => each::<Date64Type>(array, |millis| {
            Ok(Literal::Date(i64::try_from(i128::from(millis).div_euclid(DAY / 1_000_000)).unwrap_or(i64::MAX)))
        }),
        DataType::Timestamp(unit, zone) => {
            let time = |value: i64, nanos: i128| {
                let nanos = i128::from(value) * nanos;
                Ok(if zone.is_some() { Literal::Instant(nanos) } else { Literal::Clock(nanos) })
            };
            match unit {
                TimeUnit::Second => each::<TimestampSecondType>(array, |value| time(value, 1_000_000_000)),
                TimeUnit::Millisecond => each::<TimestampMillisecondType>(array, |value| time(value, 1_000_000)),
                TimeUnit::Microsecond => each::<TimestampMicrosecondType>(array, |value| time(value, 1_000)),
                TimeUnit::Nanosecond => each::<TimestampNanosecondType>(array, |value| time(value, 1)),
            }
        }
        other => Err(Error::new(Kind::Unsupported, format!("literals of the Arrow type {other} are not taken"))),
    }
}

fn present<T>(values: impl Iterator<Item = Option<T>>, literal: impl Fn(T) -> Literal) -> Vec<Literal> {
    values.map(|value| value.map_or(Literal::Null, &literal)).collect()
}

fn each<T: ArrowPrimitiveType>(
    array: &dyn Array,
    literal: impl Fn(T::Native) -> Result<Literal>,
) -> Result<Vec<Literal>> {
    array.as_primitive::<T>().iter().map(|value| value.map_or(Ok(Literal::Null), &literal)).collect()
}

fn decimal(unscaled: i128, scale: i8) -> Result<Literal> {
    if let Ok(scale) = u8::try_from(scale) {
        return Ok(Literal::Decimal { unscaled, scale });
    }
    let unscaled = 10i128.checked_pow(scale.unsigned_abs().into()).and_then(|factor| unscaled.checked_mul(factor));
    Ok(Literal::Decimal { unscaled: unscaled.ok_or_else(too_many_digits)?, scale: 0 })
}

fn too_many_digits() -> Error {
    Error::new(Kind::Unsupported, "a decimal literal has more digits than MaxCompute's decimals")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{
        Date64Array, Decimal128Array, Float32Array, NullArray, StringArray, TimestampMicrosecondArray, UInt64Array,
    };

    use super::*;

    fn of(array: impl Array + 'static) -> Vec<Literal> {
        literals(&(Arc::new(array) as ArrayRef)).unwrap()
    }

    #[test]
    fn arrays_become_literals() {
        assert_eq!(of(UInt64Array::from(vec![Some(u64::MAX), None])), [Literal::whole(u64::MAX), Literal::Null]);
        let decimals = Decimal128Array::from(vec![-15]).with_precision_and_scale(5, 1).unwrap();
        assert_eq!(of(decimals), [Literal::Decimal { unscaled: -15, scale: 1 }]);
        let decimals = Decimal128Array::from(vec![-15]).with_precision_and_scale(5, -2).unwrap();
        assert_eq!(of(decimals), [Literal::whole(-1500)]);
        assert_eq!(of(Float32Array::from(vec![0.1])), [Literal::Double(Real::new(0.1f32.into()))]);
        assert_eq!(of(StringArray::from(vec!["a\0b"])), [Literal::Text("a\0b".into())]);
        assert_eq!(of(Date64Array::from(vec![-1])), [Literal::Date(-1)]);
        let micros = || TimestampMicrosecondArray::from(vec![-1]);
        assert_eq!(of(micros()), [Literal::Clock(-1000)]);
        assert_eq!(of(micros().with_timezone("+08:00")), [Literal::Instant(-1000)]);
        assert_eq!(of(NullArray::new(2)), [Literal::Null, Literal::Null]);
        let list: ArrayRef = Arc::new(arrow_array::ListArray::new_null(
            Arc::new(arrow_schema::Field::new("x", DataType::Int8, true)),
            1,
        ));
        assert_eq!(literals(&list).unwrap_err().kind(), Kind::Unsupported);
    }
}
