//! Blocks that are being written now.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::blocks::Attempt;

/// The blocks under way in this process. Kept in memory only: a restart ends them all.
#[derive(Default)]
pub struct Flying {
    writers: Mutex<HashMap<(String, Attempt), usize>>,
    landed: Notify,
}

/// A block under way; over when dropped.
pub struct Flight {
    flying: Arc<Flying>,
    key: (String, Attempt),
}

impl Flying {
    /// Registers a writer. `None` if it must be alone and is not.
    pub fn begin(self: &Arc<Self>, session: &str, attempt: Attempt, alone: bool) -> Option<Flight> {
        let key = (session.to_string(), attempt);
        let mut writers = self.writers.lock().unwrap_or_else(PoisonError::into_inner);
        let count = writers.entry(key.clone()).or_default();
        if alone && *count > 0 {
            return None;
        }
        *count += 1;
        Some(Flight { flying: self.clone(), key })
    }

    /// Waits until no block of a session is under way. Returns how many still are after `limit`.
    pub async fn wait(&self, session: &str, limit: Duration) -> usize {
        let end = Instant::now() + limit;
        loop {
            let landed = self.landed.notified();
            tokio::pin!(landed);
            // Listening begins before the count, so that no landing is missed.
            landed.as_mut().enable();
            let count = self.count(session);
            if count == 0 || timeout_at(end, landed).await.is_err() {
                return count;
            }
        }
    }

    fn count(&self, session: &str) -> usize {
        let writers = self.writers.lock().unwrap_or_else(PoisonError::into_inner);
        writers.iter().filter(|((id, _), _)| id == session).map(|(_, count)| count).sum()
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mut writers = self.flying.writers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = writers.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                writers.remove(&self.key);
            }
        }
        drop(writers);
        self.flying.landed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_commit_waits_for_writers_of_its_session() {
        let flying = Arc::new(Flying::default());
        let at = Attempt { block: 1, attempt: 0 };
        let flight = flying.begin("s", at, true).unwrap();
        assert!(flying.begin("s", at, true).is_none());
        let second = flying.begin("s", at, false).unwrap();
        assert_eq!(flying.wait("t", Duration::from_secs(9)).await, 0);
        assert_eq!(flying.wait("s", Duration::from_secs(9)).await, 2);
        let waiting = tokio::spawn({
            let flying = flying.clone();
            async move { flying.wait("s", Duration::from_secs(9)).await }
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop((flight, second));
        assert_eq!(waiting.await.unwrap(), 0);
        assert!(flying.begin("s", at, true).is_some());
    }
}
