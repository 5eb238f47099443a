//! The one entry of every call from C, and the one place where panics are caught.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::Poll;

use super::error::ms_error;
use super::live;
use super::status::{MS_OK, MS_PENDING, ms_status};
use crate::error::{Error, Result};
use crate::runtime;

/// Handles that were given to the host and not freed yet.
static LIVE: AtomicI64 = AtomicI64::new(0);
static PREPARED: Once = Once::new();

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Runs the body of a function that reports failures through a status and an error object.
///
/// # Safety
/// `err` is NULL or points to writable memory for one pointer.
pub(super) unsafe fn gate(err: *mut *mut ms_error, body: impl FnOnce() -> Result<()>) -> ms_status {
    // SAFETY: by the contract of this function.
    unsafe { gate_poll(err, || body().map(Poll::Ready)) }
}

/// As [`gate`], for a body that may find nothing ready, which is `MS_PENDING`.
///
/// # Safety
/// As for [`gate`].
pub(super) unsafe fn gate_poll(err: *mut *mut ms_error, body: impl FnOnce() -> Result<Poll<()>>) -> ms_status {
    if !err.is_null() {
        // SAFETY: not NULL, and writable by the contract of this function.
        unsafe { err.write(std::ptr::null_mut()) };
    }
    let error = match fence(body).unwrap_or_else(Err) {
        Ok(Poll::Ready(())) => return MS_OK,
        Ok(Poll::Pending) => return MS_PENDING,
        Err(error) => error,
    };
    let status = error.kind() as ms_status;
    if !err.is_null() {
        // SAFETY: as above.
        unsafe { err.write(new_handle(ms_error::new(&error))) };
    }
    status
}

/// Runs the body of a function that cannot report failures; a panic yields `fallback`.
pub(super) fn quiet<T>(fallback: T, body: impl FnOnce() -> T) -> T {
    fence(body).unwrap_or(fallback)
}

/// Runs `body`; a panic becomes an error.
pub(super) fn fence<T>(body: impl FnOnce() -> T) -> Result<T> {
    PREPARED.call_once(prepare);
    let before = INSIDE.replace(true);
    let result = catch_unwind(AssertUnwindSafe(body));
    INSIDE.set(before);
    result.map_err(|payload| Error::from_panic(payload.as_ref()))
}

/// Done once, at the first call into the library: panics of ours go to the log instead of the host's stderr, and
/// our threads leave the host's signals alone.
fn prepare() {
    runtime::set_thread_hook(super::signals::block);
    super::trust_checked_byte_arrays();
    super::wake_sockets_late();
    let others = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if INSIDE.get() || runtime::check_thread().is_err() {
            ::log::error!("panic: {info}");
        } else {
            others(info);
        }
    }));
}

/// A handle's memory, given to the host.
pub(super) fn new_handle<T>(value: T) -> *mut T {
    LIVE.fetch_add(1, Ordering::Relaxed);
    let handle = Box::into_raw(Box::new(value));
    live::born(handle);
    handle
}

/// Takes a handle back from the host; `None` for NULL.
///
/// # Safety
/// `handle` is NULL or came from [`new_handle`], and the host does not use it any more.
pub(super) unsafe fn take_handle<T>(handle: *mut T) -> Option<Box<T>> {
    if handle.is_null() {
        return None;
    }
    // SAFETY: by the contract of this function.
    let content = unsafe { live::retire(handle) };
    LIVE.fetch_sub(1, Ordering::Relaxed);
    Some(content)
}

/// Frees a handle. One that was inherited through a fork is forgotten instead: its parts belong to threads that do
/// not exist here.
///
/// # Safety
/// As for [`take_handle`].
pub(super) unsafe fn free<T>(handle: *mut T, is_inherited: impl FnOnce(&T) -> bool) {
    quiet((), || {
        // SAFETY: by the contract of this function.
        if let Some(handle) = unsafe { take_handle(handle) }.filter(|handle| is_inherited(handle)) {
            std::mem::forget(handle);
        }
    });
}

pub(super) fn live_handles() -> i64 {
    LIVE.load(Ordering::Relaxed)
}
