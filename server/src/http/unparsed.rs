//! Answers to what is no HTTP request: hyper writes them itself (400, 414, 431), and they get a request id here.

use std::io::{IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use uuid::Uuid;

/// A connection whose answers all carry a request id.
pub struct Named<S> {
    stream: S,
    /// The answer that is written in place of hyper's, and how much of it is written.
    replacement: Option<(Vec<u8>, usize)>,
}

impl<S> Named<S> {
    pub fn new(stream: S) -> Self {
        Named { stream, replacement: None }
    }
}

/// hyper's own answers are a head without a body, in one piece; ours have a request id already.
fn needs_id(bytes: &[u8]) -> bool {
    let contains = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
    bytes.len() < 512
        && bytes.starts_with(b"HTTP/1.1 4")
        && bytes.ends_with(b"\r\n\r\n")
        && contains(b"content-length: 0\r\n")
        && !contains(b"x-odps-request-id")
}

/// The same answer with a request id behind its first line.
fn with_id(bytes: &[u8]) -> Vec<u8> {
    let id = Uuid::new_v4().simple().to_string().to_uppercase();
    let line = bytes.windows(2).position(|window| window == b"\r\n").map_or(0, |at| at + 2);
    let (first, rest) = bytes.split_at(line);
    tracing::info!(request = id, answer = %String::from_utf8_lossy(first).trim_end(), "no HTTP request");
    [first, format!("x-odps-request-id: {id}\r\n").as_bytes(), rest].concat()
}

impl<S: AsyncRead + Unpin> AsyncRead for Named<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Named<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        let this = &mut *self;
        if this.replacement.is_none() && needs_id(bytes) {
            this.replacement = Some((with_id(bytes), 0));
        }
        let Some((answer, written)) = &mut this.replacement else {
            return Pin::new(&mut this.stream).poll_write(cx, bytes);
        };
        while let Some(rest) = answer.get(*written..).filter(|rest| !rest.is_empty()) {
            match ready!(Pin::new(&mut this.stream).poll_write(cx, rest))? {
                0 => return Poll::Ready(Ok(0)),
                count => *written += count,
            }
        }
        this.replacement = None;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        match slices.iter().find(|slice| !slice.is_empty()) {
            Some(first) if self.replacement.is_some() || needs_id(first) => self.poll_write(cx, first),
            _ => Pin::new(&mut self.stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
