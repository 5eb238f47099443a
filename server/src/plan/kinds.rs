//! Which tables can be read, and in which modes: service-behaviour.md 1.1 and 1.5.

use super::planner::Limits;
use super::request::{CreateRequest, SplitMode};
use crate::catalog::Table;
use crate::error::ApiError;

/// Refuses tables that have no rows of their own. Every protocol asks before it reads or writes rows.
pub fn demand_rows(table: &Table) -> Result<(), ApiError> {
    if table.kind.stores_rows() {
        return Ok(());
    }
    let message = format!("{} is a {}: the Storage API reads and writes no such tables", table.name, table.kind.name());
    Err(ApiError::new(405, "MethodNotAllowed", message))
}

/// Refuses split modes and buckets that do not go with the kind of the table.
pub fn check_mode(table: &Table, request: &CreateRequest, limits: Limits) -> Result<(), ApiError> {
    let mode = request.split_options.split_mode;
    let refuse = |why: String| Err(ApiError::argument(format!("SplitMode {mode:?}: {} {why}", table.name)));
    if request.is_incremental() && !table.has_primary_key() {
        return Err(ApiError::argument(format!("IncrementalRead: {} has no primary key", table.name)));
    }
    let buckets = table.bucket_count();
    if buckets.is_none() {
        if mode == SplitMode::Bucket {
            return refuse("has no buckets".into());
        }
        if !request.required_bucket_ids.is_empty() {
            return Err(ApiError::argument(format!("RequiredBucketIds: {} has no buckets", table.name)));
        }
    }
    // A range-clustered table may not know its number of buckets.
    let known = buckets.filter(|count| *count > 0).map_or(i64::MAX, i64::from);
    if let Some(id) = request.required_bucket_ids.iter().find(|id| !(0..known).contains(*id)) {
        let count = if known == i64::MAX { "some".to_string() } else { known.to_string() };
        return Err(ApiError::argument(format!("RequiredBucketIds: {} has {count} buckets, not {id}", table.name)));
    }
    if request.is_incremental() {
        return if mode == SplitMode::Bucket {
            Ok(())
        } else {
            refuse("is read incrementally in mode Bucket only".into())
        };
    }
    let rows_only = table.properties.transactional && (!table.has_primary_key() || limits.strict_delta);
    if rows_only && mode != SplitMode::RowOffset {
        return refuse("is transactional and read in mode RowOffset only".into());
    }
    Ok(())
}
