//! Clients.

use super::args::{Out, borrow};
use super::cancel::ms_cancel;
use super::error::ms_error;
use super::gate::{free, gate};
use super::metrics::ms_metrics;
use super::options::ms_options;
use super::status::ms_status;
use crate::client::Client;

/// An endpoint, a caller, a quota, and the limits shared by everything opened through it.
pub struct ms_client {
    pub(super) client: Client,
}

/// Opens a client. Checks the connection, identity, retry and limits options and starts the library's threads if they do
/// not run yet; makes no request.
/// @param[in] options copied; the caller keeps and frees it.
/// @param[out] out_client receives the client, to be freed with ms_client_free; NULL on failure.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return MS_OK; MS_INVALID_OPTION if an option is missing or options contradict each other; MS_RESOURCE_EXHAUSTED if no
/// thread can be started; MS_WRONG_STATE from inside a callback.
/// Thread: any, but not from inside a callback; with credentials=environment no other may change the environment. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_client_open(
    options: *const ms_options,
    out_client: *mut *mut ms_client,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        gate(err, || {
            let out = Out::handle(out_client, "out_client")?;
            let options = borrow(options, "options")?.read();
            out.give(ms_client { client: Client::open(&options)? });
            Ok(())
        })
    }
}

/// A second handle of the same client, for the calls of one query: those that are made with it end with `cancel`, with MS_CANCELLED or
/// MS_DEADLINE_EXCEEDED, and so do the streams of ms_tables and its siblings when they are asked for a batch, also after the handle is freed.
/// Sessions opened with it, their splits and scans go on: they have calls of their own. Costs no request.
/// @param[in] client the client, which may itself be such a handle: its calls then end with either.
/// @param[in] cancel ends the calls; it may be freed at any time, and then ends them no more, except at the deadline that it had.
/// @param[out] out_client receives the handle, to be freed with ms_client_free; NULL on failure.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return MS_OK; MS_INVALID_ARGUMENT for NULL; MS_FORKED.
/// Thread: any, at any time, but not from inside a callback. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_client_with_cancel(
    client: *const ms_client,
    cancel: *const ms_cancel,
    out_client: *mut *mut ms_client,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        gate(err, || {
            let out = Out::handle(out_client, "out_client")?;
            let client = &borrow(client, "client")?.client;
            let cancel = borrow(cancel, "cancel")?.here()?;
            client.runtime().check()?;
            out.give(ms_client { client: client.with_cancel(cancel) });
            Ok(())
        })
    }
}

/// What everything opened through a client uses now: memory, and requests under way.
/// @param[in] client the client.
/// @param[out] out_metrics receives the figures, to be freed with ms_metrics_free; NULL on failure.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return MS_OK; MS_INVALID_ARGUMENT for NULL; MS_FORKED.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_client_metrics(
    client: *const ms_client,
    out_metrics: *mut *mut ms_metrics,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        gate(err, || {
            let out = Out::handle(out_metrics, "out_metrics")?;
            let client = &borrow(client, "client")?.client;
            client.runtime().check()?;
            out.give(ms_metrics::new(&client.metrics()));
            Ok(())
        })
    }
}

/// Frees a client. Sessions and splits opened through it go on.
/// @param[in] client may be NULL.
/// Thread: any, once, when no other call uses the handle. Blocking: no.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_client_free(client: *mut ms_client) {
    unsafe { free(client, |client| client.client.runtime().is_inherited()) }
}
