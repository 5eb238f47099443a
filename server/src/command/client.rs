//! The little client of the commands that talk to a running server.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, anyhow, bail};
use axum::body::{Body, to_bytes};
use hyper::Request;
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use quick_xml::escape::unescape;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::http::{Account, sign};

/// How long a call may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Largest answer.
const MAX_BYTES: usize = 64 << 20;

/// A running server, and who asks.
#[derive(Debug, clap::Args)]
pub struct Server {
    /// URL of the running server, as its ready line says: http://HOST:PORT or https://HOST:PORT.
    #[arg(long = "server", value_name = "URL", env = "MAXSTORAGE_SERVER")]
    url: String,
    /// Access key of the owner; needed where the server is on another machine or asks for it.
    // Plain text here: an error of clap would print the value, and with it the secret.
    #[arg(long, value_name = "ID:SECRET", env = "MAXSTORAGE_ACCOUNT", hide_env_values = true)]
    account: Option<String>,
    /// The authority that an https server is trusted by; with --tls-dev it is ROOT/tls/ca.pem.
    #[arg(long, value_name = "FILE.pem", env = "MAXSTORAGE_CA")]
    ca: Option<PathBuf>,
}

/// A call of a running server whose answer is shown.
#[derive(Debug, clap::Args)]
pub struct Call {
    #[command(flatten)]
    pub server: Server,
    /// Print the JSON of the server.
    #[arg(long)]
    pub json: bool,
}

/// A connection of either kind.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl Server {
    /// Calls an admin path and returns its JSON. A refusal is an error with the server's sentence.
    pub fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let call = async { tokio::time::timeout(TIMEOUT, self.exchange(method, path, body)).await };
        let answer = runtime.block_on(call);
        answer.map_err(|_| anyhow!("{} did not answer within {} s", self.url, TIMEOUT.as_secs()))?
    }

    /// Speaks TLS on a connection, with a server that --ca vouches for.
    async fn secure(&self, authority: &str, stream: TcpStream) -> Result<impl Stream + use<>> {
        let ca = self.ca.as_deref().ok_or_else(|| anyhow!("an https server needs --ca FILE.pem"))?;
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots(ca)?)
            .with_no_client_auth();
        let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']').to_string();
        let name = ServerName::try_from(host).context("the host of --server is no name")?;
        TlsConnector::from(Arc::new(config)).connect(name, stream).await.context("no trust in the server")
    }

    async fn exchange(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let (tls, rest) = match (self.url.strip_prefix("http://"), self.url.strip_prefix("https://")) {
            (Some(rest), _) => (false, rest),
            (_, Some(rest)) => (true, rest),
            _ => bail!("--server is http://HOST:PORT or https://HOST:PORT, not \"{}\"", self.url),
        };
        let authority = rest.trim_end_matches('/');
        let stream = TcpStream::connect(authority).await.with_context(|| format!("cannot reach {authority}"))?;
        let stream: Box<dyn Stream> =
            if tls { Box::new(self.secure(authority, stream).await?) } else { Box::new(stream) };
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
        let driver = tokio::spawn(connection);
        let path = format!("/_maxstorage/{path}");
        let mut request = Request::builder().method(method).uri(&path).header("host", authority);
        if let Some(account) = &self.account {
            let account: Account = account.parse().map_err(|why| anyhow!("--account: {why}"))?;
            for (name, value) in sign(&account, method, &path, SystemTime::now()) {
                request = request.header(name, value);
            }
        } else if body.is_some() {
            // Without it the server takes the call for that of a web page. A signature would have to cover it.
            request = request.header("content-type", "application/json");
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
            Some(message) => {
                let message = unescape(message).unwrap_or(message.into());
                bail!("{} refused this ({}): {message}", self.url, status.as_u16())
            }
            None => bail!("{} answered {}: {text}", self.url, status.as_u16()),
        }
    }
}

fn roots(ca: &Path) -> Result<RootCertStore> {
    let damaged = || format!("cannot read {}", ca.display());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca).with_context(damaged)? {
        roots.add(certificate.with_context(damaged)?).with_context(damaged)?;
    }
    Ok(roots)
}
