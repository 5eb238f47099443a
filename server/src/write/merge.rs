//! Makes one sorted sequence of the sorted files of a bucket, with a batch of each in memory.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use anyhow::{Context, Result};
use arrow::array::RecordBatch;
use arrow::compute::interleave_record_batch;
use arrow::datatypes::Schema;
use arrow::row::{OwnedRow, Rows as Keys};

use super::arrange::open;
use super::bounds::BOUNDS_KEY;
use super::order::Rows;
use crate::blob::references;
use crate::catalog::{Catalog, NewFile, Table};
use crate::store::{BLOCK_ROWS, FileWriter, Footers, PendingFiles, column_index, new_file_id, sync_dir};
use crate::types::Type;

/// Files that are merged at once. A batch of each is in memory.
const WIDTH: usize = 16;

/// Rows of a batch that is read.
const RUN_ROWS: usize = 1024;

/// Rows of a merged batch.
const BATCH_ROWS: usize = 4096;

/// Files by partition and bucket.
pub type Groups<'a> = BTreeMap<(&'a [String], Option<u32>), Vec<&'a NewFile>>;

/// The files of each partition and bucket, in their order.
pub fn groups(files: &[NewFile]) -> Groups<'_> {
    let mut groups = Groups::new();
    for file in files {
        groups.entry((&file.partition, file.bucket)).or_default().push(file);
    }
    groups
}

/// One sorted file per partition and bucket with the rows of all `files`, which are sorted and stay as they are.
pub fn merge(catalog: &Catalog, table: &Table, by: &[(usize, bool)], files: &[NewFile]) -> Result<PendingFiles> {
    let mut merged = PendingFiles::new(catalog)?;
    for (_, group) in groups(files) {
        let mut rest: Vec<NewFile> = group.into_iter().cloned().collect();
        // Merged files of a round go to the end; the last round makes the file that stays.
        let mut steps = PendingFiles::new(catalog)?;
        while rest.len() > WIDTH {
            let now: Vec<NewFile> = rest.drain(..WIDTH).collect();
            rest.push(merge_into(catalog, table, by, &now, &mut steps)?);
        }
        merge_into(catalog, table, by, &rest, &mut merged)?;
    }
    sync_dir(merged.dir())?;
    Ok(merged)
}

/// Merges some files of one bucket into a new one.
fn merge_into(
    catalog: &Catalog,
    table: &Table,
    by: &[(usize, bool)],
    files: &[NewFile],
    into: &mut PendingFiles,
) -> Result<NewFile> {
    let first = files.first().context("there is nothing to merge")?;
    let mut runs = Runs::open(catalog, by, files)?;
    let id = new_file_id();
    let number = into.push(NewFile { id: id.clone(), rows: 0, bytes: 0, ..first.clone() });
    let encryption = catalog.keyring().encryption(&table.name.project)?;
    let schema = runs.held.first().context("a file has no rows")?.schema();
    let mut writer = FileWriter::create(into.dir(), &id, &schema, BLOCK_ROWS, encryption)?;
    let footer = Footers::new(catalog.keyring()).get(&first.id, &catalog.file_path(&first.id))?;
    for note in footer.metadata().file_metadata().key_value_metadata().into_iter().flatten() {
        if let (BOUNDS_KEY, Some(text)) = (note.key.as_str(), &note.value) {
            writer.note(BOUNDS_KEY, text.clone());
        }
    }
    let blobs = blob_columns(table, &schema);
    while let Some(batch) = runs.next()? {
        writer.write(&batch)?;
        for (at, ty) in &blobs {
            references(batch.column(*at), ty, &mut |blob| into.refer(number, blob))?;
        }
    }
    let rows = writer.rows();
    let bytes = writer.finish()?;
    let file = into.get_mut(number).context("a file was completed that was never begun")?;
    (file.rows, file.bytes) = (rows, bytes);
    Ok(file.clone())
}

/// The columns of a file that refer to blobs. A file may lack columns that its table got later.
fn blob_columns<'a>(table: &'a Table, schema: &Schema) -> Vec<(usize, &'a Type)> {
    let columns = table.columns.iter().filter(|column| column.ty.contains_blob());
    columns.filter_map(|column| Some((column_index(schema, &column.name)?, &column.ty))).collect()
}

/// Sorted files that are read side by side.
struct Runs {
    runs: Vec<Run>,
    converter: Rows,
    /// The lowest row of each run that has one left; the run decides between equal rows.
    heap: BinaryHeap<Reverse<(OwnedRow, usize)>>,
    /// Batches that picked rows lie in.
    held: Vec<RecordBatch>,
}

struct Run {
    source: Box<dyn Iterator<Item = Result<RecordBatch>>>,
    keys: Keys,
    /// The next row of the current batch, and the number of that batch in `held`.
    at: usize,
    batch: usize,
}

impl Runs {
    fn open(catalog: &Catalog, by: &[(usize, bool)], files: &[NewFile]) -> Result<Runs> {
        let mut runs: Option<Runs> = None;
        for file in files {
            let mut source =
                open(catalog, file, None, RUN_ROWS)?.map(|batch| batch.context("cannot read written rows"));
            let Some(batch) = source.next().transpose()? else { continue };
            let all = match &mut runs {
                Some(all) => all,
                None => runs.insert(Runs {
                    runs: Vec::new(),
                    converter: Rows::new(by, batch.schema_ref())?,
                    heap: BinaryHeap::new(),
                    held: Vec::new(),
                }),
            };
            let keys = all.converter.of(&batch)?;
            all.runs.push(Run { source: Box::new(source), keys, at: 0, batch: all.held.len() });
            all.held.push(batch);
            all.offer(all.runs.len() - 1);
        }
        runs.context("there are no rows to merge")
    }

    /// Puts the next row of a run into the heap.
    fn offer(&mut self, number: usize) {
        if let Some(run) = self.runs.get(number)
            && run.at < run.keys.num_rows()
        {
            self.heap.push(Reverse((run.keys.row(run.at).owned(), number)));
        }
    }

    /// The next rows in order, `None` behind the last.
    fn next(&mut self) -> Result<Option<RecordBatch>> {
        let mut picks: Vec<(usize, usize)> = Vec::new();
        while picks.len() < BATCH_ROWS
            && let Some(Reverse((_, number))) = self.heap.pop()
        {
            let run = self.runs.get_mut(number).context("a run is missing")?;
            picks.push((run.batch, run.at));
            run.at += 1;
            if run.at == run.keys.num_rows()
                && let Some(batch) = run.source.next().transpose()?
            {
                run.keys = self.converter.of(&batch)?;
                (run.at, run.batch) = (0, self.held.len());
                self.held.push(batch);
            }
            self.offer(number);
        }
        if picks.is_empty() {
            return Ok(None);
        }
        let held: Vec<&RecordBatch> = self.held.iter().collect();
        let batch = interleave_record_batch(&held, &picks).context("cannot merge rows")?;
        // Only the current batch of each run is needed any more.
        let mut current = Vec::with_capacity(self.runs.len());
        for run in &mut self.runs {
            current.push(self.held.get(run.batch).cloned().context("a batch is missing")?);
            run.batch = current.len() - 1;
        }
        self.held = current;
        Ok(Some(batch))
    }
}
