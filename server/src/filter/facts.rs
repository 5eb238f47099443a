//! What is known about the values of a column in a block, from Parquet statistics.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;

use super::value::Value;
use crate::catalog::Column;
use crate::store::column_index;
use crate::types::Type;

/// What is known about one column in one block.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// Some value may be NULL.
    pub may_be_null: bool,
    /// Some value may be something else than NULL.
    pub may_have_value: bool,
    /// Some value may be NaN, which no range covers.
    pub may_be_nan: bool,
    /// All values that are neither NULL nor NaN lie between the two, bounds included. Statistics may be truncated, so
    /// the bounds themselves need not occur.
    pub range: Option<(Value, Value)>,
}

impl Facts {
    /// Nothing is known.
    pub const UNKNOWN: Facts = Facts { may_be_null: true, may_have_value: true, may_be_nan: true, range: None };

    /// Exactly this value in every row.
    pub fn constant(value: Value) -> Facts {
        Facts { may_be_null: false, may_have_value: true, may_be_nan: false, range: Some((value.clone(), value)) }
    }

    /// NULL in every row.
    pub const NULL: Facts = Facts { may_be_null: true, may_have_value: false, may_be_nan: false, range: None };
}

/// Facts by column number; columns that were not asked for are unknown.
pub type BlockFacts = Vec<Facts>;

/// The facts about a column for every block of a file. Whatever the statistics do not say is unknown. A column that the
/// file lacks was added later: it is NULL.
pub fn of_file(footer: &ArrowReaderMetadata, column: &Column) -> Vec<Facts> {
    let blocks = footer.metadata().row_groups();
    if column_index(footer.schema(), &column.name).is_none() {
        return vec![Facts::NULL; blocks.len()];
    }
    read(footer, column).unwrap_or_else(|| vec![Facts::UNKNOWN; blocks.len()])
}

fn read(footer: &ArrowReaderMetadata, column: &Column) -> Option<Vec<Facts>> {
    let blocks = footer.metadata().row_groups();
    let name = footer.schema().field(column_index(footer.schema(), &column.name)?).name();
    let converter = StatisticsConverter::try_new(name, footer.schema(), footer.parquet_schema())
        .ok()?
        .with_missing_null_counts_as_zero(false);
    let lows = converter.row_group_mins(blocks).ok()?;
    let highs = converter.row_group_maxes(blocks).ok()?;
    let nulls = converter.row_group_null_counts(blocks).ok()?;
    let is_float = matches!(converter.arrow_field().data_type(), DataType::Float32 | DataType::Float64);
    let nans = if is_float { converter.row_group_nan_counts(blocks).ok() } else { None };
    let facts = blocks.iter().enumerate().map(|(i, block)| {
        let null_count = nulls.is_valid(i).then(|| nulls.value(i));
        let nan_count = nans.as_ref().and_then(|n| n.is_valid(i).then(|| n.value(i)));
        let bound = |bounds| match value(bounds, i) {
            Some(Value::Text(text)) if matches!(column.ty, Type::Char(_)) => Some(Value::Char(text)),
            other => other,
        };
        let range = match (bound(&lows), bound(&highs)) {
            (Some(low), Some(high)) => Some((low, high)),
            _ => None,
        };
        Facts {
            may_be_null: null_count != Some(0),
            may_have_value: null_count.is_none_or(|n| n < block.num_rows().max(0) as u64),
            may_be_nan: is_float && nan_count != Some(0),
            range,
        }
    });
    Some(facts.collect())
}

fn value(array: &ArrayRef, i: usize) -> Option<Value> {
    if array.is_null(i) {
        return None;
    }
    let whole = |v: i64| Some(Value::Exact { unscaled: i128::from(v), scale: 0 });
    let instant = |v: i64, nanos: i64| Some(Value::Instant(i128::from(v) * i128::from(nanos)));
    match array.data_type() {
        DataType::Int8 => whole(i64::from(array.as_primitive::<Int8Type>().value(i))),
        DataType::Int16 => whole(i64::from(array.as_primitive::<Int16Type>().value(i))),
        DataType::Int32 => whole(i64::from(array.as_primitive::<Int32Type>().value(i))),
        DataType::Int64 => whole(array.as_primitive::<Int64Type>().value(i)),
        DataType::Decimal128(_, scale) => Some(Value::Exact {
            unscaled: array.as_primitive::<Decimal128Type>().value(i),
            scale: u32::try_from(*scale).ok()?,
        }),
        DataType::Float32 => {
            let v = array.as_primitive::<Float32Type>().value(i);
            (!v.is_nan()).then_some(Value::Single(v))
        }
        DataType::Float64 => {
            let v = array.as_primitive::<Float64Type>().value(i);
            (!v.is_nan()).then_some(Value::Double(v))
        }
        DataType::Boolean => Some(Value::Bool(array.as_boolean().value(i))),
        DataType::Utf8 => Some(Value::Text(array.as_string::<i32>().value(i).to_string())),
        DataType::Binary => Some(Value::Bytes(array.as_binary::<i32>().value(i).to_vec())),
        DataType::Date32 => Some(Value::Date(i64::from(array.as_primitive::<Date32Type>().value(i)))),
        DataType::Timestamp(TimeUnit::Second, _) => {
            instant(array.as_primitive::<TimestampSecondType>().value(i), 1_000_000_000)
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            instant(array.as_primitive::<TimestampMillisecondType>().value(i), 1_000_000)
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            instant(array.as_primitive::<TimestampMicrosecondType>().value(i), 1_000)
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            instant(array.as_primitive::<TimestampNanosecondType>().value(i), 1)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Float64Array, Int64Array, ListArray, RecordBatch};
    use arrow::datatypes::{Field, Int64Type, Schema};
    use bytes::Bytes;
    use parquet::arrow::ArrowWriter;
    use parquet::arrow::arrow_reader::ArrowReaderOptions;

    use super::*;

    #[test]
    fn facts_say_what_statistics_say_and_no_more() {
        let list = ListArray::from_iter_primitive::<Int64Type, _, _>(vec![Some(vec![Some(1)]), None, Some(vec![None])]);
        let arrays: Vec<ArrayRef> = vec![
            Arc::new(Float64Array::from(vec![1.0, 2.0, 3.0])),
            Arc::new(Float64Array::from(vec![1.0, f64::NAN, 3.0])),
            Arc::new(Int64Array::from(vec![None, None, None])),
            Arc::new(list),
        ];
        let names = ["clean", "nan", "null", "list"];
        let fields: Vec<Field> =
            names.iter().zip(&arrays).map(|(n, a)| Field::new(*n, a.data_type().clone(), true)).collect();
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap();
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let footer = ArrowReaderMetadata::load(&Bytes::from(bytes), ArrowReaderOptions::new()).unwrap();
        let fact = |name: &str| of_file(&footer, &Column::new(name, Type::Double, true)).remove(0);
        let range = Some((Value::Double(1.0), Value::Double(3.0)));
        assert_eq!(
            fact("clean"),
            Facts { may_be_null: false, may_have_value: true, may_be_nan: false, range: range.clone() }
        );
        assert_eq!(fact("CLEAN"), fact("clean"));
        assert!(fact("nan").may_be_nan);
        assert_eq!(fact("null"), Facts::NULL);
        assert_eq!(fact("list"), Facts { may_be_nan: false, ..Facts::UNKNOWN });
        assert_eq!(fact("absent"), Facts::NULL);
    }
}
