//! Asks a source of credentials, once.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::Path;
use std::sync::{Arc, Mutex, TryLockError};
use std::time::SystemTime;

use reqwest::{Method, Response, Url};
use zeroize::Zeroizing;

use super::process;
use crate::auth::{self, Metadata, ProfilePlace, Role, Source};
use crate::error::{Error, Kind, Result};
use crate::options::{Grant, Who};
use crate::proto::failure::Failure;
use crate::transport::http::{Clients, network_error};

/// Longest answer that is read.
const MAX_ANSWER_BYTES: usize = 64 << 10;
/// How long a session with the metadata service lasts, in seconds.
const SESSION_SECONDS: &str = "21600";

/// A source, and the way to it.
#[derive(Debug)]
pub(super) struct Fetch {
    pub(super) source: Source,
    pub(super) clients: Arc<Clients>,
    /// Held during a call of the host's function, which may outlast the patience with it.
    pub(super) calling: Arc<Mutex<()>>,
}

impl Fetch {
    pub(super) async fn grant(&self) -> Result<Grant> {
        let (mut roles, mut source) = (Vec::new(), self.source.clone());
        // A profile may stand for a role, and a role may be assumed by a profile or by another role.
        loop {
            source = match source {
                Source::Profile(place) => blocking(move || profile(&place)).await?,
                Source::RamRole(both) => {
                    roles.push(both.1);
                    both.0
                }
                _ => break,
            };
        }
        let mut grant = self.first(source).await?;
        while let Some(role) = roles.pop() {
            grant = self.assume(&role, &grant.who).await?;
        }
        Ok(grant)
    }

    /// The credentials that need no others.
    async fn first(&self, source: Source) -> Result<Grant> {
        match source {
            Source::Fixed(grant) => Ok(grant),
            Source::EcsRamRole(metadata) => self.ask_metadata(&metadata).await,
            Source::Oidc { role, provider_arn, token_file } => {
                self.assume_with_oidc(&role, &provider_arn, &token_file).await
            }
            Source::Process(words) => process::grant(&words).await,
            Source::Uri(uri) => self.ask_uri(&uri).await,
            Source::Provider(provider) => {
                let calling = Arc::clone(&self.calling);
                blocking(move || match calling.try_lock() {
                    Err(TryLockError::WouldBlock) => {
                        let message = "the credentials provider has not returned from an earlier call";
                        Err(Error::new(Kind::Timeout, message))
                    }
                    _held => provider.supply(),
                })
                .await
            }
            Source::Profile(_) | Source::RamRole(_) => {
                Err(Error::new(Kind::Internal, "a source of credentials was not followed to its end"))
            }
        }
    }

    /// The credentials of the machine's role, with a session token unless the service has no such mode.
    async fn ask_metadata(&self, metadata: &Metadata) -> Result<Grant> {
        let client = self.clients.unproxied()?;
        let what = format!("the metadata service {}", metadata.endpoint);
        let get = |path: String, session: Option<&str>| {
            let request = client.get(format!("{}{path}", metadata.endpoint));
            let request = match session {
                Some(session) => request.header("X-aliyun-ecs-metadata-token", session),
                None => request,
            };
            let what = &what;
            async move { whole(request.send().await, what).await }
        };
        let session = client
            .request(Method::PUT, format!("{}/latest/api/token", metadata.endpoint))
            .header("X-aliyun-ecs-metadata-token-ttl-seconds", SESSION_SECONDS)
            .header("content-length", "0");
        let session = match whole(session.send().await, &what).await {
            Ok(token) => Some(text(&token, &what)?),
            // An old service does not know the path. One that cannot be reached is not there for the next question either.
            Err(error) if error.server().http_status != 0 && !metadata.token_required => None,
            Err(error) => return Err(error.context("a session token")),
        };
        let session = session.as_ref().map(|session| session.as_str());
        const ROLES: &str = "/latest/meta-data/ram/security-credentials/";
        let role = match &metadata.role {
            Some(role) => role.clone(),
            None => {
                let listed = get(ROLES.to_owned(), session).await?;
                let listed = text(&listed, &what)?;
                listed.lines().next().unwrap_or_default().trim().to_owned()
            }
        };
        if role.is_empty() || !role.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) {
            return Err(Error::new(Kind::Unauthenticated, format!("{what} names no role of this machine")));
        }
        let answer = get(format!("{ROLES}{role}"), session).await?;
        auth::read_answer(&answer, &format!("{what} for role {role}"))
    }

    /// What the URL answers. Without TLS no proxy is let between, which would see the secret.
    async fn ask_uri(&self, uri: &str) -> Result<Grant> {
        let (url, what) = address(uri)?;
        let client = if url.scheme() == "https" { self.clients.of(url.as_str())? } else { self.clients.unproxied()? };
        let answer = whole(client.get(url).send().await, &what).await?;
        auth::read_answer(&answer, &what)
    }

    async fn assume(&self, role: &Role, who: &Who) -> Result<Grant> {
        let form = role.assume(who, SystemTime::now(), &nonce())?;
        self.ask_sts(role, form, "AssumeRole").await
    }

    async fn assume_with_oidc(&self, role: &Role, provider_arn: &str, token_file: &Path) -> Result<Grant> {
        let file = token_file.to_owned();
        let token = blocking(move || read(&file)).await?;
        let form = role.assume_with_oidc(provider_arn, token.trim(), SystemTime::now(), &nonce());
        self.ask_sts(role, form, "AssumeRoleWithOIDC").await
    }

    async fn ask_sts(&self, role: &Role, form: Zeroizing<String>, action: &str) -> Result<Grant> {
        let what = format!("{action} of {} at {}", role.arn, role.endpoint);
        let request = self
            .clients
            .of(&role.endpoint)?
            .post(role.endpoint.trim_end_matches('/').to_owned() + "/")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.as_bytes().to_vec());
        let answer = whole(request.send().await, &what).await?;
        auth::read_answer(&answer, &what)
    }
}

/// Checks a credentials URI, and gives it a name that may be shown: its host alone, since the rest may hold a secret.
pub(super) fn address(uri: &str) -> Result<(Url, String)> {
    let url = Url::parse(uri).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let Some((url, host)) = url.and_then(|url| url.host_str().map(str::to_owned).map(|host| (url, host))) else {
        let message = "the credentials URI must be a URL such as http://host:port/path";
        return Err(Error::new(Kind::InvalidOption, message));
    };
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    Ok((url, format!("the credentials URI of {host}{port}")))
}

/// Finds the profile in the first file that has it.
pub(super) fn profile(place: &ProfilePlace) -> Result<Source> {
    let mut tried = Vec::new();
    for file in &place.files {
        let shown = file.display().to_string();
        if file.exists() || place.files.len() == 1 {
            let found = auth::find_profile(&read(file)?, &place.name, &place.metadata);
            if let Some(source) = found.map_err(|error| error.context(&shown))? {
                return Ok(source);
            }
        }
        tried.push(shown);
    }
    let name = if place.name.is_empty() { "default" } else { &place.name };
    Err(Error::new(Kind::InvalidOption, format!("there is no profile {name} in {}", tried.join(", "))))
}

fn read(file: &Path) -> Result<Zeroizing<String>> {
    std::fs::read_to_string(file)
        .map(Zeroizing::new)
        .map_err(|error| Error::new(Kind::InvalidOption, format!("{} cannot be read: {error}", file.display())))
}

/// Runs what waits for a file or for the host on a thread where that harms nobody.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(match error.try_into_panic() {
            Ok(payload) => Error::from_panic(payload.as_ref()),
            Err(_) => Error::new(Kind::Cancelled, "the work was cancelled"),
        }),
    }
}

/// The body of an answer, which must be a success.
async fn whole(sent: reqwest::Result<Response>, what: &str) -> Result<Zeroizing<Vec<u8>>> {
    let lost = |error| network_error(&format!("no answer from {what}"), error);
    let mut response = sent.map_err(lost)?;
    let status = response.status().as_u16();
    let mut body = Zeroizing::new(Vec::with_capacity(MAX_ANSWER_BYTES));
    while let Some(chunk) = response.chunk().await.map_err(lost)? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err(Error::new(Kind::CorruptData, format!("the answer of {what} is too long")));
        }
        body.extend_from_slice(&chunk);
    }
    match status {
        200..300 => return Ok(body),
        300..400 => {
            let message = format!("{what} redirects elsewhere (HTTP {status}), which is not followed");
            return Err(Error::new(Kind::Unauthenticated, message));
        }
        _ => {}
    }
    Err(Failure { status, request_id: "", retry_after: None, body: &body }.into_error().context(what))
}

fn text(body: &Zeroizing<Vec<u8>>, what: &str) -> Result<Zeroizing<String>> {
    let text = std::str::from_utf8(body).map(|text| Zeroizing::new(text.trim().to_owned()));
    text.map_err(|_| Error::new(Kind::Unauthenticated, format!("the answer of {what} is not text")))
}

/// A number that was not used before; each `RandomState` has keys of its own.
fn nonce() -> String {
    format!("{:016x}{:016x}", RandomState::new().build_hasher().finish(), RandomState::new().build_hasher().finish())
}
