//! Whom a statement is run for, and what its names mean.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::ast::{Name, Spec};
use super::error::{Position, SqlError};
use crate::catalog::{Source, Table, TableName, check_name};
use crate::governance::{Caller, Columns, require_member, require_table};
use crate::http::Shared;
use crate::plan::partition_value;

/// What a statement runs in.
pub struct Context {
    pub shared: Arc<Shared>,
    pub caller: Caller,
    pub project: String,
    /// Hints of the job and of `SET` lines; later ones win.
    pub settings: HashMap<String, String>,
    /// Set when the instance is terminated.
    pub cancelled: Arc<AtomicBool>,
    /// Where the rows of a SELECT go.
    pub result: TableName,
    /// What rows were read from; the result carries what those tables demand.
    pub sources: Mutex<Vec<Source>>,
}

impl Context {
    /// Ends the statement if its instance was terminated.
    pub fn check_cancelled(&self) -> Result<(), SqlError> {
        if self.cancelled.load(Ordering::Relaxed) { Err(SqlError::cancelled()) } else { Ok(()) }
    }

    /// Notes that rows of a table are read.
    pub fn reads(&self, table: &Table, columns: Vec<String>) {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        match sources.iter_mut().find(|source| source.id == table.id) {
            Some(source) => source.columns.extend(columns),
            None => sources.push(Source { id: table.id, name: table.name.clone(), columns }),
        }
    }

    fn is_set(&self, key: &str) -> bool {
        self.settings.get(key).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// The schema of names that name none.
    pub fn schema(&self) -> &str {
        self.settings.get("odps.default.schema").map(String::as_str).filter(|s| !s.is_empty()).unwrap_or("default")
    }

    /// Reads `PROJECT.SCHEMA.TABLE`, `SCHEMA.TABLE` where the job uses schemas, else `PROJECT.TABLE`, and `TABLE`.
    ///
    /// Where one reading of two parts names nothing that exists, the other one counts.
    pub fn resolve(&self, name: &Name) -> Result<TableName, SqlError> {
        let full = |project: &str, schema: &str, table: &str| TableName {
            project: project.into(),
            schema: schema.into(),
            table: table.into(),
        };
        let found = match name.parts.as_slice() {
            [table] => full(&self.project, self.schema(), table),
            [first, table] => {
                let is_schema = self.shared.catalog.schema(&self.project, first)?.is_some();
                let is_project = self.shared.catalog.project(first)?.is_some();
                match (is_schema, is_project, self.uses_schemas()) {
                    (true, true, true) | (true, false, _) => full(&self.project, first, table),
                    (false, false, true) => return Err(SqlError::no_object(format_args!("schema {first}"))),
                    (false, false, false) => return Err(SqlError::no_object(format_args!("project {first}"))),
                    _ => full(first, "default", table),
                }
            }
            [project, schema, table] => full(project, schema, table),
            _ => return Err(SqlError::parse(name.at, "a name has more than three parts")),
        };
        for part in [&found.project, &found.schema, &found.table] {
            check_name(part).map_err(|why| SqlError::semantic(name.at, why))?;
        }
        if self.shared.catalog.project(&found.project)?.is_some() {
            // A stranger does not learn what there is.
            require_member(&self.shared, &self.caller, &found.project)?;
        }
        if self.shared.catalog.schema(&found.project, &found.schema)?.is_none() {
            return Err(SqlError::no_object(format_args!("schema {}.{}", found.project, found.schema)));
        }
        Ok(found)
    }

    /// Project and schema of a name of a schema.
    pub fn resolve_schema(&self, name: &Name) -> Result<(String, String), SqlError> {
        let (project, schema) = match name.parts.as_slice() {
            [schema] => (self.project.clone(), schema.clone()),
            [project, schema] => (project.clone(), schema.clone()),
            _ => return Err(SqlError::parse(name.at, "a schema has one name, behind that of its project")),
        };
        check_name(&schema).map_err(|why| SqlError::semantic(name.at, why))?;
        match self.shared.catalog.project(&project)? {
            Some((project, _)) => Ok((project, schema)),
            None => Err(SqlError::no_object(format_args!("project {project}"))),
        }
    }

    fn uses_schemas(&self) -> bool {
        self.is_set("odps.namespace.schema") || self.is_set("odps.sql.allow.namespace.schema")
    }

    /// The table of a name, and the columns with which the caller may do `action`.
    pub fn table(&self, name: &Name, action: &str) -> Result<(Table, Columns), SqlError> {
        let full = self.resolve(name)?;
        let table = self.shared.catalog.table(&full)?.ok_or_else(|| SqlError::no_table(name.at, short(&full)))?;
        let columns = require_table(&self.shared, &self.caller, &table, action)?;
        Ok((table, columns))
    }
}

/// A name as failures show it: without the schema that every project has.
pub fn short(name: &TableName) -> String {
    match name.schema.eq_ignore_ascii_case("default") {
        true => format!("{}.{}", name.project, name.table),
        false => name.to_string(),
    }
}

/// The values that a spec names, in the order of the partition columns and in the form the catalogue stores.
pub fn values_of(table: &Table, spec: &Spec, at: Position) -> Result<Vec<Option<String>>, SqlError> {
    let mut values = vec![None; table.partition_keys.len()];
    for (key, value) in spec {
        let found = table.partition_keys.iter().zip(&mut values).find(|(k, _)| k.name.eq_ignore_ascii_case(key));
        let Some((column, slot)) = found else {
            let what = format_args!("{key} is no partition column of {}", short(&table.name));
            return Err(SqlError::semantic(at, what));
        };
        let Some(value) = value else { continue };
        let text = value.text(&value.natural_type());
        if text.is_empty() {
            return Err(SqlError::semantic(at, format_args!("the value of partition column {key} is empty")));
        }
        *slot = Some(partition_value(&text, &column.ty).map_err(|why| SqlError::semantic(at, why))?);
    }
    Ok(values)
}

/// The values of a spec that names all of them.
pub fn full_values(table: &Table, spec: &Spec, at: Position) -> Result<Vec<String>, SqlError> {
    let values: Option<Vec<String>> = values_of(table, spec, at)?.into_iter().collect();
    match values {
        Some(values) if !values.is_empty() => Ok(values),
        _ => {
            let what = format_args!("the partition spec does not name all partition columns of {}", short(&table.name));
            Err(SqlError::semantic(at, what))
        }
    }
}
