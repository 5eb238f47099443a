//! Parquet footers by file id, read once and kept.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::{Context, Result};
use arrow::datatypes::Schema;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};

use super::keyring::{FileKey, Keyring};

/// Footers kept at most; when full, all are forgotten.
const CAPACITY: usize = 4096;

/// The place of a column in a data file. Names are compared without case, as everywhere: an appended file keeps the
/// spelling it was written with.
pub fn column_index(schema: &Schema, name: &str) -> Option<usize> {
    schema.fields().iter().position(|field| field.name().eq_ignore_ascii_case(name))
}

/// A cache of footers. Files are immutable and ids are never reused, so an entry is never stale.
pub struct Footers {
    keyring: Arc<Keyring>,
    cache: RwLock<HashMap<String, Footer>>,
}

/// A footer, and the id of the key if the file is encrypted.
type Footer = (ArrowReaderMetadata, Option<String>);

impl Footers {
    /// No footers yet.
    pub fn new(keyring: &Arc<Keyring>) -> Footers {
        Footers { keyring: keyring.clone(), cache: RwLock::default() }
    }

    /// The footer of a file; reads it if it is not in the cache.
    pub fn get(&self, file_id: &str, path: &Path) -> Result<ArrowReaderMetadata> {
        let cached = self.cache.read().unwrap_or_else(PoisonError::into_inner).get(file_id).cloned();
        if let Some((footer, key)) = cached {
            // A footer holds the secret of its file, which may have been disabled since.
            if let Some(key) = key {
                self.keyring.check_key(&key)?;
            }
            return Ok(footer);
        }
        let file = File::open(path).with_context(|| format!("cannot open data file {}", path.display()))?;
        let key = FileKey::new(&self.keyring);
        let options = ArrowReaderOptions::new().with_file_decryption_properties(key.decryption()?);
        let loaded = ArrowReaderMetadata::load(&file, options);
        let (id, refusal) = key.take();
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        let footer = loaded.with_context(|| format!("cannot read the footer of {}", path.display()))?;
        let mut cache = self.cache.write().unwrap_or_else(PoisonError::into_inner);
        if cache.len() >= CAPACITY {
            cache.clear();
        }
        cache.insert(file_id.to_string(), (footer.clone(), id));
        Ok(footer)
    }
}
