//! Cancelling calls that have no handle yet.

use super::gate::{free, new_handle, quiet};
use crate::runtime::Cancel;

/// Cancels calls that open something: one object may be given to several of them.
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
    let cancel = unsafe { cancel.as_ref() };
    quiet((), || {
        if let Some(cancel) = cancel {
            cancel.cancel.cancel();
        }
    });
}

/// Frees the object. Calls that were given it go on.
/// @param[in] cancel may be NULL.
/// Thread: any, once, when no other call uses the handle. Blocking: no.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_cancel_free(cancel: *mut ms_cancel) {
    unsafe { free(cancel, |_| false) }
}
