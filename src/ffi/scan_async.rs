//! A scan that calls the host.

use std::mem::ManuallyDrop;
use std::sync::Arc;

use super::args::borrow;
use super::arrow::{ArrowAsyncDeviceStreamHandler, Handler};
use super::error::ms_error;
use super::gate::{gate, take_handle};
use super::scan::ms_scan;
use super::status::ms_status;
use crate::scan::Demand;

/// Hands a scan to a handler of the Arrow C device interface, which is called for the batches that were not taken yet: on_schema; on_next_task
/// for each batch, as many as handler->producer->request has asked for, and with NULL for the end, which takes a request too;
/// on_error with ECANCELED, ETIMEDOUT, ENOMEM, EINVAL or EIO and the message with the request id; release last, once. Memory is that of the CPU.
/// Calls come from a thread of the library, never two at once, and must return soon; they may call request and cancel of the producer,
/// extract_data of their task and release of arrays, but no function of the library. Each task must be extracted, with NULL if it is not wanted.
/// A handler that returns another value than 0, or cancels, is released without a further call.
/// @param[in] scan consumed, on success and on failure alike: do not use or free it afterwards. Its callback and descriptor end.
/// @param[in] handler belongs to the caller and stays where it is until its release is called; its producer is set. After a failure of this
/// call it is not called at all.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return MS_OK; MS_INVALID_ARGUMENT for NULL, also for one of the handler's functions; MS_FORKED; MS_WRONG_STATE from inside a callback.
/// Thread: any, once, when no other call uses the handle, but not from inside a callback. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_scan_export_async(
    scan: *mut ms_scan,
    handler: *mut ArrowAsyncDeviceStreamHandler,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        gate(err, || {
            borrow(scan, "scan")?;
            let Some(scan) = take_handle(scan) else { return Ok(()) };
            if scan.scan.is_inherited() {
                return ManuallyDrop::new(scan).scan.check();
            }
            scan.scan.check()?;
            let demand = Arc::new(Demand::default());
            let handler = Handler::new(handler, scan.scan.schema(), &demand)?;
            scan.scan.push(demand, handler);
            Ok(())
        })
    }
}
