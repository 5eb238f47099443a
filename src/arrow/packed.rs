//! Frames that hold a whole body: which compression it is, and the memory that its decoder takes, both told by the first bytes.

const LZ4_MAGIC: [u8; 4] = 0x184D_2204u32.to_le_bytes();
const ZSTD_MAGIC: [u8; 4] = 0xFD2F_B528u32.to_le_bytes();
/// The largest window that the decoder of zstd accepts.
const ZSTD_MOST_WINDOW: u64 = 1 << 27;
/// The largest block of zstd. Its decoder has room for one that arrives, and for two of what it makes besides the window.
const ZSTD_BLOCK: u64 = 128 << 10;
/// Tables and literals of zstd: about 160 KB in its version 1.5.
const ZSTD_CONTEXT: u64 = 256 << 10;
/// What the decoder of LZ4 keeps of the block before, if blocks refer to it.
const LZ4_WINDOW: u64 = 128 << 10;
/// The buffer of the decoder's wrapper, and its context.
const LZ4_CONTEXT: u64 = 36 << 10;

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    Zstd {
        /// How far back a frame refers.
        window: u64,
    },
    Lz4 {
        /// The largest block.
        block: u64,
    },
}

impl Packing {
    /// The longest head of a frame.
    pub(super) const HEAD_BYTES: usize = 18;

    /// The packing of a body that begins so; `None` for one that is not compressed. A head that is malformed is left to the decoder.
    pub(super) fn of(head: &[u8]) -> Option<Self> {
        let (magic, rest) = head.split_first_chunk()?;
        match *magic {
            ZSTD_MAGIC => Some(Packing::Zstd { window: zstd_window(rest).unwrap_or_default().min(ZSTD_MOST_WINDOW) }),
            LZ4_MAGIC => {
                let code = rest.get(1).map_or(0, |sizes| (sizes >> 4) & 7);
                // 4 to 7 stand for 64 KiB, 256 KiB, 1 MiB and 4 MiB.
                Some(Packing::Lz4 { block: 1 << (8 + 2 * u32::from(code.max(4))) })
            }
            _ => None,
        }
    }

    /// Bytes that its decoder allocates at most.
    pub(super) fn most_bytes(self) -> u64 {
        match self {
            Packing::Zstd { window } => window + 3 * ZSTD_BLOCK + ZSTD_CONTEXT,
            Packing::Lz4 { block } => 2 * block + LZ4_WINDOW + LZ4_CONTEXT,
        }
    }

    /// Bytes of a copy of `input` bytes of which the decoder takes its input.
    pub(super) fn inbox_bytes(self, input: usize) -> u64 {
        match self {
            Packing::Zstd { .. } => 0,
            Packing::Lz4 { .. } => input as u64,
        }
    }
}

/// The window of a zstd frame, of what follows its magic number.
fn zstd_window(head: &[u8]) -> Option<u64> {
    let (descriptor, rest) = head.split_first()?;
    if descriptor & 0x20 == 0 {
        let window = rest.first()?;
        let base = 1u64 << (10 + u32::from(window >> 3));
        return Some(base + base / 8 * u64::from(window & 7));
    }
    // A frame of one segment: the window is all of its content.
    let dictionary = [0, 1, 2, 4].get(usize::from(descriptor & 3))?;
    let (length, added) = [(1, 0), (2, 256), (4, 0), (8, 0)].get(usize::from(descriptor >> 6))?;
    let content = rest.get(*dictionary..dictionary + length)?;
    Some(content.iter().rev().fold(0u64, |value, byte| value << 8 | u64::from(*byte)) + added)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use zstd::zstd_safe::zstd_sys;

    fn compressible(length: usize) -> Vec<u8> {
        (0..length as u32 / 4).flat_map(|n| (n / 3).to_le_bytes()).collect()
    }

    /// What the decoder of zstd has allocated when it is through a frame by pieces.
    #[allow(unsafe_code)]
    fn zstd_bytes(frame: &[u8]) -> u64 {
        let mut target = vec![0u8; 1000];
        // SAFETY: a context that lives through the calls, and buffers of the lengths that are told.
        unsafe {
            let context = zstd_sys::ZSTD_createDCtx();
            let mut most = 0;
            for piece in frame.chunks(777) {
                let mut input = zstd_sys::ZSTD_inBuffer { src: piece.as_ptr().cast(), size: piece.len(), pos: 0 };
                while input.pos < input.size {
                    let (dst, size) = (target.as_mut_ptr().cast(), target.len());
                    let mut output = zstd_sys::ZSTD_outBuffer { dst, size, pos: 0 };
                    let left = zstd_sys::ZSTD_decompressStream(context, &raw mut output, &raw mut input);
                    assert_eq!(zstd_sys::ZSTD_isError(left), 0);
                    most = most.max(zstd_sys::ZSTD_sizeof_DCtx(context));
                }
            }
            zstd_sys::ZSTD_freeDCtx(context);
            most as u64
        }
    }

    #[test]
    fn the_decoder_of_zstd_stays_within_what_is_reckoned() {
        for (length, log) in [(3000, 0), (100_000, 0), (100_000, 10), (3_000_000, 0), (3_000_000, 17), (3_000_000, 21)]
        {
            for sized in [false, true] {
                let mut encoder = zstd::stream::Encoder::new(Vec::new(), 3).unwrap();
                if log > 0 {
                    encoder.window_log(log).unwrap();
                }
                if sized {
                    encoder.set_pledged_src_size(Some(length as u64)).unwrap();
                }
                encoder.write_all(&compressible(length)).unwrap();
                let frame = encoder.finish().unwrap();
                let packing = Packing::of(&frame[..Packing::HEAD_BYTES]).unwrap();
                let (used, most) = (zstd_bytes(&frame), packing.most_bytes());
                assert!(used <= most, "{length} {log} {sized}: {used} of {most}");
                assert!(most < 2 * used + ZSTD_CONTEXT + 3 * ZSTD_BLOCK, "{length} {log} {sized}: {used} of {most}");
            }
        }
    }

    #[test]
    fn windows_and_blocks_are_read_of_the_first_bytes() {
        let zstd = |rest: &[u8]| match Packing::of(&[&ZSTD_MAGIC[..], rest].concat()) {
            Some(Packing::Zstd { window }) => window,
            other => panic!("{other:?}"),
        };
        assert_eq!(zstd(&[0, 0]), 1 << 10);
        assert_eq!(zstd(&[0, (7 << 3) | 3]), (1 << 17) + 3 * (1 << 14));
        assert_eq!(zstd(&[0, 0xff]), ZSTD_MOST_WINDOW, "the decoder refuses more");
        assert_eq!(zstd(&[0x20, 200]), 200);
        assert_eq!(zstd(&[0x61, 9, 1, 0]), 257, "behind a dictionary of one byte");
        assert_eq!(zstd(&[0xa0, 0, 0, 1, 0]), 1 << 16);
        assert_eq!(zstd(&[0xe0, 0, 0, 0, 0, 1, 0, 0, 0]), ZSTD_MOST_WINDOW);
        assert_eq!(zstd(&[]), 0, "a body that breaks off");
        let sizes = [lz4::BlockSize::Max64KB, lz4::BlockSize::Max256KB, lz4::BlockSize::Max1MB, lz4::BlockSize::Max4MB];
        for (size, bytes) in sizes.into_iter().zip([64 << 10, 256 << 10, 1 << 20, 4 << 20]) {
            let mut encoder = lz4::EncoderBuilder::new().block_size(size).build(Vec::new()).unwrap();
            encoder.write_all(&[7; 100]).unwrap();
            assert_eq!(Packing::of(&encoder.finish().0), Some(Packing::Lz4 { block: bytes }));
        }
        assert_eq!((Packing::of(&[0xff; 18]), Packing::of(&[])), (None, None));
    }
}
