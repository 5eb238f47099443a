//! `usage`: what was read and written, by month.

use anyhow::Result;
use serde_json::json;

use super::Root;
use super::output::{say, table};
use crate::catalog::PAY_AS_YOU_GO;
use crate::clock::now_ms;
use crate::governance::{Bill, month};

#[derive(Debug, clap::Args)]
pub struct Usage {
    #[command(flatten)]
    root: Root,
    /// A month such as 2026-11, or all. Default is the current one.
    #[arg(long, value_name = "MONTH")]
    month: Option<String>,
    /// Where a month of metering begins: hours east of UTC, as told to the server.
    #[arg(long, value_name = "HOURS", default_value_t = 8, allow_negative_numbers = true)]
    billing_zone: i8,
    /// Bytes of pay-as-you-go that cost nothing each month, as told to the server.
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 40)]
    free_bytes: u64,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Usage) -> Result<()> {
    let catalog = args.root.open()?;
    let chosen = args.month.clone().unwrap_or_else(|| month(now_ms(), args.billing_zone));
    let only = (chosen != "all").then_some(chosen.as_str());
    let rows = catalog.usage(only)?;
    if args.json {
        return rows.iter().try_for_each(|row| say(json!(row)));
    }
    let line = |row: &crate::catalog::UsageRow| {
        let place = [&row.project, &row.schema, &row.table].map(String::as_str);
        let place = place.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(".");
        let numbers = [row.requests, row.rows, row.logical_bytes, row.wire_bytes].map(|number| number.to_string());
        [vec![row.month.clone(), row.quota.clone(), place, row.operation.clone()], numbers.to_vec()].concat()
    };
    let heading = ["month", "quota", "place", "operation", "requests", "rows", "logical bytes", "wire bytes"];
    table(&heading, &rows.iter().map(line).collect::<Vec<_>>())?;
    match only {
        Some(month) => {
            let Bill { logical_bytes, free_left_bytes, charged_bytes, .. } =
                Bill::of(&catalog, month, args.free_bytes)?;
            say(format_args!(
                "{logical_bytes} logical bytes of {PAY_AS_YOU_GO} in {month}: {free_left_bytes} free bytes left, \
                 {charged_bytes} charged"
            ))
        }
        None => Ok(()),
    }
}
