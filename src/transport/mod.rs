//! The network: one HTTP client with signing, timeouts, retry and endpoint discovery.

mod body;
mod clock;
mod dial;
mod direct;
mod endpoint;
mod http;
mod identity;
mod probe;
mod retry;
mod slots;
mod span;
mod trace;
mod versions;

use std::sync::Arc;
use std::time::Instant;

use crate::error::{Error, Kind, Result};
use crate::options::{self, Options, SpanHook};
use crate::proto::{Request, TRACE_PARENT, Version, discover};

pub use body::Body;
pub use direct::{Need, wake_sockets_with};
use endpoint::Directory;
pub use endpoint::check_endpoint;
use http::Http;
pub use probe::Remote;
pub use retry::{Attempts, Retry};
use slots::Slots;
pub use slots::{Share, SlotUse};
use span::OpenSpan;
pub use span::Purpose;
use trace::Trace;
pub use versions::Negotiation;
use versions::Versions;

/// Everything needed to talk to the service for the sake of one trace, or of none.
#[derive(Debug)]
pub struct Transport {
    shared: Arc<Shared>,
    trace: Option<Trace>,
    /// Who is told of each request.
    spans: Option<SpanHook>,
}

/// For whom rows are asked for.
#[derive(Clone, Copy)]
pub struct Errand<'a> {
    /// What for.
    pub purpose: Purpose,
    /// The read whose slots it takes.
    pub share: &'a Arc<Share>,
    /// The split, if they belong to one.
    pub split: Option<i64>,
    /// Told of each request that is sent.
    pub sent: &'a (dyn Fn() + Sync),
}

/// What all sessions and splits of a client have in common.
#[derive(Debug)]
struct Shared {
    http: Http,
    retry: Retry,
    service: String,
    data: Option<String>,
    quota: Option<String>,
    directory: Directory,
    versions: Versions,
    slots: Arc<Slots>,
}

/// A successful answer whose body was read.
#[derive(Debug)]
pub struct Answer {
    /// Body.
    pub body: Vec<u8>,
    /// `x-odps-request-id`.
    pub request_id: String,
    /// Where the service wants the next requests of the session; empty if it did not say.
    pub route_token: String,
}

impl Transport {
    /// Checks the connection, identity and retry options. No I/O.
    pub fn new(options: &Options) -> Result<Arc<Self>> {
        let checked = |key: &options::Key, text| {
            check_endpoint(text)
                .map_err(|error| Error::new(Kind::InvalidOption, format!("{}: {}", key.name, error.message())))
        };
        let service = checked(&options::ENDPOINT, options.required(&options::ENDPOINT)?)?;
        let data = options.text(&options::DATA_ENDPOINT);
        let data = data.map(|text| checked(&options::DATA_ENDPOINT, text)).transpose()?;
        let shared = Shared {
            http: Http::new(options, [Some(service.as_str()), data.as_deref()])?,
            retry: Retry::new(options),
            service,
            data,
            quota: options.text(&options::QUOTA).map(str::to_owned),
            directory: Directory::default(),
            versions: Versions::new(options),
            slots: Slots::new(options.number(&options::LIMITS_CONCURRENT_REQUESTS)),
        };
        let (trace, spans) = (Trace::of(options)?, options.span_hook().cloned());
        Ok(Arc::new(Transport { shared: Arc::new(shared), trace, spans }))
    }

    /// The same for the trace that `options` name, told to whom they name; itself if they name neither.
    pub fn traced(self: &Arc<Self>, options: &Options) -> Result<Arc<Self>> {
        Ok(match (Trace::of(options)?, options.span_hook()) {
            (None, None) => Arc::clone(self),
            (trace, spans) => Arc::new(Transport {
                shared: Arc::clone(&self.shared),
                trace: trace.or_else(|| self.trace.clone()),
                spans: spans.or(self.spans.as_ref()).cloned(),
            }),
        })
    }

    /// A failure of something that was done for the trace.
    pub fn told(&self, error: Error) -> Error {
        match &self.trace {
            Some(trace) => error.with_trace_parent(trace.parent()),
            None => error,
        }
    }

    /// The endpoint that was configured for the Storage API, if one was.
    pub fn configured_data_endpoint(&self) -> Option<&str> {
        self.shared.data.as_deref()
    }

    /// The endpoint of the Storage API for a project: configured, remembered, or asked for.
    pub async fn data_endpoint(&self, project: &str) -> Result<String> {
        if let Some(configured) = &self.shared.data {
            return Ok(configured.clone());
        }
        let ask = async {
            let answer = self.call(Purpose::Endpoint, &self.shared.service, discover(project)).await?;
            endpoint::from_discovery(&self.shared.service, &answer.body)
                .map_err(|error| error.with_request_id(&answer.request_id))
        };
        let found = self.shared.directory.find(project, ask).await;
        found.map_err(|error| {
            error.context(format!("asking {} for the data endpoint of project {project}", self.shared.service))
        })
    }

    /// Starts a download, trying again after temporary failures until the answer begins. `attempts` counts the requests. The body
    /// holds one of the client's slots, which counts for the read of the errand; none is held between the attempts.
    pub async fn download(
        &self,
        endpoint: &str,
        request: Request,
        attempts: &mut Attempts,
        errand: Errand<'_>,
    ) -> Result<Body> {
        let request = self.with_trace(self.with_quota(request));
        loop {
            let queued = Instant::now();
            let slot = self.shared.slots.take(errand.share).await;
            attempts.waited(queued.elapsed());
            self.shared.slots.throttled(queued.elapsed());
            (errand.sent)();
            attempts.begin();
            let mut span = self.span((errand.purpose, errand.split), endpoint, &request, attempts);
            let opened = match &span {
                None => self.shared.http.open(endpoint, &request).await,
                Some(span) => {
                    let request = request.clone().with_trace_parent(&span.trace_parent());
                    self.shared.http.open(endpoint, &request).await
                }
            };
            if let (Some(span), Err(error)) = (&mut span, &opened) {
                span.end(Some(error));
            }
            let opened = opened.map(|body| body.with_span(span.take()));
            drop(span);
            match opened.map_err(|error| self.told(error)) {
                Ok(body) => {
                    slot.accepted();
                    return Ok(body.with_slot(slot));
                }
                Err(error) if error.kind() == Kind::Throttled => {
                    if slot.refused() {
                        // Other requests of this client go on, and make room when they end: that is no failed attempt.
                        attempts.progress();
                    }
                    let refused = Instant::now();
                    attempts.wait_after(error).await?;
                    attempts.held_up(refused.elapsed());
                    self.shared.slots.throttled(refused.elapsed());
                }
                Err(error) => {
                    drop(slot);
                    self.wait_after(error, attempts).await?;
                }
            }
        }
    }

    /// What the slots of the client are used for.
    pub fn slots(&self) -> SlotUse {
        self.shared.slots.usage()
    }

    /// Fresh attempts under the policy of this client.
    pub fn attempts(&self) -> Attempts {
        self.shared.retry.attempts()
    }

    /// Forgets the endpoint of a project if `error` says that nobody answers there.
    pub fn forget_endpoint(&self, project: &str, error: &Error) {
        let no_answer = error.server().request_id.is_empty() && error.server().http_status == 0;
        if no_answer && matches!(error.kind(), Kind::Connection | Kind::Timeout) {
            self.shared.directory.forget(project);
        }
    }

    /// Makes a call and reads its answer, trying again after temporary failures.
    pub async fn call(&self, purpose: Purpose, endpoint: &str, request: Request) -> Result<Answer> {
        self.exchange(purpose, endpoint, self.with_quota(request)).await
    }

    /// Asks the service endpoint for metadata, which belong to no quota; tries again after temporary failures.
    pub async fn ask_service(&self, request: Request) -> Result<Answer> {
        self.exchange(Purpose::Catalogue, &self.shared.service, request).await
    }

    async fn exchange(&self, purpose: Purpose, endpoint: &str, request: Request) -> Result<Answer> {
        let request = self.with_trace(request);
        let mut attempts = self.attempts();
        loop {
            attempts.begin();
            let answer = match self.span((purpose, None), endpoint, &request, &attempts) {
                None => self.ask(endpoint, &request, None).await,
                Some(span) => {
                    let request = request.clone().with_trace_parent(&span.trace_parent());
                    self.ask(endpoint, &request, Some(span)).await
                }
            };
            match answer.map_err(|error| self.told(error)) {
                Ok(answer) => return Ok(answer),
                Err(error) => self.wait_after(error, &mut attempts).await?,
            }
        }
    }

    /// Makes a call once.
    async fn ask(&self, endpoint: &str, request: &Request, mut span: Option<OpenSpan>) -> Result<Answer> {
        let sent = self.shared.http.send(endpoint, request).await;
        if let (Some(span), Err(error)) = (&mut span, &sent) {
            span.end(Some(error));
        }
        sent?.with_span(span).read_all().await
    }

    /// The span of a request that is about to be sent, if somebody wants to know of it.
    fn span(
        &self,
        what: (Purpose, Option<i64>),
        endpoint: &str,
        request: &Request,
        attempts: &Attempts,
    ) -> Option<OpenSpan> {
        let hook = self.spans.as_ref()?;
        OpenSpan::begin(hook, self.trace.as_ref(), what, (endpoint, request), attempts.made())
    }

    /// Waits before the next attempt, or gives the error back if there is to be none. Who is not known may become known by other
    /// credentials, at once.
    async fn wait_after(&self, error: Error, attempts: &mut Attempts) -> Result<()> {
        if self.shared.http.identity().can_renew_after(&error) && attempts.is_first_refusal() {
            log::info!("trying once more with new credentials after: {error}");
            attempts.note(error);
            return Ok(());
        }
        attempts.wait_after(error).await
    }

    /// Begins the first call of a session or of a preview, in a version of the Storage API from `least` on that the service at
    /// `endpoint` speaks and the client may speak.
    pub fn negotiate<'a>(&'a self, endpoint: &'a str, least: Version) -> Result<Negotiation<'a>> {
        self.shared.versions.negotiate(endpoint, least)
    }

    /// Every request names the quota: those of version 1 must, discovery may answer another endpoint for it, and where the data
    /// endpoint is configured, nothing else would say it.
    fn with_quota(&self, request: Request) -> Request {
        match &self.shared.quota {
            Some(quota) => request.query("quotaName", quota),
            None => request,
        }
    }

    fn with_trace(&self, request: Request) -> Request {
        match &self.trace {
            Some(trace) => request.header(TRACE_PARENT, trace.parent()),
            None => request,
        }
    }
}
