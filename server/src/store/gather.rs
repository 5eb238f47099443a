//! Single rows of several files, in any order.

use std::collections::BTreeMap;
use std::fs::File;

use anyhow::{Context, Result};
use arrow::array::{RecordBatch, RecordBatchReader};
use arrow::compute::concat_batches;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReaderBuilder, RowSelection};

use super::{Footers, column_index};
use crate::catalog::Catalog;

/// Rows as their files store them, and the order in which they were asked for.
pub struct Gathered {
    /// The number of a file and its rows, ascending, each once.
    pub batches: Vec<(usize, RecordBatch)>,
    /// For every row that was asked for, its batch and its place in it.
    pub order: Vec<(usize, usize)>,
}

/// Reads the columns `columns`, as far as the files have them, of the rows `places` (number of the file in `files`,
/// number of the row in it). Holds all of them in memory, so ask for a batch at a time.
pub fn gather(
    catalog: &Catalog,
    footers: &Footers,
    files: &[&str],
    places: &[(u32, u32)],
    columns: &[&str],
) -> Result<Gathered> {
    let mut wanted: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (file, row) in places {
        wanted.entry(*file).or_default().push(*row);
    }
    let mut batches = Vec::with_capacity(wanted.len());
    for (file, rows) in &mut wanted {
        rows.sort_unstable();
        rows.dedup();
        let number = *file as usize;
        let id = files.get(number).context("a stored session is damaged: unknown file number")?;
        batches.push((number, read(catalog, footers, id, rows, columns)?));
    }
    let batch_of: BTreeMap<&u32, (usize, &Vec<u32>)> =
        wanted.iter().enumerate().map(|(batch, (file, rows))| (file, (batch, rows))).collect();
    let order = places.iter().map(|(file, row)| {
        let found = batch_of.get(file).and_then(|(batch, rows)| Some((*batch, rows.binary_search(row).ok()?)));
        found.context("a row was not gathered")
    });
    let order = order.collect::<Result<_>>()?;
    Ok(Gathered { batches, order })
}

/// The rows `rows`, ascending, of one file.
fn read(catalog: &Catalog, footers: &Footers, id: &str, rows: &[u32], columns: &[&str]) -> Result<RecordBatch> {
    let path = catalog.file_path(id);
    let damaged = || format!("{} is damaged", path.display());
    let footer = footers.get(id, &path)?;
    let total = footer.metadata().file_metadata().num_rows().max(0) as usize;
    let source = File::open(&path).with_context(|| format!("cannot open data file {}", path.display()))?;
    let roots: Vec<usize> = columns.iter().filter_map(|name| column_index(footer.schema(), name)).collect();
    let mask = ProjectionMask::roots(footer.parquet_schema(), roots);
    let ranges = rows.iter().map(|row| *row as usize..*row as usize + 1);
    let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(source, footer)
        .with_projection(mask)
        .with_batch_size(rows.len().max(1))
        .with_row_selection(RowSelection::from_consecutive_ranges(ranges, total))
        .build()
        .with_context(damaged)?;
    let schema = reader.schema();
    let parts: Vec<RecordBatch> = reader.collect::<Result<_, _>>().with_context(damaged)?;
    Ok(concat_batches(&schema, &parts)?)
}
