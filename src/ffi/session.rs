//! Read sessions.

use std::ffi::c_void;

use arrow_schema::ffi::FFI_ArrowSchema;

use super::args::{Out, borrow, bytes, peek};
use super::arrow::export_schema;
use super::bytes::ms_bytes;
use super::cancel::ms_cancel;
use super::client::ms_client;
use super::error::ms_error;
use super::gate::{free, gate, quiet};
use super::metrics::ms_metrics;
use super::options::ms_options;
use super::predicate::ms_predicate;
use super::status::ms_status;
use crate::session::Session;

/// One planned read of one table, or of one result: columns, partitions, filter, snapshot, a list of splits. Never changes, but for the number of
/// splits that are known while a session of plan.wait=first is being planned: it grows.
pub struct ms_session {
    pub(super) session: Session,
}

/// Plans a read of the table that the option table names, or of the result of the SQL instance that the option instance names. With
/// plan.wait=first it returns as soon as the first splits are known, while others are still being planned: ms_session_more_splits tells of
/// them, scans take them up by themselves, and whatever needs the whole plan is MS_WRONG_STATE until then. ms_session_free ends the planning
/// of what no scan waits for.
/// @param[in] client keeps living as long as the session does, also if it is freed.
/// @param[in] scan scan and types options; copied; the caller keeps and frees it.
/// @param[in] filter which rows are wanted, besides what the option filter.text says; NULL for all. The service uses it to skip blocks:
/// without the option filter.exact rows for which it is not true may still arrive. Not kept: the caller may free it at once. It costs
/// one request for the types of the columns.
/// @param[out] out_session receives the session, to be freed with ms_session_free; NULL on failure.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return MS_OK; MS_INVALID_OPTION; MS_INVALID_ARGUMENT if the service refuses a value, for example the filter, or, with
/// filter.exact, for a filter whose types do not fit;
/// MS_UNAUTHENTICATED, MS_PERMISSION_DENIED, MS_QUOTA_DENIED; MS_NOT_FOUND for a project, schema, table, partition or column; MS_TABLE_KIND_UNSUPPORTED; MS_TIMEOUT after
/// plan_timeout_ms; MS_UNSUPPORTED if the option protocol excludes what is asked for, and for a filter with a time that has no text while filter.exact is set; MS_WRONG_STATE for an
/// instance that has not succeeded; a temporary status after the retries.
/// Thread: any, at any time, but not from inside a callback. Blocking: until the plan is ready, or what plan.wait says; at most plan_timeout_ms.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_session_open(
    client: *const ms_client,
    scan: *const ms_options,
    filter: *const ms_predicate,
    out_session: *mut *mut ms_session,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe { ms_session_open_cancellable(client, scan, filter, std::ptr::null(), out_session, err) }
}

/// As ms_session_open, for a caller that may change its mind or has a deadline: `cancel` ends the call.
/// @param[in] client as for ms_session_open.
/// @param[in] scan as for ms_session_open.
/// @param[in] filter as for ms_session_open.
/// @param[in] cancel may be NULL, then nothing ends the call. It must not be freed during the call.
/// @param[out] out_session as for ms_session_open.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return as ms_session_open; MS_CANCELLED once `cancel` says so; MS_DEADLINE_EXCEEDED at its deadline. A session that was made at the service
/// meanwhile expires by itself.
/// Thread: any, at any time, but not from inside a callback. Blocking: until the plan is ready, or what plan.wait says, or `cancel` ends the call; it does not end what
/// is planned after the call.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_session_open_cancellable(
    client: *const ms_client,
    scan: *const ms_options,
    filter: *const ms_predicate,
    cancel: *const ms_cancel,
    out_session: *mut *mut ms_session,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        gate(err, || {
            let out = Out::handle(out_session, "out_session")?;
            let client = borrow(client, "client")?;
            let scan = borrow(scan, "scan")?.read();
            let filter = peek(filter).map(|filter| &filter.predicate);
            let cancel = ms_cancel::given(cancel)?;
            out.give(ms_session { session: Session::open_filtered(&client.client, &scan, filter, cancel)? });
            Ok(())
        })
    }
}

/// Opens a session that was planned elsewhere from its token. Makes no request: a worker opens its split with one request
/// in total, in the version of the Storage API that the session was planned in. If the client has the option data_endpoint, that is used in place of the one in the token. The checksum of a token
/// guards against damage, not against forgers: requests signed for this client go to the endpoint it names, so take tokens only from
/// where you would take an endpoint.
/// @param[in] client brings the credentials; keeps living as long as the session does, also if it is freed.
/// @param[in] token bytes of ms_session_serialize, text of ms_session_serialize_json (it begins with a brace), or either of ms_session_serialize_split, from this or another process,
/// machine or language.
/// @param[in] token_len number of bytes.
/// @param[out] out_session receives the session, to be freed with ms_session_free; NULL on failure.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return MS_OK; MS_INVALID_ARGUMENT if the token is damaged or of another version.
/// Thread: any, at any time, but not from inside a callback. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_session_attach(
    client: *const ms_client,
    token: *const c_void,
    token_len: usize,
    out_session: *mut *mut ms_session,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        gate(err, || {
            let out = Out::handle(out_session, "out_session")?;
            let client = borrow(client, "client")?;
            let token = bytes(token, token_len, "token")?;
            out.give(ms_session { session: Session::attach(&client.client, token)? });
            Ok(())
        })
    }
}

/// Writes a session as bytes for ms_session_attach: versioned, with a checksum, without credentials.
/// @param[in] session the session.
/// @param[out] out_token receives the bytes, to be freed with ms_bytes_free; NULL on failure.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return MS_OK; MS_INVALID_ARGUMENT for NULL; MS_UNSUPPORTED for one of more than 16 MiB; MS_WRONG_STATE while the session is still being planned (plan.wait=first): a token has all
/// splits. The failure of planning, if that has failed.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_session_serialize(
    session: *const ms_session,
    out_token: *mut *mut ms_bytes,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        gate(err, || {
            let out = Out::handle(out_token, "out_token")?;
            let session = borrow(session, "session")?;
            out.give(ms_bytes::new(session.session.serialize()?));
            Ok(())
        })
    }
}

/// Writes a session as a JSON object for ms_session_attach, for engines that hand splits on as JSON: `format` is "maxstorage.session", then
/// `version`, `project`, `schema` and `table` or `instance`, `splits` (their number), `expires_at_ms` and what else a reader needs; a
/// checksum, no credentials. Who passes it on may order, indent and extend it; a change of what it says is found. docs/reading.md has more.
/// It is somewhat longer than the token of ms_session_serialize, and is read as the same session.
/// @param[in] session the session.
/// @param[out] out_json receives UTF-8 text, not NUL-terminated, to be freed with ms_bytes_free; NULL on failure.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return MS_OK; MS_INVALID_ARGUMENT for NULL; MS_UNSUPPORTED for one of more than 4 MiB; MS_WRONG_STATE while the session is still being planned (plan.wait=first): a token has all
/// splits. The failure of planning, if that has failed.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_session_serialize_json(
    session: *const ms_session,
    out_json: *mut *mut ms_bytes,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        gate(err, || {
            let out = Out::handle(out_json, "out_json")?;
            let session = borrow(session, "session")?;
            out.give(ms_bytes::new(session.session.serialize_json()?));
            Ok(())
        })
    }
}

/// Writes one split of a session for ms_session_attach, for the worker that reads it, also while other splits are still being planned
/// (plan.wait=first). The token is as long as one session at the service needs, however many the plan has. A session that is attached from it
/// has this split under this number, and those of the same session at the service; scans and what else needs all splits are MS_WRONG_STATE.
/// @param[in] session the session.
/// @param[in] index the number of a split that is known.
/// @param[in] as_json whether it is written as ms_session_serialize_json does, else as ms_session_serialize does.
/// @param[out] out_token receives the bytes, to be freed with ms_bytes_free; NULL on failure.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return MS_OK; MS_INVALID_ARGUMENT for NULL and for a split that is not known.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_session_serialize_split(
    session: *const ms_session,
    index: i64,
    as_json: bool,
    out_token: *mut *mut ms_bytes,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        gate(err, || {
            let out = Out::handle(out_token, "out_token")?;
            let session = borrow(session, "session")?;
            out.give(ms_bytes::new(session.session.serialize_split(index, as_json)?));
            Ok(())
        })
    }
}

/// The schema of every batch of the session. Field metadata: "maxcompute.type" has the MaxCompute type,
/// "maxcompute.partition_key" marks partition columns.
/// @param[in] session the session.
/// @param[out] out_schema receives a schema of type struct, to be released by the caller; released on failure.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return MS_OK; MS_INVALID_ARGUMENT for NULL.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_session_schema(
    session: *const ms_session,
    out_schema: *mut FFI_ArrowSchema,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        gate(err, || {
            let out = Out::claim(out_schema, FFI_ArrowSchema::empty(), "out_schema")?;
            out.fill(export_schema(borrow(session, "session")?.session.schema())?);
            Ok(())
        })
    }
}

/// What all reads of a session have cost so far, together: splits, scans and streams that were opened by this handle, those that were freed
/// included. Reads by other handles, as those of workers, have figures of their own.
/// @param[in] session the session.
/// @param[out] out_metrics receives the figures, to be freed with ms_metrics_free; NULL on failure.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return MS_OK; MS_INVALID_ARGUMENT for NULL; MS_FORKED.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_session_metrics(
    session: *const ms_session,
    out_metrics: *mut *mut ms_metrics,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        gate(err, || {
            let out = Out::handle(out_metrics, "out_metrics")?;
            out.give(ms_metrics::new(&borrow(session, "session")?.session.metrics()?));
            Ok(())
        })
    }
}

/// Tells how a read was planned, as one JSON object for a person and for logs; docs/explain.md describes its keys. They may become more, so
/// programs should use the functions that tell one thing each.
/// @param[in] session the session.
/// @param[out] out_json receives UTF-8 text, not NUL-terminated, to be freed with ms_bytes_free; NULL on failure.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return MS_OK; MS_INVALID_ARGUMENT for NULL.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_session_explain(
    session: *const ms_session,
    out_json: *mut *mut ms_bytes,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        gate(err, || {
            let out = Out::handle(out_json, "out_json")?;
            out.give(ms_bytes::new(borrow(session, "session")?.session.explain().into_bytes()));
            Ok(())
        })
    }
}

/// Reads a number of a session that may be NULL; -1 for unknown.
///
/// # Safety
/// `session` is NULL or a live handle.
unsafe fn number(session: *const ms_session, of: impl FnOnce(&Session) -> Option<i64>) -> i64 {
    // SAFETY: by the contract of this function.
    let session = unsafe { peek(session) };
    quiet(-1, || session.and_then(|session| of(&session.session)).unwrap_or(-1))
}

/// The number of splits that are known: of all, unless the session was opened with plan.wait=first and is still being planned
/// (ms_session_more_splits tells).
/// @param[in] session may be NULL.
/// @return the number, 0 for a table without rows; -1 for NULL. Of a session of ms_session_serialize_split the number behind its last split.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_session_split_count(session: *const ms_session) -> i64 {
    unsafe { number(session, |session| Some(session.split_count())) }
}

/// Estimated rows: exact in split mode row_offset (before the filter), else only with the option estimate_statistics.
/// @param[in] session may be NULL.
/// @return rows; -1 if unknown, while the session is still being planned, and for NULL.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_session_estimated_rows(session: *const ms_session) -> i64 {
    unsafe { number(session, Session::estimated_rows) }
}

/// Estimated bytes; only with the option estimate_statistics.
/// @param[in] session may be NULL.
/// @return bytes; -1 if unknown, while the session is still being planned, and for NULL.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_session_estimated_bytes(session: *const ms_session) -> i64 {
    unsafe { number(session, Session::estimated_bytes) }
}

/// The end of the session's life at the service, as far as it is planned.
/// @param[in] session may be NULL.
/// @return milliseconds since 1970-01-01 UTC; -1 if unknown, and for NULL.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_session_expires_at_ms(session: *const ms_session) -> i64 {
    unsafe { number(session, Session::expires_at_ms) }
}

/// Prolongs the session's life at the service. While splits of it are open the library does so by itself, ahead of the end; a
/// host that keeps a session without reading calls this.
/// @param[in] session the session; ms_session_expires_at_ms tells the new end.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return MS_OK; MS_SESSION_EXPIRED if its life was over; MS_INVALID_ARGUMENT for NULL; MS_FORKED; MS_WRONG_STATE from inside a
/// callback; identity and temporary statuses.
/// Thread: any, at any time, but not from inside a callback. Blocking: until the service has answered, under the retry options.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_session_refresh(session: *const ms_session, err: *mut *mut ms_error) -> ms_status {
    unsafe { ms_session_refresh_cancellable(session, std::ptr::null(), err) }
}

/// As ms_session_refresh, for a caller that may change its mind or has a deadline: `cancel` ends the call.
/// @param[in] session as for ms_session_refresh.
/// @param[in] cancel may be NULL, then nothing ends the call. It must not be freed during the call.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return as ms_session_refresh; MS_CANCELLED once `cancel` says so; MS_DEADLINE_EXCEEDED at its deadline. Whether the service has prolonged
/// the session is then not known.
/// Thread: any, at any time, but not from inside a callback. Blocking: until the service has answered or `cancel` ends the call.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_session_refresh_cancellable(
    session: *const ms_session,
    cancel: *const ms_cancel,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        gate(err, || {
            let session = borrow(session, "session")?;
            let cancel = ms_cancel::given(cancel)?;
            session.session.refresh(cancel)
        })
    }
}

/// Frees a session. Splits and scans opened from it go on, and so does the planning that a scan waits for; other planning ends.
/// @param[in] session may be NULL.
/// Thread: any, once, when no other call uses the handle. Blocking: no.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_session_free(session: *mut ms_session) {
    unsafe { free(session, |session| session.session.is_inherited()) }
}
