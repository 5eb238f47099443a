//! When a request is made again.

use std::collections::VecDeque;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, Instant};

use crate::error::{Attempt, Error, Result};
use crate::options::{self, FailedAttempt, Options, RetryHook};

/// How many failed attempts are told with the last one.
const TOLD: usize = 8;

/// The retry policy of a client.
#[derive(Debug, Clone)]
pub struct Retry {
    max_attempts: u32,
    initial_backoff: Duration,
    max_backoff: Duration,
    budget: Duration,
    hook: Option<RetryHook>,
}

impl Retry {
    /// Reads the retry options.
    pub fn new(options: &Options) -> Self {
        Retry {
            max_attempts: u32::try_from(options.number(&options::RETRY_MAX_ATTEMPTS)).unwrap_or(u32::MAX),
            initial_backoff: options.duration(&options::RETRY_INITIAL_BACKOFF_MS),
            max_backoff: options.duration(&options::RETRY_MAX_BACKOFF_MS),
            budget: options.duration(&options::RETRY_BUDGET_MS),
            hook: options.retry_hook().cloned(),
        }
    }

    /// Counts the attempts at one thing from now on.
    pub fn attempts(&self) -> Attempts {
        let (policy, start) = (self.clone(), Instant::now());
        let (throttled, failed) = (Duration::ZERO, VecDeque::new());
        Attempts { policy, made: 0, before: 0, refused: false, begun: start, start, throttled, failed }
    }

    /// Upper bound of the wait after attempt number `made`.
    fn ceiling(&self, made: u32) -> Duration {
        let doublings = made.saturating_sub(1).min(30);
        self.initial_backoff.saturating_mul(1 << doublings).min(self.max_backoff)
    }
}

/// The attempts at one thing.
#[derive(Debug)]
pub struct Attempts {
    policy: Retry,
    made: u32,
    /// Those before the last progress.
    before: u32,
    /// The credentials were refused since then.
    refused: bool,
    begun: Instant,
    /// Since when the budget counts.
    start: Instant,
    throttled: Duration,
    /// The last ones that others followed.
    failed: VecDeque<Attempt>,
}

impl Attempts {
    /// How many requests were made.
    pub fn made(&self) -> u32 {
        self.before + self.made
    }

    /// The last request brought something before it failed: it counts as the first attempt at the rest.
    pub fn progress(&mut self) {
        self.before += self.made.saturating_sub(1);
        self.made = self.made.min(1);
        self.refused = false;
        self.start = Instant::now();
    }

    /// Leaves out of account that nothing could be tried for so long.
    pub fn waited(&mut self, time: Duration) {
        self.start += time;
        self.throttled += time;
    }

    /// Counts a wait after a refusal for too many requests.
    pub fn held_up(&mut self, time: Duration) {
        self.throttled += time;
    }

    /// How long there were too many requests for the next one.
    pub fn throttled(&self) -> Duration {
        self.throttled
    }

    /// Counts a request that is about to be made.
    pub fn begin(&mut self) {
        self.made += 1;
    }

    /// Whether this is the first time since the last progress that the credentials were refused.
    pub fn is_first_refusal(&mut self) -> bool {
        !std::mem::replace(&mut self.refused, true)
    }

    /// Waits before the next attempt, or gives the error back if there is to be none.
    pub async fn wait_after(&mut self, error: Error) -> Result<()> {
        let error = error.with_attempts(self.made());
        match self.pause(&error).and_then(|planned| self.ask(&error, planned)) {
            Some(pause) => {
                log::debug!("attempt {} failed, next one in {} ms: {error}", self.made, pause.as_millis());
                self.note(error);
                tokio::time::sleep(pause).await;
                Ok(())
            }
            None => Err(error.with_earlier(self.failed.iter().cloned().collect())),
        }
    }

    /// Takes note of how an attempt failed that another one follows.
    pub fn note(&mut self, error: Error) {
        if self.failed.len() == TOLD {
            self.failed.pop_front();
        }
        self.failed.push_back(Attempt { number: self.made(), after: self.begun.elapsed(), error });
    }

    /// How long to wait: at random up to the ceiling, on top of what the service asked for.
    fn pause(&self, error: &Error) -> Option<Duration> {
        if !error.kind().is_retryable() || self.made >= self.policy.max_attempts {
            return None;
        }
        let asked = error.server().retry_after.unwrap_or_default();
        let random = random_below(self.policy.ceiling(self.made));
        let pause = asked.saturating_add(random).min(self.policy.max_backoff);
        (self.start.elapsed() + pause <= self.policy.budget).then_some(pause)
    }

    /// What the host says about the pause, if it wants to be asked.
    fn ask(&self, error: &Error, planned: Duration) -> Option<Duration> {
        let Some(hook) = &self.policy.hook else { return Some(planned) };
        let decision = hook.decide(&FailedAttempt { error, elapsed: self.start.elapsed(), planned });
        if decision.is_none() {
            log::info!("the host makes no further attempt after number {}: {error}", self.made());
        }
        decision
    }
}

/// A duration between zero and `ceiling`; each `RandomState` has keys of its own.
fn random_below(ceiling: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish();
    let share = (random >> 11) as f64 / (1u64 << 53) as f64;
    ceiling.mul_f64(share)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Kind, ServerFacts};

    fn retry(pairs: &[(&str, &str)]) -> Retry {
        let mut options = Options::new();
        for (key, value) in pairs {
            options.set(key, value).unwrap();
        }
        Retry::new(&options)
    }

    #[test]
    fn waits_double_up_to_the_limit() {
        let policy = retry(&[("retry.initial_backoff_ms", "100"), ("retry.max_backoff_ms", "1000")]);
        let ceilings: Vec<u128> = [1, 2, 3, 4, 5, 90].map(|made| policy.ceiling(made).as_millis()).to_vec();
        assert_eq!(ceilings, [100, 200, 400, 800, 1000, 1000]);
    }

    #[test]
    fn only_temporary_failures_within_attempts_and_budget_are_tried_again() {
        let mut attempts = retry(&[("retry.max_attempts", "2")]).attempts();
        attempts.made += 1;
        assert!(attempts.pause(&Error::new(Kind::Connection, "x")).is_some());
        assert!(attempts.pause(&Error::new(Kind::NotFound, "x")).is_none());
        attempts.made += 1;
        assert!(attempts.pause(&Error::new(Kind::Connection, "x")).is_none());
        let mut broke = retry(&[("retry.budget_ms", "0")]).attempts();
        broke.made += 1;
        let waiting = ServerFacts { retry_after: Some(Duration::from_millis(5)), ..ServerFacts::default() };
        assert!(broke.pause(&Error::new(Kind::Throttled, "x").with_server(waiting)).is_none());
    }

    #[test]
    fn the_host_is_asked_about_what_would_be_tried_again_and_decides() {
        use std::sync::{Arc, Mutex};
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        let mut options = Options::new();
        options.set("retry.max_attempts", "3").unwrap();
        options.set_retry_hook(Some(RetryHook::new(move |failed| {
            assert!(failed.planned <= Duration::from_millis(200) && failed.elapsed < Duration::from_secs(5));
            seen.lock().unwrap().push((failed.error.kind(), failed.error.attempts()));
            (failed.error.kind() == Kind::Connection).then_some(Duration::from_millis(1))
        })));
        let policy = Retry::new(&options);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let after = |attempts: &mut Attempts, kind| {
            attempts.begin();
            runtime.block_on(attempts.wait_after(Error::new(kind, "x")))
        };
        let mut attempts = policy.attempts();
        after(&mut attempts, Kind::Connection).unwrap();
        assert_eq!(after(&mut attempts, Kind::Timeout).unwrap_err().attempts(), 2);
        after(&mut attempts, Kind::Connection).unwrap_err();
        after(&mut policy.attempts(), Kind::NotFound).unwrap_err();
        // Not about the last attempt, and not about what stays as it is.
        assert_eq!(*asked.lock().unwrap(), [(Kind::Connection, 1), (Kind::Timeout, 2)]);
    }

    #[test]
    fn the_last_failure_tells_of_those_before() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let pairs = [("retry.max_attempts", "12"), ("retry.initial_backoff_ms", "1"), ("retry.max_backoff_ms", "1")];
        let mut attempts = retry(&pairs).attempts();
        let last = (1..=12).find_map(|number| {
            attempts.begin();
            let kind = if number % 2 == 0 { Kind::Timeout } else { Kind::Unavailable };
            runtime.block_on(attempts.wait_after(Error::new(kind, format!("failure {number}")))).err()
        });
        let last = last.unwrap();
        assert_eq!((last.attempts(), last.message()), (12, "failure 12"));
        let told: Vec<_> = last.earlier().iter().map(|attempt| (attempt.number, attempt.error.message())).collect();
        assert_eq!(told.len(), TOLD);
        assert_eq!((told[0], told[7]), ((4, "failure 4"), (11, "failure 11")));
        assert!(last.earlier().is_sorted_by_key(|attempt| attempt.after));
        assert!(last.earlier().iter().all(|attempt| attempt.error.earlier().is_empty()));
    }

    #[test]
    fn progress_starts_the_count_afresh_and_keeps_the_sum() {
        let mut attempts = retry(&[("retry.max_attempts", "2")]).attempts();
        for _ in 0..5 {
            attempts.begin();
            attempts.progress();
            assert!(attempts.pause(&Error::new(Kind::Connection, "x")).is_some());
        }
        attempts.begin();
        assert!(attempts.pause(&Error::new(Kind::Connection, "x")).is_none());
        assert_eq!(attempts.made(), 6);
        let mut single = retry(&[("retry.max_attempts", "1")]).attempts();
        single.begin();
        single.progress();
        assert!(single.pause(&Error::new(Kind::Connection, "x")).is_none(), "one attempt is one attempt");
    }

    #[test]
    fn the_wait_the_service_asks_for_is_kept_within_the_limit() {
        let mut attempts = retry(&[("retry.max_backoff_ms", "3000")]).attempts();
        attempts.made += 1;
        let after = |seconds| {
            let facts = ServerFacts { retry_after: Some(Duration::from_secs(seconds)), ..ServerFacts::default() };
            attempts.pause(&Error::new(Kind::Throttled, "x").with_server(facts)).unwrap()
        };
        assert!((Duration::from_secs(1)..=Duration::from_millis(1100)).contains(&after(1)));
        assert_eq!(after(1000), Duration::from_secs(3));
        assert_eq!(after(u64::MAX), Duration::from_secs(3));
    }
}
