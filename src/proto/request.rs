//! A request before it is signed and sent.

use md5::{Digest, Md5};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Everything but the unreserved characters is encoded, in paths and in queries alike.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The header by which versions 2 and 3 steer the requests of a session to one node.
pub const ROUTE_TOKEN: &str = "x-odps-max-storage-route-token";

/// The header that tells which trace a request belongs to (W3C Trace Context).
pub const TRACE_PARENT: &str = "traceparent";

/// HTTP methods in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Asks for something.
    Get,
    /// Makes something.
    Post,
}

impl Method {
    /// The word on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
        }
    }
}

/// A request relative to an endpoint, in decoded form.
#[derive(Debug, Clone)]
pub struct Request {
    /// HTTP method.
    pub method: Method,
    /// Path segments, decoded, without slashes.
    segments: Vec<String>,
    /// Query pairs, decoded; an empty value is a bare flag.
    pub query: Vec<(String, String)>,
    /// Headers that belong to the call itself.
    pub headers: Vec<(String, String)>,
    /// Body; empty for none.
    pub body: Vec<u8>,
}

impl Request {
    /// A request for a path given by its decoded segments.
    pub fn new<S: Into<String>>(method: Method, segments: impl IntoIterator<Item = S>) -> Self {
        let segments = segments.into_iter().map(Into::into).collect();
        Request { method, segments, query: Vec::new(), headers: Vec::new(), body: Vec::new() }
    }

    /// Adds a query pair.
    pub fn query(mut self, name: &str, value: impl ToString) -> Self {
        self.query.push((name.to_owned(), value.to_string()));
        self
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds what the service said about the way to a session; nothing if it said nothing.
    pub fn routed(self, token: &str) -> Self {
        if token.is_empty() { self } else { self.header(ROUTE_TOKEN, token) }
    }

    /// Which trace it belongs to, if it was told.
    pub fn trace_parent(&self) -> Option<&str> {
        self.headers.iter().find(|(name, _)| name == TRACE_PARENT).map(|(_, value)| value.as_str())
    }

    /// The same for another span.
    pub fn with_trace_parent(mut self, parent: &str) -> Self {
        self.headers.retain(|(name, _)| name != TRACE_PARENT);
        self.header(TRACE_PARENT, parent)
    }

    /// Sets the body.
    pub fn with_body(self, body: Vec<u8>) -> Self {
        Request { body, ..self }
    }

    /// Adds a JSON body with its `Content-MD5` (lower-case hex, as all MaxCompute clients send it).
    pub fn json(mut self, body: Vec<u8>) -> Self {
        let digest: String = Md5::digest(&body).iter().map(|byte| format!("{byte:02x}")).collect();
        self.body = body;
        self.header("content-type", "application/json").header("content-md5", &digest)
    }

    /// Decoded path, as it is signed.
    pub fn path(&self) -> String {
        self.segments.iter().fold(String::new(), |path, segment| path + "/" + segment)
    }

    /// Encoded URL below `endpoint`, which must not end with a slash.
    pub fn url(&self, endpoint: &str) -> String {
        let mut url = endpoint.to_owned();
        for segment in &self.segments {
            url.push('/');
            url.extend(utf8_percent_encode(segment, RESERVED));
        }
        for (index, (name, value)) in self.query.iter().enumerate() {
            url.push(if index == 0 { '?' } else { '&' });
            url.extend(utf8_percent_encode(name, RESERVED));
            if !value.is_empty() {
                url.push('=');
                url.extend(utf8_percent_encode(value, RESERVED));
            }
        }
        url
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_encoded_and_paths_are_not() {
        let request =
            Request::new(Method::Get, ["projects", "p q", "tunnel"]).query("service", "").query("a b", "c+d&e=ü");
        assert_eq!(request.path(), "/projects/p q/tunnel");
        assert_eq!(
            request.url("http://h:1/api"),
            "http://h:1/api/projects/p%20q/tunnel?service&a%20b=c%2Bd%26e%3D%C3%BC"
        );
    }

    #[test]
    fn json_bodies_carry_the_hex_digest() {
        let request = Request::new(Method::Post, ["x"])
            .json(br#"{"RequiredDataColumns":["id","name"],"RequiredPartitions":["dt=20250101"]}"#.to_vec());
        assert!(request.headers.contains(&("content-md5".into(), "d7d11cc2558d51e21fde25328b61715b".into())));
    }
}
