//! The body of an upload, first as it comes, then decoded.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use axum::body::Body;
use bytes::BytesMut;
use futures::StreamExt;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::error::ApiError;
use crate::private;
use crate::store::{RootLock, new_file_id};
use crate::write::drain;

/// A body that stands still for this long is given up (service-behaviour.md 3.5).
const IDLE: Duration = Duration::from_secs(120);

/// Bytes that are collected before a blocking thread writes them.
const COLLECT_BYTES: usize = 1 << 20;

const BUFFER_BYTES: usize = 256 << 10;

/// A body in a file of its own, removed when dropped. So a slow client holds neither a thread nor memory.
pub struct Upload {
    path: PathBuf,
    bytes: u64,
    /// What it may have, as sent and decoded.
    limit: u64,
    _lock: RootLock,
}

impl Drop for Upload {
    fn drop(&mut self) {
        // Best effort: what stays behind is removed at the next start of `serve`.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Upload {
    /// Takes a body of at most `limit` bytes to its end. `dir` is the directory of blobs of the root that `lock` is of.
    pub async fn receive(dir: PathBuf, lock: RootLock, limit: u64, body: Body) -> Result<Upload, ApiError> {
        let mut upload = Upload { path: dir.join(new_file_id()), bytes: 0, limit, _lock: lock };
        let path = upload.path.clone();
        let mut file = blocking(move || {
            private::directory(&dir)?;
            private::create_new(&path)
        })
        .await?;
        let mut body = body.into_data_stream();
        let mut waiting = BytesMut::new();
        loop {
            let Ok(piece) = timeout(IDLE, body.next()).await else {
                let message = format!("no byte of the request body arrived for {} s", IDLE.as_secs());
                return Err(ApiError::new(408, "RequestTimeout", message));
            };
            let is_last = piece.is_none();
            if let Some(piece) = piece {
                let incomplete = |_| ApiError::new(400, "IncompleteBody", "the request body ended too early");
                waiting.extend_from_slice(&piece.map_err(incomplete)?);
            }
            if upload.bytes + waiting.len() as u64 > limit {
                drain(Body::from_stream(body)).await;
                return Err((&TooLarge(limit)).into());
            }
            if waiting.len() >= COLLECT_BYTES || (is_last && !waiting.is_empty()) {
                let bytes = waiting.split();
                upload.bytes += bytes.len() as u64;
                file = blocking(move || file.write_all(&bytes).map(|()| file)).await?;
            }
            if is_last {
                return Ok(upload);
            }
        }
    }

    /// The bytes, decoded as `Content-Encoding` says; reading fails with [`TooLarge`] beyond the limit. Blocking.
    pub fn open(&self, encoding: Option<&str>) -> Result<Limited<Box<dyn Read>>, ApiError> {
        Ok(Limited { inner: self.decoded(encoding)?, limit: self.limit, taken: 0 })
    }

    fn decoded(&self, encoding: Option<&str>) -> Result<Box<dyn Read>, ApiError> {
        let file = File::open(&self.path).context("an upload is gone")?;
        let file = BufReader::with_capacity(BUFFER_BYTES, file);
        let encoding = encoding.unwrap_or_default().trim().to_ascii_lowercase();
        match encoding.as_str() {
            // No bytes at all are an empty upload in any coding.
            _ if self.bytes == 0 => Ok(Box::new(std::io::empty())),
            "" | "identity" => Ok(Box::new(file)),
            "zstd" => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(file).context("cannot read zstd")?;
                decoder.window_log_max(27).context("cannot read zstd")?;
                Ok(Box::new(decoder))
            }
            "x-lz4-frame" => {
                let mut file = file;
                demand_end_mark(file.get_mut(), self.bytes)?;
                Ok(Box::new(lz4_flex::frame::FrameDecoder::new(file)))
            }
            other => Err(ApiError::argument(format!("Content-Encoding {other} is neither zstd nor x-lz4-frame"))),
        }
    }
}

/// An upload has more bytes than it may.
#[derive(Debug, thiserror::Error)]
#[error("the blobs of one request have at most {0} bytes here, as sent and decoded (--upload-blob-bytes)")]
struct TooLarge(u64);

impl From<&TooLarge> for ApiError {
    fn from(error: &TooLarge) -> ApiError {
        ApiError::new(413, "MaxMessageLengthExceeded", error.to_string())
    }
}

/// Bytes up to a limit. A few bytes can decode into any number, so what comes out is counted.
pub struct Limited<R> {
    inner: R,
    limit: u64,
    taken: u64,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.taken += count as u64;
        match self.taken > self.limit {
            true => Err(io::Error::other(TooLarge(self.limit))),
            false => Ok(count),
        }
    }
}

/// Why reading an upload failed.
pub fn unreadable(error: &io::Error) -> ApiError {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<TooLarge>()) {
        Some(too_large) => too_large.into(),
        None => ApiError::argument(format!("the body cannot be decoded: {error}")),
    }
}

/// Refuses an LZ4 frame without its end mark, which the decoder takes for a whole one if the cut is between two blocks.
fn demand_end_mark(file: &mut File, bytes: u64) -> Result<(), ApiError> {
    /// Of the flags, behind the four magic bytes: a checksum of four bytes follows the end mark.
    const CONTENT_CHECKSUM: u8 = 1 << 2;
    let cut = || ApiError::argument("the body cannot be decoded: its LZ4 frame has no end");
    let mut head = [0; 5];
    file.read_exact(&mut head).map_err(|_| cut())?;
    let behind = if head.last().is_some_and(|flags| flags & CONTENT_CHECKSUM != 0) { 4 } else { 0 };
    let at = bytes.checked_sub(4 + behind).ok_or_else(cut)?;
    let mut mark = [0xff; 4];
    file.seek(SeekFrom::Start(at)).context("cannot read an upload")?;
    file.read_exact(&mut mark).context("cannot read an upload")?;
    file.rewind().context("cannot read an upload")?;
    if mark == [0; 4] { Ok(()) } else { Err(cut()) }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, ApiError> {
    match spawn_blocking(work).await {
        Ok(result) => Ok(result.context("cannot store an upload")?),
        Err(error) => Err(anyhow::anyhow!("storing an upload failed: {error}").into()),
    }
}
