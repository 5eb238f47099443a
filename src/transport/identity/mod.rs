//! The credentials of a client: kept, renewed ahead of their end, by one request at a time.

mod fetch;
mod process;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use super::http::Clients;
use crate::auth::{self, App, Credentials, Source};
use crate::error::{Error, Kind, Result, ServerFacts};
use crate::options::{self, Grant, Options};
use fetch::Fetch;

/// Credentials are renewed this long before their end, or after three quarters of their life if that is later.
const AHEAD: Duration = Duration::from_secs(900);
/// Bounds of the wait after a renewal that failed while the old credentials still hold.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));

/// Who asks, now and later.
#[derive(Debug)]
pub(super) struct Identity {
    fetch: Fetch,
    app: Option<App>,
    timeout: Duration,
    state: Mutex<State>,
    /// Held by the one who renews.
    flight: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    current: Option<Current>,
}

#[derive(Debug, Clone)]
struct Current {
    credentials: Arc<Credentials>,
    expires: Option<SystemTime>,
    /// When to renew; `None` for never.
    renew_at: Option<SystemTime>,
    /// The service did not accept them.
    is_rejected: bool,
}

/// What is to be done about credentials.
enum Need {
    /// Nothing.
    Nothing(Arc<Credentials>),
    /// They hold, and their end is near.
    RenewSoon(Arc<Credentials>),
    /// There are none that can be used.
    Renew,
}

impl Current {
    fn new(grant: Grant, app: Option<App>, now: SystemTime) -> Self {
        let life = grant.expires.map(|end| end.duration_since(now).unwrap_or_default());
        let renew_at = grant.expires.zip(life).map(|(end, life)| end - AHEAD.min(life / 4));
        let credentials = Arc::new(Credentials { who: grant.who, app });
        Current { credentials, expires: grant.expires, renew_at, is_rejected: false }
    }

    fn is_expired(&self, now: SystemTime) -> bool {
        self.expires.is_some_and(|end| end <= now)
    }

    /// When to try again after a renewal that failed.
    fn next_try(&self, now: SystemTime) -> Option<SystemTime> {
        let left = self.expires?.duration_since(now).unwrap_or_default();
        Some(now + (left / 8).clamp(PAUSES.0, PAUSES.1))
    }
}

impl State {
    fn need(&self, now: SystemTime) -> Need {
        match &self.current {
            Some(current) if current.is_rejected || current.is_expired(now) => Need::Renew,
            Some(current) if current.renew_at.is_some_and(|at| at <= now) => {
                Need::RenewSoon(Arc::clone(&current.credentials))
            }
            Some(current) => Need::Nothing(Arc::clone(&current.credentials)),
            None => Need::Renew,
        }
    }
}

impl Identity {
    /// Reads the identity options. Profiles and programs are looked at when they are needed, except that what is certainly wrong
    /// fails here.
    pub(super) fn new(options: &Options, clients: Arc<Clients>) -> Result<Arc<Self>> {
        let source = auth::source(options, |name| std::env::var(name).ok())?;
        let app = auth::app(options)?;
        let current = match &source {
            Source::Fixed(grant) => Some(Current::new(grant.clone(), app.clone(), SystemTime::now())),
            other => check(other).map(|()| None)?,
        };
        Ok(Arc::new(Identity {
            fetch: Fetch { source, clients, calling: Arc::default() },
            app,
            timeout: options.duration(&options::CREDENTIALS_TIMEOUT_MS),
            state: Mutex::new(State { current }),
            flight: tokio::sync::Mutex::default(),
        }))
    }

    /// The credentials for the next request.
    pub(super) async fn current(self: &Arc<Self>) -> Result<Arc<Credentials>> {
        let need = self.state().need(SystemTime::now());
        match need {
            Need::Nothing(credentials) => Ok(credentials),
            Need::RenewSoon(credentials) => {
                self.renew_in_background();
                Ok(credentials)
            }
            Need::Renew => {
                let _flight = self.flight.lock().await;
                // Somebody else may have renewed them meanwhile.
                if let Need::Nothing(credentials) | Need::RenewSoon(credentials) = self.state().need(SystemTime::now())
                {
                    return Ok(credentials);
                }
                self.renew().await
            }
        }
    }

    /// Notes that a request failed with `error` which these credentials had signed.
    pub(super) fn note_failure(&self, error: &Error, used: &Arc<Credentials>) {
        if self.can_renew_after(error) {
            // Others may have had them renewed already.
            if let Some(current) = self.state().current.as_mut().filter(|now| Arc::ptr_eq(&now.credentials, used)) {
                current.is_rejected = true;
            }
        }
    }

    /// Whether one more try may go better: the service does not know who asks, and the source can give other credentials.
    pub(super) fn can_renew_after(&self, error: &Error) -> bool {
        let server = error.server();
        let is_refusal = error.kind() == Kind::Unauthenticated && server.http_status != 0;
        is_refusal && !server.code.starts_with("RequestTimeTooSkew") && !self.is_fixed()
    }

    fn is_fixed(&self) -> bool {
        matches!(self.fetch.source, Source::Fixed(_))
    }

    fn renew_in_background(self: &Arc<Self>) {
        let this = Arc::clone(self);
        tokio::spawn(async move {
            let Ok(_flight) = this.flight.try_lock() else { return };
            if matches!(this.state().need(SystemTime::now()), Need::RenewSoon(_)) {
                // A failure is logged, and the old credentials hold.
                let _ = this.renew().await;
            }
        });
    }

    /// Asks the source. If that fails the old credentials stay until their end. Only to be called by the holder of `flight`.
    async fn renew(&self) -> Result<Arc<Credentials>> {
        let asked = tokio::time::timeout(self.timeout, self.fetch.grant()).await.unwrap_or_else(|_| {
            let message = format!("no credentials within credentials.timeout_ms ({})", self.timeout.as_millis());
            Err(Error::new(Kind::Timeout, message))
        });
        let now = SystemTime::now();
        let granted = asked.and_then(auth::checked).and_then(|grant| {
            let over = grant.expires.is_some_and(|end| end <= now);
            let message = "the source of the credentials gave some that have expired already";
            if over { Err(Error::new(Kind::Unauthenticated, message)) } else { Ok(grant) }
        });
        let mut state = self.state();
        match granted {
            Ok(grant) => {
                let current = Current::new(grant, self.app.clone(), now);
                log::info!("new credentials: {:?}, until {:?}", current.credentials.who, current.expires);
                let credentials = Arc::clone(&current.credentials);
                state.current = Some(current);
                Ok(credentials)
            }
            Err(error) => match state.current.as_mut().filter(|current| !current.is_expired(now)) {
                Some(current) => {
                    log::warn!("the credentials cannot be renewed; going on with the old ones: {error}");
                    current.is_rejected = false;
                    current.renew_at = current.next_try(now);
                    Ok(Arc::clone(&current.credentials))
                }
                None => Err(of_a_source(error).context("getting credentials")),
            },
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Fails for what certainly gives no credentials: a profile that is not there, a URL that is none; also where a role stands before it.
fn check(source: &Source) -> Result<()> {
    /// Of roles and profiles before the first credentials; whoever has more hears of a mistake when they are needed.
    const MOST: usize = 8;
    let mut source = source.clone();
    for _ in 0..MOST {
        source = match source {
            Source::Profile(place) => fetch::profile(&place)?,
            Source::RamRole(both) => both.0,
            Source::Uri(uri) => return fetch::address(&uri).map(drop),
            _ => break,
        };
    }
    Ok(())
}

/// A source that does not know its path, or refuses the question, gives no credentials; nobody is to take that for a table that is
/// missing or for a version of the Storage API that the service lacks.
fn of_a_source(error: Error) -> Error {
    let server = ServerFacts { http_status: 0, ..error.server().clone() };
    match (error.server().http_status, error.kind()) {
        (0, _) | (_, Kind::Unauthenticated | Kind::PermissionDenied) => error,
        (_, kind) if kind.is_retryable() => error,
        _ => error.with_kind(Kind::Unauthenticated).with_server(server),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{Provider, Who};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Instant;
    use zeroize::Zeroizing;

    fn grant(id: usize, life: Option<Duration>) -> Grant {
        let who = Who::Key { id: id.to_string(), secret: Zeroizing::new("s".into()), token: None };
        Grant { who, expires: life.map(|life| SystemTime::now() + life) }
    }

    /// An identity that `supply` feeds, given the number of the call, and the count of calls.
    fn identity(supply: impl Fn(usize) -> Result<Grant> + Send + Sync + 'static) -> (Arc<Identity>, Arc<AtomicUsize>) {
        // Long enough for a busy machine to tell a panic with its stack.
        identity_within("30000", supply)
    }

    /// As [`identity`], with so many milliseconds of patience.
    fn identity_within(
        patience: &str,
        supply: impl Fn(usize) -> Result<Grant> + Send + Sync + 'static,
    ) -> (Arc<Identity>, Arc<AtomicUsize>) {
        let calls = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&calls);
        let mut options = Options::new();
        options.set("credentials.timeout_ms", patience).unwrap();
        options.set_provider(Some(Provider::new(move || supply(count.fetch_add(1, Ordering::SeqCst) + 1))));
        let clients = Arc::new(Clients::new(&options, [None, None]).unwrap());
        (Identity::new(&options, clients).unwrap(), calls)
    }

    fn block_on<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(future)
    }

    async fn id(identity: &Arc<Identity>) -> String {
        match &identity.current().await.unwrap().who {
            Who::Key { id, .. } => id.clone(),
            Who::Bearer(_) => panic!("a bearer token"),
        }
    }

    fn refused() -> Error {
        let facts = crate::error::ServerFacts { http_status: 401, ..Default::default() };
        Error::new(Kind::Unauthenticated, "no").with_server(facts)
    }

    #[test]
    fn many_requests_at_once_ask_once() {
        block_on(async {
            let (identity, calls) = identity(|number| {
                std::thread::sleep(Duration::from_millis(50));
                Ok(grant(number, None))
            });
            let tasks: Vec<_> = (0..32)
                .map(|_| {
                    let identity = Arc::clone(&identity);
                    tokio::spawn(async move { id(&identity).await })
                })
                .collect();
            for task in tasks {
                assert_eq!(task.await.unwrap(), "1");
            }
            assert_eq!(calls.load(Ordering::SeqCst), 1);
        });
    }

    #[test]
    fn renewed_ahead_of_the_end_without_waiting() {
        block_on(async {
            let (identity, calls) = identity(|number| {
                std::thread::sleep(Duration::from_millis(if number == 1 { 0 } else { 100 }));
                Ok(grant(number, Some(Duration::from_secs(if number == 1 { 2 } else { 3600 }))))
            });
            assert_eq!(id(&identity).await, "1");
            tokio::time::sleep(Duration::from_millis(1550)).await;
            let start = Instant::now();
            assert_eq!(id(&identity).await, "1", "the old ones hold");
            assert!(start.elapsed() < Duration::from_millis(80), "nobody waits for the new ones");
            tokio::time::sleep(Duration::from_millis(250)).await;
            assert_eq!(id(&identity).await, "2");
            assert_eq!(calls.load(Ordering::SeqCst), 2);
        });
    }

    #[test]
    fn a_failed_renewal_keeps_the_old_ones_to_their_end_and_no_longer() {
        block_on(async {
            let (identity, calls) = identity(|number| match number {
                1 => Ok(grant(1, Some(Duration::from_millis(1200)))),
                _ => Err(Error::new(Kind::Unavailable, "the vault is closed")),
            });
            let start = Instant::now();
            while start.elapsed() < Duration::from_millis(1100) {
                assert_eq!(id(&identity).await, "1");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            let tries = calls.load(Ordering::SeqCst);
            assert!((2..=5).contains(&tries), "{tries} calls: tried again, but not with every request");
            tokio::time::sleep(Duration::from_millis(200)).await;
            let error = identity.current().await.unwrap_err();
            assert_eq!(error.kind(), Kind::Unavailable);
            assert!(error.message().contains("the vault is closed"), "{error}");
        });
    }

    #[test]
    fn refused_ones_are_renewed_once_for_all_who_used_them() {
        block_on(async {
            let (identity, calls) = identity(|number| Ok(grant(number, None)));
            let used = identity.current().await.unwrap();
            identity.note_failure(&refused(), &used);
            assert_eq!(id(&identity).await, "2");
            // Another request that had used the first ones.
            identity.note_failure(&refused(), &used);
            assert_eq!(id(&identity).await, "2");
            let used = identity.current().await.unwrap();
            identity.note_failure(&Error::new(Kind::PermissionDenied, "x"), &used);
            assert_eq!(id(&identity).await, "2");
            assert_eq!(calls.load(Ordering::SeqCst), 2);
        });
    }

    #[test]
    fn a_source_that_hangs_is_a_timeout_and_one_that_gives_old_ones_a_refusal() {
        block_on(async {
            let (hanging, _) = identity_within("300", |_| {
                std::thread::sleep(Duration::from_millis(700));
                Ok(grant(1, None))
            });
            assert_eq!(hanging.current().await.unwrap_err().kind(), Kind::Timeout);
            let (stale, _) =
                identity(|_| Ok(Grant { expires: Some(SystemTime::now() - Duration::from_secs(1)), ..grant(1, None) }));
            assert_eq!(stale.current().await.unwrap_err().kind(), Kind::Unauthenticated);
            let (odd, _) = identity(|_| {
                let who = Who::Key { id: "a b".into(), secret: Zeroizing::new("s".into()), token: None };
                Ok(Grant { who, expires: None })
            });
            assert_eq!(odd.current().await.unwrap_err().kind(), Kind::InvalidOption);
            let (broken, _) = identity(|_| panic!("in the host"));
            assert_eq!(broken.current().await.unwrap_err().kind(), Kind::Internal);
        });
    }
}
