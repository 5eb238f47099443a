//! What the host wants to know when a read is over.

use std::fmt;
use std::sync::Arc;

use crate::error::Result;
use crate::metrics::Metric;

/// A read that nobody takes batches of any more.
#[derive(Debug)]
pub struct ReadEnd<'a> {
    /// The split that was read; `None` for a scan.
    pub split: Option<i64>,
    /// Whether everything was handed out, and if not, why.
    pub outcome: &'a Result<()>,
    /// What it has cost.
    pub metrics: &'a [Metric],
}

/// A function that is told of the end of each read, once, by the thread that frees it.
#[derive(Clone)]
pub struct ReadEndHook(Arc<dyn Fn(&ReadEnd<'_>) + Send + Sync>);

impl ReadEndHook {
    /// Wraps a function.
    pub fn new(tell: impl Fn(&ReadEnd<'_>) + Send + Sync + 'static) -> Self {
        ReadEndHook(Arc::new(tell))
    }

    /// Tells of a read that is over.
    pub fn tell(&self, end: &ReadEnd<'_>) {
        (self.0)(end);
    }
}

impl fmt::Debug for ReadEndHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReadEndHook")
    }
}
