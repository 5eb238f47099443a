//! Timestamps that 64 bits of nanoseconds cannot hold.

use anyhow::{Context, Result};
use arrow::datatypes::{DataType, TimeUnit};

use crate::catalog::Catalog;
use crate::filter::{Value, of_file};
use crate::plan::{Plan, RowRange, TimeUnitName};
use crate::store::{Footers, column_index};
use crate::types::Type;

/// Whether a TIMESTAMP column of these rows may have values that do not fit the nanoseconds the session asks for, by the
/// statistics of its files. Nested values are not looked at: they become the nearest that fit.
pub fn timestamps_overflow(catalog: &Catalog, footers: &Footers, plan: &Plan, range: &RowRange) -> Result<bool> {
    let columns = plan.columns.iter().map(|output| &output.column);
    let mut columns = columns.filter(|column| matches!(column.ty, Type::Timestamp | Type::TimestampNtz)).peekable();
    if plan.timestamp_unit != TimeUnitName::Nano || columns.peek().is_none() || plan.choice.range.is_some() {
        return Ok(false);
    }
    let columns: Vec<_> = columns.collect();
    let blocks = plan.blocks.get(range.blocks.clone()).context("a stored session is damaged: unknown block")?;
    for of_one_file in blocks.chunk_by(|a, b| a.0 == b.0) {
        let Some((number, ..)) = of_one_file.first() else { continue };
        let file = plan.files.get(*number).context("a stored session is damaged: unknown file number")?;
        let footer = footers.get(&file.id, &catalog.file_path(&file.id))?;
        for column in &columns {
            let stored = column_index(footer.schema(), &column.name).map(|at| footer.schema().field(at).data_type());
            if !matches!(stored, Some(DataType::Timestamp(unit, _)) if *unit != TimeUnit::Nanosecond) {
                continue;
            }
            let facts = of_file(&footer, column);
            let of_read = of_one_file.iter().filter_map(|(_, group, _)| facts.get(*group)?.range.as_ref());
            let fits = |value: &Value| !matches!(value, Value::Instant(nanos) if i64::try_from(*nanos).is_err());
            if of_read.into_iter().any(|(low, high)| !fits(low) || !fits(high)) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}
