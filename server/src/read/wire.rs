//! From stored rows to the layout of the answer.

use anyhow::{Context, Result, bail};
use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::datatypes::{Schema, SchemaRef};

use super::constants::constant;
use crate::catalog::Column;
use crate::plan::Plan;
use crate::store::column_index;
use crate::types::{Stage, conform};

/// The place of a column in a data file; `None` if the file is older than the column, whose values are NULL then.
pub fn place(schema: &Schema, column: &Column) -> Result<Option<usize>> {
    match column_index(schema, &column.name) {
        None if !column.nullable => bail!("no column {}", column.name),
        found => Ok(found),
    }
}

/// The columns that a plan delivers, of rows in the partition `partition`.
pub fn wire_columns(plan: &Plan, schema: &Schema, batch: &RecordBatch, partition: &[String]) -> Result<Vec<ArrayRef>> {
    let mut arrays: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
    for (output, field) in plan.columns.iter().zip(schema.fields()) {
        let column = &output.column;
        let array = match output.partition_index {
            Some(index) => {
                let value = partition.get(index).context("a stored session is damaged: partition value")?;
                constant(value, &column.ty, batch.num_rows())?
            }
            None => match place(batch.schema_ref(), column)? {
                Some(place) => batch.column(place).clone(),
                None => {
                    arrays.push(new_null_array(field.data_type(), batch.num_rows()));
                    continue;
                }
            },
        };
        let array = conform(&array, &column.ty, field.data_type(), Stage::Wire(plan.delivery))
            .with_context(|| format!("column {}", column.name))?;
        arrays.push(array);
    }
    Ok(arrays)
}

/// A batch of the answer.
pub fn to_wire(plan: &Plan, schema: &SchemaRef, batch: &RecordBatch, partition: &[String]) -> Result<RecordBatch> {
    let arrays = wire_columns(plan, schema, batch, partition)?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(schema.clone(), arrays, &options)?)
}
