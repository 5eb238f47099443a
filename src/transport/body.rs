//! The body of a successful answer.

use std::time::Duration;

use bytes::Bytes;

use super::Answer;
use super::http::network_error;
use crate::error::{Error, Kind, Result};

/// Largest control-plane answer that is read.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// A body that arrives in chunks. Dropping it closes the connection unless the body was read to its end.
#[derive(Debug)]
pub struct Body {
    response: reqwest::Response,
    request_id: String,
    idle: Duration,
}

impl Body {
    pub(super) fn new(response: reqwest::Response, request_id: String, idle: Duration) -> Self {
        Body { response, request_id, idle }
    }

    /// `x-odps-request-id` of the answer, empty if it had none.
    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// The next chunk; `None` after the last one of a complete body.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        let result = match tokio::time::timeout(self.idle, self.response.chunk()).await {
            Ok(chunk) => chunk.map_err(|error| network_error("the connection broke in mid-answer", error)),
            Err(_) => {
                let message = format!("nothing arrived for {} ms in mid-answer", self.idle.as_millis());
                Err(Error::new(Kind::Timeout, message))
            }
        };
        result.map_err(|error| error.with_request_id(&self.request_id))
    }

    pub(super) async fn read_all(mut self) -> Result<Answer> {
        let mut body = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                let message = format!("the answer is longer than {MAX_ANSWER_BYTES} bytes");
                return Err(Error::new(Kind::CorruptData, message).with_request_id(&self.request_id));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { body, request_id: self.request_id })
    }
}
