//! A connection and the bytes that arrived ahead of their use.

use std::io::{ErrorKind, IoSliceMut};

use tokio::net::TcpStream;

use super::wake::Wake;

use super::broken;
use crate::error::{Error, Kind, Result};

/// Room for what lies between two bodies: chunk sizes, metadata of messages, heads of answers.
const AHEAD_BYTES: usize = 8 << 10;

/// A connection whose small reads are served from a buffer and whose large ones go straight to their destination.
#[derive(Debug)]
pub(super) struct Socket {
    stream: TcpStream,
    ahead: Vec<u8>,
    /// The part of `ahead` that is filled and not used yet.
    start: usize,
    end: usize,
    wake: Wake,
}

impl Socket {
    pub(super) fn new(stream: TcpStream) -> Self {
        Socket { stream, ahead: vec![0; AHEAD_BYTES], start: 0, end: 0, wake: Wake::default() }
    }

    /// The connection, if nothing arrived that was not asked for.
    pub(super) fn into_idle(mut self) -> Option<TcpStream> {
        self.wake.set(&self.stream, 1);
        (self.start == self.end).then_some(self.stream)
    }

    pub(super) async fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            match self.stream.try_write(bytes) {
                Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.stream.writable().await.map_err(|error| broke(&error))?;
                }
                Err(error) => return Err(broke(&error)),
            }
        }
        Ok(())
    }

    /// Bytes that arrived ahead.
    pub(super) fn ahead(&self) -> &[u8] {
        self.ahead.get(self.start..self.end).unwrap_or_default()
    }

    /// Marks the first `count` bytes of [`Socket::ahead`] as used.
    pub(super) fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
    }

    /// Waits for more bytes ahead; 0 if the peer has closed. `most` bounds what is kept ahead.
    pub(super) async fn fill(&mut self, most: usize) -> Result<usize> {
        self.ahead.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        if self.end == self.ahead.len() {
            if self.end >= most {
                return Err(Error::new(Kind::CorruptData, format!("the answer has a line of over {most} bytes")));
            }
            self.ahead.resize((2 * self.end).min(most), 0);
        }
        self.receive(&mut [], 1).await
    }

    /// Moves bytes to `target`: those that are ahead, else from the socket, where what does not fit goes ahead. If there are none,
    /// waits for about `least` of them. 0 only if the peer has closed or `target` is empty.
    pub(super) async fn read(&mut self, target: &mut [u8], least: usize) -> Result<usize> {
        let ahead = self.ahead();
        if ahead.is_empty() && !target.is_empty() {
            (self.start, self.end) = (0, 0);
            let count = self.receive(target, least).await?;
            self.end = count.saturating_sub(target.len());
            return Ok(count.min(target.len()));
        }
        let count = ahead.len().min(target.len());
        if let (Some(target), Some(ahead)) = (target.get_mut(..count), ahead.get(..count)) {
            target.copy_from_slice(ahead);
        }
        self.consume(count);
        Ok(count)
    }

    /// One read from the socket into `target` and then into the free end of `ahead`.
    async fn receive(&mut self, target: &mut [u8], least: usize) -> Result<usize> {
        let only_ahead = target.is_empty();
        loop {
            let free = self.ahead.get_mut(self.end..).unwrap_or_default();
            match self.stream.try_read_vectored(&mut [IoSliceMut::new(target), IoSliceMut::new(free)]) {
                Ok(count) => {
                    if only_ahead {
                        self.end += count;
                    }
                    return Ok(count);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.wake.set(&self.stream, least);
                    self.stream.readable().await.map_err(|error| broke(&error))?;
                }
                Err(error) => return Err(broke(&error)),
            }
        }
    }
}

fn broke(error: &std::io::Error) -> Error {
    broken("the connection broke", error)
}
