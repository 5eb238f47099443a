//! `UPDATE` and `DELETE` of primary-key tables: new versions of the rows that a condition selects.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int8Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};

use super::ast::Change;
use super::context::{Context, short};
use super::error::SqlError;
use super::expr::fold;
use super::rows::{plan, predicate_columns};
use crate::catalog::{Arranged, Column, CommitRefusal, NewFile};
use crate::datum::{self, Datum};
use crate::error::ApiError;
use crate::governance::require_table;
use crate::read::Rows;
use crate::types::{Delivery, Stage, conform};
use crate::write::{OPERATION, OPERATION_DELETE, OPERATION_UPSERT, TableWriter, Target, WriteError, arranged};

/// Rows of a batch.
const BATCH_ROWS: usize = 4096;

/// Attempts to change rows while others commit to the same table.
const ATTEMPTS: usize = 10;

/// Changes the rows as they are at the commit: where others committed since they were read, they are read again.
pub fn change(context: &Context, change: Change) -> Result<(), SqlError> {
    for _ in 0..ATTEMPTS {
        context.check_cancelled()?;
        if attempt(context, &change)? {
            return Ok(());
        }
    }
    Err(SqlError::runtime(format_args!("conflict after {ATTEMPTS} attempts: {}", CommitRefusal::Stale)))
}

/// False if the table got another version meanwhile; then nothing has changed.
fn attempt(context: &Context, change: &Change) -> Result<bool, SqlError> {
    // Read before the plan is made, so that the plan is of this version or of one whose commit is refused.
    let (table, allowed) = context.table(&change.name, "Update")?;
    let at = change.name.at;
    if !table.has_primary_key() {
        let what =
            format_args!("{} has no primary key: this server changes rows of Delta tables only", short(&table.name));
        return Err(SqlError::semantic(at, what));
    }
    let mut values: Vec<(Column, Datum)> = Vec::new();
    for (name, expr) in change.set.iter().flatten() {
        let Some(column) = table.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name)) else {
            return Err(SqlError::semantic(expr.at, format_args!("column {name} cannot be set")));
        };
        if table.properties.primary_key.iter().any(|key| key.eq_ignore_ascii_case(name)) {
            return Err(SqlError::semantic(expr.at, format_args!("key column {name} cannot be set")));
        }
        // So there are no more of them than columns.
        if values.iter().any(|(set, _)| set.name == column.name) {
            return Err(SqlError::semantic(expr.at, format_args!("column {name} is set twice")));
        }
        let value = fold(expr.clone())?.cast(&column.ty).map_err(|why| SqlError::semantic(expr.at, why))?;
        values.push((column.clone(), value));
    }
    match &change.set {
        Some(_) => allowed.demand(values.iter().map(|(column, _)| column.name.as_str()))?,
        None => allowed.whole()?,
    }
    // Which rows change tells what their columns hold.
    let compared = predicate_columns(context, &table, change.filter.as_ref())?;
    if !compared.is_empty() {
        let readable = require_table(&context.shared, &context.caller, &table, "Select")?;
        readable.demand(compared.iter().map(String::as_str))?;
    }
    let plan = Arc::new(plan(context, &table, None, change.filter.as_ref(), &[])?);
    let Some(range) = plan.rows(0, plan.row_count()) else { return Ok(true) };
    let catalog = &context.shared.catalog;
    let mut fields: Vec<Field> =
        plan.schema().fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
    fields.push(Field::new(OPERATION, DataType::Int8, false));
    let schema = Arc::new(Schema::new(fields));
    let target = Target { max_partitions: usize::MAX, ..Target::table(table.clone()) };
    let failed = |error: WriteError| SqlError::from(ApiError::from(error));
    let mut writer = TableWriter::new(catalog, &target, &schema).map_err(failed)?;
    let operation = if change.set.is_some() { OPERATION_UPSERT } else { OPERATION_DELETE };
    let mut rows = Rows::new(catalog.clone(), context.shared.footers.clone(), plan, range, BATCH_ROWS);
    while let Some(batch) = rows.next_batch()? {
        context.check_cancelled()?;
        let mut columns: Vec<ArrayRef> = batch.columns().to_vec();
        for (column, value) in &values {
            let same: Vec<Datum> = vec![value.clone(); batch.num_rows()];
            if let Some(place) = crate::store::column_index(&schema, &column.name)
                && let Some(slot) = columns.get_mut(place)
            {
                let array = datum::array(&same, &column.ty)?;
                *slot = conform(&array, &column.ty, slot.data_type(), Stage::Wire(Delivery::default()))
                    .map_err(SqlError::runtime)?;
            }
        }
        columns.push(Arc::new(Int8Array::from(vec![operation; batch.num_rows()])));
        let changed = RecordBatch::try_new(schema.clone(), columns).map_err(SqlError::runtime)?;
        writer.write(&changed).map_err(failed)?;
    }
    let written = writer.finish().map_err(failed)?;
    let destination = target.destination(false);
    let files = arranged(catalog, &destination, &table, written.files)?;
    let commit = |files: &[NewFile]| {
        catalog.commit_arranged(&destination, Arranged { files, table_version: Some(table.version) })
    };
    match files.hand_over(catalog, commit) {
        Ok(_) => Ok(true),
        Err(error) => match error.downcast_ref::<CommitRefusal>() {
            Some(CommitRefusal::Stale) => Ok(false),
            Some(refusal) => Err(SqlError::runtime(refusal)),
            None => Err(SqlError::from(error)),
        },
    }
}
