//! Splits: the hot path.

use std::ffi::{c_int, c_void};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use arrow_data::ffi::FFI_ArrowArray;
use arrow_schema::SchemaRef;
use arrow_schema::ffi::FFI_ArrowSchema;

use super::args::{Context, Out, borrow, not_negative, peek, take_turn};
use super::arrow::{ArrowArrayStream, BatchSource, export_batch, export_schema, export_source};
use super::callbacks::call_host;
use super::deadline::instant;
use super::error::ms_error;
use super::gate::{free, gate, gate_poll, quiet, take_handle};
use super::metrics::ms_metrics;
use super::options::ms_options;
use super::predicate::ms_predicate;
use super::session::ms_session;
use super::status::ms_status;
use crate::error::{Kind, Result};
use crate::runtime::Callback;
use crate::split::Split;

/// An open reader over one split of a session. One thread at a time pulls batches from it.
pub struct ms_split {
    pub(super) split: Split,
    /// Held during a call that only one thread may make; a panic under it makes the handle unusable.
    turn: Mutex<()>,
}

impl ms_split {
    /// The export is part of the turn: if it panicked, a batch would be lost, so the handle is then unusable.
    fn next_array(&self) -> Result<Option<FFI_ArrowArray>> {
        let _turn = take_turn(&self.turn, "split")?;
        Ok(self.split.next_batch()?.map(export_batch))
    }
}

/// Opens a reader and starts to fetch in the background. Returns at once: a failure of the network or of the service is
/// reported with the batches.
/// @param[in] session keeps living as long as the split does, also if it is freed.
/// @param[in] index 0 to ms_session_split_count - 1; a split may be read many times and by several readers.
/// @param[in] read read options; copied; may be NULL, which stands for all defaults. Its columns and partition_columns choose among
/// those of the session; the options that the session was opened with choose them all.
/// @param[out] out_split receives the reader, to be freed with ms_split_free; NULL on failure.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return MS_OK; MS_INVALID_ARGUMENT if there is no such split; MS_INVALID_OPTION for a column that the session does not read; MS_FORKED; MS_WRONG_STATE from inside a callback.
/// Thread: any, at any time, but not from inside a callback. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_split_open(
    session: *const ms_session,
    index: i64,
    read: *const ms_options,
    out_split: *mut *mut ms_split,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        gate(err, || {
            let out = Out::handle(out_split, "out_split")?;
            let session = borrow(session, "session")?;
            let read = peek(read).map(ms_options::read).unwrap_or_default();
            out.give(ms_split { split: Split::open(&session.session, index, &read)?, turn: Mutex::new(()) });
            Ok(())
        })
    }
}

/// Takes the next batch. Its buffers belong to the caller and may outlive everything else of the library.
/// @param[in] split the reader.
/// @param[out] out_array receives a struct array of at least one row, to be released by the caller from any thread; at the
/// end of the data, and on failure, its release is NULL.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return MS_OK for a batch and for the end; MS_CANCELLED after ms_split_cancel; MS_BUSY; MS_CORRUPT_DATA if the stream is
/// malformed or ends before its end marker; MS_SCHEMA_MISMATCH; MS_SESSION_EXPIRED; identity statuses; a temporary status
/// after the retries. A failure stays: every later call returns it again.
/// Thread: one call at a time. Blocking: until a batch is there. Until the answer begins each attempt of the retry options may take
/// connect_timeout_ms + read_idle_timeout_ms; after that the longest silence is read_idle_timeout_ms.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_split_next_batch(
    split: *mut ms_split,
    out_array: *mut FFI_ArrowArray,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        gate(err, || {
            let out = Out::claim(out_array, FFI_ArrowArray::empty(), "out_array")?;
            if let Some(array) = borrow(split, "split")?.next_array()? {
                out.fill(array);
            }
            Ok(())
        })
    }
}

/// Takes the next batch if there is one now: ms_split_next_batch for a thread that must not block.
/// @param[in] split the reader.
/// @param[out] out_array as for ms_split_next_batch; its release is NULL also while nothing is ready.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return MS_PENDING while nothing is ready; else as ms_split_next_batch, except that deadlines do not matter here.
/// Thread: one call at a time. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_split_try_next_batch(
    split: *mut ms_split,
    out_array: *mut FFI_ArrowArray,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        gate_poll(err, || {
            let out = Out::claim(out_array, FFI_ArrowArray::empty(), "out_array")?;
            let split = borrow(split, "split")?;
            let _turn = take_turn(&split.turn, "split")?;
            Ok(match split.split.try_next_batch() {
                Poll::Pending => Poll::Pending,
                Poll::Ready(batch) => {
                    if let Some(batch) = batch? {
                        out.fill(export_batch(batch));
                    }
                    Poll::Ready(())
                }
            })
        })
    }
}

/// Called when a split or a scan becomes ready. It must return soon, must not throw, and must not call the library, except for
/// ms_split_cancel, ms_scan_cancel and ms_cancel_now.
pub type ms_wake_callback = Option<unsafe extern "C" fn(context: *mut c_void)>;

/// Registers the callback of a split in place of the former one. It is called whenever ms_split_try_next_batch, after it was
/// pending, would have an answer again: a batch, the end or a failure. Register it before the first try. Calls come from a thread of
/// the library, or from a thread that cancels the split or registers a callback, never two at once. When this call, or ms_split_free, returns, the
/// former callback is not running and will not be called again.
/// @param[in] split the reader.
/// @param[in] wake is called; NULL unregisters.
/// @param[in] context handed to each call; must outlive the registration; may be NULL.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return MS_OK; MS_INVALID_ARGUMENT for NULL; MS_FORKED; MS_WRONG_STATE from inside a callback.
/// Thread: any, but not from inside a callback. Blocking: until a call of the former callback has returned.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_split_set_waker(
    split: *mut ms_split,
    wake: ms_wake_callback,
    context: *mut c_void,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe { gate(err, || borrow(split, "split")?.split.set_waker(wake_callback(wake, context))) }
}

/// The host's callback with its context.
pub(super) fn wake_callback(wake: ms_wake_callback, context: *mut c_void) -> Option<Callback> {
    let context = Context(context);
    wake.map(|wake| -> Callback {
        Box::new(move || {
            let context = context;
            // SAFETY: the host promises that its callback can be called with its context from any thread until it is replaced
            // or what it was registered for is freed.
            call_host("a wake callback", || unsafe { wake(context.0) });
        })
    })
}

/// A file descriptor for poll, epoll or select: readable while ms_split_try_next_batch would not be pending. While more is at hand it becomes
/// so for several batches at once, which may be some hundred microseconds after the first. Only wait for it: do not read from it and do not
/// close it. It belongs to the split and is closed by ms_split_free.
/// @param[in] split may be NULL.
/// @return the descriptor, always the same one; -1 for NULL, in a child made by fork, from inside a callback, or if the process has no
/// descriptor left.
/// Thread: any, at any time, but not from inside a callback. Blocking: no.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_split_ready_fd(split: *const ms_split) -> c_int {
    let split = unsafe { peek(split) };
    quiet(-1, || split.and_then(|split| split.split.descriptor().ok()).unwrap_or(-1))
}

/// Until when ms_split_next_batch, and the stream made of this split, wait for a batch. A wait that ends so fails with
/// MS_DEADLINE_EXCEEDED; the read goes on, and a later call may succeed. A batch that is there is given whatever the time.
/// @param[in] split the reader.
/// @param[in] monotonic_deadline_ms milliseconds of CLOCK_MONOTONIC (std::chrono::steady_clock on Linux); 0 or less for none.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return MS_OK; MS_INVALID_ARGUMENT for NULL.
/// Thread: any, at any time; a call that waits already keeps its deadline. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_split_set_deadline_ms(
    split: *mut ms_split,
    monotonic_deadline_ms: i64,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        gate(err, || {
            borrow(split, "split")?.split.set_deadline(instant(monotonic_deadline_ms));
            Ok(())
        })
    }
}

/// How large the next batches of an open split are at most, for an engine that knows only now what it has room for. It holds for the calls of
/// ms_split_next_batch and ms_split_try_next_batch that begin afterwards, and for batches that were fetched already: a larger one is
/// cut where it lies, without a copy, and its rest is the next batch. Batches stay within read.batch_rows and read.batch_bytes, which
/// bound what is fetched: larger limits than these change nothing, and small batches are not joined. No batch is ever empty.
/// @param[in] split the reader.
/// @param[in] max_rows rows; 0 for read.batch_rows.
/// @param[in] max_bytes uncompressed bytes, as for read.batch_bytes; 0 for read.batch_bytes. A single row may have more.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return MS_OK; MS_INVALID_ARGUMENT for NULL and for numbers below 0, which change nothing.
/// Thread: any, at any time; a call that waits already keeps its limits. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_split_set_batch_limits(
    split: *mut ms_split,
    max_rows: i64,
    max_bytes: i64,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        gate(err, || {
            let split = borrow(split, "split")?;
            split.split.set_batch_limits(not_negative(max_rows, "max_rows")?, not_negative(max_bytes, "max_bytes")?);
            Ok(())
        })
    }
}

/// The schema of every batch: that of ms_session_schema, or its part that the read options columns and partition_columns name.
/// @param[in] split the reader.
/// @param[out] out_schema receives a schema of type struct, to be released by the caller; released on failure.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return MS_OK; MS_INVALID_ARGUMENT for NULL.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_split_schema(
    split: *const ms_split,
    out_schema: *mut FFI_ArrowSchema,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        gate(err, || {
            let out = Out::claim(out_schema, FFI_ArrowSchema::empty(), "out_schema")?;
            out.fill(export_schema(borrow(split, "split")?.split.schema())?);
            Ok(())
        })
    }
}

/// Turns a reader into an Arrow stream, with the batches that were not taken yet. Releasing the stream ends the read; a callback that
/// was registered with ms_split_set_waker stays until then. Its
/// get_next returns ECANCELED, ETIMEDOUT, ENOMEM, EINVAL or EIO; its get_last_error has the message with the request id.
/// @param[in] split consumed, on success and on failure alike: do not use or free it afterwards. The one exception is MS_BUSY.
/// @param[out] out_stream receives the stream, to be released by the caller; released on failure.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return MS_OK; MS_INVALID_ARGUMENT for NULL; MS_INTERNAL if an earlier call panicked; MS_FORKED; MS_BUSY if another thread is
/// inside a call on this split, which then stays as it is.
/// Thread: one call at a time. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_split_export_stream(
    split: *mut ms_split,
    out_stream: *mut ArrowArrayStream,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        gate(err, || {
            let out = Out::claim(out_stream, ArrowArrayStream::released(), "out_stream");
            let usable = take_turn(&borrow(split, "split")?.turn, "split").map(drop);
            if usable.as_ref().is_err_and(|error| error.kind() == Kind::Busy) {
                return usable;
            }
            let Some(split) = take_handle(split) else { return Ok(()) };
            if split.split.is_inherited() {
                return std::mem::ManuallyDrop::new(split).split.check();
            }
            usable?;
            out?.fill(export_source(split));
            Ok(())
        })
    }
}

impl BatchSource for ms_split {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.split.schema())
    }

    fn next_array(&mut self) -> Result<Option<FFI_ArrowArray>> {
        ms_split::next_array(self)
    }

    fn is_inherited(&self) -> bool {
        self.split.is_inherited()
    }
}

/// Adds a filter to a split that is open, for example one that a join has found: from now on only rows for which it is true are handed
/// out. The library evaluates it, exactly, also on batches that were fetched already. While batches that wait are filtered out, a
/// waker or ms_split_ready_fd may announce one that ms_split_try_next_batch then does not have. Filters add up and stay.
/// @param[in] split the reader.
/// @param[in] filter about columns that are delivered, in the types of the table whatever form types.decimal and types.string_view
///     give them; not kept: the caller may free it at once.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return MS_OK; MS_NOT_FOUND for a column that is not delivered; MS_INVALID_ARGUMENT for NULL and for a literal whose type does not
/// fit.
/// Thread: any, at any time; a call that takes a batch meanwhile may miss it. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_split_add_filter(
    split: *mut ms_split,
    filter: *const ms_predicate,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe { gate(err, || borrow(split, "split")?.split.add_filter(&borrow(filter, "filter")?.predicate)) }
}

/// How many rows of the split are done with: those that were handed out, and with filters of the library also those that were filtered
/// out before the last of them. It is the position from which a later read would go on.
/// @param[in] split may be NULL.
/// @return rows; -1 for NULL.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_split_rows_delivered(split: *const ms_split) -> i64 {
    let split = unsafe { peek(split) };
    quiet(-1, || split.map_or(-1, |split| split.split.rows_delivered()))
}

/// How much of the read was handed out: exact for rows of a session by row numbers without filter, else by the estimate of the plan (the
/// option estimate_statistics), else 0 until the end.
/// @param[in] split may be NULL.
/// @return from 0 to 1, and 1 only when the end was handed out; -1 for NULL.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_split_progress(split: *const ms_split) -> f64 {
    let split = unsafe { peek(split) };
    quiet(-1.0, || split.map_or(-1.0, |split| split.split.progress()))
}

/// Whether all requests of the read are out: none is left that waits to be sent, for a slot of the client or behind other requests of the
/// read (read.requests_per_split). Then the network has room for something else, so an engine that fetches ahead opens its next split now. What
/// was asked for stays so: a request that goes on after a break does not count again. True also after the end, a failure or a cancel, when
/// nothing will be asked for any more.
/// @param[in] split may be NULL.
/// @return whether they are; false for NULL.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_split_all_requested(split: *const ms_split) -> bool {
    let split = unsafe { peek(split) };
    quiet(false, || split.is_some_and(|split| split.split.all_requested()))
}

/// What the read has cost so far.
/// @param[in] split the reader.
/// @param[out] out_metrics receives the figures, to be freed with ms_metrics_free; NULL on failure.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return MS_OK; MS_INVALID_ARGUMENT for NULL.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_split_metrics(
    split: *const ms_split,
    out_metrics: *mut *mut ms_metrics,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        gate(err, || {
            let out = Out::handle(out_metrics, "out_metrics")?;
            out.give(ms_metrics::new(&borrow(split, "split")?.split.metrics()));
            Ok(())
        })
    }
}

/// Ends the read for good. A blocked ms_split_next_batch wakes at once, and every later one returns MS_CANCELLED. Does not
/// touch any other handle.
/// @param[in] split may be NULL.
/// Thread: any, at any time, also from inside a callback. Blocking: no.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_split_cancel(split: *const ms_split) {
    let split = unsafe { peek(split) };
    quiet((), || {
        if let Some(split) = split {
            split.split.cancel();
        }
    });
}

/// Ends the read and frees the reader. Batches that were taken stay valid.
/// @param[in] split may be NULL.
/// Thread: any, once, when no other call uses the handle. Blocking: until a running wake callback has returned; so do not hold a lock
/// that the callback takes.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_split_free(split: *mut ms_split) {
    unsafe { free(split, |split| split.split.is_inherited()) }
}
