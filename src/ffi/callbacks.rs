//! Calls of the host's functions, until the host ends them.

use std::cell::Cell;
use std::sync::{OnceLock, PoisonError, RwLock};

use super::gate::gate;
use super::status::ms_status;
use crate::runtime;

/// Whether the calls have ended. Whoever calls holds it for reading.
static ENDED: RwLock<bool> = RwLock::new(false);
/// The process that calls: of a lock that was held at a fork the child waits in vain.
static CALLER: OnceLock<u32> = OnceLock::new();

thread_local! {
    /// Whether a function of the host runs on this thread.
    static CALLING: Cell<bool> = const { Cell::new(false) };
}

/// Ends all calls of functions of the host, for as long as the process lives: log, wakers, ends of reads, spans, credentials providers, memory hooks, allocators, thread
/// and retry hooks, releases of
/// contexts. For hosts whose functions cannot be called any more while the process still ends, as those of interpreters. Reads that need
/// such a function fail then: no memory is reserved any more, no credentials come. In a child made by fork it does nothing.
/// @return MS_OK when no function of the host is running or will be called again; MS_WRONG_STATE from inside a callback.
/// Thread: any, but not from inside a callback. Blocking: until calls that are running have returned.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn ms_end_callbacks() -> ms_status {
    let body = || {
        runtime::check_thread()?;
        if CALLER.get().is_none_or(|pid| *pid == std::process::id()) {
            *ENDED.write().unwrap_or_else(PoisonError::into_inner) = true;
        }
        Ok(())
    };
    // SAFETY: NULL is allowed.
    unsafe { gate(std::ptr::null_mut(), body) }
}

/// Calls a function of the host, which must not call the library; `None` once the host has ended that.
pub(super) fn call_host<T>(what: &'static str, call: impl FnOnce() -> T) -> Option<T> {
    if CALLING.get() {
        // Inside another call, for example when a callback lets go of the last batch: that one has the lock already.
        return Some(runtime::barred(what, call));
    }
    CALLER.get_or_init(std::process::id);
    let ended = ENDED.read().unwrap_or_else(PoisonError::into_inner);
    if *ended {
        return None;
    }
    CALLING.set(true);
    let result = runtime::barred(what, call);
    CALLING.set(false);
    Some(result)
}
