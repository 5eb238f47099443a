//! Compression of a body as a whole (storage-api-v2-v3.md 3.7): one frame, made piece by piece.

use std::io::Write;

use anyhow::{Result, anyhow};
use bytes::Bytes;
use lz4_flex::frame::{BlockSize, FrameEncoder, FrameInfo};
use zstd::stream::write::Encoder as ZstdEncoder;

use super::source::Pieces;

/// A piece is handed on when it has reached this size.
const PIECE_BYTES: usize = 256 << 10;

/// The level of zstd that its authors take as default.
const ZSTD_LEVEL: i32 = 3;

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Coding {
    Plain,
    Zstd,
    Lz4,
}

impl Coding {
    /// What an `Accept-Encoding` value asks for; anything unknown means plain. A list means plain as well: only HTTP
    /// libraries send one, and they do not mean ours.
    pub fn from_header(value: Option<&str>) -> Coding {
        let asks = |coding: Coding| {
            value.zip(coding.name()).is_some_and(|(value, name)| value.trim().eq_ignore_ascii_case(name))
        };
        [Coding::Zstd, Coding::Lz4].into_iter().find(|coding| asks(*coding)).unwrap_or(Coding::Plain)
    }

    /// The value of `Content-Encoding`.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Coding::Plain => None,
            Coding::Zstd => Some("zstd"),
            Coding::Lz4 => Some("x-lz4-frame"),
        }
    }
}

/// The pieces of a body, compressed into one frame.
pub struct Coded<P> {
    inner: P,
    coder: Option<Coder>,
}

enum Coder {
    Plain,
    Zstd(ZstdEncoder<'static, Vec<u8>>),
    Lz4(Box<FrameEncoder<Vec<u8>>>),
}

impl<P: Pieces> Coded<P> {
    /// Compresses `inner`.
    pub fn new(inner: P, coding: Coding) -> Result<Coded<P>> {
        let coder = match coding {
            Coding::Plain => Coder::Plain,
            Coding::Zstd => Coder::Zstd(ZstdEncoder::new(Vec::new(), ZSTD_LEVEL)?),
            Coding::Lz4 => {
                let info = FrameInfo::new().block_size(BlockSize::Max256KB);
                Coder::Lz4(Box::new(FrameEncoder::with_frame_info(info, Vec::new())))
            }
        };
        Ok(Coded { inner, coder: Some(coder) })
    }
}

impl Coder {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        match self {
            Coder::Plain => {}
            Coder::Zstd(encoder) => encoder.write_all(bytes)?,
            Coder::Lz4(encoder) => encoder.write_all(bytes)?,
        }
        Ok(())
    }

    /// The bytes made so far, if they are worth sending.
    fn take(&mut self) -> Option<Bytes> {
        let made = match self {
            Coder::Plain => return None,
            Coder::Zstd(encoder) => encoder.get_mut(),
            Coder::Lz4(encoder) => encoder.get_mut(),
        };
        (made.len() >= PIECE_BYTES).then(|| std::mem::take(made).into())
    }

    /// Ends the frame.
    fn finish(self) -> Result<Vec<u8>> {
        match self {
            Coder::Plain => Ok(Vec::new()),
            Coder::Zstd(encoder) => Ok(encoder.finish()?),
            Coder::Lz4(encoder) => encoder.finish().map_err(|error| anyhow!("cannot end an LZ4 frame: {error}")),
        }
    }
}

impl<P: Pieces> Pieces for Coded<P> {
    fn next_piece(&mut self) -> Result<Option<Bytes>> {
        let Some(coder) = &mut self.coder else { return Ok(None) };
        while let Some(piece) = self.inner.next_piece()? {
            if matches!(coder, Coder::Plain) {
                return Ok(Some(piece));
            }
            coder.write(&piece)?;
            if let Some(made) = coder.take() {
                return Ok(Some(made));
            }
        }
        let rest = self.coder.take().map(Coder::finish).transpose()?.unwrap_or_default();
        Ok((!rest.is_empty()).then(|| rest.into()))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    struct Given(Vec<Bytes>);

    impl Pieces for Given {
        fn next_piece(&mut self) -> Result<Option<Bytes>> {
            Ok(self.0.pop())
        }
    }

    #[test]
    fn a_body_is_one_frame() {
        let noise: Vec<u8> = (0..3u64 << 20).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect();
        for coding in [Coding::Plain, Coding::Zstd, Coding::Lz4] {
            let mut pieces: Vec<Bytes> = noise.chunks(700_001).map(Bytes::copy_from_slice).collect();
            pieces.reverse();
            let mut coded = Coded::new(Given(pieces), coding).unwrap();
            let mut body = Vec::new();
            while let Some(piece) = coded.next_piece().unwrap() {
                assert!(!piece.is_empty());
                body.extend_from_slice(&piece);
            }
            let mut back = Vec::new();
            match coding {
                Coding::Plain => back = body,
                Coding::Zstd => {
                    let mut rest = body.as_slice();
                    zstd::stream::read::Decoder::with_buffer(&mut rest)
                        .unwrap()
                        .single_frame()
                        .read_to_end(&mut back)
                        .unwrap();
                    assert!(rest.is_empty(), "one frame");
                }
                Coding::Lz4 => {
                    assert_eq!(&body[body.len() - 4..], [0; 4], "one frame ends with its end mark");
                    lz4_flex::frame::FrameDecoder::new(body.as_slice()).read_to_end(&mut back).unwrap();
                }
            }
            assert!(back == noise, "{coding:?}");
        }
    }

    #[test]
    fn only_our_own_codings_are_taken() {
        assert_eq!(Coding::from_header(Some("zstd")), Coding::Zstd);
        assert_eq!(Coding::from_header(Some(" X-LZ4-Frame ")), Coding::Lz4);
        for other in [None, Some(""), Some("identity"), Some("lz4_frame"), Some("gzip, deflate, br, zstd")] {
            assert_eq!(Coding::from_header(other), Coding::Plain, "{other:?}");
        }
    }
}
