//! Statements that make and drop tables and schemas.

use std::collections::{BTreeMap, HashSet};

use super::ast::{CreateTable, Name, Spec};
use super::context::{Context, full_values, short};
use super::error::{Position, SqlError};
use super::insert::rows_of;
use super::rows::Query;
use crate::catalog::{
    Clustering, ClusteringKind, Column, CommitRefusal, Defined, NewFile, NewTable, Table, TableKind, TableName,
    TableProperties,
};
use crate::governance::{require_project, require_schema, require_table};
use crate::types::Type;
use crate::write::{Target, commit_with, is_hashable};

/// Partition columns of a table at most (service-behaviour.md 1.2).
const MAX_PARTITION_KEYS: usize = 6;
/// Buckets of a table at most (service-behaviour.md 1.3).
const MAX_BUCKETS: u32 = 4096;
/// Columns of a table at most.
const MAX_COLUMNS: usize = 1200;
/// Bytes of the name of a column at most.
const MAX_NAME_BYTES: usize = 128;

/// The error of an object that exists already.
pub fn exists(at: Position, what: &str) -> SqlError {
    SqlError::semantic(at, format_args!("{what} already exists"))
}

pub fn create(context: &Context, create: CreateTable) -> Result<(), SqlError> {
    let at = create.name.at;
    let name = context.resolve(&create.name)?;
    let catalog = &context.shared.catalog;
    require_schema(&context.shared, &context.caller, &name.project, &name.schema, "CreateTable")?;
    let found = catalog.table(&name)?;
    if let Some(found) = &found {
        if create.if_not_exists {
            return Ok(());
        }
        if !create.or_replace || found.kind != create.kind {
            return Err(exists(at, &format!("table or view {}", short(&name))));
        }
        require_table(&context.shared, &context.caller, found, "Drop")?.whole()?;
    }
    let select = create.query.as_ref().and_then(|query| query.select.clone()).filter(|_| !create.deferred);
    let table = definition(context, create, &name)?;
    check(&table, at)?;
    let (replaced, creator) = (found.map(|found| found.id), context.caller.principal.as_str());
    let put = |files: Option<&[NewFile]>| catalog.put_table(&table, replaced, creator, files);
    let done = match select {
        // The rows are written before anything changes: if the query fails, what was there is as it was.
        Some(select) => {
            let draft = table.draft();
            let rows = rows_of(context, &draft, &select)?;
            let destination = Target::table(draft.clone()).destination(true);
            commit_with(catalog, &destination, || Ok(draft.clone()), rows, |arranged| put(Some(arranged.files)))
        }
        None => put(None),
    };
    done.map_err(|error| match error.downcast_ref::<CommitRefusal>() {
        Some(CommitRefusal::Taken) => exists(at, &format!("table or view {}", short(&name))),
        Some(refusal) => SqlError::runtime(refusal),
        None => SqlError::from(error),
    })
}

/// What a table will be.
fn definition(context: &Context, create: CreateTable, name: &TableName) -> Result<NewTable, SqlError> {
    let at = create.name.at;
    let mut properties = TableProperties {
        comment: create.comment,
        lifecycle: create.lifecycle,
        clustering: create.clustering,
        transactional: false,
        primary_key: create.primary_key,
        extra: BTreeMap::new(),
        view_text: None,
    };
    set_properties(&mut properties, create.properties);
    let (mut columns, mut partition_keys) = (create.columns, create.partition_keys);
    if let Some(like) = &create.like {
        let (model, _) = context.table(like, "Describe")?;
        (columns, partition_keys) = (model.columns, model.partition_keys);
        let comment = std::mem::take(&mut properties.comment);
        let lifecycle = properties.lifecycle;
        properties = TableProperties { comment, lifecycle, view_text: None, ..model.properties };
    }
    if let Some(query) = create.query {
        match &query.select {
            Some(select) => columns = Query::new(context, select)?.columns,
            // The columns of a logical view are known only as far as they are named.
            None => columns = Vec::new(),
        }
        if create.kind != TableKind::Managed {
            properties.view_text = Some(query.text);
        }
    } else if matches!(create.kind, TableKind::VirtualView | TableKind::MaterializedView) {
        return Err(SqlError::parse(at, "a view needs AS and a query"));
    }
    if !create.renamed.is_empty() {
        columns = renamed(columns, create.renamed, create.kind, at)?;
    }
    for key in &create.partitioned_on {
        let Some(place) = columns.iter().position(|column| column.name.eq_ignore_ascii_case(key)) else {
            return Err(SqlError::semantic(at, format_args!("partition column {key} is not in the query")));
        };
        partition_keys.push(columns.remove(place));
    }
    if !properties.primary_key.is_empty() {
        properties.transactional = true;
    }
    Ok(NewTable { name: name.clone(), kind: create.kind, columns, partition_keys, properties })
}

/// The columns of a view under the names that it gives them.
fn renamed(
    columns: Vec<Column>,
    names: Vec<(String, String)>,
    kind: TableKind,
    at: Position,
) -> Result<Vec<Column>, SqlError> {
    if kind == TableKind::VirtualView {
        // Their types would need the query to be analysed; the service shows what it found, we show text.
        return Ok(names
            .into_iter()
            .map(|(name, comment)| Column { comment, ..Column::new(name, Type::String, true) })
            .collect());
    }
    if columns.len() != names.len() {
        let what = format_args!("the view names {} columns, its query has {}", names.len(), columns.len());
        return Err(SqlError::semantic(at, what));
    }
    Ok(columns.into_iter().zip(names).map(|(column, (name, comment))| Column { name, comment, ..column }).collect())
}

/// Files `TBLPROPERTIES` under what they mean.
pub fn set_properties(properties: &mut TableProperties, pairs: Vec<(String, String)>) {
    for (key, value) in pairs {
        match key.to_ascii_lowercase().as_str() {
            "transactional" => properties.transactional = value.eq_ignore_ascii_case("true"),
            _ => {
                properties.extra.insert(key, value);
            }
        }
    }
}

/// Refuses tables that could not be used.
pub fn check(table: &NewTable, at: Position) -> Result<(), SqlError> {
    let refuse = |what: String| Err(SqlError::semantic(at, what));
    let all: Vec<&Column> = table.columns.iter().chain(&table.partition_keys).collect();
    if table.columns.is_empty() && table.kind != TableKind::VirtualView {
        return refuse("a table needs at least one column".into());
    }
    if all.len() > MAX_COLUMNS {
        return refuse(format!("a table has at most {MAX_COLUMNS} columns"));
    }
    let mut seen = HashSet::new();
    for column in &all {
        // Unlike other names these may have letters of any script.
        let is_name = column.name.chars().all(|c| c.is_alphanumeric() || c == '_');
        if column.name.is_empty() || column.name.len() > MAX_NAME_BYTES || !is_name {
            let name = &column.name;
            return refuse(format!(
                "\"{name}\" is no name of a column: use letters, digits and _, at most {MAX_NAME_BYTES} bytes"
            ));
        }
        if column.name.starts_with("__") || !seen.insert(column.name.to_lowercase()) {
            return refuse(format!("column {} is named twice or by a reserved name", column.name));
        }
    }
    if table.partition_keys.len() > MAX_PARTITION_KEYS {
        return refuse(format!("a table has at most {MAX_PARTITION_KEYS} partition columns"));
    }
    if let Some(key) = table.partition_keys.iter().find(|key| !key.ty.is_partition_type()) {
        return refuse(format!("partition column {} cannot be of type {}", key.name, key.ty));
    }
    let find = |name: &str| table.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name));
    for key in &table.properties.primary_key {
        let Some(column) = find(key) else { return refuse(format!("key column {key} is no column of the table")) };
        let plain = is_hashable(&column.ty) && !matches!(column.ty, Type::Float | Type::Double);
        if column.nullable || !plain {
            return refuse(format!("key column {key} must be NOT NULL and of a type that can be compared exactly"));
        }
    }
    match &table.properties.clustering {
        Some(clustering) => check_clustering(clustering, &table.columns, at),
        None => Ok(()),
    }
}

/// Refuses clusterings of columns that are not there or without a number of buckets.
pub fn check_clustering(clustering: &Clustering, columns: &[Column], at: Position) -> Result<(), SqlError> {
    let refuse = |what: String| Err(SqlError::semantic(at, what));
    let sorted = clustering.sort.iter().map(|sort| &sort.column);
    for name in clustering.columns.iter().chain(sorted) {
        match columns.iter().find(|column| column.name.eq_ignore_ascii_case(name)) {
            None => return refuse(format!("cluster column {name} is no column of the table")),
            Some(column) if !is_hashable(&column.ty) => {
                return refuse(format!("a table cannot be clustered by {name} of type {}", column.ty));
            }
            Some(_) => {}
        }
    }
    let least = u32::from(clustering.kind == ClusteringKind::Hash);
    match (least..=MAX_BUCKETS).contains(&clustering.buckets) {
        true => Ok(()),
        false => refuse(format!("the number of buckets is {}, not {least} to {MAX_BUCKETS}", clustering.buckets)),
    }
}

pub fn create_schema(context: &Context, name: &Name, if_not_exists: bool) -> Result<(), SqlError> {
    let (project, schema) = context.resolve_schema(name)?;
    require_project(&context.shared, &context.caller, &project, "CreateSchema")?;
    match context.shared.catalog.create_schema(&project, &schema)? {
        Defined::Exists(_) if !if_not_exists => Err(exists(name.at, &format!("schema {project}.{schema}"))),
        _ => Ok(()),
    }
}

pub fn drop_schema(context: &Context, name: &Name, if_exists: bool) -> Result<(), SqlError> {
    let (project, schema) = context.resolve_schema(name)?;
    require_schema(&context.shared, &context.caller, &project, &schema, "Drop")?;
    match context.shared.catalog.drop_schema(&project, &schema)? {
        Defined::Missing(_) if !if_exists => Err(SqlError::no_object(format_args!("schema {project}.{schema}"))),
        Defined::NotEmpty => Err(SqlError::semantic(name.at, format_args!("schema {schema} is not empty"))),
        _ => Ok(()),
    }
}

pub fn drop(context: &Context, name: &Name, kind: TableKind, if_exists: bool) -> Result<(), SqlError> {
    let full = context.resolve(name)?;
    let Some(table) = context.shared.catalog.table(&full)? else {
        return if if_exists { Ok(()) } else { Err(SqlError::no_table(name.at, short(&full))) };
    };
    require_table(&context.shared, &context.caller, &table, "Drop")?.whole()?;
    let fits = match kind {
        TableKind::Managed => matches!(table.kind, TableKind::Managed | TableKind::External),
        other => table.kind == other,
    };
    if !fits {
        let what = format_args!("{} is a {}: drop it as what it is", short(&full), table.kind.name());
        return Err(SqlError::semantic(name.at, what));
    }
    context.shared.catalog.drop_table(&full)?;
    Ok(())
}

pub fn truncate(context: &Context, name: &Name, specs: &[Spec]) -> Result<(), SqlError> {
    let (table, allowed) = context.table(name, "Update")?;
    allowed.whole()?;
    demand_rows(&table, name.at)?;
    let partitions: Vec<Vec<String>> =
        specs.iter().map(|spec| full_values(&table, spec, name.at)).collect::<Result<_, _>>()?;
    let chosen = (!partitions.is_empty()).then_some(partitions.as_slice());
    match context.shared.catalog.truncate(&table.name, chosen)? {
        Defined::Missing(what) => Err(SqlError::no_object(format_args!("partition {what} of {}", short(&table.name)))),
        _ => Ok(()),
    }
}

/// Refuses what has no rows of its own.
pub fn demand_rows(table: &Table, at: Position) -> Result<(), SqlError> {
    match table.kind.stores_rows() {
        true => Ok(()),
        false => {
            let what =
                format_args!("{} is a {}, whose rows this server does not have", short(&table.name), table.kind.name());
            Err(SqlError::semantic(at, what))
        }
    }
}
