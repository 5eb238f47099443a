//! Rows whose columns are the same in all of them: the keys of the one partition that was asked for.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, Int8Array, Int16Array, Int32Array, Int64Array, RecordBatch, RecordBatchOptions, StringArray,
};
use arrow_buffer::{Buffer, OffsetBuffer};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};

use crate::arrow::{is_partition_key, type_text};
use crate::error::{Error, Kind, Result};

/// A row that is told, as often as it is wanted.
#[derive(Debug, PartialEq)]
pub(super) struct Constants<'a>(Vec<Value<'a>>);

#[derive(Debug, PartialEq)]
enum Value<'a> {
    Int8(i8),
    Int16(i16),
    Int32(i32),
    Int64(i64),
    Text(&'a str),
}

impl<'a> Constants<'a> {
    /// The row of `schema` of a session that was asked for `partitions`; `None` if they tell not all of its columns. A row without columns is
    /// always told.
    pub(super) fn of(schema: &Schema, partitions: &'a [String]) -> Option<Self> {
        let value = |field: &Arc<Field>| Value::of(field, named(partitions, field)?);
        Some(Constants(schema.fields().iter().map(value).collect::<Option<_>>()?))
    }

    /// Up to `wanted` rows: as many as one batch can have.
    pub(super) fn most_rows(&self, wanted: usize) -> usize {
        let longest = self.0.iter().map(|value| value.width()).max().unwrap_or_default();
        wanted.min(i32::MAX as usize / longest.max(1))
    }

    /// Bytes that so many rows take.
    pub(super) fn bytes(&self, rows: usize) -> u64 {
        let value = |value: &Value<'_>| {
            let offsets = if matches!(value, Value::Text(_)) { (rows + 1) * size_of::<i32>() } else { 0 };
            (rows * value.width() + offsets) as u64
        };
        self.0.iter().map(value).sum()
    }

    /// So many rows, in the schema that they were made for.
    pub(super) fn rows(&self, schema: &SchemaRef, rows: usize) -> Result<RecordBatch> {
        let broken =
            |error: ArrowError| Error::new(Kind::Internal, format!("rows of a partition cannot be made: {error}"));
        let columns = self.0.iter().map(|value| value.repeated(rows).map_err(broken)).collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options).map_err(broken)
    }
}

/// The value of a partition column, if one partition was asked for and names it.
fn named<'a>(partitions: &'a [String], field: &Field) -> Option<&'a str> {
    let [one] = partitions else { return None };
    let pairs = one.split(['/', ',']).filter_map(|pair| pair.split_once('='));
    let value =
        pairs.filter(|(key, _)| key.trim().eq_ignore_ascii_case(field.name())).map(|(_, value)| value).next()?;
    is_partition_key(field).then_some(value)
}

impl<'a> Value<'a> {
    /// `None` for a type whose values may be written in several ways, and for a text that may stand for another: quotes that services take
    /// away, blanks, the name of the default partition.
    fn of(field: &Field, value: &'a str) -> Option<Self> {
        Some(match field.data_type() {
            DataType::Int8 => Value::Int8(value.parse().ok()?),
            DataType::Int16 => Value::Int16(value.parse().ok()?),
            DataType::Int32 => Value::Int32(value.parse().ok()?),
            DataType::Int64 => Value::Int64(value.parse().ok()?),
            DataType::Utf8 => {
                let is_itself = |letter: char| letter.is_ascii_alphanumeric() || "-_.:".contains(letter);
                let is_plain = !value.is_empty() && value.chars().all(is_itself) && !value.starts_with("__");
                let type_text = type_text(field).to_ascii_lowercase();
                (is_plain && (type_text == "string" || type_text.starts_with("varchar"))).then_some(())?;
                Value::Text(value)
            }
            _ => return None,
        })
    }

    /// Bytes of one.
    fn width(&self) -> usize {
        match self {
            Value::Int8(_) => size_of::<i8>(),
            Value::Int16(_) => size_of::<i16>(),
            Value::Int32(_) => size_of::<i32>(),
            Value::Int64(_) => size_of::<i64>(),
            Value::Text(text) => text.len(),
        }
    }

    /// A column of it.
    fn repeated(&self, rows: usize) -> std::result::Result<ArrayRef, ArrowError> {
        Ok(match self {
            Value::Int8(value) => Arc::new(Int8Array::from(vec![*value; rows])),
            Value::Int16(value) => Arc::new(Int16Array::from(vec![*value; rows])),
            Value::Int32(value) => Arc::new(Int32Array::from(vec![*value; rows])),
            Value::Int64(value) => Arc::new(Int64Array::from(vec![*value; rows])),
            Value::Text(text) => {
                let offsets = OffsetBuffer::from_repeated_length(text.len(), rows);
                Arc::new(StringArray::try_new(offsets, Buffer::from_vec(text.repeat(rows).into_bytes()), None)?)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arrow::{ColumnFacts, Units, expected};
    use arrow_array::Array;
    use arrow_array::cast::AsArray;
    use arrow_array::types::Int64Type;

    fn schema(keys: &[(&str, &str)]) -> SchemaRef {
        let facts = keys.iter().map(|(name, type_text)| ColumnFacts {
            name,
            type_text,
            nullable: true,
            is_partition: *name != "data",
        });
        Arc::new(expected(facts, Units::default()).unwrap())
    }

    fn told(keys: &[(&str, &str)], partitions: &[&str]) -> Option<RecordBatch> {
        let partitions: Vec<String> = partitions.iter().map(|name| (*name).to_owned()).collect();
        let schema = schema(keys);
        Constants::of(&schema, &partitions).map(|constants| constants.rows(&schema, 3).unwrap())
    }

    #[test]
    fn keys_of_one_partition_are_told() {
        let keys = [("ds", "string"), ("hour", "bigint")];
        let batch = told(&keys, &["DS=2024-01-01/hour=07"]).unwrap();
        assert_eq!(batch.column(0).as_string::<i32>().value(2), "2024-01-01");
        assert_eq!(batch.column(1).as_primitive::<Int64Type>().values(), &[7; 3]);
        assert_eq!(told(&keys[1..], &["ds=a,hour=-1"]).unwrap().num_rows(), 3);
        assert_eq!(told(&[], &[]).unwrap().num_rows(), 3, "rows without columns");
    }

    #[test]
    fn what_may_be_something_else_is_not_told() {
        let keys = [("ds", "string"), ("hour", "bigint")];
        for partitions in [
            &[][..],
            &["ds=a/hour=1", "ds=b/hour=1"],
            &["ds=a"],
            &["ds=a/hour=x"],
            &["ds='a'/hour=1"],
            &["ds= a/hour=1"],
            &["ds=/hour=1"],
            &["ds=__HIVE_DEFAULT_PARTITION__/hour=1"],
        ] {
            assert_eq!(told(&keys, partitions), None, "{partitions:?}");
        }
        for type_text in ["char(4)", "date", "double"] {
            assert_eq!(told(&[("ds", type_text)], &["ds=1"]), None, "{type_text}");
        }
        assert_eq!(told(&[("data", "string")], &["data=1"]), None, "no key");
    }
    #[test]
    fn what_rows_take_is_known_before() {
        let keys = [("ds", "string"), ("a", "tinyint"), ("b", "smallint"), ("c", "int"), ("d", "bigint")];
        let schema = schema(&keys);
        let partitions = ["ds=2024-01-01/a=1/b=2/c=3/d=4".to_owned()];
        let constants = Constants::of(&schema, &partitions).unwrap();
        for rows in [1, 7, 1000] {
            let taken: usize = constants
                .rows(&schema, rows)
                .unwrap()
                .columns()
                .iter()
                .flat_map(|column| column.to_data().buffers().iter().map(Buffer::capacity).collect::<Vec<_>>())
                .sum();
            assert_eq!(taken as u64, constants.bytes(rows), "{rows}");
        }
        let long = [format!("ds={}", "x".repeat(3 << 20))];
        let long = Constants::of(&schema_of_one(), &long).unwrap();
        assert_eq!((long.most_rows(10_000), long.most_rows(5)), (682, 5), "offsets have 32 bits");
    }

    fn schema_of_one() -> SchemaRef {
        schema(&[("ds", "string")])
    }
}
