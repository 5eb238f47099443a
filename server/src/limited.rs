//! Bytes up to a limit. A few bytes can decode into any number, so what comes out of a decoder is counted.

use std::io::{self, Read};

use crate::error::ApiError;

/// What a body may have.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    pub bytes: u64,
    /// What it bounds, for the sentence of the refusal.
    pub what: &'static str,
}

/// A body has more bytes than it may.
#[derive(Debug, thiserror::Error)]
#[error("{} at most {} bytes here", .0.what, .0.bytes)]
pub struct TooLarge(pub Limit);

impl TooLarge {
    /// The reason of an error, if it is this one.
    pub fn in_error(error: &io::Error) -> Option<&TooLarge> {
        error.get_ref()?.downcast_ref()
    }
}

impl From<&TooLarge> for ApiError {
    fn from(error: &TooLarge) -> ApiError {
        ApiError::new(413, "MaxMessageLengthExceeded", error.to_string())
    }
}

/// A reader that fails with [`TooLarge`] beyond its limit.
pub struct Limited<R> {
    inner: R,
    limit: Limit,
    taken: u64,
}

impl<R: Read> Limited<R> {
    pub fn new(inner: R, limit: Limit) -> Limited<R> {
        Limited { inner, limit, taken: 0 }
    }
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.taken += count as u64;
        match self.taken > self.limit.bytes {
            true => Err(io::Error::other(TooLarge(self.limit))),
            false => Ok(count),
        }
    }
}
