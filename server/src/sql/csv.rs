//! The result of a `SELECT` as the CSV text that clients parse (account-routing-metadata.md 3.6.4).

use std::sync::Arc;

use anyhow::Result;
use serde_json::json;

use crate::catalog::{Column, TableName};
use crate::datum::{self, Datum};
use crate::error::ApiError;
use crate::http::Shared;
use crate::plan::{CreateRequest, JsonColumns, Limits, Planner, Reading, SplitMode};
use crate::read::Rows;
use crate::types::Type;

/// Rows that the result of an instance shows as CSV; more go through the tunnel.
pub const MAX_ROWS: u64 = 10_000;
/// Bytes that the CSV text has, about, at most.
const MAX_BYTES: usize = 10 << 20;
/// Rows of a batch.
const BATCH_ROWS: usize = 1024;

/// CSV text and the JSON that describes it.
pub struct CsvResult {
    pub text: String,
    pub descriptor: String,
}

/// Reads the first `limit` rows of a table; of all its columns if none is named. Blocking.
pub fn csv(
    shared: &Shared,
    table: &TableName,
    columns: &[String],
    partition: Option<&str>,
    limit: u64,
) -> Result<CsvResult, ApiError> {
    let gone =
        || ApiError::new(404, "NoSuchObject", "ODPS-0420111:Object not found - these rows are not kept any more");
    let snapshot = shared.catalog.snapshot(table)?.ok_or_else(gone)?;
    let is_key = |name: &String| snapshot.table.partition_keys.iter().any(|key| key.name.eq_ignore_ascii_case(name));
    let (keys, data): (Vec<String>, Vec<String>) = columns.iter().cloned().partition(is_key);
    let mut request = CreateRequest {
        required_data_columns: data,
        required_partition_columns: keys,
        required_partitions: partition.map(str::to_string).into_iter().collect(),
        ..CreateRequest::default()
    };
    request.split_options.split_mode = SplitMode::RowOffset;
    let reading = Reading { json: JsonColumns::Utf8, ..Reading::default() };
    let planner =
        Planner { catalog: &shared.catalog, footers: &shared.footers, limits: Limits { reading, ..shared.limits } };
    let plan = planner.plan(snapshot, &request)?;
    let total = plan.row_count();
    let columns: Vec<Column> = plan.columns.iter().map(|output| output.column.clone()).collect();
    let mut text = columns.iter().map(|column| quoted(&column.name)).collect::<Vec<_>>().join(",");
    text.push('\n');
    let mut shown = 0;
    if let Some(range) = plan.rows(0, total.min(limit)) {
        let mut rows = Rows::new(shared.catalog.clone(), shared.footers.clone(), Arc::new(plan), range, BATCH_ROWS);
        while let Some(batch) = rows.next_batch()? {
            if text.len() > MAX_BYTES {
                break;
            }
            for row in 0..batch.num_rows() {
                for (place, (array, column)) in batch.columns().iter().zip(&columns).enumerate() {
                    if place > 0 {
                        text.push(',');
                    }
                    text.push_str(&field(&datum::at(array, row)?, &column.ty));
                }
                text.push('\n');
            }
            shown += batch.num_rows() as u64;
        }
    }
    let types: Vec<_> =
        columns.iter().map(|column| json!({"Name": column.name, "Type": column.ty.to_string()})).collect();
    let status = if shown == total { "FULL" } else { "TRUNCATED" };
    let descriptor = json!({"IsSelect": true, "SelectResultStatus": status, "Schema": {"Columns": types}}).to_string();
    Ok(CsvResult { text, descriptor })
}

/// NULL is `\N`; numbers and booleans stand bare, all else is quoted.
fn field(value: &Datum, ty: &Type) -> String {
    match value {
        Datum::Null => "\\N".into(),
        Datum::Bool(_) | Datum::Number { .. } | Datum::Double(_) => value.text(ty),
        // Backslashes are nothing special: PyODPS escapes what arrives and undoes that field by field.
        _ => quoted(&value.text(ty)),
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}
