//! Rows on their way into a table: what v1 blocks, v2 streams, SQL INSERT, tunnel uploads, `load` and `tpch` share.
//!
//! A [`TableWriter`] takes Arrow batches for one [`Target`], checks and converts them, finds the partition and the bucket
//! of each row, and writes Parquet files with bounded memory. Its files are invisible until the catalogue names them:
//! [`commit_rows`] at once, or [`crate::catalog::Catalog::stage`] and later [`commit_session`].

mod arrange;
mod blocks;
mod body;
mod bounds;
mod cells;
mod error;
mod flying;
mod hash;
mod intake;
mod later;
mod layout;
mod merge;
mod order;
mod partitions;
#[cfg(test)]
mod property_test;
mod sizes;
mod target;
#[cfg(test)]
mod tests;
mod waiting;
mod writer;

pub use arrange::{arranged, commit_rows, commit_session, commit_with};
pub use blocks::{Attempt, BlockOptions, CommitRequest, MAX_BLOCKS, choose, demand_open, stage_block};
pub use body::{drain, receive};
pub use later::{commit_when_due, resume_commits};

pub use error::WriteError;
pub use flying::{Flight, Flying};
pub use hash::{Cell, Hash, is_hashable};
pub use layout::{Distribution, Layout};
pub use target::{Matching, OPERATION, OPERATION_DELETE, OPERATION_UPSERT, Target};
pub use writer::{TableWriter, Written};
