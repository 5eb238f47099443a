//! The codings of bodies, as official clients name them in `Accept-Encoding` and `Content-Encoding`.

use std::io::{Read, Write};

use anyhow::Result;

use crate::error::ApiError;

/// A coding of a whole body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    Identity,
    /// zlib, which HTTP calls deflate.
    Deflate,
    Zstd,
    Lz4,
    /// LZ4 under the name that clients use for Arrow bodies.
    ArrowLz4,
    Snappy,
}

const ALL: [Coding; 6] =
    [Coding::Identity, Coding::Deflate, Coding::Zstd, Coding::Lz4, Coding::ArrowLz4, Coding::Snappy];

impl Coding {
    /// The name in headers.
    pub fn name(self) -> &'static str {
        match self {
            Coding::Identity => "identity",
            Coding::Deflate => "deflate",
            Coding::Zstd => "zstd",
            Coding::Lz4 => "x-lz4-frame",
            Coding::ArrowLz4 => "x-odps-lz4-frame",
            Coding::Snappy => "x-snappy-framed",
        }
    }

    /// What an `Accept-Encoding` value asks for. A list is what HTTP libraries send by themselves and asks for nothing;
    /// so does a name that is unknown.
    pub fn accepted(value: Option<&str>) -> Coding {
        value.and_then(named).unwrap_or(Coding::Identity)
    }

    /// The coding that a `Content-Encoding` value names.
    pub fn of_content(value: Option<&str>) -> Result<Coding, ApiError> {
        match value.map(str::trim).filter(|value| !value.is_empty()) {
            None => Ok(Coding::Identity),
            Some(value) => named(value)
                .ok_or_else(|| ApiError::argument(format!("Content-Encoding \"{value}\" is not one of the tunnel's"))),
        }
    }
}

fn named(value: &str) -> Option<Coding> {
    ALL.into_iter().find(|coding| coding.name().eq_ignore_ascii_case(value.trim()))
}

/// Codes the bytes of an answer.
pub enum Coder {
    Identity(Vec<u8>),
    Deflate(flate2::write::ZlibEncoder<Vec<u8>>),
    Zstd(Box<zstd::stream::write::Encoder<'static, Vec<u8>>>),
    Lz4(Box<lz4_flex::frame::FrameEncoder<Vec<u8>>>),
    Snappy(Box<snap::write::FrameEncoder<Vec<u8>>>),
}

impl Coder {
    pub fn new(coding: Coding) -> Result<Coder> {
        Ok(match coding {
            Coding::Identity => Coder::Identity(Vec::new()),
            Coding::Deflate => Coder::Deflate(flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast())),
            Coding::Zstd => Coder::Zstd(Box::new(zstd::stream::write::Encoder::new(Vec::new(), 1)?)),
            Coding::Lz4 | Coding::ArrowLz4 => Coder::Lz4(Box::new(lz4_flex::frame::FrameEncoder::new(Vec::new()))),
            Coding::Snappy => Coder::Snappy(Box::new(snap::write::FrameEncoder::new(Vec::new()))),
        })
    }

    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        match self {
            Coder::Identity(out) => out.extend_from_slice(bytes),
            Coder::Deflate(coder) => coder.write_all(bytes)?,
            Coder::Zstd(coder) => coder.write_all(bytes)?,
            Coder::Lz4(coder) => coder.write_all(bytes)?,
            Coder::Snappy(coder) => coder.write_all(bytes)?,
        }
        Ok(())
    }

    /// Codes what is left and writes the end.
    pub fn finish(&mut self) -> Result<()> {
        match self {
            Coder::Identity(_) => {}
            Coder::Deflate(coder) => coder.try_finish()?,
            Coder::Zstd(coder) => coder.do_finish()?,
            Coder::Lz4(coder) => coder.try_finish()?,
            Coder::Snappy(coder) => coder.flush()?,
        }
        Ok(())
    }

    /// What was coded and not yet taken.
    pub fn coded(&mut self) -> &mut Vec<u8> {
        match self {
            Coder::Identity(out) => out,
            Coder::Deflate(coder) => coder.get_mut(),
            Coder::Zstd(coder) => coder.get_mut(),
            Coder::Lz4(coder) => coder.get_mut(),
            Coder::Snappy(coder) => coder.get_mut(),
        }
    }
}

/// Takes the bytes of a request out of their coding.
pub fn decoder(coding: Coding, input: impl Read + Send + 'static) -> std::io::Result<Box<dyn Read + Send>> {
    Ok(match coding {
        Coding::Identity => Box::new(input),
        Coding::Deflate => Box::new(flate2::read::ZlibDecoder::new(input)),
        Coding::Zstd => Box::new(zstd::stream::read::Decoder::new(input)?),
        Coding::Lz4 | Coding::ArrowLz4 => Box::new(lz4_flex::frame::FrameDecoder::new(input)),
        Coding::Snappy => Box::new(snap::read::FrameDecoder::new(input)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_coding_takes_back_what_it_made() {
        let bytes: Vec<u8> = (0..300_000u32).map(|i| (i / 100 % 256) as u8).collect();
        for coding in ALL {
            let (mut coder, mut coded) = (Coder::new(coding).unwrap(), Vec::new());
            for piece in bytes.chunks(70_000) {
                coder.write(piece).unwrap();
                coded.append(coder.coded());
            }
            coder.finish().unwrap();
            coded.append(coder.coded());
            assert_eq!(coding == Coding::Identity, coded.len() == bytes.len(), "{coding:?}");
            let mut back = Vec::new();
            decoder(coding, std::io::Cursor::new(coded)).unwrap().read_to_end(&mut back).unwrap();
            assert!(back == bytes, "{coding:?}");
        }
    }

    #[test]
    fn names_are_those_of_the_clients() {
        assert_eq!(Coding::accepted(Some("deflate")), Coding::Deflate);
        assert_eq!(Coding::accepted(Some("x-odps-lz4-frame")), Coding::ArrowLz4);
        for other in [None, Some("gzip, deflate, br, zstd"), Some("gzip"), Some("identity"), Some("*")] {
            assert_eq!(Coding::accepted(other), Coding::Identity);
        }
        assert_eq!(Coding::of_content(Some("ZSTD")).unwrap(), Coding::Zstd);
        assert_eq!(Coding::of_content(Some("")).unwrap(), Coding::Identity);
        assert!(Coding::of_content(Some("gzip")).is_err());
    }
}
