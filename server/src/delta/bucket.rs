//! The files of one bucket of one partition, and a scan over their operations.

use std::fs::File;
use std::ops::Range;

use anyhow::{Context, Result};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::{Deserialize, Serialize};

use super::keys::{Key, operations};
use crate::catalog::{Catalog, Column, DataFile};
use crate::store::{Footers, column_index};
use crate::write::OPERATION;

/// Rows decoded at once; key columns are narrow.
const BATCH_ROWS: usize = 8192;

/// Keys held in memory at once, about 100 MiB. A bucket with more rows is scanned several times, each time for a part
/// of the keys.
const KEYS_PER_PASS: u64 = 3 << 20;

/// A file as merging sees it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BucketFile {
    pub id: String,
    pub rows: u64,
    /// The version whose commit added the file.
    pub version: i64,
    /// The version that replaced it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropped_version: Option<i64>,
}

impl From<&DataFile> for BucketFile {
    fn from(file: &DataFile) -> BucketFile {
        let DataFile { id, rows, version, dropped_version, .. } = file.clone();
        BucketFile { id, rows, version, dropped_version }
    }
}

/// The files of a bucket in the order in which their operations apply. Rows are numbered through all of them; that
/// number is their *position*.
pub struct Bucket<'a> {
    pub catalog: &'a Catalog,
    pub footers: &'a Footers,
    pub files: &'a [BucketFile],
    /// The primary key.
    pub keys: &'a [Column],
}

impl Bucket<'_> {
    /// Rows of all files.
    pub fn rows(&self) -> u64 {
        self.files.iter().map(|file| file.rows).sum()
    }

    /// Every file with the positions of its rows.
    pub fn spans(&self) -> impl Iterator<Item = (&BucketFile, Range<u64>)> {
        let mut end = 0;
        self.files.iter().map(move |file| {
            let start = end;
            end += file.rows;
            (file, start..end)
        })
    }

    /// How often the bucket must be scanned so that the keys of one pass fit into memory.
    pub fn passes(&self) -> u64 {
        self.rows().div_ceil(KEYS_PER_PASS).max(1)
    }

    /// Calls `operation(key, deletes, position)` for the operations of one file, in order.
    pub fn scan(&self, file: &BucketFile, start: u64, mut operation: impl FnMut(Key, bool, u64)) -> Result<()> {
        let path = self.catalog.file_path(&file.id);
        let damaged = || format!("{} is damaged", path.display());
        let footer = self.footers.get(&file.id, &path)?;
        let source = File::open(&path).with_context(|| format!("cannot open data file {}", path.display()))?;
        let names = self.keys.iter().map(|key| key.name.as_str()).chain([OPERATION]);
        let roots: Vec<usize> = names.filter_map(|name| column_index(footer.schema(), name)).collect();
        let mask = ProjectionMask::roots(footer.parquet_schema(), roots);
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(source, footer)
            .with_projection(mask)
            .with_batch_size(BATCH_ROWS)
            .build()
            .with_context(damaged)?;
        let mut position = start;
        for batch in reader {
            let batch = batch.with_context(damaged)?;
            operations(&batch, self.keys, |key, deletes, row| operation(key, deletes, position + row as u64))
                .with_context(damaged)?;
            position += batch.num_rows() as u64;
        }
        Ok(())
    }
}
