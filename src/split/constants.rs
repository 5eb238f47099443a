//! Rows whose columns are the same in all of them: the keys of the one partition that was asked for.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, Int8Array, Int16Array, Int32Array, Int64Array, RecordBatch, RecordBatchOptions, StringArray,
};
use arrow_schema::{DataType, Field, SchemaRef};

use crate::arrow::{is_partition_key, type_text};
use crate::error::{Error, Kind, Result};

/// `count` rows of `schema` of a session that was asked for `partitions`; `None` if they tell not all of its columns. Rows without
/// columns are always told.
pub(super) fn rows(schema: &SchemaRef, partitions: &[String], count: usize) -> Result<Option<RecordBatch>> {
    let column = |field: &Arc<Field>| repeated(field, named(partitions, field)?, count);
    let Some(columns) = schema.fields().iter().map(column).collect::<Option<Vec<_>>>() else { return Ok(None) };
    let options = RecordBatchOptions::new().with_row_count(Some(count));
    let batch = RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options);
    batch.map(Some).map_err(|error| Error::new(Kind::Internal, format!("rows of a partition cannot be made: {error}")))
}

/// The value of a partition column, if one partition was asked for and names it.
fn named<'a>(partitions: &'a [String], field: &Field) -> Option<&'a str> {
    let [one] = partitions else { return None };
    let pairs = one.split(['/', ',']).filter_map(|pair| pair.split_once('='));
    let value =
        pairs.filter(|(key, _)| key.trim().eq_ignore_ascii_case(field.name())).map(|(_, value)| value).next()?;
    is_partition_key(field).then_some(value)
}

/// A column of one value. `None` for a type whose values may be written in several ways, and for a text that may stand for another:
/// quotes that services take away, blanks, the name of the default partition.
fn repeated(field: &Field, value: &str, count: usize) -> Option<ArrayRef> {
    Some(match field.data_type() {
        DataType::Int8 => Arc::new(Int8Array::from_value(value.parse().ok()?, count)),
        DataType::Int16 => Arc::new(Int16Array::from_value(value.parse().ok()?, count)),
        DataType::Int32 => Arc::new(Int32Array::from_value(value.parse().ok()?, count)),
        DataType::Int64 => Arc::new(Int64Array::from_value(value.parse().ok()?, count)),
        DataType::Utf8 => {
            let is_itself = |letter: char| letter.is_ascii_alphanumeric() || "-_.:".contains(letter);
            let is_plain = !value.is_empty() && value.chars().all(is_itself) && !value.starts_with("__");
            let type_text = type_text(field).to_ascii_lowercase();
            (is_plain && (type_text == "string" || type_text.starts_with("varchar"))).then_some(())?;
            Arc::new(StringArray::from_iter_values(std::iter::repeat_n(value, count)))
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arrow::{ColumnFacts, Units, expected};
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
        rows(&schema(keys), &partitions, 3).unwrap()
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
}
