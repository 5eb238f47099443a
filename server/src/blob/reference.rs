//! References to blobs, as text and in cells.

use anyhow::Result;
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::DataType;

use crate::catalog::{NoSuchBlob, is_blob_id};
use crate::types::{Type, inside};

const PREFIX: &str = "blob:";

/// The reference to a blob: visible ASCII, the same wherever it appears.
pub fn reference(id: &str) -> String {
    format!("{PREFIX}{id}")
}

/// The id of the blob that a text refers to, if it has the form of a reference.
pub fn blob_id(reference: &str) -> Option<&str> {
    reference.strip_prefix(PREFIX).filter(|id| is_blob_id(id))
}

/// Calls `found` with the id of every blob that these values refer to, at any depth. Fails with [`NoSuchBlob`] where a
/// cell holds something else.
pub fn references(array: &ArrayRef, ty: &Type, found: &mut impl FnMut(&str)) -> Result<()> {
    match (ty, array.data_type()) {
        (Type::Blob, DataType::Binary) => {
            for cell in array.as_binary::<i32>().iter().flatten() {
                let text = String::from_utf8_lossy(cell);
                found(blob_id(&text).ok_or_else(|| NoSuchBlob(text.chars().take(64).collect()))?);
            }
            Ok(())
        }
        (Type::Array(item), DataType::List(_)) if item.contains_blob() => {
            let list = array.as_list::<i32>();
            references(&inside(list.values(), list.value_offsets()), item, found)
        }
        (Type::Map(key, value), DataType::Map(..)) => {
            let map = array.as_map();
            references(&inside(map.keys(), map.value_offsets()), key, found)?;
            references(&inside(map.values(), map.value_offsets()), value, found)
        }
        (Type::Struct(types), DataType::Struct(_)) => {
            let columns = array.as_struct().columns();
            types.iter().zip(columns).try_for_each(|((_, ty), column)| references(column, ty, found))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{BinaryArray, BinaryBuilder, ListBuilder};

    use super::*;

    #[test]
    fn cells_at_any_depth_are_found() {
        let id = "0123456789abcdef0123456789abcdef";
        assert_eq!(blob_id(&reference(id)), Some(id));
        for other in ["", id, "blob:", "blob:../../etc/passwd", "blob:0123456789ABCDEF0123456789ABCDEF"] {
            assert_eq!(blob_id(other), None, "{other}");
        }
        let mut lists = ListBuilder::new(BinaryBuilder::new());
        lists.append_value([Some(reference(id)), None]);
        lists.append_null();
        lists.append_value([Some(reference(id))]);
        let lists: ArrayRef = Arc::new(lists.finish());
        let mut count = 0;
        references(&lists.slice(1, 2), &"array<blob>".parse().unwrap(), &mut |_| count += 1).unwrap();
        assert_eq!(count, 1);
        let wrong: ArrayRef = Arc::new(BinaryArray::from_iter_values([b"bytes"]));
        assert!(references(&wrong, &Type::Blob, &mut |_| {}).is_err());
    }
}
