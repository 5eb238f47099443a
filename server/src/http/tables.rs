//! Table metadata: list, get, partitions (account-routing-metadata.md 3.2 to 3.4).

use std::collections::HashMap;

use serde_json::{Value, json};

use super::query::Query;
use super::reply::Reply;
use super::request::Plane;
use super::schemas;
use super::server::no_such;
use super::service::{OWNER, http_date};
use super::state::Shared;
use super::xml::{element, escape};
use crate::catalog::{Column, Partition, Table, TableName};
use crate::error::ApiError;
use crate::plan::parse_spec;

/// Rows, bytes and files.
#[derive(Clone, Copy, Default)]
struct Size {
    rows: u64,
    bytes: u64,
    files: u64,
}

/// The tables of a schema whose names start with `prefix` (lower-case).
pub fn list(shared: &Shared, project: &str, schema: &str, prefix: &str) -> Result<Reply, ApiError> {
    schemas::find(shared, project, schema)?;
    let mut items = String::new();
    for table in shared.catalog.tables(project, schema)? {
        let name = &table.name.table;
        if name.to_lowercase().starts_with(prefix) {
            let children = [element("Name", name), element("Owner", OWNER), element("Type", "MANAGED_TABLE")];
            items.push_str(&format!("<Table>{}</Table>", children.concat()));
        }
    }
    Ok(Reply::xml(200, &format!("<Tables><Marker/><MaxItems>1000</MaxItems>{items}</Tables>")))
}

/// A table, its partitions, or one partition: the query decides.
pub fn get(shared: &Shared, project: &str, schema: &str, table: &str, query: &Query) -> Result<Reply, ApiError> {
    let name = TableName { project: project.into(), schema: schema.into(), table: table.into() };
    let missing = || no_such(Plane::Service, "Table", &format!("{project}.{table}"));
    let table = shared.catalog.table(&name)?.ok_or_else(missing)?;
    let sizes = sizes(shared, &table)?;
    if query.has("partitions") {
        return partitions(shared, &table, query, &sizes);
    }
    if let Some(spec) = query.get("partition") {
        let found = matching(shared, &table, spec)?;
        return match found.first() {
            Some(partition) => Ok(one_partition(partition, sizes.get(&Some(partition.id)).copied())),
            None => Err(ApiError::new(404, "NoSuchObject", format!("{} has no partition {spec}", table.name))),
        };
    }
    Ok(document(&table, &sizes))
}

fn sizes(shared: &Shared, table: &Table) -> Result<HashMap<Option<i64>, Size>, ApiError> {
    let mut sizes: HashMap<Option<i64>, Size> = HashMap::new();
    for file in shared.catalog.files(table.id)? {
        let size = sizes.entry(file.partition_id).or_default();
        size.rows += file.rows;
        size.bytes += file.bytes;
        size.files += 1;
    }
    Ok(sizes)
}

fn column(column: &Column) -> Value {
    json!({"name": column.name, "type": column.ty.to_string(), "comment": "", "label": "", "extendedLabels": [],
           "isNullable": column.nullable, "hasDefaultValue": false, "defaultValue": ""})
}

/// The table document; base and extended form in one.
fn document(table: &Table, sizes: &HashMap<Option<i64>, Size>) -> Reply {
    let total = sizes.values().fold(Size::default(), |all, size| Size {
        rows: all.rows + size.rows,
        bytes: all.bytes + size.bytes,
        files: all.files + size.files,
    });
    let (created, modified) = (table.created_ms / 1000, table.modified_ms / 1000);
    let schema = json!({
        "tableName": table.name.table, "owner": OWNER, "comment": "", "createTime": created, "lastDDLTime": created,
        "lastModifiedTime": modified, "lastAccessTime": 0, "lifecycle": -1, "hubLifecycle": -1, "tableLabel": "",
        "extendedLabel": [], "isVirtualView": false, "isMaterializedView": false, "isExternal": false,
        "isObjectTable": false, "shardExist": false, "size": total.bytes, "recordNum": total.rows,
        "columns": table.columns.iter().map(column).collect::<Vec<_>>(),
        "partitionKeys": table.partition_keys.iter().map(column).collect::<Vec<_>>(),
        "IsArchived": false, "PhysicalSize": total.bytes, "FileNum": total.files, "Reserved": "{}"
    });
    let children = [
        element("Name", &table.name.table),
        element("TableId", &format!("{:032x}", table.id)),
        element("Project", &table.name.project),
        format!("<Schema format=\"Json\">{}</Schema>", escape(&schema.to_string())),
        "<Comment/>".to_string(),
        element("Owner", OWNER),
        "<TableLabel/><CryptoAlgo/>".to_string(),
        element("CreationTime", &http_date(table.created_ms)),
        element("LastModifiedTime", &http_date(table.modified_ms)),
        "<LastAccessTime/>".to_string(),
        element("Type", "MANAGED_TABLE"),
    ];
    Reply::xml(200, &format!("<Table>{}</Table>", children.concat()))
}

/// Partitions that a full or partial spec selects.
fn matching(shared: &Shared, table: &Table, spec: &str) -> Result<Vec<Partition>, ApiError> {
    let bad = |why: String| ApiError::new(400, "InvalidParameter", format!("ODPS-0420061:Invalid parameter - {why}"));
    let pairs = if spec.is_empty() { Vec::new() } else { parse_spec(spec).map_err(bad)? };
    let place = |name: &str| table.partition_keys.iter().position(|key| key.name.eq_ignore_ascii_case(name));
    let wanted: Vec<(Option<usize>, String)> = pairs.into_iter().map(|(name, value)| (place(&name), value)).collect();
    let mut partitions = shared.catalog.partitions(table.id)?;
    partitions.retain(|partition| {
        wanted.iter().all(|(place, value)| place.and_then(|i| partition.values.get(i)) == Some(value))
    });
    Ok(partitions)
}

fn partitions(
    shared: &Shared,
    table: &Table,
    query: &Query,
    sizes: &HashMap<Option<i64>, Size>,
) -> Result<Reply, ApiError> {
    let mut items = String::new();
    for partition in matching(shared, table, query.get("partition").unwrap_or_default())? {
        let size = sizes.get(&Some(partition.id)).copied().unwrap_or_default();
        let pairs = table.partition_keys.iter().zip(&partition.values);
        if query.has("name") {
            let name: Vec<String> = pairs.map(|(key, value)| format!("{}={value}", key.name)).collect();
            items.push_str(&format!("<Partition>{}</Partition>", element("Name", &name.join("/"))));
            continue;
        }
        let columns: String = pairs
            .map(|(key, value)| format!("<Column Name=\"{}\" Value=\"{}\"/>", escape(&key.name), escape(value)))
            .collect();
        let (created, modified) = (partition.created_ms / 1000, partition.modified_ms / 1000);
        items.push_str(&format!(
            "<Partition>{columns}<CreationTime>{created}</CreationTime><LastDDLTime>{created}</LastDDLTime>\
             <LastModifiedTime>{modified}</LastModifiedTime><PartitionSize>{}</PartitionSize>\
             <PartitionRecordCount>{}</PartitionRecordCount></Partition>",
            size.bytes, size.rows
        ));
    }
    Ok(Reply::xml(200, &format!("<Partitions><Marker/><MaxItems>1000</MaxItems>{items}</Partitions>")))
}

fn one_partition(partition: &Partition, size: Option<Size>) -> Reply {
    let size = size.unwrap_or_default();
    let (created, modified) = (partition.created_ms / 1000, partition.modified_ms / 1000);
    let schema = json!({
        "createTime": created, "lastDDLTime": created, "lastModifiedTime": modified, "lastAccessTime": 0,
        "partitionSize": size.bytes, "partitionRecordNum": size.rows, "IsArchived": false, "IsExstore": false,
        "LifeCycle": -1, "PhysicalSize": size.bytes, "FileNum": size.files, "Reserved": "{}"
    });
    Reply::xml(200, &format!("<Partition><Schema>{}</Schema></Partition>", escape(&schema.to_string())))
}
