//! Blocks with checksums around the answer of BlobRead (storage-api-v2-v3.md 5.6).

use anyhow::Result;
use bytes::Bytes;

use crate::read::Pieces;

/// Bytes between two checksums.
const BLOCK: usize = 4096;

/// A body cut into blocks of 4096 bytes, each followed by its CRC-32C, little-endian.
pub struct CrcBlocks<P> {
    inner: P,
    /// The start of a block that is not full yet.
    rest: Vec<u8>,
    finished: bool,
}

impl<P: Pieces> CrcBlocks<P> {
    pub fn new(inner: P) -> CrcBlocks<P> {
        CrcBlocks { inner, rest: Vec::with_capacity(BLOCK), finished: false }
    }
}

fn push(out: &mut Vec<u8>, block: &[u8]) {
    out.extend_from_slice(block);
    out.extend_from_slice(&crc32c::crc32c(block).to_le_bytes());
}

impl<P: Pieces> Pieces for CrcBlocks<P> {
    fn next_piece(&mut self) -> Result<Option<Bytes>> {
        let mut out = Vec::new();
        while out.is_empty() && !self.finished {
            let Some(piece) = self.inner.next_piece()? else {
                self.finished = true;
                if !self.rest.is_empty() {
                    push(&mut out, &self.rest);
                }
                break;
            };
            let mut piece = piece.as_ref();
            if !self.rest.is_empty() {
                let (head, tail) = piece.split_at(piece.len().min(BLOCK - self.rest.len()));
                self.rest.extend_from_slice(head);
                piece = tail;
                if self.rest.len() == BLOCK {
                    push(&mut out, &self.rest);
                    self.rest.clear();
                }
            }
            let blocks = piece.chunks_exact(BLOCK);
            self.rest.extend_from_slice(blocks.remainder());
            blocks.for_each(|block| push(&mut out, block));
        }
        Ok((!out.is_empty()).then(|| out.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Given(Vec<Bytes>);

    impl Pieces for Given {
        fn next_piece(&mut self) -> Result<Option<Bytes>> {
            Ok((!self.0.is_empty()).then(|| self.0.remove(0)))
        }
    }

    fn blocks(pieces: &[&[u8]]) -> Vec<u8> {
        let given = pieces.iter().map(|piece| Bytes::copy_from_slice(piece)).collect();
        let mut source = CrcBlocks::new(Given(given));
        let mut body = Vec::new();
        while let Some(piece) = source.next_piece().unwrap() {
            body.extend_from_slice(&piece);
        }
        body
    }

    #[test]
    fn the_examples_of_the_protocol() {
        assert_eq!(blocks(&[b"hello"]), b"hello\x4c\xbb\x71\x9a");
        assert_eq!(blocks(&[]), b"");
        assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn pieces_and_blocks_do_not_meet() {
        let data: Vec<u8> = (0..3 * BLOCK as u32 + 5).map(|i| i as u8).collect();
        let whole = blocks(&[&data]);
        assert_eq!(whole.len(), data.len() + 4 * 4);
        for size in [1, 7, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 3] {
            assert!(blocks(&data.chunks(size).collect::<Vec<_>>()) == whole, "{size}");
        }
        assert_eq!(blocks(&[&data[..2 * BLOCK]]).len(), 2 * BLOCK + 8, "no empty block at the end");
    }
}
