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

use crate::catalog::{Column, NewFile};
use crate::types::{Stage, Units, arrow_type, conform, finest_unit};

/// Rows per block (Parquet row group) of loaded tables: the block of service-behaviour.md 2.1. Pruning and splitting
/// work on whole blocks.
pub const BLOCK_ROWS: usize = 10_000;

/// A file is closed after this many rows, so that big tables have several files.
const FILE_ROWS: u64 = 1_500_000;

/// Writes batches into as many files as they need. Nothing is visible before `Catalog::commit`.
///
/// Dropped without [`TableWriter::finish`], it removes what it wrote.
pub struct TableWriter {
    dir: PathBuf,
    columns: Vec<Column>,
    schema: SchemaRef,
    partition: Vec<String>,
    block_rows: usize,
    open: Option<OpenFile>,
    done: Vec<NewFile>,
    finished: bool,
}

struct OpenFile {
    id: String,
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
            done: Vec::new(),
            finished: false,
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
            None => self.open.insert(OpenFile::create(&self.dir, &self.schema, self.block_rows)?),
        };
        file.writer.write(&batch).context("cannot write rows")?;
        file.rows += batch.num_rows() as u64;
        if file.rows >= FILE_ROWS { self.close_file() } else { Ok(()) }
    }

    /// Completes and syncs all files and returns their descriptions.
    pub fn finish(mut self) -> Result<Vec<NewFile>> {
        self.close_file()?;
        // The directory entries must be on disk before a commit names the files.
        File::open(&self.dir)?.sync_all().with_context(|| format!("cannot sync {}", self.dir.display()))?;
        self.finished = true;
        Ok(std::mem::take(&mut self.done))
    }

    fn close_file(&mut self) -> Result<()> {
        let Some(file) = self.open.take() else { return Ok(()) };
        let inner = file.writer.into_inner().with_context(|| format!("cannot complete {}", file.path.display()))?;
        inner.sync_all().with_context(|| format!("cannot sync {}", file.path.display()))?;
        let bytes = inner.metadata()?.len();
        self.done.push(NewFile { id: file.id, partition: self.partition.clone(), rows: file.rows, bytes });
        Ok(())
    }
}

impl Drop for TableWriter {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        let open = self.open.take().map(|file| file.path);
        let done = self.done.iter().map(|file| self.dir.join(format!("{}.parquet", file.id)));
        for path in done.chain(open) {
            // Best effort: what stays behind is removed at the next start of `serve`.
            let _ = std::fs::remove_file(path);
        }
    }
}

impl OpenFile {
    fn create(dir: &Path, schema: &SchemaRef, block_rows: usize) -> Result<OpenFile> {
        let id = Uuid::new_v4().simple().to_string();
        let path = dir.join(format!("{id}.parquet"));
        let file = File::create_new(&path).with_context(|| format!("cannot create {}", path.display()))?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::LZ4_RAW)
            .set_max_row_group_row_count(Some(block_rows))
            .build();
        let writer = ArrowWriter::try_new(file, schema.clone(), Some(properties))
            .map_err(|e| anyhow!("cannot store this schema: {e}"))?;
        Ok(OpenFile { id, path, rows: 0, writer })
    }
}

/// The layout on disk: DATETIME in milliseconds, timestamps as fine as the source has them.
fn stored_type(column: &Column, source: &DataType) -> DataType {
    arrow_type(&column.ty, Units { datetime: TimeUnit::Millisecond, timestamp: finest_unit(source) })
}
