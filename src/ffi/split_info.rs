//! What is known about a split before it is read.

use std::ffi::{CString, c_char};

use super::args::{Out, borrow, c_text, peek};
use super::error::ms_error;
use super::gate::{free, gate, quiet};
use super::session::ms_session;
use super::status::ms_status;
use crate::session::SplitInfo;

/// Facts and estimates about one split of a session.
pub struct ms_split_info {
    info: SplitInfo,
    partition: CString,
}

/// Tells what is known about a split before it is read, for whoever distributes splits over workers.
/// @param[in] session the session.
/// @param[in] index 0 to ms_session_split_count - 1.
/// @param[out] out_info receives the facts, to be freed with ms_split_info_free; NULL on failure.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return MS_OK; MS_INVALID_ARGUMENT for NULL and for another index, also one that is not known yet (plan.wait=first).
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_session_split_info(
    session: *const ms_session,
    index: i64,
    out_info: *mut *mut ms_split_info,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        gate(err, || {
            let out = Out::handle(out_info, "out_info")?;
            let info = borrow(session, "session")?.session.split_info(index)?;
            let partition = c_text(info.partition.as_deref().unwrap_or_default());
            out.give(ms_split_info { info, partition });
            Ok(())
        })
    }
}

/// Reads a fact that may be unknown.
///
/// # Safety
/// `info` is NULL or a live handle.
unsafe fn number(info: *const ms_split_info, of: impl FnOnce(&SplitInfo) -> Option<i64>) -> i64 {
    // SAFETY: by the contract of this function.
    let info = unsafe { peek(info) };
    quiet(-1, || info.and_then(|info| of(&info.info)).unwrap_or(-1))
}

/// Rows of the split before any filter.
/// @param[in] info may be NULL.
/// @return rows, exact in split mode row_offset; -1 if unknown, and for NULL.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_split_info_rows(info: *const ms_split_info) -> i64 {
    unsafe { number(info, |info| info.rows) }
}

/// The number of the first row of the split, counted over its session at the service.
/// @param[in] info may be NULL.
/// @return the number in split mode row_offset; -1 in the others, and for NULL.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_split_info_start_row(info: *const ms_split_info) -> i64 {
    unsafe { number(info, |info| info.start_row) }
}

/// The split's share of ms_session_estimated_bytes, by its weight.
/// @param[in] info may be NULL.
/// @return bytes; -1 if the session has no estimate, and for NULL.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_split_info_estimated_bytes(info: *const ms_split_info) -> i64 {
    unsafe { number(info, |info| info.estimated_bytes) }
}

/// The partition that all rows of the split are in, as the option partitions names it.
/// @param[in] info may be NULL.
/// @return text owned by `info`, valid until it is freed; "" if the split may have rows of several partitions, and for NULL.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_split_info_partition(info: *const ms_split_info) -> *const c_char {
    let info = unsafe { peek(info) };
    quiet(c"".as_ptr(), || info.map_or(c"".as_ptr(), |info| info.partition.as_ptr()))
}

/// The bucket that all rows of the split are in.
/// @param[in] info may be NULL.
/// @return the number in split mode bucket; -1 in the others, and for NULL.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_split_info_bucket(info: *const ms_split_info) -> i64 {
    unsafe { number(info, |info| info.bucket) }
}

/// The split's share of the work of the session: by rows where they are known, else the same for every split. While the session is still being
/// planned it is the share of the splits that were known when ms_session_split_info was called.
/// @param[in] info may be NULL.
/// @return from 0 to 1; -1 for NULL.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_split_info_weight(info: *const ms_split_info) -> f64 {
    let info = unsafe { peek(info) };
    quiet(-1.0, || info.map_or(-1.0, |info| info.info.weight))
}

/// Frees what is known about a split, and the text borrowed from it.
/// @param[in] info may be NULL.
/// Thread: any, once, when no other call uses the handle. Blocking: no.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_split_info_free(info: *mut ms_split_info) {
    unsafe { free(info, |_| false) }
}
