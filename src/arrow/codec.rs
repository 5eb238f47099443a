//! Buffer compression inside record batches, with the C codecs straight into the destination.

use std::io::Read;

use arrow_ipc::CompressionType;

use super::corrupt;
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
            CompressionType::LZ4_FRAME => lz4(source, target),
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

fn lz4(source: &[u8], target: &mut [u8]) -> Result<()> {
    let failed = |error: std::io::Error| corrupt(&format!("an lz4 buffer cannot be decompressed: {error}"));
    let mut decoder = lz4::Decoder::new(source).map_err(failed)?;
    let mut written = 0;
    while let Some(rest) = target.get_mut(written..).filter(|rest| !rest.is_empty()) {
        match decoder.read(rest).map_err(failed)? {
            0 => break,
            count => written += count,
        }
    }
    exactly(written, target.len())?;
    let more = decoder.read(&mut [0]).map_err(failed)?;
    exactly(written + more, target.len())?;
    decoder.finish().1.map_err(failed)
}

fn exactly(written: usize, wanted: usize) -> Result<()> {
    if written == wanted {
        return Ok(());
    }
    Err(corrupt(&format!("a compressed buffer holds {written} bytes or more, {wanted} were announced")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn lz4_frame(data: &[u8]) -> Vec<u8> {
        let mut encoder = lz4::EncoderBuilder::new().build(Vec::new()).unwrap();
        encoder.write_all(data).unwrap();
        let (bytes, result) = encoder.finish();
        result.unwrap();
        bytes
    }

    #[test]
    fn sizes_must_match_exactly() {
        let data: Vec<u8> = (0..200_000u32).flat_map(|n| (n / 7).to_le_bytes()).collect();
        let sources = [
            (CompressionType::LZ4_FRAME, lz4_frame(&data)),
            (CompressionType::ZSTD, zstd::bulk::compress(&data, 1).unwrap()),
        ];
        let mut codec = Codec::new();
        for (kind, source) in &sources {
            let mut target = vec![0; data.len()];
            codec.decompress(*kind, source, &mut target).unwrap();
            assert!(target == data);
            for size in [data.len() - 1, data.len() + 1, 0] {
                assert!(codec.decompress(*kind, source, &mut vec![0; size]).is_err(), "{size}");
            }
            for cut in [0, 1, source.len() / 2, source.len() - 1] {
                assert!(codec.decompress(*kind, &source[..cut], &mut vec![0; data.len()]).is_err(), "{cut}");
            }
        }
        assert!(codec.decompress(CompressionType(9), &[], &mut []).is_err());
    }
}
