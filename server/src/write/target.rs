//! What rows are written into, and by which rules.

use arrow::datatypes::TimeUnit;

use super::bounds::Bounds;
use super::partitions::Invalid;
use crate::catalog::{Destination, Table};
use crate::error::ApiError;
use crate::plan::{parse_spec, partition_value};
use crate::store::BLOCK_ROWS;

/// The column of a primary-key table's files that says what a row does.
pub const OPERATION: &str = "__operation";
/// The row replaces the one with its key, or is new.
pub const OPERATION_UPSERT: i8 = 85;
/// The row with this key is gone.
pub const OPERATION_DELETE: i8 = 68;

/// Longest text or binary value if nobody says otherwise (service-behaviour.md 3.6).
const MAX_FIELD_BYTES: usize = 8 << 20;

/// Partitions of one write at most if nobody says otherwise.
const MAX_PARTITIONS: usize = 512;

/// How the columns of a batch find the columns of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matching {
    /// By name without case. Nullable columns may be missing and become NULL.
    Name,
    /// By position: data columns, then the partition columns that each row brings. Names mean nothing.
    Position,
}

/// What rows are written into, and by which rules.
#[derive(Clone, Debug)]
pub struct Target {
    pub table: Table,
    /// A value per partition column; `None` where each row brings its own. In the form the catalogue stores.
    pub partition: Vec<Option<String>>,
    pub matching: Matching,
    /// The units that DATETIME and TIMESTAMP columns must have; `None` takes any.
    pub units: Option<(TimeUnit, TimeUnit)>,
    pub max_field_bytes: usize,
    /// What happens to rows whose partition values are NULL, empty or not of their type.
    pub invalid: Invalid,
    pub max_partitions: usize,
    pub block_rows: usize,
    /// Refuse rows that do not come in the order of a clustered table.
    pub check_order: bool,
    /// Boundaries of the buckets of a range-clustered table; without them rows get no bucket yet.
    pub bounds: Option<Bounds>,
}

impl Target {
    /// A table as a whole: every row brings all its partition values. Default rules, columns by name.
    pub fn table(table: Table) -> Target {
        Target {
            partition: vec![None; table.partition_keys.len()],
            table,
            matching: Matching::Name,
            units: None,
            max_field_bytes: MAX_FIELD_BYTES,
            invalid: Invalid::Fail,
            max_partitions: MAX_PARTITIONS,
            block_rows: BLOCK_ROWS,
            check_order: false,
            bounds: None,
        }
    }

    /// A partition named by a spec, which may leave out partition columns; the empty text is the table as a whole.
    pub fn partition(table: Table, spec: &str) -> Result<Target, ApiError> {
        let bad = |why: String| ApiError::new(400, "InvalidPartitionSpec", format!("{}: {why}", table.name));
        let mut partition = vec![None; table.partition_keys.len()];
        let pairs = if spec.trim().is_empty() { Vec::new() } else { parse_spec(spec).map_err(bad)? };
        for (key, value) in pairs {
            let found =
                table.partition_keys.iter().zip(&mut partition).find(|(k, _)| k.name.eq_ignore_ascii_case(&key));
            let Some((column, slot)) = found else {
                return Err(bad(format!("{key} in \"{spec}\" is not a partition column")));
            };
            *slot = Some(partition_value(&value, &column.ty).map_err(|e| bad(format!("{key} in \"{spec}\": {e}")))?);
        }
        Ok(Target { partition, ..Target::table(table) })
    }

    /// Where the rows go, for a commit.
    pub fn destination(&self, overwrite: bool) -> Destination {
        Destination {
            table_id: self.table.id,
            schema_version: self.table.schema_version,
            partition: self.partition.clone(),
            overwrite,
        }
    }
}
