//! Files of bytes that cannot be read, nor changed unnoticed, without the key of their project.
//!
//! Each file has a key of its own, which stands at its start, wrapped under the key of the project together with the name
//! of the file. The bytes follow in chunks, encrypted and authenticated one by one (AES-256-GCM). The nonce of a chunk is
//! its number and whether it is the last: chunks cannot change places, and a file that ends early has no last chunk. So
//! nothing is handed out that was not checked, and neither side holds more than a chunk.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Error, ErrorKind, Read, Write};

use anyhow::{Context, Result};
use ring::aead::{Aad, LessSafeKey, Nonce};

use super::keyring::{Secret, WRAPPED, cipher, random, unwrap, wrap};

/// Bytes of a chunk before it is encrypted; only the last one is shorter.
const CHUNK: usize = 64 << 10;
const TAG: usize = 16;

/// How long a file of so many bytes is.
pub fn sealed_length(bytes: u64) -> u64 {
    let chunks = bytes.div_ceil(CHUNK as u64).max(1);
    WRAPPED as u64 + bytes + chunks * TAG as u64
}

fn nonce(number: u32, is_last: bool) -> Nonce {
    let mut nonce = [0; 12];
    for (place, byte) in nonce.iter_mut().zip(number.to_be_bytes().into_iter().chain([u8::from(is_last)])) {
        *place = byte;
    }
    Nonce::assume_unique_for_key(nonce)
}

/// Writes a file. What was written counts only after [`SealedWriter::finish`].
pub struct SealedWriter {
    file: File,
    key: LessSafeKey,
    /// A chunk that may be the last one.
    chunk: Vec<u8>,
    number: u32,
}

impl SealedWriter {
    /// `name` is that of the file: under another one it cannot be read.
    pub fn new(mut file: File, secret: &Secret, name: &str) -> Result<SealedWriter> {
        let key = random()?;
        file.write_all(&wrap(&secret.bytes, &key, name)?).context("cannot write an encrypted file")?;
        Ok(SealedWriter { file, key: cipher(&key)?, chunk: Vec::with_capacity(CHUNK + TAG), number: 0 })
    }

    fn seal(&mut self, is_last: bool) -> io::Result<()> {
        let nonce = nonce(self.number, is_last);
        let sealed = self.key.seal_in_place_append_tag(nonce, Aad::empty(), &mut self.chunk);
        sealed.map_err(|_| Error::other("cannot encrypt"))?;
        self.file.write_all(&self.chunk)?;
        self.chunk.clear();
        self.number = self.number.checked_add(1).ok_or_else(|| Error::other("the file is too long"))?;
        Ok(())
    }

    /// Writes the last chunk.
    pub fn finish(mut self) -> io::Result<File> {
        self.seal(true)?;
        Ok(self.file)
    }
}

impl Write for SealedWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.chunk.len() == CHUNK && !bytes.is_empty() {
            self.seal(false)?;
        }
        let (taken, _) = bytes.split_at(bytes.len().min(CHUNK - self.chunk.len()));
        self.chunk.extend_from_slice(taken);
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Reads a file; fails where it is not what was written.
pub struct SealedReader {
    file: BufReader<File>,
    key: LessSafeKey,
    /// What is left of the chunk that was read last begins at `at`.
    chunk: Vec<u8>,
    at: usize,
    number: u32,
    finished: bool,
}

impl SealedReader {
    /// The file must have been written with the same key and name.
    pub fn new(file: File, secret: &Secret, name: &str) -> Result<SealedReader> {
        let mut file = BufReader::with_capacity(CHUNK + TAG, file);
        let mut wrapped = vec![0; WRAPPED];
        file.read_exact(&mut wrapped).context("an encrypted file has no key")?;
        let key = cipher(&unwrap(&secret.bytes, wrapped, name)?)?;
        Ok(SealedReader { file, key, chunk: Vec::new(), at: 0, number: 0, finished: false })
    }

    fn next_chunk(&mut self) -> io::Result<()> {
        self.chunk.clear();
        self.at = 0;
        self.file.by_ref().take((CHUNK + TAG) as u64).read_to_end(&mut self.chunk)?;
        let is_last = self.file.fill_buf()?.is_empty();
        let opened = self.key.open_in_place(nonce(self.number, is_last), Aad::empty(), &mut self.chunk);
        let damaged = |_| Error::new(ErrorKind::InvalidData, "an encrypted file is damaged, or was changed");
        let length = opened.map_err(damaged)?.len();
        self.chunk.truncate(length);
        self.finished = is_last;
        self.number = self.number.wrapping_add(1);
        Ok(())
    }
}

impl Read for SealedReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.chunk.len() && !self.finished {
            self.next_chunk()?;
        }
        let mut rest = self.chunk.get(self.at..).unwrap_or_default();
        let count = rest.read(buffer)?;
        self.at += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    use super::super::keyring::Keyring;
    use super::*;
    use crate::figures::Figures;

    fn secret(root: &Path) -> Secret {
        let keyring = Keyring::new(root);
        keyring.set_encrypts("p", true).unwrap();
        keyring.for_writing("p").unwrap().unwrap()
    }

    fn write(path: &Path, secret: &Secret, pieces: &[&[u8]]) {
        let mut writer = SealedWriter::new(File::create(path).unwrap(), secret, "name").unwrap();
        pieces.iter().for_each(|piece| writer.write_all(piece).unwrap());
        writer.finish().unwrap();
    }

    fn read(path: &Path, secret: &Secret, name: &str) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        SealedReader::new(File::open(path)?, secret, name)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    #[test]
    fn what_was_written_is_read_and_takes_the_length_that_was_told() {
        let root = tempfile::tempdir().unwrap();
        let (secret, path) = (secret(root.path()), root.path().join("file"));
        let bytes: Vec<u8> = (0..2 * CHUNK as u32 + 9).map(|i| (i % 251) as u8).collect();
        for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 9] {
            for size in [1000, CHUNK, CHUNK + 1, 3 * CHUNK] {
                let bytes = &bytes[..length];
                write(&path, &secret, &bytes.chunks(size).collect::<Vec<_>>());
                assert!(read(&path, &secret, "name").unwrap() == bytes, "{length} bytes in pieces of {size}");
                assert_eq!(std::fs::metadata(&path).unwrap().len(), sealed_length(length as u64));
            }
        }
    }

    #[test]
    fn the_name_and_the_key_belong_to_the_file() {
        let root = tempfile::tempdir().unwrap();
        let (key, path) = (secret(root.path()), root.path().join("file"));
        write(&path, &key, &[b"text"]);
        assert_eq!(read(&path, &key, "name").unwrap(), b"text");
        assert!(read(&path, &key, "other").is_err());
        let elsewhere = tempfile::tempdir().unwrap();
        assert!(read(&path, &secret(elsewhere.path()), "name").is_err());
    }

    const SEED: u64 = 11;

    static FIGURES: Figures<3> =
        Figures::new("no change to an encrypted blob goes unnoticed", ["cases", "bytes", "changes"]);

    #[test]
    fn no_change_goes_unnoticed() {
        changed();
        FIGURES.print(SEED);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, rng_seed: RngSeed::Fixed(SEED), ..ProptestConfig::default() })]

        /// Any byte changed, any end cut off, anything behind it, two chunks that change places: never other bytes.
        fn changed(length in 0..3 * CHUNK, at in any::<prop::sample::Index>(), bit in 0..8u8, cut in 1..200usize) {
            let root = tempfile::tempdir().unwrap();
            let (secret, path) = (secret(root.path()), root.path().join("file"));
            let bytes: Vec<u8> = (0..length).map(|i| (i / 7 % 251) as u8).collect();
            write(&path, &secret, &[&bytes]);
            let whole = std::fs::read(&path).unwrap();
            let mut flipped = whole.clone();
            *flipped.get_mut(at.index(whole.len())).unwrap() ^= 1 << bit;
            let shorter = whole[..whole.len().saturating_sub(cut)].to_vec();
            let at_chunk = whole[..WRAPPED + (whole.len() - WRAPPED - 1) / (CHUNK + TAG) * (CHUNK + TAG)].to_vec();
            let longer = [whole.as_slice(), &whole[whole.len() - cut.min(whole.len())..]].concat();
            let mut changes = vec![flipped, shorter, at_chunk, longer];
            if let Some(chunks) = whole.get(WRAPPED..WRAPPED + 2 * (CHUNK + TAG)) {
                let (first, second) = chunks.split_at(CHUNK + TAG);
                let rest = &whole[WRAPPED + 2 * (CHUNK + TAG)..];
                changes.push([&whole[..WRAPPED], second, first, rest].concat());
            }
            FIGURES.add([1, length, changes.len()]);
            for changed in changes {
                std::fs::write(&path, changed).unwrap();
                prop_assert!(read(&path, &secret, "name").is_err());
            }
        }
    }
}
