//! Columns with one value in all rows: what a partition column looks like in a batch.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use arrow::array::{ArrayRef, Date32Array, Int8Array, Int16Array, Int32Array, Int64Array, StringArray};

use crate::types::Type;
use crate::types::temporal::parse_date;

/// `rows` times the partition value `text`, in the Arrow layout of `ty`.
pub fn constant(text: &str, ty: &Type, rows: usize) -> Result<ArrayRef> {
    let broken = || format!("partition value \"{text}\" is not a {ty}");
    Ok(match ty {
        Type::TinyInt => Arc::new(Int8Array::from_value(text.parse().with_context(broken)?, rows)),
        Type::SmallInt => Arc::new(Int16Array::from_value(text.parse().with_context(broken)?, rows)),
        Type::Int => Arc::new(Int32Array::from_value(text.parse().with_context(broken)?, rows)),
        Type::BigInt => Arc::new(Int64Array::from_value(text.parse().with_context(broken)?, rows)),
        Type::Date => {
            let days = parse_date(text).and_then(|days| i32::try_from(days).ok()).with_context(broken)?;
            Arc::new(Date32Array::from_value(days, rows))
        }
        Type::String | Type::Varchar(_) | Type::Char(_) => {
            Arc::new(StringArray::from_iter_values(std::iter::repeat_n(text, rows)))
        }
        other => bail!("a partition column of type {other}"),
    })
}
