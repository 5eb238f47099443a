//! Getting data in: Parquet files from elsewhere, and generated TPC-H tables.

mod load;
mod progress;
mod tpch;
mod years;

pub use load::{LoadOptions, load};
pub use progress::Progress;
pub use tpch::{IfTableExists, TpchOptions, tpch};
