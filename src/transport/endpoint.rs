//! Endpoints: the check of configured ones, and the directory of discovered ones.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{Error, Kind, Result};

/// How long a discovered endpoint is believed.
const LIFETIME: Duration = Duration::from_secs(900);

/// Checks an endpoint and takes trailing slashes off.
pub fn check_endpoint(text: &str) -> Result<String> {
    let trimmed = text.trim_end_matches('/');
    let legal = match trimmed.split_once("://") {
        Some(("http" | "https", rest)) => {
            !rest.is_empty()
                && !rest.starts_with('/')
                && !rest.contains(|c: char| c.is_whitespace() || "?#@".contains(c))
        }
        _ => false,
    };
    if !legal || reqwest::Url::parse(trimmed).is_err() {
        // Before an @ there may be a password.
        let shown = if text.contains('@') { "a text with @".to_owned() } else { format!("`{text}`") };
        let message = format!("an endpoint is a URL such as http://host:port/api; {shown} is not one");
        return Err(Error::new(Kind::InvalidArgument, message));
    }
    Ok(trimmed.to_owned())
}

/// Reads the answer to a discovery: an authority, to be used with the scheme of the endpoint that was asked.
pub(super) fn from_discovery(service: &str, body: &[u8]) -> Result<String> {
    let scheme = if service.starts_with("https:") { "https" } else { "http" };
    let text = std::str::from_utf8(body).unwrap_or_default().trim().trim_end_matches('/');
    let endpoint = format!("{scheme}://{text}");
    let plain = !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || "<>{}\"?#@".contains(c));
    if !plain || reqwest::Url::parse(&endpoint).is_err() {
        let message = "the answer is not a host; is the service endpoint right, and does it have the path /api?";
        return Err(Error::new(Kind::CorruptData, message));
    }
    Ok(endpoint)
}

/// Discovered endpoints by project. One request at a time asks for a project; the others wait for its answer.
#[derive(Debug, Default)]
pub(super) struct Directory {
    entries: Mutex<HashMap<String, Arc<tokio::sync::Mutex<Option<Entry>>>>>,
}

#[derive(Debug)]
struct Entry {
    endpoint: String,
    found: Instant,
}

impl Directory {
    pub(super) async fn find(&self, project: &str, ask: impl Future<Output = Result<String>>) -> Result<String> {
        let entry = Arc::clone(self.lock().entry(project.to_owned()).or_default());
        let mut entry = entry.lock().await;
        if let Some(known) = entry.as_ref().filter(|known| known.found.elapsed() < LIFETIME) {
            return Ok(known.endpoint.clone());
        }
        let endpoint = ask.await?;
        *entry = Some(Entry { endpoint: endpoint.clone(), found: Instant::now() });
        Ok(endpoint)
    }

    pub(super) fn forget(&self, project: &str) {
        self.lock().remove(project);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<tokio::sync::Mutex<Option<Entry>>>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configured_endpoints() {
        for (text, expected) in [
            ("http://h:1/api/", "http://h:1/api"),
            ("https://h", "https://h"),
            ("http://[::1]:8/a", "http://[::1]:8/a"),
        ] {
            assert_eq!(check_endpoint(text).unwrap(), expected);
        }
        for text in [
            "",
            "h:1",
            "ftp://h",
            "http://",
            "http:///api",
            "http://h?x",
            "http://a b",
            "http://u:p@h",
            "http://h:port",
        ] {
            let error = check_endpoint(text).unwrap_err();
            assert_eq!(error.kind(), Kind::InvalidArgument, "{text}");
            assert!(!error.message().contains("u:p"), "{error}");
        }
    }

    #[test]
    fn discovered_endpoints() {
        assert_eq!(from_discovery("https://s/api", b"dt.example.test\n").unwrap(), "https://dt.example.test");
        assert_eq!(from_discovery("http://s/api", b"127.0.0.1:80/pre").unwrap(), "http://127.0.0.1:80/pre");
        for body in [&b""[..], b"<html>", b"{}", b"a b", b"\xff", b"u@h", b"h:port"] {
            assert_eq!(from_discovery("http://s", body).unwrap_err().kind(), Kind::CorruptData);
        }
    }
}
