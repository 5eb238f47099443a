//! The `tpch` command: the eight TPC-H tables and `orders_by_year`, generated in this process.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Result, anyhow, bail};
use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use tpchgen::generators::{
    CustomerGenerator, LineItemGenerator, NationGenerator, OrderGenerator, PartGenerator, PartSuppGenerator,
    RegionGenerator, SupplierGenerator,
};
use tpchgen_arrow::{
    CustomerArrow, LineItemArrow, NationArrow, OrderArrow, PartArrow, PartSuppArrow, RegionArrow, SupplierArrow,
};

use super::progress::Progress;
use super::years::split_by_year;
use crate::catalog::{Catalog, Change, Column, IfExists, NewFile, TableName};
use crate::store::{RootLock, TableWriter};
use crate::types::{Type, infer};

/// Rows per block of generated tables: large enough to read fast, small enough that the `lineitem` of scale 1 has
/// sixty of them.
const BLOCK_ROWS: usize = 100_000;

/// Rows of a generation unit; each unit becomes one file.
const UNIT_ROWS: f64 = 1_500_000.0;

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

const SOURCES: [Source; 9] = [
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

/// Generates the tables. Each table becomes visible when it is complete; a killed run leaves the rest untouched.
pub fn tpch(catalog: &Catalog, options: &TpchOptions) -> Result<()> {
    if !(options.scale > 0.0 && options.scale <= 10_000.0) {
        bail!("--scale must be above 0 and at most 10000, not {}", options.scale);
    }
    let _lock = RootLock::for_writing(catalog.root())?;
    let mut wanted = Vec::new();
    for source in &SOURCES {
        let change = change(options, source)?;
        let filled = match catalog.table(&change.table)? {
            Some(table) => !catalog.files(table.id)?.is_empty(),
            None => false,
        };
        match options.if_exists {
            IfTableExists::Error if filled => bail!("{} already has data: say skip or overwrite", change.table),
            IfTableExists::Skip if filled => eprintln!("tpch {}: kept", change.table),
            _ => wanted.push((source, change)),
        }
    }
    for (source, change) in wanted {
        let files = generate(catalog, options, source, &change)?;
        catalog.commit(&change, &files)?;
    }
    Ok(())
}

fn change(options: &TpchOptions, source: &Source) -> Result<Change> {
    let columns: Result<Vec<Column>> = (source.schema)()
        .fields()
        .iter()
        .map(|field| {
            let ty = infer(field).map_err(|why| anyhow!("column {} {why}", field.name()))?;
            Ok(Column { name: field.name().clone(), ty, nullable: field.is_nullable() })
        })
        .collect();
    let year = Column { name: "o_orderyear".into(), ty: Type::Int, nullable: true };
    Ok(Change {
        table: TableName { project: options.project.clone(), schema: "default".into(), table: source.name.into() },
        columns: columns?,
        partition_keys: if source.by_year { vec![year] } else { Vec::new() },
        if_exists: IfExists::Overwrite,
        partition: None,
    })
}

/// Writes the files of one table, on all cores. The order of files follows the order of parts.
fn generate(catalog: &Catalog, options: &TpchOptions, source: &Source, change: &Change) -> Result<Vec<NewFile>> {
    let rows = if source.scales { source.base_rows * options.scale } else { source.base_rows };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    // A big table is cut so that every core has work; a partitioned one is not, to get one file per year.
    let parts = if source.by_year { 1 } else { (rows / UNIT_ROWS).ceil().max(1.0) as i32 };
    let progress = Progress::start(format!("tpch {}", change.table), rows as u64);
    let queue: Mutex<VecDeque<i32>> = Mutex::new((1..=parts).collect());
    let finished: Mutex<BTreeMap<i32, Result<Vec<NewFile>>>> = Mutex::new(BTreeMap::new());
    let dir = catalog.data_dir();
    thread::scope(|scope| {
        for _ in 0..cores.min(parts as usize) {
            scope.spawn(|| {
                loop {
                    let Some(part) = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front() else { break };
                    let batches = (source.batches)(options.scale, part, parts);
                    let files = if source.by_year {
                        write_years(&dir, change, batches, &(source.schema)(), &progress)
                    } else {
                        write_part(&dir, change, batches, &(source.schema)(), &progress)
                    };
                    finished.lock().unwrap_or_else(PoisonError::into_inner).insert(part, files);
                }
            });
        }
    });
    let mut files = Vec::new();
    for (_, part) in finished.into_inner().unwrap_or_else(PoisonError::into_inner) {
        files.extend(part?);
    }
    progress.finish();
    Ok(files)
}

fn write_part(
    dir: &std::path::Path,
    change: &Change,
    batches: Batches,
    schema: &Schema,
    progress: &Progress,
) -> Result<Vec<NewFile>> {
    let mut writer = TableWriter::new(dir, &change.columns, schema, &[], BLOCK_ROWS)?;
    for batch in batches {
        let batch = batch?;
        writer.write(&batch)?;
        progress.add(batch.num_rows() as u64);
    }
    writer.finish()
}

fn write_years(
    dir: &std::path::Path,
    change: &Change,
    batches: Batches,
    schema: &Schema,
    progress: &Progress,
) -> Result<Vec<NewFile>> {
    let mut writers: BTreeMap<i64, TableWriter> = BTreeMap::new();
    for batch in batches {
        let batch = batch?;
        for (year, rows) in split_by_year(&batch)? {
            if let std::collections::btree_map::Entry::Vacant(slot) = writers.entry(year) {
                slot.insert(TableWriter::new(dir, &change.columns, schema, &[year.to_string()], BLOCK_ROWS)?);
            }
            if let Some(writer) = writers.get_mut(&year) {
                writer.write(&rows)?;
            }
        }
        progress.add(batch.num_rows() as u64);
    }
    let mut files = Vec::new();
    for writer in writers.into_values() {
        files.extend(writer.finish()?);
    }
    Ok(files)
}
