//! Why a stream of the tunnel cannot be read.

use std::io;

use crate::error::ApiError;
use crate::limited::TooLarge;

/// A stream that is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// It ends before its footer.
    #[error("the stream ends before its end: {0}")]
    Incomplete(&'static str),
    /// A checksum or a count does not match.
    #[error("the stream was damaged on its way: {0}")]
    Corrupted(String),
    /// It is no stream of rows of this table.
    #[error("{0}")]
    Malformed(String),
    /// It decodes into more than it may.
    #[error("{0}")]
    TooLarge(String),
}

impl StreamError {
    /// The failure of reading the bytes or of taking them out of their coding.
    pub fn read(error: &io::Error, what: &'static str) -> StreamError {
        if let Some(too_large) = TooLarge::in_error(error) {
            return StreamError::TooLarge(too_large.to_string());
        }
        match error.kind() {
            io::ErrorKind::UnexpectedEof => StreamError::Incomplete(what),
            _ => StreamError::Malformed(format!("the body cannot be decoded: {error}")),
        }
    }
}

impl From<StreamError> for ApiError {
    fn from(error: StreamError) -> ApiError {
        let (status, code) = match error {
            StreamError::Incomplete(_) => (400, "IncompleteBody"),
            StreamError::Corrupted(_) => (400, "CorruptedDataStream"),
            StreamError::Malformed(_) => (400, "MalformedDataStream"),
            StreamError::TooLarge(_) => (413, "MaxMessageLengthExceeded"),
        };
        ApiError::new(status, code, error.to_string())
    }
}
