//! A request taken apart once, before anything looks at it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::request::Parts;
use bytes::Bytes;
use futures::StreamExt;
use md5::{Digest, Md5};
use uuid::Uuid;

use super::accept::Peer;
use super::canonical::Signed;
use super::query::{Query, decode};
use super::subject::subject;
use crate::error::ApiError;
use crate::governance::Caller;
use crate::observe::Observed;
use crate::subject::{Protocol, Subject, UNKNOWN};

/// Largest request body (service-behaviour.md 3.6, ASSUMED).
const MAX_BODY_BYTES: usize = 8 << 20;

/// How long a request body may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Which conventions an answer follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plane {
    /// Metadata calls: XML errors.
    Service,
    /// Storage API and tunnel calls: JSON errors.
    Storage,
}

/// The head of a request.
#[derive(Debug)]
pub struct Head {
    /// Unique, upper-case hexadecimal; in the answer's header, in error bodies and in the log.
    pub request_id: String,
    pub started: Instant,
    pub method: String,
    /// Path and query as sent.
    pub raw_path: String,
    pub raw_query: String,
    /// Decoded path segments without empty ones, and without the route of a quota.
    pub segments: Vec<String>,
    /// The quota of the data endpoint that the client was sent to by discovery: `/quota/NAME` before all else.
    pub routed_quota: Option<String>,
    pub query: Query,
    /// Lower-case names.
    pub headers: Vec<(String, String)>,
    /// Who sent it; nobody before the signature was checked.
    pub caller: Caller,
    /// What it is about, as far as path and query tell.
    pub subject: Subject,
    /// Bytes of its body that were read so far.
    pub received: Arc<AtomicU64>,
    /// The other end of the connection.
    pub peer: Option<SocketAddr>,
}

/// What the path of a data endpoint begins with that carries a quota; see [`quota_route`].
const QUOTA_ROUTE: &str = "quota";

/// The path of the data endpoint of a quota: clients of version 2 name their quota at discovery only, so the endpoint
/// that they are sent to carries it. A dot stands for the `#` between the levels of its name.
pub fn quota_route(name: &str) -> String {
    format!("/{QUOTA_ROUTE}/{}", name.replace('#', "."))
}

/// The path below the route of a quota, which clients leave out when they sign.
pub fn below_quota_route(path: &str) -> Option<&str> {
    let rest = path.strip_prefix('/')?.strip_prefix(QUOTA_ROUTE)?.strip_prefix('/')?;
    rest.find('/').and_then(|at| rest.get(at..))
}

/// Query names that only tunnel calls carry (account-routing-metadata.md 2.5).
const TUNNEL_NAMES: [&str; 9] =
    ["downloads", "downloadid", "uploads", "uploadid", "upserts", "upsertid", "streams", "slotid", "data"];

impl Head {
    /// Reads the head of an HTTP request and gives it an id.
    pub fn new(parts: &Parts) -> Head {
        let raw_path = parts.uri.path().to_string();
        let raw_query = parts.uri.query().unwrap_or_default().to_string();
        let headers = parts
            .headers
            .iter()
            .map(|(name, value)| (name.as_str().to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
        let mut segments: Vec<String> = raw_path.split('/').filter(|s| !s.is_empty()).map(decode).collect();
        let routed_quota = match segments.as_slice() {
            [first, name, ..] if first == QUOTA_ROUTE => Some(name.replace('.', "#")),
            _ => None,
        };
        if routed_quota.is_some() {
            segments.drain(..2);
        }
        let mut head = Head {
            request_id: Uuid::new_v4().simple().to_string().to_uppercase(),
            started: Instant::now(),
            method: parts.method.as_str().to_string(),
            segments,
            routed_quota,
            query: Query::parse(&raw_query),
            headers: headers.collect(),
            caller: Caller::nobody(),
            subject: Subject::new(Protocol::Service, UNKNOWN),
            received: Arc::default(),
            peer: parts.extensions.get::<Peer>().map(|peer| peer.0),
            raw_path,
            raw_query,
        };
        head.subject = subject(&head);
        head
    }

    /// The value of a header; the name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The plane the request belongs to.
    pub fn plane(&self) -> Plane {
        let segments: Vec<&str> = self.segments.iter().map(String::as_str).take(2).collect();
        if segments == ["api", "storage"] || self.is_tunnel_call() { Plane::Storage } else { Plane::Service }
    }

    /// Whether this is a call of the classic tunnel.
    pub fn is_tunnel_call(&self) -> bool {
        let last = self.segments.last().filter(|_| self.segments.len() > 4);
        // Files of volumes.
        let kind = self.segments.get(2).filter(|_| self.segments.len() > 3);
        self.segments.first().is_some_and(|first| first == "projects")
            && (TUNNEL_NAMES.iter().any(|name| self.query.has(name))
                || kind.is_some_and(|kind| ["tunnel", "volumes"].contains(&kind.as_str()))
                || last.is_some_and(|last| ["streams", "upserts", "preview"].contains(&last.as_str())))
    }

    /// What the client signed.
    pub fn signed(&self) -> Signed<'_> {
        Signed { method: &self.method, path: &self.raw_path, query: &self.raw_query, headers: &self.headers }
    }

    /// An integer parameter of the query; absent or empty is `None`.
    pub fn integer<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, ApiError> {
        match self.query.get(name) {
            None | Some("") => Ok(None),
            Some(text) => {
                text.parse().map(Some).map_err(|_| ApiError::argument(format!("{name}=\"{text}\" is not a number")))
            }
        }
    }

    /// The body of this request, with its bytes counted.
    pub fn counted(&self, body: Body, observed: &Arc<Observed>) -> Body {
        if self.method == "GET" {
            return body;
        }
        let (received, observed) = (self.received.clone(), observed.clone());
        Body::from_stream(body.into_data_stream().inspect(move |piece| {
            if let Ok(piece) = piece {
                received.fetch_add(piece.len() as u64, Ordering::Relaxed);
                observed.count_received(piece.len());
            }
        }))
    }

    /// Reads the body and checks it against `Content-MD5` (32 hexadecimal digits, not base64).
    pub async fn read_body(&self, body: Body) -> Result<Bytes, ApiError> {
        let read = tokio::time::timeout(BODY_TIMEOUT, axum::body::to_bytes(body, MAX_BODY_BYTES)).await;
        let Ok(read) = read else {
            let message = format!("the request body did not arrive within {} s", BODY_TIMEOUT.as_secs());
            return Err(ApiError::new(408, "RequestTimeout", message));
        };
        let bytes = read.map_err(|e| {
            if e.to_string().contains("length limit") {
                let message = format!("the request body is larger than {MAX_BODY_BYTES} bytes");
                ApiError::new(413, "MaxMessageLengthExceeded", message)
            } else {
                ApiError::new(400, "IncompleteBody", "the request body ended too early")
            }
        })?;
        if let Some(sent) = self.header("content-md5").filter(|md5| is_hex_md5(md5)) {
            let found: String = Md5::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect();
            if !found.eq_ignore_ascii_case(sent) {
                return Err(ApiError::argument(format!("Content-MD5 is {sent}, but the body has {found}")));
            }
        }
        Ok(bytes)
    }
}

fn is_hex_md5(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(target: &str) -> Head {
        let request = axum::http::Request::builder().uri(target).body(()).unwrap();
        Head::new(&request.into_parts().0)
    }

    #[test]
    fn the_plane_follows_the_segments() {
        for target in
            ["/api/storage/v1/x", "/api//storage/v1/x", "/%61pi/storage/v1", "//projects/p/tables/t?downloads"]
        {
            assert_eq!(head(target).plane(), Plane::Storage, "{target}");
        }
        for target in ["/api/projects/p", "/projects/p/tables/t", "/api/storages/v1"] {
            assert_eq!(head(target).plane(), Plane::Service, "{target}");
        }
    }

    #[test]
    fn a_data_endpoint_carries_its_quota() {
        let target = format!("{}/api/storage/v2?Action=TableRead", quota_route("group1#etl"));
        let head = head(&target);
        assert_eq!(head.routed_quota.as_deref(), Some("group1#etl"));
        assert_eq!(head.segments, ["api", "storage", "v2"]);
        assert_eq!(head.plane(), Plane::Storage);
        assert_eq!(below_quota_route(&head.raw_path), Some("/api/storage/v2"));
        assert_eq!(below_quota_route("/quotas/x/y"), None);
        assert_eq!(below_quota_route("/quota/x"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stalled_body_is_given_up() {
        let body = Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
        let error = head("/").read_body(body).await.unwrap_err();
        assert_eq!((error.status, error.code), (408, "RequestTimeout"));
    }
}
