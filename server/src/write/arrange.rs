//! What can be done only when all rows of a commit are known: the rows of a range-clustered table find their buckets, and the
//! sorted files of a bucket become one.

use std::collections::BTreeMap;
use std::fs::File;

use anyhow::{Context, Result};
use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::{cast, concat_batches, take_record_batch};
use arrow::datatypes::Schema;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::bounds::{BOUNDS_KEY, Bounds};
use super::layout::{Distribution, Layout};
use super::merge::{groups, merge};
use super::target::Target;
use super::writer::TableWriter;
use crate::catalog::{
    Arranged, Catalog, ClusteringKind, CommitRefusal, Destination, NewFile, SessionCommit, Table, Unit, WriteStatus,
};
use crate::store::{Footers, PendingFiles, batch_rows, column_index};

/// Keys that boundaries are chosen from, about.
const SAMPLE_ROWS: u64 = 50_000;

/// Bytes of a bucket, about, if the table leaves the number of buckets to the server.
const BUCKET_BYTES: u64 = 64 << 20;

/// Rows of a batch at most.
const BATCH_ROWS: usize = 8192;

/// Attempts to arrange rows while others commit to the same table.
const ATTEMPTS: usize = 10;

/// Makes the rows of some units of a session visible and ends the session. Blocking. Does nothing if that was done
/// before. Fails with a `SessionRefusal` or a [`CommitRefusal`].
pub fn commit_session(catalog: &Catalog, id: &str, units: &[Unit]) -> Result<SessionCommit> {
    let mut turn = None;
    for _ in 0..ATTEMPTS {
        let session = catalog.write_session(id)?.filter(|session| session.status != WriteStatus::Committed);
        let table = match &session {
            Some(session) => catalog.table_by_id(session.destination.table_id)?,
            None => None,
        };
        let (Some(session), Some(table)) = (session, table) else { return catalog.commit_session(id, units) };
        let staged = catalog.staged_files(id, units)?;
        let Some(arranged) = arrange(catalog, &table, &session.destination, &staged)? else {
            return catalog.commit_session(id, units);
        };
        let commit = |files: &[NewFile]| {
            catalog.commit_session_as(id, units, Some(Arranged { files, table_version: demanded(&table) }))
        };
        match arranged.hand_over(catalog, commit) {
            Err(error) if is_stale(&error) => turn = turn.or_else(|| Some(catalog.turn(table.id))),
            result => return result,
        }
    }
    Err(CommitRefusal::Stale.into())
}

/// Makes rows visible at once. Returns the new version of the table.
pub fn commit_rows(catalog: &Catalog, destination: &Destination, table: &Table, written: PendingFiles) -> Result<i64> {
    let current = || catalog.table_by_id(table.id)?.ok_or_else(|| CommitRefusal::Gone.into());
    commit_with(catalog, destination, current, written, |arranged| catalog.commit_arranged(destination, arranged))
}

/// Arranges what was written for the `current` table and has `commit` make it visible. Where that fails with
/// [`CommitRefusal::Stale`], because others were faster, it does both again. Fails with that refusal if it never succeeds.
pub fn commit_with<T>(
    catalog: &Catalog,
    destination: &Destination,
    current: impl Fn() -> Result<Table>,
    written: PendingFiles,
    commit: impl Fn(Arranged<'_>) -> Result<T>,
) -> Result<T> {
    let mut turn = None;
    for _ in 0..ATTEMPTS {
        let table = current()?;
        if table.schema_version != destination.schema_version {
            return Err(CommitRefusal::Columns.into());
        }
        let Some(arranged) = arrange(catalog, &table, destination, written.files())? else {
            return written.hand_over(catalog, |files| commit(Arranged::for_any_version(files)));
        };
        let table_version = demanded(&table);
        match arranged.hand_over(catalog, |files| commit(Arranged { files, table_version })) {
            Err(error) if is_stale(&error) => turn = turn.or_else(|| Some(catalog.turn(table.id))),
            result => return result,
        }
    }
    Err(CommitRefusal::Stale.into())
}

/// What was written as it is to be committed, for those who do that by other means than [`commit_rows`].
pub fn arranged(
    catalog: &Catalog,
    destination: &Destination,
    table: &Table,
    written: PendingFiles,
) -> Result<PendingFiles> {
    Ok(arrange(catalog, table, destination, written.files())?.unwrap_or(written))
}

fn is_stale(error: &anyhow::Error) -> bool {
    error.downcast_ref() == Some(&CommitRefusal::Stale)
}

/// The version that a table must still have at the commit: boundaries of ranges are those of that version.
fn demanded(table: &Table) -> Option<i64> {
    let clustering = table.properties.clustering.as_ref();
    clustering.is_some_and(|clustering| clustering.kind == ClusteringKind::Range).then_some(table.version)
}

/// The rows of `files` again, in one sorted file per partition and bucket; `None` if they lie like that already. `files`
/// stay as they are.
fn arrange(
    catalog: &Catalog,
    table: &Table,
    destination: &Destination,
    files: &[NewFile],
) -> Result<Option<PendingFiles>> {
    let layout = Layout::of(table)?;
    let ranged = match &layout.distribution {
        Distribution::Range { columns, buckets } => Some(range(catalog, table, destination, files, columns, *buckets)?),
        _ => None,
    };
    let runs = ranged.as_ref().map_or(files, PendingFiles::files);
    if layout.sort.is_empty() || groups(runs).values().all(|group| group.len() < 2) || !alike(catalog, runs)? {
        return Ok(ranged);
    }
    merge(catalog, table, &layout.sort, runs).map(Some)
}

/// Whether all files have the same layout. Timestamps keep the unit they were written in, which may differ.
fn alike(catalog: &Catalog, files: &[NewFile]) -> Result<bool> {
    let footers = Footers::new(catalog.keyring());
    let mut first: Option<ArrowReaderMetadata> = None;
    for file in files {
        let footer = footers.get(&file.id, &catalog.file_path(&file.id))?;
        match &first {
            Some(first) if first.schema() != footer.schema() => return Ok(false),
            Some(_) => {}
            None => first = Some(footer),
        }
    }
    Ok(true)
}

/// The rows of `files` again, in files by bucket, each sorted.
fn range(
    catalog: &Catalog,
    table: &Table,
    destination: &Destination,
    files: &[NewFile],
    columns: &[usize],
    buckets: u32,
) -> Result<PendingFiles> {
    let mut by_partition: BTreeMap<&[String], Vec<&NewFile>> = BTreeMap::new();
    for file in files {
        by_partition.entry(&file.partition).or_default().push(file);
    }
    let mut arranged = PendingFiles::new(catalog)?;
    for (partition, files) in by_partition {
        let kept = if destination.overwrite { None } else { stored_bounds(catalog, table, partition)? };
        let bounds = match kept {
            Some(bounds) => bounds,
            None => Bounds::choose(&sample(catalog, table, columns, &files)?, bucket_count(buckets, &files))?,
        };
        let target = Target {
            partition: partition.iter().cloned().map(Some).collect(),
            max_field_bytes: usize::MAX,
            bounds: Some(bounds),
            ..Target::table(table.clone())
        };
        // One writer as long as files look the same: timestamps keep the unit they were written in.
        let mut writer: Option<(Schema, TableWriter)> = None;
        for file in files {
            let reader = open(catalog, file, None, BATCH_ROWS)?;
            for batch in reader {
                let batch = batch.context("cannot read written rows")?;
                let schema = batch.schema_ref();
                if writer.as_ref().is_none_or(|(current, _)| current != schema.as_ref()) {
                    if let Some((_, done)) = writer.take() {
                        arranged.append(done.finish()?.files);
                    }
                    writer = Some((schema.as_ref().clone(), TableWriter::new(catalog, &target, schema)?));
                }
                if let Some((_, writer)) = &mut writer {
                    writer.write(&batch)?;
                }
            }
        }
        if let Some((_, done)) = writer {
            arranged.append(done.finish()?.files);
        }
    }
    Ok(arranged)
}

fn bucket_count(declared: u32, files: &[&NewFile]) -> u32 {
    match declared {
        0 => u32::try_from(files.iter().map(|file| file.bytes).sum::<u64>().div_ceil(BUCKET_BYTES)).unwrap_or(u32::MAX),
        declared => declared,
    }
}

/// The boundaries that the rows of a partition have already.
fn stored_bounds(catalog: &Catalog, table: &Table, partition: &[String]) -> Result<Option<Bounds>> {
    let Some(snapshot) = catalog.snapshot(&table.name)? else { return Ok(None) };
    let id = snapshot.partitions.iter().find(|found| found.values == partition).map(|found| found.id);
    let files = snapshot.files.iter().filter(|file| file.partition_id == id && file.bucket.is_some());
    let footers = Footers::new(catalog.keyring());
    for file in files {
        let footer = footers.get(&file.id, &catalog.file_path(&file.id))?;
        let notes = footer.metadata().file_metadata().key_value_metadata();
        let text = notes.and_then(|notes| notes.iter().find(|note| note.key == BOUNDS_KEY)?.value.as_deref());
        if let Some(text) = text {
            return Bounds::from_text(text).map(Some);
        }
    }
    Ok(None)
}

/// The cluster columns of every so manyth row.
fn sample(catalog: &Catalog, table: &Table, columns: &[usize], files: &[&NewFile]) -> Result<RecordBatch> {
    let rows: u64 = files.iter().map(|file| file.rows).sum();
    let step = rows.div_ceil(SAMPLE_ROWS).max(1) as u32;
    let names: Vec<&str> =
        columns.iter().filter_map(|column| Some(table.columns.get(*column)?.name.as_str())).collect();
    let mut parts: Vec<RecordBatch> = Vec::new();
    for file in files {
        for batch in open(catalog, file, Some(&names), BATCH_ROWS)? {
            let batch = batch.context("cannot read written rows")?;
            // In the order of the cluster columns, which need not be that of the table.
            let order: Option<Vec<usize>> = names.iter().map(|name| column_index(batch.schema_ref(), name)).collect();
            let batch = batch.project(&order.context("a cluster column is missing")?)?;
            let picks = UInt32Array::from_iter_values((0..batch.num_rows() as u32).step_by(step as usize));
            parts.push(take_record_batch(&batch, &picks)?);
        }
    }
    let first = parts.first().context("no rows to choose boundaries from")?.schema();
    // Blocks may have timestamps in different units; those of the first do for boundaries.
    let parts = parts.iter().map(|part| {
        let pairs = part.columns().iter().zip(first.fields());
        let arrays = pairs.map(|(array, field)| cast(array, field.data_type())).collect::<Result<_, _>>()?;
        RecordBatch::try_new(first.clone(), arrays)
    });
    Ok(concat_batches(&first, &parts.collect::<Result<Vec<_>, _>>()?)?)
}

/// The rows of a file that was written, in batches of at most `rows`.
pub fn open(
    catalog: &Catalog,
    file: &NewFile,
    columns: Option<&[&str]>,
    rows: usize,
) -> Result<ParquetRecordBatchReader> {
    let path = catalog.file_path(&file.id);
    let footer: ArrowReaderMetadata = Footers::new(catalog.keyring()).get(&file.id, &path)?;
    let source = File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
    let groups = 0..footer.metadata().num_row_groups();
    let rows = batch_rows(footer.metadata(), groups, |_| true, rows);
    let mask = match columns {
        Some(names) => {
            let roots = names.iter().filter_map(|name| column_index(footer.schema(), name));
            ProjectionMask::roots(footer.parquet_schema(), roots)
        }
        None => ProjectionMask::all(),
    };
    let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(source, footer);
    reader
        .with_projection(mask)
        .with_batch_size(rows)
        .build()
        .with_context(|| format!("cannot read {}", path.display()))
}
