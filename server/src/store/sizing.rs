//! How many rows to decode at once, so that memory is bounded by bytes and not only by rows.

use parquet::basic::Type as Physical;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};

/// Decoded bytes of a batch, about.
const BATCH_BYTES: u64 = 16 << 20;

/// Rows of a batch if a footer does not say how large its values are when decoded.
const CAUTIOUS_ROWS: usize = 64;

/// At most `wanted` rows, fewer where rows of one of the row groups `groups` are wide. Counts the leaf columns whose
/// numbers `read` accepts.
pub fn batch_rows(
    footer: &ParquetMetaData,
    groups: impl IntoIterator<Item = usize>,
    read: impl Fn(usize) -> bool,
    wanted: usize,
) -> usize {
    let groups = groups.into_iter().filter_map(|index| footer.row_groups().get(index));
    let fit = |bytes: Option<u64>, rows: u64| match bytes {
        Some(bytes) => usize::try_from(BATCH_BYTES / (bytes / rows.max(1)).max(1)).unwrap_or(usize::MAX),
        None => CAUTIOUS_ROWS,
    };
    let rows = groups.map(|group| {
        let leaves = group.columns().iter().enumerate().filter(|(leaf, _)| read(*leaf));
        let bytes: Option<u64> = leaves.map(|(_, chunk)| decoded_bytes(chunk)).sum();
        fit(bytes, group.num_rows().max(0) as u64)
    });
    rows.fold(wanted, usize::min).max(1)
}

/// Bytes of the values of a column chunk without any encoding; `None` if the footer does not say.
fn decoded_bytes(chunk: &ColumnChunkMetaData) -> Option<u64> {
    let values = chunk.num_values().max(0) as u64;
    let width = match chunk.column_type() {
        Physical::BOOLEAN => 1,
        Physical::INT32 | Physical::FLOAT => 4,
        Physical::INT64 | Physical::DOUBLE => 8,
        Physical::INT96 => 12,
        Physical::FIXED_LEN_BYTE_ARRAY => u64::try_from(chunk.column_descr().type_length()).ok()?,
        Physical::BYTE_ARRAY => {
            let text = u64::try_from(chunk.unencoded_byte_array_data_bytes()?).ok()?;
            return Some(text.saturating_add(values.saturating_mul(4)));
        }
    };
    Some(values.saturating_mul(width))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    use bytes::Bytes;
    use parquet::arrow::ArrowWriter;
    use parquet::file::metadata::ParquetMetaDataReader;

    use super::*;

    fn footer(version_with_sizes: bool) -> ParquetMetaData {
        let wide = "x".repeat(1 << 20);
        let names: ArrayRef = Arc::new(StringArray::from(vec![wide.as_str(); 40]));
        let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..40));
        let batch = RecordBatch::try_from_iter([("name", names), ("id", ids)]).unwrap();
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let footer = ParquetMetaDataReader::new().parse_and_finish(&Bytes::from(bytes)).unwrap();
        if version_with_sizes {
            return footer;
        }
        let strip = |group: &parquet::file::metadata::RowGroupMetaData| {
            let chunks = group.columns().iter().cloned();
            let chunks = chunks
                .map(|chunk| chunk.into_builder().set_unencoded_byte_array_data_bytes(None).build().unwrap())
                .collect();
            group.clone().into_builder().set_column_metadata(chunks).build().unwrap()
        };
        let groups = footer.row_groups().iter().map(strip).collect();
        ParquetMetaData::new(footer.file_metadata().clone(), groups)
    }

    #[test]
    fn wide_rows_make_short_batches() {
        let known = footer(true);
        assert_eq!(batch_rows(&known, [0], |_| true, 4096), 15);
        assert_eq!(batch_rows(&known, [0], |leaf| leaf == 1, 4096), 4096, "the wide column is not read");
        assert_eq!(batch_rows(&known, [0], |_| true, 2), 2);
        assert_eq!(batch_rows(&footer(false), [0], |_| true, 8192), CAUTIOUS_ROWS);
    }
}
