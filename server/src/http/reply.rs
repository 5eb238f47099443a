//! Answers: their headers, their error bodies, and the log line when the last byte has been handed over.

use std::io;
use std::time::Instant;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use futures::{Stream, StreamExt};
use serde_json::{Value, json};

use super::request::{Head, Plane};
use super::xml::element;
use crate::error::ApiError;

/// An answer before the common headers are added.
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: ReplyBody,
}

/// The two kinds of bodies.
pub enum ReplyBody {
    /// Sent with `Content-Length`.
    Whole(Bytes),
    /// Sent chunked; an `Err` cuts the connection.
    Chunked(Body),
}

impl Reply {
    /// A whole body of some content type.
    pub fn whole(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Reply {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static(content_type));
        Reply { status, headers, body: ReplyBody::Whole(body.into()) }
    }

    /// A JSON body, pure ASCII: old Java clients decode it with the platform's charset.
    pub fn json(status: u16, value: &Value) -> Reply {
        Reply::whole(status, "application/json", ascii_json(&value.to_string()))
    }

    /// An XML body with its declaration.
    pub fn xml(status: u16, root: &str) -> Reply {
        let declaration = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
        Reply::whole(status, "application/xml", format!("{declaration}{root}"))
    }

    /// Adds a header; a value that HTTP cannot carry is left out.
    pub fn with_header(mut self, name: &'static str, value: &str) -> Reply {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(HeaderName::from_static(name), value);
        }
        self
    }

    /// The error body of a plane.
    pub fn error(error: &ApiError, plane: Plane, request_id: &str) -> Reply {
        match plane {
            Plane::Storage => Reply::json(
                error.status,
                &json!({"Code": error.code, "Message": error.message, "RequestId": request_id, "HostId": "localhost"}),
            ),
            Plane::Service => {
                let children = [
                    element("Code", error.code),
                    element("Message", &error.message),
                    element("RequestId", request_id),
                    element("HostId", "localhost"),
                ];
                Reply::xml(error.status, &format!("<Error>{}</Error>", children.concat()))
            }
        }
    }

    /// The HTTP response; the request is logged when its body is done.
    pub fn into_response(self, head: &Head) -> Response {
        let mut line = LogLine {
            request_id: head.request_id.clone(),
            method: head.method.clone(),
            path: head.raw_path.clone(),
            status: self.status,
            bytes: 0,
            started: head.started,
            complete: matches!(self.body, ReplyBody::Whole(_)),
        };
        let body = match self.body {
            ReplyBody::Whole(bytes) => {
                line.bytes = bytes.len() as u64;
                drop(line);
                Body::from(bytes)
            }
            ReplyBody::Chunked(body) => Body::from_stream(counted(body, line)),
        };
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        *response.headers_mut() = self.headers;
        if let Ok(id) = HeaderValue::from_str(&head.request_id) {
            response.headers_mut().insert("x-odps-request-id", id);
        }
        response
    }
}

/// Passes a body through and counts its bytes for the log.
fn counted(body: Body, line: LogLine) -> impl Stream<Item = io::Result<Bytes>> {
    let state = (body.into_data_stream(), line);
    futures::stream::unfold(state, |(mut body, mut line)| async move {
        match body.next().await {
            Some(Ok(piece)) => {
                line.bytes += piece.len() as u64;
                Some((Ok(piece), (body, line)))
            }
            Some(Err(error)) => Some((Err(io::Error::other(error)), (body, line))),
            None => {
                line.finish();
                None
            }
        }
    })
}

/// Writes the log line of a request when it is dropped: at the end of the body, or when the client went away.
struct LogLine {
    request_id: String,
    method: String,
    path: String,
    status: u16,
    bytes: u64,
    started: Instant,
    complete: bool,
}

impl LogLine {
    /// Writes the line of an answer whose last byte was handed over.
    fn finish(mut self) {
        self.complete = true;
    }
}

impl Drop for LogLine {
    fn drop(&mut self) {
        let ms = self.started.elapsed().as_millis() as u64;
        let (id, method, path, status, bytes) = (&self.request_id, &self.method, &self.path, self.status, self.bytes);
        if self.complete {
            tracing::info!(request = %id, status, bytes, ms, "{method} {path}");
        } else {
            tracing::warn!(request = %id, status, bytes, ms, "{method} {path} was not sent to its end");
        }
    }
}

/// Escapes everything outside ASCII. JSON has such characters inside strings only, so this is safe.
fn ascii_json(text: &str) -> String {
    let mut ascii = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii() {
            ascii.push(c);
        } else {
            let mut units = [0u16; 2];
            for unit in c.encode_utf16(&mut units) {
                ascii.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    ascii
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_ascii_and_unchanged() {
        let text = ascii_json(&json!({"x": "ä中😀"}).to_string());
        assert!(text.is_ascii());
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), json!({"x": "ä中😀"}));
    }
}
