//! Bytes that the library made.

use std::ffi::c_void;

use super::args::peek;
use super::gate::{free, quiet};

/// A sequence of bytes owned by the library, for example a session token.
pub struct ms_bytes {
    bytes: Vec<u8>,
}

impl ms_bytes {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        ms_bytes { bytes }
    }
}

/// The first byte.
/// @param[in] bytes may be NULL.
/// @return memory owned by `bytes`, valid until it is freed; NULL for NULL. Not NUL-terminated.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_bytes_data(bytes: *const ms_bytes) -> *const c_void {
    let bytes = unsafe { peek(bytes) };
    quiet(std::ptr::null(), || bytes.map_or(std::ptr::null(), |bytes| bytes.bytes.as_ptr().cast()))
}

/// The number of bytes.
/// @param[in] bytes may be NULL.
/// @return the number; 0 for NULL.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_bytes_len(bytes: *const ms_bytes) -> usize {
    let bytes = unsafe { peek(bytes) };
    quiet(0, || bytes.map_or(0, |bytes| bytes.bytes.len()))
}

/// Frees bytes.
/// @param[in] bytes may be NULL.
/// Thread: any, once, when no other call uses the handle. Blocking: no.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_bytes_free(bytes: *mut ms_bytes) {
    unsafe { free(bytes, |_| false) }
}
