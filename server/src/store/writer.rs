//! Writes the rows of one table, or of one partition, into Parquet files.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use uuid::Uuid;

use super::pending::PendingFiles;
use crate::catalog::{Column, NewFile};
use crate::types::{Stage, Units, arrow_type, conform, finest_unit};

/// Rows per block (Parquet row group) of loaded tables: the block of service-behaviour.md 2.1. Pruning and splitting
/// work on whole blocks.
pub const BLOCK_ROWS: usize = 10_000;

/// A file is closed after this many rows, so that big tables have several files.
const FILE_ROWS: u64 = 1_500_000;

/// A block of wide rows ends after about this many bytes, because a writer holds its block in memory.
const BLOCK_BYTES: usize = 64 << 20;

/// Writes batches into as many files as they need. Nothing is visible before [`PendingFiles::commit`].
pub struct TableWriter {
    dir: PathBuf,
    columns: Vec<Column>,
    schema: SchemaRef,
    partition: Vec<String>,
    block_rows: usize,
    open: Option<OpenFile>,
    files: PendingFiles,
}

struct OpenFile {
    path: PathBuf,
    rows: u64,
    writer: ArrowWriter<File>,
}

impl TableWriter {
    /// A writer of files in `dir` for batches that look like `source`, one source field per column in order.
    pub fn new(
        dir: &Path,
        columns: &[Column],
        source: &Schema,
        partition: &[String],
        block_rows: usize,
    ) -> Result<Self> {
        std::fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
        let fields: Vec<Field> = columns
            .iter()
            .zip(source.fields())
            .map(|(column, field)| Field::new(&column.name, stored_type(column, field.data_type()), column.nullable))
            .collect();
        Ok(TableWriter {
            dir: dir.to_path_buf(),
            columns: columns.to_vec(),
            schema: Arc::new(Schema::new(fields)),
            partition: partition.to_vec(),
            block_rows,
            open: None,
            files: PendingFiles::new(dir),
        })
    }

    /// Appends rows.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let convert = |((array, column), field): ((&ArrayRef, &Column), &Arc<Field>)| {
            conform(array, &column.ty, field.data_type(), Stage::Store)
                .with_context(|| format!("column {}", column.name))
        };
        let arrays: Result<Vec<ArrayRef>> =
            batch.columns().iter().zip(&self.columns).zip(self.schema.fields()).map(convert).collect();
        let batch = RecordBatch::try_new(self.schema.clone(), arrays?)
            .with_context(|| "the rows do not fit the table (a NULL in a NOT NULL column?)".to_string())?;
        let file = match &mut self.open {
            Some(file) => file,
            None => {
                let id = Uuid::new_v4().simple().to_string();
                let path = self.dir.join(format!("{id}.parquet"));
                self.files.push(NewFile { id, partition: self.partition.clone(), bucket: None, rows: 0, bytes: 0 });
                self.open.insert(OpenFile::create(path, &self.schema, self.block_rows)?)
            }
        };
        file.writer.write(&batch).context("cannot write rows")?;
        file.rows += batch.num_rows() as u64;
        if file.rows >= FILE_ROWS { self.close_file() } else { Ok(()) }
    }

    /// Completes and syncs all files.
    pub fn finish(mut self) -> Result<PendingFiles> {
        self.close_file()?;
        // The directory entries must be on disk before a commit names the files.
        File::open(&self.dir)?.sync_all().with_context(|| format!("cannot sync {}", self.dir.display()))?;
        Ok(self.files)
    }

    fn close_file(&mut self) -> Result<()> {
        let Some(file) = self.open.take() else { return Ok(()) };
        let inner = file.writer.into_inner().with_context(|| format!("cannot complete {}", file.path.display()))?;
        inner.sync_all().with_context(|| format!("cannot sync {}", file.path.display()))?;
        let done = self.files.last_mut().context("a file was completed that was never begun")?;
        (done.rows, done.bytes) = (file.rows, inner.metadata()?.len());
        Ok(())
    }
}

impl OpenFile {
    fn create(path: PathBuf, schema: &SchemaRef, block_rows: usize) -> Result<OpenFile> {
        let file = File::create_new(&path).with_context(|| format!("cannot create {}", path.display()))?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::LZ4_RAW)
            .set_max_row_group_row_count(Some(block_rows))
            .set_max_row_group_bytes(Some(BLOCK_BYTES))
            .build();
        let writer = ArrowWriter::try_new(file, schema.clone(), Some(properties))
            .map_err(|e| anyhow!("cannot store this schema: {e}"))?;
        Ok(OpenFile { path, rows: 0, writer })
    }
}

/// The layout on disk: DATETIME in milliseconds, timestamps as fine as the source has them.
fn stored_type(column: &Column, source: &DataType) -> DataType {
    arrow_type(&column.ty, Units { datetime: TimeUnit::Millisecond, timestamp: finest_unit(source) })
}
