//! What the host wants to know of each request, for its traces.

use std::fmt;
use std::sync::Arc;

/// What is known of a request that is over: names and values, in the order in which they are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span(pub Vec<(&'static str, SpanValue)>);

/// A value of a span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpanValue {
    /// A text.
    Text(String),
    /// A number.
    Number(i64),
}

/// A function that is told of each request, once, when it is over. It is called by any thread, several at once, and must not block.
#[derive(Clone)]
pub struct SpanHook(Arc<dyn Fn(&Span) + Send + Sync>);

impl SpanHook {
    /// Wraps a function.
    pub fn new(tell: impl Fn(&Span) + Send + Sync + 'static) -> Self {
        SpanHook(Arc::new(tell))
    }

    /// Tells of a request that is over.
    pub fn tell(&self, span: &Span) {
        (self.0)(span);
    }
}

impl fmt::Debug for SpanHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SpanHook")
    }
}
