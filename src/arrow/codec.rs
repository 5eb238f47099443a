//! Buffer compression inside record batches, with the C codecs straight into the destination.

use arrow_ipc::CompressionType;

use super::{corrupt, lz4};
use crate::error::{Error, Kind, Result};

/// Decompresses the buffers of one stream; keeps the codec's context between them.
pub(super) struct Codec {
    zstd: Option<zstd::bulk::Decompressor<'static>>,
}

impl std::fmt::Debug for Codec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Codec").finish_non_exhaustive()
    }
}

impl Codec {
    pub(super) fn new() -> Self {
        Codec { zstd: None }
    }

    /// Fills `target` exactly from `source`; anything more or less is corrupt.
    pub(super) fn decompress(&mut self, kind: CompressionType, source: &[u8], target: &mut [u8]) -> Result<()> {
        match kind {
            CompressionType::LZ4_FRAME => lz4::decompress(source, target),
            CompressionType::ZSTD => self.zstd(source, target),
            other => Err(corrupt(&format!("the compression {} is not known", other.0))),
        }
    }

    fn zstd(&mut self, source: &[u8], target: &mut [u8]) -> Result<()> {
        let context = match self.zstd.as_mut() {
            Some(context) => context,
            None => {
                let context = zstd::bulk::Decompressor::new()
                    .map_err(|error| Error::new(Kind::ResourceExhausted, format!("no zstd context: {error}")))?;
                self.zstd.insert(context)
            }
        };
        let written = context
            .decompress_to_buffer(source, target)
            .map_err(|error| corrupt(&format!("a zstd buffer cannot be decompressed: {error}")))?;
        exactly(written, target.len())
    }
}

/// Fails unless a buffer was filled exactly.
pub(super) fn exactly(written: usize, wanted: usize) -> Result<()> {
    if written == wanted {
        return Ok(());
    }
    Err(corrupt(&format!("a compressed buffer holds {written} bytes or more, {wanted} were announced")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_ipc::CompressionType;

    #[test]
    fn sizes_must_match_exactly() {
        let data: Vec<u8> = (0..200_000u32).flat_map(|n| (n / 7).to_le_bytes()).collect();
        let source = zstd::bulk::compress(&data, 1).unwrap();
        let (kind, mut codec) = (CompressionType::ZSTD, Codec::new());
        let mut target = vec![0; data.len()];
        codec.decompress(kind, &source, &mut target).unwrap();
        assert!(target == data);
        for size in [data.len() - 1, data.len() + 1, 0] {
            assert!(codec.decompress(kind, &source, &mut vec![0; size]).is_err(), "{size}");
        }
        for cut in [0, 1, source.len() / 2, source.len() - 1] {
            assert!(codec.decompress(kind, &source[..cut], &mut vec![0; data.len()]).is_err(), "{cut}");
        }
        assert!(codec.decompress(CompressionType(9), &[], &mut []).is_err());
    }
}
