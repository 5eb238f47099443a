//! Writes one Parquet file.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::encryption::encrypt::FileEncryptionProperties;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use uuid::Uuid;

use crate::private;

/// Rows per block (Parquet row group) of loaded tables: the block of service-behaviour.md 2.1. Pruning and splitting
/// work on whole blocks.
pub const BLOCK_ROWS: usize = 10_000;

/// A block of wide rows ends after about this many bytes, because a writer holds its block in memory.
const BLOCK_BYTES: usize = 64 << 20;

/// A data file in the making.
pub struct FileWriter {
    path: PathBuf,
    rows: u64,
    writer: ArrowWriter<File>,
}

/// A name for a new data file. Names are never used again.
pub fn new_file_id() -> String {
    Uuid::new_v4().simple().to_string()
}

impl FileWriter {
    /// Creates the file `id` in `dir`; with `encryption` nothing of it can be read without the key.
    pub fn create(
        dir: &Path,
        id: &str,
        schema: &SchemaRef,
        block_rows: usize,
        encryption: Option<Arc<FileEncryptionProperties>>,
    ) -> Result<FileWriter> {
        let path = dir.join(format!("{id}.parquet"));
        let file = private::create_new(&path).with_context(|| format!("cannot create {}", path.display()))?;
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::LZ4_RAW)
            .set_max_row_group_row_count(Some(block_rows))
            .set_max_row_group_bytes(Some(BLOCK_BYTES));
        if let Some(encryption) = encryption {
            properties = properties.with_file_encryption_properties(encryption);
        }
        let properties = properties.build();
        let writer = ArrowWriter::try_new(file, schema.clone(), Some(properties))
            .map_err(|e| anyhow!("cannot store this schema: {e}"))?;
        Ok(FileWriter { path, rows: 0, writer })
    }

    /// Appends rows.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.writer.write(batch).with_context(|| format!("cannot write rows to {}", self.path.display()))?;
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    /// Ends the current block, so that it takes no memory any more.
    pub fn end_block(&mut self) -> Result<()> {
        self.writer.flush().with_context(|| format!("cannot write rows to {}", self.path.display()))
    }

    /// Adds a text to the footer of the file.
    pub fn note(&mut self, key: &str, value: String) {
        self.writer.append_key_value_metadata(KeyValue::new(key.to_string(), value));
    }

    /// Rows written so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Completes and syncs the file; returns its length in bytes.
    pub fn finish(self) -> Result<u64> {
        let inner = self.writer.into_inner().with_context(|| format!("cannot complete {}", self.path.display()))?;
        inner.sync_all().with_context(|| format!("cannot sync {}", self.path.display()))?;
        Ok(inner.metadata()?.len())
    }
}

/// Makes the names of new files in `dir` durable. Must come before a commit that names them.
pub fn sync_dir(dir: &Path) -> Result<()> {
    File::open(dir)?.sync_all().with_context(|| format!("cannot sync {}", dir.display()))
}
