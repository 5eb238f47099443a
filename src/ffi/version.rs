//! Facts about the library itself, and its end.

use std::ffi::{CStr, CString, c_char};
use std::sync::LazyLock;
use std::time::Duration;

use super::args::c_text;
use super::gate::{gate, live_handles, quiet};
use super::status::{MS_OK, MS_PENDING, ms_status};
use crate::error::{Error, Kind};
use crate::runtime;

/// Number of the ABI; the soname ends in it. It changes when an existing function, constant or rule does.
pub const MS_ABI_VERSION: i32 = 0;

/// A NUL-terminated literal as a C text.
fn literal(text: &'static str) -> *const c_char {
    CStr::from_bytes_with_nul(text.as_bytes()).unwrap_or_default().as_ptr()
}

/// The version of the library at run time.
/// @return static text such as "0.1.0"; compare with MS_VERSION, which is the header's.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[unsafe(no_mangle)]
pub extern "C" fn ms_version() -> *const c_char {
    literal(concat!(env!("CARGO_PKG_VERSION"), "\0"))
}

/// The ABI version of the library at run time.
/// @return MS_ABI_VERSION of the header the library was built with; a program must not go on if it differs from its own.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[unsafe(no_mangle)]
pub extern "C" fn ms_abi_version() -> i32 {
    MS_ABI_VERSION
}

/// How the library was built: version, target and profile, for bug reports.
/// @return static text.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[unsafe(no_mangle)]
pub extern "C" fn ms_build_info() -> *const c_char {
    static TEXT: LazyLock<CString> = LazyLock::new(|| {
        let (target, profile) = (env!("MAXSTORAGE_BUILD_TARGET"), env!("MAXSTORAGE_BUILD_PROFILE"));
        c_text(&format!("maxstorage {} abi {MS_ABI_VERSION} {target} {profile}", env!("CARGO_PKG_VERSION")))
    });
    quiet(c"".as_ptr(), || TEXT.as_ptr())
}

/// The name of a status constant.
/// @param[in] status any number.
/// @return static text such as "MS_NOT_FOUND"; "MS_UNKNOWN" for numbers that this version does not know.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[unsafe(no_mangle)]
pub extern "C" fn ms_status_name(status: ms_status) -> *const c_char {
    let known = Kind::ALL.iter().find(|kind| **kind as ms_status == status);
    match (status, known) {
        (MS_OK, _) => literal("MS_OK\0"),
        (MS_PENDING, _) => literal("MS_PENDING\0"),
        (_, Some(kind)) => literal(kind.constant_c()),
        (_, None) => literal("MS_UNKNOWN\0"),
    }
}

/// How many handles of all kinds the process holds: a leak check for tests of the host. Arrow structs are not counted.
/// @return the number.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[unsafe(no_mangle)]
pub extern "C" fn ms_live_handles() -> i64 {
    quiet(0, live_handles)
}

/// Ends the threads of the library. Needed only by hosts that must see them gone, for example before unloading a
/// plugin; a later ms_client_open starts them again. Batches that were handed out stay valid.
/// @param[in] timeout_ms how long to wait; 0 or more.
/// @return MS_OK when no thread of the library is left; MS_WRONG_STATE while clients, sessions or splits are open;
/// MS_TIMEOUT if a thread takes longer.
/// Thread: any but the library's own. Blocking: until the threads have ended, at most `timeout_ms`.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn ms_shutdown(timeout_ms: i64) -> ms_status {
    let body = || {
        let wrong = |_| Error::new(Kind::InvalidArgument, format!("timeout_ms is {timeout_ms}"));
        let timeout = u64::try_from(timeout_ms).map(Duration::from_millis).map_err(wrong)?;
        runtime::shutdown(timeout)
    };
    // SAFETY: NULL is allowed.
    unsafe { gate(std::ptr::null_mut(), body) }
}
