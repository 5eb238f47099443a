//! Why rows were not written.

use crate::error::ApiError;

/// A refusal of rows, or a failure on our side.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The rows, or the stream that carries them, do not fit the table.
    #[error("{0}")]
    Rows(String),
    /// A row belongs to no partition that the table can have.
    #[error("{0}")]
    Partition(String),
    #[error(transparent)]
    Failed(#[from] anyhow::Error),
}

impl From<WriteError> for ApiError {
    fn from(error: WriteError) -> ApiError {
        match error {
            WriteError::Rows(why) => ApiError::new(400, "MalformedDataStream", why),
            WriteError::Partition(why) => ApiError::new(400, "InvalidPartitionSpec", why),
            WriteError::Failed(error) => error.into(),
        }
    }
}
