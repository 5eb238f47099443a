//! The little client of the commands that talk to a running server.

use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, anyhow, bail};
use axum::body::{Body, to_bytes};
use hyper::Request;
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::http::{Account, sign};

/// How long a call may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Largest answer.
const MAX_BYTES: usize = 64 << 20;

/// A running server, and who asks.
#[derive(Debug, clap::Args)]
pub struct Server {
    /// URL of the running server, as its ready line says: http://HOST:PORT.
    #[arg(long = "server", value_name = "URL", env = "MAXSTORAGE_SERVER")]
    url: String,
    /// Access key of the owner; needed where the server is on another machine or asks for it.
    // Plain text here: an error of clap would print the value, and with it the secret.
    #[arg(long, value_name = "ID:SECRET", env = "MAXSTORAGE_ACCOUNT", hide_env_values = true)]
    account: Option<String>,
}

impl Server {
    /// Calls an admin path and returns its JSON. A refusal is an error with the server's sentence.
    pub fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let call = async { tokio::time::timeout(TIMEOUT, self.exchange(method, path, body)).await };
        let answer = runtime.block_on(call);
        answer.map_err(|_| anyhow!("{} did not answer within {} s", self.url, TIMEOUT.as_secs()))?
    }

    async fn exchange(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let authority = match self.url.strip_prefix("http://") {
            Some(rest) => rest.trim_end_matches('/'),
            None => bail!("--server is http://HOST:PORT, not \"{}\"", self.url),
        };
        let stream = TcpStream::connect(authority).await.with_context(|| format!("cannot reach {authority}"))?;
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
        let driver = tokio::spawn(connection);
        let path = format!("/_maxstorage/{path}");
        let mut request = Request::builder().method(method).uri(&path).header("host", authority);
        if let Some(account) = &self.account {
            let account: Account = account.parse().map_err(|why| anyhow!("--account: {why}"))?;
            for (name, value) in sign(&account, method, &path, SystemTime::now()) {
                request = request.header(name, value);
            }
        }
        let text = body.map(Value::to_string).unwrap_or_default();
        let response = sender.send_request(request.body(Body::from(text))?).await.context("the server hung up")?;
        let status = response.status();
        let bytes = to_bytes(Body::new(response.into_body()), MAX_BYTES).await?;
        driver.abort();
        if status.is_success() {
            return serde_json::from_slice(&bytes).context("the server did not answer with JSON");
        }
        // The service plane refuses in XML.
        let text = String::from_utf8_lossy(&bytes);
        let part = |tag: &str| text.split_once(&format!("<{tag}>"))?.1.split_once(&format!("</{tag}>")).map(|p| p.0);
        match part("Message") {
            Some(message) => bail!("{} refused this ({}): {message}", self.url, status.as_u16()),
            None => bail!("{} answered {}: {text}", self.url, status.as_u16()),
        }
    }
}
