//! The `tpch` command: the eight TPC-H tables and `orders_by_year`, generated in this process.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Result, anyhow, bail};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use tpchgen::generators::{
    CustomerGenerator, LineItemGenerator, NationGenerator, OrderGenerator, PartGenerator, PartSuppGenerator,
    RegionGenerator, SupplierGenerator,
};
use tpchgen_arrow::{
    CustomerArrow, LineItemArrow, NationArrow, OrderArrow, PartArrow, PartSuppArrow, RegionArrow, SupplierArrow,
};

use super::progress::{Loaded, Progress, say};
use super::years::{YEAR, add_year};
use crate::catalog::{Catalog, Change, Column, IfExists, TableName};
use crate::store::PendingFiles;
use crate::types::{Type, infer};
use crate::write::{TableWriter, Target};

/// Rows per block of generated tables: large enough to read fast, small enough that the `lineitem` of scale 1 has
/// sixty of them.
const BLOCK_ROWS: usize = 100_000;

/// Rows of a generation unit; each unit becomes one file.
const UNIT_ROWS: f64 = 1_500_000.0;

/// Below this scale the generator has tables without rows, which it cannot make.
const SMALLEST_SCALE: f64 = 0.0001;

/// What to do with tables that already have data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum IfTableExists {
    /// Refuse before anything is generated.
    Error,
    /// Leave such tables alone and generate the others.
    Skip,
    /// Generate all of them again.
    Overwrite,
}

/// What `tpch` was asked to do.
#[derive(Debug)]
pub struct TpchOptions {
    pub project: String,
    /// TPC-H scale factor; 1 is about 1 GB of text.
    pub scale: f64,
    pub if_exists: IfTableExists,
}

/// The batches of one part of one table.
type Batches = Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>>>;

/// One table of the benchmark.
struct Source {
    name: &'static str,
    /// Rows at scale 1.
    base_rows: f64,
    /// Tables of fixed size do not grow with the scale.
    scales: bool,
    by_year: bool,
    schema: fn() -> SchemaRef,
    batches: fn(f64, i32, i32) -> Batches,
}

/// A [`Source`] of generator `$gen` and Arrow front `$front`.
macro_rules! source {
    ($name:literal, $rows:expr, $scales:expr, $by_year:expr, $gen:ident, $front:ident) => {
        Source {
            name: $name,
            base_rows: $rows,
            scales: $scales,
            by_year: $by_year,
            schema: $front::schema_ref,
            batches: |scale, part, parts| Box::new($front::new($gen::new(scale, part, parts))),
        }
    };
}

static SOURCES: [Source; 9] = [
    source!("lineitem", 6_001_215.0, true, false, LineItemGenerator, LineItemArrow),
    source!("orders", 1_500_000.0, true, false, OrderGenerator, OrderArrow),
    source!("orders_by_year", 1_500_000.0, true, true, OrderGenerator, OrderArrow),
    source!("partsupp", 800_000.0, true, false, PartSuppGenerator, PartSuppArrow),
    source!("part", 200_000.0, true, false, PartGenerator, PartArrow),
    source!("customer", 150_000.0, true, false, CustomerGenerator, CustomerArrow),
    source!("supplier", 10_000.0, true, false, SupplierGenerator, SupplierArrow),
    source!("nation", 25.0, false, false, NationGenerator, NationArrow),
    source!("region", 5.0, false, false, RegionGenerator, RegionArrow),
];

/// Generates the tables. Each table becomes visible when it is complete, and is then told to `done`; a killed run leaves
/// the rest untouched.
pub fn tpch(catalog: &Catalog, options: &TpchOptions, done: impl Fn(&Loaded) -> Result<()>) -> Result<()> {
    if !(options.scale >= SMALLEST_SCALE && options.scale <= 10_000.0) {
        bail!("--scale must be from {SMALLEST_SCALE} to 10000, not {}", options.scale);
    }
    for (source, change) in wanted(catalog, options)? {
        let (files, loaded) = generate(catalog, options, source, &change)?;
        files.hand_over(catalog, |files| catalog.commit(&change, files))?;
        done(&loaded)?;
    }
    Ok(())
}

/// The tables to generate. All of them are checked before the first row is made; commits check again, so data that
/// somebody else commits meanwhile is replaced only if that was asked for.
fn wanted(catalog: &Catalog, options: &TpchOptions) -> Result<Vec<(&'static Source, Change)>> {
    let mut wanted = Vec::new();
    for source in &SOURCES {
        let mut change = change(options, source)?;
        if options.if_exists == IfTableExists::Skip && catalog.has_files(&change.table)? {
            say(format_args!("tpch {}: kept", change.table));
            continue;
        }
        catalog.check(&mut change)?;
        wanted.push((source, change));
    }
    Ok(wanted)
}

fn change(options: &TpchOptions, source: &Source) -> Result<Change> {
    let columns: Result<Vec<Column>> = (source.schema)()
        .fields()
        .iter()
        .map(|field| {
            let ty = infer(field).map_err(|why| anyhow!("column {} {why}", field.name()))?;
            Ok(Column::new(field.name(), ty, field.is_nullable()))
        })
        .collect();
    let year = Column::new(YEAR, Type::Int, true);
    Ok(Change {
        table: TableName { project: options.project.clone(), schema: "default".into(), table: source.name.into() },
        columns: columns?,
        partition_keys: if source.by_year { vec![year] } else { Vec::new() },
        if_exists: match options.if_exists {
            IfTableExists::Error | IfTableExists::Skip => IfExists::Error,
            IfTableExists::Overwrite => IfExists::Overwrite,
        },
        partition: None,
    })
}

/// Writes the files of one table, on all cores. The order of files follows the order of parts.
fn generate(
    catalog: &Catalog,
    options: &TpchOptions,
    source: &Source,
    change: &Change,
) -> Result<(PendingFiles, Loaded)> {
    let rows = if source.scales { source.base_rows * options.scale } else { source.base_rows };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    // A big table is cut so that every core has work; a partitioned one is not, to get one file per year.
    let parts = if source.by_year { 1 } else { (rows / UNIT_ROWS).ceil().max(1.0) as i32 };
    let progress = Progress::start(format!("tpch {}", change.table), rows as u64);
    let queue: Mutex<VecDeque<i32>> = Mutex::new((1..=parts).collect());
    let finished: Mutex<BTreeMap<i32, Result<PendingFiles>>> = Mutex::new(BTreeMap::new());
    let target = Target { block_rows: BLOCK_ROWS, ..Target::table(catalog.changed_table(change)?) };
    thread::scope(|scope| {
        for _ in 0..cores.min(parts as usize) {
            scope.spawn(|| {
                loop {
                    let Some(part) = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front() else { break };
                    let batches = (source.batches)(options.scale, part, parts);
                    let batches: Batches = if source.by_year { years_added(batches) } else { batches };
                    let files = write_part(catalog, &target, batches, &progress);
                    finished.lock().unwrap_or_else(PoisonError::into_inner).insert(part, files);
                }
            });
        }
    });
    let mut files = PendingFiles::new(catalog)?;
    for (_, part) in finished.into_inner().unwrap_or_else(PoisonError::into_inner) {
        files.append(part?);
    }
    Ok((files, progress.finish_table(change.table.clone())))
}

fn years_added(batches: Batches) -> Batches {
    Box::new(batches.map(|batch| batch.and_then(|batch| add_year(&batch))))
}

fn write_part(catalog: &Catalog, target: &Target, batches: Batches, progress: &Progress) -> Result<PendingFiles> {
    let mut writer: Option<TableWriter> = None;
    for batch in batches {
        let batch = batch?;
        let writer = match &mut writer {
            Some(writer) => writer,
            None => writer.insert(TableWriter::new(catalog, target, batch.schema_ref())?),
        };
        writer.write(&batch)?;
        progress.add(batch.num_rows() as u64);
    }
    match writer {
        Some(writer) => Ok(writer.finish()?.files),
        None => Ok(PendingFiles::new(catalog)?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_committed_meanwhile_is_not_replaced_unasked() {
        for if_exists in [IfTableExists::Error, IfTableExists::Skip] {
            let root = tempfile::tempdir().unwrap();
            let catalog = Catalog::open(root.path()).unwrap();
            let options = TpchOptions { project: "p".into(), scale: SMALLEST_SCALE, if_exists };
            let wanted = wanted(&catalog, &options).unwrap();
            let (source, change) = wanted.iter().find(|(source, _)| source.name == "nation").unwrap();
            let make = || generate(&catalog, &options, source, change).unwrap();
            make().0.hand_over(&catalog, |files| catalog.commit(change, files)).unwrap();
            let refusal = make().0.hand_over(&catalog, |files| catalog.commit(change, files)).unwrap_err().to_string();
            assert!(refusal.contains("already has data"), "{refusal}");
            assert_eq!(std::fs::read_dir(catalog.data_dir()).unwrap().count(), 1, "what was refused is removed");
        }
    }
}
