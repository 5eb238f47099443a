//! `usage`: what was read and written, by month.

use anyhow::Result;
use serde_json::json;

use super::Root;
use super::output::{say, table};
use crate::catalog::{PAY_AS_YOU_GO, RequestRow};
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
    /// List the last N requests instead, the newest first.
    #[arg(long, value_name = "N", conflicts_with = "month", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    requests: Option<u32>,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Usage) -> Result<()> {
    let catalog = args.root.open()?;
    if let Some(count) = args.requests {
        return requests(&catalog.recent_requests(count as usize)?, args.json);
    }
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

/// The requests that ended last.
fn requests(rows: &[RequestRow], json: bool) -> Result<()> {
    if json {
        return rows.iter().try_for_each(|row| say(json!(row)));
    }
    let line = |row: &RequestRow| {
        let place = [&row.project, &row.schema, &row.table].map(String::as_str);
        let place = place.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(".");
        let texts = [&row.request_id, &row.principal, &row.quota, &place, &row.operation].map(String::clone);
        let numbers = [(row.ended_ms - row.started_ms).max(0) as u64, row.rows, row.logical_bytes, row.wire_bytes];
        [texts.to_vec(), numbers.map(|number| number.to_string()).to_vec()].concat()
    };
    let heading = ["request", "principal", "quota", "place", "operation", "ms", "rows", "logical bytes", "wire bytes"];
    table(&heading, &rows.iter().map(line).collect::<Vec<_>>())
}
