//! The error object.

use std::ffi::{CString, c_char};

use super::args::{c_text, peek};
use super::gate::{free, quiet};
use super::status::{MS_OK, ms_status};
use crate::error::{Attempt, Error};

/// A failure: a status for programs, a sentence for people, the request id for support.
pub struct ms_error {
    status: ms_status,
    is_retryable: bool,
    http_status: i32,
    attempts: i32,
    message: CString,
    server_code: CString,
    request_id: CString,
    json: CString,
}

impl ms_error {
    pub(super) fn new(error: &Error) -> Self {
        let server = error.server();
        let json = serde_json::json!({
            "code": error.kind() as ms_status,
            "name": error.kind().constant(),
            "message": error.message(),
            "retryable": error.kind().is_retryable(),
            "server_code": server.code,
            "request_id": server.request_id,
            "http_status": server.http_status,
            "attempts": error.attempts(),
            "trace_parent": error.trace_parent(),
            "earlier_attempts": error.earlier().iter().map(earlier).collect::<Vec<_>>(),
        });
        ms_error {
            status: error.kind() as ms_status,
            is_retryable: error.kind().is_retryable(),
            http_status: i32::from(server.http_status),
            attempts: i32::try_from(error.attempts()).unwrap_or(i32::MAX),
            message: c_text(error.message()),
            server_code: c_text(&server.code),
            request_id: c_text(&server.request_id),
            json: c_text(&json.to_string()),
        }
    }
}

fn earlier(attempt: &Attempt) -> serde_json::Value {
    let (error, server) = (&attempt.error, attempt.error.server());
    serde_json::json!({
        "attempt": attempt.number,
        "after_ms": u64::try_from(attempt.after.as_millis()).unwrap_or(u64::MAX),
        "name": error.kind().constant(),
        "message": error.message(),
        "server_code": server.code,
        "request_id": server.request_id,
        "http_status": server.http_status,
    })
}

/// Reads a field of an error that may be NULL.
///
/// # Safety
/// `error` is NULL or a live handle.
unsafe fn read<T>(error: *const ms_error, none: T, field: impl FnOnce(&ms_error) -> T) -> T {
    // SAFETY: by the contract of this function.
    let error = unsafe { peek(error) };
    match error {
        Some(error) => quiet(none, || field(error)),
        None => none,
    }
}

/// The status of a failure.
/// @param[in] error may be NULL.
/// @return the status of the call that made the error; MS_OK for NULL.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_error_code(error: *const ms_error) -> ms_status {
    unsafe { read(error, MS_OK, |error| error.status) }
}

/// One sentence that says what went wrong and what to do about it. Never contains credentials; not made for parsing.
/// @param[in] error may be NULL.
/// @return text owned by `error`, valid until it is freed; "" for NULL.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_error_message(error: *const ms_error) -> *const c_char {
    unsafe { read(error, c"".as_ptr(), |error| error.message.as_ptr()) }
}

/// Whether trying again at a higher level makes sense.
/// @param[in] error may be NULL.
/// @return true for the temporary statuses (400 to 499); false for NULL.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_error_is_retryable(error: *const ms_error) -> bool {
    unsafe { read(error, false, |error| error.is_retryable) }
}

/// The code the service gave, for example "NoSuchTable".
/// @param[in] error may be NULL.
/// @return text owned by `error`, valid until it is freed; "" if the service gave none, and for NULL.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_error_server_code(error: *const ms_error) -> *const c_char {
    unsafe { read(error, c"".as_ptr(), |error| error.server_code.as_ptr()) }
}

/// The request id of the answer in which the failure showed: give it to the service's support.
/// @param[in] error may be NULL.
/// @return text owned by `error`, valid until it is freed; "" if no answer arrived, and for NULL.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_error_request_id(error: *const ms_error) -> *const c_char {
    unsafe { read(error, c"".as_ptr(), |error| error.request_id.as_ptr()) }
}

/// The HTTP status of the refusal.
/// @param[in] error may be NULL.
/// @return the status; 0 if the failure is not a refusal of the service, and for NULL.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_error_http_status(error: *const ms_error) -> i32 {
    unsafe { read(error, 0, |error| error.http_status) }
}

/// How many requests were made before giving up.
/// @param[in] error may be NULL.
/// @return the number; 0 if the failure came before the first request, and for NULL.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_error_attempts(error: *const ms_error) -> i32 {
    unsafe { read(error, 0, |error| error.attempts) }
}

/// Everything about the failure as one JSON object, for logs. Keys: code, name, message, retryable, server_code,
/// request_id, http_status, attempts, trace_parent (of the option trace.parent; "" for none),
/// earlier_attempts: how those before the last one failed, at most eight of them, oldest first, each with attempt, after_ms (since the first
/// one began), name, message, server_code, request_id, http_status.
/// @param[in] error may be NULL.
/// @return text owned by `error`, valid until it is freed; "" for NULL.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_error_json(error: *const ms_error) -> *const c_char {
    unsafe { read(error, c"".as_ptr(), |error| error.json.as_ptr()) }
}

/// Frees an error and the texts borrowed from it.
/// @param[in] error may be NULL.
/// Thread: any, once, when no other call uses the handle. Blocking: no.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_error_free(error: *mut ms_error) {
    unsafe { free(error, |_| false) }
}
