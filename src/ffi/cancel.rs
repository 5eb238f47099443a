//! Ending calls that have no handle of their own.

use super::args::{borrow, peek};
use super::deadline::instant;
use super::error::ms_error;
use super::gate::{free, gate, new_handle, quiet};
use super::status::ms_status;
use crate::runtime::Cancel;

/// Ends calls that plan, refresh or list, by ms_cancel_now or at a deadline: one object may be given to several of them. They end within
/// 50 ms, whatever the service or the network does.
pub struct ms_cancel {
    pub(super) cancel: Cancel,
}

/// Makes an object that can cancel calls.
/// @return the object, to be freed with ms_cancel_free; NULL only after a defect of the library.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn ms_cancel_new() -> *mut ms_cancel {
    quiet(std::ptr::null_mut(), || new_handle(ms_cancel { cancel: Cancel::default() }))
}

/// Cancels every call that was given this object and those that will be: they return MS_CANCELLED at once.
/// @param[in] cancel may be NULL.
/// Thread: any, at any time, also from inside a callback. Blocking: no.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_cancel_now(cancel: *const ms_cancel) {
    let cancel = unsafe { peek(cancel) };
    quiet((), || {
        if let Some(cancel) = cancel {
            cancel.cancel.cancel();
        }
    });
}

/// Says until when every call may take that was given this object, those under way as well: then it returns MS_DEADLINE_EXCEEDED. Unlike
/// ms_cancel_now this can be taken back, by another deadline.
/// @param[in] cancel the object.
/// @param[in] monotonic_deadline_ms milliseconds of CLOCK_MONOTONIC (std::chrono::steady_clock on Linux); 0 or less for none.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return MS_OK; MS_INVALID_ARGUMENT for NULL.
/// Thread: any, at any time, also from inside a callback. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_cancel_set_deadline_ms(
    cancel: *const ms_cancel,
    monotonic_deadline_ms: i64,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        gate(err, || {
            borrow(cancel, "cancel")?.cancel.set_deadline(instant(monotonic_deadline_ms));
            Ok(())
        })
    }
}

/// Frees the object. Calls that were given it go on; the deadline that was set last stays theirs.
/// @param[in] cancel may be NULL.
/// Thread: any, once, when no other call uses the handle. Blocking: no.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_cancel_free(cancel: *mut ms_cancel) {
    unsafe { free(cancel, |_| false) }
}
