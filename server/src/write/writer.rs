//! Takes the rows of one table and writes them into files by partition and bucket, with bounded memory.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Context;
use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::{SortColumn, SortOptions, concat_batches, lexsort_to_indices, take_record_batch};
use arrow::datatypes::Schema;
use parquet::encryption::encrypt::FileEncryptionProperties;

use super::bounds::{BOUNDS_KEY, Bounds};
use super::error::WriteError;
use super::hash::buckets;
use super::intake::Intake;
use super::layout::{Distribution, Layout};
use super::order::{KeyRange, OrderCheck};
use super::partitions::{Partitions, Route};
use super::target::Target;
use super::waiting::Waiting;
use crate::blob::references;
use crate::catalog::{Catalog, Column, NewFile};
use crate::read::batch_size;
use crate::store::{FileWriter, PendingFiles, new_file_id, sync_dir};

/// A file is closed after this many rows, so that big tables have several files.
const FILE_ROWS: u64 = 1_500_000;

const BUFFER_BYTES: usize = 64 << 20;
const OPEN_FILES: usize = 64;

/// Writes the rows of one table. Nothing is visible before the catalogue names the files; dropped before
/// [`TableWriter::finish`], it removes them.
pub struct TableWriter {
    intake: Intake,
    layout: Layout,
    order: Option<OrderCheck>,
    /// Boundaries of buckets, and their text for the footers.
    bounds: Option<(Bounds, String)>,
    columns: Vec<Column>,
    partitions: Partitions,
    block_rows: usize,
    /// How the files of the project are encrypted.
    encryption: Option<Arc<FileEncryptionProperties>>,
    sinks: HashMap<Place, Sink>,
    waiting: Waiting,
    /// Counts writes to sinks, to find the one that was not used for longest.
    clock: u64,
    rows: u64,
    files: PendingFiles,
    room: Room,
    observer: Option<Observer>,
}

/// Sees every batch as it is stored.
type Observer = Box<dyn Fn(&RecordBatch) + Send>;

/// What a writer may hold at once.
#[derive(Clone, Copy, Debug)]
struct Room {
    /// Rows that wait in memory for their file, in bytes.
    buffer_bytes: usize,
    open_files: usize,
}

/// Number of the partition, and bucket.
type Place = (usize, Option<u32>);

/// The rows of one partition and bucket.
#[derive(Default)]
struct Sink {
    waiting: Vec<RecordBatch>,
    waiting_rows: usize,
    waiting_bytes: usize,
    open: Option<OpenFile>,
    used: u64,
}

struct OpenFile {
    /// Its number among the pending files.
    number: usize,
    writer: FileWriter,
}

/// What was written: complete and synced files that nothing names yet.
pub struct Written {
    pub files: PendingFiles,
    /// Rows received, also those left out.
    pub rows: u64,
    /// Rows left out because no partition can take them.
    pub left_out: u64,
    /// The range of the cluster keys, if the order of a range-clustered table was checked.
    pub keys: Option<KeyRange>,
}

impl TableWriter {
    /// A writer for batches that look like `source`.
    pub fn new(catalog: &Catalog, target: &Target, source: &Schema) -> Result<TableWriter, WriteError> {
        let intake = Intake::new(target, source)?;
        let layout = Layout::of(&target.table)?;
        let order = match target.check_order && !layout.sort.is_empty() {
            true => Some(OrderCheck::new(&layout, intake.schema())?),
            false => None,
        };
        let bounds = match &target.bounds {
            Some(bounds) => Some((bounds.clone(), bounds.to_text()?)),
            None => None,
        };
        Ok(TableWriter {
            intake,
            layout,
            order,
            bounds,
            columns: target.table.columns.clone(),
            partitions: Partitions::new(target),
            block_rows: target.block_rows.max(1),
            encryption: catalog.keyring().encryption(&target.table.name.project)?,
            sinks: HashMap::new(),
            waiting: Waiting::default(),
            clock: 0,
            rows: 0,
            files: PendingFiles::new(catalog)?,
            room: Room { buffer_bytes: BUFFER_BYTES, open_files: OPEN_FILES },
            observer: None,
        })
    }

    /// Shows all rows to `observer` as they are stored, for metering.
    pub fn observed_by(mut self, observer: impl Fn(&RecordBatch) + Send + 'static) -> TableWriter {
        self.observer = Some(Box::new(observer));
        self
    }

    /// Encrypts as another project does: for rows that were read there and are kept elsewhere.
    pub fn encrypted_like(mut self, catalog: &Catalog, project: &str) -> Result<TableWriter, WriteError> {
        self.encryption = catalog.keyring().encryption(project)?;
        Ok(self)
    }

    /// Takes other bounds, for tests.
    #[cfg(test)]
    pub fn set_room(&mut self, buffer_bytes: usize, open_files: usize) {
        self.room = Room { buffer_bytes, open_files };
    }

    /// Appends rows.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), WriteError> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let keys = self.intake.keys(batch);
        let stored = self.intake.convert(batch)?;
        if let Some(order) = &mut self.order {
            order.see(&stored)?;
        }
        if let Some(observer) = &self.observer {
            observer(&stored);
        }
        let route = self.partitions.route(&keys, batch.num_rows())?;
        self.rows += batch.num_rows() as u64;
        let buckets = self.buckets(&stored)?;
        if let (Route::All(number), None) = (&route, &buckets) {
            return self.push((*number, None), stored);
        }
        let partition = |row: usize| match &route {
            Route::All(number) => Some(*number),
            Route::Rows(numbers) => numbers.get(row).copied().flatten(),
        };
        let bucket = |row: usize| buckets.as_ref().and_then(|buckets| buckets.get(row).copied());
        let mut rows_of: HashMap<Place, Vec<u32>> = HashMap::new();
        for row in 0..batch.num_rows() {
            if let Some(number) = partition(row) {
                rows_of.entry((number, bucket(row))).or_default().push(row as u32);
            }
        }
        let mut places: Vec<(Place, Vec<u32>)> = rows_of.into_iter().collect();
        places.sort_unstable_by_key(|(place, _)| *place);
        for (place, rows) in places {
            let part = match rows.len() == stored.num_rows() {
                true => stored.clone(),
                false => take_record_batch(&stored, &UInt32Array::from(rows)).context("cannot pick rows")?,
            };
            self.push(place, part)?;
        }
        Ok(())
    }

    /// Completes and syncs all files.
    pub fn finish(mut self) -> Result<Written, WriteError> {
        let mut places: Vec<Place> = self.sinks.keys().copied().collect();
        places.sort_unstable();
        for place in places {
            self.spill(place)?;
            self.close(place)?;
        }
        // The directory entries must be on disk before a commit names the files.
        sync_dir(self.files.dir())?;
        let left_out = self.partitions.left_out();
        let keys = self.order.and_then(OrderCheck::range);
        Ok(Written { files: self.files, rows: self.rows, left_out, keys })
    }

    fn buckets(&self, stored: &RecordBatch) -> Result<Option<Vec<u32>>, WriteError> {
        match (&self.layout.distribution, &self.bounds) {
            (Distribution::Hash { columns, buckets: count }, _) => {
                let keys: Vec<&ArrayRef> = columns.iter().map(|column| stored.column(*column)).collect();
                let numbers = buckets(&keys, stored.num_rows(), *count).context("a cluster column has no hash")?;
                Ok(Some(numbers))
            }
            (Distribution::Range { columns, .. }, Some((bounds, _))) => {
                let keys: Vec<ArrayRef> = columns.iter().map(|column| stored.column(*column).clone()).collect();
                let types: Vec<Column> =
                    columns.iter().filter_map(|column| self.columns.get(*column).cloned()).collect();
                bounds.buckets(&keys, &types).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn push(&mut self, place: Place, batch: RecordBatch) -> Result<(), WriteError> {
        let bytes = batch_size(&batch)?;
        let rows = {
            let sink = self.sinks.entry(place).or_default();
            sink.waiting_rows += batch.num_rows();
            sink.waiting_bytes += bytes;
            sink.waiting.push(batch);
            sink.waiting_rows
        };
        self.waiting.add(bytes);
        // Sorted rows wait as long as there is room: the fewer and longer the sorted files, the better.
        if self.layout.sort.is_empty() && rows >= self.block_rows {
            self.write_blocks(place)?;
        }
        while self.waiting.is_too_much(self.room.buffer_bytes) {
            let fullest = self.sinks.iter().max_by_key(|(_, sink)| sink.waiting_bytes).map(|(place, _)| *place);
            let Some(fullest) = fullest else { break };
            self.spill(fullest)?;
        }
        Ok(())
    }

    /// Writes the rows that fill whole blocks; the rest waits on.
    fn write_blocks(&mut self, place: Place) -> Result<(), WriteError> {
        let waiting = self.take_waiting(place);
        let total: usize = waiting.iter().map(RecordBatch::num_rows).sum();
        let mut left = total - total % self.block_rows;
        for batch in waiting {
            let now = left.min(batch.num_rows());
            if now > 0 {
                self.write_to_file(place, &batch.slice(0, now))?;
                left -= now;
            }
            if now < batch.num_rows() {
                let rest = batch.slice(now, batch.num_rows() - now);
                let bytes = batch_size(&rest)?;
                self.waiting.add(bytes);
                let sink = self.sinks.entry(place).or_default();
                sink.waiting_rows += rest.num_rows();
                sink.waiting_bytes += bytes;
                sink.waiting.push(rest);
            }
        }
        Ok(())
    }

    /// Writes all waiting rows of a place; where rows are sorted, as a file of their own.
    fn spill(&mut self, place: Place) -> Result<(), WriteError> {
        let waiting = self.take_waiting(place);
        if waiting.is_empty() {
            return Ok(());
        }
        if self.layout.sort.is_empty() {
            for batch in waiting {
                self.write_to_file(place, &batch)?;
            }
            if let Some(open) = self.sinks.get_mut(&place).and_then(|sink| sink.open.as_mut()) {
                open.writer.end_block()?;
            }
            return Ok(());
        }
        let rows = concat_batches(self.intake.schema(), &waiting).context("cannot join rows")?;
        let rows = sort(&rows, &self.layout.sort)?;
        self.write_to_file(place, &rows)?;
        self.close(place)
    }

    fn take_waiting(&mut self, place: Place) -> Vec<RecordBatch> {
        let Some(sink) = self.sinks.get_mut(&place) else { return Vec::new() };
        self.waiting.remove(sink.waiting_bytes);
        (sink.waiting_rows, sink.waiting_bytes) = (0, 0);
        std::mem::take(&mut sink.waiting)
    }

    fn write_to_file(&mut self, place: Place, batch: &RecordBatch) -> Result<(), WriteError> {
        self.clock += 1;
        let is_open = self.sinks.get(&place).is_some_and(|sink| sink.open.is_some());
        if !is_open {
            self.make_room()?;
            let (partition, bucket) = place;
            let id = new_file_id();
            let partition = self.partitions.values(partition).to_vec();
            let number = self.files.push(NewFile { id: id.clone(), partition, bucket, rows: 0, bytes: 0 });
            let mut writer = FileWriter::create(
                self.files.dir(),
                &id,
                self.intake.schema(),
                self.block_rows,
                self.encryption.clone(),
            )?;
            if let Some((_, text)) = &self.bounds {
                writer.note(BOUNDS_KEY, text.clone());
            }
            self.sinks.entry(place).or_default().open = Some(OpenFile { number, writer });
        }
        let sink = self.sinks.entry(place).or_default();
        sink.used = self.clock;
        let open = sink.open.as_mut().context("a file that was opened is not open")?;
        open.writer.write(batch)?;
        let number = open.number;
        for (at, ty) in self.intake.blobs() {
            references(batch.column(at), ty, &mut |blob| self.files.refer(number, blob))?;
        }
        let is_full = self
            .sinks
            .get(&place)
            .and_then(|sink| sink.open.as_ref())
            .is_some_and(|open| open.writer.rows() >= FILE_ROWS);
        if is_full { self.close(place) } else { Ok(()) }
    }

    /// Closes the file that was not used for longest if too many are open.
    fn make_room(&mut self) -> Result<(), WriteError> {
        let open = || self.sinks.iter().filter(|(_, sink)| sink.open.is_some());
        if open().count() < self.room.open_files {
            return Ok(());
        }
        match open().min_by_key(|(_, sink)| sink.used).map(|(place, _)| *place) {
            Some(place) => self.close(place),
            None => Ok(()),
        }
    }

    fn close(&mut self, place: Place) -> Result<(), WriteError> {
        let Some(open) = self.sinks.get_mut(&place).and_then(|sink| sink.open.take()) else { return Ok(()) };
        let rows = open.writer.rows();
        let bytes = open.writer.finish()?;
        let file = self.files.get_mut(open.number).context("a file was completed that was never begun")?;
        (file.rows, file.bytes) = (rows, bytes);
        Ok(())
    }
}

/// The rows in the order of some columns. Equal rows keep no order. NULL comes first when a column ascends.
pub fn sort(batch: &RecordBatch, by: &[(usize, bool)]) -> Result<RecordBatch, WriteError> {
    let columns: Vec<SortColumn> = by
        .iter()
        .map(|(column, ascending)| SortColumn {
            values: batch.column(*column).clone(),
            options: Some(SortOptions { descending: !ascending, nulls_first: *ascending }),
        })
        .collect();
    let order = lexsort_to_indices(&columns, None).context("cannot sort by these columns")?;
    Ok(take_record_batch(batch, &order).context("cannot sort rows")?)
}
