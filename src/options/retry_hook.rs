//! The host's say in whether a request is made again.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;

/// A request that failed and is to be made again.
#[derive(Debug)]
pub struct FailedAttempt<'a> {
    /// How it failed, and the number of the attempt.
    pub error: &'a Error,
    /// Since the first attempt, or the last one that brought something: what counts for the retry budget.
    pub elapsed: Duration,
    /// How long the library would wait.
    pub planned: Duration,
}

/// How long to wait before the next attempt; `None` for no further one.
pub type Decision = Option<Duration>;

/// A function that decides after each failed attempt. It is called by any thread, several at once, and must not block.
#[derive(Clone)]
pub struct RetryHook(Arc<dyn Fn(&FailedAttempt<'_>) -> Decision + Send + Sync>);

impl RetryHook {
    /// Wraps a function.
    pub fn new(decide: impl Fn(&FailedAttempt<'_>) -> Decision + Send + Sync + 'static) -> Self {
        RetryHook(Arc::new(decide))
    }

    /// Asks.
    pub fn decide(&self, failed: &FailedAttempt<'_>) -> Decision {
        (self.0)(failed)
    }
}

impl fmt::Debug for RetryHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RetryHook")
    }
}
