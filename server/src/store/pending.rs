//! Files that are written and not yet named by the catalogue.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::RootLock;
use crate::catalog::{Catalog, NewFile};

/// Data files that no reader can see yet. Dropped before [`PendingFiles::hand_over`] succeeded, it removes them. Clean-up
/// by another process spares them meanwhile.
pub struct PendingFiles {
    dir: PathBuf,
    files: Vec<NewFile>,
    /// Ids of the blobs that each file refers to.
    blobs: HashMap<String, HashSet<String>>,
    _lock: RootLock,
}

impl PendingFiles {
    /// No files yet. Waits for a clean-up that is running.
    pub fn new(catalog: &Catalog) -> Result<PendingFiles> {
        let _lock = RootLock::for_writing(catalog.root())?;
        Ok(PendingFiles { dir: catalog.data_dir(), files: Vec::new(), blobs: HashMap::new(), _lock })
    }

    /// Where the files lie.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Takes charge of a file that is about to be written. Returns its number.
    pub fn push(&mut self, file: NewFile) -> usize {
        self.files.push(file);
        self.files.len() - 1
    }

    /// The file of that number.
    pub fn get_mut(&mut self, number: usize) -> Option<&mut NewFile> {
        self.files.get_mut(number)
    }

    /// Notes that a row of the file of that number refers to a blob.
    pub fn refer(&mut self, number: usize, blob: &str) {
        let Some(file) = self.files.get(number) else { return };
        match self.blobs.get_mut(&file.id) {
            Some(known) if known.contains(blob) => {}
            Some(known) => {
                known.insert(blob.to_string());
            }
            None => {
                self.blobs.insert(file.id.clone(), HashSet::from([blob.to_string()]));
            }
        }
    }

    /// All files.
    pub fn files(&self) -> &[NewFile] {
        &self.files
    }

    /// Takes charge of all files of `other`.
    pub fn append(&mut self, mut other: PendingFiles) {
        self.files.append(&mut other.files);
        self.blobs.extend(other.blobs.drain());
    }

    /// Lets `name` make the catalogue name all files (a commit, or a write session), or none and removes them.
    pub fn hand_over<T>(mut self, catalog: &Catalog, name: impl FnOnce(&[NewFile]) -> Result<T>) -> Result<T> {
        if !self.blobs.is_empty() {
            // Before the catalogue names the files, so that no blob is missing that a visible row refers to.
            let references = self.blobs.iter().flat_map(|(file, blobs)| blobs.iter().map(|blob| (&**file, &**blob)));
            catalog.note_blobs(references)?;
        }
        let result = name(&self.files);
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
