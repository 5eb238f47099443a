//! Which stored rows a session delivers, where that is not simply all rows of its blocks.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use arrow::array::{BooleanBufferBuilder, RecordBatch};
use arrow::buffer::BooleanBuffer;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReaderBuilder, RowSelection};
use serde::{Deserialize, Serialize};

use crate::catalog::{Catalog, Column};
use crate::delta::{Bucket, BucketFile, ChangeRow, IncrementalRange, changes, visible};
use crate::filter::{self, Bound, Predicate};
use crate::store::{Footers, Gathered, batch_rows, column_index, gather};

/// Rows decoded at once while a predicate is evaluated.
const BATCH_ROWS: usize = 8192;

/// Files whose rows are chosen together: those of a bucket of a primary-key table, or one file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Group {
    /// In the order in which their operations apply.
    pub files: Vec<BucketFile>,
    /// Values of the partition they lie in.
    pub partition: Vec<String>,
    /// Found out when it is needed. Files are immutable, so the answer is always the same.
    #[serde(skip)]
    chosen: Arc<Mutex<Option<Arc<Chosen>>>>,
}

impl Group {
    /// A group of which nothing is known yet.
    pub fn new(files: Vec<BucketFile>, partition: Vec<String>) -> Group {
        Group { files, partition, chosen: Arc::default() }
    }

    /// Rows in all files.
    pub fn stored_rows(&self) -> u64 {
        self.files.iter().map(|file| file.rows).sum()
    }
}

/// The rows of a group that are delivered.
#[derive(Debug)]
pub enum Chosen {
    /// For every file, which of its rows.
    Rows(Vec<BooleanBuffer>),
    /// Rows of an incremental read in their order.
    Changes(Vec<ChangeRow>),
}

/// What rows are chosen by; the same for all groups of a session. Stored with it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Choice {
    /// The primary key, if rows of the same key are merged.
    pub keys: Vec<Column>,
    /// The predicate, if it decides about single rows.
    pub predicate: Option<Predicate>,
    /// The columns that the predicate may name: data columns, then partition columns.
    pub columns: Vec<Column>,
    pub partition_keys: Vec<Column>,
    /// The range of an incremental read.
    pub range: Option<IncrementalRange>,
}

/// Finds out which rows are chosen. Blocking: it reads files.
pub struct Chooser<'a> {
    pub catalog: &'a Catalog,
    pub footers: &'a Footers,
    pub choice: &'a Choice,
}

impl Chooser<'_> {
    /// The rows of a group. The first caller finds them out, others wait for it.
    pub fn chosen(&self, group: &Group) -> Result<Arc<Chosen>> {
        let mut slot = group.chosen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(chosen) = &*slot {
            return Ok(chosen.clone());
        }
        let chosen = Arc::new(self.find(group)?);
        *slot = Some(chosen.clone());
        Ok(chosen)
    }

    fn find(&self, group: &Group) -> Result<Chosen> {
        let Choice { keys, range, .. } = self.choice;
        let predicate = self.predicate()?;
        let bucket = Bucket { catalog: self.catalog, footers: self.footers, files: &group.files, keys };
        if let Some(range) = range {
            let rows = changes(&bucket, range.start, range.mode)?;
            return Ok(Chosen::Changes(match &predicate {
                Some(predicate) => self.matching_changes(group, predicate, rows)?,
                None => rows,
            }));
        }
        let mut rows = if keys.is_empty() {
            let all = |file: &BucketFile| Ok(BooleanBuffer::new_set(usize::try_from(file.rows)?));
            group.files.iter().map(all).collect::<Result<Vec<_>>>()?
        } else {
            visible(&bucket)?
        };
        if let Some(predicate) = &predicate {
            for (file, rows) in group.files.iter().zip(&mut rows) {
                *rows = self.matching(group, file, predicate, rows)?;
            }
        }
        Ok(Chosen::Rows(rows))
    }

    fn predicate(&self) -> Result<Option<Bound>> {
        let Some(predicate) = &self.choice.predicate else { return Ok(None) };
        let columns: Vec<&Column> = self.choice.columns.iter().chain(&self.choice.partition_keys).collect();
        predicate.bind(&columns).context("a stored session is damaged")
    }

    /// Those of `rows` for which the predicate is true.
    fn matching(
        &self,
        group: &Group,
        file: &BucketFile,
        predicate: &Bound,
        rows: &BooleanBuffer,
    ) -> Result<BooleanBuffer> {
        let path = self.catalog.file_path(&file.id);
        let damaged = || format!("{} is damaged", path.display());
        let footer = self.footers.get(&file.id, &path)?;
        let source = std::fs::File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
        let roots = self.read_by(predicate).filter_map(|column| column_index(footer.schema(), &column.name));
        let mask = ProjectionMask::roots(footer.parquet_schema(), roots);
        let groups = 0..footer.metadata().num_row_groups();
        let batch = batch_rows(footer.metadata(), groups, |leaf| mask.leaf_included(leaf), BATCH_ROWS);
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(source, footer)
            .with_projection(mask)
            .with_batch_size(batch)
            .with_row_selection(RowSelection::from_boolean_buffer(rows.clone()))
            .build()
            .with_context(damaged)?;
        let mut matches = BooleanBufferBuilder::new(rows.len());
        matches.append_n(rows.len(), false);
        let mut at = rows.set_indices();
        for batch in reader {
            for is_true in self.evaluate(group, predicate, &batch.with_context(damaged)?)? {
                let row = at.next().context("a file has more rows than its footer says")?;
                matches.set_bit(row, is_true);
            }
        }
        Ok(matches.finish())
    }

    /// Those of `rows` for which the predicate is true.
    fn matching_changes(&self, group: &Group, predicate: &Bound, rows: Vec<ChangeRow>) -> Result<Vec<ChangeRow>> {
        let columns: Vec<&str> = self.read_by(predicate).map(|column| column.name.as_str()).collect();
        let mut matching = Vec::new();
        for rows in rows.chunks(BATCH_ROWS) {
            let places: Vec<(u32, u32)> = rows.iter().map(|row| (row.file, row.row)).collect();
            let ids: Vec<&str> = group.files.iter().map(|file| file.id.as_str()).collect();
            let Gathered { batches, order } = gather(self.catalog, self.footers, &ids, &places, &columns)?;
            let truths: Vec<Vec<bool>> = batches
                .iter()
                .map(|(_, batch)| Ok(self.evaluate(group, predicate, batch)?.collect()))
                .collect::<Result<_>>()?;
            let is_true = |(batch, row): (usize, usize)| truths.get(batch).and_then(|t| t.get(row)) == Some(&true);
            matching.extend(rows.iter().zip(order).filter(|(_, place)| is_true(*place)).map(|(row, _)| *row));
        }
        Ok(matching)
    }

    /// The data columns that a predicate reads.
    fn read_by(&self, predicate: &Bound) -> impl Iterator<Item = &Column> {
        let mut used = vec![false; self.choice.columns.len() + self.choice.partition_keys.len()];
        predicate.columns(&mut used);
        self.choice.columns.iter().zip(used).filter(|(_, used)| *used).map(|(column, _)| column)
    }

    fn evaluate(
        &self,
        group: &Group,
        predicate: &Bound,
        batch: &RecordBatch,
    ) -> Result<impl Iterator<Item = bool> + use<>> {
        let constants = self.choice.partition_keys.iter().zip(&group.partition);
        let matches = filter::matches(predicate, &self.choice.columns, constants, batch)?;
        Ok(matches.into_iter())
    }
}
