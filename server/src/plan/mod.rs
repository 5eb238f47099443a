//! From a create-session request to a plan: which columns, which files, which blocks, which splits.

mod columns;
mod partitions;
mod request;
mod session;
mod splits;

pub use columns::OutputColumn;
pub use partitions::{parse_spec, partition_value};
pub use request::{CreateRequest, SplitMode, TimeUnitName};
pub use session::{Limits, Plan, PlanFile, Planner, RowRange, predicate_columns};
