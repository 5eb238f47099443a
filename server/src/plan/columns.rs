//! Which columns a session delivers, in which order.

use serde::{Deserialize, Serialize};

use super::reading::JsonColumns;
use super::request::CreateRequest;
use crate::catalog::{Column, Table};
use crate::error::ApiError;

/// A column of the answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutputColumn {
    pub column: Column,
    /// For a partition column, its place in the partition spec.
    pub partition_index: Option<usize>,
}

/// The columns a request asks for: data columns, then partition columns, each in the given order.
///
/// Both lists empty means all columns; one list empty means none of that kind (service-behaviour.md 1.6).
/// Fails with `InvalidColumnSpec` on unknown or repeated names, `InvalidArgument` on JSON columns unless they are
/// delivered as text.
pub fn choose(table: &Table, request: &CreateRequest, json: JsonColumns) -> Result<Vec<OutputColumn>, ApiError> {
    let all = request.required_data_columns.is_empty() && request.required_partition_columns.is_empty();
    let mut chosen: Vec<OutputColumn> = Vec::new();
    if all {
        chosen.extend(table.columns.iter().map(|c| OutputColumn { column: c.clone(), partition_index: None }));
        let keys = table.partition_keys.iter().enumerate();
        chosen.extend(keys.map(|(i, c)| OutputColumn { column: c.clone(), partition_index: Some(i) }));
    }
    for name in &request.required_data_columns {
        let (_, column) = find(&table.columns, name, "data", table)?;
        chosen.push(OutputColumn { column: column.clone(), partition_index: None });
    }
    for name in &request.required_partition_columns {
        let (index, column) = find(&table.partition_keys, name, "partition", table)?;
        chosen.push(OutputColumn { column: column.clone(), partition_index: Some(index) });
    }
    for (i, output) in chosen.iter().enumerate() {
        let name = &output.column.name;
        if chosen.iter().take(i).any(|other| other.column.name == *name) {
            return Err(ApiError::new(400, "InvalidColumnSpec", format!("column {name} is required twice")));
        }
        if json == JsonColumns::Error && output.column.ty.contains_json() {
            return Err(ApiError::argument(format!(
                "column {name} of {} has type {}, which the Storage API cannot read: require other columns",
                table.name, output.column.ty
            )));
        }
    }
    Ok(chosen)
}

fn find<'a>(columns: &'a [Column], name: &str, kind: &str, table: &Table) -> Result<(usize, &'a Column), ApiError> {
    columns
        .iter()
        .enumerate()
        .find(|(_, c)| c.name.eq_ignore_ascii_case(name))
        .ok_or_else(|| ApiError::new(400, "InvalidColumnSpec", format!("{} has no {kind} column {name}", table.name)))
}
