//! Partitions TPC-H orders by the year of their date.

use std::sync::Arc;

use arrow::array::{AsArray, Int32Array, RecordBatch};
use arrow::datatypes::{DataType, Date32Type, Field, Schema};
use arrow::error::ArrowError;

use crate::types::temporal::civil_from_days;

/// The partition column of `orders_by_year`.
pub const YEAR: &str = "o_orderyear";

/// The batch with the year of `o_orderdate` as its last column.
pub fn add_year(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let dates = batch.column_by_name("o_orderdate").and_then(|dates| dates.as_primitive_opt::<Date32Type>());
    let dates = dates.ok_or_else(|| ArrowError::SchemaError("orders have no date o_orderdate".into()))?;
    let years: Int32Array =
        dates.iter().map(|days| days.map(|days| civil_from_days(i64::from(days)).0 as i32)).collect();
    let mut fields = batch.schema_ref().fields().to_vec();
    fields.push(Arc::new(Field::new(YEAR, DataType::Int32, true)));
    let mut columns = batch.columns().to_vec();
    columns.push(Arc::new(years));
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}
