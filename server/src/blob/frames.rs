//! Frames: several blobs in one body, up and down (storage-api-v2-v3.md 5.5).

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Take};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use bytes::{Bytes, BytesMut};
use serde::Deserialize;
use serde_json::{Map, json};

use super::body::unreadable;
use super::file::open;
use super::store::Sums;
use crate::catalog::Blob;
use crate::error::ApiError;
use crate::read::Pieces;
use crate::store::Keyring;

/// Bounds of the JSON around a blob.
const MAX_HEADER_BYTES: u64 = 1 << 20;
const MAX_FOOTER_BYTES: u64 = 64 << 10;

/// A piece of an answer is handed on when it has reached this size.
const PIECE_BYTES: usize = 512 << 10;

/// What a client says about a blob in front of its bytes.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct UploadHeader {
    pub partition_values: Option<Vec<String>>,
    /// The id of the column, in spite of its name.
    pub column_index: Option<i64>,
    pub distribution_key: Option<String>,
    pub content_type: Option<String>,
    pub custom_file_name: Option<String>,
}

/// And behind them.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct UploadFooter {
    checksum: Option<Checksum>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Checksum {
    #[serde(rename = "Type")]
    kind: i64,
    #[serde(rename = "Crc32")]
    crc32: Option<i64>,
    #[serde(rename = "MD5")]
    md5: Option<String>,
}

impl Checksum {
    fn check(&self, sums: &Sums) -> Result<(), ApiError> {
        let (wanted, found) = match self.kind {
            0 => return Ok(()),
            // Some clients print the number as if it had a sign.
            1 => (self.crc32.map(|crc| (crc as u32).to_string()), sums.crc32.to_string()),
            2 => (self.md5.as_ref().map(|md5| md5.to_ascii_lowercase()), sums.md5.clone()),
            other => return Err(ApiError::argument(format!("Checksum Type {other} is not 0, 1 or 2"))),
        };
        match wanted {
            Some(wanted) if wanted == found => Ok(()),
            Some(wanted) => Err(ApiError::argument(format!("the checksum of a blob is {found}, not {wanted}"))),
            None => Err(ApiError::argument("a frame announces a checksum and has none")),
        }
    }
}

/// Takes frames apart. Blocking.
pub struct FrameReader<R> {
    inner: R,
}

impl<R: Read> FrameReader<R> {
    pub fn new(inner: R) -> FrameReader<R> {
        FrameReader { inner }
    }

    /// The header of the next frame; `None` at the end of the body.
    pub fn header(&mut self) -> Result<Option<UploadHeader>, ApiError> {
        let Some(length) = self.length(true)? else { return Ok(None) };
        let text = self.text(length, MAX_HEADER_BYTES, "header")?;
        let refuse = |error| ApiError::argument(format!("the header of a frame is not what it should be: {error}"));
        serde_json::from_slice(&text).map(Some).map_err(refuse)
    }

    /// The bytes of the frame, whose number follows its header. They must be read to their end.
    pub fn data(&mut self) -> Result<Data<'_, R>, ApiError> {
        let length = self.length(false)?.unwrap_or_default();
        Ok(Data { inner: self.inner.by_ref().take(length) })
    }

    /// Reads what follows the bytes, and compares the checksum in it with what was found.
    pub fn footer(&mut self, sums: &Sums) -> Result<(), ApiError> {
        let length = self.length(false)?.unwrap_or_default();
        let text = self.text(length, MAX_FOOTER_BYTES, "footer")?;
        if text.is_empty() {
            return Ok(());
        }
        let refuse = |error| ApiError::argument(format!("the footer of a frame is not what it should be: {error}"));
        let footer: UploadFooter = serde_json::from_slice(&text).map_err(refuse)?;
        footer.checksum.map_or(Ok(()), |checksum| checksum.check(sums))
    }

    /// A length; `None` if the body ends instead, where it may.
    fn length(&mut self, may_end: bool) -> Result<Option<u64>, ApiError> {
        let mut bytes = [0; 8];
        let mut found = 0;
        while let Some(rest) = bytes.get_mut(found..).filter(|rest| !rest.is_empty()) {
            match self.inner.read(rest) {
                Ok(0) if found == 0 && may_end => return Ok(None),
                Ok(0) => return Err(cut()),
                Ok(count) => found += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(unreadable(&error)),
            }
        }
        let length = i64::from_le_bytes(bytes);
        u64::try_from(length).map(Some).map_err(|_| ApiError::argument(format!("a frame has the length {length}")))
    }

    fn text(&mut self, length: u64, limit: u64, what: &str) -> Result<Vec<u8>, ApiError> {
        if length > limit {
            return Err(ApiError::argument(format!(
                "the {what} of a frame has {length} bytes, at most {limit} are taken"
            )));
        }
        let mut text = Vec::new();
        self.inner.by_ref().take(length).read_to_end(&mut text).map_err(|error| unreadable(&error))?;
        if text.len() as u64 == length { Ok(text) } else { Err(cut()) }
    }
}

/// The bytes of one frame; ending early is an error.
pub struct Data<'a, R> {
    inner: Take<&'a mut R>,
}

impl<R: Read> Read for Data<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        match count == 0 && self.inner.limit() > 0 && !buffer.is_empty() {
            true => Err(io::Error::new(ErrorKind::UnexpectedEof, "it ends inside a frame")),
            false => Ok(count),
        }
    }
}

fn cut() -> ApiError {
    ApiError::argument("the body ends inside a frame")
}

/// The payload of an answer: the bytes of one blob, or frames of several.
pub struct Payload {
    dir: PathBuf,
    keyring: Arc<Keyring>,
    blobs: VecDeque<Blob>,
    framed: bool,
    open: Option<(Box<dyn Read + Send>, Blob, u64)>,
    /// What was read ahead.
    first: Option<Bytes>,
}

impl Payload {
    /// Blobs in this order. `dir` is the directory of blobs.
    pub fn new(dir: PathBuf, keyring: Arc<Keyring>, blobs: Vec<Blob>) -> Payload {
        Payload { dir, keyring, framed: blobs.len() > 1, blobs: blobs.into(), open: None, first: None }
    }

    /// Reads the first piece, so that what cannot be read at all is refused before an answer begins. Blocking.
    pub fn begun(mut self) -> Result<Payload, ApiError> {
        let failure = |error: anyhow::Error| {
            tracing::error!("a blob cannot be read: {error:#}");
            ApiError::new(500, "DataStoreError", format!("a blob cannot be read: {}", error.root_cause()))
        };
        self.first = self.next_piece().map_err(failure)?;
        Ok(self)
    }

    /// Opens the next blob and writes what stands in front of it. False if there is none.
    fn begin(&mut self, piece: &mut BytesMut) -> Result<bool> {
        let Some(blob) = self.blobs.pop_front() else { return Ok(false) };
        if self.framed {
            let mut header = Map::new();
            if let Some(content_type) = &blob.content_type {
                header.insert("ContentType".into(), json!(content_type));
            }
            if let Some(file_name) = &blob.file_name {
                header.insert("CustomFileName".into(), json!(file_name));
            }
            put_text(piece, &serde_json::to_string(&header)?);
            piece.extend_from_slice(&(blob.bytes as i64).to_le_bytes());
        }
        let secret = blob.key.as_deref().map(|key| self.keyring.secret(key)).transpose()?;
        let bytes = open(&self.dir, &blob.id, secret.as_ref())?;
        self.open = Some((bytes, blob, 0));
        Ok(true)
    }
}

impl Pieces for Payload {
    fn next_piece(&mut self) -> Result<Option<Bytes>> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        let mut piece = BytesMut::new();
        while piece.len() < PIECE_BYTES {
            let Some((bytes, blob, sent)) = &mut self.open else {
                if self.begin(&mut piece)? {
                    continue;
                }
                break;
            };
            // The key may have been disabled since.
            if let Some(key) = &blob.key {
                self.keyring.check_key(key)?;
            }
            let start = piece.len();
            piece.resize(PIECE_BYTES.max(start + 1), 0);
            let buffer = piece.get_mut(start..).unwrap_or_default();
            let count = bytes.read(buffer).with_context(|| format!("cannot read blob {}", blob.id))?;
            piece.truncate(start + count);
            *sent += count as u64;
            if count > 0 {
                continue;
            }
            if *sent != blob.bytes {
                bail!("blob {} has {sent} bytes, not {}", blob.id, blob.bytes);
            }
            if self.framed {
                put_text(&mut piece, "{}");
            }
            self.open = None;
        }
        Ok((!piece.is_empty()).then(|| piece.freeze()))
    }
}

fn put_text(piece: &mut BytesMut, text: &str) {
    piece.extend_from_slice(&(text.len() as i64).to_le_bytes());
    piece.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(header: &str, data: &[u8], footer: &str) -> Vec<u8> {
        let parts = [header.as_bytes(), data, footer.as_bytes()];
        parts.iter().flat_map(|part| [&(part.len() as i64).to_le_bytes()[..], part].concat()).collect()
    }

    fn read(body: &[u8], sums: &Sums) -> Result<(UploadHeader, Vec<u8>), ApiError> {
        let mut frames = FrameReader::new(body);
        let header = frames.header()?.expect("a frame");
        let mut data = Vec::new();
        frames.data()?.read_to_end(&mut data).map_err(|error| unreadable(&error))?;
        frames.footer(sums)?;
        assert!(frames.header()?.is_none());
        Ok((header, data))
    }

    #[test]
    fn the_example_of_the_protocol() {
        let header = r#"{"PartitionValues": [], "ColumnIndex": 2, "ContentType": "text/plain"}"#;
        let footer = r#"{"Checksum": {"Type": 1, "Crc32": 3633523372}}"#;
        let body = frame(header, b"hi", footer);
        assert_eq!(body.len(), 142);
        let sums = Sums { bytes: 2, md5: "x".into(), crc32: 3_633_523_372 };
        let (header, data) = read(&body, &sums).unwrap();
        assert_eq!(
            (header.column_index, header.content_type.as_deref(), data.as_slice()),
            (Some(2), Some("text/plain"), &b"hi"[..])
        );
        let other = Sums { crc32: 1, ..sums };
        assert_eq!(read(&body, &other).unwrap_err().code, "InvalidArgument");
        for end in 1..body.len() {
            assert!(read(&body[..end], &Sums { bytes: 2, md5: "x".into(), crc32: 3_633_523_372 }).is_err(), "{end}");
        }
        assert!(read(&(-1i64).to_le_bytes(), &other).is_err());
    }

    #[test]
    fn one_blob_is_bare_and_several_are_framed() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a"), "hi").unwrap();
        std::fs::write(dir.path().join("b"), "").unwrap();
        let blob = |id: &str, bytes, content_type: Option<&str>| Blob {
            id: id.into(),
            session: String::new(),
            project: String::new(),
            key: None,
            bytes,
            content_type: content_type.map(Into::into),
            file_name: None,
        };
        let body = |blobs: Vec<Blob>| -> Result<Vec<u8>> {
            let mut payload = Payload::new(dir.path().to_path_buf(), Arc::new(Keyring::new(dir.path())), blobs);
            let mut body = Vec::new();
            while let Some(piece) = payload.next_piece()? {
                body.extend_from_slice(&piece);
            }
            Ok(body)
        };
        assert_eq!(body(vec![blob("a", 2, Some("text/plain"))]).unwrap(), b"hi");
        assert_eq!(body(vec![blob("b", 0, None)]).unwrap(), b"");
        let two = body(vec![blob("a", 2, Some("text/plain")), blob("b", 0, None)]).unwrap();
        assert_eq!(two, [frame(r#"{"ContentType":"text/plain"}"#, b"hi", "{}"), frame("{}", b"", "{}")].concat());
        assert!(body(vec![blob("a", 3, None)]).is_err(), "a damaged blob is not delivered as a whole one");
    }
}
