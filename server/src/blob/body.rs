//! The body of an upload, first as it comes, then decoded.

use std::io::{self, BufReader, Read, Write};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use axum::body::Body;
use bytes::BytesMut;
use futures::StreamExt;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::file::{BlobWriter, open};
use crate::error::ApiError;
use crate::limited::{Limit, Limited, TooLarge};
use crate::private;
use crate::store::{RootLock, Secret, new_file_id};
use crate::write::drain;

/// A body that stands still for this long is given up (service-behaviour.md 3.5).
const IDLE: Duration = Duration::from_secs(120);

/// Bytes that are collected before a blocking thread writes them.
const COLLECT_BYTES: usize = 1 << 20;

const BUFFER_BYTES: usize = 256 << 10;

/// A body in a file of its own, removed when dropped. So a slow client holds neither a thread nor memory.
pub struct Upload {
    dir: PathBuf,
    name: String,
    /// What the file is encrypted with.
    secret: Option<Secret>,
    bytes: u64,
    ends: Ends,
    /// What it may have, as sent and decoded.
    limit: Limit,
    _lock: RootLock,
}

impl Drop for Upload {
    fn drop(&mut self) {
        // Best effort: what stays behind is removed at the next start of `serve`.
        let _ = std::fs::remove_file(self.dir.join(&self.name));
    }
}

impl Upload {
    /// Takes a body within a limit to its end. `dir` is the directory of blobs of the root that `lock` is of.
    pub async fn receive(
        dir: PathBuf,
        lock: RootLock,
        limit: Limit,
        secret: Option<Secret>,
        body: Body,
    ) -> Result<Upload, ApiError> {
        let ends = Ends::default();
        let mut upload = Upload { dir, name: new_file_id(), secret, bytes: 0, ends, limit, _lock: lock };
        let (dir, name, secret) = (upload.dir.clone(), upload.name.clone(), upload.secret.clone());
        let mut file = blocking(move || {
            private::directory(&dir)?;
            BlobWriter::create(&dir, &name, secret.as_ref())
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
                let piece = piece.map_err(incomplete)?;
                upload.ends.see(&piece);
                waiting.extend_from_slice(&piece);
            }
            if upload.bytes + waiting.len() as u64 > limit.bytes {
                drain(Body::from_stream(body)).await;
                return Err((&TooLarge(limit)).into());
            }
            if waiting.len() >= COLLECT_BYTES || is_last {
                let bytes = waiting.split();
                upload.bytes += bytes.len() as u64;
                file = blocking(move || Ok(file.write_all(&bytes).map(|()| file)?)).await?;
            }
            if is_last {
                blocking(move || Ok(file.finish()?)).await?;
                return Ok(upload);
            }
        }
    }

    /// The bytes, decoded as `Content-Encoding` says; reading fails with [`TooLarge`] beyond the limit. Blocking.
    pub fn open(&self, encoding: Option<&str>) -> Result<Limited<Box<dyn Read>>, ApiError> {
        Ok(Limited::new(self.decoded(encoding)?, self.limit))
    }

    fn decoded(&self, encoding: Option<&str>) -> Result<Box<dyn Read>, ApiError> {
        let file = open(&self.dir, &self.name, self.secret.as_ref()).context("an upload is gone")?;
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
                self.ends.demand_end_mark()?;
                Ok(Box::new(lz4_flex::frame::FrameDecoder::new(file)))
            }
            other => Err(ApiError::argument(format!("Content-Encoding {other} is neither zstd nor x-lz4-frame"))),
        }
    }
}

/// The first and the last bytes of a body.
#[derive(Default)]
struct Ends {
    /// Magic bytes and flags of an LZ4 frame.
    first: Vec<u8>,
    /// Its end mark, and a checksum behind it.
    last: Vec<u8>,
}

impl Ends {
    const FIRST: usize = 5;
    const LAST: usize = 8;

    fn see(&mut self, piece: &[u8]) {
        let missing = Self::FIRST.saturating_sub(self.first.len());
        self.first.extend(piece.iter().take(missing));
        self.last.extend(piece.iter().skip(piece.len().saturating_sub(Self::LAST)));
        self.last.drain(..self.last.len().saturating_sub(Self::LAST));
    }

    /// Refuses an LZ4 frame without its end mark, which the decoder takes for a whole one if the cut is between two blocks.
    fn demand_end_mark(&self) -> Result<(), ApiError> {
        /// Of the flags, behind the four magic bytes: a checksum of four bytes follows the end mark.
        const CONTENT_CHECKSUM: u8 = 1 << 2;
        let has_checksum = self.first.get(4).is_some_and(|flags| flags & CONTENT_CHECKSUM != 0);
        let mark = if has_checksum { self.last.first_chunk::<4>() } else { self.last.last_chunk::<4>() };
        match (self.first.len(), mark) {
            (Self::FIRST, Some([0, 0, 0, 0])) => Ok(()),
            _ => Err(ApiError::argument("the body cannot be decoded: its LZ4 frame has no end")),
        }
    }
}

/// Why reading an upload failed.
pub fn unreadable(error: &io::Error) -> ApiError {
    match TooLarge::in_error(error) {
        Some(too_large) => too_large.into(),
        None => ApiError::argument(format!("the body cannot be decoded: {error}")),
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> anyhow::Result<T> + Send + 'static) -> Result<T, ApiError> {
    match spawn_blocking(work).await {
        Ok(result) => Ok(result.context("cannot store an upload")?),
        Err(error) => Err(anyhow::anyhow!("storing an upload failed: {error}").into()),
    }
}
