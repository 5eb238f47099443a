//! Immutable Parquet files under the root: writing them, and knowing what their footers say.

mod footers;
mod lock;
mod writer;

pub use footers::Footers;
pub use lock::{RootLock, clean};
pub use writer::{BLOCK_ROWS, TableWriter};
