//! The memory of a client.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Waker;

use super::{Ahead, Allocator, Hooks};

/// Memory that is kept for later and can be given up at any time.
pub trait Idle: Send + Sync {
    /// Gives it up; whether there was any.
    fn trim(&self) -> bool;
}

/// What all reads of a client may hold together, and do hold.
pub struct Budget {
    limit: u64,
    hooks: Option<Hooks>,
    allocator: Option<Allocator>,
    state: Mutex<State>,
    /// How many wait in the line; also read without the lock.
    waiting: AtomicUsize,
    idle: Mutex<Vec<Weak<dyn Idle>>>,
    /// The process that counts.
    pid: u32,
}

#[derive(Debug, Default)]
struct State {
    held: u64,
    /// What the host is being asked for.
    asked: u64,
    peak: u64,
    /// Those who wait, in the order of their places.
    line: VecDeque<Waiting>,
    next_place: u64,
}

#[derive(Debug)]
struct Waiting {
    place: u64,
    ahead: Ahead,
    waker: Waker,
}

impl State {
    /// Whether nothing can come back.
    fn is_idle(&self) -> bool {
        self.held == 0 && self.asked == 0
    }

    /// Who may go next: one that the engine may be waiting for, else the one that waits longest.
    fn next(&self) -> Option<&Waiting> {
        self.line.iter().find(|waiting| waiting.ahead.is_empty()).or(self.line.front())
    }
}

/// The answer to a request for memory.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Granted,
    /// Something is held, so memory may come back.
    NotNow,
    /// The host refuses though nothing is held.
    Never,
}

impl std::fmt::Debug for Budget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Budget").field("limit", &self.limit).field("state", &self.state).finish_non_exhaustive()
    }
}

impl Budget {
    /// A budget of `limit` bytes, 0 for any number, and of what `hooks` grant.
    pub fn new(limit: u64, hooks: Option<Hooks>) -> Arc<Self> {
        Self::with_allocator(limit, hooks, None)
    }

    /// The same of memory that `allocator` provides.
    pub fn with_allocator(limit: u64, hooks: Option<Hooks>, allocator: Option<Allocator>) -> Arc<Self> {
        Arc::new(Budget {
            limit: if limit == 0 { u64::MAX } else { limit },
            hooks,
            allocator,
            state: Mutex::default(),
            waiting: AtomicUsize::new(0),
            idle: Mutex::default(),
            pid: std::process::id(),
        })
    }

    /// Bytes that are held now.
    pub fn held(&self) -> u64 {
        self.lock().held
    }

    /// The most that was held at one time.
    pub fn peak(&self) -> u64 {
        self.lock().peak
    }

    /// Where large memory comes from, if not from the system.
    pub fn allocator(&self) -> Option<&Allocator> {
        self.allocator.as_ref()
    }

    /// The limit, 0 for none.
    pub fn limit(&self) -> u64 {
        if self.limit == u64::MAX { 0 } else { self.limit }
    }

    /// How many reads wait for memory.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    /// Whether memory that is free should go back rather than be kept.
    pub fn is_short(&self) -> bool {
        self.waiting() > 0 || (self.limit != u64::MAX && self.held() > self.limit)
    }

    /// Whether this is a child, made by fork, of the process that counts: then nothing is counted any more, because a thread that
    /// does not exist here may hold the lock for ever.
    pub fn is_inherited(&self) -> bool {
        self.pid != std::process::id()
    }

    /// Has `idle` trimmed when memory is short.
    pub fn register(&self, idle: Weak<dyn Idle>) {
        let mut all = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|idle| idle.strong_count() > 0);
        all.push(idle);
    }

    /// Asks for `bytes`; `beyond` the limit as well. Only who may go next is let in.
    pub(super) fn ask(&self, bytes: u64, beyond: bool, place: Option<u64>) -> Answer {
        let was_idle = {
            let mut state = self.lock();
            let is_next = state.next().is_none_or(|next| Some(next.place) == place);
            let fits = state.held.saturating_add(state.asked).saturating_add(bytes) <= self.limit;
            let allowed = beyond || (is_next && fits);
            if !allowed {
                return Answer::NotNow;
            }
            let was_idle = state.is_idle();
            state.asked += bytes;
            was_idle
        };
        let granted = self.hooks.as_ref().is_none_or(|hooks| hooks.reserve(bytes));
        let mut state = self.lock();
        state.asked -= bytes;
        if granted {
            state.held += bytes;
            state.peak = state.peak.max(state.held);
            Answer::Granted
        } else if was_idle && state.is_idle() {
            // What the host refuses while others give back it may grant next time.
            Answer::Never
        } else {
            Answer::NotNow
        }
    }

    /// Whether `bytes` more are within the limit.
    pub(super) fn fits(&self, bytes: u64) -> bool {
        let state = self.lock();
        state.held.saturating_add(state.asked).saturating_add(bytes) <= self.limit
    }

    /// Takes a place in the line, or keeps it with another waker.
    pub(super) fn queue(&self, place: Option<u64>, ahead: &Ahead, waker: &Waker) -> u64 {
        let mut state = self.lock();
        if let Some(waiting) = state.line.iter_mut().find(|waiting| Some(waiting.place) == place) {
            waiting.waker.clone_from(waker);
            return waiting.place;
        }
        let place = state.next_place;
        state.next_place += 1;
        state.line.push_back(Waiting { place, ahead: ahead.clone(), waker: waker.clone() });
        self.waiting.store(state.line.len(), Ordering::SeqCst);
        place
    }

    /// Leaves the line. Whoever is first now may have been waiting for that only.
    pub(super) fn leave(&self, place: u64) {
        let next = {
            let mut state = self.lock();
            state.line.retain(|waiting| waiting.place != place);
            self.waiting.store(state.line.len(), Ordering::SeqCst);
            state.next().map(|next| next.waker.clone())
        };
        next.into_iter().for_each(Waker::wake);
    }

    /// Takes bytes back.
    pub(super) fn release(&self, bytes: u64) {
        if self.is_inherited() {
            return;
        }
        if let Some(hooks) = &self.hooks {
            hooks.release(bytes);
        }
        let next = {
            let mut state = self.lock();
            state.held -= bytes;
            state.next().map(|next| next.waker.clone())
        };
        next.into_iter().for_each(Waker::wake);
    }

    /// Has everything given up that is kept for later; whether there was any.
    pub fn trim(&self) -> bool {
        let all = self.idle.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // Each is asked, also when one had something.
        all.iter().filter_map(Weak::upgrade).fold(false, |any, idle| idle.trim() | any)
    }

    /// No code that can panic runs under the lock.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
