//! Which columns a session delivers, in which order.

use serde::{Deserialize, Serialize};

use super::reading::JsonColumns;
use super::request::CreateRequest;
use crate::catalog::{Column, Table};
use crate::error::ApiError;
use crate::types::Type;
use crate::write::OPERATION;

/// A column of the answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutputColumn {
    pub column: Column,
    /// For a partition column, its place in the partition spec.
    pub partition_index: Option<usize>,
    /// The number of the column in its table, which v2 and v3 tell their clients (storage-api-v2-v3.md 2.4).
    pub id: i64,
}

/// Numbers the nodes of all columns from 1 in pre-order: data columns, the operation column of a primary-key table, partition
/// columns. These are the numbers of data and of partition columns themselves.
pub fn column_ids(table: &Table) -> (Vec<i64>, Vec<i64>) {
    let mut next = 1;
    let mut number = |column: &Column| {
        let id = next;
        next += column.ty.nodes();
        id
    };
    let data = table.columns.iter().map(&mut number).collect();
    if table.has_primary_key() {
        number(&Column::new(OPERATION, Type::TinyInt, true));
    }
    (data, table.partition_keys.iter().map(&mut number).collect())
}

/// The columns a request asks for: data columns, then partition columns, each in the given order.
///
/// Both lists empty means all columns; one list empty means none of that kind (service-behaviour.md 1.6).
/// Fails with `InvalidColumnSpec` on unknown or repeated names, `InvalidArgument` on JSON columns unless they are
/// delivered as text.
pub fn choose(table: &Table, request: &CreateRequest, json: JsonColumns) -> Result<Vec<OutputColumn>, ApiError> {
    let (data_ids, key_ids) = column_ids(table);
    let all = request.required_data_columns.is_empty() && request.required_partition_columns.is_empty();
    let mut chosen: Vec<OutputColumn> = Vec::new();
    if all {
        let data = table.columns.iter().zip(&data_ids);
        chosen.extend(data.map(|(c, id)| OutputColumn { column: c.clone(), partition_index: None, id: *id }));
        let keys = table.partition_keys.iter().zip(&key_ids).enumerate();
        chosen.extend(keys.map(|(i, (c, id))| OutputColumn { column: c.clone(), partition_index: Some(i), id: *id }));
    }
    for name in &request.required_data_columns {
        let (index, column) = find(&table.columns, name, "data", table)?;
        let id = data_ids.get(index).copied().unwrap_or(-1);
        chosen.push(OutputColumn { column: column.clone(), partition_index: None, id });
    }
    for name in &request.required_partition_columns {
        let (index, column) = find(&table.partition_keys, name, "partition", table)?;
        let id = key_ids.get(index).copied().unwrap_or(-1);
        chosen.push(OutputColumn { column: column.clone(), partition_index: Some(index), id });
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
