//! Projects, schemas, tables and partitions.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Result};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};
use serde::{Deserialize, Serialize};

use super::commit::drop_files;
use super::files::{DataFile, list_files};
use super::{Catalog, TableKind, TableProperties};
use crate::clock::now_ms;
use crate::types::Type;

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Column {
    pub name: String,
    #[serde(rename = "type")]
    pub ty: Type,
    pub nullable: bool,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub comment: String,
}

impl Column {
    /// A column without comment.
    pub fn new(name: impl Into<String>, ty: Type, nullable: bool) -> Column {
        Column { name: name.into(), ty, nullable, comment: String::new() }
    }
}

/// A fully qualified table name; its text form is `PROJECT.SCHEMA.TABLE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableName {
    pub project: String,
    pub schema: String,
    pub table: String,
}

impl TableName {
    /// Whether both name the same table: names are compared without case.
    pub fn is(&self, other: &TableName) -> bool {
        self.project.eq_ignore_ascii_case(&other.project)
            && self.schema.eq_ignore_ascii_case(&other.schema)
            && self.table.eq_ignore_ascii_case(&other.table)
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.project, self.schema, self.table)
    }
}

impl FromStr for TableName {
    type Err = String;

    /// Reads `PROJECT.SCHEMA.TABLE`, or `PROJECT.TABLE` in schema `default`.
    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split('.').collect();
        let (project, schema, table) = match parts.as_slice() {
            [project, table] => (*project, "default", *table),
            [project, schema, table] => (*project, *schema, *table),
            _ => return Err(format!("\"{text}\" is not PROJECT.SCHEMA.TABLE")),
        };
        for part in [project, schema, table] {
            check_name(part)?;
        }
        Ok(TableName { project: project.into(), schema: schema.into(), table: table.into() })
    }
}

/// Refuses names of projects, schemas and tables that MaxCompute would refuse: letters, digits and `_`, at most 128
/// bytes.
pub fn check_name(name: &str) -> Result<(), String> {
    let good = !name.is_empty() && name.len() <= 128 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if good { Ok(()) } else { Err(format!("\"{name}\" is not a name: use letters, digits and _, at most 128")) }
}

/// A table as the catalogue describes it.
#[derive(Clone, Debug)]
pub struct Table {
    pub id: i64,
    pub name: TableName,
    pub kind: TableKind,
    /// Data columns in declared order.
    pub columns: Vec<Column>,
    /// Partition columns in declared order; empty if the table is not partitioned.
    pub partition_keys: Vec<Column>,
    pub properties: TableProperties,
    /// Counts the changes of the rows; 1 for a new table (service-behaviour.md 1.4).
    pub version: i64,
    /// Counts the changes of the columns; 1 for a new table.
    pub schema_version: i64,
    pub created_ms: i64,
    pub modified_ms: i64,
}

/// A table to create.
#[derive(Clone, Debug)]
pub struct NewTable {
    pub name: TableName,
    pub kind: TableKind,
    pub columns: Vec<Column>,
    pub partition_keys: Vec<Column>,
    pub properties: TableProperties,
}

impl NewTable {
    /// A standard table.
    pub fn plain(name: &TableName, columns: &[Column], partition_keys: &[Column]) -> NewTable {
        NewTable {
            name: name.clone(),
            kind: TableKind::Managed,
            columns: columns.to_vec(),
            partition_keys: partition_keys.to_vec(),
            properties: TableProperties::default(),
        }
    }

    /// The table as it will be, for those who write its rows before it is there. It has no id yet.
    pub fn draft(&self) -> Table {
        Table {
            id: 0,
            name: self.name.clone(),
            kind: self.kind,
            columns: self.columns.clone(),
            partition_keys: self.partition_keys.clone(),
            properties: self.properties.clone(),
            version: 1,
            schema_version: 1,
            created_ms: now_ms(),
            modified_ms: now_ms(),
        }
    }
}

/// A partition and its values, one text per partition column.
#[derive(Clone, Debug)]
pub struct Partition {
    pub id: i64,
    pub values: Vec<String>,
    pub created_ms: i64,
    pub modified_ms: i64,
}

/// One state of a table.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub table: Table,
    pub partitions: Vec<Partition>,
    pub files: Vec<DataFile>,
}

/// Names and descriptions of everything that can be addressed.
pub(super) const SCHEMA: &str = "
create table projects(name text primary key collate nocase, created_ms integer not null) strict;
create table schemas(
  project text not null collate nocase, name text not null collate nocase, created_ms integer not null,
  primary key(project, name)) strict;
create table tables(
  id integer primary key autoincrement, project text not null collate nocase, schema text not null collate nocase,
  name text not null collate nocase, kind text not null, columns text not null, partition_keys text not null,
  properties text not null, version integer not null, schema_version integer not null,
  created_ms integer not null, modified_ms integer not null, unique(project, schema, name)) strict;
create table partitions(
  id integer primary key autoincrement, table_id integer not null, spec text not null,
  created_ms integer not null, modified_ms integer not null, unique(table_id, spec)) strict;
";

impl Catalog {
    /// Creates a project with its schema `default` unless it exists.
    pub fn ensure_project(&self, project: &str) -> Result<()> {
        ensure_schema(&self.lock(), project, "default").with_context(|| format!("cannot create project {project}"))
    }

    /// Creates a schema, and its project, unless they exist.
    pub fn ensure_schema(&self, project: &str, schema: &str) -> Result<()> {
        ensure_schema(&self.lock(), project, schema).with_context(|| format!("cannot create schema {project}.{schema}"))
    }

    /// The names of all projects with their creation times.
    pub fn projects(&self) -> Result<Vec<(String, i64)>> {
        let connection = self.lock();
        let mut statement = connection
            .prepare_cached("select name, created_ms from projects where name not like '#%' order by name")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Spelling and creation time of a project, if it exists.
    pub fn project(&self, name: &str) -> Result<Option<(String, i64)>> {
        let connection = self.lock();
        let mut statement = connection
            .prepare_cached("select name, created_ms from projects where name = ?1 and name not like '#%'")?;
        Ok(statement.query_row([name], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
    }

    /// The names of all schemas of a project with their creation times.
    pub fn schemas(&self, project: &str) -> Result<Vec<(String, i64)>> {
        let connection = self.lock();
        let mut statement =
            connection.prepare_cached("select name, created_ms from schemas where project = ?1 order by name")?;
        let rows = statement.query_map([project], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Spelling and creation time of a schema, if it exists.
    pub fn schema(&self, project: &str, schema: &str) -> Result<Option<(String, i64)>> {
        let connection = self.lock();
        let mut statement =
            connection.prepare_cached("select name, created_ms from schemas where project = ?1 and name = ?2")?;
        Ok(statement.query_row([project, schema], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
    }

    /// Creates an empty table, and its project and schema if they are missing. Returns its id, `None` if the name is
    /// taken.
    pub fn create_table(&self, table: &NewTable) -> Result<Option<i64>> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if find_raw(&transaction, &table.name)?.is_some() {
            return Ok(None);
        }
        let id = insert_table(&transaction, table)?;
        transaction.commit().with_context(|| format!("cannot create table {}", table.name))?;
        Ok(Some(id))
    }

    /// Drops a table with its partitions. Its files live as long as sessions need them. False if there is no such
    /// table.
    pub fn drop_table(&self, name: &TableName) -> Result<bool> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let Some(table) = find_raw(&transaction, name)? else { return Ok(false) };
        remove_table(&transaction, table.id)?;
        transaction.commit().with_context(|| format!("cannot drop table {name}"))?;
        Ok(true)
    }

    /// The table of that name, if it exists. Names are compared without case.
    pub fn table(&self, name: &TableName) -> Result<Option<Table>> {
        find_table(&self.lock(), name)
    }

    /// The table of that id, whatever its name is by now. Ids are never used again.
    pub fn table_by_id(&self, id: i64) -> Result<Option<Table>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(&format!("{SELECT_TABLE} where id = ?1"))?;
        statement.query_row([id], read_table).optional()?.map(RawTable::parse).transpose()
    }

    /// The partition columns of a table, if it exists.
    pub fn partition_keys(&self, name: &TableName) -> Result<Option<Vec<Column>>> {
        find_raw(&self.lock(), name)?.map(|table| table.partition_keys()).transpose()
    }

    /// All tables of a schema, by name. One whose entry is damaged is left out, with a line in the log.
    pub fn tables(&self, project: &str, schema: &str) -> Result<Vec<Table>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(&format!(
            "{SELECT_TABLE} where project = ?1 and schema = ?2 order by name collate nocase"
        ))?;
        let rows = statement.query_map([project, schema], read_table)?;
        let mut tables = Vec::new();
        for row in rows {
            match row?.parse() {
                Ok(table) => tables.push(table),
                Err(error) => tracing::error!("left out of the list of tables: {error:#}"),
            }
        }
        Ok(tables)
    }

    /// The partitions of a table in order of creation.
    pub fn partitions(&self, table_id: i64) -> Result<Vec<Partition>> {
        list_partitions(&self.lock(), table_id)
    }

    /// A table with its partitions and visible files, all as of one moment. `None` if there is no such table.
    pub fn snapshot(&self, name: &TableName) -> Result<Option<Snapshot>> {
        let mut connection = self.lock();
        // One transaction reads one state of the database, whatever other processes commit meanwhile.
        let transaction = connection.transaction()?;
        let Some(table) = find_table(&transaction, name)? else { return Ok(None) };
        let partitions = list_partitions(&transaction, table.id)?;
        let files = list_files(&transaction, table.id)?;
        Ok(Some(Snapshot { table, partitions, files }))
    }
}

fn list_partitions(connection: &Connection, table_id: i64) -> Result<Vec<Partition>> {
    let mut statement = connection
        .prepare_cached("select id, spec, created_ms, modified_ms from partitions where table_id = ?1 order by id")?;
    let rows =
        statement.query_map([table_id], |row| Ok((row.get(0)?, row.get::<_, String>(1)?, row.get(2)?, row.get(3)?)))?;
    rows.map(|row| {
        let (id, spec, created_ms, modified_ms) = row?;
        Ok(Partition { id, values: serde_json::from_str(&spec)?, created_ms, modified_ms })
    })
    .collect()
}

pub(super) const SELECT_TABLE: &str =
    "select id, project, schema, name, columns, partition_keys, created_ms, modified_ms,
    kind, properties, version, schema_version from tables";

/// A row of `tables` whose JSON is not parsed yet.
pub(super) struct RawTable {
    pub(super) id: i64,
    pub(super) name: TableName,
    pub(super) columns: String,
    partition_keys: String,
    created_ms: i64,
    modified_ms: i64,
    kind: String,
    properties: String,
    version: i64,
    schema_version: i64,
}

impl RawTable {
    pub(super) fn partition_keys(&self) -> Result<Vec<Column>> {
        serde_json::from_str(&self.partition_keys).with_context(|| self.broken())
    }

    fn broken(&self) -> String {
        format!("the catalogue entry of {} is damaged", self.name)
    }

    pub(super) fn parse(self) -> Result<Table> {
        Ok(Table {
            id: self.id,
            columns: serde_json::from_str(&self.columns).with_context(|| self.broken())?,
            partition_keys: self.partition_keys()?,
            kind: self.kind.parse().map_err(anyhow::Error::msg).with_context(|| self.broken())?,
            properties: serde_json::from_str(&self.properties).with_context(|| self.broken())?,
            version: self.version,
            schema_version: self.schema_version,
            created_ms: self.created_ms,
            modified_ms: self.modified_ms,
            name: self.name,
        })
    }
}

pub(super) fn read_table(row: &Row<'_>) -> rusqlite::Result<RawTable> {
    Ok(RawTable {
        id: row.get(0)?,
        name: TableName { project: row.get(1)?, schema: row.get(2)?, table: row.get(3)? },
        columns: row.get(4)?,
        partition_keys: row.get(5)?,
        created_ms: row.get(6)?,
        modified_ms: row.get(7)?,
        kind: row.get(8)?,
        properties: row.get(9)?,
        version: row.get(10)?,
        schema_version: row.get(11)?,
    })
}

fn find_table(connection: &Connection, name: &TableName) -> Result<Option<Table>> {
    find_raw(connection, name)?.map(RawTable::parse).transpose()
}

pub(super) fn find_raw(connection: &Connection, name: &TableName) -> Result<Option<RawTable>> {
    let mut statement =
        connection.prepare_cached(&format!("{SELECT_TABLE} where project = ?1 and schema = ?2 and name = ?3"))?;
    Ok(statement.query_row([&name.project, &name.schema, &name.table], read_table).optional()?)
}

/// Creates project and schema unless they exist.
pub(super) fn ensure_schema(connection: &Connection, project: &str, schema: &str) -> Result<()> {
    let now = now_ms();
    connection.execute("insert or ignore into projects values (?1, ?2)", params![project, now])?;
    for schema in ["default", schema] {
        connection.execute("insert or ignore into schemas values (?1, ?2, ?3)", params![project, schema, now])?;
    }
    Ok(())
}

/// Removes a table that is known to be there.
pub(super) fn remove_table(transaction: &Transaction<'_>, id: i64) -> Result<()> {
    drop_files(transaction, id, None, now_ms())?;
    transaction.execute("delete from partitions where table_id = ?1", [id])?;
    transaction.execute("delete from commits where table_id = ?1", [id])?;
    transaction.execute("delete from tables where id = ?1", [id])?;
    Ok(())
}

/// Adds a table that is known to be missing.
pub(super) fn insert_table(connection: &Connection, table: &NewTable) -> Result<i64> {
    let now = now_ms();
    let name = &table.name;
    ensure_schema(connection, &name.project, &name.schema)?;
    connection.execute(
        "insert into tables(project, schema, name, kind, columns, partition_keys, properties, version, schema_version,
           created_ms, modified_ms)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, 1, 1, ?8, ?8)",
        params![
            name.project,
            name.schema,
            name.table,
            table.kind.name(),
            serde_json::to_string(&table.columns)?,
            serde_json::to_string(&table.partition_keys)?,
            serde_json::to_string(&table.properties)?,
            now
        ],
    )?;
    let id = connection.last_insert_rowid();
    connection.execute("insert into commits(table_id, version, committed_ms) values (?1, 1, ?2)", params![id, now])?;
    Ok(id)
}
