//! Splits that become known after a session was opened.

use std::task::Poll;

use super::args::{Out, borrow};
use super::cancel::ms_cancel;
use super::deadline::instant;
use super::error::ms_error;
use super::gate::gate_poll;
use super::session::ms_session;
use super::status::ms_status;
use crate::error::Result;
use crate::session::{Known, Session};

/// Waits until a session has more splits than the caller knows, or no others will come: for a session that was opened with plan.wait=first.
/// Split numbers are given out as splits become known, and keep their meaning. Splits that were planned before come before the failure
/// of the rest. A loop that hands splits out begins with known = 0, handles the splits from known to *out_count - 1, and goes on with
/// known = *out_count until *out_complete.
/// @param[in] session the session; any other is complete, and answers at once.
/// @param[in] known how many splits the caller knows; -1 for how many there are now.
/// @param[in] monotonic_deadline_ms milliseconds of CLOCK_MONOTONIC (std::chrono::steady_clock on Linux); 0 or less for none.
/// @param[in] cancel may be NULL, then nothing but the deadline ends the call. It must not be freed during the call.
/// @param[out] out_count receives how many splits are known: more than `known`, unless the plan is complete; -1 on failure.
/// @param[out] out_complete receives whether there are no others; false on failure.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return MS_OK; MS_DEADLINE_EXCEEDED; MS_CANCELLED; else as ms_session_open, for the part of the plan that failed: every later call that
/// wants more gets the same. MS_INVALID_ARGUMENT for NULL; MS_FORKED; MS_WRONG_STATE from inside a callback. What is known already is
/// told whatever `cancel` and the deadline say.
/// Thread: any, at any time, several at once, but not from inside a callback. Blocking: until more splits are known, `cancel` ends the
/// call, or the time has come.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_session_more_splits(
    session: *const ms_session,
    known: i64,
    monotonic_deadline_ms: i64,
    cancel: *const ms_cancel,
    out_count: *mut i64,
    out_complete: *mut bool,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        let ask = |session: &Session| {
            let cancel = ms_cancel::given(cancel)?;
            session.more_splits(known, instant(monotonic_deadline_ms), cancel).map(Poll::Ready)
        };
        more(session, ask, out_count, out_complete, err)
    }
}

/// As ms_session_more_splits, without waiting.
/// @param[in] session as for ms_session_more_splits.
/// @param[in] known as for ms_session_more_splits.
/// @param[out] out_count as for ms_session_more_splits; -1 if the call returns MS_PENDING.
/// @param[out] out_complete as for ms_session_more_splits; false if the call returns MS_PENDING.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return MS_OK; MS_PENDING while no more are known and some may come; the failures of ms_session_more_splits.
/// Thread: any, at any time, several at once, but not from inside a callback. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_session_try_more_splits(
    session: *const ms_session,
    known: i64,
    out_count: *mut i64,
    out_complete: *mut bool,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe { more(session, |session| session.try_more_splits(known), out_count, out_complete, err) }
}

/// Fills what `ask` says of a session.
///
/// # Safety
/// As for the functions above.
unsafe fn more(
    session: *const ms_session,
    ask: impl FnOnce(&Session) -> Result<Poll<Known>>,
    out_count: *mut i64,
    out_complete: *mut bool,
    err: *mut *mut ms_error,
) -> ms_status {
    // SAFETY: by the contract of this function.
    unsafe {
        gate_poll(err, || {
            let count = Out::claim(out_count, -1, "out_count")?;
            let complete = Out::claim(out_complete, false, "out_complete")?;
            let session = borrow(session, "session")?;
            Ok(ask(&session.session)?.map(|known| {
                count.fill(known.splits);
                complete.fill(known.is_whole);
            }))
        })
    }
}
