//! Keeps a session alive at the service: on demand, and by itself ahead of its end while splits of it are open.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::plan::Plan;
use crate::error::Result;
use crate::runtime::{Runtime, Task, sleep};
use crate::transport::{Purpose, Transport};

/// Shortest wait between two refreshes, whatever the clocks say.
const SHORTEST_WAIT: Duration = Duration::from_millis(100);
/// Longest wait after a refresh that failed.
const WAIT_AFTER_FAILURE: Duration = Duration::from_secs(30);
/// Stands for an end that the service did not tell.
const UNKNOWN: i64 = -1;

/// Longest route token that is kept.
const MAX_ROUTE_TOKEN_BYTES: usize = 4 << 10;

/// Whether a text can be sent back in a header that is signed: visible ASCII.
pub(super) fn is_route_token(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_ROUTE_TOKEN_BYTES && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The life of one session at the service, and the way to it; shared by everything that reads it.
#[derive(Debug)]
pub struct Lease {
    transport: Arc<Transport>,
    plan: Arc<Plan>,
    expires_at_ms: AtomicI64,
    route_token: Mutex<String>,
    keeper: Mutex<Keeper>,
}

/// Who needs the session, and the task that keeps it while somebody does.
#[derive(Debug, Default)]
struct Keeper {
    holders: usize,
    task: Option<Task>,
    /// Set by the task when it gives up.
    given_up: Arc<AtomicBool>,
}

/// While it lives, the session is refreshed ahead of its end.
#[derive(Debug)]
pub struct Hold(Arc<Lease>);

impl Lease {
    pub(super) fn new(transport: &Arc<Transport>, plan: &Arc<Plan>) -> Arc<Self> {
        Arc::new(Lease {
            transport: Arc::clone(transport),
            plan: Arc::clone(plan),
            expires_at_ms: AtomicI64::new(plan.expires_at_ms.unwrap_or(UNKNOWN)),
            route_token: Mutex::new(plan.route_token.clone()),
            keeper: Mutex::default(),
        })
    }

    /// What is kept alive, for messages.
    pub fn name(&self) -> String {
        format!("session {} of {}", self.plan.session_id, self.plan.source)
    }

    /// Where the service wants requests to go; empty if it did not say.
    pub fn route_token(&self) -> String {
        self.route_token.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes note of a newer one. What cannot be sent back is not kept.
    pub fn set_route_token(&self, token: &str) {
        let mut known = self.route_token.lock().unwrap_or_else(PoisonError::into_inner);
        if is_route_token(token) && *known != token {
            token.clone_into(&mut known);
        }
    }

    /// When the session ends, in epoch milliseconds; `None` if the service did not say.
    pub fn expires_at_ms(&self) -> Option<i64> {
        Some(self.expires_at_ms.load(Ordering::Relaxed)).filter(|time| *time != UNKNOWN)
    }

    /// Prolongs the session.
    pub async fn refresh(&self) -> Result<()> {
        let Plan { version, source, .. } = self.plan.as_ref();
        let request = version.refresh_session(source, &self.plan.session_id)?.routed(&self.route_token());
        let answered = self.transport.call(Purpose::Refresh, &self.plan.data_endpoint, request).await;
        let answer = answered.map_err(|error| version.session_failure(error))?;
        let parsed = version.session_answer(source, &answer.body).and_then(|parsed| {
            // Fails for a session whose life is over.
            parsed.planning()?;
            Ok(parsed)
        });
        let parsed = parsed.map_err(|error| error.with_request_id(&answer.request_id))?;
        self.set_route_token(&answer.route_token);
        self.expires_at_ms.store(parsed.expires_at_ms().unwrap_or(UNKNOWN), Ordering::Relaxed);
        Ok(())
    }

    /// Keeps the session alive as long as the guard lives. Sessions without a known end are left alone.
    pub fn hold(self: &Arc<Self>, runtime: &Runtime) -> Hold {
        let mut keeper = self.keeper();
        keeper.holders += 1;
        if keeper.given_up.load(Ordering::Relaxed) {
            keeper.task = None;
        }
        if keeper.task.is_none() && self.expires_at_ms().is_some() {
            keeper.given_up = Arc::default();
            let given_up = Arc::clone(&keeper.given_up);
            // The task must not keep the lease: it ends with the last holder, or with the lease.
            let lease = Arc::downgrade(self);
            let keep = async move {
                loop {
                    let Some(wait) = lease.upgrade().and_then(|lease| lease.next_refresh(SystemTime::now())) else {
                        given_up.store(true, Ordering::Relaxed);
                        return Ok(());
                    };
                    sleep(wait).await;
                    let Some(lease) = lease.upgrade() else { return Ok(()) };
                    if let Err(error) = lease.refresh().await {
                        log::warn!("session {} was not refreshed: {error}", lease.plan.session_id);
                        if !error.kind().is_retryable() {
                            // Readers find out by themselves, and say so; the next one that opens tries again.
                            given_up.store(true, Ordering::Relaxed);
                            return Ok(());
                        }
                        sleep(WAIT_AFTER_FAILURE.min(wait / 4)).await;
                    }
                }
            };
            keeper.task = Some(runtime.spawn_aside(keep, |_: Result<()>| {}));
        }
        Hold(Arc::clone(self))
    }

    /// How long to wait for the next refresh: two thirds of what is left.
    fn next_refresh(&self, now: SystemTime) -> Option<Duration> {
        let now_ms =
            now.duration_since(UNIX_EPOCH).map_or(0, |time| i64::try_from(time.as_millis()).unwrap_or(i64::MAX));
        let left = self.expires_at_ms()?.saturating_sub(now_ms);
        Some(Duration::from_millis(u64::try_from(left).unwrap_or(0)) * 2 / 3).map(|wait| wait.max(SHORTEST_WAIT))
    }

    fn keeper(&self) -> MutexGuard<'_, Keeper> {
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut keeper = self.0.keeper();
        keeper.holders -= 1;
        if keeper.holders == 0
            && let Some(task) = keeper.task.take()
        {
            task.abort();
        }
    }
}
