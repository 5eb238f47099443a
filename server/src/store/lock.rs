//! The lock file that keeps the clean-up of one process away from unfinished files of another.

use std::fs::{File, TryLockError};
use std::path::Path;

use anyhow::{Context, Result};

use crate::catalog::Catalog;
use crate::private;

/// Held by a process that writes files no commit names yet. Released on drop, also by a crash.
pub struct RootLock {
    _file: File,
}

impl RootLock {
    /// Waits until no clean-up is running. Any number of writers may hold it at once.
    pub fn for_writing(root: &Path) -> Result<RootLock> {
        let file = open(root)?;
        file.lock_shared().with_context(|| format!("cannot lock {}", root.display()))?;
        Ok(RootLock { _file: file })
    }
}

/// Removes files that no commit names. Returns `None` if a writer is active, so that nothing was looked at.
pub fn clean(catalog: &Catalog) -> Result<Option<usize>> {
    let file = open(catalog.root())?;
    match file.try_lock() {
        Ok(()) => Ok(Some(catalog.remove_orphans()? + catalog.remove_blob_orphans()?)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(e)) => Err(e).context("cannot lock the root directory"),
    }
}

fn open(root: &Path) -> Result<File> {
    let path = root.join("writers.lock");
    if !root.is_dir() {
        private::directory(root)?;
    }
    private::ensure(&path).with_context(|| format!("cannot open {}", path.display()))?;
    File::options().write(true).open(&path).with_context(|| format!("cannot open {}", path.display()))
}
