//! Blobs on their way into the directory of blobs.

use std::io::{BufWriter, ErrorKind, Read, Write};
use std::path::PathBuf;

use anyhow::Context;
use md5::{Digest, Md5};

use super::body::unreadable;
use super::file::BlobWriter;
use crate::catalog::{Blob, Catalog};
use crate::error::ApiError;
use crate::store::{RootLock, Secret, new_file_id, sync_dir};

const BUFFER_BYTES: usize = 256 << 10;

/// Blobs that the catalogue does not name yet. Dropped before [`PendingBlobs::hand_over`] succeeded, it removes them.
pub struct PendingBlobs {
    dir: PathBuf,
    blobs: Vec<Blob>,
    session: String,
    project: String,
    secret: Option<Secret>,
    _lock: RootLock,
}

/// What is known of stored bytes.
pub struct Sums {
    pub bytes: u64,
    /// Lower-case hexadecimal.
    pub md5: String,
    /// CRC-32 with the polynomial of IEEE 802.3.
    pub crc32: u32,
}

impl PendingBlobs {
    /// No blobs yet, for a session of a project; encrypted if there is a key. Waits for a clean-up that is running.
    pub fn new(
        catalog: &Catalog,
        session: String,
        project: String,
        secret: Option<Secret>,
    ) -> anyhow::Result<PendingBlobs> {
        let _lock = RootLock::for_writing(catalog.root())?;
        Ok(PendingBlobs { dir: catalog.blob_dir(), blobs: Vec::new(), session, project, secret, _lock })
    }

    /// Stores and syncs the bytes of `source`, which end where it ends.
    pub fn store(
        &mut self,
        source: &mut dyn Read,
        content_type: Option<String>,
        file_name: Option<String>,
    ) -> Result<Sums, ApiError> {
        let blob = Blob {
            id: new_file_id(),
            session: self.session.clone(),
            project: self.project.clone(),
            key: self.secret.as_ref().map(|secret| secret.id.clone()),
            bytes: 0,
            content_type,
            file_name,
        };
        let target = BlobWriter::create(&self.dir, &blob.id, self.secret.as_ref());
        self.blobs.push(blob);
        let sums = copy(source, target?)?;
        if let Some(blob) = self.blobs.last_mut() {
            blob.bytes = sums.bytes;
        }
        Ok(sums)
    }

    /// Gives the blobs to the catalogue, all or none. Returns their ids in the order in which they were stored.
    pub fn hand_over(mut self, catalog: &Catalog) -> anyhow::Result<Vec<String>> {
        sync_dir(&self.dir)?;
        let result = catalog.insert_blobs(&self.blobs);
        // A failed commit may have reached the disk all the same, so the catalogue is asked before anything is removed.
        let named = match (&result, self.blobs.first()) {
            (Err(_), Some(blob)) => catalog.blob(&blob.id).map_or(true, |found| found.is_some()),
            _ => true,
        };
        let ids = self.blobs.iter().map(|blob| blob.id.clone()).collect();
        if named {
            self.blobs.clear();
        }
        result.map(|()| ids)
    }
}

impl Drop for PendingBlobs {
    fn drop(&mut self) {
        for blob in &self.blobs {
            // Best effort: what stays behind is removed at the next start of `serve`.
            let _ = std::fs::remove_file(self.dir.join(&blob.id));
        }
    }
}

fn copy(source: &mut dyn Read, target: BlobWriter) -> Result<Sums, ApiError> {
    let mut target = BufWriter::with_capacity(BUFFER_BYTES, target);
    let (mut md5, mut crc32, mut bytes) = (Md5::new(), crc32fast::Hasher::new(), 0);
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let count = match source.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(unreadable(&error)),
        };
        let piece = buffer.get(..count).unwrap_or_default();
        md5.update(piece);
        crc32.update(piece);
        bytes += count as u64;
        target.write_all(piece).context("cannot write a blob")?;
    }
    let target = target.into_inner().map_err(|error| error.into_error()).context("cannot write a blob")?;
    target.finish().and_then(|file| file.sync_all()).context("cannot complete a blob")?;
    let md5 = md5.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Sums { bytes, md5, crc32: crc32.finalize() })
}
