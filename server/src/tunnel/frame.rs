//! The chunks around an Arrow body: four bytes with the size of a chunk, then chunks, each followed by its CRC32C; the
//! last chunk is shorter, possibly empty, and followed by the CRC32C of all bytes. Numbers are big-endian.

use std::io::Read;

use crc32c::{crc32c, crc32c_append};

use super::error::StreamError;

/// Bytes of the chunks that are sent.
const CHUNK_BYTES: usize = 64 << 10;

/// Largest chunk that is taken.
const MAX_CHUNK_BYTES: u32 = 64 << 20;

/// Cuts bytes into checked chunks.
#[derive(Default)]
pub struct FrameWriter {
    begun: bool,
    /// Bytes of the chunk so far, and their checksum.
    filled: usize,
    chunk: u32,
    total: u32,
}

impl FrameWriter {
    /// Appends `bytes` in chunks to `out`.
    pub fn write(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) {
        self.begin(out);
        while !bytes.is_empty() {
            let (now, rest) = bytes.split_at(bytes.len().min(CHUNK_BYTES - self.filled));
            out.extend_from_slice(now);
            self.chunk = crc32c_append(self.chunk, now);
            self.total = crc32c_append(self.total, now);
            self.filled += now.len();
            if self.filled == CHUNK_BYTES {
                out.extend_from_slice(&self.chunk.to_be_bytes());
                (self.filled, self.chunk) = (0, 0);
            }
            bytes = rest;
        }
    }

    /// Ends the last chunk.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.begin(out);
        out.extend_from_slice(&self.total.to_be_bytes());
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.begun, true) {
            out.extend_from_slice(&(CHUNK_BYTES as u32).to_be_bytes());
        }
    }
}

/// Takes the bytes out of their chunks.
pub struct FrameReader<R> {
    input: R,
    /// Known once the body has begun.
    chunk_bytes: Option<u32>,
    total: u32,
    finished: bool,
}

impl<R: Read> FrameReader<R> {
    pub fn new(input: R) -> FrameReader<R> {
        FrameReader { input, chunk_bytes: None, total: 0, finished: false }
    }

    /// The next chunk; `None` at the end, when all checksums were right. A body without bytes has no chunk.
    pub fn next_chunk(&mut self) -> Result<Option<Vec<u8>>, StreamError> {
        if self.finished {
            return Ok(None);
        }
        let Some(size) = self.chunk_size()? else {
            self.finished = true;
            return Ok(None);
        };
        let mut chunk = self.read(u64::from(size) + 4)?;
        let Some(body) = chunk.len().checked_sub(4) else {
            return Err(StreamError::Incomplete("the checksum of the last chunk is missing"));
        };
        let sent = chunk.split_off(body);
        let sent = sent.try_into().map_or(0, u32::from_be_bytes);
        self.total = crc32c_append(self.total, &chunk);
        self.finished = body < size as usize;
        let found = if self.finished { self.total } else { crc32c(&chunk) };
        match found == sent {
            true if self.finished && chunk.is_empty() => Ok(None),
            true => Ok(Some(chunk)),
            false => Err(StreamError::Corrupted(format!("a chunk has checksum {found}, it says {sent}"))),
        }
    }

    /// The size of chunks; `None` if the body has no chunk. Clients that wrote nothing send the checksum of nothing,
    /// which is 0, in its place.
    fn chunk_size(&mut self) -> Result<Option<u32>, StreamError> {
        if self.chunk_bytes.is_none() {
            let prefix = self.read(4)?;
            let size = match prefix.len() {
                0 => 0,
                4 => prefix.try_into().map_or(0, u32::from_be_bytes),
                _ => return Err(StreamError::Incomplete("the size of the chunks is missing")),
            };
            if size == 0 && !self.read(1)?.is_empty() {
                return Err(StreamError::Malformed("the size of the chunks is 0".into()));
            }
            if size > MAX_CHUNK_BYTES {
                let why = format!("chunks of {size} bytes are larger than {MAX_CHUNK_BYTES}");
                return Err(StreamError::Malformed(why));
            }
            self.chunk_bytes = Some(size);
        }
        Ok(self.chunk_bytes.filter(|size| *size > 0))
    }

    /// So many bytes, fewer at the end of the body.
    fn read(&mut self, count: u64) -> Result<Vec<u8>, StreamError> {
        let mut bytes = Vec::new();
        let read = self.input.by_ref().take(count).read_to_end(&mut bytes);
        read.map_err(|error| StreamError::read(&error, "the checksum of the last chunk is missing"))?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(bytes: &[u8]) -> Vec<u8> {
        let (mut writer, mut out) = (FrameWriter::default(), Vec::new());
        for piece in bytes.chunks(1000) {
            writer.write(piece, &mut out);
        }
        writer.finish(&mut out);
        out
    }

    fn unframed(bytes: &[u8]) -> Result<Vec<u8>, StreamError> {
        let (mut reader, mut all) = (FrameReader::new(bytes), Vec::new());
        while let Some(chunk) = reader.next_chunk()? {
            all.extend(chunk);
        }
        Ok(all)
    }

    #[test]
    fn chunks_are_cut_and_joined() {
        for length in [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES] {
            let bytes: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
            let sent = framed(&bytes);
            assert_eq!(sent.len(), 8 + length + length / CHUNK_BYTES * 4);
            assert_eq!(unframed(&sent).unwrap(), bytes, "{length}");
        }
        assert!(unframed(&[]).unwrap().is_empty());
        assert!(unframed(&[0; 4]).unwrap().is_empty());
    }

    #[test]
    fn damage_is_noticed() {
        let bytes: Vec<u8> = (0..2 * CHUNK_BYTES + 10).map(|i| (i % 13) as u8).collect();
        let sent = framed(&bytes);
        for place in [4, 4 + CHUNK_BYTES + 2, sent.len() - 2, sent.len() - 8] {
            let mut damaged = sent.clone();
            damaged[place] ^= 1;
            assert!(matches!(unframed(&damaged), Err(StreamError::Corrupted(_))), "{place}");
        }
        for cut in [2, 6, sent.len() - 1] {
            assert!(unframed(&sent[..cut]).is_err(), "{cut}");
        }
        assert!(matches!(unframed(&[0, 0, 0, 0, 1]), Err(StreamError::Malformed(_))));
        assert!(matches!(unframed(&[255; 8]), Err(StreamError::Malformed(_))));
    }
}
