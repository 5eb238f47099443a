//! Primary-key Delta tables: which row of a key counts, and what changed between two versions.
//!
//! The files of such a table hold operations: all data columns plus `__operation`; a file without that column holds
//! upserts only. Inside a bucket of a partition they apply in the order of their commits, inside a commit in the order
//! of writing; the last operation on a key wins. A read never rewrites anything: it looks at the keys once, finds out
//! which stored rows are visible, and from then on reads exactly those.

mod bucket;
mod changes;
mod keys;
mod merge;
#[cfg(test)]
mod property_test;
mod range;
mod visible;

pub use bucket::{Bucket, BucketFile};
pub use changes::{ChangeRow, TooManyChanges, changes};
pub use range::{ChangeMode, IncrementalOptions, IncrementalRange, META_OPERATION, META_TIMESTAMP, system_columns};
pub use visible::visible;
