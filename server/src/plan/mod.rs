//! From a create-session request to a plan: which columns, which files, which blocks, which splits.

mod buckets;
mod candidates;
mod chosen;
mod columns;
mod incremental;
mod kinds;
mod partitions;
mod planner;
mod reading;
mod request;
mod session;
mod shuffle;
mod splits;

pub use chosen::Chosen;
pub use columns::OutputColumn;
#[cfg(test)]
pub use columns::column_ids;
pub use kinds::demand_rows;
pub use partitions::{parse_spec, partition_cell, partition_value};
pub use planner::{Limits, Planner};
pub use reading::{FilterMode, JsonColumns, Reading};
pub use request::{CreateRequest, SplitMode, TimeUnitName};
pub use session::{Plan, PlanFile, RowRange};
