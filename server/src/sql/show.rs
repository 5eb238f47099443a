//! Statements that show definitions as text.

use super::ast::{Name, Spec};
use super::context::{Context, short, values_of};
use super::error::SqlError;
use super::run::Outcome;
use crate::catalog::{ClusteringKind, Column, Partition, Table, TableKind};
use crate::governance::{OWNER, require_member, require_project};
use crate::types::temporal::iso_millis;

/// One `OWNER:name` a line, as the service lists tables.
pub fn tables(context: &Context, place: Option<&Name>, like: Option<&str>) -> Result<Outcome, SqlError> {
    let (project, schema) = match place {
        None => (context.project.clone(), context.schema().to_string()),
        Some(name) => match name.parts.as_slice() {
            [one] => match context.shared.catalog.project(one)? {
                Some((project, _)) => (project, "default".to_string()),
                None => context.resolve_schema(name)?,
            },
            _ => context.resolve_schema(name)?,
        },
    };
    require_project(&context.shared, &context.caller, &project, "List")?;
    let mut text = String::new();
    for table in context.shared.catalog.tables(&project, &schema)? {
        if like.is_none_or(|pattern| is_like(&table.name.table, pattern)) {
            text.push_str(&format!("{OWNER}:{}\n", table.name.table));
        }
    }
    Ok(Outcome::Text(text))
}

/// `*` and `%` stand for any text; case does not count.
fn is_like(name: &str, pattern: &str) -> bool {
    let (name, pattern) = (name.to_lowercase(), pattern.to_lowercase().replace('%', "*"));
    let mut rest = name.as_str();
    let mut parts = pattern.split('*').peekable();
    let Some(first) = parts.next() else { return rest.is_empty() };
    let Some(after) = rest.strip_prefix(first) else { return false };
    rest = after;
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(place) => rest = rest.get(place + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    true
}

pub fn schemas(context: &Context, place: Option<&Name>) -> Result<Outcome, SqlError> {
    let project = match place.map(|name| name.parts.as_slice()) {
        None => context.project.clone(),
        Some([project]) => match context.shared.catalog.project(project)? {
            Some((project, _)) => project,
            None => return Err(SqlError::no_object(format_args!("project {project}"))),
        },
        Some(parts) => return Err(SqlError::no_object(format_args!("project {}", parts.join(".")))),
    };
    require_member(&context.shared, &context.caller, &project)?;
    let names = context.shared.catalog.schemas(&project)?;
    Ok(Outcome::Text(names.into_iter().map(|(name, _)| format!("{name}\n")).collect()))
}

/// The text of a partition: `k=v/k=v`.
pub fn spec_text(table: &Table, partition: &Partition) -> String {
    let pairs = table.partition_keys.iter().zip(&partition.values);
    pairs.map(|(key, value)| format!("{}={value}", key.name)).collect::<Vec<_>>().join("/")
}

fn selected(context: &Context, table: &Table, name: &Name, spec: &Spec) -> Result<Vec<Partition>, SqlError> {
    let wanted = values_of(table, spec, name.at)?;
    let mut partitions = context.shared.catalog.partitions(table.id)?;
    partitions.retain(|partition| {
        partition.values.iter().zip(&wanted).all(|(value, wanted)| wanted.as_ref().is_none_or(|wanted| wanted == value))
    });
    Ok(partitions)
}

pub fn partitions(context: &Context, name: &Name, spec: &Spec) -> Result<Outcome, SqlError> {
    let (table, _) = context.table(name, "Describe")?;
    if table.partition_keys.is_empty() {
        return Err(SqlError::semantic(name.at, format_args!("{} is not partitioned", short(&table.name))));
    }
    let partitions = selected(context, &table, name, spec)?;
    Ok(Outcome::Text(partitions.iter().map(|partition| format!("{}\n", spec_text(&table, partition))).collect()))
}

fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

fn column_list(columns: &[Column], primary_key: &[String]) -> String {
    let mut lines: Vec<String> = columns
        .iter()
        .map(|column| {
            let null = if column.nullable { "" } else { " not null" };
            let comment =
                if column.comment.is_empty() { String::new() } else { format!(" comment {}", quote(&column.comment)) };
            format!("  `{}` {}{null}{comment}", column.name, column.ty)
        })
        .collect();
    if !primary_key.is_empty() {
        lines.push(format!("  primary key ({})", primary_key.join(", ")));
    }
    lines.join(",\n")
}

/// A statement that makes the same table.
pub fn create(context: &Context, name: &Name) -> Result<Outcome, SqlError> {
    let (table, _) = context.table(name, "Describe")?;
    let properties = &table.properties;
    let what = match table.kind {
        TableKind::Managed => "table",
        TableKind::External => "external table",
        TableKind::VirtualView => "view",
        TableKind::MaterializedView => "materialized view",
    };
    let mut text = format!("create {what} if not exists {}", short(&table.name));
    let is_view = matches!(table.kind, TableKind::VirtualView | TableKind::MaterializedView);
    if !is_view {
        text.push_str(&format!(" (\n{}\n)", column_list(&table.columns, &properties.primary_key)));
    }
    if !properties.comment.is_empty() {
        text.push_str(&format!("\ncomment {}", quote(&properties.comment)));
    }
    if !table.partition_keys.is_empty() && !is_view {
        text.push_str(&format!("\npartitioned by (\n{}\n)", column_list(&table.partition_keys, &[])));
    }
    if let Some(clustering) = &properties.clustering {
        let range = if clustering.kind == ClusteringKind::Range { "range " } else { "" };
        text.push_str(&format!("\n{range}clustered by ({})", clustering.columns.join(", ")));
        if !clustering.sort.is_empty() {
            let order = |ascending: bool| if ascending { "asc" } else { "desc" };
            let sort: Vec<String> =
                clustering.sort.iter().map(|sort| format!("{} {}", sort.column, order(sort.ascending))).collect();
            text.push_str(&format!(" sorted by ({})", sort.join(", ")));
        }
        text.push_str(&format!(" into {} buckets", clustering.buckets));
    }
    let mut pairs: Vec<String> =
        properties.extra.iter().map(|(key, value)| format!("{}={}", quote(key), quote(value))).collect();
    if properties.transactional {
        pairs.push("'transactional'='true'".into());
    }
    if !pairs.is_empty() {
        text.push_str(&format!("\ntblproperties ({})", pairs.join(", ")));
    }
    if let Some(days) = properties.lifecycle {
        text.push_str(&format!("\nlifecycle {days}"));
    }
    if let Some(query) = &properties.view_text {
        text.push_str(&format!("\nas {query}"));
    }
    text.push_str(";\n");
    Ok(Outcome::Text(text))
}

/// What a table or a partition is, in lines of `name: value` and a list of columns.
pub fn describe(context: &Context, name: &Name, spec: &Spec, extended: bool) -> Result<Outcome, SqlError> {
    let (table, _) = context.table(name, "Describe")?;
    let mut files = context.shared.catalog.files(table.id)?;
    if !spec.is_empty() {
        let Some(partition) = selected(context, &table, name, spec)?.into_iter().next() else {
            return Err(SqlError::no_object(format_args!("partition of {}", short(&table.name))));
        };
        files.retain(|file| file.partition_id == Some(partition.id));
        let bytes: u64 = files.iter().map(|file| file.bytes).sum();
        return Ok(Outcome::Text(format!(
            "Partition: {}\nPartitionSize: {bytes}\nCreateTime: {}\nLastModifiedTime: {}\n",
            spec_text(&table, &partition),
            iso_millis(partition.created_ms),
            iso_millis(partition.modified_ms)
        )));
    }
    let bytes: u64 = files.iter().map(|file| file.bytes).sum();
    let mut text = format!(
        "Owner: {OWNER}\nProject: {}\nSchema: {}\nTable: {}\nType: {}\nTableComment: {}\nCreateTime: {}\n\
         LastModifiedTime: {}\nLifecycle: {}\nSize: {bytes}\n",
        table.name.project,
        table.name.schema,
        table.name.table,
        table.kind.name(),
        table.properties.comment,
        iso_millis(table.created_ms),
        iso_millis(table.modified_ms),
        table.properties.lifecycle.unwrap_or(-1)
    );
    if extended {
        let rows: u64 = files.iter().map(|file| file.rows).sum();
        text.push_str(&format!("StoredRows: {rows}\nFiles: {}\nVersion: {}\n", files.len(), table.version));
    }
    for (title, columns) in [("Columns", &table.columns), ("Partition Columns", &table.partition_keys)] {
        if !columns.is_empty() {
            text.push_str(&format!("{title}:\n{}\n", column_list(columns, &[])));
        }
    }
    Ok(Outcome::Text(text))
}

pub fn describe_schema(context: &Context, name: &Name) -> Result<Outcome, SqlError> {
    let (project, schema) = context.resolve_schema(name)?;
    require_member(&context.shared, &context.caller, &project)?;
    match context.shared.catalog.schema(&project, &schema)? {
        Some((name, created_ms)) => Ok(Outcome::Text(format!(
            "Owner: {OWNER}\nProject: {project}\nSchema: {name}\nCreateTime: {}\n",
            iso_millis(created_ms)
        ))),
        None => Err(SqlError::no_object(format_args!("schema {project}.{schema}"))),
    }
}
