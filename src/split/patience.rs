//! Waiting for memory that the host may never have.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::source::Source;
use crate::error::{Error, Kind, Result};
use crate::memory::{Ahead, Allowance};
use crate::runtime::within;

/// How often a host that refuses memory is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(50);

impl Source {
    /// Waits for `bytes`, which polling `taking` asks for. Fails when the host has refused them for limits.memory_wait_ms though the engine
    /// has nothing `ahead` to take.
    pub(super) async fn granted<T>(
        &self,
        bytes: u64,
        taking: impl Future<Output = Result<T>>,
        ahead: &Ahead,
    ) -> Result<T> {
        let (mut taking, start) = (pin!(taking), Instant::now());
        // Since when the engine may be waiting for this read, which only the host's refusal can keep from going on.
        let mut refused: Option<Instant> = None;
        let taken = loop {
            if let Some(taken) = within(ASK_AGAIN, taking.as_mut()).await {
                break taken;
            }
            refused = if ahead.is_empty() { refused.or_else(|| Some(Instant::now())) } else { None };
            ahead.set_refused(refused.is_some());
            if refused.is_some_and(|since| since.elapsed() >= self.memory_wait) {
                let waited = self.memory_wait.as_millis();
                let message =
                    format!("the host refuses {bytes} bytes for a batch for limits.memory_wait_ms ({waited})");
                break Err(Error::new(Kind::ResourceExhausted, message));
            }
        };
        ahead.set_refused(false);
        self.metrics.memory_wait.add_time(start.elapsed());
        taken
    }

    /// Waits for memory that is needed for the batch which the engine wants to have now.
    pub(super) async fn granted_at_once(self: Arc<Self>, bytes: u64) -> Result<Allowance> {
        let nothing = Ahead::default();
        self.granted(bytes, self.account.reserve(bytes, &nothing), &nothing).await.map(Allowance::new)
    }
}
