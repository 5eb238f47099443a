//! Immutable Parquet files under the root: writing them, and knowing what their footers say.

mod footers;
mod gather;
mod keyring;
mod lock;
mod pending;
mod sealed;
mod sizing;
mod writer;

pub use footers::{Footers, column_index};
pub use gather::{Gathered, gather};
pub use keyring::{KeyDisabled, Keyring, Secret};
pub use lock::{RootLock, clean};
pub use pending::PendingFiles;
pub use sealed::{SealedReader, SealedWriter, sealed_length};
pub use sizing::batch_rows;
pub use writer::{BLOCK_ROWS, FileWriter, new_file_id, sync_dir};
