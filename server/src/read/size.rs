//! How large a batch is before compression.

use anyhow::Result;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::DataType;

use crate::types::inside;

/// Uncompressed bytes of the rows of a batch, of a slice only those that lie in it.
pub fn batch_size(batch: &RecordBatch) -> Result<usize> {
    sizes(batch.columns())
}

fn sizes(arrays: &[ArrayRef]) -> Result<usize> {
    arrays.iter().try_fold(0, |total, array| Ok(total + size(array)?))
}

/// Arrow counts the whole child of a sliced list, so lists are measured by the range of their offsets.
fn size(array: &dyn Array) -> Result<usize> {
    let own = array.nulls().map_or(0, |_| array.len().div_ceil(8));
    Ok(match array.data_type() {
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            own + size_of_val(list.value_offsets()) + size(&inside(list.values(), list.value_offsets()))?
        }
        DataType::Map(_, _) => {
            let map = array.as_map();
            let columns = map.entries().columns().iter().map(|column| inside(column, map.value_offsets()));
            own + size_of_val(map.value_offsets()) + sizes(&columns.collect::<Vec<_>>())?
        }
        DataType::Struct(_) => own + sizes(array.as_struct().columns())?,
        _ => array.to_data().get_slice_memory_size()?,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Builder, ListBuilder, MapBuilder, StringBuilder, StructArray};
    use arrow::datatypes::Field;

    use super::*;

    #[test]
    fn a_part_of_the_rows_has_a_part_of_the_size() {
        let mut lists = ListBuilder::new(Int64Builder::new());
        let mut maps = MapBuilder::new(None, StringBuilder::new(), ListBuilder::new(Int64Builder::new()));
        for row in 0..100i64 {
            lists.append_value((0..10).map(Some));
            maps.keys().append_value(format!("{row:08}"));
            maps.values().append_value([Some(row)]);
            maps.append(true).unwrap();
        }
        let lists: ArrayRef = Arc::new(lists.finish());
        let inner = Arc::new(Field::new("l", lists.data_type().clone(), true));
        let nested: ArrayRef = Arc::new(StructArray::from(vec![(inner, lists.clone())]));
        let maps: ArrayRef = Arc::new(maps.finish());
        // A list of 10 has 80 bytes and an offset; a map entry has 8 + 4 of a key and 8 + 4 of a list, and an offset.
        for (array, row) in [(lists, 84), (nested, 84), (maps, 28)] {
            let whole = size(&array).unwrap();
            assert!((row * 100..row * 100 + 100).contains(&whole), "{whole}");
            let part = size(&array.slice(37, 10)).unwrap();
            assert!((row * 10..row * 10 + 50).contains(&part), "{part}");
        }
    }
}
