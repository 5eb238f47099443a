//! `head`: the first rows of a table, through the same planner and reader that sessions use.

use std::sync::Arc;

use anyhow::{Result, anyhow};
use arrow::array::RecordBatch;
use arrow::json::LineDelimitedWriter;
use arrow::json::writer::WriterBuilder;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::Root;
use super::output::{one_line, say, table};
use crate::catalog::TableName;
use crate::http::Profile;
use crate::plan::{CreateRequest, Planner, SplitMode};
use crate::read::Rows;
use crate::store::Footers;

/// Rows of a batch at most.
const BATCH_ROWS: u64 = 1024;

#[derive(Debug, clap::Args)]
pub struct Head {
    #[command(flatten)]
    root: Root,
    /// The table.
    #[arg(value_name = "PROJECT.SCHEMA.TABLE")]
    table: TableName,
    /// How many rows.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10)]
    rows: u64,
    /// Only this partition, or those that a part of a spec names. May be repeated.
    #[arg(long = "partition", value_name = "K=V/K=V")]
    partitions: Vec<String>,
    /// One JSON object a row, NULLs included.
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Head) -> Result<()> {
    let catalog = Arc::new(args.root.open()?);
    let footers = Arc::new(Footers::new(catalog.keyring()));
    let snapshot = catalog.snapshot(&args.table)?.ok_or_else(|| anyhow!("there is no table {}", args.table))?;
    let mut request = CreateRequest { required_partitions: args.partitions.clone(), ..CreateRequest::default() };
    request.split_options.split_mode = SplitMode::RowOffset;
    let mut limits = Profile::Dev.limits();
    limits.reading.json = crate::plan::JsonColumns::Utf8;
    let planner = Planner { catalog: &catalog, footers: &footers, limits };
    let plan = Arc::new(planner.plan(snapshot, &request).map_err(|error| anyhow!("{}", error.message))?);
    let count = args.rows.min(plan.row_count());
    let range = plan.rows(0, count).ok_or_else(|| anyhow!("the table changed while it was read"))?;
    let mut rows = Rows::new(catalog.clone(), footers, plan, range, BATCH_ROWS.min(count) as usize);
    let mut batches = Vec::new();
    while let Some(batch) = rows.next_batch()? {
        match args.json {
            true => json_lines(&batch)?,
            false => batches.push(batch),
        }
    }
    if args.json { Ok(()) } else { print(&rows, &batches) }
}

fn json_lines(batch: &RecordBatch) -> Result<()> {
    let mut writer: LineDelimitedWriter<Vec<u8>> = WriterBuilder::new().with_explicit_nulls(true).build(Vec::new());
    writer.write(batch)?;
    writer.finish()?;
    say(String::from_utf8_lossy(&writer.into_inner()).trim_end())
}

fn print(rows: &Rows, batches: &[RecordBatch]) -> Result<()> {
    let schema = rows.schema();
    let options = FormatOptions::default().with_null("NULL").with_display_error(true);
    let mut lines = Vec::new();
    for batch in batches {
        let columns: Vec<ArrayFormatter<'_>> =
            batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options)).collect::<Result<_, _>>()?;
        for row in 0..batch.num_rows() {
            lines.push(columns.iter().map(|column| one_line(&column.value(row).to_string())).collect());
        }
    }
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    table(&names, &lines)
}
