//! Keys of rows, and what an operation does, read from batches.

use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;

use anyhow::{Context, Result};
use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, RecordBatch};
use arrow::datatypes::{
    DataType, Int8Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType,
};
use arrow::row::{RowConverter, SortField};

use crate::catalog::Column;
use crate::store::column_index;
use crate::types::{Stage, Units, arrow_type, conform};
use crate::write::{OPERATION, OPERATION_DELETE};

/// A digest of the key columns of a row. Two keys of one bucket share a digest with a chance of one in 10^24 even among
/// ten million; the digest is never stored.
pub type Key = [u64; 2];

/// Calls `operation(key, deletes, row)` for every row of a batch, in order.
pub fn operations(batch: &RecordBatch, keys: &[Column], mut operation: impl FnMut(Key, bool, usize)) -> Result<()> {
    let arrays: Vec<ArrayRef> = keys.iter().map(|key| canonical(batch, key)).collect::<Result<_>>()?;
    let fields = arrays.iter().map(|array| SortField::new(array.data_type().clone())).collect();
    let rows = RowConverter::new(fields)?.convert_columns(&arrays)?;
    let codes = column_index(batch.schema_ref(), OPERATION).map(|place| batch.column(place));
    let codes =
        codes.map(|array| array.as_primitive_opt::<Int8Type>().context("__operation is not int8")).transpose()?;
    for (at, row) in rows.iter().enumerate() {
        let deletes = codes.is_some_and(|codes| codes.is_valid(at) && codes.value(at) == OPERATION_DELETE);
        operation(digest(row.as_ref()), deletes, at);
    }
    Ok(())
}

/// A key column in the one layout in which equal values are equal bytes, whatever file they come from.
fn canonical(batch: &RecordBatch, key: &Column) -> Result<ArrayRef> {
    let place =
        column_index(batch.schema_ref(), &key.name).with_context(|| format!("no primary-key column {}", key.name))?;
    let array = batch.column(place);
    // Files may store the same column in different units, and no unit covers the values of all others.
    if let DataType::Timestamp(unit, _) = array.data_type() {
        return Ok(Arc::new(nanoseconds(array, *unit)));
    }
    let units = Units { datetime: TimeUnit::Millisecond, timestamp: TimeUnit::Nanosecond };
    Ok(conform(array, &key.ty, &arrow_type(&key.ty, units), Stage::Store)?)
}

fn nanoseconds(array: &ArrayRef, unit: TimeUnit) -> Decimal128Array {
    fn scale(values: impl Iterator<Item = Option<i64>>, nanos: i128) -> Decimal128Array {
        values.map(|value| value.map(|value| i128::from(value) * nanos)).collect()
    }
    match unit {
        TimeUnit::Second => scale(array.as_primitive::<TimestampSecondType>().iter(), 1_000_000_000),
        TimeUnit::Millisecond => scale(array.as_primitive::<TimestampMillisecondType>().iter(), 1_000_000),
        TimeUnit::Microsecond => scale(array.as_primitive::<TimestampMicrosecondType>().iter(), 1_000),
        TimeUnit::Nanosecond => scale(array.as_primitive::<TimestampNanosecondType>().iter(), 1),
    }
}

fn digest(bytes: &[u8]) -> Key {
    [0, 1].map(|half| {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(half);
        hasher.write(bytes);
        hasher.finish()
    })
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int8Array, Int64Array, StringArray, TimestampMicrosecondArray, TimestampNanosecondArray};

    use super::*;
    use crate::types::Type;

    fn read(columns: Vec<(&str, ArrayRef)>, keys: &[(&str, Type)]) -> Vec<(Key, bool)> {
        let keys: Vec<Column> = keys.iter().map(|(name, ty)| Column::new(*name, ty.clone(), false)).collect();
        let mut found = Vec::new();
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        operations(&batch, &keys, |key, deletes, _| found.push((key, deletes))).unwrap();
        found
    }

    #[test]
    fn null_and_unknown_operations_are_upserts() {
        let ids: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
        let codes: ArrayRef = Arc::new(Int8Array::from(vec![Some(85), Some(68), None]));
        let found = read(vec![("ID", ids.clone()), ("__operation", codes)], &[("id", Type::BigInt)]);
        assert_eq!(found.iter().map(|f| f.1).collect::<Vec<_>>(), [false, true, false]);
        assert!(read(vec![("id", ids)], &[("id", Type::BigInt)]).iter().all(|found| !found.1));
    }

    #[test]
    fn keys_are_values_and_not_bytes() {
        let nanos: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![1_000, 2_000]));
        let micros: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![1, i64::MAX]));
        let of = |array| read(vec![("t", array)], &[("t", Type::Timestamp)]);
        let (nanos, micros) = (of(nanos), of(micros));
        assert_eq!(nanos[0], micros[0]);
        assert_ne!(nanos[1], micros[1]);
        // "ab" + "c" is another key than "a" + "bc".
        let left: ArrayRef = Arc::new(StringArray::from(vec!["ab", "a"]));
        let right: ArrayRef = Arc::new(StringArray::from(vec!["c", "bc"]));
        let pairs = read(vec![("a", left), ("b", right)], &[("a", Type::String), ("b", Type::String)]);
        assert_ne!(pairs[0], pairs[1]);
    }
}
