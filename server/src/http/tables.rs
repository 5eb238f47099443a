//! Table metadata: list, get, load in bulk, partitions, first rows (account-routing-metadata.md 3.2 to 3.4).

use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::json;

use super::document::{Size, document, entry};
use super::paging::Page;
use super::query::Query;
use super::reply::Reply;
use super::request::{Head, Plane};
use super::schemas;
use super::server::no_such;
use super::service::OWNER;
use super::sessions::blocking;
use super::state::Shared;
use super::xml::{element, escape};
use crate::catalog::{Partition, Table, TableName};
use crate::error::ApiError;
use crate::governance::{self, Caller, Operation, Target};
use crate::plan::{parse_spec, partition_value};
use crate::sql;

/// Tables that one request may load at most.
const MAX_BATCH: usize = 100;

/// Rows that a preview in CSV has at most.
const MAX_PREVIEW: u64 = 10_000;

/// The tables of a schema. Query: `name` (a prefix), `owner`, `type`, `extended`, and which page.
pub fn list(shared: &Shared, caller: &Caller, project: &str, schema: &str, query: &Query) -> Result<Reply, ApiError> {
    schemas::find(shared, project, schema)?;
    let page = Page::of(query)?;
    let given = |name: &str| query.get(name).filter(|value| !value.is_empty());
    let prefix = given("name").unwrap_or_default().to_lowercase();
    let mut tables = shared.catalog.tables(project, schema)?;
    tables.retain(|table| {
        table.name.table.to_lowercase().starts_with(&prefix)
            && given("type").is_none_or(|kind| kind.eq_ignore_ascii_case(table.kind.name()))
    });
    if let Some(owner) = given("owner") {
        let mut owned = Vec::new();
        for table in tables {
            let creator = shared.catalog.creator(table.id)?;
            if creator.as_deref().unwrap_or(OWNER).eq_ignore_ascii_case(owner) {
                owned.push(table);
            }
        }
        tables = owned;
    }
    let (tables, head) = page.cut_sorted(tables, |table| table.name.table.clone());
    let mut items = String::new();
    for table in tables {
        match query.has("extended") && may_describe(shared, caller, &table)? {
            true => items.push_str(&full(shared, &table)?),
            false => items.push_str(&entry(&table, shared.catalog.creator(table.id)?.as_deref())),
        }
    }
    Ok(Reply::xml(200, &format!("<Tables>{head}{items}</Tables>")))
}

#[derive(Deserialize)]
struct Wanted {
    #[serde(rename = "Table", default)]
    tables: Vec<WantedTable>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WantedTable {
    project: Option<String>,
    schema: Option<String>,
    name: String,
}

/// The documents of many tables at once; those that are missing or that the caller may not describe are left out.
pub fn load(shared: &Shared, caller: &Caller, project: &str, schema: &str, body: &[u8]) -> Result<Reply, ApiError> {
    let bad = |why: String| ApiError::new(400, "InvalidParameter", format!("ODPS-0420061:Invalid parameter - {why}"));
    let text = std::str::from_utf8(body).map_err(|_| bad("the body is not UTF-8".into()))?;
    let wanted: Wanted = quick_xml::de::from_str(text).map_err(|error| bad(error.to_string()))?;
    if wanted.tables.len() > MAX_BATCH {
        return Err(bad(format!("more than {MAX_BATCH} tables")));
    }
    let mut items = String::new();
    for table in wanted.tables {
        let given =
            |value: Option<String>, other: &str| value.filter(|v| !v.is_empty()).unwrap_or_else(|| other.into());
        let name = TableName {
            project: given(table.project, project),
            schema: given(table.schema, schema),
            table: table.name,
        };
        if shared.catalog.project(&name.project)?.is_some()
            && let Some(table) = shared.catalog.table(&name)?
            && may_describe(shared, caller, &table)?
        {
            items.push_str(&full(shared, &table)?);
        }
    }
    Ok(Reply::xml(200, &format!("<Tables><Marker/><MaxItems>{MAX_BATCH}</MaxItems>{items}</Tables>")))
}

/// Whether a caller may see more of a table than its name. What fails for another reason than rights fails.
fn may_describe(shared: &Shared, caller: &Caller, table: &Table) -> Result<bool, ApiError> {
    match governance::require_table(shared, caller, table, "Describe") {
        Ok(_) => Ok(true),
        Err(error) if error.status == 403 => Ok(false),
        Err(error) => Err(error),
    }
}

fn full(shared: &Shared, table: &Table) -> Result<String, ApiError> {
    let total = sizes(shared, table)?.values().fold(Size::default(), |all, size| Size {
        rows: all.rows + size.rows,
        bytes: all.bytes + size.bytes,
        files: all.files + size.files,
    });
    Ok(document(table, shared.catalog.creator(table.id)?.as_deref(), total))
}

/// A table, its partitions, or one partition: the query decides.
pub fn get(shared: &Shared, project: &str, schema: &str, table: &str, query: &Query) -> Result<Reply, ApiError> {
    let name = TableName { project: project.into(), schema: schema.into(), table: table.into() };
    let missing = || no_such(Plane::Service, "Table", &name.to_string());
    let table = shared.catalog.table(&name)?.ok_or_else(missing)?;
    if query.has("partitions") {
        return partitions(shared, &table, query);
    }
    if let Some(spec) = query.get("partition") {
        let found = matching(shared, &table, spec)?;
        return match found.first() {
            Some(partition) => {
                let size = sizes(shared, &table)?.get(&Some(partition.id)).copied();
                Ok(one_partition(partition, size.unwrap_or_default()))
            }
            None => {
                let message = format!("ODPS-0420111:Object not found - {} has no partition {spec}", table.name);
                Err(ApiError::new(404, "NoSuchObject", message))
            }
        };
    }
    Ok(Reply::xml(200, &full(shared, &table)?))
}

/// The first rows as CSV, as a query would show them, for whoever may read them. Query: `linenum`, `partition`, `cols`.
pub async fn preview(shared: &Arc<Shared>, head: &Head, name: TableName) -> Result<Reply, ApiError> {
    let query = &head.query;
    let rows = query.get("linenum").and_then(|text| text.parse::<u64>().ok()).unwrap_or(MAX_PREVIEW).min(MAX_PREVIEW);
    let names = ["cols", "columns"].iter().find_map(|name| query.get(name)).unwrap_or_default();
    let columns: Vec<String> = names.split(',').filter(|name| !name.is_empty()).map(str::to_string).collect();
    let partition = query.get("partition").filter(|spec| !spec.is_empty()).map(str::to_string);
    let mut right = governance::check(shared, head, Operation::Preview, Target::Table(&name)).await?;
    let state = shared.clone();
    let (name, all) = blocking(move || {
        let missing = || no_such(Plane::Service, "Table", &name.to_string());
        let table = state.catalog.table(&name)?.ok_or_else(missing)?;
        let all = table.columns.into_iter().chain(table.partition_keys).map(|column| column.name);
        Ok((table.name, all.collect::<Vec<String>>()))
    })
    .await?;
    let read = if columns.is_empty() { &all } else { &columns };
    right.columns(read.iter().map(String::as_str))?;
    let permit = right.enter().await?;
    let shared = shared.clone();
    blocking(move || {
        let _permit = permit;
        let found = sql::csv(&shared, &name, &columns, partition.as_deref(), rows)?;
        Ok(Reply::whole(200, "text/csv", found.text))
    })
    .await
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

/// Partitions that a full or partial spec selects.
fn matching(shared: &Shared, table: &Table, spec: &str) -> Result<Vec<Partition>, ApiError> {
    let bad = |why: String| ApiError::new(400, "InvalidParameter", format!("ODPS-0420061:Invalid parameter - {why}"));
    let pairs = if spec.is_empty() { Vec::new() } else { parse_spec(spec).map_err(bad)? };
    let mut wanted = Vec::new();
    for (name, value) in pairs {
        let place = table.partition_keys.iter().position(|key| key.name.eq_ignore_ascii_case(&name));
        // A value that is none of the type of its column is in no partition.
        let value = match place.and_then(|place| table.partition_keys.get(place)) {
            Some(key) => partition_value(&value, &key.ty).ok(),
            None => None,
        };
        wanted.push((place, value));
    }
    let mut partitions = shared.catalog.partitions(table.id)?;
    partitions.retain(|partition| {
        wanted
            .iter()
            .all(|(place, value)| value.is_some() && place.and_then(|i| partition.values.get(i)) == value.as_ref())
    });
    Ok(partitions)
}

/// The partitions in order of creation. Query: `partition` (a prefix), `reverse`, `name`, and which page.
fn partitions(shared: &Shared, table: &Table, query: &Query) -> Result<Reply, ApiError> {
    let mut found = matching(shared, table, query.get("partition").unwrap_or_default())?;
    if query.has("reverse") {
        found.reverse();
    }
    let name = |partition: &Partition| -> String {
        let pairs = table.partition_keys.iter().zip(&partition.values);
        pairs.map(|(key, value)| format!("{}={value}", key.name)).collect::<Vec<_>>().join("/")
    };
    let names_only = query.has("name");
    // Who asks for names only turns no pages.
    let page = if names_only { Page { after: None, size: usize::MAX } } else { Page::of(query)? };
    let (found, head) = page.cut(found, |partition| name(partition));
    let mut items = String::new();
    if names_only {
        for partition in &found {
            items.push_str(&format!("<Partition>{}</Partition>", element("Name", &name(partition))));
        }
        return Ok(Reply::xml(200, &format!("<Partitions>{items}</Partitions>")));
    }
    let sizes = sizes(shared, table)?;
    for partition in &found {
        let size = sizes.get(&Some(partition.id)).copied().unwrap_or_default();
        let columns: String = table
            .partition_keys
            .iter()
            .zip(&partition.values)
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
    Ok(Reply::xml(200, &format!("<Partitions>{head}{items}</Partitions>")))
}

fn one_partition(partition: &Partition, size: Size) -> Reply {
    let (created, modified) = (partition.created_ms / 1000, partition.modified_ms / 1000);
    let schema = json!({
        "createTime": created, "lastDDLTime": created, "lastModifiedTime": modified, "lastAccessTime": 0,
        "partitionSize": size.bytes, "partitionRecordNum": size.rows, "IsArchived": false, "IsExstore": false,
        "LifeCycle": -1, "PhysicalSize": size.bytes, "FileNum": size.files, "Reserved": "{}"
    });
    Reply::xml(200, &format!("<Partition><Schema>{}</Schema></Partition>", escape(&schema.to_string())))
}
