//! Turns arrays of one layout into another: a source file's into the stored one, the stored one into the wire's.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, IntervalDayTimeArray, IntervalYearMonthArray, ListArray, MapArray, PrimitiveArray,
    StringArray, StringBuilder, StructArray,
};
use arrow::compute::cast;
use arrow::datatypes::{
    ArrowTimestampType, DataType, DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType,
    DurationSecondType, Field, Int32Type, Int64Type, IntervalDayTime, IntervalUnit, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use arrow::error::ArrowError;

use super::Type;

/// Which way a conversion goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Into storage: lengths are checked, trailing blanks of CHAR values are dropped (they carry no meaning, and
    /// block statistics of trimmed values compare as CHAR does).
    Store,
    /// Onto the wire: CHAR values are padded with blanks to their length (service-behaviour.md 5.1, ASSUMED).
    Wire,
}

/// Why a column could not be converted.
#[derive(Debug, thiserror::Error)]
pub enum ConvertError {
    #[error("cannot turn Arrow type {from} into {ty}")]
    Layout { from: DataType, ty: Type },
    #[error("value of {found} characters does not fit {ty}")]
    TooLong { found: usize, ty: Type },
    #[error("a map key is NULL")]
    NullKey,
    #[error("value {0} ms is outside the range of interval_day_time")]
    Interval(i64),
    #[error(transparent)]
    Arrow(#[from] ArrowError),
}

/// Converts `array`, whose values are of MaxCompute type `ty`, to the Arrow layout `target`.
///
/// Coarser timestamp units floor; instants outside the range of the target unit become the nearest one inside
/// (service-behaviour.md 5.3). Row count and NULLs are unchanged.
pub fn conform(array: &ArrayRef, ty: &Type, target: &DataType, stage: Stage) -> Result<ArrayRef, ConvertError> {
    if let DataType::Dictionary(_, value) = array.data_type() {
        return conform(&cast(array, value)?, ty, target, stage);
    }
    let mismatch = || ConvertError::Layout { from: array.data_type().clone(), ty: ty.clone() };
    match ty {
        Type::String | Type::Json => text(array, mismatch),
        Type::Varchar(n) => {
            let text = text(array, mismatch)?;
            if stage == Stage::Store {
                check_length(text.as_string::<i32>(), *n, ty)?;
            }
            Ok(text)
        }
        Type::Char(n) => {
            let text = text(array, mismatch)?;
            match stage {
                Stage::Store => trim_blanks(text.as_string::<i32>(), *n, ty),
                Stage::Wire => Ok(pad_blanks(text.as_string::<i32>(), *n as usize)),
            }
        }
        Type::Binary | Type::Blob => match array.data_type() {
            DataType::Binary => Ok(array.clone()),
            DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
                Ok(cast(array, &DataType::Binary)?)
            }
            // References are text.
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View if *ty == Type::Blob => {
                Ok(cast(array, &DataType::Binary)?)
            }
            _ => Err(mismatch()),
        },
        Type::Datetime | Type::Timestamp | Type::TimestampNtz => match (array.data_type(), target) {
            (from, to) if from == to => Ok(array.clone()),
            (DataType::Timestamp(from, _), DataType::Timestamp(to, zone)) => {
                Ok(change_unit(array, *from, *to, zone.clone()))
            }
            _ => Err(mismatch()),
        },
        Type::IntervalDayTime => day_time(array).unwrap_or_else(|| Err(mismatch())),
        Type::IntervalYearMonth => match array.data_type() {
            DataType::Interval(IntervalUnit::YearMonth) => Ok(array.clone()),
            DataType::Int32 => {
                let months = array.as_primitive::<Int32Type>();
                Ok(Arc::new(IntervalYearMonthArray::new(months.values().clone(), months.nulls().cloned())))
            }
            _ => Err(mismatch()),
        },
        Type::Array(item) => list(array, item, target, stage).unwrap_or_else(|| Err(mismatch())),
        Type::Map(key, value) => map(array, key, value, target, stage).unwrap_or_else(|| Err(mismatch())),
        Type::Struct(fields) => structure(array, fields, target, stage).unwrap_or_else(|| Err(mismatch())),
        _ if array.data_type() == target => Ok(array.clone()),
        Type::Decimal(..) | Type::PlainDecimal => match array.data_type() {
            DataType::Decimal32(p, s) | DataType::Decimal64(p, s) if ty.decimal_shape() == Some((*p, *s)) => {
                Ok(cast(array, target)?)
            }
            _ => Err(mismatch()),
        },
        _ => Err(mismatch()),
    }
}

fn text(array: &ArrayRef, mismatch: impl Fn() -> ConvertError) -> Result<ArrayRef, ConvertError> {
    match array.data_type() {
        DataType::Utf8 => Ok(array.clone()),
        DataType::LargeUtf8 | DataType::Utf8View => Ok(cast(array, &DataType::Utf8)?),
        _ => Err(mismatch()),
    }
}

fn check_length(values: &StringArray, limit: u32, ty: &Type) -> Result<(), ConvertError> {
    for value in values.iter().flatten() {
        // Bytes bound characters from above, so most values need no count.
        if value.len() > limit as usize {
            let found = value.chars().count();
            if found > limit as usize {
                return Err(ConvertError::TooLong { found, ty: ty.clone() });
            }
        }
    }
    Ok(())
}

fn trim_blanks(values: &StringArray, limit: u32, ty: &Type) -> Result<ArrayRef, ConvertError> {
    let trimmed: StringArray = values.iter().map(|v| v.map(|v| v.trim_end_matches(' '))).collect();
    check_length(&trimmed, limit, ty)?;
    Ok(Arc::new(trimmed))
}

fn pad_blanks(values: &StringArray, length: usize) -> ArrayRef {
    let mut builder = StringBuilder::with_capacity(values.len(), values.len() * length);
    let blanks = " ".repeat(length);
    for value in values {
        match value {
            None => builder.append_null(),
            Some(value) => {
                let missing = length.saturating_sub(value.chars().count());
                let padding = blanks.get(..missing).unwrap_or_default();
                builder.append_value(format!("{value}{padding}"));
            }
        }
    }
    Arc::new(builder.finish())
}

fn nanos_per(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    }
}

fn change_unit(array: &ArrayRef, from: TimeUnit, to: TimeUnit, zone: Option<Arc<str>>) -> ArrayRef {
    match from {
        TimeUnit::Second => retime::<TimestampSecondType>(array, from, to, zone),
        TimeUnit::Millisecond => retime::<TimestampMillisecondType>(array, from, to, zone),
        TimeUnit::Microsecond => retime::<TimestampMicrosecondType>(array, from, to, zone),
        TimeUnit::Nanosecond => retime::<TimestampNanosecondType>(array, from, to, zone),
    }
}

fn retime<S: ArrowTimestampType>(array: &ArrayRef, from: TimeUnit, to: TimeUnit, zone: Option<Arc<str>>) -> ArrayRef {
    let source = array.as_primitive::<S>();
    let (fine, coarse) = (nanos_per(from), nanos_per(to));
    let scale = move |v: i64| {
        if coarse >= fine { v.div_euclid(coarse / fine) } else { v.saturating_mul(fine / coarse) }
    };
    match to {
        TimeUnit::Second => Arc::new(rescale::<S, TimestampSecondType>(source, scale).with_timezone_opt(zone)),
        TimeUnit::Millisecond => {
            Arc::new(rescale::<S, TimestampMillisecondType>(source, scale).with_timezone_opt(zone))
        }
        TimeUnit::Microsecond => {
            Arc::new(rescale::<S, TimestampMicrosecondType>(source, scale).with_timezone_opt(zone))
        }
        TimeUnit::Nanosecond => Arc::new(rescale::<S, TimestampNanosecondType>(source, scale).with_timezone_opt(zone)),
    }
}

fn rescale<S: ArrowTimestampType, T: ArrowTimestampType>(
    source: &PrimitiveArray<S>,
    scale: impl Fn(i64) -> i64,
) -> PrimitiveArray<T> {
    source.unary(scale)
}

/// Day-time intervals from Arrow intervals, total milliseconds, or durations. `None` if the layout is none of those.
fn day_time(array: &ArrayRef) -> Option<Result<ArrayRef, ConvertError>> {
    let millis: Vec<Option<i64>> = match array.data_type() {
        DataType::Interval(IntervalUnit::DayTime) => return Some(Ok(array.clone())),
        DataType::Int64 => array.as_primitive::<Int64Type>().iter().collect(),
        DataType::Duration(TimeUnit::Second) => {
            array.as_primitive::<DurationSecondType>().iter().map(|v| v.map(|v| v.saturating_mul(1000))).collect()
        }
        DataType::Duration(TimeUnit::Millisecond) => array.as_primitive::<DurationMillisecondType>().iter().collect(),
        DataType::Duration(TimeUnit::Microsecond) => {
            array.as_primitive::<DurationMicrosecondType>().iter().map(|v| v.map(|v| v / 1000)).collect()
        }
        DataType::Duration(TimeUnit::Nanosecond) => {
            array.as_primitive::<DurationNanosecondType>().iter().map(|v| v.map(|v| v / 1_000_000)).collect()
        }
        _ => return None,
    };
    let split = |total: i64| {
        let days = i32::try_from(total / 86_400_000).map_err(|_| ConvertError::Interval(total))?;
        Ok(IntervalDayTime::new(days, (total % 86_400_000) as i32))
    };
    let values: Result<Vec<_>, ConvertError> = millis.into_iter().map(|v| v.map(split).transpose()).collect();
    Some(values.map(|values| Arc::new(IntervalDayTimeArray::from(values)) as ArrayRef))
}

fn list(array: &ArrayRef, item: &Type, target: &DataType, stage: Stage) -> Option<Result<ArrayRef, ConvertError>> {
    let DataType::List(child) = target else { return None };
    let source = match array.data_type() {
        DataType::List(_) => array.clone(),
        DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
            match cast(array, &DataType::List(field.clone())) {
                Ok(list) => list,
                Err(e) => return Some(Err(e.into())),
            }
        }
        _ => return None,
    };
    let source = source.as_list::<i32>();
    Some(conform(source.values(), item, child.data_type(), stage).and_then(|values| {
        let list = ListArray::try_new(child.clone(), source.offsets().clone(), values, source.nulls().cloned())?;
        Ok(Arc::new(list) as ArrayRef)
    }))
}

fn map(
    array: &ArrayRef,
    key: &Type,
    value: &Type,
    target: &DataType,
    stage: Stage,
) -> Option<Result<ArrayRef, ConvertError>> {
    let (DataType::Map(entries, _), DataType::Map(_, _)) = (target, array.data_type()) else { return None };
    let DataType::Struct(fields) = entries.data_type() else { return None };
    let [key_field, value_field] = fields.as_ref() else { return None };
    let source = array.as_map();
    let build = || {
        let keys = conform(source.keys(), key, key_field.data_type(), stage)?;
        let values = conform(source.values(), value, value_field.data_type(), stage)?;
        if keys.null_count() > 0 {
            return Err(ConvertError::NullKey);
        }
        let pairs = StructArray::try_new(fields.clone(), vec![keys, values], None)?;
        let map = MapArray::try_new(entries.clone(), source.offsets().clone(), pairs, source.nulls().cloned(), false)?;
        Ok(Arc::new(map) as ArrayRef)
    };
    Some(build())
}

fn structure(
    array: &ArrayRef,
    types: &[(String, Type)],
    target: &DataType,
    stage: Stage,
) -> Option<Result<ArrayRef, ConvertError>> {
    let (DataType::Struct(fields), DataType::Struct(found)) = (target, array.data_type()) else { return None };
    if found.len() != types.len() || fields.len() != types.len() {
        return None;
    }
    let source = array.as_struct();
    let convert = |((column, (_, ty)), field): ((&ArrayRef, &(String, Type)), &Arc<Field>)| {
        conform(column, ty, field.data_type(), stage)
    };
    let columns: Result<Vec<_>, _> = source.columns().iter().zip(types).zip(fields.iter()).map(convert).collect();
    Some(columns.and_then(|columns| {
        Ok(Arc::new(StructArray::try_new(fields.clone(), columns, source.nulls().cloned())?) as ArrayRef)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Int64Array, TimestampMicrosecondArray, TimestampMillisecondArray};

    #[test]
    fn coarser_units_floor_and_finer_units_clamp() {
        let micros: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![Some(-1), Some(i64::MAX), None]));
        let to = |unit| DataType::Timestamp(unit, Some("UTC".into()));
        let seconds = conform(&micros, &Type::Timestamp, &to(TimeUnit::Second), Stage::Wire).unwrap();
        assert_eq!(seconds.as_primitive::<TimestampSecondType>().value(0), -1);
        let nanos = conform(&micros, &Type::Timestamp, &to(TimeUnit::Nanosecond), Stage::Wire).unwrap();
        assert_eq!(nanos.as_primitive::<TimestampNanosecondType>().value(1), i64::MAX);
        assert!(nanos.is_null(2));
        let same: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![5]));
        let ntz = conform(&same, &Type::TimestampNtz, &DataType::Timestamp(TimeUnit::Millisecond, None), Stage::Wire);
        assert_eq!(ntz.unwrap().data_type(), &DataType::Timestamp(TimeUnit::Millisecond, None));
    }

    #[test]
    fn char_is_trimmed_in_and_padded_out() {
        let values: ArrayRef = Arc::new(StringArray::from(vec![Some("ä  "), None, Some("")]));
        let stored = conform(&values, &Type::Char(3), &DataType::Utf8, Stage::Store).unwrap();
        assert_eq!(stored.as_string::<i32>().value(0), "ä");
        let wire = conform(&stored, &Type::Char(3), &DataType::Utf8, Stage::Wire).unwrap();
        assert_eq!(wire.as_string::<i32>().value(0), "ä  ");
        assert_eq!(wire.as_string::<i32>().value(2), "   ");
        let long: ArrayRef = Arc::new(StringArray::from(vec!["abcd"]));
        assert!(conform(&long, &Type::Varchar(3), &DataType::Utf8, Stage::Store).is_err());
    }

    #[test]
    fn day_time_millis_split_with_one_sign() {
        let millis: ArrayRef = Arc::new(Int64Array::from(vec![-86_400_001, 90_000_000]));
        let target = DataType::Interval(IntervalUnit::DayTime);
        let out = conform(&millis, &Type::IntervalDayTime, &target, Stage::Store).unwrap();
        let out = out.as_any().downcast_ref::<IntervalDayTimeArray>().unwrap();
        assert_eq!(out.value(0), IntervalDayTime::new(-1, -1));
        assert_eq!(out.value(1), IntervalDayTime::new(1, 3_600_000));
    }
}
