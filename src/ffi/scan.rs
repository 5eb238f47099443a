//! Scans: all splits of a session at once.

use std::ffi::{c_int, c_void};
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use arrow_array::RecordBatch;
use arrow_data::ffi::FFI_ArrowArray;
use arrow_schema::SchemaRef;
use arrow_schema::ffi::FFI_ArrowSchema;

use super::args::{Out, borrow, not_negative, peek};
use super::arrow::{ArrowArrayStream, BatchSource, export_batch, export_schema, export_source};
use super::deadline::instant;
use super::error::ms_error;
use super::gate::{free, gate, gate_poll, quiet, take_handle};
use super::metrics::ms_metrics;
use super::options::ms_options;
use super::predicate::ms_predicate;
use super::session::ms_session;
use super::split::{ms_wake_callback, wake_callback};
use super::status::ms_status;
use crate::error::Result;
use crate::scan::Scan;

/// An open scan over all splits of a session. Any number of threads may pull batches from it.
pub struct ms_scan {
    pub(super) scan: Scan,
}

/// Opens a scan and starts to fetch in the background, with scan.concurrency requests at a time, each resumed by itself where its
/// connection breaks. A request that finds no split any more takes over half of the slowest range of rows. Returns at once: a failure of the network or of the service is reported with the batches.
/// Of a session that is still being planned (plan.wait=first) it reads the splits that are known and takes up the others as they become known;
/// a failure of planning is one of the scan, behind all rows of the splits that are known. The planning goes on until the scan is over or freed, also
/// if the session is freed before.
/// @param[in] session keeps living as long as the scan does, also if it is freed.
/// @param[in] read read options; copied; may be NULL, which stands for all defaults. Its columns and partition_columns choose among
/// those of the session; the options that the session was opened with choose them all.
/// @param[out] out_scan receives the scan, to be freed with ms_scan_free; NULL on failure.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return MS_OK; MS_INVALID_ARGUMENT for NULL; MS_INVALID_OPTION if read.start_row or read.row_count is set, and for a column that the
/// session does not read; MS_FORKED; MS_WRONG_STATE from inside a callback, and for a session that was attached from the token of
/// a split.
/// Thread: any, at any time, but not from inside a callback. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_scan_open(
    session: *const ms_session,
    read: *const ms_options,
    out_scan: *mut *mut ms_scan,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        gate(err, || {
            let out = Out::handle(out_scan, "out_scan")?;
            let session = borrow(session, "session")?;
            let read = peek(read).map(ms_options::read).unwrap_or_default();
            out.give(ms_scan { scan: Scan::open(&session.session, &read)? });
            Ok(())
        })
    }
}

/// Takes the next batch of any split. Its buffers belong to the caller and may outlive everything else of the library. Each batch
/// goes to one of the threads that wait; when the data ends, every thread gets the end.
/// @param[in] scan the scan.
/// @param[out] out_array receives a struct array of at least one row, to be released by the caller from any thread; at the
/// end of the data, and on failure, its release is NULL.
/// @param[out] out_split may be NULL; receives the number of the split that the batch belongs to; -1 without a batch. With the option
/// scan.ordered the numbers never go down and rows keep their order, as long as one thread takes the batches. Without it, rows of one
/// split keep theirs only in sessions whose splits the service made: several requests share the rows of a split of split.mode=row_offset.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return as ms_split_next_batch, but never MS_BUSY. The failure of one split is the failure of the scan, and stays.
/// Thread: any, at any time, several at once, but not from inside a callback. Blocking: until a batch is there.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_scan_next_batch(
    scan: *const ms_scan,
    out_array: *mut FFI_ArrowArray,
    out_split: *mut i64,
    err: *mut *mut ms_error,
) -> ms_status {
    // SAFETY: the contract of this function.
    unsafe { next_batch(scan, None, out_array, out_split, err) }
}

/// As ms_scan_next_batch, with a time until which this call waits. A wait that ends so fails with MS_DEADLINE_EXCEEDED; the scan goes
/// on, and a later call may succeed. A batch that is there is given whatever the time.
/// @param[in] scan the scan.
/// @param[in] monotonic_deadline_ms milliseconds of CLOCK_MONOTONIC (std::chrono::steady_clock on Linux); 0 or less for none.
/// @param[out] out_array as for ms_scan_next_batch.
/// @param[out] out_split as for ms_scan_next_batch.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return as ms_scan_next_batch; MS_DEADLINE_EXCEEDED.
/// Thread: any, at any time, several at once, but not from inside a callback. Blocking: until a batch is there, or the time has come.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_scan_next_batch_until(
    scan: *const ms_scan,
    monotonic_deadline_ms: i64,
    out_array: *mut FFI_ArrowArray,
    out_split: *mut i64,
    err: *mut *mut ms_error,
) -> ms_status {
    // SAFETY: the contract of this function.
    unsafe { next_batch(scan, instant(monotonic_deadline_ms), out_array, out_split, err) }
}

/// # Safety
/// As for ms_scan_next_batch.
unsafe fn next_batch(
    scan: *const ms_scan,
    deadline: Option<Instant>,
    out_array: *mut FFI_ArrowArray,
    out_split: *mut i64,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        gate(err, || {
            let out = OutBatch::claim(out_array, out_split)?;
            out.fill(borrow(scan, "scan")?.scan.next_batch_until(deadline)?);
            Ok(())
        })
    }
}

/// Where a batch and the number of its split go.
struct OutBatch {
    array: Out<FFI_ArrowArray>,
    /// The caller may do without.
    split: Option<Out<i64>>,
}

impl OutBatch {
    /// Claims both outputs: no batch, and -1.
    ///
    /// # Safety
    /// Both are NULL or point to writable memory.
    unsafe fn claim(array: *mut FFI_ArrowArray, split: *mut i64) -> Result<Self> {
        unsafe {
            let split = if split.is_null() { None } else { Some(Out::claim(split, -1, "out_split")?) };
            Ok(OutBatch { array: Out::claim(array, FFI_ArrowArray::empty(), "out_array")?, split })
        }
    }

    /// Hands out what was taken; at the end of the data both stay as they are.
    fn fill(self, taken: Option<(i64, RecordBatch)>) {
        let Some((number, batch)) = taken else { return };
        if let Some(split) = self.split {
            split.fill(number);
        }
        self.array.fill(export_batch(batch));
    }
}

/// Takes the next batch if there is one now: ms_scan_next_batch for threads that must not block.
/// @param[in] scan the scan.
/// @param[out] out_array as for ms_scan_next_batch; its release is NULL also while nothing is ready.
/// @param[out] out_split as for ms_scan_next_batch.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return MS_PENDING while nothing is ready; else as ms_scan_next_batch.
/// Thread: any, at any time, several at once, but not from inside a callback. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_scan_try_next_batch(
    scan: *const ms_scan,
    out_array: *mut FFI_ArrowArray,
    out_split: *mut i64,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        gate_poll(err, || {
            let out = OutBatch::claim(out_array, out_split)?;
            Ok(match borrow(scan, "scan")?.scan.try_next_batch() {
                Poll::Pending => Poll::Pending,
                Poll::Ready(taken) => {
                    out.fill(taken?);
                    Poll::Ready(())
                }
            })
        })
    }
}

/// Registers the callback of a scan in place of the former one. It is called whenever ms_scan_try_next_batch, after it was pending,
/// would have an answer again: a batch, the end or a failure. One call may stand for several batches: take until it is pending. Register it
/// before the first try. Calls come from a thread of the library, or from a thread that cancels the scan or registers a callback, never two
/// at once. When this call, or ms_scan_free, returns, the former callback is not running and will not be called again.
/// @param[in] scan the scan.
/// @param[in] wake is called; NULL unregisters.
/// @param[in] context handed to each call; must outlive the registration; may be NULL.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return MS_OK; MS_INVALID_ARGUMENT for NULL; MS_FORKED; MS_WRONG_STATE from inside a callback.
/// Thread: any, but not from inside a callback. Blocking: until a call of the former callback has returned.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_scan_set_waker(
    scan: *const ms_scan,
    wake: ms_wake_callback,
    context: *mut c_void,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe { gate(err, || borrow(scan, "scan")?.scan.set_waker(wake_callback(wake, context))) }
}

/// A file descriptor for poll, epoll or select: readable while ms_scan_try_next_batch would not be pending. While more is at hand it becomes
/// so for several batches at once, which may be some hundred microseconds after the first. Only wait for it: do not read from it and do not
/// close it. It belongs to the scan and is closed by ms_scan_free.
/// @param[in] scan may be NULL.
/// @return the descriptor, always the same one; -1 for NULL, in a child made by fork, from inside a callback, or if the process has no
/// descriptor left.
/// Thread: any, at any time, but not from inside a callback. Blocking: no.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_scan_ready_fd(scan: *const ms_scan) -> c_int {
    let scan = unsafe { peek(scan) };
    quiet(-1, || scan.and_then(|scan| scan.scan.descriptor().ok()).unwrap_or(-1))
}

/// How large the next batches of an open scan are at most, for an engine that knows only now what it has room for. It holds for the calls of
/// ms_scan_next_batch, ms_scan_next_batch_until and ms_scan_try_next_batch that begin afterwards, and for batches that were fetched already: a larger one is
/// cut where it lies, without a copy, and its rest is the next batch. It holds for all threads. Batches stay within read.batch_rows and read.batch_bytes, which
/// bound what is fetched: larger limits than these change nothing, and small batches are not joined. No batch is ever empty.
/// @param[in] scan the scan.
/// @param[in] max_rows rows; 0 for read.batch_rows.
/// @param[in] max_bytes uncompressed bytes, as for read.batch_bytes; 0 for read.batch_bytes. A single row may have more.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return MS_OK; MS_INVALID_ARGUMENT for NULL and for numbers below 0, which change nothing.
/// Thread: any, at any time; a call that waits already keeps its limits. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_scan_set_batch_limits(
    scan: *const ms_scan,
    max_rows: i64,
    max_bytes: i64,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        gate(err, || {
            let scan = borrow(scan, "scan")?;
            scan.scan.set_batch_limits(not_negative(max_rows, "max_rows")?, not_negative(max_bytes, "max_bytes")?);
            Ok(())
        })
    }
}

/// The schema of every batch: that of ms_session_schema, or its part that the read options columns and partition_columns name.
/// @param[in] scan the scan.
/// @param[out] out_schema receives a schema of type struct, to be released by the caller; released on failure.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return MS_OK; MS_INVALID_ARGUMENT for NULL.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_scan_schema(
    scan: *const ms_scan,
    out_schema: *mut FFI_ArrowSchema,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        gate(err, || {
            let out = Out::claim(out_schema, FFI_ArrowSchema::empty(), "out_schema")?;
            out.fill(export_schema(borrow(scan, "scan")?.scan.schema())?);
            Ok(())
        })
    }
}

/// Adds a filter to a scan that is open, for example one that a join has found: from now on only rows for which it is true are handed
/// out. The library evaluates it, exactly, also on batches that were fetched already. Filters add up and stay. The protocol cannot
/// take it for splits that are not read yet; those whose partition it rules out by the keys are not requested any more.
/// @param[in] scan the scan.
/// @param[in] filter about columns that are delivered, in the types of the table whatever form types.decimal and types.string_view
///     give them; not kept: the caller may free it at once.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return as ms_split_add_filter.
/// Thread: any, at any time; a call that takes a batch meanwhile may miss it. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_scan_add_filter(
    scan: *const ms_scan,
    filter: *const ms_predicate,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe { gate(err, || borrow(scan, "scan")?.scan.add_filter(&borrow(filter, "filter")?.predicate)) }
}

/// Turns a scan into an Arrow stream, with the batches that were not taken yet. Releasing the stream ends the scan. Its get_next
/// returns ECANCELED, ETIMEDOUT, ENOMEM, EINVAL or EIO; its get_last_error has the message with the request id.
/// @param[in] scan consumed, on success and on failure alike: do not use or free it afterwards.
/// @param[out] out_stream receives the stream, to be released by the caller; released on failure.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return MS_OK; MS_INVALID_ARGUMENT for NULL; MS_FORKED.
/// Thread: any, once, when no other call uses the handle. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_scan_export_stream(
    scan: *mut ms_scan,
    out_stream: *mut ArrowArrayStream,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        gate(err, || {
            let out = Out::claim(out_stream, ArrowArrayStream::released(), "out_stream");
            borrow(scan, "scan")?;
            let Some(scan) = take_handle(scan) else { return Ok(()) };
            if scan.scan.is_inherited() {
                return std::mem::ManuallyDrop::new(scan).scan.check();
            }
            out?.fill(export_source(scan));
            Ok(())
        })
    }
}

impl BatchSource for ms_scan {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.scan.schema())
    }

    fn next_array(&mut self) -> Result<Option<FFI_ArrowArray>> {
        Ok(self.scan.next_batch()?.map(|(_, batch)| export_batch(batch)))
    }

    fn is_inherited(&self) -> bool {
        self.scan.is_inherited()
    }
}

/// How much of the scan was read from the service: by rows in a session by row numbers, else by splits that were read to their end. While
/// the session is still being planned (plan.wait=first) an estimate, which takes what is not planned to be like what is, and may go back.
/// @param[in] scan may be NULL.
/// @return from 0 to 1; -1 for NULL.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_scan_progress(scan: *const ms_scan) -> f64 {
    let scan = unsafe { peek(scan) };
    quiet(-1.0, || scan.map_or(-1.0, |scan| scan.scan.progress()))
}

/// Whether all requests of the scan are out: of every split, each piece that is read by a request of its own was asked for, and none waits
/// for one of the scan.concurrency requests or for a slot of the client. Then an engine that fetches ahead opens its next read now. What was
/// asked for stays so: neither a request that goes on after a break nor one that takes over rows of a slow one counts again. Only where the
/// host refuses memory to a scan with scan.ordered, pieces that were read ahead are dropped and asked for a second time. False while the
/// session is still being planned (plan.wait=first). True also after the end, a failure or a cancel, when nothing will be asked for any more.
/// @param[in] scan may be NULL.
/// @return whether they are; false for NULL.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_scan_all_requested(scan: *const ms_scan) -> bool {
    let scan = unsafe { peek(scan) };
    quiet(false, || scan.is_some_and(|scan| scan.scan.all_requested()))
}

/// What the scan has cost so far, over all its splits.
/// @param[in] scan the scan.
/// @param[out] out_metrics receives the figures, to be freed with ms_metrics_free; NULL on failure.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return MS_OK; MS_INVALID_ARGUMENT for NULL.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_scan_metrics(
    scan: *const ms_scan,
    out_metrics: *mut *mut ms_metrics,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        gate(err, || {
            let out = Out::handle(out_metrics, "out_metrics")?;
            out.give(ms_metrics::new(&borrow(scan, "scan")?.scan.metrics()));
            Ok(())
        })
    }
}

/// Ends the scan for good. Every blocked ms_scan_next_batch wakes at once, and every later one returns MS_CANCELLED. Does not touch
/// any other handle.
/// @param[in] scan may be NULL.
/// Thread: any, at any time, also from inside a callback. Blocking: no.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_scan_cancel(scan: *const ms_scan) {
    let scan = unsafe { peek(scan) };
    quiet((), || {
        if let Some(scan) = scan {
            scan.scan.cancel();
        }
    });
}

/// Ends the scan and frees it. Batches that were taken stay valid.
/// @param[in] scan may be NULL.
/// Thread: any, once, when no other call uses the handle. Blocking: until a running wake callback has returned; so do not hold a lock
/// that the callback takes.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_scan_free(scan: *mut ms_scan) {
    unsafe { free(scan, |scan| scan.scan.is_inherited()) }
}
