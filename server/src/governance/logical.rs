//! The logical size of rows, by which pay-as-you-go is charged (service-behaviour.md 3.7).

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::DataType;

/// Uncompressed value bytes: fixed widths, byte lengths, nested elements. NULLs and their flags count nothing.
pub fn logical_size(batch: &RecordBatch) -> u64 {
    batch.columns().iter().map(array_size).sum()
}

fn array_size(array: &ArrayRef) -> u64 {
    let values = (array.len() - array.null_count()) as u64;
    match array.data_type() {
        DataType::Null => 0,
        DataType::Boolean => values,
        DataType::Utf8 => lengths(array.as_string::<i32>().iter().flatten().map(str::len)),
        DataType::LargeUtf8 => lengths(array.as_string::<i64>().iter().flatten().map(str::len)),
        DataType::Binary => lengths(array.as_binary::<i32>().iter().flatten().map(<[u8]>::len)),
        DataType::LargeBinary => lengths(array.as_binary::<i64>().iter().flatten().map(<[u8]>::len)),
        DataType::FixedSizeBinary(width) => values * (*width).max(0) as u64,
        DataType::List(_) => array.as_list::<i32>().iter().flatten().map(|element| array_size(&element)).sum(),
        DataType::LargeList(_) => array.as_list::<i64>().iter().flatten().map(|element| array_size(&element)).sum(),
        DataType::Map(_, _) => {
            let map = array.as_map();
            let entries = (0..map.len()).filter(|row| map.is_valid(*row)).map(|row| map.value(row));
            entries.flat_map(|entries| entries.columns().iter().map(array_size).collect::<Vec<_>>()).sum()
        }
        DataType::Struct(_) => array.as_struct().columns().iter().map(array_size).sum(),
        other => values * other.primitive_width().unwrap_or(0) as u64,
    }
}

fn lengths(lengths: impl Iterator<Item = usize>) -> u64 {
    lengths.map(|length| length as u64).sum()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::*;
    use arrow::datatypes::{Field, Int32Type};

    use super::*;

    #[test]
    fn values_count_and_nulls_do_not() {
        let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None, Some(3)]), None]);
        let mut map = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
        map.keys().append_value("abc");
        map.values().append_value(1);
        map.append(true).unwrap();
        map.append(false).unwrap();
        let field = |name: &str, ty| Arc::new(Field::new(name, ty, true));
        let nested = StructArray::from(vec![
            (field("a", DataType::Int16), Arc::new(Int16Array::from(vec![Some(1), None])) as ArrayRef),
            (field("b", DataType::Utf8), Arc::new(StringArray::from(vec!["xy", ""])) as ArrayRef),
        ]);
        let cases: [(ArrayRef, u64); 8] = [
            (Arc::new(Int64Array::from(vec![Some(1), None])), 8),
            (Arc::new(BooleanArray::from(vec![Some(true), None])), 1),
            (Arc::new(StringArray::from(vec![Some("a\u{e4}"), None])), 3),
            (Arc::new(BinaryArray::from(vec![Some(&b"1234"[..]), None])), 4),
            (Arc::new(Decimal128Array::from(vec![Some(1), None])), 16),
            (Arc::new(list), 8),
            (Arc::new(map.finish()), 11),
            (Arc::new(nested), 4),
        ];
        for (array, size) in &cases {
            assert_eq!(array_size(array), *size, "{}", array.data_type());
        }
        let columns = cases.iter().map(|(array, _)| ("c", array.clone()));
        assert_eq!(logical_size(&RecordBatch::try_from_iter(columns).unwrap()), 55);
        // A slice counts its own rows.
        assert_eq!(array_size(&cases[0].0.slice(1, 1)), 0);
        assert_eq!(array_size(&cases[2].0.slice(0, 1)), 3);
    }
}
