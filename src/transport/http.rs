//! One request, signed and sent once.

use std::error::Error as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use once_cell::sync::OnceCell;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, Client, ClientBuilder, NoProxy, Proxy, redirect};

use super::body::Body;
use super::clock::date_and_day;
use super::dial::local_address;
use super::direct::Direct;
use super::identity::Identity;
use crate::auth::{Credentials, Signature, Signer, SigningInput};
use crate::error::{Error, Kind, Result};
use crate::options::{self, Options};
use crate::proto::failure::Failure;
use crate::proto::{Method, Request};

/// How much of a failure's body is read for its explanation.
const MAX_FAILURE_BYTES: usize = 64 << 10;

/// The HTTP client and what it adds to every request.
#[derive(Debug)]
pub(super) struct Http {
    clients: Arc<Clients>,
    direct: Direct,
    identity: Arc<Identity>,
    signer: Signer,
    user_agent: String,
    tags: Option<String>,
    project: Option<String>,
    connect_timeout: Duration,
    idle_timeout: Duration,
    local: Option<IpAddr>,
}

impl Http {
    /// `endpoints` are those known now; if one has TLS, its settings are tried at once.
    pub(super) fn new(options: &Options, endpoints: [Option<&str>; 2]) -> Result<Self> {
        let own_agent = concat!("libmaxstorage/", env!("CARGO_PKG_VERSION"));
        let user_agent = match options.text(&options::USER_AGENT) {
            Some(host) => format!("{host} {own_agent}"),
            None => own_agent.to_owned(),
        };
        let tags = options.text(&options::TAGS).map(str::to_owned);
        for (key, value) in [(&options::USER_AGENT, Some(&user_agent)), (&options::TAGS, tags.as_ref())] {
            if value.is_some_and(|value| HeaderValue::from_str(value).is_err()) {
                let message = format!("{} cannot be sent in a header: printable ASCII is needed", key.name);
                return Err(Error::new(Kind::InvalidOption, message));
            }
        }
        let connect_timeout = options.duration(&options::CONNECT_TIMEOUT_MS);
        let idle_timeout = options.duration(&options::READ_IDLE_TIMEOUT_MS);
        let local = local_address(options)?;
        let clients = Arc::new(Clients::new(options, endpoints)?);
        Ok(Http {
            identity: Identity::new(options, Arc::clone(&clients))?,
            clients,
            direct: Direct::new(local, connect_timeout, idle_timeout, idle_connections(options)),
            signer: Signer::new(signature(options)?),
            user_agent,
            tags,
            project: options.text(&options::PROJECT).map(str::to_owned),
            connect_timeout,
            idle_timeout,
            local,
        })
    }

    /// Who asks.
    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Sends a request once. An answer with another status than 2xx is an error.
    pub(super) async fn send(&self, endpoint: &str, request: &Request) -> Result<Body> {
        let credentials = self.identity.current().await?;
        let sent = self.send_as(&credentials, endpoint, request).await;
        sent.inspect_err(|error| self.identity.note_failure(error, &credentials))
    }

    async fn send_as(&self, credentials: &Credentials, endpoint: &str, request: &Request) -> Result<Body> {
        let mut request = self.with_project(request);
        let url = request.url(endpoint);
        let method = match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
        };
        let headers = header_map(&self.headers(credentials, &request))?;
        let mut prepared = self.clients.of(&url)?.request(method, &url).headers(headers);
        if request.method == Method::Post {
            prepared = prepared.body(std::mem::take(&mut request.body));
        }
        let patience = self.connect_timeout + self.idle_timeout;
        let response = match tokio::time::timeout(patience, prepared.send()).await {
            Ok(sent) => sent.map_err(|error| network_error(&format!("no answer from {endpoint}"), error))?,
            Err(_) => {
                let message = format!("no answer from {endpoint} within {} ms", patience.as_millis());
                return Err(Error::new(Kind::Timeout, message));
            }
        };
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let retry_after = header(&headers, "retry-after").parse().ok();
        let body = Body::from_library(response, self.idle_timeout).with_headers(|name| header(&headers, name));
        self.checked(&request, status, retry_after, body).await
    }

    /// The address that connections are made from; `None` for whichever the system chooses.
    pub(super) fn local_address(&self) -> Option<IpAddr> {
        self.local
    }

    /// How long an attempt to connect may take.
    pub(super) fn connect_timeout(&self) -> Duration {
        self.connect_timeout
    }

    /// The proxy in front of every endpoint.
    pub(super) fn proxy(&self) -> Option<&str> {
        self.clients.options.text(&options::PROXY)
    }

    /// Has one request answered that is neither signed nor about anything; the time that the answer names.
    pub(super) async fn greet(&self, endpoint: &str) -> Result<Option<SystemTime>> {
        let sent = self.clients.of(endpoint)?.get(endpoint).send();
        let patience = self.connect_timeout + self.idle_timeout;
        let response = match tokio::time::timeout(patience, sent).await {
            Ok(sent) => sent.map_err(|error| network_error(&format!("no answer from {endpoint}"), error))?,
            Err(_) => {
                let message = format!("no answer from {endpoint} within {} ms", patience.as_millis());
                return Err(Error::new(Kind::Timeout, message));
            }
        };
        Ok(httpdate::parse_http_date(header(response.headers(), "date")).ok())
    }

    /// Asks for rows, once. Plain HTTP is read without the HTTP library in between.
    pub(super) async fn open(&self, endpoint: &str, request: &Request) -> Result<Body> {
        if is_secure(endpoint) || self.clients.has_proxy() {
            return self.send(endpoint, request).await;
        }
        let credentials = self.identity.current().await?;
        let opened = self.open_as(&credentials, endpoint, request).await;
        opened.inspect_err(|error| self.identity.note_failure(error, &credentials))
    }

    async fn open_as(&self, credentials: &Credentials, endpoint: &str, request: &Request) -> Result<Body> {
        let request = self.with_project(request);
        let headers = self.headers(credentials, &request);
        // Refuses what cannot be sent, as for every other call.
        header_map(&headers)?;
        let (head, body) = self.direct.ask(request.method, &request.url(endpoint), &headers, &request.body).await?;
        let body = Body::direct(body).with_headers(|name| head.header(name));
        self.checked(&request, head.status, head.header("retry-after").parse().ok(), body).await
    }

    fn with_project(&self, request: &Request) -> Request {
        match &self.project {
            Some(project) => request.clone().query("curr_project", project),
            None => request.clone(),
        }
    }

    /// The body of an answer whose status is a success, else the failure it tells of.
    async fn checked(&self, request: &Request, status: u16, retry_after: Option<u64>, mut body: Body) -> Result<Body> {
        let request_id = body.request_id().to_owned();
        let trace = request.trace_parent().map(|parent| format!(", trace {parent}")).unwrap_or_default();
        log::debug!("{} {} -> {status} ({request_id}{trace})", request.method.name(), request.path());
        if (200..300).contains(&status) {
            return Ok(body.with_status(status));
        }
        // The status is known; an explanation that does not arrive must not hold the failure up.
        let patience = self.idle_timeout.min(Duration::from_secs(5));
        let explanation = tokio::time::timeout(patience, body.read_some(MAX_FAILURE_BYTES)).await;
        let explanation = explanation.unwrap_or_else(|_| {
            log::debug!("the explanation of HTTP {status} did not arrive ({request_id})");
            Vec::new()
        });
        Err(Failure { status, request_id: &request_id, retry_after, body: &explanation }.into_error())
    }

    /// Every header of a request, with its signature.
    fn headers(&self, credentials: &Credentials, request: &Request) -> Vec<(String, String)> {
        let (date, day) = date_and_day(SystemTime::now());
        let mut headers = request.headers.clone();
        headers.push(("x-odps-user-agent".to_owned(), self.user_agent.clone()));
        let path = request.path();
        let input = SigningInput {
            method: request.method.name(),
            path: &path,
            query: &request.query,
            headers: &headers,
            date: &date,
        };
        let signed = self.signer.headers(credentials, &input, &day);
        headers.push(("user-agent".to_owned(), self.user_agent.clone()));
        headers.push(("date".to_owned(), date));
        if let Some(tags) = &self.tags {
            headers.push(("odps-tunnel-tags".to_owned(), tags.clone()));
        }
        headers.extend(signed.into_iter().map(|(name, value)| (name.to_owned(), value)));
        headers
    }
}

/// Headers in the form of the HTTP library, which refuses names and values that cannot be sent.
fn header_map(headers: &[(String, String)]) -> Result<HeaderMap> {
    let mut map = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        let illegal = |_| Error::new(Kind::InvalidArgument, format!("header {name} has a value that cannot be sent"));
        let mut value = HeaderValue::from_str(value).map_err(illegal)?;
        let is_secret = ["authorization", "authentication", "token"].iter().any(|part| name.contains(part));
        value.set_sensitive(is_secret);
        map.insert(HeaderName::from_bytes(name.as_bytes()).map_err(|_| illegal_name(name))?, value);
    }
    Ok(map)
}

fn illegal_name(name: &str) -> Error {
    Error::new(Kind::Internal, format!("`{name}` is not a header name"))
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn signature(options: &Options) -> Result<Signature> {
    let region = options.text(&options::REGION).map(str::to_owned);
    match (options.text(&options::SIGNATURE), region) {
        (Some("v2"), _) | (_, None) if options.text(&options::SIGNATURE) != Some("v4") => Ok(Signature::V2),
        (_, Some(region)) => Ok(Signature::V4 { region }),
        (_, None) => Err(Error::new(Kind::InvalidOption, "signature v4 needs option region")),
    }
}

/// The HTTP clients: one for plain HTTP that needs no certificate authorities, which a slim container may not have, and one
/// for TLS that is made when it is needed.
#[derive(Debug)]
pub(super) struct Clients {
    options: Options,
    plain: Client,
    secure: OnceCell<Client>,
    /// For what is near by definition.
    unproxied: OnceCell<Client>,
}

impl Clients {
    pub(super) fn new(options: &Options, endpoints: [Option<&str>; 2]) -> Result<Self> {
        let plain = build(with_proxy(builder(options)?, options)?.tls_certs_only([]))?;
        let mut options = options.clone();
        // Who asks is the business of others, and needs no second copy.
        options.set_provider(None);
        let clients = Clients { options, plain, secure: OnceCell::new(), unproxied: OnceCell::new() };
        let options = &clients.options;
        let known = endpoints.into_iter().flatten().chain(options.text(&options::PROXY));
        if known.into_iter().any(is_secure)
            || options.is_set(&options::TLS_CA_FILE)
            || options.is_set(&options::TLS_CA_PEM)
        {
            clients.secure()?;
        }
        Ok(clients)
    }

    pub(super) fn of(&self, url: &str) -> Result<&Client> {
        let by_proxy = self.options.text(&options::PROXY).is_some_and(is_secure);
        if by_proxy || is_secure(url) { self.secure() } else { Ok(&self.plain) }
    }

    fn has_proxy(&self) -> bool {
        self.options.text(&options::PROXY).is_some()
    }

    fn secure(&self) -> Result<&Client> {
        let builder = || with_authorities(with_proxy(builder(&self.options)?, &self.options)?, &self.options);
        self.secure.get_or_try_init(|| build(builder()?))
    }

    /// A client for plain HTTP that no proxy is between.
    pub(super) fn unproxied(&self) -> Result<&Client> {
        self.unproxied.get_or_try_init(|| build(builder(&self.options)?.tls_certs_only([])))
    }
}

fn is_secure(url: &str) -> bool {
    url.starts_with("https:")
}

fn idle_connections(options: &Options) -> usize {
    usize::try_from(options.number(&options::HTTP_MAX_IDLE_CONNECTIONS)).unwrap_or(usize::MAX)
}

fn builder(options: &Options) -> Result<ClientBuilder> {
    Ok(Client::builder()
        .local_address(local_address(options)?)
        .http1_only()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .tcp_nodelay(true)
        .connect_timeout(options.duration(&options::CONNECT_TIMEOUT_MS))
        .pool_max_idle_per_host(idle_connections(options)))
}

fn with_proxy(builder: ClientBuilder, options: &Options) -> Result<ClientBuilder> {
    let Some(proxy) = options.text(&options::PROXY) else { return Ok(builder) };
    let proxy = Proxy::all(proxy).map_err(|_| Error::new(Kind::InvalidOption, "option proxy is not a URL"))?;
    let direct = options.text(&options::NO_PROXY).and_then(NoProxy::from_string);
    Ok(builder.proxy(proxy.no_proxy(direct)))
}

/// Adds whom to trust.
fn with_authorities(mut builder: ClientBuilder, options: &Options) -> Result<ClientBuilder> {
    let unusable = |what: &str, error: &dyn std::fmt::Display| {
        Error::new(Kind::InvalidOption, format!("{what} cannot be used: {error}"))
    };
    let mut add = |pem: &[u8], what: &str| {
        let certificates = Certificate::from_pem_bundle(pem).map_err(|error| unusable(what, &error))?;
        if certificates.is_empty() {
            return Err(unusable(what, &"it holds no certificate"));
        }
        builder = std::mem::take(&mut builder).tls_certs_merge(certificates);
        Ok(())
    };
    if let Some(path) = options.text(&options::TLS_CA_FILE) {
        let what = format!("tls.ca_file {path}");
        add(&std::fs::read(path).map_err(|error| unusable(&what, &error))?, &what)?;
    }
    if let Some(pem) = options.text(&options::TLS_CA_PEM) {
        add(pem.as_bytes(), options::TLS_CA_PEM.name)?;
    }
    if !options.flag(&options::TLS_VERIFY) {
        log::warn!("tls.verify is off: the identity of the service is not checked");
        builder = builder.tls_danger_accept_invalid_certs(true);
    }
    Ok(builder)
}

fn build(builder: ClientBuilder) -> Result<Client> {
    builder.build().map_err(|error| {
        Error::new(Kind::InvalidOption, format!("TLS cannot be set up: {}; see option tls.ca_file", root_cause(error)))
    })
}

/// The failure for an error of the HTTP library; its cause is told, its URL is not.
pub(super) fn network_error(what: &str, error: reqwest::Error) -> Error {
    let kind = if error.is_timeout() { Kind::Timeout } else { Kind::Connection };
    Error::new(kind, format!("{what}: {}", root_cause(error)))
}

fn root_cause(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = inner.to_string();
        cause = inner.source();
    }
    text
}
