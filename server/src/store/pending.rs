//! Files that are written and not yet committed.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::catalog::{Catalog, Change, NewFile};

/// Data files that no reader can see yet. Dropped before [`PendingFiles::commit`] succeeded, it removes them.
pub struct PendingFiles {
    dir: PathBuf,
    files: Vec<NewFile>,
}

impl PendingFiles {
    /// No files yet; those to come lie in `dir`.
    pub fn new(dir: &Path) -> PendingFiles {
        PendingFiles { dir: dir.to_path_buf(), files: Vec::new() }
    }

    /// Takes charge of a file that is about to be written.
    pub fn push(&mut self, file: NewFile) {
        self.files.push(file);
    }

    /// The file that was pushed last.
    pub fn last_mut(&mut self) -> Option<&mut NewFile> {
        self.files.last_mut()
    }

    /// Takes charge of all files of `other`.
    pub fn append(&mut self, mut other: PendingFiles) {
        self.files.append(&mut other.files);
    }

    /// Makes all files visible, or none and removes them.
    pub fn commit(mut self, catalog: &Catalog, change: &Change) -> Result<()> {
        let result = catalog.commit(change, &self.files);
        // A failed commit may have reached the disk all the same, so the catalogue is asked before anything is removed.
        let named = match (&result, self.files.first()) {
            (Err(_), Some(file)) => catalog.names_file(&file.id).unwrap_or(true),
            _ => true,
        };
        if named {
            self.files.clear();
        }
        result
    }
}

impl Drop for PendingFiles {
    fn drop(&mut self) {
        for file in &self.files {
            // Best effort: what stays behind is removed at the next start of `serve`.
            let _ = std::fs::remove_file(self.dir.join(format!("{}.parquet", file.id)));
        }
    }
}
