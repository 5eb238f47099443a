//! What a planner asks before it reads.

use std::ffi::c_char;

use arrow_data::ffi::FFI_ArrowArray;
use arrow_schema::SchemaRef;
use arrow_schema::ffi::FFI_ArrowSchema;

use super::args::{Out, borrow, optional_text, peek, text};
use super::arrow::{ArrowArrayStream, BatchSource, export_batch, export_schema, export_source};
use super::client::ms_client;
use super::error::ms_error;
use super::gate::gate;
use super::options::ms_options;
use super::predicate::ms_predicate;
use super::status::ms_status;
use crate::catalog::{self, Listing};
use crate::client::Client;
use crate::error::{Error, Kind, Result};

/// Most rows that a preview shows.
const MAX_PREVIEW_ROWS: i64 = 10_000;

impl BatchSource for Listing {
    fn schema(&self) -> SchemaRef {
        Listing::schema(self).clone()
    }

    fn next_array(&mut self) -> Result<Option<FFI_ArrowArray>> {
        Ok(self.next_batch()?.map(export_batch))
    }

    fn is_inherited(&self) -> bool {
        Listing::is_inherited(self)
    }
}

/// Lists the schemas of a project, or of all projects that the caller may see. Columns: project, schema and owner (utf8; owner may be
/// NULL). A project of two levels has the schema "default". The service is asked for a page when the stream is asked for a batch.
/// @param[in] client keeps living as long as the stream does, also if it is freed.
/// @param[in] project name of a project; may be NULL, which stands for all projects.
/// @param[out] out_stream receives the stream, to be released by the caller, also before its end; released on failure. Its get_next
/// returns ETIMEDOUT, ENOMEM, EINVAL or EIO; its get_last_error has the message with the request id.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return MS_OK; MS_INVALID_ARGUMENT; MS_INVALID_OPTION for an illegal name; MS_NOT_FOUND, MS_UNAUTHENTICATED, MS_PERMISSION_DENIED; MS_FORKED;
/// MS_WRONG_STATE from inside a callback; a temporary status after the retries.
/// Thread: any, at any time, but not from inside a callback; the stream: one call at a time. Blocking: until the first page is there;
/// the stream: until its next page is.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_projects_schemas(
    client: *const ms_client,
    project: *const c_char,
    out_stream: *mut ArrowArrayStream,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        list(client, (out_stream, "out_stream"), err, |client| {
            catalog::schemas(client, optional_text(project, "project")?)
        })
    }
}

/// Lists the tables of a schema. Columns: project, schema, table, kind and owner (utf8; kind and owner may be NULL); kind is "table", "view",
/// "materialized_view", "external_table", "object_table" or another word of the service. The service is asked for a page when the stream
/// is asked for a batch.
/// @param[in] client keeps living as long as the stream does, also if it is freed.
/// @param[in] project may be NULL, which stands for the option project of the client.
/// @param[in] schema may be NULL, which stands for the option schema of the client.
/// @param[in] pattern which names to list: "*" stands for any characters, "?" for one, letters match in either case; may be NULL, which
/// stands for all. What precedes the first of them is matched by the service.
/// @param[out] out_stream as for ms_projects_schemas.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return as for ms_projects_schemas; MS_INVALID_OPTION also if no project is known.
/// Thread: any, at any time, but not from inside a callback; the stream: one call at a time. Blocking: until the first page with a table is
/// there; the stream: until its next page is.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_tables(
    client: *const ms_client,
    project: *const c_char,
    schema: *const c_char,
    pattern: *const c_char,
    out_stream: *mut ArrowArrayStream,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        list(client, (out_stream, "out_stream"), err, |client| {
            let project = optional_text(project, "project")?;
            let (schema, pattern) = (optional_text(schema, "schema")?, optional_text(pattern, "pattern")?);
            catalog::tables(client, project, schema, pattern)
        })
    }
}

/// The columns of a table as a schema, partition columns last, in the units of the product page (timestamps in nanoseconds, datetimes in
/// milliseconds). Field metadata: "maxcompute.type" has the MaxCompute type, "maxcompute.comment" the comment if there is one; present with
/// the value "true" where they apply: "maxcompute.partition_key", "maxcompute.primary_key", "maxcompute.cluster_key", and
/// "maxcompute.unsupported" for a column that the Storage API does not read (JSON appears as utf8, types without Arrow form as null).
/// @param[in] client the client.
/// @param[in] table `TABLE`, `PROJECT.TABLE` or `PROJECT.SCHEMA.TABLE`; what is left out comes from the client's options.
/// @param[out] out_schema receives a schema of type struct, to be released by the caller; released on failure.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return as for ms_projects_schemas; MS_INVALID_OPTION also for an illegal name; MS_NOT_FOUND if there is no such table.
/// Thread: any, at any time, but not from inside a callback. Blocking: until the service has answered, under the retry options.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_table_schema(
    client: *const ms_client,
    table: *const c_char,
    out_schema: *mut FFI_ArrowSchema,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        gate(err, || {
            let out = Out::claim(out_schema, FFI_ArrowSchema::empty(), "out_schema")?;
            let client = borrow(client, "client")?;
            out.fill(export_schema(&catalog::table_schema(&client.client, text(table, "table")?)?)?);
            Ok(())
        })
    }
}

/// Tells what is known about a table besides its columns, as a stream of one row: kind, sizes, rows, files, partition keys, clustering, sort
/// order, primary key, lifecycle, times and versions. docs/catalogue.md lists the columns; what the service does not tell is NULL.
/// @param[in] client keeps living as long as the stream does, also if it is freed.
/// @param[in] table as for ms_table_schema.
/// @param[out] out_stream receives the stream, to be released by the caller; released on failure.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return as for ms_table_schema.
/// Thread: any, at any time, but not from inside a callback; the stream: one call at a time. Blocking: until the service has answered,
/// under the retry options; the stream: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_table_details(
    client: *const ms_client,
    table: *const c_char,
    out_stream: *mut ArrowArrayStream,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        list(client, (out_stream, "out_stream"), err, |client| catalog::table_details(client, text(table, "table")?))
    }
}

/// Lists the partitions of a table, in the order of the service. Columns: partition (utf8, `key=value/key=value`, as the option partitions
/// takes it), values (struct of the partition keys with their types; a key of the default partition is NULL), size_bytes and rows (int64, NULL
/// if not told), created_at and modified_at (timestamp in seconds, UTC). The service is asked for a page when the stream is asked for a batch.
/// @param[in] client keeps living as long as the stream does, also if it is freed.
/// @param[in] table as for ms_table_schema.
/// @param[in] filter a condition on the partition keys, which is met exactly, with the three truth values of SQL; may be NULL, which stands for all
/// partitions. Stays with the caller. Values that it demands of the first keys are matched by the service, the rest by the library.
/// @param[out] out_stream as for ms_projects_schemas.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return as for ms_table_schema; MS_INVALID_ARGUMENT if the table is not partitioned, and for a test that the type of a key does not
/// allow; MS_NOT_FOUND also if the filter names a column that is no partition key.
/// Thread: any, at any time, but not from inside a callback; the stream: one call at a time. Blocking: until the first page is there;
/// the stream: until its next page is.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_partitions(
    client: *const ms_client,
    table: *const c_char,
    filter: *const ms_predicate,
    out_stream: *mut ArrowArrayStream,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        list(client, (out_stream, "out_stream"), err, |client| {
            let table = text(table, "table")?;
            let filter = peek(filter).map(|filter| &filter.predicate);
            catalog::partitions(client, table, filter)
        })
    }
}

/// Reads the first rows of a table without a session (version 2 of the Storage API has the call). Columns are those of ms_table_schema.
/// @param[in] client keeps living as long as the stream does, also if it is freed.
/// @param[in] table as for ms_table_schema.
/// @param[in] scan may be NULL; of its keys are used: columns and partition_columns (which come in table order), and partitions, which may
/// name one partition, also by its leading keys alone.
/// @param[in] limit_rows from 1 to 10,000: at most so many rows.
/// @param[out] out_stream as for ms_projects_schemas.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return as for ms_table_schema; MS_NOT_FOUND also for a column; MS_INVALID_ARGUMENT for another limit; MS_INVALID_OPTION for
/// several partitions; MS_TABLE_KIND_UNSUPPORTED; MS_UNSUPPORTED if the service does not have the call, or with protocol=1.
/// Thread: any, at any time, but not from inside a callback; the stream: one call at a time. Blocking: until the first rows are there;
/// the stream: until the next ones are.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_table_preview(
    client: *const ms_client,
    table: *const c_char,
    scan: *const ms_options,
    limit_rows: i64,
    out_stream: *mut ArrowArrayStream,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        list(client, (out_stream, "out_stream"), err, |client| {
            let table = text(table, "table")?;
            let scan = peek(scan).map(ms_options::read).unwrap_or_default();
            let limit = u32::try_from(limit_rows).ok().filter(|_| (1..=MAX_PREVIEW_ROWS).contains(&limit_rows));
            let limit = limit.ok_or_else(|| {
                let message = format!("limit_rows is {limit_rows}; a preview shows 1 to {MAX_PREVIEW_ROWS} rows");
                Error::new(Kind::InvalidArgument, message)
            })?;
            catalog::preview(client, table, &scan, limit)
        })
    }
}

/// Finds out what keeps a client from reading: walks the steps name_resolution, connect, tls, clock_skew, signature, endpoint_routing, project,
/// quota, table and read_right until one fails, and tells each in a row. Columns: step, status ("ok", "failed", "skipped" if the step does not
/// apply, "not tried" behind the one that failed; utf8), milliseconds (float64), sentence (utf8: for a failed step what is wrong and what
/// to do, for a skipped one why), error (the constant, utf8), server_code and request_id (utf8). A failed step is no failure of the call.
/// @param[in] client the client, with the options that do not work.
/// @param[in] table as for ms_table_schema; may be NULL: then the steps about a table are skipped. The read right is tried by opening a read
/// session that nobody reads.
/// @param[out] out_report receives a stream of one batch, to be released by the caller; released on failure.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return MS_OK, also if a step has failed; MS_INVALID_ARGUMENT; MS_INVALID_OPTION for an illegal name; MS_FORKED; MS_WRONG_STATE from
/// inside a callback.
/// Thread: any, at any time, but not from inside a callback. Blocking: until the last step is done, each under the timeouts and retries of the client.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_client_diagnose(
    client: *const ms_client,
    table: *const c_char,
    out_report: *mut ArrowArrayStream,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        list(client, (out_report, "out_report"), err, |client| {
            catalog::diagnose(client, optional_text(table, "table")?)
        })
    }
}

/// What all listings have in common: hands what `listing` asks for to the caller, as a stream.
unsafe fn list(
    client: *const ms_client,
    (out_stream, name): (*mut ArrowArrayStream, &'static str),
    err: *mut *mut ms_error,
    listing: impl FnOnce(&Client) -> Result<Listing>,
) -> ms_status {
    unsafe {
        gate(err, || {
            let out = Out::claim(out_stream, ArrowArrayStream::released(), name)?;
            let client = borrow(client, "client")?;
            out.fill(export_source(Box::new(listing(&client.client)?)));
            Ok(())
        })
    }
}
