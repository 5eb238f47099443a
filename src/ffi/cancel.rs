//! Ending calls that have no handle of their own.

use std::sync::Arc;

use once_cell::sync::OnceCell;

use super::args::{borrow, peek};
use super::client::ms_client;
use super::deadline::instant;
use super::error::ms_error;
use super::gate::{free, gate, new_handle, quiet};
use super::scan::ms_scan;
use super::signals;
use super::split::ms_split;
use super::status::ms_status;
use crate::error::{Error, Kind, Result};
use crate::runtime::{Bell, Cancel};

/// Ends calls that plan, refresh or list, by ms_cancel_now or at a deadline, and reads that were added to it: one object may be given to all
/// of a query. They end within 50 ms, whatever the service or the network does.
pub struct ms_cancel {
    cancel: Arc<Cancel>,
    bell: OnceCell<Bell>,
    pid: u32,
}

impl ms_cancel {
    fn new() -> Self {
        ms_cancel { cancel: Arc::default(), bell: OnceCell::new(), pid: std::process::id() }
    }

    /// What calls are given; not in a child made by fork, where threads that are not there may hold its locks.
    pub(super) fn here(&self) -> Result<&Arc<Cancel>> {
        if self.is_inherited() {
            let message = "the ms_cancel was made before fork; make a new one in the child process";
            return Err(Error::new(Kind::Forked, message));
        }
        Ok(&self.cancel)
    }

    /// What a call was given, or nothing.
    ///
    /// # Safety
    /// As for [`peek`].
    pub(super) unsafe fn given<'a>(cancel: *const ms_cancel) -> Result<Option<&'a Cancel>> {
        // SAFETY: by the contract of this function.
        unsafe { peek(cancel) }.map(|cancel| cancel.here().map(Arc::as_ref)).transpose()
    }

    fn is_inherited(&self) -> bool {
        self.pid != std::process::id()
    }
}

/// Makes an object that can cancel calls.
/// @return the object, to be freed with ms_cancel_free; NULL only after a defect of the library.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn ms_cancel_new() -> *mut ms_cancel {
    quiet(std::ptr::null_mut(), || new_handle(ms_cancel::new()))
}

/// Cancels every call that was given this object and those that will be, and every read that was added: they return MS_CANCELLED at once.
/// Wakers of those reads are called by this thread before this returns: hold no lock that they take.
/// @param[in] cancel may be NULL; nothing happens in a child made by fork after it was made.
/// Thread: any, at any time, also from inside a callback. Blocking: no.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_cancel_now(cancel: *const ms_cancel) {
    let cancel = unsafe { peek(cancel) };
    quiet((), || {
        if let Some(Ok(cancel)) = cancel.map(ms_cancel::here) {
            cancel.cancel();
        }
    });
}

/// Says until when every call may take that was given this object, those under way as well: then it returns MS_DEADLINE_EXCEEDED. Unlike
/// ms_cancel_now this can be taken back, by another deadline.
/// @param[in] cancel the object.
/// @param[in] monotonic_deadline_ms milliseconds of CLOCK_MONOTONIC (std::chrono::steady_clock on Linux); 0 or less for none.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return MS_OK; MS_INVALID_ARGUMENT for NULL; MS_FORKED.
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
            borrow(cancel, "cancel")?.here()?.set_deadline(instant(monotonic_deadline_ms));
            Ok(())
        })
    }
}

/// Has a reader end with this object, as by ms_split_cancel; at once if it was cancelled already. Its deadline does not matter: readers have
/// their own, ms_split_set_deadline_ms. A stream that the reader becomes ends with it, too.
/// @param[in] cancel the object; when it is freed, the reader goes on.
/// @param[in] split the reader; may be added to several objects, and is forgotten when it is freed.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return MS_OK; MS_INVALID_ARGUMENT for NULL; MS_FORKED; MS_WRONG_STATE from inside a callback.
/// Thread: any, at any time, but not from inside a callback. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_cancel_add_split(
    cancel: *const ms_cancel,
    split: *const ms_split,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe { gate(err, || borrow(split, "split")?.split.end_with(borrow(cancel, "cancel")?.here()?)) }
}

/// Has a scan end with this object, as by ms_scan_cancel; else as ms_cancel_add_split.
/// @param[in] cancel the object; when it is freed, the scan goes on.
/// @param[in] scan the scan; may be added to several objects, and is forgotten when it is freed.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return MS_OK; MS_INVALID_ARGUMENT for NULL; MS_FORKED; MS_WRONG_STATE from inside a callback.
/// Thread: any, at any time, but not from inside a callback. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_cancel_add_scan(
    cancel: *const ms_cancel,
    scan: *const ms_scan,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe { gate(err, || borrow(scan, "scan")?.scan.end_with(borrow(cancel, "cancel")?.here()?)) }
}

/// Readies the object for ms_cancel_from_signal: takes two descriptors, and has a thread of the library listen to them. A second
/// call changes nothing.
/// @param[in] cancel the object.
/// @param[in] client any client: its threads listen, until the object is freed or ms_shutdown has ended them.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return MS_OK; MS_INVALID_ARGUMENT for NULL; MS_RESOURCE_EXHAUSTED if there is no descriptor left; MS_FORKED; MS_WRONG_STATE from inside a
/// callback, and for an object that was readied before ms_shutdown: its listener is gone, so make a new one.
/// Thread: any, at any time, but not from inside a callback. Blocking: while another thread makes the same call.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_cancel_arm(
    cancel: *const ms_cancel,
    client: *const ms_client,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        gate(err, || {
            let (cancel, client) = (borrow(cancel, "cancel")?, borrow(client, "client")?);
            let runtime = client.client.runtime();
            runtime.check()?;
            let orders = Arc::clone(cancel.here()?);
            cancel.bell.get_or_try_init(|| Bell::hang(runtime, move || orders.cancel()))?.check()
        })
    }
}

/// As ms_cancel_now, from inside a signal handler: takes no lock and no memory, and leaves errno alone. A thread of the library does the
/// rest, within the same 50 ms. Where functions are bound at their first call, call it once with NULL before the handler is installed.
/// @param[in] cancel an object that ms_cancel_arm has readied, else nothing happens; may be NULL. In a child made by fork nothing happens.
/// Thread: any, at any time, also from inside a callback or a signal handler. Blocking: no.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_cancel_from_signal(cancel: *const ms_cancel) {
    // Not through the gate, nor past the watch over handles: both take what a handler must not. Nothing here can panic.
    let bell = unsafe { cancel.as_ref() }.and_then(|cancel| cancel.bell.get());
    if let Some(bell) = bell {
        bell.ring(signals::send_byte);
    }
}

/// Frees the object. Calls that were given it go on; the deadline that was set last stays theirs.
/// @param[in] cancel may be NULL.
/// Thread: any, once, when no other call, and no signal handler, uses the handle. Blocking: no.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_cancel_free(cancel: *mut ms_cancel) {
    unsafe { free(cancel, ms_cancel::is_inherited) }
}
