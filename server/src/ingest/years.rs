//! Splits TPC-H orders by the year of their date.

use anyhow::{Context, Result};
use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::Date32Type;

use crate::types::temporal::civil_from_days;

/// The batch cut into one batch per year of `o_orderdate`, in ascending order of years.
pub fn split_by_year(batch: &RecordBatch) -> Result<Vec<(i64, RecordBatch)>> {
    let dates = batch.column_by_name("o_orderdate").context("orders have no o_orderdate")?;
    let dates = dates.as_primitive_opt::<Date32Type>().context("o_orderdate is not a date")?;
    let years: Vec<i64> = dates.values().iter().map(|days| civil_from_days(i64::from(*days)).0).collect();
    let mut present = years.clone();
    present.sort_unstable();
    present.dedup();
    let mut parts = Vec::new();
    for year in present {
        let mask: BooleanArray = years.iter().map(|y| Some(*y == year)).collect();
        parts.push((year, filter_record_batch(batch, &mask)?));
    }
    Ok(parts)
}
