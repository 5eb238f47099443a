//! Answers: their headers, their error bodies, and the log line when the last byte has been handed over.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use futures::{Stream, StreamExt};
use serde_json::{Value, json};

use super::accept::HangUp;
use super::request::{Head, Plane};
use super::xml::element;
use crate::clock;
use crate::error::ApiError;
use crate::observe::Observed;
use crate::subject::Subject;

/// An answer before the common headers are added.
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: ReplyBody,
    /// Code and sentence, if this is a refusal.
    pub refusal: Option<(String, String)>,
}

/// The kinds of bodies.
pub enum ReplyBody {
    /// Sent with `Content-Length`.
    Whole(Bytes),
    /// Sent chunked; an `Err` cuts the connection.
    Chunked(Body),
    /// Not sent, nor is the head: the connection is closed.
    None,
}

impl Reply {
    /// A whole body of some content type.
    pub fn whole(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Reply {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static(content_type));
        Reply { status, headers, body: ReplyBody::Whole(body.into()), refusal: None }
    }

    /// A body that is made while it is sent.
    pub fn chunked(status: u16, content_type: &'static str, body: Body) -> Reply {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static(content_type));
        Reply { status, headers, body: ReplyBody::Chunked(body), refusal: None }
    }

    /// No answer at all: the connection is closed.
    pub fn hang_up() -> Reply {
        Reply { status: 0, headers: HeaderMap::new(), body: ReplyBody::None, refusal: None }
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

    /// Puts another JSON in place of a body.
    pub fn replace_json(&mut self, value: &Value) {
        self.body = ReplyBody::Whole(ascii_json(&value.to_string()).into());
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
        let reply = Reply::refusal(error.status, error.code, &error.message, plane, request_id);
        match error.retry_after_s {
            Some(seconds) => reply.with_header("retry-after", &seconds.to_string()),
            None => reply,
        }
    }

    /// The error body of a plane, for codes that are not known beforehand.
    pub fn refusal(status: u16, code: &str, message: &str, plane: Plane, request_id: &str) -> Reply {
        let mut reply = match plane {
            Plane::Storage => Reply::json(
                status,
                &json!({"Code": code, "Message": message, "RequestId": request_id, "HostId": "localhost"}),
            ),
            Plane::Service => {
                let children = [
                    element("Code", code),
                    element("Message", message),
                    element("RequestId", request_id),
                    element("HostId", "localhost"),
                ];
                Reply::xml(status, &format!("<Error>{}</Error>", children.concat()))
            }
        };
        reply.refusal = Some((code.to_string(), message.to_string()));
        reply
    }

    /// The HTTP response; the request is logged and counted when its body is done.
    pub fn into_response(self, head: &Head, mut account: Account) -> Response {
        if let Some((code, message)) = &self.refusal {
            tracing::info!(request = %head.request_id, "refused: {code}: {message}");
            account.observed.refused(&head.request_id, &head.subject, self.status, code, message);
        }
        account.caller = head.caller.principal.to_string();
        account.status = self.status;
        account.complete = matches!(self.body, ReplyBody::Whole(_));
        let body = match self.body {
            ReplyBody::Whole(bytes) => {
                account.bytes = bytes.len() as u64;
                account.observed.count_sent(bytes.len());
                drop(account);
                Body::from(bytes)
            }
            ReplyBody::Chunked(body) => Body::from_stream(counted(body, account)),
            ReplyBody::None => {
                drop(account);
                let mut response = Response::new(Body::empty());
                response.extensions_mut().insert(HangUp);
                return response;
            }
        };
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        *response.headers_mut() = self.headers;
        if let Ok(id) = HeaderValue::from_str(&head.request_id) {
            response.headers_mut().insert("x-odps-request-id", id);
        }
        // hyper adds the date of the machine where there is none.
        if !clock::is_real()
            && let Ok(date) = HeaderValue::from_str(&httpdate::fmt_http_date(clock::now()))
        {
            response.headers_mut().insert("date", date);
        }
        response
    }
}

/// Passes a body through and counts its bytes.
fn counted(body: Body, account: Account) -> impl Stream<Item = io::Result<Bytes>> {
    let state = (body.into_data_stream(), account);
    futures::stream::unfold(state, |(mut body, mut account)| async move {
        match body.next().await {
            Some(Ok(piece)) => {
                account.bytes += piece.len() as u64;
                account.observed.count_sent(piece.len());
                Some((Ok(piece), (body, account)))
            }
            Some(Err(error)) => Some((Err(io::Error::other(error)), (body, account))),
            None => {
                account.finish();
                None
            }
        }
    })
}

/// What is known of a request at its end: when its body is done, or when the client went away. Logs and counts it when
/// it is dropped.
pub struct Account {
    observed: Arc<Observed>,
    request_id: String,
    caller: String,
    subject: Subject,
    method: String,
    path: String,
    /// 0 if there was no answer.
    status: u16,
    received: Arc<AtomicU64>,
    bytes: u64,
    started: Instant,
    complete: bool,
}

impl Account {
    /// A request has begun.
    pub fn open(head: &Head, observed: &Arc<Observed>) -> Account {
        observed.begun();
        Account {
            observed: observed.clone(),
            request_id: head.request_id.clone(),
            caller: String::new(),
            subject: head.subject.clone(),
            method: head.method.clone(),
            path: head.raw_path.clone(),
            status: 0,
            received: head.received.clone(),
            bytes: 0,
            started: head.started,
            complete: false,
        }
    }

    /// The last byte of the answer was handed over.
    fn finish(mut self) {
        self.complete = true;
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let elapsed = self.started.elapsed();
        let ms = elapsed.as_millis() as u64;
        let received = self.received.load(Ordering::Relaxed);
        self.observed.finished(&self.subject, self.status, received, self.bytes, elapsed, self.complete);
        let (id, method, path, status, bytes) = (&self.request_id, &self.method, &self.path, self.status, self.bytes);
        let (caller, action, table) = (&self.caller, self.subject.action, self.subject.place());
        if self.complete {
            tracing::info!(request = %id, caller, action, table, status, received, bytes, ms, "{method} {path}");
        } else {
            tracing::warn!(
                request = %id, caller, action, table, status, received, bytes, ms,
                "{method} {path} was not sent to its end"
            );
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
