//! The error a client sees: status, code, sentence.

use std::fmt;

use crate::catalog::{CommitRefusal, NoSuchBlob, SessionRefusal, StreamRefusal};
use crate::store::KeyDisabled;

/// A refusal or failure of one call. How it is printed depends on the plane: XML for the service, JSON for storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// HTTP status.
    pub status: u16,
    /// Symbolic code of account-routing-metadata.md 4.3 or service-behaviour.md 4.2.
    pub code: &'static str,
    /// A sentence for people; starts with an `ODPS-` number where the service has one.
    pub message: String,
    /// Seconds after which the same request may succeed.
    pub retry_after_s: Option<u32>,
}

impl ApiError {
    /// An error of any code.
    pub fn new(status: u16, code: &'static str, message: impl Into<String>) -> ApiError {
        ApiError { status, code, message: message.into(), retry_after_s: None }
    }

    /// Tells the client when to try again.
    pub fn retry_after(mut self, seconds: u32) -> ApiError {
        self.retry_after_s = Some(seconds);
        self
    }

    /// A bad parameter: 400 `InvalidArgument`.
    pub fn argument(message: impl Into<String>) -> ApiError {
        ApiError::new(400, "InvalidArgument", message)
    }

    /// A call that exists on the service and not here: 501 `NotImplemented`.
    pub fn not_implemented(message: impl Into<String>) -> ApiError {
        ApiError::new(501, "NotImplemented", message)
    }

    /// A call that nothing here knows.
    pub fn unknown_call(method: &str, path: &str) -> ApiError {
        ApiError::not_implemented(format!("this server knows no call {method} {path}"))
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for ApiError {}

/// A refusal of the catalogue, or a failure on our side. The details of a failure go to the log, the sentence to the
/// client.
impl From<anyhow::Error> for ApiError {
    fn from(error: anyhow::Error) -> ApiError {
        if let Some(disabled) = error.downcast_ref::<KeyDisabled>() {
            return ApiError::new(500, "DataStoreError", disabled.to_string());
        }
        if let Some(refusal) = error.downcast_ref::<SessionRefusal>() {
            return refusal.into();
        }
        if let Some(refusal) = error.downcast_ref::<CommitRefusal>() {
            return refusal.into();
        }
        if let Some(refusal) = error.downcast_ref::<StreamRefusal>() {
            return refusal.into();
        }
        if let Some(missing) = error.downcast_ref::<NoSuchBlob>() {
            return ApiError::argument(missing.to_string());
        }
        tracing::error!("internal error: {error:#}");
        ApiError::new(500, "InternalServerError", format!("ODPS-0010000:Internal error - {error}"))
    }
}

impl From<&SessionRefusal> for ApiError {
    fn from(refusal: &SessionRefusal) -> ApiError {
        let (status, code) = match refusal {
            SessionRefusal::Unknown => (404, "NoSuchUpload"),
            SessionRefusal::Expired | SessionRefusal::Status(_) => (409, "StatusConflict"),
            SessionRefusal::Written(_) => (409, "AlreadyWritten"),
            SessionRefusal::Missing(_) => (400, "InvalidArgument"),
            SessionRefusal::Partitions(..) | SessionRefusal::InvalidRows(..) => (400, "InvalidPartitionSpec"),
        };
        ApiError::new(status, code, refusal.to_string())
    }
}

impl From<&CommitRefusal> for ApiError {
    fn from(refusal: &CommitRefusal) -> ApiError {
        match refusal {
            CommitRefusal::Partitions => ApiError::new(400, "InvalidPartitionSpec", refusal.to_string()),
            _ => ApiError::new(409, "TableModified", refusal.to_string()),
        }
    }
}

impl From<&StreamRefusal> for ApiError {
    fn from(refusal: &StreamRefusal) -> ApiError {
        let (status, code) = match refusal {
            StreamRefusal::Unknown(_) => (404, "NoSuchObject"),
            StreamRefusal::Token(_) => (403, "NoPermission"),
            StreamRefusal::Version { .. }
            | StreamRefusal::Written(_)
            | StreamRefusal::Closed(_)
            | StreamRefusal::Offset { .. }
            | StreamRefusal::Duplicate(_) => (409, "InvalidStateSetting"),
        };
        ApiError::new(status, code, refusal.to_string())
    }
}
