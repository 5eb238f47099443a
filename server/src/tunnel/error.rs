//! Why a stream of the tunnel cannot be read.

use std::io;

use crate::error::ApiError;

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
}

impl StreamError {
    /// The failure of reading the bytes or of taking them out of their coding.
    pub fn read(error: &io::Error, what: &'static str) -> StreamError {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => StreamError::Incomplete(what),
            _ => StreamError::Malformed(format!("the body cannot be decoded: {error}")),
        }
    }
}

impl From<StreamError> for ApiError {
    fn from(error: StreamError) -> ApiError {
        let code = match error {
            StreamError::Incomplete(_) => "IncompleteBody",
            StreamError::Corrupted(_) => "CorruptedDataStream",
            StreamError::Malformed(_) => "MalformedDataStream",
        };
        ApiError::new(400, code, error.to_string())
    }
}
