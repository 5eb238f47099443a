//! LZ4 frames.
//!
//! Blocks that stand for themselves are decompressed one by one, straight into the destination. Frames with anything else
//! (blocks that refer to earlier ones, checksums) go through the stream decoder of the C library, which copies.

use std::io::Read;

use super::codec::exactly;
use super::corrupt;
use crate::error::{Error, Result};

const MAGIC: u32 = 0x184D_2204;
/// Bits of the first descriptor byte.
const VERSION_1: u8 = 0b0100_0000;
const INDEPENDENT: u8 = 0b0010_0000;
const HAS_SIZE: u8 = 0b0000_1000;
/// Set in the size of a block that is stored as it is.
const STORED: u32 = 1 << 31;

/// Fills `target` exactly from the frame `source`; anything more or less is corrupt.
pub(super) fn decompress(source: &[u8], target: &mut [u8]) -> Result<()> {
    match plain(source, target.len())? {
        Some((blocks, block_bytes)) => independent(blocks, block_bytes, target),
        None => streamed(source, target),
    }
}

/// The blocks of a frame of independent blocks without checksums, and the largest size of a block; `None` for other frames.
fn plain(source: &[u8], size: usize) -> Result<Option<(&[u8], usize)>> {
    let mut rest = source;
    if number(&mut rest)? != MAGIC {
        return Err(corrupt("an lz4 buffer is no lz4 frame"));
    }
    let Some([flags, block, ..]) = rest.first_chunk::<2>() else { return Err(short()) };
    if flags & !HAS_SIZE != VERSION_1 | INDEPENDENT {
        return Ok(None);
    }
    let length = if flags & HAS_SIZE == 0 { 2 } else { 2 + size_of::<u64>() };
    let (descriptor, behind) = rest.split_at_checked(length).ok_or_else(short)?;
    let (check, blocks) = behind.split_first().ok_or_else(short)?;
    if *check != hash(descriptor).to_le_bytes()[1] {
        return Err(corrupt("the head of an lz4 frame does not match its checksum"));
    }
    if descriptor
        .get(2..)
        .and_then(|size| size.first_chunk())
        .is_some_and(|told| u64::from_le_bytes(*told) != size as u64)
    {
        return Err(corrupt("an lz4 frame has another size than its buffer announces"));
    }
    match block >> 4 {
        code @ 4..=7 if block & 0b1111 == 0 => Ok(Some((blocks, 1 << (8 + 2 * code)))),
        _ => Err(corrupt("an lz4 frame has an unknown block size")),
    }
}

fn independent(mut blocks: &[u8], block_bytes: usize, target: &mut [u8]) -> Result<()> {
    let wanted = target.len();
    let mut rest = target;
    loop {
        let head = number(&mut blocks)?;
        if head == 0 {
            return exactly(wanted - rest.len(), wanted);
        }
        let (block, behind) = blocks.split_at_checked((head & !STORED) as usize).ok_or_else(short)?;
        blocks = behind;
        let room = rest.len().min(block_bytes);
        let written = if head & STORED == 0 {
            let most = i32::try_from(room).map_err(|_| short())?;
            let place = rest.get_mut(..room).unwrap_or_default();
            lz4::block::decompress_to_buffer(block, Some(most), place).map_err(|error| failed(&error))?
        } else {
            let place = rest.get_mut(..block.len()).filter(|_| block.len() <= room);
            place.ok_or_else(|| corrupt("an lz4 block is larger than its buffer"))?.copy_from_slice(block);
            block.len()
        };
        rest = rest.get_mut(written..).unwrap_or_default();
    }
}

fn streamed(source: &[u8], target: &mut [u8]) -> Result<()> {
    let mut decoder = lz4::Decoder::new(source).map_err(|error| failed(&error))?;
    let mut written = 0;
    while let Some(rest) = target.get_mut(written..).filter(|rest| !rest.is_empty()) {
        match decoder.read(rest).map_err(|error| failed(&error))? {
            0 => break,
            count => written += count,
        }
    }
    exactly(written, target.len())?;
    let more = decoder.read(&mut [0]).map_err(|error| failed(&error))?;
    exactly(written + more, target.len())?;
    decoder.finish().1.map_err(|error| failed(&error))
}

/// The number at the front of `rest`.
fn number(rest: &mut &[u8]) -> Result<u32> {
    let (bytes, behind) = rest.split_first_chunk().ok_or_else(short)?;
    *rest = behind;
    Ok(u32::from_le_bytes(*bytes))
}

/// xxHash32 of fewer than 16 bytes, without a seed.
fn hash(bytes: &[u8]) -> u32 {
    const P: [u32; 5] = [0x9E37_79B1, 0x85EB_CA77, 0xC2B2_AE3D, 0x27D4_EB2F, 0x1656_67B1];
    let mut hash = P[4].wrapping_add(bytes.len() as u32);
    let (words, tail) = bytes.as_chunks::<4>();
    for word in words {
        hash = hash.wrapping_add(u32::from_le_bytes(*word).wrapping_mul(P[2])).rotate_left(17).wrapping_mul(P[3]);
    }
    for byte in tail {
        hash = hash.wrapping_add(u32::from(*byte).wrapping_mul(P[4])).rotate_left(11).wrapping_mul(P[0]);
    }
    hash = (hash ^ (hash >> 15)).wrapping_mul(P[1]);
    hash = (hash ^ (hash >> 13)).wrapping_mul(P[2]);
    hash ^ (hash >> 16)
}

fn failed(error: &std::io::Error) -> Error {
    corrupt(&format!("an lz4 buffer cannot be decompressed: {error}"))
}

fn short() -> Error {
    corrupt("an lz4 buffer is cut off")
}

#[cfg(test)]
mod tests {
    use super::*;
    use lz4::liblz4::{BlockChecksum, ContentChecksum};
    use lz4::{BlockMode, BlockSize, EncoderBuilder};
    use std::io::Write;

    fn encoder(mode: BlockMode) -> EncoderBuilder {
        let mut builder = EncoderBuilder::new();
        builder.block_mode(mode).block_size(BlockSize::Max64KB).checksum(ContentChecksum::NoChecksum);
        builder.block_checksum(BlockChecksum::NoBlockChecksum);
        builder
    }

    fn frame(builder: &EncoderBuilder, data: &[u8]) -> Vec<u8> {
        let mut encoder = builder.build(Vec::new()).unwrap();
        encoder.write_all(data).unwrap();
        let (bytes, result) = encoder.finish();
        result.unwrap();
        bytes
    }

    /// Some of it can be compressed and some of it cannot.
    fn data() -> Vec<u8> {
        let mut state = 1u32;
        let mut random = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        (0..300_000).map(|at| if at < 150_000 { (at / 40) as u8 } else { random() }).collect()
    }

    #[test]
    fn every_kind_of_frame_gives_the_same_bytes_and_sizes_must_match_exactly() {
        let data = data();
        let plainly = encoder(BlockMode::Independent);
        let mut sized = encoder(BlockMode::Independent);
        sized.content_size(data.len() as u64);
        let mut checked = encoder(BlockMode::Independent);
        checked.block_checksum(BlockChecksum::BlockChecksumEnabled);
        let mut summed = encoder(BlockMode::Independent);
        summed.checksum(ContentChecksum::ChecksumEnabled);
        let linked = encoder(BlockMode::Linked);
        for (builder, is_plain) in [(plainly, true), (sized, true), (checked, false), (summed, false), (linked, false)]
        {
            let source = frame(&builder, &data);
            assert_eq!(plain(&source, data.len()).unwrap().is_some(), is_plain);
            let mut target = vec![0; data.len()];
            decompress(&source, &mut target).unwrap();
            assert!(target == data);
            for size in [data.len() - 1, data.len() + 1, 0] {
                assert!(decompress(&source, &mut vec![0; size]).is_err(), "{size}");
            }
            for cut in [0, 1, 5, 8, source.len() / 2, source.len() - 1] {
                assert!(decompress(&source[..cut], &mut vec![0; data.len()]).is_err(), "{cut}");
            }
        }
    }

    #[test]
    fn damaged_frames_are_errors_or_other_bytes() {
        let data = data();
        let source = frame(&encoder(BlockMode::Independent), &data);
        let mut target = vec![0; data.len()];
        for at in 0..11 {
            for flip in [1, 0x10, 0x20, 0x80] {
                let mut source = source.clone();
                source[at] ^= flip;
                assert!(decompress(&source, &mut target).is_err(), "{at} {flip:x}");
            }
        }
        for at in (11..source.len()).step_by(997) {
            let mut source = source.clone();
            source[at] ^= 0x41;
            let _ = decompress(&source, &mut target);
        }
    }

    #[test]
    fn blocks_of_the_wrong_size_are_refused() {
        let source = frame(&encoder(BlockMode::Independent), &[7; 10]);
        assert_eq!(u32::from_le_bytes(source[7..11].try_into().unwrap()), STORED | 10, "the compressor stores it");
        let mut target = [0; 10];
        decompress(&source, &mut target).unwrap();
        assert!(decompress(&source, &mut target[..9]).is_err());
    }
}
