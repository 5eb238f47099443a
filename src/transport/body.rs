//! The body of a successful answer.

use std::time::Duration;

use bytes::{Buf, Bytes};

use super::Answer;
use super::direct::{DirectBody, Need};
use super::http::network_error;
use super::slots::Slot;
use super::span::OpenSpan;
use crate::error::{Error, Kind, Result};
use crate::proto::ROUTE_TOKEN;

/// Largest control-plane answer that is read.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// A body that arrives in parts. Dropping it closes the connection unless the body was read to its end.
#[derive(Debug)]
pub struct Body {
    source: Source,
    request_id: String,
    route_token: String,
    http_status: u16,
    span: Option<OpenSpan>,
    /// Given back with the body.
    slot: Option<Slot>,
}

#[derive(Debug)]
enum Source {
    /// From the HTTP library, in its own buffers.
    Library { response: reqwest::Response, rest: Bytes, idle: Duration },
    /// From the socket.
    Direct(DirectBody),
}

impl Body {
    pub(super) fn from_library(response: reqwest::Response, idle: Duration) -> Self {
        Self::new(Source::Library { response, rest: Bytes::new(), idle })
    }

    pub(super) fn direct(body: DirectBody) -> Self {
        Self::new(Source::Direct(body))
    }

    fn new(source: Source) -> Self {
        Body { source, request_id: String::new(), route_token: String::new(), http_status: 0, span: None, slot: None }
    }

    /// `header` looks up a header of the answer.
    pub(super) fn with_headers<'a>(self, header: impl Fn(&str) -> &'a str) -> Self {
        let (request_id, route_token) = (header("x-odps-request-id").to_owned(), header(ROUTE_TOKEN).to_owned());
        Body { request_id, route_token, ..self }
    }

    pub(super) fn with_status(self, http_status: u16) -> Self {
        Body { http_status, ..self }
    }

    /// The request that it answers ends with it.
    pub(super) fn with_span(self, mut span: Option<OpenSpan>) -> Self {
        if let Some(span) = &mut span {
            span.answered(self.http_status, &self.request_id);
        }
        Body { span, ..self }
    }

    /// Takes note of how the request ended, for whoever traces it: without a failure also where the rest of the body is not wanted.
    pub fn end(&mut self, failure: Option<&Error>) {
        if let Some(span) = &mut self.span {
            span.end(failure);
        }
    }

    pub(super) fn with_slot(self, slot: Slot) -> Self {
        Body { slot: Some(slot), ..self }
    }

    /// Whether the body counts as a request under way; not while nobody takes its rows.
    pub fn set_counted(&mut self, counted: bool) {
        match &mut self.slot {
            Some(slot) if counted => slot.go_on(),
            Some(slot) => slot.pause(),
            None => {}
        }
    }

    /// `x-odps-request-id` of the answer, empty if it had none.
    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// Where the service wants the next requests of the session; empty if it did not say.
    pub fn route_token(&self) -> &str {
        &self.route_token
    }

    /// Whether the bytes of a read were copied out of another buffer of this process.
    pub fn is_copied(&self) -> bool {
        matches!(self.source, Source::Library { .. })
    }

    /// Reads into `target`, which must not be empty, as `need` says; 0 after the last byte of a complete body.
    pub async fn read(&mut self, target: &mut [u8], need: Need) -> Result<usize> {
        let read = match &mut self.source {
            Source::Direct(body) => body.read(target, need).await,
            Source::Library { response, rest, idle } => {
                if rest.is_empty() {
                    *rest = chunk(response, *idle).await?.unwrap_or_default();
                }
                let count = rest.len().min(target.len());
                if let Some(target) = target.get_mut(..count) {
                    rest.copy_to_slice(target);
                }
                Ok(count)
            }
        };
        let read = read.map_err(|error| error.with_request_id(&self.request_id));
        if let Some(span) = &mut self.span {
            match &read {
                Ok(0) => span.end(None),
                Ok(count) => span.received(*count),
                Err(error) => span.end(Some(error)),
            }
        }
        read
    }

    pub(super) async fn read_all(mut self) -> Result<Answer> {
        let mut body = Vec::new();
        let mut part = vec![0; 16 << 10];
        loop {
            let count = self.read(&mut part, Need::Any).await?;
            if count == 0 {
                return Ok(Answer { body, request_id: self.request_id, route_token: self.route_token });
            }
            if body.len() + count > MAX_ANSWER_BYTES {
                let message = format!("the answer is longer than {MAX_ANSWER_BYTES} bytes");
                let error = Error::new(Kind::CorruptData, message).with_request_id(&self.request_id);
                if let Some(span) = &mut self.span {
                    span.end(Some(&error));
                }
                return Err(error);
            }
            body.extend_from_slice(part.get(..count).unwrap_or_default());
        }
    }

    /// The first bytes of the body, at most about `most`: as many as arrive without a failure.
    pub(super) async fn read_some(&mut self, most: usize) -> Vec<u8> {
        let (mut body, mut part) = (Vec::new(), vec![0; 4 << 10]);
        while body.len() < most {
            match self.read(&mut part, Need::Any).await {
                Ok(count) if count > 0 => body.extend_from_slice(part.get(..count).unwrap_or_default()),
                _ => break,
            }
        }
        body
    }
}

/// The next non-empty chunk; `None` after the last one.
async fn chunk(response: &mut reqwest::Response, idle: Duration) -> Result<Option<Bytes>> {
    loop {
        let chunk = match tokio::time::timeout(idle, response.chunk()).await {
            Ok(chunk) => chunk.map_err(|error| network_error("the connection broke in mid-answer", error))?,
            Err(_) => {
                let message = format!("nothing arrived for {} ms in mid-answer", idle.as_millis());
                return Err(Error::new(Kind::Timeout, message));
            }
        };
        if chunk.as_ref().is_none_or(|chunk| !chunk.is_empty()) {
            return Ok(chunk);
        }
    }
}
