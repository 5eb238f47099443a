//! Files in the directory of blobs: blobs, and uploads until they are taken apart.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use anyhow::{Context, Result};

use crate::private;
use crate::store::{SealedReader, SealedWriter, Secret};

/// A new file, encrypted if there is a key.
pub enum BlobWriter {
    Plain(File),
    Sealed(Box<SealedWriter>),
}

impl BlobWriter {
    /// Creates the file of that name, which is not there yet.
    pub fn create(dir: &Path, name: &str, secret: Option<&Secret>) -> Result<BlobWriter> {
        let path = dir.join(name);
        let file = private::create_new(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(match secret {
            Some(secret) => BlobWriter::Sealed(Box::new(SealedWriter::new(file, secret, name)?)),
            None => BlobWriter::Plain(file),
        })
    }

    /// Completes the file, which is not synced yet.
    pub fn finish(self) -> io::Result<File> {
        match self {
            BlobWriter::Plain(file) => Ok(file),
            BlobWriter::Sealed(writer) => writer.finish(),
        }
    }
}

impl Write for BlobWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            BlobWriter::Plain(file) => file.write(bytes),
            BlobWriter::Sealed(writer) => writer.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            BlobWriter::Plain(file) => file.flush(),
            BlobWriter::Sealed(writer) => writer.flush(),
        }
    }
}

/// The bytes of a file. With a key they are what was written, or reading fails.
pub fn open(dir: &Path, name: &str, secret: Option<&Secret>) -> Result<Box<dyn Read + Send>> {
    let path = dir.join(name);
    let file = File::open(&path).with_context(|| format!("cannot open blob {}", path.display()))?;
    Ok(match secret {
        Some(secret) => Box::new(SealedReader::new(file, secret, name)?),
        None => Box::new(file),
    })
}
