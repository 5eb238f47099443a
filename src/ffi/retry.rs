//! The host's say in whether a request is made again.

use std::ffi::c_void;
use std::time::Duration;

use super::args::{Context, borrow};
use super::callbacks::call_host;
use super::error::ms_error;
use super::gate::gate;
use super::live;
use super::options::ms_options;
use super::status::ms_status;
use crate::options::{Decision, FailedAttempt, RetryHook};

/// Decides after a request that failed and that the library would make again: returns how many milliseconds to wait before the next attempt, for
/// example planned_delay_ms, or less than 0 to give up with this failure. error tells code, sentence, code of the service, HTTP status and, by
/// ms_error_attempts, the number of the attempt; it belongs to the library and exists during the call only. elapsed_ms counts from the first
/// attempt, from the last one that brought rows, or from the last refusal for too many requests while others of the client went on, which is no
/// failed attempt. It is called from threads of the library, several at once, must return soon, must not throw, and must call nothing of the
/// library but the functions that read an error.
pub type ms_retry_hook = Option<
    unsafe extern "C" fn(context: *mut c_void, error: *const ms_error, elapsed_ms: i64, planned_delay_ms: i64) -> i64,
>;

/// Has the host decide about each further attempt of a request. It is asked about temporary failures within retry.max_attempts and
/// retry.budget_ms; others are reported without asking. What it says about the wait goes beyond retry.max_backoff_ms and Retry-After, and
/// ends early when the call is cancelled or its deadline passes.
/// @param[in] options the options; clients opened with them, or with a clone of them, ask it, for all requests to the service.
/// @param[in] hook decides; NULL for the retry options alone.
/// @param[in] context handed to each call; may be NULL. A call that has begun may outlast the freeing of everything, so it must live until
/// ms_shutdown or ms_end_callbacks has returned MS_OK, or as long as the process.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return MS_OK; MS_INVALID_ARGUMENT for NULL; MS_BUSY.
/// Thread: one call at a time. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_options_set_retry_hook(
    options: *mut ms_options,
    hook: ms_retry_hook,
    context: *mut c_void,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        gate(err, || {
            let options = borrow(options, "options")?;
            let context = Context(context);
            let hook = hook.map(|hook| RetryHook::new(move |failed| ask(hook, context, failed)));
            options.change(|options| {
                options.set_retry_hook(hook);
                Ok(())
            })
        })
    }
}

fn ask(
    hook: unsafe extern "C" fn(*mut c_void, *const ms_error, i64, i64) -> i64,
    context: Context,
    failed: &FailedAttempt<'_>,
) -> Decision {
    let ms = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    let error = ms_error::new(failed.error);
    let _loan = live::lend(&raw const error);
    // SAFETY: the host promises that its hook can be called with its context from any thread. The error outlives the call and is used through
    // shared references only.
    let answer = call_host("a retry hook", || unsafe {
        hook(context.0, &raw const error, ms(failed.elapsed), ms(failed.planned))
    });
    match answer {
        None => Some(failed.planned),
        Some(delay) => u64::try_from(delay).ok().map(Duration::from_millis),
    }
}
