//! The end of a read, told to the host.

use std::ffi::c_void;

use super::args::{Context, borrow};
use super::callbacks::call_host;
use super::error::ms_error;
use super::gate::gate;
use super::live;
use super::metrics::ms_metrics;
use super::options::ms_options;
use super::status::{MS_OK, ms_status};
use crate::options::{ReadEnd, ReadEndHook};

/// Told of the end of a read. split is the number of the split that was read, -1 for a scan. outcome is MS_OK if everything was handed out, the end included,
/// MS_CANCELLED if the read was cancelled or freed before its end, else the status of its failure. metrics are its final figures, as those of
/// ms_split_metrics and ms_scan_metrics; they belong to the library and exist during the call only. It is called by the thread that ends the
/// read, several at once for several reads, must return soon, must not throw, and must call nothing of the library but the functions that read
/// metrics.
pub type ms_read_end_callback =
    Option<unsafe extern "C" fn(context: *mut c_void, split: i64, outcome: ms_status, metrics: *const ms_metrics)>;

/// Has the host told of the end of each read: exactly once for each split and scan that was opened, when it is freed, or when the stream that
/// it was turned into is released; before that call returns, and on the same thread. Of an asynchronous stream it is told before the handler is
/// released, on a thread of the library. Work that was under way for a read which is freed before
/// its end may still count into ms_session_metrics afterwards. A read that could not be opened, and one that is freed in a child made by
/// fork, is not told of.
/// @param[in] options the options. Those of a client hold for everything that is opened through it, those of a session in their place for its
/// reads, and those of a split or scan in place of both.
/// @param[in] callback is called; NULL for that of what is above, the session or the client, or for none there.
/// @param[in] context handed to each call; must live until all those reads are freed; may be NULL.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return MS_OK; MS_INVALID_ARGUMENT for NULL; MS_BUSY.
/// Thread: one call at a time. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_options_set_read_end_callback(
    options: *mut ms_options,
    callback: ms_read_end_callback,
    context: *mut c_void,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        gate(err, || {
            let options = borrow(options, "options")?;
            let context = Context(context);
            let hook = callback.map(|callback| ReadEndHook::new(move |end| tell(callback, context, end)));
            options.change(|options| {
                options.set_read_end_hook(hook);
                Ok(())
            })
        })
    }
}

fn tell(
    callback: unsafe extern "C" fn(*mut c_void, i64, ms_status, *const ms_metrics),
    context: Context,
    end: &ReadEnd<'_>,
) {
    let metrics = ms_metrics::new(end.metrics);
    let _loan = live::lend(&raw const metrics);
    let outcome = end.outcome.as_ref().map_or_else(|error| error.kind() as ms_status, |()| MS_OK);
    // SAFETY: the host promises that its callback can be called with its context from any thread until its reads are freed. The metrics outlive
    // the call and are used through shared references only.
    call_host("a read end callback", || unsafe {
        callback(context.0, end.split.unwrap_or(-1), outcome, &raw const metrics);
    });
}
