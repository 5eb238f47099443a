//! Parquet footers by file id, read once and kept.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::sync::{PoisonError, RwLock};

use anyhow::{Context, Result};
use arrow::datatypes::Schema;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};

/// Footers kept at most; when full, all are forgotten.
const CAPACITY: usize = 4096;

/// The place of a column in a data file. Names are compared without case, as everywhere: an appended file keeps the
/// spelling it was written with.
pub fn column_index(schema: &Schema, name: &str) -> Option<usize> {
    schema.fields().iter().position(|field| field.name().eq_ignore_ascii_case(name))
}

/// A cache of footers. Files are immutable and ids are never reused, so an entry is never stale.
#[derive(Default)]
pub struct Footers {
    cache: RwLock<HashMap<String, ArrowReaderMetadata>>,
}

impl Footers {
    /// The footer of a file; reads it if it is not in the cache.
    pub fn get(&self, file_id: &str, path: &Path) -> Result<ArrowReaderMetadata> {
        if let Some(found) = self.cache.read().unwrap_or_else(PoisonError::into_inner).get(file_id) {
            return Ok(found.clone());
        }
        let file = File::open(path).with_context(|| format!("cannot open data file {}", path.display()))?;
        let footer = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new())
            .with_context(|| format!("cannot read the footer of {}", path.display()))?;
        let mut cache = self.cache.write().unwrap_or_else(PoisonError::into_inner);
        if cache.len() >= CAPACITY {
            cache.clear();
        }
        cache.insert(file_id.to_string(), footer.clone());
        Ok(footer)
    }
}
