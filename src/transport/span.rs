//! Spans: a request as a part of a trace, told to the host when it is over. Nothing of this is made for who does not ask for it.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::trace::Trace;
use crate::error::{Error, Kind};
use crate::options::{Span, SpanHook, SpanValue};
use crate::proto::Request;

/// What a request is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Rows of a session.
    Read,
    /// A plan, or whether it is ready.
    Plan,
    /// A longer life of a session.
    Refresh,
    /// What is known of projects, tables and partitions, and first rows.
    Catalogue,
    /// Where the Storage API is.
    Endpoint,
}

impl Purpose {
    /// The name of its spans.
    const fn name(self) -> &'static str {
        match self {
            Purpose::Read => "maxstorage.read",
            Purpose::Plan => "maxstorage.plan",
            Purpose::Refresh => "maxstorage.refresh",
            Purpose::Catalogue => "maxstorage.catalogue",
            Purpose::Endpoint => "maxstorage.endpoint",
        }
    }
}

/// A request under way. It is told when it is over, or dropped because nobody waits for it any more.
#[derive(Debug)]
pub(super) struct OpenSpan {
    hook: SpanHook,
    purpose: Purpose,
    trace_id: String,
    span_id: String,
    parent_span_id: String,
    flags: String,
    start: SystemTime,
    begun: Instant,
    method: &'static str,
    endpoint: String,
    path: String,
    attempt: u32,
    split: Option<i64>,
    request_id: String,
    http_status: u16,
    bytes: u64,
    /// How it ended; `None` while nobody has said it.
    failure: Option<Option<Error>>,
}

impl OpenSpan {
    /// Of a request that is about to be sent for the sake of `trace`, or of none, which makes it the root of a trace of its own. `None` where
    /// the trace is not sampled.
    pub(super) fn begin(
        hook: &SpanHook,
        trace: Option<&Trace>,
        (purpose, split): (Purpose, Option<i64>),
        (endpoint, request): (&str, &Request),
        attempt: u32,
    ) -> Option<Self> {
        if trace.is_some_and(|trace| !trace.is_sampled()) {
            return None;
        }
        let text = |part: Option<&str>| part.unwrap_or_default().to_owned();
        Some(OpenSpan {
            hook: hook.clone(),
            purpose,
            trace_id: trace
                .map_or_else(|| format!("{:016x}{:016x}", random(), random()), |trace| trace.id().to_owned()),
            span_id: format!("{:016x}", random()),
            parent_span_id: text(trace.map(Trace::span)),
            flags: trace.map_or("01", Trace::flags).to_owned(),
            start: SystemTime::now(),
            begun: Instant::now(),
            method: request.method.name(),
            endpoint: endpoint.to_owned(),
            path: request.path(),
            attempt,
            split,
            request_id: String::new(),
            http_status: 0,
            bytes: 0,
            failure: None,
        })
    }

    /// The header by which the service knows this request as the parent of what it does.
    pub(super) fn trace_parent(&self) -> String {
        format!("00-{}-{}-{}", self.trace_id, self.span_id, self.flags)
    }

    /// An answer came.
    pub(super) fn answered(&mut self, http_status: u16, request_id: &str) {
        self.http_status = http_status;
        request_id.clone_into(&mut self.request_id);
    }

    /// So many bytes of the body came.
    pub(super) fn received(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    /// It is over. What was said first stays, but that a failure takes the place of a good end.
    pub(super) fn end(&mut self, failure: Option<&Error>) {
        if !matches!(self.failure, Some(Some(_))) {
            self.failure = Some(failure.cloned());
        }
    }
}

impl Drop for OpenSpan {
    fn drop(&mut self) {
        let failure = self.failure.take().unwrap_or_else(|| {
            Some(Error::new(Kind::Cancelled, "nobody waited for the answer, or for its end, any more"))
        });
        let text = |text: &str| SpanValue::Text(text.to_owned());
        let number = |number: u64| SpanValue::Number(i64::try_from(number).unwrap_or(i64::MAX));
        let ns = |time: Duration| number(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        let start = self.start.duration_since(UNIX_EPOCH).unwrap_or_default();
        let (mut http_status, mut request_id) = (self.http_status, self.request_id.as_str());
        // What the answer did not say the failure may.
        if let Some(said) = failure.as_ref().map(Error::server) {
            if http_status == 0 {
                http_status = said.http_status;
            }
            if request_id.is_empty() {
                request_id = &said.request_id;
            }
        }
        let status = failure.as_ref().map_or((0, "MS_OK"), |error| (error.kind() as u64, error.kind().constant()));
        let mut fields = vec![
            ("name", text(self.purpose.name())),
            ("trace_id", text(&self.trace_id)),
            ("span_id", text(&self.span_id)),
            ("parent_span_id", text(&self.parent_span_id)),
            ("start_unix_ns", ns(start)),
            // By the clock that does not jump.
            ("end_unix_ns", ns(start + self.begun.elapsed())),
            ("status", number(status.0)),
            ("status_name", text(status.1)),
            ("message", text(failure.as_ref().map_or("", Error::message))),
            ("method", text(self.method)),
            ("endpoint", text(&self.endpoint)),
            ("path", text(&self.path)),
            ("attempt", number(self.attempt.into())),
            ("http_status", number(http_status.into())),
            ("request_id", text(request_id)),
            ("bytes", number(self.bytes)),
        ];
        fields.extend(self.split.map(|split| ("split", SpanValue::Number(split))));
        self.hook.tell(&Span(fields));
    }
}

/// A number that nobody knows beforehand, and no 0; each `RandomState` has keys of its own.
fn random() -> u64 {
    RandomState::new().build_hasher().finish().max(1)
}
