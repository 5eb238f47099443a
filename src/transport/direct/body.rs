//! The body of an answer, without its framing.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::Connections;
use super::socket::Socket;
use crate::error::{Error, Kind, Result};

/// Largest line of a chunk: its size and extensions, or a trailer.
const MAX_LINE_BYTES: usize = 16 << 10;

/// How long bytes may lie in the socket because more of them are waited for.
const PATIENCE: Duration = Duration::from_millis(50);

/// What a reader needs of the bytes that it makes room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Whatever arrives.
    Any,
    /// All of them: with a part it cannot begin.
    All,
}

/// How the end of a body is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    /// So many bytes.
    Bytes(u64),
    /// Each chunk says how long it is.
    Chunked,
    /// It ends with the connection, so nobody knows whether it is complete.
    UntilClose,
}

/// Where in a body the next byte lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// So many bytes of the body, or of the chunk, are to come.
    Data(u64),
    /// Before the size of a chunk.
    Size,
    /// Behind the data of a chunk.
    EndOfChunk,
    /// Among the lines behind the last chunk.
    Trailers,
    /// Behind the last byte.
    End,
}

/// A body in arrival.
#[derive(Debug)]
pub(in crate::transport) struct DirectBody {
    /// Gone when the body is complete and the connection has gone back.
    socket: Option<Socket>,
    length: Length,
    place: Place,
    idle: Duration,
    home: Option<(Arc<Connections>, String)>,
}

impl DirectBody {
    pub(super) fn new(
        socket: Socket,
        length: Length,
        idle: Duration,
        home: Option<(Arc<Connections>, String)>,
    ) -> Self {
        let place = match length {
            Length::Bytes(count) => Place::Data(count),
            Length::Chunked => Place::Size,
            Length::UntilClose => Place::Data(u64::MAX),
        };
        DirectBody { socket: Some(socket), length, place, idle, home }
    }

    /// Reads into `target`, which must not be empty, as `need` says. 0 after the last byte of a complete body.
    pub(in crate::transport) async fn read(&mut self, target: &mut [u8], need: Need) -> Result<usize> {
        // A peer that is always faster than we are must not keep the thread from other tasks, or from a cancel.
        tokio::task::coop::consume_budget().await;
        let Some(mut socket) = self.socket.take() else { return Ok(0) };
        let idle = self.idle;
        let reading = async {
            if need == Need::All
                && let Ok(read) = timeout(PATIENCE, self.read_from(&mut socket, target, Need::All)).await
            {
                return read;
            }
            self.read_from(&mut socket, target, Need::Any).await
        };
        let read = timeout(idle, reading).await.unwrap_or_else(|_| {
            let message = format!("nothing arrived for {} ms in mid-answer", idle.as_millis());
            Err(Error::new(Kind::Timeout, message))
        });
        if self.place != Place::End {
            self.socket = Some(socket);
        } else if let (Some((connections, authority)), Some(stream)) = (self.home.take(), socket.into_idle()) {
            connections.put_back(&authority, stream);
        }
        read
    }

    async fn read_from(&mut self, socket: &mut Socket, target: &mut [u8], need: Need) -> Result<usize> {
        loop {
            match self.place {
                Place::Data(left) => {
                    let most = usize::try_from(left).unwrap_or(usize::MAX).min(target.len());
                    let count = match target.get_mut(..most) {
                        Some(part) if most > 0 => {
                            let least = if need == Need::All { part.len() } else { 1 };
                            socket.read(part, least).await?
                        }
                        _ => 0,
                    };
                    if count == 0 && left > 0 && self.length != Length::UntilClose {
                        return Err(cut());
                    }
                    self.place = match left - count as u64 {
                        0 if self.length == Length::Chunked => Place::EndOfChunk,
                        0 => Place::End,
                        _ if count == 0 => Place::End,
                        left => Place::Data(left),
                    };
                    if count > 0 {
                        return Ok(count);
                    }
                }
                Place::Size => {
                    let line = line(socket).await?;
                    let digits = line.split(';').next().unwrap_or_default().trim();
                    let size = u64::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'));
                    match size {
                        Some(0) => self.place = Place::Trailers,
                        Some(size) => self.place = Place::Data(size),
                        None => return Err(malformed("a chunk has no size")),
                    }
                }
                Place::EndOfChunk => match line(socket).await?.as_str() {
                    "" => self.place = Place::Size,
                    _ => return Err(malformed("a chunk is longer than it says")),
                },
                Place::Trailers => {
                    if line(socket).await?.is_empty() {
                        self.place = Place::End;
                    }
                }
                Place::End => return Ok(0),
            }
        }
    }
}

/// The next line, without its end.
async fn line(socket: &mut Socket) -> Result<String> {
    loop {
        let ahead = socket.ahead();
        if let Some(end) = ahead.iter().position(|byte| *byte == b'\n') {
            let text = ahead.get(..end).unwrap_or_default();
            let text = String::from_utf8_lossy(text.strip_suffix(b"\r").unwrap_or(text)).into_owned();
            socket.consume(end + 1);
            return Ok(text);
        }
        if socket.fill(MAX_LINE_BYTES).await? == 0 {
            return Err(cut());
        }
    }
}

fn cut() -> Error {
    Error::new(Kind::Connection, "the connection was closed in mid-answer")
}

fn malformed(what: &str) -> Error {
    Error::new(Kind::CorruptData, format!("the framing of the answer is malformed: {what}"))
}
