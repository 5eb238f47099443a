//! Turns arrays of one layout into another: a source file's into the stored one, the stored one into the wire's.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int32Array, Int64Array, IntervalDayTimeArray, IntervalYearMonthArray, ListArray,
    MapArray, PrimitiveArray, StringArray, StringBuilder, StructArray, make_array,
};
use arrow::compute::cast;
use arrow::datatypes::{
    ArrowTimestampType, DataType, DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType,
    DurationSecondType, Field, Fields, Int32Type, Int64Type, IntervalDayTime, IntervalUnit, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use arrow::error::ArrowError;

use super::{CharText, Delivery, Timestamps, Type};

/// Which way a conversion goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Into storage: lengths are checked, trailing blanks of CHAR values are dropped (they carry no meaning, and
    /// block statistics of trimmed values compare as CHAR does).
    Store,
    /// Onto the wire.
    Wire(Delivery),
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
    #[error("a time is outside the range of {0}")]
    Time(DataType),
    #[error(transparent)]
    Arrow(#[from] ArrowError),
}

/// Converts `array`, whose values are of MaxCompute type `ty`, to the Arrow layout `target`.
///
/// Coarser timestamp units floor; instants outside the range of the target unit become the nearest one inside, unless
/// the delivery says something else (service-behaviour.md 5.3). Row count is unchanged.
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
                Stage::Wire(Delivery { char_text: CharText::Trimmed, .. }) => Ok(text),
                Stage::Wire(_) => Ok(pad_blanks(text.as_string::<i32>(), *n as usize)),
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
            (DataType::Timestamp(from, _), DataType::Timestamp(..)) => change_unit(array, *from, target, stage),
            (DataType::Timestamp(from, _), DataType::Struct(fields)) => seconds_and_nanos(array, *from, fields),
            (DataType::Struct(_), DataType::Timestamp(unit, _)) => {
                let times = from_seconds(array, nanos_per(*unit), target).ok_or_else(mismatch)??;
                Ok(cast(&(Arc::new(times) as ArrayRef), target)?)
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

fn change_unit(array: &ArrayRef, from: TimeUnit, target: &DataType, stage: Stage) -> Result<ArrayRef, ConvertError> {
    match from {
        TimeUnit::Second => retime::<TimestampSecondType>(array, from, target, stage),
        TimeUnit::Millisecond => retime::<TimestampMillisecondType>(array, from, target, stage),
        TimeUnit::Microsecond => retime::<TimestampMicrosecondType>(array, from, target, stage),
        TimeUnit::Nanosecond => retime::<TimestampNanosecondType>(array, from, target, stage),
    }
}

fn retime<S: ArrowTimestampType>(
    array: &ArrayRef,
    from: TimeUnit,
    target: &DataType,
    stage: Stage,
) -> Result<ArrayRef, ConvertError> {
    let DataType::Timestamp(to, zone) = target else {
        return Err(ConvertError::Layout { from: array.data_type().clone(), ty: Type::Timestamp });
    };
    let source = array.as_primitive::<S>();
    let (fine, coarse) = (nanos_per(from), nanos_per(*to));
    let scale = move |v: i64| match coarse >= fine {
        true => Some(v.div_euclid(coarse / fine)),
        false => v.checked_mul(fine / coarse),
    };
    let clamp = move |v: i64| scale(v).unwrap_or_else(|| v.saturating_mul(fine / coarse));
    let overflow = match stage {
        Stage::Wire(delivery) => delivery.timestamps,
        Stage::Store => Timestamps::Clamp,
    };
    let values: PrimitiveArray<Int64Type> = match overflow {
        Timestamps::Clamp | Timestamps::Struct => source.unary(clamp),
        Timestamps::Wrap => source.unary(move |v| scale(v).unwrap_or_else(|| v.wrapping_mul(fine / coarse))),
        Timestamps::Null => source.unary_opt(scale),
        Timestamps::Error => source.try_unary(|v| scale(v).ok_or_else(|| ConvertError::Time(target.clone())))?,
    };
    let zone = zone.clone();
    Ok(match to {
        TimeUnit::Second => Arc::new(values.reinterpret_cast::<TimestampSecondType>().with_timezone_opt(zone)),
        TimeUnit::Millisecond => {
            Arc::new(values.reinterpret_cast::<TimestampMillisecondType>().with_timezone_opt(zone))
        }
        TimeUnit::Microsecond => {
            Arc::new(values.reinterpret_cast::<TimestampMicrosecondType>().with_timezone_opt(zone))
        }
        TimeUnit::Nanosecond => Arc::new(values.reinterpret_cast::<TimestampNanosecondType>().with_timezone_opt(zone)),
    })
}

/// Instants as whole seconds, toward minus infinity, and the nanoseconds above them.
fn seconds_and_nanos(array: &ArrayRef, from: TimeUnit, fields: &Fields) -> Result<ArrayRef, ConvertError> {
    let values: Int64Array = match from {
        TimeUnit::Second => array.as_primitive::<TimestampSecondType>().reinterpret_cast(),
        TimeUnit::Millisecond => array.as_primitive::<TimestampMillisecondType>().reinterpret_cast(),
        TimeUnit::Microsecond => array.as_primitive::<TimestampMicrosecondType>().reinterpret_cast(),
        TimeUnit::Nanosecond => array.as_primitive::<TimestampNanosecondType>().reinterpret_cast(),
    };
    let per_second = 1_000_000_000 / nanos_per(from);
    let seconds: Int64Array = values.unary(|v| v.div_euclid(per_second));
    let nanos: Int32Array = values.unary(|v| (v.rem_euclid(per_second) * nanos_per(from)) as i32);
    // A struct carries its NULLs itself.
    let bare = |array: ArrayRef| -> Result<ArrayRef, ArrowError> {
        Ok(make_array(array.to_data().into_builder().nulls(None).build()?))
    };
    let parts = vec![bare(Arc::new(seconds))?, bare(Arc::new(nanos))?];
    Ok(Arc::new(StructArray::try_new(fields.clone(), parts, values.nulls().cloned())?))
}

/// Counts of `step` nanoseconds from structs of seconds and nanoseconds. `None` if the layout is another one.
fn from_seconds(array: &ArrayRef, step: i64, target: &DataType) -> Option<Result<Int64Array, ConvertError>> {
    let parts = array.as_struct();
    let seconds = parts.column_by_name("sec")?.as_primitive_opt::<Int64Type>()?;
    let nanos = parts.column_by_name("nano")?.as_primitive_opt::<Int32Type>()?;
    let count = |row: usize| {
        if parts.is_null(row) || seconds.is_null(row) {
            return Ok(None);
        }
        let nanos = i128::from(seconds.value(row)) * 1_000_000_000 + i128::from(nanos.value(row));
        let count = i64::try_from(nanos.div_euclid(i128::from(step)));
        count.map(Some).map_err(|_| ConvertError::Time(target.clone()))
    };
    Some((0..parts.len()).map(count).collect())
}

/// Day-time intervals from Arrow intervals, total milliseconds, or durations. `None` if the layout is none of those.
fn day_time(array: &ArrayRef) -> Option<Result<ArrayRef, ConvertError>> {
    let millis: Vec<Option<i64>> = match array.data_type() {
        DataType::Interval(IntervalUnit::DayTime) => return Some(Ok(array.clone())),
        DataType::Int64 => array.as_primitive::<Int64Type>().iter().collect(),
        DataType::Struct(_) => match from_seconds(array, 1_000_000, &DataType::Interval(IntervalUnit::DayTime))? {
            Ok(millis) => millis.iter().collect(),
            Err(error) => return Some(Err(error)),
        },
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
    use arrow::array::{TimestampMicrosecondArray, TimestampMillisecondArray};

    const WIRE: Stage = Stage::Wire(Delivery { timestamps: Timestamps::Clamp, char_text: CharText::Padded });

    #[test]
    fn what_does_not_fit_is_delivered_as_asked() {
        let year_3000 = 32_503_680_000_000_000;
        let micros: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![Some(year_3000), Some(-1), None]));
        let target = DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()));
        let deliver = |timestamps| {
            let stage = Stage::Wire(Delivery { timestamps, ..Delivery::default() });
            conform(&micros, &Type::Timestamp, &target, stage)
        };
        let first = |timestamps| {
            let array = deliver(timestamps).unwrap();
            let array = array.as_primitive::<TimestampNanosecondType>().clone();
            assert_eq!((array.value(1), array.is_null(2)), (-1000, true));
            array.iter().next().unwrap()
        };
        assert_eq!(first(Timestamps::Clamp), Some(i64::MAX));
        assert_eq!(first(Timestamps::Wrap), Some(year_3000.wrapping_mul(1000)));
        assert_eq!(first(Timestamps::Null), None);
        assert!(matches!(deliver(Timestamps::Error), Err(ConvertError::Time(_))));
        let delivery = Delivery { timestamps: Timestamps::Struct, ..Delivery::default() };
        let ty: Type = "map<string,struct<t:array<timestamp>,d:datetime>>".parse().unwrap();
        let units = super::super::Units { datetime: TimeUnit::Millisecond, timestamp: TimeUnit::Nanosecond };
        let layout = delivery.layout(&ty, super::super::arrow_type(&ty, units));
        assert!(layout.to_string().contains("\"sec\": non-null Int64, \"nano\": non-null Int32"), "{layout}");
        assert!(layout.to_string().contains("Timestamp(ms"), "{layout}");
        let target = delivery.layout(&Type::Timestamp, target.clone());
        let parts = conform(&micros, &Type::Timestamp, &target, Stage::Wire(delivery)).unwrap();
        let parts = parts.as_struct();
        assert_eq!(parts.column(0).as_primitive::<Int64Type>().values()[..2], [32_503_680_000, -1]);
        assert_eq!(parts.column(1).as_primitive::<Int32Type>().values()[..2], [0, 999_999_000]);
        assert!(parts.is_null(2));
    }

    #[test]
    fn coarser_units_floor_and_finer_units_clamp() {
        let micros: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![Some(-1), Some(i64::MAX), None]));
        let to = |unit| DataType::Timestamp(unit, Some("UTC".into()));
        let seconds = conform(&micros, &Type::Timestamp, &to(TimeUnit::Second), WIRE).unwrap();
        assert_eq!(seconds.as_primitive::<TimestampSecondType>().value(0), -1);
        let nanos = conform(&micros, &Type::Timestamp, &to(TimeUnit::Nanosecond), WIRE).unwrap();
        assert_eq!(nanos.as_primitive::<TimestampNanosecondType>().value(1), i64::MAX);
        assert!(nanos.is_null(2));
        let same: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![5]));
        let ntz = conform(&same, &Type::TimestampNtz, &DataType::Timestamp(TimeUnit::Millisecond, None), WIRE);
        assert_eq!(ntz.unwrap().data_type(), &DataType::Timestamp(TimeUnit::Millisecond, None));
    }

    #[test]
    fn char_is_trimmed_in_and_padded_out() {
        let values: ArrayRef = Arc::new(StringArray::from(vec![Some("ä  "), None, Some("")]));
        let stored = conform(&values, &Type::Char(3), &DataType::Utf8, Stage::Store).unwrap();
        assert_eq!(stored.as_string::<i32>().value(0), "ä");
        let wire = conform(&stored, &Type::Char(3), &DataType::Utf8, WIRE).unwrap();
        assert_eq!(wire.as_string::<i32>().value(0), "ä  ");
        assert_eq!(wire.as_string::<i32>().value(2), "   ");
        let trimmed = Stage::Wire(Delivery { char_text: CharText::Trimmed, ..Delivery::default() });
        assert_eq!(&conform(&stored, &Type::Char(3), &DataType::Utf8, trimmed).unwrap(), &stored);
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
