//! `INSERT`, and every other way from rows of statements into a table.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Schema, SchemaRef, TimeUnit};

use super::ast::{Insert, Select, Source};
use super::context::{Context, short, values_of};
use super::error::{Position, SqlError};
use super::rows::Query;
use super::tables::demand_rows;
use crate::catalog::{Column, CommitRefusal, Destination, Table};
use crate::datum::{self, Datum};
use crate::error::ApiError;
use crate::store::PendingFiles;
use crate::types::{Stage, Units, arrow_type, conform};
use crate::write::{TableWriter, Target, WriteError, commit_rows};

pub fn insert(context: &Context, insert: Insert) -> Result<(), SqlError> {
    let (table, allowed) = context.table(&insert.name, "Update")?;
    let at = insert.name.at;
    demand_rows(&table, at)?;
    let partition = values_of(&table, &insert.spec, at)?;
    if !table.partition_keys.is_empty() && insert.spec.is_empty() {
        let what = format_args!("{} is partitioned: say PARTITION (..)", short(&table.name));
        return Err(SqlError::semantic(at, what));
    }
    let columns = target_columns(&table, &partition, &insert.columns, at)?;
    if insert.overwrite {
        allowed.whole()?;
    } else {
        let is_data = |column: &&Column| table.columns.contains(column);
        allowed.demand(columns.iter().filter(is_data).map(|column| column.name.as_str()))?;
    }
    let target = Target { partition, max_partitions: MAX_PARTITIONS, ..Target::table(table) };
    let mut sink = Sink::new(context, &target, columns)?;
    match insert.source {
        Source::Values(rows) => sink.values(rows, at)?,
        Source::Select(select) => sink.select(context, &select)?,
    }
    let rows = sink.finish()?;
    put(context, &target.table, &target.destination(insert.overwrite), rows)
}

/// Partitions that one statement may write (service-behaviour.md 1.2 has the number of a table).
const MAX_PARTITIONS: usize = 10_000;

/// Replaces all rows of a table by those of a query, in one step.
pub fn refill(context: &Context, table: &Table, select: &Select) -> Result<(), SqlError> {
    let rows = rows_of(context, table, select)?;
    // Without partition: also those that get no rows are emptied.
    let destination = Destination { partition: Vec::new(), ..Target::table(table.clone()).destination(true) };
    put(context, table, &destination, rows)
}

/// The rows of a query, whose columns have the names of the table's, written for a table that need not be there yet.
pub fn rows_of(context: &Context, table: &Table, select: &Select) -> Result<PendingFiles, SqlError> {
    let query = Query::new(context, select)?;
    // A view may call its columns otherwise; then their order counts, the partition columns apart.
    let all: Vec<Column> = table.columns.iter().chain(&table.partition_keys).cloned().collect();
    let by_name = query.columns.iter().map(|c| all.iter().find(|t| t.name.eq_ignore_ascii_case(&c.name)).cloned());
    let columns = by_name.collect::<Option<Vec<Column>>>().unwrap_or(all);
    let target = Target { max_partitions: MAX_PARTITIONS, ..Target::table(table.clone()) };
    let mut sink = Sink::new(context, &target, columns)?;
    sink.select(context, select)?;
    sink.finish()
}

/// Makes rows visible.
fn put(context: &Context, table: &Table, destination: &Destination, rows: PendingFiles) -> Result<(), SqlError> {
    let committed = commit_rows(&context.shared.catalog, destination, table, rows);
    committed.map(|_| ()).map_err(|error| match error.downcast_ref::<CommitRefusal>() {
        Some(refusal) => SqlError::runtime(refusal),
        None => SqlError::from(error),
    })
}

/// The columns that the rows of an `INSERT` bring, in their order: those that are named, or all data columns and then
/// the partition columns without a value.
fn target_columns(
    table: &Table,
    partition: &[Option<String>],
    named: &[String],
    at: Position,
) -> Result<Vec<Column>, SqlError> {
    let open = || table.partition_keys.iter().zip(partition).filter(|(_, value)| value.is_none()).map(|(key, _)| key);
    if named.is_empty() {
        return Ok(table.columns.iter().chain(open()).cloned().collect());
    }
    let mut columns: Vec<Column> = Vec::new();
    for name in named {
        let found = table.columns.iter().chain(open()).find(|column| column.name.eq_ignore_ascii_case(name));
        match found {
            Some(column) if !columns.contains(column) => columns.push(column.clone()),
            _ => {
                return Err(SqlError::semantic(
                    at,
                    format_args!("column {name} cannot be resolved, or is named twice"),
                ));
            }
        }
    }
    for key in open() {
        if !columns.contains(key) {
            columns.push(key.clone());
        }
    }
    Ok(columns)
}

/// Rows on their way into a table.
pub struct Sink<'a> {
    context: &'a Context,
    target: &'a Target,
    /// What the rows bring.
    columns: Vec<Column>,
    schema: SchemaRef,
    writer: TableWriter,
}

fn failed(error: WriteError) -> SqlError {
    SqlError::from(ApiError::from(error))
}

impl<'a> Sink<'a> {
    pub fn new(context: &'a Context, target: &'a Target, columns: Vec<Column>) -> Result<Sink<'a>, SqlError> {
        let units = Units { datetime: TimeUnit::Millisecond, timestamp: TimeUnit::Nanosecond };
        let fields = columns.iter().map(|column| Field::new(&column.name, arrow_type(&column.ty, units), true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let writer = TableWriter::new(&context.shared.catalog, target, &schema).map_err(failed)?;
        Ok(Sink { context, target, columns, schema, writer })
    }

    fn values(&mut self, rows: Vec<Vec<Datum>>, at: Position) -> Result<(), SqlError> {
        let mut by_column: Vec<Vec<Datum>> = vec![Vec::with_capacity(rows.len()); self.columns.len()];
        let count = rows.len();
        for (number, row) in rows.into_iter().enumerate() {
            self.check_count(row.len(), at)?;
            for ((value, column), values) in row.into_iter().zip(&self.columns).zip(&mut by_column) {
                let value = value.cast(&column.ty).map_err(|why| {
                    SqlError::semantic(at, format_args!("row {}, column {}: {why}", number + 1, column.name))
                })?;
                values.push(value);
            }
        }
        let mut arrays = Vec::with_capacity(by_column.len());
        for (values, column) in by_column.iter().zip(&self.columns) {
            arrays.push(datum::array(values, &column.ty)?);
        }
        self.write(arrays, count)
    }

    fn check_count(&self, found: usize, at: Position) -> Result<(), SqlError> {
        match self.columns.len() {
            wanted if wanted == found => Ok(()),
            wanted => {
                let what =
                    format_args!("{} takes {wanted} columns, but {found} are given", short(&self.target.table.name));
                Err(SqlError::semantic(at, what))
            }
        }
    }

    fn select(&mut self, context: &Context, select: &Select) -> Result<(), SqlError> {
        let query = Query::new(context, select)?;
        query.demand_entry(&self.target.table.name.project)?;
        self.check_count(query.columns.len(), select.at)?;
        query.run(|batch| {
            let mut arrays = Vec::with_capacity(self.columns.len());
            for ((array, from), to) in batch.columns().iter().zip(&query.columns).zip(&self.columns) {
                if from.ty == to.ty {
                    arrays.push(array.clone());
                    continue;
                }
                let mut values = Vec::with_capacity(array.len());
                for row in 0..array.len() {
                    let value = datum::at(array, row)?.cast(&to.ty);
                    values.push(value.map_err(|why| SqlError::runtime(format_args!("column {}: {why}", to.name)))?);
                }
                arrays.push(datum::array(&values, &to.ty)?);
            }
            self.write(arrays, batch.num_rows())
        })
    }

    /// Writes columns; arrays of literals may be of another unit than the rows announced.
    pub fn write(&mut self, arrays: Vec<ArrayRef>, rows: usize) -> Result<(), SqlError> {
        let wrong = |why: &dyn std::fmt::Display| SqlError::runtime(format_args!("rows: {why}"));
        let mut fitted = Vec::with_capacity(arrays.len());
        for ((array, column), field) in arrays.into_iter().zip(&self.columns).zip(self.schema.fields()) {
            let array = conform(&array, &column.ty, field.data_type(), Stage::Store);
            fitted.push(array.map_err(|why| wrong(&why))?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch =
            RecordBatch::try_new_with_options(self.schema.clone(), fitted, &options).map_err(|why| wrong(&why))?;
        self.writer.write(&batch).map_err(failed)
    }

    /// The rows, complete and synced, which nobody sees yet.
    fn finish(self) -> Result<PendingFiles, SqlError> {
        self.context.check_cancelled()?;
        Ok(self.writer.finish().map_err(failed)?.files)
    }
}
