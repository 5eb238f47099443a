//! Status codes. Numbers are never changed and never used again.

/// Result of a call: 0 for success, 1 for "not ready yet", 100 and above for failures.
pub type ms_status = i32;

/// Success.
pub const MS_OK: ms_status = 0;
/// Nothing is ready yet, and nothing failed.
pub const MS_PENDING: ms_status = 1;

/* 100: a mistake of the caller. */
/// An argument of the call, or a value in the request, is wrong.
pub const MS_INVALID_ARGUMENT: ms_status = 100;
/// An option has an unknown key or a bad value, or a required option is missing.
pub const MS_INVALID_OPTION: ms_status = 101;
/// Another thread is inside a call on this handle.
pub const MS_BUSY: ms_status = 102;
/// The call is not possible in the present state, for example from inside a callback.
pub const MS_WRONG_STATE: ms_status = 103;
/// The feature is part of the interface but not of this version or deployment.
pub const MS_UNSUPPORTED: ms_status = 104;
/// The handle was made in the parent process before fork.
pub const MS_FORKED: ms_status = 105;

/* 200: identity and permission. */
/// The service does not accept the credentials, the signature or the clock.
pub const MS_UNAUTHENTICATED: ms_status = 200;
/// The caller is known but not allowed to do this.
pub const MS_PERMISSION_DENIED: ms_status = 201;
/// The caller may not use the quota that the options name.
pub const MS_QUOTA_DENIED: ms_status = 202;

/* 300: a named thing. */
/// A project, schema, table, partition or column does not exist.
pub const MS_NOT_FOUND: ms_status = 300;
/// The thing to be made exists already.
pub const MS_ALREADY_EXISTS: ms_status = 301;
/// The session is unknown to the service or its life is over.
pub const MS_SESSION_EXPIRED: ms_status = 302;
/// The table was dropped or changed while it was being read.
pub const MS_TABLE_CHANGED: ms_status = 303;
/// External tables and logical views cannot be read through the Storage API.
pub const MS_TABLE_KIND_UNSUPPORTED: ms_status = 304;

/* 400: temporary; the same call may succeed later. */
/// The service could not answer for the moment.
pub const MS_UNAVAILABLE: ms_status = 400;
/// The service refused the request because too many are running.
pub const MS_THROTTLED: ms_status = 401;
/// Nothing arrived for the time that the options allow.
pub const MS_TIMEOUT: ms_status = 402;
/// The connection could not be made, or broke.
pub const MS_CONNECTION: ms_status = 403;
/// A limit of this process was reached, for example its memory or its threads.
pub const MS_RESOURCE_EXHAUSTED: ms_status = 404;

/* 500: data and schema. */
/// The data that arrived is incomplete or malformed.
pub const MS_CORRUPT_DATA: ms_status = 500;
/// The data that arrived does not have the schema of the session.
pub const MS_SCHEMA_MISMATCH: ms_status = 501;
/// A value does not fit the type that was asked for.
pub const MS_VALUE_OUT_OF_RANGE: ms_status = 502;
/// Another writer committed first.
pub const MS_COMMIT_CONFLICT: ms_status = 503;
/// It is not known whether the commit took effect.
pub const MS_COMMIT_UNKNOWN: ms_status = 504;

/* 600: the caller asked for the end. */
/// The handle was cancelled.
pub const MS_CANCELLED: ms_status = 600;
/// The deadline of the call passed.
pub const MS_DEADLINE_EXCEEDED: ms_status = 601;

/* 900: our bug. */
/// A defect of this library; the handle cannot be used any more.
pub const MS_INTERNAL: ms_status = 900;
