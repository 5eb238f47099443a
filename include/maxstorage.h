/*
 * maxstorage: the native way into MaxCompute.
 *
 * Generated from the source by `MS_BLESS=1 cargo test --test header`; do not edit.
 *
 * The rules, once for all functions:
 *
 *  - A client (endpoint, caller, limits) opens sessions; a session is one planned read of one table, a list of splits; a split
 *    is an open reader from which one thread at a time takes Arrow batches. A batch belongs to the caller.
 *  - Handles are made and freed by the library. A child keeps what it needs of its parents: free in any order, from any
 *    thread. Every _free accepts NULL, waits for nobody and cannot fail.
 *  - `const ms_x *` may be used from any thread at any time. `ms_x *` means one call at a time; a second one gets MS_BUSY. Only
 *    _free needs a handle that nobody else uses.
 *  - Fallible functions return ms_status and, if `err` is not NULL, make an ms_error that the caller frees. Outputs are emptied
 *    on entry and filled on success only, so cleaning up is always allowed.
 *  - Text is NUL-terminated UTF-8; what the library returns is borrowed from the handle it came from.
 *  - No mistake the library can detect crashes the host: not a NULL, not bad UTF-8, not a defect of ours (MS_INTERNAL).
 *  - After fork, calls that need the parent's threads return MS_FORKED in the child, which opens a client of its own. Reading what a
 *    handle knows and _free are allowed.
 *  - The library installs no signal handler and no atexit handler, writes nothing to stdout and stderr, and its threads
 *    block the host's signals.
 */

#ifndef MAXSTORAGE_H
#define MAXSTORAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "maxstorage/arrow_abi.h"

/** Version of this header; ms_version() is the library's. */
#define MS_VERSION "0.1.0"
#define MS_VERSION_MAJOR 0
#define MS_VERSION_MINOR 1
#define MS_VERSION_PATCH 0
/** The version as one number that can be compared: major * 1000000 + minor * 1000 + patch. */
#define MS_VERSION_NUMBER 1000

#if defined(_WIN32) && defined(MS_SHARED)
#define MS_API __declspec(dllimport)
#elif defined(__GNUC__)
#define MS_API __attribute__((visibility("default")))
#else
#define MS_API
#endif

#if defined(__GNUC__)
#define MS_NODISCARD __attribute__((warn_unused_result))
#else
#define MS_NODISCARD
#endif

/* Keys of options; docs/options.md tells types, defaults and ranges. */
/** Service endpoint with scheme and path, for example `http://127.0.0.1:8080/api`. Required. */
#define MS_OPT_ENDPOINT "endpoint"
/** Endpoint of the Storage API. Without it the service endpoint is asked, and its answer kept for 15 minutes per project. */
#define MS_OPT_DATA_ENDPOINT "data_endpoint"
/** Default project for tables named without one; also sent as `curr_project`. */
#define MS_OPT_PROJECT "project"
/** Default schema for tables named without one. */
#define MS_OPT_SCHEMA "schema"
/** Quota (nickname) to use, for example `pay-as-you-go`. Empty: the project's own. */
#define MS_OPT_QUOTA "quota"
/** Comma-separated tags sent with every request, for the service's observation pages. */
#define MS_OPT_TAGS "tags"
/** Trace that requests belong to, as W3C Trace Context writes it: `00-TRACE-SPAN-FLAGS`. It is sent as header `traceparent` with every request and told in logs and errors (`trace_parent` of `ms_error_json`). Set for a session, it is for planning, refreshing and reading it; set for a split or scan, for its requests. */
#define MS_OPT_TRACE_PARENT "trace.parent"
/** Name of the engine; put before the library's own user agent. */
#define MS_OPT_USER_AGENT "user_agent"
/** Version of the Storage API. `auto`: version 1, or 2 for what only the later ones have (changes, results of instances, previews); if the service does not know that version, the next one, which is then remembered for its endpoint. A number: that version or none. */
#define MS_OPT_PROTOCOL "protocol"
/** How long one attempt to connect, TLS included, may take. */
#define MS_OPT_CONNECT_TIMEOUT_MS "connect_timeout_ms"
/** How long a peer may send nothing before the attempt fails. */
#define MS_OPT_READ_IDLE_TIMEOUT_MS "read_idle_timeout_ms"
/** PEM file with certificate authorities to trust besides those of the system. */
#define MS_OPT_TLS_CA_FILE "tls.ca_file"
/** Text of a PEM file with certificate authorities to trust besides those of the system and of `tls.ca_file`. */
#define MS_OPT_TLS_CA_PEM "tls.ca_pem"
/** Whether the certificate of the service is checked. Switch off for tests only. */
#define MS_OPT_TLS_VERIFY "tls.verify"
/** Proxy for all requests, for example `http://proxy:3128`. May contain a password, so it is never shown. */
#define MS_OPT_PROXY "proxy"
/** Comma-separated hosts, domains and networks that are reached without `proxy`, for example `.internal, 10.0.0.0/8`. */
#define MS_OPT_NO_PROXY "no_proxy"
/** IP address of this machine from which connections are made, for a machine that has several; hosts are then reached by addresses of its family only. Empty: the system chooses. */
#define MS_OPT_LOCAL_ADDRESS "local_address"
/** Idle connections kept per host. */
#define MS_OPT_HTTP_MAX_IDLE_CONNECTIONS "http.max_idle_connections"
/** AccessKey ID. */
#define MS_OPT_ACCESS_KEY_ID "access_key_id"
/** AccessKey secret. */
#define MS_OPT_ACCESS_KEY_SECRET "access_key_secret"
/** STS token that belongs to a temporary AccessKey. */
#define MS_OPT_SECURITY_TOKEN "security_token"
/** Bearer token, in place of an AccessKey. It signs nothing: use it over TLS only. */
#define MS_OPT_BEARER_TOKEN "bearer_token"
/** Where the credentials come from: these options, the variables of the SDKs, a profile of theirs, the metadata service of the machine, a role, an OpenID Connect token, a program, or a service of the host at an address. See docs/identity.md. */
#define MS_OPT_CREDENTIALS "credentials"
/** How long one attempt to get credentials may take. */
#define MS_OPT_CREDENTIALS_TIMEOUT_MS "credentials.timeout_ms"
/** Name of the profile, for `profile`. Empty: the current one of the command line tool, or `default`. */
#define MS_OPT_CREDENTIALS_PROFILE "credentials.profile"
/** File with profiles, for `profile`. Empty: `~/.aliyun/config.json`, `~/.alibabacloud/credentials`, `~/.alibabacloud/credentials.ini`, the first that has the profile. */
#define MS_OPT_CREDENTIALS_FILE "credentials.file"
/** Program and its arguments, for `process`; no shell reads it. It prints a JSON object with AccessKeyId, AccessKeySecret, SecurityToken and Expiration. May contain a password, so it is never shown. */
#define MS_OPT_CREDENTIALS_PROCESS "credentials.process"
/** URL, http or https, for `uri`. A GET of it answers a JSON object with AccessKeyId, AccessKeySecret, SecurityToken and Expiration, and with a Code that is `Success` if there is one. May contain a password or a key, so it is never shown. */
#define MS_OPT_CREDENTIALS_URI "credentials.uri"
/** RAM role of the machine, for `ecs_ram_role`. Empty: the metadata service is asked. */
#define MS_OPT_ECS_ROLE_NAME "ecs.role_name"
/** Metadata service of the machine. */
#define MS_OPT_ECS_METADATA_ENDPOINT "ecs.metadata_endpoint"
/** Whether the metadata service is asked in its hardened mode only. Else a service that gives no session token is asked without one. */
#define MS_OPT_ECS_TOKEN_REQUIRED "ecs.token_required"
/** Role to assume, for `ram_role_arn` and `oidc`. */
#define MS_OPT_ROLE_ARN "role.arn"
/** Whose credentials assume the role, for `ram_role_arn`. */
#define MS_OPT_ROLE_SOURCE "role.source"
/** Name of the role's session, as it is seen in audits. */
#define MS_OPT_ROLE_SESSION_NAME "role.session_name"
/** How long the credentials of a role last. */
#define MS_OPT_ROLE_DURATION_SECONDS "role.duration_seconds"
/** Policy that narrows the role's rights. */
#define MS_OPT_ROLE_POLICY "role.policy"
/** External id that the role's trust policy asks for. */
#define MS_OPT_ROLE_EXTERNAL_ID "role.external_id"
/** Endpoint of the Security Token Service. Empty: that of `region`, or `https://sts.aliyuncs.com`. */
#define MS_OPT_STS_ENDPOINT "sts.endpoint"
/** OpenID Connect provider, for `oidc`. */
#define MS_OPT_OIDC_PROVIDER_ARN "oidc.provider_arn"
/** File with the OpenID Connect token, for `oidc`; read anew for each refresh. */
#define MS_OPT_OIDC_TOKEN_FILE "oidc.token_file"
/** Version of the request signature. `auto`: v4 if `region` is set, else v2. */
#define MS_OPT_SIGNATURE "signature"
/** Region id for signature v4, for example `cn-hangzhou`. */
#define MS_OPT_REGION "region"
/** AccessKey ID of the application account, for dual authentication. */
#define MS_OPT_APP_ID "app.id"
/** AccessKey secret of the application account. */
#define MS_OPT_APP_SECRET "app.secret"
/** How many times a request is made, the first one included. */
#define MS_OPT_RETRY_MAX_ATTEMPTS "retry.max_attempts"
/** Upper bound of the random wait before the second attempt; doubles with every further one. */
#define MS_OPT_RETRY_INITIAL_BACKOFF_MS "retry.initial_backoff_ms"
/** Upper bound of any wait, also of one the service asks for. */
#define MS_OPT_RETRY_MAX_BACKOFF_MS "retry.max_backoff_ms"
/** No further attempt starts this long after the first one. */
#define MS_OPT_RETRY_BUDGET_MS "retry.budget_ms"
/** Requests for rows that the client has under way at the same time, over all its splits and scans; 0 means as many as the service bears. A request whose rows the engine does not take does not count while it waits. */
#define MS_OPT_LIMITS_CONCURRENT_REQUESTS "limits.concurrent_requests"
/** Memory for the batches of all splits and scans of the client, those that the engine has not released yet included; 0 means no limit. While it is used up, readers leave the network alone; one that the engine may be waiting for gets one batch beyond it (docs/memory.md). */
#define MS_OPT_LIMITS_MEMORY_BYTES "limits.memory_bytes"
/** How long a reader that the engine may be waiting for is refused memory by the host's hooks, without getting any, before it fails with `MS_RESOURCE_EXHAUSTED`. */
#define MS_OPT_LIMITS_MEMORY_WAIT_MS "limits.memory_wait_ms"
/** Threads for network and decoding. One set per process: the first client decides. */
#define MS_OPT_RUNTIME_WORKER_THREADS "runtime.worker_threads"
/** What the names of these threads begin with; their numbers follow, and Linux shows 15 characters in all. The first client decides. */
#define MS_OPT_RUNTIME_THREAD_NAME "runtime.thread_name"
/** Stack of each of these threads; they take what they use of it. The first client decides. */
#define MS_OPT_RUNTIME_STACK_BYTES "runtime.stack_bytes"
/** Table to read: `TABLE`, `PROJECT.TABLE` or `PROJECT.SCHEMA.TABLE`. Required, unless `instance` is set. */
#define MS_OPT_TABLE "table"
/** Id of an SQL instance of `project` whose result is read, in place of a table: all its rows, `split.rows` of them per split. */
#define MS_OPT_INSTANCE "instance"
/** Data columns to read. With neither list set: all data columns, then all partition columns. Among read options: the columns of this split or scan, in the order of the session; versions 2 and 3 of the Storage API then send no others, for version 1 the library drops them. */
#define MS_OPT_COLUMNS "columns"
/** Partition columns to read, after the data columns. Only one list set: only those columns. Among read options as `columns`. */
#define MS_OPT_PARTITION_COLUMNS "partition_columns"
/** Partitions to read, each `key=value/key=value`; leading keys alone select all below. None: all partitions. */
#define MS_OPT_PARTITIONS "partitions"
/** Buckets of a clustered table to read, as numbers. None: all buckets. */
#define MS_OPT_BUCKET_IDS "bucket_ids"
/** How the table is cut: by stored bytes, into a number of splits, by rows, or by bucket. */
#define MS_OPT_SPLIT_MODE "split.mode"
/** Stored bytes per split, for mode `size`. The service has a lower limit (10 MiB). */
#define MS_OPT_SPLIT_SIZE_BYTES "split.size_bytes"
/** Wanted number of splits, for mode `parallelism`. */
#define MS_OPT_SPLIT_PARALLELISM "split.parallelism"
/** Rows per split, for mode `row_offset`; the last split may have fewer. */
#define MS_OPT_SPLIT_ROWS "split.rows"
/** Upper limit of files per split; 0 means none. */
#define MS_OPT_SPLIT_MAX_FILES "split.max_files"
/** Whether one split may hold rows of several partitions. */
#define MS_OPT_SPLIT_CROSS_PARTITION "split.cross_partition"
/** Predicate in the text form of the service. It skips data: rows that do not match may still arrive. */
#define MS_OPT_FILTER_TEXT "filter.text"
/** Whether the service may ignore a predicate it does not support, instead of refusing it. */
#define MS_OPT_FILTER_FALLBACK "filter.fallback"
/** Whether the library evaluates the filter itself, so that only rows arrive for which it is true. Columns that only the filter needs are read and not delivered. */
#define MS_OPT_FILTER_EXACT "filter.exact"
/** Reads changes of a Delta table in place of its rows, if this or another `incremental.` key is set: `append` the rows that were changed and are still there, `cdc` every change, if the table captures them. System columns tell which. Versions 2 and 3 of the Storage API have it; `split.mode` is then `bucket` unless it is set. */
#define MS_OPT_INCREMENTAL_MODE "incremental.mode"
/** Version of the table after which changes count. Without a start: all changes. */
#define MS_OPT_INCREMENTAL_START_VERSION "incremental.start_version"
/** Last version whose changes count. Without an end: the newest. */
#define MS_OPT_INCREMENTAL_END_VERSION "incremental.end_version"
/** Time after which changes count, in place of a version, for example `2024-01-01 00:00:00`. */
#define MS_OPT_INCREMENTAL_START_TIMESTAMP "incremental.start_timestamp"
/** Last time whose changes count, in place of a version. */
#define MS_OPT_INCREMENTAL_END_TIMESTAMP "incremental.end_timestamp"
/** Whether the plan should estimate rows and bytes. Versions 2 and 3 of the Storage API always do. */
#define MS_OPT_ESTIMATE_STATISTICS "estimate_statistics"
/** Partitions that one session at the service reads. A longer list in `partitions` is planned by several, which the caller sees as one. */
#define MS_OPT_PLAN_PARTITIONS_PER_SESSION "plan.partitions_per_session"
/** Sessions at the service that are planned at the same time. */
#define MS_OPT_PLAN_CONCURRENCY "plan.concurrency"
/** What opening a session waits for: the whole plan, or, with `first`, the columns and the first splits, where the partitions are planned by several sessions. The others are planned meanwhile, and numbered as they become known: ms_session_more_splits waits for them, and a scan takes them up by itself. */
#define MS_OPT_PLAN_WAIT "plan.wait"
/** How long planning may take: that of all parts of a plan together, with all requests and retries, also what goes on after opening with plan.wait=first. */
#define MS_OPT_PLAN_TIMEOUT_MS "plan_timeout_ms"
/** Arrow unit of TIMESTAMP and TIMESTAMP_NTZ. */
#define MS_OPT_TYPES_TIMESTAMP_UNIT "types.timestamp_unit"
/** Arrow unit of DATETIME. */
#define MS_OPT_TYPES_DATETIME_UNIT "types.datetime_unit"
/** What happens to a timestamp or interval that arrives as seconds and nanoseconds and does not fit its Arrow type: reading fails with `MS_VALUE_OUT_OF_RANGE`, it becomes NULL, or the nearest value there is. See docs/types.md for this and the options that follow. */
#define MS_OPT_TYPES_TIMESTAMP_OVERFLOW "types.timestamp_overflow"
/** How DECIMAL is delivered: with its precision and scale, all as decimal128(38,18), or as text with every digit of the scale. A value that would lose a digit is `MS_VALUE_OUT_OF_RANGE`. */
#define MS_OPT_TYPES_DECIMAL "types.decimal"
/** What happens to blanks at the end of CHAR: they stay as they arrive, go, or fill the value up to its length. */
#define MS_OPT_TYPES_CHAR_PADDING "types.char_padding"
/** What happens to a key that a MAP has more than once: all entries stay, the value of the last one stays in the place of the first, or reading fails with `MS_VALUE_OUT_OF_RANGE`. */
#define MS_OPT_TYPES_MAP_DUPLICATE_KEYS "types.map_duplicate_keys"
/** Whether strings and binary values, at every depth, are delivered as Arrow views (Utf8View, BinaryView). */
#define MS_OPT_TYPES_STRING_VIEW "types.string_view"
/** Whether strings, binary values and lists, at every depth, are delivered with 64-bit offsets (LargeUtf8, LargeBinary, LargeList). Not together with `types.string_view`: views have no offsets. */
#define MS_OPT_TYPES_LARGE_OFFSETS "types.large_offsets"
/** Columns of strings that are delivered as Arrow dictionaries: a 32-bit key for each row, and in each batch each of its values once. `*` stands for all columns of type STRING, VARCHAR, CHAR and JSON. */
#define MS_OPT_TYPES_DICTIONARY "types.dictionary"
/** Time zone that the Arrow types of TIMESTAMP and DATETIME name: a name of the time zone database, for example `Asia/Shanghai`, or an offset such as `+08:00`. The values are the same instants whatever it is; TIMESTAMP_NTZ has no zone. */
#define MS_OPT_TYPES_TIME_ZONE "types.time_zone"
/** Upper limit of rows per batch. The service is asked for 20000 at most, and may send fewer. */
#define MS_OPT_READ_BATCH_ROWS "read.batch_rows"
/** Upper limit of uncompressed bytes per batch; 0 means none. */
#define MS_OPT_READ_BATCH_BYTES "read.batch_bytes"
/** Compression on the wire: version 1 of the Storage API compresses the buffers inside of batches, versions 2 and 3 the stream as a whole. */
#define MS_OPT_READ_COMPRESSION "read.compression"
/** Batches that may wait for the engine before the network is held back; per request for a scan. */
#define MS_OPT_READ_PREFETCH_BATCHES "read.prefetch_batches"
/** Bytes of batches that may wait for the engine before the network is held back: of one split, or of a scan over all its splits. One batch may always wait. */
#define MS_OPT_READ_PREFETCH_BYTES "read.prefetch_bytes"
/** Rows at the start of a split to leave out, for example what ms_split_rows_delivered of an earlier reader says: this one then delivers exactly the rest. For ms_split_open only. */
#define MS_OPT_READ_START_ROW "read.start_row"
/** Rows of a split to deliver at most. Without it: all. For ms_split_open only. */
#define MS_OPT_READ_ROW_COUNT "read.row_count"
/** Whether batches have a number of rows and no columns. Without a filter, splits of a session with `split.mode=row_offset` are then counted by their addresses, without a request; else versions 2 and 3 of the Storage API are asked for the narrowest column of the session, and version 1 for all of them. */
#define MS_OPT_READ_ROW_COUNT_ONLY "read.row_count_only"
/** Who of the reads of a client gets a free slot first, where requests wait for one (`limits.concurrent_requests`, or refusals of the service): the highest number, and among equals the read that has the fewest. Every eighth slot that passes over lower numbers goes to the request of them that has waited longest, so none waits for ever. Requests under way are not interrupted. */
#define MS_OPT_READ_PRIORITY "read.priority"
/** Requests by which one split of a session with `split.mode=row_offset` is read at the same time; its rows keep their order. A scan cuts its splits likewise, and has `scan.concurrency` requests altogether. Other sessions have one request per split. */
#define MS_OPT_READ_REQUESTS_PER_SPLIT "read.requests_per_split"
/** Rows per request where a split is read by several; 0 means 16 batches (`read.batch_rows`) if `read.requests_per_split` is above 1, else the whole split. */
#define MS_OPT_READ_REQUEST_ROWS "read.request_rows"
/** Requests that a scan has under way at the same time. */
#define MS_OPT_SCAN_CONCURRENCY "scan.concurrency"
/** Rows that a scan delivers at most, whichever come first, with `scan.ordered` the first ones; then it ends, and nothing more is read. 0 means all. For a few rows lower `scan.concurrency` as well: as many requests begin before the first row is there. For ms_scan_open and ms_session_export_stream only. */
#define MS_OPT_SCAN_ROW_LIMIT "scan.row_limit"
/** Whether a scan delivers the batches of one split after those of the other, by their numbers. Else they come as they arrive. */
#define MS_OPT_SCAN_ORDERED "scan.ordered"
/** Forces a panic inside the named call or in the background reader, so that a host can test that it is contained. */
#define MS_OPT_DEBUG_PANIC "debug.panic"


/**
 * Reading without blocking: ms_split_try_next_batch, ms_scan_try_next_batch, wakers and descriptors.
 */
#define MS_FEATURE_POLLING 1

/**
 * ms_scan: all splits of a session by one handle.
 */
#define MS_FEATURE_SCANS 2

/**
 * Filters as objects: ms_predicate.
 */
#define MS_FEATURE_PREDICATES 4

/**
 * Filters for reads that are open: ms_split_add_filter, ms_scan_add_filter.
 */
#define MS_FEATURE_LATE_FILTERS 8

/**
 * Filters as Substrait messages: ms_predicate_from_substrait.
 */
#define MS_FEATURE_SUBSTRAIT 16

/**
 * Projects, tables, partitions and previews: ms_tables and its kind.
 */
#define MS_FEATURE_CATALOGUE 32

/**
 * ms_client_diagnose and ms_session_explain.
 */
#define MS_FEATURE_DIAGNOSIS 64

/**
 * ms_cancel: ends planning, the catalogue and whole queries, also by a deadline and from a signal handler.
 */
#define MS_FEATURE_CANCEL_OBJECTS 128

/**
 * Credentials from the host: ms_options_set_credentials_provider.
 */
#define MS_FEATURE_CREDENTIALS_PROVIDER 256

/**
 * The host accounts for memory: ms_options_set_memory_hooks.
 */
#define MS_FEATURE_MEMORY_HOOKS 512

/**
 * The host provides memory: ms_options_set_allocator.
 */
#define MS_FEATURE_ALLOCATOR 1024

/**
 * The host decides about attempts: ms_options_set_retry_hook.
 */
#define MS_FEATURE_RETRY_HOOK 2048

/**
 * The host is called on the threads of the library: ms_options_set_thread_hooks.
 */
#define MS_FEATURE_THREAD_HOOKS 4096

/**
 * Scans as asynchronous streams of the Arrow C device interface: ms_scan_export_async.
 */
#define MS_FEATURE_ASYNC_STREAM 8192

/**
 * Sessions as JSON: ms_session_serialize_json.
 */
#define MS_FEATURE_SESSION_JSON 16384

/**
 * The figures of all reads of a session: ms_session_metrics.
 */
#define MS_FEATURE_SESSION_METRICS 32768

/**
 * Copies into columns of the engine: ms_column_copy_values and its kind.
 */
#define MS_FEATURE_COLUMN_COPIES 65536

/**
 * ms_split_all_requested and ms_scan_all_requested.
 */
#define MS_FEATURE_ALL_REQUESTED 131072

/**
 * ms_split_set_batch_limits and ms_scan_set_batch_limits.
 */
#define MS_FEATURE_BATCH_LIMITS 262144

/**
 * The host is told of the end of each read: ms_options_set_read_end_callback.
 */
#define MS_FEATURE_READ_END_CALLBACK 524288

/**
 * Versions 2 and 3 of the Storage API (the option protocol).
 */
#define MS_FEATURE_PROTOCOL_2 1048576

/**
 * Strings as dictionaries (the option types.dictionary).
 */
#define MS_FEATURE_DICTIONARIES 2097152

/**
 * Instants whose types name another time zone than UTC (the option types.time_zone).
 */
#define MS_FEATURE_TIME_ZONE 4194304

/**
 * Splits while others are planned (the option plan.wait): ms_session_more_splits, ms_session_try_more_splits.
 */
#define MS_FEATURE_MORE_SPLITS 8388608

/**
 * The host is told of each request as a span: ms_options_set_span_callback.
 */
#define MS_FEATURE_SPANS 16777216

/**
 * Single splits as tokens: ms_session_serialize_split.
 */
#define MS_FEATURE_SPLIT_TOKENS 33554432

/**
 * Number of the ABI; the soname ends in it. It changes when an existing function, constant or rule does.
 */
#define MS_ABI_VERSION 0

/**
 * A sequence of bytes owned by the library, for example a session token.
 */
typedef struct ms_bytes ms_bytes;

/**
 * Ends calls that plan, refresh or list, by ms_cancel_now or at a deadline, and reads that were added to it: one object may be given to all
 * of a query. They end within 50 ms, whatever the service or the network does.
 */
typedef struct ms_cancel ms_cancel;

/**
 * An endpoint, a caller, a quota, and the limits shared by everything opened through it.
 */
typedef struct ms_client ms_client;

/**
 * What a credentials provider fills in: the form of an answer. It belongs to the library and exists during the call of the
 * provider only.
 */
typedef struct ms_credentials ms_credentials;

/**
 * A failure: a status for programs, a sentence for people, the request id for support.
 */
typedef struct ms_error ms_error;

/**
 * Figures of a client, a session or a reader at one moment.
 */
typedef struct ms_metrics ms_metrics;

/**
 * Settings: UTF-8 keys and values. One object may serve a client, a session and a split: each call reads its own keys.
 */
typedef struct ms_options ms_options;

/**
 * A condition on rows, as a tree of typed comparisons: true, false or unknown for each row. Never changes; parts of a tree are
 * shared, not copied.
 */
typedef struct ms_predicate ms_predicate;

/**
 * An open scan over all splits of a session. Any number of threads may pull batches from it.
 */
typedef struct ms_scan ms_scan;

/**
 * One planned read of one table, or of one result: columns, partitions, filter, snapshot, a list of splits. Never changes, but for the number of
 * splits that are known while a session of plan.wait=first is being planned: it grows.
 */
typedef struct ms_session ms_session;

/**
 * A request to the service that is over. It belongs to the library and exists during a call of ms_span_callback only.
 */
typedef struct ms_span ms_span;

/**
 * An open reader over one split of a session. One thread at a time pulls batches from it.
 */
typedef struct ms_split ms_split;

/**
 * Facts and estimates about one split of a session.
 */
typedef struct ms_split_info ms_split_info;

/**
 * Result of a call: 0 for success, 1 for "not ready yet", 100 and above for failures.
 */
typedef int32_t ms_status;

/**
 * Receives one record of the log. `level` is 1 error, 2 warning, 3 info, 4 debug or 5 trace; the texts are valid during
 * the call only. It is called from any thread, several at once, must not throw, and must not call the library.
 */
typedef void (*ms_log_callback)(void *context, int32_t level, const char *target, const char *message);

/**
 * Provides `bytes` of memory at a multiple of `alignment`, a power of two; NULL if it has none. It is called from threads of the library,
 * several at once, must return soon, must not throw, must not call the library, and must take no lock under which an Arrow batch is released.
 */
typedef void *(*ms_allocate)(void *context, size_t bytes, size_t alignment);

/**
 * Takes memory back, with the size and the alignment that it was asked for. It is called from any thread, also from the one that releases
 * an Arrow batch, must return soon, must not throw, and must not call the library.
 */
typedef void (*ms_deallocate)(void *context, void *memory, size_t bytes, size_t alignment);

/**
 * Supplies credentials: fills `out_credentials` and returns MS_OK, or returns a failure, for example MS_UNAVAILABLE to be asked again
 * under the retry options. It is called from a thread of the library, may block for credentials.timeout_ms, must not throw, and must
 * call nothing of the library but ms_credentials_set_access_key and its siblings. A client calls it from one thread at a time.
 */
typedef ms_status (*ms_credentials_provider)(void *context, ms_credentials *out_credentials);

/**
 * Told once that a context is not used any more. Called from any thread; must not throw and must not call the library.
 */
typedef void (*ms_release_callback)(void *context);

/**
 * Whether the host lets the library allocate `bytes` more. False holds readers back until memory comes back. It is called from threads of
 * the library, several at once, must return soon, must not throw, and must not call the library.
 */
typedef bool (*ms_memory_reserve)(void *context, size_t bytes);

/**
 * Takes note that `bytes` which were reserved are free again. It is called from any thread, also from the one that releases an Arrow batch,
 * must return soon, must not throw, and must not call the library.
 */
typedef void (*ms_memory_release)(void *context, size_t bytes);

/**
 * Told of the end of a read. split is the number of the split that was read, -1 for a scan. outcome is MS_OK if everything was handed out, the end included,
 * MS_CANCELLED if the read was cancelled or freed before its end, else the status of its failure. metrics are its final figures, as those of
 * ms_split_metrics and ms_scan_metrics; they belong to the library and exist during the call only. It is called by the thread that ends the
 * read, several at once for several reads, must return soon, must not throw, and must call nothing of the library but the functions that read
 * metrics.
 */
typedef void (*ms_read_end_callback)(void *context, int64_t split, ms_status outcome, const ms_metrics *metrics);

/**
 * Decides after a request that failed and that the library would make again: returns how many milliseconds to wait before the next attempt, for
 * example planned_delay_ms, or less than 0 to give up with this failure. error tells code, sentence, code of the service, HTTP status and, by
 * ms_error_attempts, the number of the attempt; it belongs to the library and exists during the call only. elapsed_ms counts from the first
 * attempt, from the last one that brought rows, or from the last refusal for too many requests while others of the client went on, which is no
 * failed attempt. It is called from threads of the library, several at once, must return soon, must not throw, and must call nothing of the
 * library but the functions that read an error.
 */
typedef int64_t (*ms_retry_hook)(void *context, const ms_error *error, int64_t elapsed_ms, int64_t planned_delay_ms);

/**
 * Told of a request to the service that is over, as a span of the caller's trace; docs/tracing.md lists what a span has. It is called once for
 * each request, from any thread, several at once, also from one that frees or cancels; it must return soon, must not throw, and must call
 * nothing of the library but the functions that read a span.
 */
typedef void (*ms_span_callback)(void *context, const ms_span *span);

/**
 * Called on a thread of the library: sets its affinity or its priority, attaches it to a virtual machine, registers it. It must return soon, must
 * not throw, and must not call the library.
 */
typedef void (*ms_thread_hook)(void *context);

/**
 * How ms_predicate_compare compares: one of the MS_COMPARE_ constants.
 */
typedef int32_t ms_compare_op;

/**
 * Called when a split or a scan becomes ready. It must return soon, must not throw, and must not call the library, except for
 * ms_split_cancel, ms_scan_cancel and ms_cancel_now.
 */
typedef void (*ms_wake_callback)(void *context);

/**
 * Success.
 */
#define MS_OK 0

/**
 * Nothing is ready yet, and nothing failed.
 */
#define MS_PENDING 1

/**
 * An argument of the call, or a value in the request, is wrong.
 */
#define MS_INVALID_ARGUMENT 100

/**
 * An option has an unknown key or a bad value, or a required option is missing.
 */
#define MS_INVALID_OPTION 101

/**
 * Another thread is inside a call on this handle.
 */
#define MS_BUSY 102

/**
 * The call is not possible in the present state, for example from inside a callback.
 */
#define MS_WRONG_STATE 103

/**
 * The feature is part of the interface but not of this version or deployment.
 */
#define MS_UNSUPPORTED 104

/**
 * The handle was made in the parent process before fork.
 */
#define MS_FORKED 105

/**
 * The service does not accept the credentials, the signature or the clock.
 */
#define MS_UNAUTHENTICATED 200

/**
 * The caller is known but not allowed to do this.
 */
#define MS_PERMISSION_DENIED 201

/**
 * The caller may not use the quota that the options name.
 */
#define MS_QUOTA_DENIED 202

/**
 * A project, schema, table, partition or column does not exist.
 */
#define MS_NOT_FOUND 300

/**
 * The thing to be made exists already.
 */
#define MS_ALREADY_EXISTS 301

/**
 * The session is unknown to the service or its life is over.
 */
#define MS_SESSION_EXPIRED 302

/**
 * The table was dropped or changed while it was being read.
 */
#define MS_TABLE_CHANGED 303

/**
 * External tables and logical views cannot be read through the Storage API.
 */
#define MS_TABLE_KIND_UNSUPPORTED 304

/**
 * The service could not answer for the moment.
 */
#define MS_UNAVAILABLE 400

/**
 * The service refused the request because too many are running.
 */
#define MS_THROTTLED 401

/**
 * Nothing arrived for the time that the options allow.
 */
#define MS_TIMEOUT 402

/**
 * The connection could not be made, or broke.
 */
#define MS_CONNECTION 403

/**
 * A limit of this process was reached, for example its memory or its threads.
 */
#define MS_RESOURCE_EXHAUSTED 404

/**
 * The data that arrived is incomplete or malformed.
 */
#define MS_CORRUPT_DATA 500

/**
 * The data that arrived does not have the schema of the session.
 */
#define MS_SCHEMA_MISMATCH 501

/**
 * A value does not fit the type that was asked for.
 */
#define MS_VALUE_OUT_OF_RANGE 502

/**
 * Another writer committed first.
 */
#define MS_COMMIT_CONFLICT 503

/**
 * It is not known whether the commit took effect.
 */
#define MS_COMMIT_UNKNOWN 504

/**
 * The handle was cancelled.
 */
#define MS_CANCELLED 600

/**
 * The deadline of the call passed.
 */
#define MS_DEADLINE_EXCEEDED 601

/**
 * A defect of this library; the handle cannot be used any more.
 */
#define MS_INTERNAL 900

/**
 * Equal.
 */
#define MS_COMPARE_EQ 0

/**
 * Not equal.
 */
#define MS_COMPARE_NE 1

/**
 * Less.
 */
#define MS_COMPARE_LT 2

/**
 * Less or equal.
 */
#define MS_COMPARE_LE 3

/**
 * Greater.
 */
#define MS_COMPARE_GT 4

/**
 * Greater or equal.
 */
#define MS_COMPARE_GE 5

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * What the library can do at run time: a bit for each MS_FEATURE_ constant. A program that was built with a newer header asks before it looks
 * up a function, and one that may run without a feature asks before it relies on it. Bits are only added, and none changes its meaning; those
 * that a program does not know are features that it does not need. What is no feature of its own goes by ms_version.
 * @return the bits.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API
uint64_t ms_features(void);

/**
 * The version of the library at run time.
 * @return static text such as "0.1.0"; compare with MS_VERSION, which is the header's.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API const char *ms_version(void);

/**
 * The ABI version of the library at run time.
 * @return MS_ABI_VERSION of the header the library was built with; a program must not go on if it differs from its own.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API int32_t ms_abi_version(void);

/**
 * How the library was built: version, target and profile, for bug reports.
 * @return static text.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API const char *ms_build_info(void);

/**
 * The name of a status constant.
 * @param[in] status any number.
 * @return static text such as "MS_NOT_FOUND"; "MS_UNKNOWN" for numbers that this version does not know.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API const char *ms_status_name(ms_status status);

/**
 * How many handles of all kinds the process holds: a leak check for tests of the host. Arrow structs are not counted.
 * @return the number.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API int64_t ms_live_handles(void);

/**
 * Ends the threads of the library. Needed only by hosts that must see them gone, for example before unloading a
 * plugin; a later ms_client_open starts them again. Batches that were handed out stay valid.
 * @param[in] timeout_ms how long to wait; 0 or more.
 * @return MS_OK when no thread of the library is left; MS_WRONG_STATE while clients, sessions or splits are open;
 * MS_TIMEOUT if a thread takes longer.
 * Thread: any but the library's own. Blocking: until the threads have ended, at most `timeout_ms`.
 * @since 0.1
 */
MS_API MS_NODISCARD ms_status ms_shutdown(int64_t timeout_ms);

/**
 * Ends all calls of functions of the host, for as long as the process lives: log, wakers, ends of reads, spans, credentials providers, memory hooks, allocators, thread
 * and retry hooks, releases of
 * contexts. For hosts whose functions cannot be called any more while the process still ends, as those of interpreters. Reads that need
 * such a function fail then: no memory is reserved any more, no credentials come. In a child made by fork it does nothing.
 * @return MS_OK when no function of the host is running or will be called again; MS_WRONG_STATE from inside a callback.
 * Thread: any, but not from inside a callback. Blocking: until calls that are running have returned.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_end_callbacks(void);

/**
 * Registers the process-wide log callback in place of the former one. Without one the library logs nothing. Records
 * never contain credentials. A child made by fork starts without a callback. When the call returns, the former callback is not running and will not be called again.
 * @param[in] callback receives the records; NULL unregisters.
 * @param[in] context handed to each call; must outlive the registration; may be NULL.
 * @param[in] level most detailed level wanted, 1 to 5; 0 is the same as no callback.
 * @return MS_OK; MS_INVALID_ARGUMENT for another level; MS_WRONG_STATE from inside a callback, or if another logger of
 * the same program took the place.
 * Thread: any, but not from inside a callback. Blocking: until calls of the former callback have returned.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_set_log_callback(ms_log_callback callback,
                              void *context,
                              int32_t level);

/**
 * The status of a failure.
 * @param[in] error may be NULL.
 * @return the status of the call that made the error; MS_OK for NULL.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API ms_status ms_error_code(const ms_error *error);

/**
 * One sentence that says what went wrong and what to do about it. Never contains credentials; not made for parsing.
 * @param[in] error may be NULL.
 * @return text owned by `error`, valid until it is freed; "" for NULL.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API const char *ms_error_message(const ms_error *error);

/**
 * Whether trying again at a higher level makes sense.
 * @param[in] error may be NULL.
 * @return true for the temporary statuses (400 to 499); false for NULL.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API bool ms_error_is_retryable(const ms_error *error);

/**
 * The code the service gave, for example "NoSuchTable".
 * @param[in] error may be NULL.
 * @return text owned by `error`, valid until it is freed; "" if the service gave none, and for NULL.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API const char *ms_error_server_code(const ms_error *error);

/**
 * The request id of the answer in which the failure showed: give it to the service's support.
 * @param[in] error may be NULL.
 * @return text owned by `error`, valid until it is freed; "" if no answer arrived, and for NULL.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API const char *ms_error_request_id(const ms_error *error);

/**
 * The HTTP status of the refusal.
 * @param[in] error may be NULL.
 * @return the status; 0 if the failure is not a refusal of the service, and for NULL.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API int32_t ms_error_http_status(const ms_error *error);

/**
 * How many requests were made before giving up.
 * @param[in] error may be NULL.
 * @return the number; 0 if the failure came before the first request, and for NULL.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API int32_t ms_error_attempts(const ms_error *error);

/**
 * Everything about the failure as one JSON object, for logs. Keys: code, name, message, retryable, server_code,
 * request_id, http_status, attempts, trace_parent (of the option trace.parent; "" for none),
 * earlier_attempts: how those before the last one failed, at most eight of them, oldest first, each with attempt, after_ms (since the first
 * one began), name, message, server_code, request_id, http_status.
 * @param[in] error may be NULL.
 * @return text owned by `error`, valid until it is freed; "" for NULL.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API
const char *ms_error_json(const ms_error *error);

/**
 * Frees an error and the texts borrowed from it.
 * @param[in] error may be NULL.
 * Thread: any, once, when no other call uses the handle. Blocking: no.
 * @since 0.1
 */
MS_API void ms_error_free(ms_error *error);

/**
 * Makes options with every key at its default.
 * @return the options, to be freed with ms_options_free; NULL only after a defect of the library.
 * Thread: any. Blocking: no.
 * @since 0.1
 */
MS_API MS_NODISCARD ms_options *ms_options_new(void);

/**
 * Sets the value of a key, in place of what it had. For a list the value becomes its only item.
 * @param[in] options the options.
 * @param[in] key one of the MS_OPT_ constants (docs/options.md).
 * @param[in] value copied; "" puts the key back to its default.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return MS_OK; MS_INVALID_OPTION for an unknown key (the message suggests the nearest) or a value out of range;
 * MS_UNSUPPORTED for a key of a later version; MS_INVALID_ARGUMENT for NULL or bad UTF-8; MS_BUSY.
 * Thread: one call at a time. Blocking: no.
 * @since 0.1
 */
MS_API MS_NODISCARD ms_status ms_options_set(ms_options *options, const char *key, const char *value, ms_error **err);

/**
 * Adds an item to a key that holds a list, for example a column.
 * @param[in] options the options.
 * @param[in] key one of the MS_OPT_ constants for a list.
 * @param[in] value copied; must not be "".
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return as ms_options_set; MS_INVALID_OPTION also for a key that holds one value.
 * Thread: one call at a time. Blocking: no.
 * @since 0.1
 */
MS_API MS_NODISCARD ms_status ms_options_add(ms_options *options, const char *key, const char *value, ms_error **err);

/**
 * Sets every key that is still at its default from the environment variables of the MaxCompute SDKs, for example
 * ALIBABA_CLOUD_ACCESS_KEY_ID and ODPS_ENDPOINT (docs/options.md lists them). The library reads them only here and, if
 * the option credentials says so, in ms_client_open.
 * @param[in] options the options.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return MS_OK, also if no variable exists; MS_INVALID_OPTION if one has a bad value; MS_BUSY.
 * Thread: one call at a time, and none that changes the environment. Blocking: no.
 * @since 0.1
 */
MS_API MS_NODISCARD ms_status ms_options_load_environment(ms_options *options, ms_error **err);

/**
 * Copies options.
 * @param[in] options may be NULL, which stands for all defaults.
 * @return a copy, to be freed with ms_options_free; NULL only after a defect of the library.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API MS_NODISCARD ms_options *ms_options_clone(const ms_options *options);

/**
 * Lists every option of this version. Columns: key, group, type, range, default, value (utf8), is_secret (bool) and text (utf8);
 * value is NULL for a key at its default and "***" for a secret.
 * @param[in] options whose values are shown; may be NULL, which stands for all defaults.
 * @param[out] out_stream receives a stream of one batch, to be released by the caller; released on failure.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return MS_OK; MS_INVALID_ARGUMENT for NULL.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_options_describe(const ms_options *options,
                              struct ArrowArrayStream *out_stream,
                              ms_error **err);

/**
 * Frees options.
 * @param[in] options may be NULL.
 * Thread: any, once, when no other call uses the handle. Blocking: no.
 * @since 0.1
 */
MS_API void ms_options_free(ms_options *options);

/**
 * Has the host provide the memory that rows are received in and decompressed into, so that the buffers of a batch lie there. What
 * conversions make besides (policies of types, filters, copies for alignment) lies in memory of the library. A piece is used for many batches;
 * each is given back once: when memory is short, or when its read and its batches are freed, then by a thread of the library if work for the
 * read was just under way. In a child made by fork, and after ms_end_callbacks, nothing is given back. The library fills a new piece with
 * zeros. Limits and memory hooks count these bytes as they count others; the memory hooks are asked before, and they are what holds readers
 * back: a read that is given no memory after what was kept for later was given back fails with MS_RESOURCE_EXHAUSTED, and one that is given
 * a place that is not aligned with MS_INVALID_ARGUMENT.
 * @param[in] options the options; clients opened with them, or with a clone of them, use the functions.
 * @param[in] allocate is asked; NULL, together with deallocate, for memory of the library again.
 * @param[in] deallocate is given it back.
 * @param[in] context handed to each call; must live until as many pieces came back as were given, or ms_shutdown or ms_end_callbacks has returned
 * MS_OK; may be NULL.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return MS_OK; MS_INVALID_ARGUMENT for NULL, also if only one of the functions is NULL; MS_BUSY.
 * Thread: one call at a time. Blocking: no.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_options_set_allocator(ms_options *options,
                                   ms_allocate allocate,
                                   ms_deallocate deallocate,
                                   void *context,
                                   ms_error **err);

/**
 * Has credentials supplied by a function of the host, in place of the identity options. It is called when a client first needs
 * credentials, ahead of their expiry, and once more when the service refuses them; never by ms_client_open. If it fails, the former
 * credentials serve until they expire. Copies of the options and clients opened with them share the function.
 * @param[in] options the options.
 * @param[in] callback supplies credentials; NULL goes back to the identity options.
 * @param[in] context handed to each call; may be NULL.
 * @param[in] release called with the context once nothing can call the function any more, also if this call fails; may be NULL. Not
 * called in a child made by fork.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return MS_OK; MS_INVALID_ARGUMENT for NULL; MS_BUSY.
 * Thread: one call at a time. Blocking: no.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_options_set_credentials_provider(ms_options *options,
                                              ms_credentials_provider callback,
                                              void *context,
                                              ms_release_callback release,
                                              ms_error **err);

/**
 * Fills in an AccessKey.
 * @param[in] credentials what the provider was given.
 * @param[in] access_key_id copied.
 * @param[in] access_key_secret copied; the copy is wiped when it is not needed any more.
 * @param[in] security_token the STS token of a temporary AccessKey, copied and wiped; NULL for none.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return MS_OK; MS_INVALID_ARGUMENT for NULL or bad UTF-8.
 * Thread: one call at a time, inside the provider. Blocking: no.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_credentials_set_access_key(ms_credentials *credentials,
                                        const char *access_key_id,
                                        const char *access_key_secret,
                                        const char *security_token,
                                        ms_error **err);

/**
 * Fills in a bearer token, in place of an AccessKey.
 * @param[in] credentials what the provider was given.
 * @param[in] bearer_token copied; the copy is wiped when it is not needed any more.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return MS_OK; MS_INVALID_ARGUMENT for NULL or bad UTF-8.
 * Thread: one call at a time, inside the provider. Blocking: no.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_credentials_set_bearer_token(ms_credentials *credentials,
                                          const char *bearer_token,
                                          ms_error **err);

/**
 * Says when the credentials end. They are renewed ahead of that: 15 minutes, or a quarter of what is left of their life if that is less.
 * @param[in] credentials what the provider was given.
 * @param[in] unix_ms milliseconds since 1970 in UTC; 0 or less for not known.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return MS_OK; MS_INVALID_ARGUMENT for NULL.
 * Thread: one call at a time, inside the provider. Blocking: no.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_credentials_set_expiry_ms(ms_credentials *credentials,
                                       int64_t unix_ms,
                                       ms_error **err);

/**
 * Says in a sentence why there are no credentials. It becomes part of the message of the call that needed them, and of the log: it must
 * hold no secret.
 * @param[in] credentials what the provider was given.
 * @param[in] message copied.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return MS_OK; MS_INVALID_ARGUMENT for NULL or bad UTF-8.
 * Thread: one call at a time, inside the provider. Blocking: no.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_credentials_set_error(ms_credentials *credentials,
                                   const char *message,
                                   ms_error **err);

/**
 * Has the host account for, and refuse, the memory that rows lie in. `reserve` is called before an allocation, `release` after it was
 * freed, with the same sizes; when the client, everything opened through it and all its batches are gone, the sizes add up. A refusal is
 * waited out: what is kept for later is freed, and readers go on when memory comes back (docs/memory.md). It fails a read, with
 * MS_RESOURCE_EXHAUSTED, if nothing of the client's memory is in use, or if a reader that the engine waits for got nothing for
 * limits.memory_wait_ms.
 * @param[in] options the options; clients opened with them, or with a clone of them, use the hooks.
 * @param[in] reserve is asked; NULL, together with release, for no hooks any more.
 * @param[in] release is told.
 * @param[in] context handed to each call; must live until all that was reserved was released; may be NULL.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return MS_OK; MS_INVALID_ARGUMENT for NULL, also if only one of the hooks is NULL; MS_BUSY.
 * Thread: one call at a time. Blocking: no.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_options_set_memory_hooks(ms_options *options,
                                      ms_memory_reserve reserve,
                                      ms_memory_release release,
                                      void *context,
                                      ms_error **err);

/**
 * Has the host told of the end of each read: exactly once for each split and scan that was opened, when it is freed, or when the stream that
 * it was turned into is released; before that call returns, and on the same thread. Of an asynchronous stream it is told before the handler is
 * released, on a thread of the library. Work that was under way for a read which is freed before
 * its end may still count into ms_session_metrics afterwards. A read that could not be opened, and one that is freed in a child made by
 * fork, is not told of.
 * @param[in] options the options. Those of a client hold for everything that is opened through it, those of a session in their place for its
 * reads, and those of a split or scan in place of both.
 * @param[in] callback is called; NULL for that of what is above, the session or the client, or for none there.
 * @param[in] context handed to each call; must live until all those reads are freed; may be NULL.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return MS_OK; MS_INVALID_ARGUMENT for NULL; MS_BUSY.
 * Thread: one call at a time. Blocking: no.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_options_set_read_end_callback(ms_options *options,
                                           ms_read_end_callback callback,
                                           void *context,
                                           ms_error **err);

/**
 * Has the host decide about each further attempt of a request. It is asked about temporary failures within retry.max_attempts and
 * retry.budget_ms; others are reported without asking. What it says about the wait goes beyond retry.max_backoff_ms and Retry-After, and
 * ends early when the call is cancelled or its deadline passes.
 * @param[in] options the options; clients opened with them, or with a clone of them, ask it, for all requests to the service.
 * @param[in] hook decides; NULL for the retry options alone.
 * @param[in] context handed to each call; may be NULL. A call that has begun may outlast the freeing of everything, so it must live until
 * ms_shutdown or ms_end_callbacks has returned MS_OK, or as long as the process.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return MS_OK; MS_INVALID_ARGUMENT for NULL; MS_BUSY.
 * Thread: one call at a time. Blocking: no.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_options_set_retry_hook(ms_options *options,
                                    ms_retry_hook hook,
                                    void *context,
                                    ms_error **err);

/**
 * Has the host told of each request when it is over: those that plan, read, refresh, list, and ask for the endpoint, each attempt by itself,
 * but not those for credentials. The parent of a span is that of trace.parent; without the option each request is a trace of its own. The
 * header traceparent that goes with a request names the span of the request itself, so what the service writes down about it joins up. Where
 * trace.parent says that its trace is not sampled, there are no spans, and the header goes as it is. Without a callback nothing is made for
 * spans.
 * @param[in] options the options. Those of a client hold for everything that is opened through it, those of a session in their place for it and
 * its reads, and those of a split or scan in place of both.
 * @param[in] callback is called; NULL for that of what is above, the session or the client, or for none there.
 * @param[in] context handed to each call; may be NULL. A request may outlast the freeing of everything, so it must live until ms_shutdown or
 * ms_end_callbacks has returned MS_OK, or as long as the process.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return MS_OK; MS_INVALID_ARGUMENT for NULL; MS_BUSY.
 * Thread: one call at a time. Blocking: no.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_options_set_span_callback(ms_options *options,
                                       ms_span_callback callback,
                                       void *context,
                                       ms_error **err);

/**
 * A text of a span, for example its "trace_id"; docs/tracing.md has the names.
 * @param[in] span may be NULL.
 * @param[in] name the name; may be NULL.
 * @return text owned by `span`; "" for NULL, and where the span has no such text.
 * Thread: that of the callback. Blocking: no.
 * @since 0.1
 */
MS_API const char *ms_span_text(const ms_span *span, const char *name);

/**
 * A number of a span, for example its "start_unix_ns"; docs/tracing.md has the names.
 * @param[in] span may be NULL.
 * @param[in] name the name; may be NULL.
 * @return the number; -1 for NULL, and where the span has no such number.
 * Thread: that of the callback. Blocking: no.
 * @since 0.1
 */
MS_API int64_t ms_span_number(const ms_span *span, const char *name);

/**
 * Everything that is known of a span as one JSON object, whose keys are the names of ms_span_text and ms_span_number. Keys are only added.
 * @param[in] span may be NULL.
 * @return text owned by `span`; "" for NULL.
 * Thread: that of the callback. Blocking: no.
 * @since 0.1
 */
MS_API
const char *ms_span_json(const ms_span *span);

/**
 * Has every thread of the library call functions of the host: on_start before it does anything else, on_stop when it is about to end. Threads
 * have their name by then (runtime.thread_name), and all signals blocked. As for the number of threads, the first client of a process
 * decides: hooks of later clients are not called until ms_shutdown has ended the threads.
 * @param[in] options the options; clients opened with them, or with a clone of them, have the hooks.
 * @param[in] on_start may be NULL.
 * @param[in] on_stop may be NULL; called on every thread that has called on_start, but not when the process ends, nor after
 * ms_end_callbacks.
 * @param[in] context handed to each call, several at once; must live until ms_shutdown has returned MS_OK, or as long as the process; may be
 * NULL.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return MS_OK; MS_INVALID_ARGUMENT for NULL; MS_BUSY.
 * Thread: one call at a time. Blocking: no.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_options_set_thread_hooks(ms_options *options,
                                      ms_thread_hook on_start,
                                      ms_thread_hook on_stop,
                                      void *context,
                                      ms_error **err);

/**
 * Opens a client. Checks the connection, identity, retry and limits options and starts the library's threads if they do
 * not run yet; makes no request.
 * @param[in] options copied; the caller keeps and frees it.
 * @param[out] out_client receives the client, to be freed with ms_client_free; NULL on failure.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return MS_OK; MS_INVALID_OPTION if an option is missing or options contradict each other; MS_RESOURCE_EXHAUSTED if no
 * thread can be started; MS_WRONG_STATE from inside a callback.
 * Thread: any, but not from inside a callback; with credentials=environment no other may change the environment. Blocking: no.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_client_open(const ms_options *options,
                         ms_client **out_client,
                         ms_error **err);

/**
 * A second handle of the same client, for the calls of one query: those that are made with it end with `cancel`, with MS_CANCELLED or
 * MS_DEADLINE_EXCEEDED, and so do the streams of ms_tables and its siblings when they are asked for a batch, also after the handle is freed.
 * Sessions opened with it, their splits and scans go on: they have calls of their own. Costs no request.
 * @param[in] client the client, which may itself be such a handle: its calls then end with either.
 * @param[in] cancel ends the calls; it may be freed at any time, and then ends them no more, except at the deadline that it had.
 * @param[out] out_client receives the handle, to be freed with ms_client_free; NULL on failure.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return MS_OK; MS_INVALID_ARGUMENT for NULL; MS_FORKED.
 * Thread: any, at any time, but not from inside a callback. Blocking: no.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_client_with_cancel(const ms_client *client,
                                const ms_cancel *cancel,
                                ms_client **out_client,
                                ms_error **err);

/**
 * What everything opened through a client uses now: memory, and requests under way.
 * @param[in] client the client.
 * @param[out] out_metrics receives the figures, to be freed with ms_metrics_free; NULL on failure.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return MS_OK; MS_INVALID_ARGUMENT for NULL; MS_FORKED.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API MS_NODISCARD ms_status ms_client_metrics(const ms_client *client, ms_metrics **out_metrics, ms_error **err);

/**
 * Frees a client. Sessions and splits opened through it go on.
 * @param[in] client may be NULL.
 * Thread: any, once, when no other call uses the handle. Blocking: no.
 * @since 0.1
 */
MS_API void ms_client_free(ms_client *client);

/**
 * A column compared with a literal. The literal is converted to the type of the column when a table is known, in a way that keeps
 * the meaning: for an INT column, `< 3.5` becomes `< 4`, and `= 3.5` is never true (docs/predicates.md).
 * @param[in] column copied; a name, or names with dots in between for a field of a struct; odd names in back-quotes. Case does not
 * matter.
 * @param[in] op one of the MS_COMPARE_ constants.
 * @param[in] schema the type of the literal; stays with the caller.
 * @param[in] array the literal: an array of length 1, whose value may be NULL. Consumed, on success and on failure alike.
 * @param[out] out_predicate receives the predicate, to be freed with ms_predicate_free; NULL on failure.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return MS_OK; MS_INVALID_ARGUMENT for NULL, a bad name, an unknown op, another length, or an array that is malformed;
 * MS_UNSUPPORTED for an Arrow type that is no literal.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_predicate_compare(const char *column,
                               ms_compare_op op,
                               const struct ArrowSchema *schema,
                               struct ArrowArray *array,
                               ms_predicate **out_predicate,
                               ms_error **err);

/**
 * Whether a column is one of some literals, or none of them. With a NULL among them, IN is true or unknown and NOT IN never true;
 * IN of nothing is false and NOT IN of nothing true.
 * @param[in] column as for ms_predicate_compare.
 * @param[in] negated true for NOT IN.
 * @param[in] schema the type of the literals; stays with the caller.
 * @param[in] array the literals, any number. Consumed, on success and on failure alike.
 * @param[out] out_predicate receives the predicate, to be freed with ms_predicate_free; NULL on failure.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return as ms_predicate_compare, but any length will do.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_predicate_in(const char *column,
                          bool negated,
                          const struct ArrowSchema *schema,
                          struct ArrowArray *array,
                          ms_predicate **out_predicate,
                          ms_error **err);

/**
 * Whether a column is NULL, or is not.
 * @param[in] column as for ms_predicate_compare.
 * @param[in] negated true for IS NOT NULL.
 * @param[out] out_predicate receives the predicate, to be freed with ms_predicate_free; NULL on failure.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return MS_OK; MS_INVALID_ARGUMENT for NULL and for a bad name.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_predicate_is_null(const char *column,
                               bool negated,
                               ms_predicate **out_predicate,
                               ms_error **err);

/**
 * All of some predicates.
 * @param[in] operands pointers to predicates, which are shared: they stay with the caller and may be freed at once.
 * @param[in] count number of them, at least one.
 * @param[out] out_predicate receives the predicate, to be freed with ms_predicate_free; NULL on failure.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return MS_OK; MS_INVALID_ARGUMENT for NULL, for no operands, and for a tree of more than 256 levels or 262,144 nodes.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_predicate_and(const ms_predicate *const *operands,
                           size_t count,
                           ms_predicate **out_predicate,
                           ms_error **err);

/**
 * Any of some predicates.
 * @param[in] operands as for ms_predicate_and.
 * @param[in] count number of them, at least one.
 * @param[out] out_predicate receives the predicate, to be freed with ms_predicate_free; NULL on failure.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return as ms_predicate_and.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_predicate_or(const ms_predicate *const *operands,
                          size_t count,
                          ms_predicate **out_predicate,
                          ms_error **err);

/**
 * The opposite of a predicate; unknown stays unknown.
 * @param[in] operand shared: it stays with the caller and may be freed at once.
 * @param[out] out_predicate receives the predicate, to be freed with ms_predicate_free; NULL on failure.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return MS_OK; MS_INVALID_ARGUMENT for NULL and for a tree of more than 256 levels.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_predicate_not(const ms_predicate *operand,
                           ms_predicate **out_predicate,
                           ms_error **err);

/**
 * Reads a predicate in the text form of the service (docs/predicates.md has the grammar).
 * @param[in] predicate_text copied.
 * @param[out] out_predicate receives the predicate, to be freed with ms_predicate_free; NULL on failure.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return MS_OK; MS_INVALID_ARGUMENT for NULL, bad UTF-8 and text that is no predicate; MS_UNSUPPORTED for a construct outside of the
 * grammar, such as a function; both messages tell the place.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_predicate_parse(const char *predicate_text,
                             ms_predicate **out_predicate,
                             ms_error **err);

/**
 * Reads a predicate out of a Substrait message: an ExtendedExpression with one expression, which is a condition on the columns of its
 * base schema, as Arrow, Acero, DataFusion and others write it (docs/predicates.md has what is taken). Columns are known by
 * their names, so the schema may have any order and may lack columns of the table.
 * @param[in] message the encoded message, 16 MiB at most; not kept.
 * @param[in] message_len number of bytes.
 * @param[out] out_predicate receives the predicate, to be freed with ms_predicate_free; NULL on failure.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return MS_OK; MS_INVALID_ARGUMENT for NULL, for bytes that are no such message, and for more than 256 levels; MS_UNSUPPORTED for
 * what a predicate has no place for, such as a function or a cast of a column, which the message names.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_predicate_from_substrait(const void *message,
                                      size_t message_len,
                                      ms_predicate **out_predicate,
                                      ms_error **err);

/**
 * The text of a predicate, for logs: ms_predicate_parse reads it as the same predicate. What is sent to the service may differ,
 * because there literals have the types of the columns.
 * @param[in] predicate may be NULL.
 * @return text owned by `predicate`, valid until it is freed; "" for NULL.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API
const char *ms_predicate_text(const ms_predicate *predicate);

/**
 * A second handle of a predicate.
 * @param[in] predicate may be NULL.
 * @return a handle of its own, to be freed with ms_predicate_free; NULL for NULL.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API MS_NODISCARD ms_predicate *ms_predicate_clone(const ms_predicate *predicate);

/**
 * Frees a predicate. What was made of it stays.
 * @param[in] predicate may be NULL.
 * Thread: any, once, when no other call uses the handle. Blocking: no.
 * @since 0.1
 */
MS_API void ms_predicate_free(ms_predicate *predicate);

/**
 * Makes an object that can cancel calls.
 * @return the object, to be freed with ms_cancel_free; NULL only after a defect of the library.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API MS_NODISCARD ms_cancel *ms_cancel_new(void);

/**
 * Cancels every call that was given this object and those that will be, and every read that was added: they return MS_CANCELLED at once.
 * Wakers of those reads are called by this thread before this returns: hold no lock that they take.
 * @param[in] cancel may be NULL; nothing happens in a child made by fork after it was made.
 * Thread: any, at any time, also from inside a callback. Blocking: no.
 * @since 0.1
 */
MS_API
void ms_cancel_now(const ms_cancel *cancel);

/**
 * Says until when every call may take that was given this object, those under way as well: then it returns MS_DEADLINE_EXCEEDED. Unlike
 * ms_cancel_now this can be taken back, by another deadline.
 * @param[in] cancel the object.
 * @param[in] monotonic_deadline_ms milliseconds of CLOCK_MONOTONIC (std::chrono::steady_clock on Linux); 0 or less for none.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return MS_OK; MS_INVALID_ARGUMENT for NULL; MS_FORKED.
 * Thread: any, at any time, also from inside a callback. Blocking: no.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_cancel_set_deadline_ms(const ms_cancel *cancel,
                                    int64_t monotonic_deadline_ms,
                                    ms_error **err);

/**
 * Has a reader end with this object, as by ms_split_cancel; at once if it was cancelled already. Its deadline does not matter: readers have
 * their own, ms_split_set_deadline_ms. A stream that the reader becomes ends with it, too.
 * @param[in] cancel the object; when it is freed, the reader goes on.
 * @param[in] split the reader; may be added to several objects, and is forgotten when it is freed.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return MS_OK; MS_INVALID_ARGUMENT for NULL; MS_FORKED; MS_WRONG_STATE from inside a callback.
 * Thread: any, at any time, but not from inside a callback. Blocking: no.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_cancel_add_split(const ms_cancel *cancel,
                              const ms_split *split,
                              ms_error **err);

/**
 * Has a scan end with this object, as by ms_scan_cancel; else as ms_cancel_add_split.
 * @param[in] cancel the object; when it is freed, the scan goes on.
 * @param[in] scan the scan; may be added to several objects, and is forgotten when it is freed.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return MS_OK; MS_INVALID_ARGUMENT for NULL; MS_FORKED; MS_WRONG_STATE from inside a callback.
 * Thread: any, at any time, but not from inside a callback. Blocking: no.
 * @since 0.1
 */
MS_API MS_NODISCARD ms_status ms_cancel_add_scan(const ms_cancel *cancel, const ms_scan *scan, ms_error **err);

/**
 * Readies the object for ms_cancel_from_signal: takes two descriptors, and has a thread of the library listen to them. A second
 * call changes nothing.
 * @param[in] cancel the object.
 * @param[in] client any client: its threads listen, until the object is freed or ms_shutdown has ended them.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return MS_OK; MS_INVALID_ARGUMENT for NULL; MS_RESOURCE_EXHAUSTED if there is no descriptor left; MS_FORKED; MS_WRONG_STATE from inside a
 * callback, and for an object that was readied before ms_shutdown: its listener is gone, so make a new one.
 * Thread: any, at any time, but not from inside a callback. Blocking: while another thread makes the same call.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_cancel_arm(const ms_cancel *cancel,
                        const ms_client *client,
                        ms_error **err);

/**
 * As ms_cancel_now, from inside a signal handler: takes no lock and no memory, and leaves errno alone. A thread of the library does the
 * rest, within the same 50 ms. Where functions are bound at their first call, call it once with NULL before the handler is installed.
 * @param[in] cancel an object that ms_cancel_arm has readied, else nothing happens; may be NULL. In a child made by fork nothing happens.
 * Thread: any, at any time, also from inside a callback or a signal handler. Blocking: no.
 * @since 0.1
 */
MS_API
void ms_cancel_from_signal(const ms_cancel *cancel);

/**
 * Frees the object. Calls that were given it go on; the deadline that was set last stays theirs.
 * @param[in] cancel may be NULL.
 * Thread: any, once, when no other call, and no signal handler, uses the handle. Blocking: no.
 * @since 0.1
 */
MS_API void ms_cancel_free(ms_cancel *cancel);

/**
 * Lists the schemas of a project, or of all projects that the caller may see. Columns: project, schema and owner (utf8; owner may be
 * NULL). A project of two levels has the schema "default". The service is asked for a page when the stream is asked for a batch.
 * @param[in] client keeps living as long as the stream does, also if it is freed.
 * @param[in] project name of a project; may be NULL, which stands for all projects.
 * @param[out] out_stream receives the stream, to be released by the caller, also before its end; released on failure. Its get_next
 * returns ETIMEDOUT, ENOMEM, EINVAL or EIO; its get_last_error has the message with the request id.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return MS_OK; MS_INVALID_ARGUMENT; MS_INVALID_OPTION for an illegal name; MS_NOT_FOUND, MS_UNAUTHENTICATED, MS_PERMISSION_DENIED; MS_FORKED;
 * MS_WRONG_STATE from inside a callback; a temporary status after the retries.
 * Thread: any, at any time, but not from inside a callback; the stream: one call at a time. Blocking: until the first page is there;
 * the stream: until its next page is.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_projects_schemas(const ms_client *client,
                              const char *project,
                              struct ArrowArrayStream *out_stream,
                              ms_error **err);

/**
 * Lists the tables of a schema. Columns: project, schema, table, kind and owner (utf8; kind and owner may be NULL); kind is "table", "view",
 * "materialized_view", "external_table", "object_table" or another word of the service. The service is asked for a page when the stream
 * is asked for a batch.
 * @param[in] client keeps living as long as the stream does, also if it is freed.
 * @param[in] project may be NULL, which stands for the option project of the client.
 * @param[in] schema may be NULL, which stands for the option schema of the client.
 * @param[in] pattern which names to list: "*" stands for any characters, "?" for one, letters match in either case; may be NULL, which
 * stands for all. What precedes the first of them is matched by the service.
 * @param[out] out_stream as for ms_projects_schemas.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return as for ms_projects_schemas; MS_INVALID_OPTION also if no project is known.
 * Thread: any, at any time, but not from inside a callback; the stream: one call at a time. Blocking: until the first page with a table is
 * there; the stream: until its next page is.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_tables(const ms_client *client,
                    const char *project,
                    const char *schema,
                    const char *pattern,
                    struct ArrowArrayStream *out_stream,
                    ms_error **err);

/**
 * The columns of a table as a schema, partition columns last, in the units of the product page (timestamps in nanoseconds, datetimes in
 * milliseconds). Field metadata: "maxcompute.type" has the MaxCompute type, "maxcompute.comment" the comment if there is one; present with
 * the value "true" where they apply: "maxcompute.partition_key", "maxcompute.primary_key", "maxcompute.cluster_key", and
 * "maxcompute.unsupported" for a column that the Storage API does not read (JSON appears as utf8, types without Arrow form as null).
 * @param[in] client the client.
 * @param[in] table `TABLE`, `PROJECT.TABLE` or `PROJECT.SCHEMA.TABLE`; what is left out comes from the client's options.
 * @param[out] out_schema receives a schema of type struct, to be released by the caller; released on failure.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return as for ms_projects_schemas; MS_INVALID_OPTION also for an illegal name; MS_NOT_FOUND if there is no such table.
 * Thread: any, at any time, but not from inside a callback. Blocking: until the service has answered, under the retry options.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_table_schema(const ms_client *client,
                          const char *table,
                          struct ArrowSchema *out_schema,
                          ms_error **err);

/**
 * Tells what is known about a table besides its columns, as a stream of one row: kind, sizes, rows, files, partition keys, clustering, sort
 * order, primary key, lifecycle, times and versions. docs/catalogue.md lists the columns; what the service does not tell is NULL.
 * @param[in] client keeps living as long as the stream does, also if it is freed.
 * @param[in] table as for ms_table_schema.
 * @param[out] out_stream receives the stream, to be released by the caller; released on failure.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return as for ms_table_schema.
 * Thread: any, at any time, but not from inside a callback; the stream: one call at a time. Blocking: until the service has answered,
 * under the retry options; the stream: no.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_table_details(const ms_client *client,
                           const char *table,
                           struct ArrowArrayStream *out_stream,
                           ms_error **err);

/**
 * Lists the partitions of a table, in the order of the service. Columns: partition (utf8, `key=value/key=value`, as the option partitions
 * takes it), values (struct of the partition keys with their types; a key of the default partition is NULL), size_bytes and rows (int64, NULL
 * if not told), created_at and modified_at (timestamp in seconds, UTC). The service is asked for a page when the stream is asked for a batch.
 * @param[in] client keeps living as long as the stream does, also if it is freed.
 * @param[in] table as for ms_table_schema.
 * @param[in] filter a condition on the partition keys, which is met exactly, with the three truth values of SQL; may be NULL, which stands for all
 * partitions. Stays with the caller. Values that it demands of the first keys are matched by the service, the rest by the library.
 * @param[out] out_stream as for ms_projects_schemas.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return as for ms_table_schema; MS_INVALID_ARGUMENT if the table is not partitioned, and for a test that the type of a key does not
 * allow; MS_NOT_FOUND also if the filter names a column that is no partition key.
 * Thread: any, at any time, but not from inside a callback; the stream: one call at a time. Blocking: until the first page is there;
 * the stream: until its next page is.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_partitions(const ms_client *client,
                        const char *table,
                        const ms_predicate *filter,
                        struct ArrowArrayStream *out_stream,
                        ms_error **err);

/**
 * Reads the first rows of a table without a session (version 2 of the Storage API has the call). Columns are those of ms_table_schema.
 * @param[in] client keeps living as long as the stream does, also if it is freed.
 * @param[in] table as for ms_table_schema.
 * @param[in] scan may be NULL; of its keys are used: columns and partition_columns (which come in table order), and partitions, which may
 * name one partition, also by its leading keys alone.
 * @param[in] limit_rows from 1 to 10,000: at most so many rows.
 * @param[out] out_stream as for ms_projects_schemas.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return as for ms_table_schema; MS_NOT_FOUND also for a column; MS_INVALID_ARGUMENT for another limit; MS_INVALID_OPTION for
 * several partitions; MS_TABLE_KIND_UNSUPPORTED; MS_UNSUPPORTED if the service does not have the call, or with protocol=1.
 * Thread: any, at any time, but not from inside a callback; the stream: one call at a time. Blocking: until the first rows are there;
 * the stream: until the next ones are.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_table_preview(const ms_client *client,
                           const char *table,
                           const ms_options *scan,
                           int64_t limit_rows,
                           struct ArrowArrayStream *out_stream,
                           ms_error **err);

/**
 * Finds out what keeps a client from reading: walks the steps name_resolution, connect, tls, clock_skew, signature, endpoint_routing, project,
 * quota, table and read_right until one fails, and tells each in a row. Columns: step, status ("ok", "failed", "skipped" if the step does not
 * apply, "not tried" behind the one that failed; utf8), milliseconds (float64), sentence (utf8: for a failed step what is wrong and what
 * to do, for a skipped one why), error (the constant, utf8), server_code and request_id (utf8). A failed step is no failure of the call.
 * @param[in] client the client, with the options that do not work.
 * @param[in] table as for ms_table_schema; may be NULL: then the steps about a table are skipped. The read right is tried by opening a read
 * session that nobody reads.
 * @param[out] out_report receives a stream of one batch, to be released by the caller; released on failure.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return MS_OK, also if a step has failed; MS_INVALID_ARGUMENT; MS_INVALID_OPTION for an illegal name; MS_FORKED; MS_WRONG_STATE from
 * inside a callback.
 * Thread: any, at any time, but not from inside a callback. Blocking: until the last step is done, each under the timeouts and retries of the client.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_client_diagnose(const ms_client *client,
                             const char *table,
                             struct ArrowArrayStream *out_report,
                             ms_error **err);

/**
 * Opens a scan and starts to fetch in the background, with scan.concurrency requests at a time, each resumed by itself where its
 * connection breaks. A request that finds no split any more takes over half of the slowest range of rows. Returns at once: a failure of the network or of the service is reported with the batches.
 * Of a session that is still being planned (plan.wait=first) it reads the splits that are known and takes up the others as they become known;
 * a failure of planning is one of the scan, behind all rows of the splits that are known. The planning goes on until the scan is over or freed, also
 * if the session is freed before.
 * @param[in] session keeps living as long as the scan does, also if it is freed.
 * @param[in] read read options; copied; may be NULL, which stands for all defaults. Its columns and partition_columns choose among
 * those of the session; the options that the session was opened with choose them all.
 * @param[out] out_scan receives the scan, to be freed with ms_scan_free; NULL on failure.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return MS_OK; MS_INVALID_ARGUMENT for NULL; MS_INVALID_OPTION if read.start_row or read.row_count is set, and for a column that the
 * session does not read; MS_FORKED; MS_WRONG_STATE from inside a callback, and for a session that was attached from the token of
 * a split.
 * Thread: any, at any time, but not from inside a callback. Blocking: no.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_scan_open(const ms_session *session,
                       const ms_options *read,
                       ms_scan **out_scan,
                       ms_error **err);

/**
 * Takes the next batch of any split. Its buffers belong to the caller and may outlive everything else of the library. Each batch
 * goes to one of the threads that wait; when the data ends, every thread gets the end.
 * @param[in] scan the scan.
 * @param[out] out_array receives a struct array of at least one row, to be released by the caller from any thread; at the
 * end of the data, and on failure, its release is NULL.
 * @param[out] out_split may be NULL; receives the number of the split that the batch belongs to; -1 without a batch. With the option
 * scan.ordered the numbers never go down and rows keep their order, as long as one thread takes the batches. Without it, rows of one
 * split keep theirs only in sessions whose splits the service made: several requests share the rows of a split of split.mode=row_offset.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return as ms_split_next_batch, but never MS_BUSY. The failure of one split is the failure of the scan, and stays.
 * Thread: any, at any time, several at once, but not from inside a callback. Blocking: until a batch is there.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_scan_next_batch(const ms_scan *scan,
                             struct ArrowArray *out_array,
                             int64_t *out_split,
                             ms_error **err);

/**
 * As ms_scan_next_batch, with a time until which this call waits. A wait that ends so fails with MS_DEADLINE_EXCEEDED; the scan goes
 * on, and a later call may succeed. A batch that is there is given whatever the time.
 * @param[in] scan the scan.
 * @param[in] monotonic_deadline_ms milliseconds of CLOCK_MONOTONIC (std::chrono::steady_clock on Linux); 0 or less for none.
 * @param[out] out_array as for ms_scan_next_batch.
 * @param[out] out_split as for ms_scan_next_batch.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return as ms_scan_next_batch; MS_DEADLINE_EXCEEDED.
 * Thread: any, at any time, several at once, but not from inside a callback. Blocking: until a batch is there, or the time has come.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_scan_next_batch_until(const ms_scan *scan,
                                   int64_t monotonic_deadline_ms,
                                   struct ArrowArray *out_array,
                                   int64_t *out_split,
                                   ms_error **err);

/**
 * Takes the next batch if there is one now: ms_scan_next_batch for threads that must not block.
 * @param[in] scan the scan.
 * @param[out] out_array as for ms_scan_next_batch; its release is NULL also while nothing is ready.
 * @param[out] out_split as for ms_scan_next_batch.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return MS_PENDING while nothing is ready; else as ms_scan_next_batch.
 * Thread: any, at any time, several at once, but not from inside a callback. Blocking: no.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_scan_try_next_batch(const ms_scan *scan,
                                 struct ArrowArray *out_array,
                                 int64_t *out_split,
                                 ms_error **err);

/**
 * Registers the callback of a scan in place of the former one. It is called whenever ms_scan_try_next_batch, after it was pending,
 * would have an answer again: a batch, the end or a failure. One call may stand for several batches: take until it is pending. Register it
 * before the first try. Calls come from a thread of the library, or from a thread that cancels the scan or registers a callback, never two
 * at once. When this call, or ms_scan_free, returns, the former callback is not running and will not be called again.
 * @param[in] scan the scan.
 * @param[in] wake is called; NULL unregisters.
 * @param[in] context handed to each call; must outlive the registration; may be NULL.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return MS_OK; MS_INVALID_ARGUMENT for NULL; MS_FORKED; MS_WRONG_STATE from inside a callback.
 * Thread: any, but not from inside a callback. Blocking: until a call of the former callback has returned.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_scan_set_waker(const ms_scan *scan,
                            ms_wake_callback wake,
                            void *context,
                            ms_error **err);

/**
 * A file descriptor for poll, epoll or select: readable while ms_scan_try_next_batch would not be pending. While more is at hand it becomes
 * so for several batches at once, which may be some hundred microseconds after the first. Only wait for it: do not read from it and do not
 * close it. It belongs to the scan and is closed by ms_scan_free.
 * @param[in] scan may be NULL.
 * @return the descriptor, always the same one; -1 for NULL, in a child made by fork, from inside a callback, or if the process has no
 * descriptor left.
 * Thread: any, at any time, but not from inside a callback. Blocking: no.
 * @since 0.1
 */
MS_API
int ms_scan_ready_fd(const ms_scan *scan);

/**
 * How large the next batches of an open scan are at most, for an engine that knows only now what it has room for. It holds for the calls of
 * ms_scan_next_batch, ms_scan_next_batch_until and ms_scan_try_next_batch that begin afterwards, and for batches that were fetched already: a larger one is
 * cut where it lies, without a copy, and its rest is the next batch. It holds for all threads. Batches stay within read.batch_rows and read.batch_bytes, which
 * bound what is fetched: larger limits than these change nothing, and small batches are not joined. No batch is ever empty.
 * @param[in] scan the scan.
 * @param[in] max_rows rows; 0 for read.batch_rows.
 * @param[in] max_bytes uncompressed bytes, as for read.batch_bytes; 0 for read.batch_bytes. A single row may have more.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return MS_OK; MS_INVALID_ARGUMENT for NULL and for numbers below 0, which change nothing.
 * Thread: any, at any time; a call that waits already keeps its limits. Blocking: no.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_scan_set_batch_limits(const ms_scan *scan,
                                   int64_t max_rows,
                                   int64_t max_bytes,
                                   ms_error **err);

/**
 * The schema of every batch: that of ms_session_schema, or its part that the read options columns and partition_columns name.
 * @param[in] scan the scan.
 * @param[out] out_schema receives a schema of type struct, to be released by the caller; released on failure.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return MS_OK; MS_INVALID_ARGUMENT for NULL.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_scan_schema(const ms_scan *scan,
                         struct ArrowSchema *out_schema,
                         ms_error **err);

/**
 * Adds a filter to a scan that is open, for example one that a join has found: from now on only rows for which it is true are handed
 * out. The library evaluates it, exactly, also on batches that were fetched already. Filters add up and stay. The protocol cannot
 * take it for splits that are not read yet; those whose partition it rules out by the keys are not requested any more.
 * @param[in] scan the scan.
 * @param[in] filter about columns that are delivered, in the types of the table whatever form types.decimal and types.string_view
 *     give them; not kept: the caller may free it at once.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return as ms_split_add_filter.
 * Thread: any, at any time; a call that takes a batch meanwhile may miss it. Blocking: no.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_scan_add_filter(const ms_scan *scan,
                             const ms_predicate *filter,
                             ms_error **err);

/**
 * Turns a scan into an Arrow stream, with the batches that were not taken yet. Releasing the stream ends the scan. Its get_next
 * returns ECANCELED, ETIMEDOUT, ENOMEM, EINVAL or EIO; its get_last_error has the message with the request id.
 * @param[in] scan consumed, on success and on failure alike: do not use or free it afterwards.
 * @param[out] out_stream receives the stream, to be released by the caller; released on failure.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return MS_OK; MS_INVALID_ARGUMENT for NULL; MS_FORKED.
 * Thread: any, once, when no other call uses the handle. Blocking: no.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_scan_export_stream(ms_scan *scan,
                                struct ArrowArrayStream *out_stream,
                                ms_error **err);

/**
 * How much of the scan was read from the service: by rows in a session by row numbers, else by splits that were read to their end. While
 * the session is still being planned (plan.wait=first) an estimate, which takes what is not planned to be like what is, and may go back.
 * @param[in] scan may be NULL.
 * @return from 0 to 1; -1 for NULL.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API
double ms_scan_progress(const ms_scan *scan);

/**
 * Whether all requests of the scan are out: of every split, each piece that is read by a request of its own was asked for, and none waits
 * for one of the scan.concurrency requests or for a slot of the client. Then an engine that fetches ahead opens its next read now. What was
 * asked for stays so: neither a request that goes on after a break nor one that takes over rows of a slow one counts again. Only where the
 * host refuses memory to a scan with scan.ordered, pieces that were read ahead are dropped and asked for a second time. False while the
 * session is still being planned (plan.wait=first). True also after the end, a failure or a cancel, when nothing will be asked for any more.
 * @param[in] scan may be NULL.
 * @return whether they are; false for NULL.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API
bool ms_scan_all_requested(const ms_scan *scan);

/**
 * What the scan has cost so far, over all its splits.
 * @param[in] scan the scan.
 * @param[out] out_metrics receives the figures, to be freed with ms_metrics_free; NULL on failure.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return MS_OK; MS_INVALID_ARGUMENT for NULL.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API MS_NODISCARD ms_status ms_scan_metrics(const ms_scan *scan, ms_metrics **out_metrics, ms_error **err);

/**
 * Ends the scan for good. Every blocked ms_scan_next_batch wakes at once, and every later one returns MS_CANCELLED. Does not touch
 * any other handle.
 * @param[in] scan may be NULL.
 * Thread: any, at any time, also from inside a callback. Blocking: no.
 * @since 0.1
 */
MS_API
void ms_scan_cancel(const ms_scan *scan);

/**
 * Ends the scan and frees it. Batches that were taken stay valid.
 * @param[in] scan may be NULL.
 * Thread: any, once, when no other call uses the handle. Blocking: until a running wake callback has returned; so do not hold a lock
 * that the callback takes.
 * @since 0.1
 */
MS_API
void ms_scan_free(ms_scan *scan);

/**
 * Hands a scan to a handler of the Arrow C device interface, which is called for the batches that were not taken yet: on_schema; on_next_task
 * for each batch, as many as handler->producer->request has asked for, and with NULL for the end, which takes a request too;
 * on_error with ECANCELED, ETIMEDOUT, ENOMEM, EINVAL or EIO and the message with the request id; release last, once. Memory is that of the CPU.
 * Calls come from a thread of the library, never two at once, and must return soon; they may call request and cancel of the producer,
 * extract_data of their task and release of arrays, but no function of the library. Each task must be extracted, with NULL if it is not wanted.
 * A handler that returns another value than 0, or cancels, is released without a further call.
 * @param[in] scan consumed, on success and on failure alike: do not use or free it afterwards. Its callback and descriptor end.
 * @param[in] handler belongs to the caller and stays where it is until its release is called; its producer is set. After a failure of this
 * call it is not called at all.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return MS_OK; MS_INVALID_ARGUMENT for NULL, also for one of the handler's functions; MS_FORKED; MS_WRONG_STATE from inside a callback.
 * Thread: any, once, when no other call uses the handle, but not from inside a callback. Blocking: no.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_scan_export_async(ms_scan *scan,
                               struct ArrowAsyncDeviceStreamHandler *handler,
                               ms_error **err);

/**
 * Plans a read of the table that the option table names, or of the result of the SQL instance that the option instance names. With
 * plan.wait=first it returns as soon as the first splits are known, while others are still being planned: ms_session_more_splits tells of
 * them, scans take them up by themselves, and whatever needs the whole plan is MS_WRONG_STATE until then. ms_session_free ends the planning
 * of what no scan waits for.
 * @param[in] client keeps living as long as the session does, also if it is freed.
 * @param[in] scan scan and types options; copied; the caller keeps and frees it.
 * @param[in] filter which rows are wanted, besides what the option filter.text says; NULL for all. The service uses it to skip blocks:
 * without the option filter.exact rows for which it is not true may still arrive. Not kept: the caller may free it at once. It costs
 * one request for the types of the columns.
 * @param[out] out_session receives the session, to be freed with ms_session_free; NULL on failure.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return MS_OK; MS_INVALID_OPTION; MS_INVALID_ARGUMENT if the service refuses a value, for example the filter, or, with
 * filter.exact, for a filter whose types do not fit;
 * MS_UNAUTHENTICATED, MS_PERMISSION_DENIED, MS_QUOTA_DENIED; MS_NOT_FOUND for a project, schema, table, partition or column; MS_TABLE_KIND_UNSUPPORTED; MS_TIMEOUT after
 * plan_timeout_ms; MS_UNSUPPORTED if the option protocol excludes what is asked for, and for a filter with a time that has no text while filter.exact is set; MS_WRONG_STATE for an
 * instance that has not succeeded; a temporary status after the retries.
 * Thread: any, at any time, but not from inside a callback. Blocking: until the plan is ready, or what plan.wait says; at most plan_timeout_ms.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_session_open(const ms_client *client,
                          const ms_options *scan,
                          const ms_predicate *filter,
                          ms_session **out_session,
                          ms_error **err);

/**
 * As ms_session_open, for a caller that may change its mind or has a deadline: `cancel` ends the call.
 * @param[in] client as for ms_session_open.
 * @param[in] scan as for ms_session_open.
 * @param[in] filter as for ms_session_open.
 * @param[in] cancel may be NULL, then nothing ends the call. It must not be freed during the call.
 * @param[out] out_session as for ms_session_open.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return as ms_session_open; MS_CANCELLED once `cancel` says so; MS_DEADLINE_EXCEEDED at its deadline. A session that was made at the service
 * meanwhile expires by itself.
 * Thread: any, at any time, but not from inside a callback. Blocking: until the plan is ready, or what plan.wait says, or `cancel` ends the call; it does not end what
 * is planned after the call.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_session_open_cancellable(const ms_client *client,
                                      const ms_options *scan,
                                      const ms_predicate *filter,
                                      const ms_cancel *cancel,
                                      ms_session **out_session,
                                      ms_error **err);

/**
 * Opens a session that was planned elsewhere from its token. Makes no request: a worker opens its split with one request
 * in total, in the version of the Storage API that the session was planned in. If the client has the option data_endpoint, that is used in place of the one in the token. The checksum of a token
 * guards against damage, not against forgers: requests signed for this client go to the endpoint it names, so take tokens only from
 * where you would take an endpoint.
 * @param[in] client brings the credentials; keeps living as long as the session does, also if it is freed.
 * @param[in] token bytes of ms_session_serialize, text of ms_session_serialize_json (it begins with a brace), or either of ms_session_serialize_split, from this or another process,
 * machine or language.
 * @param[in] token_len number of bytes.
 * @param[out] out_session receives the session, to be freed with ms_session_free; NULL on failure.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return MS_OK; MS_INVALID_ARGUMENT if the token is damaged or of another version.
 * Thread: any, at any time, but not from inside a callback. Blocking: no.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_session_attach(const ms_client *client,
                            const void *token,
                            size_t token_len,
                            ms_session **out_session,
                            ms_error **err);

/**
 * Writes a session as bytes for ms_session_attach: versioned, with a checksum, without credentials.
 * @param[in] session the session.
 * @param[out] out_token receives the bytes, to be freed with ms_bytes_free; NULL on failure.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return MS_OK; MS_INVALID_ARGUMENT for NULL; MS_UNSUPPORTED for one of more than 16 MiB; MS_WRONG_STATE while the session is still being planned (plan.wait=first): a token has all
 * splits. The failure of planning, if that has failed.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_session_serialize(const ms_session *session,
                               ms_bytes **out_token,
                               ms_error **err);

/**
 * Writes a session as a JSON object for ms_session_attach, for engines that hand splits on as JSON: `format` is "maxstorage.session", then
 * `version`, `project`, `schema` and `table` or `instance`, `splits` (their number), `expires_at_ms` and what else a reader needs; a
 * checksum, no credentials. Who passes it on may order, indent and extend it; a change of what it says is found. docs/reading.md has more.
 * It is somewhat longer than the token of ms_session_serialize, and is read as the same session.
 * @param[in] session the session.
 * @param[out] out_json receives UTF-8 text, not NUL-terminated, to be freed with ms_bytes_free; NULL on failure.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return MS_OK; MS_INVALID_ARGUMENT for NULL; MS_UNSUPPORTED for one of more than 4 MiB; MS_WRONG_STATE while the session is still being planned (plan.wait=first): a token has all
 * splits. The failure of planning, if that has failed.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_session_serialize_json(const ms_session *session,
                                    ms_bytes **out_json,
                                    ms_error **err);

/**
 * Writes one split of a session for ms_session_attach, for the worker that reads it, also while other splits are still being planned
 * (plan.wait=first). The token is as long as one session at the service needs, however many the plan has. A session that is attached from it
 * has this split under this number, and those of the same session at the service; scans and what else needs all splits are MS_WRONG_STATE.
 * @param[in] session the session.
 * @param[in] index the number of a split that is known.
 * @param[in] as_json whether it is written as ms_session_serialize_json does, else as ms_session_serialize does.
 * @param[out] out_token receives the bytes, to be freed with ms_bytes_free; NULL on failure.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return MS_OK; MS_INVALID_ARGUMENT for NULL and for a split that is not known.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_session_serialize_split(const ms_session *session,
                                     int64_t index,
                                     bool as_json,
                                     ms_bytes **out_token,
                                     ms_error **err);

/**
 * The schema of every batch of the session. Field metadata: "maxcompute.type" has the MaxCompute type,
 * "maxcompute.partition_key" marks partition columns.
 * @param[in] session the session.
 * @param[out] out_schema receives a schema of type struct, to be released by the caller; released on failure.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return MS_OK; MS_INVALID_ARGUMENT for NULL.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_session_schema(const ms_session *session,
                            struct ArrowSchema *out_schema,
                            ms_error **err);

/**
 * What all reads of a session have cost so far, together: splits, scans and streams that were opened by this handle, those that were freed
 * included. Reads by other handles, as those of workers, have figures of their own.
 * @param[in] session the session.
 * @param[out] out_metrics receives the figures, to be freed with ms_metrics_free; NULL on failure.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return MS_OK; MS_INVALID_ARGUMENT for NULL; MS_FORKED.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_session_metrics(const ms_session *session,
                             ms_metrics **out_metrics,
                             ms_error **err);

/**
 * Tells how a read was planned, as one JSON object for a person and for logs; docs/explain.md describes its keys. They may become more, so
 * programs should use the functions that tell one thing each.
 * @param[in] session the session.
 * @param[out] out_json receives UTF-8 text, not NUL-terminated, to be freed with ms_bytes_free; NULL on failure.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return MS_OK; MS_INVALID_ARGUMENT for NULL.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_session_explain(const ms_session *session,
                             ms_bytes **out_json,
                             ms_error **err);

/**
 * The number of splits that are known: of all, unless the session was opened with plan.wait=first and is still being planned
 * (ms_session_more_splits tells).
 * @param[in] session may be NULL.
 * @return the number, 0 for a table without rows; -1 for NULL. Of a session of ms_session_serialize_split the number behind its last split.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API
int64_t ms_session_split_count(const ms_session *session);

/**
 * Estimated rows: exact in split mode row_offset (before the filter), else only with the option estimate_statistics.
 * @param[in] session may be NULL.
 * @return rows; -1 if unknown, while the session is still being planned, and for NULL.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API int64_t ms_session_estimated_rows(const ms_session *session);

/**
 * Estimated bytes; only with the option estimate_statistics.
 * @param[in] session may be NULL.
 * @return bytes; -1 if unknown, while the session is still being planned, and for NULL.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API int64_t ms_session_estimated_bytes(const ms_session *session);

/**
 * The end of the session's life at the service, as far as it is planned.
 * @param[in] session may be NULL.
 * @return milliseconds since 1970-01-01 UTC; -1 if unknown, and for NULL.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API int64_t ms_session_expires_at_ms(const ms_session *session);

/**
 * Prolongs the session's life at the service. While splits of it are open the library does so by itself, ahead of the end; a
 * host that keeps a session without reading calls this.
 * @param[in] session the session; ms_session_expires_at_ms tells the new end.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return MS_OK; MS_SESSION_EXPIRED if its life was over; MS_INVALID_ARGUMENT for NULL; MS_FORKED; MS_WRONG_STATE from inside a
 * callback; identity and temporary statuses.
 * Thread: any, at any time, but not from inside a callback. Blocking: until the service has answered, under the retry options.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_session_refresh(const ms_session *session,
                             ms_error **err);

/**
 * As ms_session_refresh, for a caller that may change its mind or has a deadline: `cancel` ends the call.
 * @param[in] session as for ms_session_refresh.
 * @param[in] cancel may be NULL, then nothing ends the call. It must not be freed during the call.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return as ms_session_refresh; MS_CANCELLED once `cancel` says so; MS_DEADLINE_EXCEEDED at its deadline. Whether the service has prolonged
 * the session is then not known.
 * Thread: any, at any time, but not from inside a callback. Blocking: until the service has answered or `cancel` ends the call.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_session_refresh_cancellable(const ms_session *session,
                                         const ms_cancel *cancel,
                                         ms_error **err);

/**
 * Frees a session. Splits and scans opened from it go on, and so does the planning that a scan waits for; other planning ends.
 * @param[in] session may be NULL.
 * Thread: any, once, when no other call uses the handle. Blocking: no.
 * @since 0.1
 */
MS_API
void ms_session_free(ms_session *session);

/**
 * Tells what is known about a split before it is read, for whoever distributes splits over workers.
 * @param[in] session the session.
 * @param[in] index 0 to ms_session_split_count - 1.
 * @param[out] out_info receives the facts, to be freed with ms_split_info_free; NULL on failure.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return MS_OK; MS_INVALID_ARGUMENT for NULL and for another index, also one that is not known yet (plan.wait=first).
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_session_split_info(const ms_session *session,
                                int64_t index,
                                ms_split_info **out_info,
                                ms_error **err);

/**
 * Rows of the split before any filter.
 * @param[in] info may be NULL.
 * @return rows, exact in split mode row_offset; -1 if unknown, and for NULL.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API int64_t ms_split_info_rows(const ms_split_info *info);

/**
 * The number of the first row of the split, counted over its session at the service.
 * @param[in] info may be NULL.
 * @return the number in split mode row_offset; -1 in the others, and for NULL.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API int64_t ms_split_info_start_row(const ms_split_info *info);

/**
 * The split's share of ms_session_estimated_bytes, by its weight.
 * @param[in] info may be NULL.
 * @return bytes; -1 if the session has no estimate, and for NULL.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API int64_t ms_split_info_estimated_bytes(const ms_split_info *info);

/**
 * The partition that all rows of the split are in, as the option partitions names it.
 * @param[in] info may be NULL.
 * @return text owned by `info`, valid until it is freed; "" if the split may have rows of several partitions, and for NULL.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API
const char *ms_split_info_partition(const ms_split_info *info);

/**
 * The bucket that all rows of the split are in.
 * @param[in] info may be NULL.
 * @return the number in split mode bucket; -1 in the others, and for NULL.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API int64_t ms_split_info_bucket(const ms_split_info *info);

/**
 * The split's share of the work of the session: by rows where they are known, else the same for every split. While the session is still being
 * planned it is the share of the splits that were known when ms_session_split_info was called.
 * @param[in] info may be NULL.
 * @return from 0 to 1; -1 for NULL.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API
double ms_split_info_weight(const ms_split_info *info);

/**
 * Frees what is known about a split, and the text borrowed from it.
 * @param[in] info may be NULL.
 * Thread: any, once, when no other call uses the handle. Blocking: no.
 * @since 0.1
 */
MS_API void ms_split_info_free(ms_split_info *info);

/**
 * Opens a reader and starts to fetch in the background. Returns at once: a failure of the network or of the service is
 * reported with the batches.
 * @param[in] session keeps living as long as the split does, also if it is freed.
 * @param[in] index 0 to ms_session_split_count - 1; a split may be read many times and by several readers.
 * @param[in] read read options; copied; may be NULL, which stands for all defaults. Its columns and partition_columns choose among
 * those of the session; the options that the session was opened with choose them all.
 * @param[out] out_split receives the reader, to be freed with ms_split_free; NULL on failure.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return MS_OK; MS_INVALID_ARGUMENT if there is no such split; MS_INVALID_OPTION for a column that the session does not read; MS_FORKED; MS_WRONG_STATE from inside a callback.
 * Thread: any, at any time, but not from inside a callback. Blocking: no.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_split_open(const ms_session *session,
                        int64_t index,
                        const ms_options *read,
                        ms_split **out_split,
                        ms_error **err);

/**
 * Takes the next batch. Its buffers belong to the caller and may outlive everything else of the library.
 * @param[in] split the reader.
 * @param[out] out_array receives a struct array of at least one row, to be released by the caller from any thread; at the
 * end of the data, and on failure, its release is NULL.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return MS_OK for a batch and for the end; MS_CANCELLED after ms_split_cancel; MS_BUSY; MS_CORRUPT_DATA if the stream is
 * malformed or ends before its end marker; MS_SCHEMA_MISMATCH; MS_SESSION_EXPIRED; identity statuses; a temporary status
 * after the retries. A failure stays: every later call returns it again.
 * Thread: one call at a time. Blocking: until a batch is there. Until the answer begins each attempt of the retry options may take
 * connect_timeout_ms + read_idle_timeout_ms; after that the longest silence is read_idle_timeout_ms.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_split_next_batch(ms_split *split,
                              struct ArrowArray *out_array,
                              ms_error **err);

/**
 * Takes the next batch if there is one now: ms_split_next_batch for a thread that must not block.
 * @param[in] split the reader.
 * @param[out] out_array as for ms_split_next_batch; its release is NULL also while nothing is ready.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return MS_PENDING while nothing is ready; else as ms_split_next_batch, except that deadlines do not matter here.
 * Thread: one call at a time. Blocking: no.
 * @since 0.1
 */
MS_API MS_NODISCARD ms_status ms_split_try_next_batch(ms_split *split, struct ArrowArray *out_array, ms_error **err);

/**
 * Registers the callback of a split in place of the former one. It is called whenever ms_split_try_next_batch, after it was
 * pending, would have an answer again: a batch, the end or a failure. Register it before the first try. Calls come from a thread of
 * the library, or from a thread that cancels the split or registers a callback, never two at once. When this call, or ms_split_free, returns, the
 * former callback is not running and will not be called again.
 * @param[in] split the reader.
 * @param[in] wake is called; NULL unregisters.
 * @param[in] context handed to each call; must outlive the registration; may be NULL.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return MS_OK; MS_INVALID_ARGUMENT for NULL; MS_FORKED; MS_WRONG_STATE from inside a callback.
 * Thread: any, but not from inside a callback. Blocking: until a call of the former callback has returned.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_split_set_waker(ms_split *split,
                             ms_wake_callback wake,
                             void *context,
                             ms_error **err);

/**
 * A file descriptor for poll, epoll or select: readable while ms_split_try_next_batch would not be pending. While more is at hand it becomes
 * so for several batches at once, which may be some hundred microseconds after the first. Only wait for it: do not read from it and do not
 * close it. It belongs to the split and is closed by ms_split_free.
 * @param[in] split may be NULL.
 * @return the descriptor, always the same one; -1 for NULL, in a child made by fork, from inside a callback, or if the process has no
 * descriptor left.
 * Thread: any, at any time, but not from inside a callback. Blocking: no.
 * @since 0.1
 */
MS_API
int ms_split_ready_fd(const ms_split *split);

/**
 * Until when ms_split_next_batch, and the stream made of this split, wait for a batch. A wait that ends so fails with
 * MS_DEADLINE_EXCEEDED; the read goes on, and a later call may succeed. A batch that is there is given whatever the time.
 * @param[in] split the reader.
 * @param[in] monotonic_deadline_ms milliseconds of CLOCK_MONOTONIC (std::chrono::steady_clock on Linux); 0 or less for none.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return MS_OK; MS_INVALID_ARGUMENT for NULL.
 * Thread: any, at any time; a call that waits already keeps its deadline. Blocking: no.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_split_set_deadline_ms(ms_split *split,
                                   int64_t monotonic_deadline_ms,
                                   ms_error **err);

/**
 * How large the next batches of an open split are at most, for an engine that knows only now what it has room for. It holds for the calls of
 * ms_split_next_batch and ms_split_try_next_batch that begin afterwards, and for batches that were fetched already: a larger one is
 * cut where it lies, without a copy, and its rest is the next batch. Batches stay within read.batch_rows and read.batch_bytes, which
 * bound what is fetched: larger limits than these change nothing, and small batches are not joined. No batch is ever empty.
 * @param[in] split the reader.
 * @param[in] max_rows rows; 0 for read.batch_rows.
 * @param[in] max_bytes uncompressed bytes, as for read.batch_bytes; 0 for read.batch_bytes. A single row may have more.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return MS_OK; MS_INVALID_ARGUMENT for NULL and for numbers below 0, which change nothing.
 * Thread: any, at any time; a call that waits already keeps its limits. Blocking: no.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_split_set_batch_limits(ms_split *split,
                                    int64_t max_rows,
                                    int64_t max_bytes,
                                    ms_error **err);

/**
 * The schema of every batch: that of ms_session_schema, or its part that the read options columns and partition_columns name.
 * @param[in] split the reader.
 * @param[out] out_schema receives a schema of type struct, to be released by the caller; released on failure.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return MS_OK; MS_INVALID_ARGUMENT for NULL.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_split_schema(const ms_split *split,
                          struct ArrowSchema *out_schema,
                          ms_error **err);

/**
 * Turns a reader into an Arrow stream, with the batches that were not taken yet. Releasing the stream ends the read; a callback that
 * was registered with ms_split_set_waker stays until then. Its
 * get_next returns ECANCELED, ETIMEDOUT, ENOMEM, EINVAL or EIO; its get_last_error has the message with the request id.
 * @param[in] split consumed, on success and on failure alike: do not use or free it afterwards. The one exception is MS_BUSY.
 * @param[out] out_stream receives the stream, to be released by the caller; released on failure.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return MS_OK; MS_INVALID_ARGUMENT for NULL; MS_INTERNAL if an earlier call panicked; MS_FORKED; MS_BUSY if another thread is
 * inside a call on this split, which then stays as it is.
 * Thread: one call at a time. Blocking: no.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_split_export_stream(ms_split *split,
                                 struct ArrowArrayStream *out_stream,
                                 ms_error **err);

/**
 * Adds a filter to a split that is open, for example one that a join has found: from now on only rows for which it is true are handed
 * out. The library evaluates it, exactly, also on batches that were fetched already. While batches that wait are filtered out, a
 * waker or ms_split_ready_fd may announce one that ms_split_try_next_batch then does not have. Filters add up and stay.
 * @param[in] split the reader.
 * @param[in] filter about columns that are delivered, in the types of the table whatever form types.decimal and types.string_view
 *     give them; not kept: the caller may free it at once.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return MS_OK; MS_NOT_FOUND for a column that is not delivered; MS_INVALID_ARGUMENT for NULL and for a literal whose type does not
 * fit.
 * Thread: any, at any time; a call that takes a batch meanwhile may miss it. Blocking: no.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_split_add_filter(ms_split *split,
                              const ms_predicate *filter,
                              ms_error **err);

/**
 * How many rows of the split are done with: those that were handed out, and with filters of the library also those that were filtered
 * out before the last of them. It is the position from which a later read would go on.
 * @param[in] split may be NULL.
 * @return rows; -1 for NULL.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API
int64_t ms_split_rows_delivered(const ms_split *split);

/**
 * How much of the read was handed out: exact for rows of a session by row numbers without filter, else by the estimate of the plan (the
 * option estimate_statistics), else 0 until the end.
 * @param[in] split may be NULL.
 * @return from 0 to 1, and 1 only when the end was handed out; -1 for NULL.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API
double ms_split_progress(const ms_split *split);

/**
 * Whether all requests of the read are out: none is left that waits to be sent, for a slot of the client or behind other requests of the
 * read (read.requests_per_split). Then the network has room for something else, so an engine that fetches ahead opens its next split now. What
 * was asked for stays so: a request that goes on after a break does not count again. True also after the end, a failure or a cancel, when
 * nothing will be asked for any more.
 * @param[in] split may be NULL.
 * @return whether they are; false for NULL.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API
bool ms_split_all_requested(const ms_split *split);

/**
 * What the read has cost so far.
 * @param[in] split the reader.
 * @param[out] out_metrics receives the figures, to be freed with ms_metrics_free; NULL on failure.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return MS_OK; MS_INVALID_ARGUMENT for NULL.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API MS_NODISCARD ms_status ms_split_metrics(const ms_split *split, ms_metrics **out_metrics, ms_error **err);

/**
 * Ends the read for good. A blocked ms_split_next_batch wakes at once, and every later one returns MS_CANCELLED. Does not
 * touch any other handle.
 * @param[in] split may be NULL.
 * Thread: any, at any time, also from inside a callback. Blocking: no.
 * @since 0.1
 */
MS_API
void ms_split_cancel(const ms_split *split);

/**
 * Ends the read and frees the reader. Batches that were taken stay valid.
 * @param[in] split may be NULL.
 * Thread: any, once, when no other call uses the handle. Blocking: until a running wake callback has returned; so do not hold a lock
 * that the callback takes.
 * @since 0.1
 */
MS_API
void ms_split_free(ms_split *split);

/**
 * The number of figures.
 * @param[in] metrics may be NULL.
 * @return the number; 0 for NULL.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API size_t ms_metrics_count(const ms_metrics *metrics);

/**
 * The name of a figure, for example "bytes_wire"; docs/metrics.md lists them.
 * @param[in] metrics may be NULL.
 * @param[in] index 0 to ms_metrics_count - 1.
 * @return text owned by `metrics`, valid until it is freed; "" for NULL and for another index.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API const char *ms_metrics_name(const ms_metrics *metrics, size_t index);

/**
 * The value of a figure.
 * @param[in] metrics may be NULL.
 * @param[in] index 0 to ms_metrics_count - 1.
 * @return the value; 0 for NULL and for another index.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API int64_t ms_metrics_value(const ms_metrics *metrics, size_t index);

/**
 * The unit of a figure: "rows", "batches", "bytes", "requests", "reads", "values" or "us" (microseconds).
 * @param[in] metrics may be NULL.
 * @param[in] index 0 to ms_metrics_count - 1.
 * @return text owned by `metrics`, valid until it is freed; "" for NULL and for another index.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API const char *ms_metrics_unit(const ms_metrics *metrics, size_t index);

/**
 * Frees metrics and the texts borrowed from them.
 * @param[in] metrics may be NULL.
 * Thread: any, once, when no other call uses the handle. Blocking: no.
 * @since 0.1
 */
MS_API void ms_metrics_free(ms_metrics *metrics);

/**
 * Waits until a session has more splits than the caller knows, or no others will come: for a session that was opened with plan.wait=first.
 * Split numbers are given out as splits become known, and keep their meaning. Splits that were planned before come before the failure
 * of the rest. A loop that hands splits out begins with known = 0, handles the splits from known to *out_count - 1, and goes on with
 * known = *out_count until *out_complete.
 * @param[in] session the session; any other is complete, and answers at once.
 * @param[in] known how many splits the caller knows; -1 for how many there are now.
 * @param[in] monotonic_deadline_ms milliseconds of CLOCK_MONOTONIC (std::chrono::steady_clock on Linux); 0 or less for none.
 * @param[in] cancel may be NULL, then nothing but the deadline ends the call. It must not be freed during the call.
 * @param[out] out_count receives how many splits are known: more than `known`, unless the plan is complete; -1 on failure.
 * @param[out] out_complete receives whether there are no others; false on failure.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return MS_OK; MS_DEADLINE_EXCEEDED; MS_CANCELLED; else as ms_session_open, for the part of the plan that failed: every later call that
 * wants more gets the same. MS_INVALID_ARGUMENT for NULL; MS_FORKED; MS_WRONG_STATE from inside a callback. What is known already is
 * told whatever `cancel` and the deadline say.
 * Thread: any, at any time, several at once, but not from inside a callback. Blocking: until more splits are known, `cancel` ends the
 * call, or the time has come.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_session_more_splits(const ms_session *session,
                                 int64_t known,
                                 int64_t monotonic_deadline_ms,
                                 const ms_cancel *cancel,
                                 int64_t *out_count,
                                 bool *out_complete,
                                 ms_error **err);

/**
 * As ms_session_more_splits, without waiting.
 * @param[in] session as for ms_session_more_splits.
 * @param[in] known as for ms_session_more_splits.
 * @param[out] out_count as for ms_session_more_splits; -1 if the call returns MS_PENDING.
 * @param[out] out_complete as for ms_session_more_splits; false if the call returns MS_PENDING.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return MS_OK; MS_PENDING while no more are known and some may come; the failures of ms_session_more_splits.
 * Thread: any, at any time, several at once, but not from inside a callback. Blocking: no.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_session_try_more_splits(const ms_session *session,
                                     int64_t known,
                                     int64_t *out_count,
                                     bool *out_complete,
                                     ms_error **err);

/**
 * The first byte.
 * @param[in] bytes may be NULL.
 * @return memory owned by `bytes`, valid until it is freed; NULL for NULL. Not NUL-terminated.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API const void *ms_bytes_data(const ms_bytes *bytes);

/**
 * The number of bytes.
 * @param[in] bytes may be NULL.
 * @return the number; 0 for NULL.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API size_t ms_bytes_len(const ms_bytes *bytes);

/**
 * Frees bytes.
 * @param[in] bytes may be NULL.
 * Thread: any, once, when no other call uses the handle. Blocking: no.
 * @since 0.1
 */
MS_API void ms_bytes_free(ms_bytes *bytes);

/**
 * Copies values of the same size each into memory of the caller, one behind the other, as Arrow has them: 1, 2, 4, 8 or 16 bytes for
 * numbers, dates, times, intervals and decimals. A BOOLEAN becomes a byte, 0 or 1. Of a column that has a dictionary the keys are copied.
 * What lies where a row is NULL is copied as well and means nothing.
 *
 * This and the four functions below serve engines that keep rows in columns of their own; others need not copy. They take any batch of the
 * library with the schema it was delivered with, and for nested types also the arrays below it: `array` is a batch or a struct, and `column`
 * one of its parts; or a list or map, and `column` is 0 for its elements, which are counted from the first one that the list has.
 * @param[in] schema the schema of `array`; it stays the caller's.
 * @param[in] array a batch, a struct, a list or a map; it stays the caller's. Its offset and those of its columns are taken into account; what
 * lies above it is not: of a struct inside of a struct, add the offset of the outer one to `start_row`.
 * @param[in] column 0 to n_children - 1.
 * @param[in] start_row the first row to copy, from 0 on.
 * @param[in] row_count rows to copy; 0 is legal.
 * @param[out] out_values receives the values; it needs no alignment and must not overlap the array; may be NULL for no rows.
 * @param[in] values_bytes bytes that `out_values` has room for.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return MS_OK; MS_INVALID_ARGUMENT for NULL, for rows or a column that the array does not have and for too little room, where nothing
 * is written, and for a malformed array; MS_UNSUPPORTED for strings and nested types.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_column_copy_values(const struct ArrowSchema *schema,
                                const struct ArrowArray *array,
                                int64_t column,
                                int64_t start_row,
                                int64_t row_count,
                                void *out_values,
                                size_t values_bytes,
                                ms_error **err);

/**
 * Tells a byte for each row whether it is NULL. A row is NULL if its column says so, and if `array` is a struct that is NULL there.
 * @param[in] schema as for ms_column_copy_values.
 * @param[in] array as for ms_column_copy_values.
 * @param[in] column as for ms_column_copy_values.
 * @param[in] start_row as for ms_column_copy_values.
 * @param[in] row_count as for ms_column_copy_values.
 * @param[out] out_nulls receives 1 for NULL and 0 for a value; must not overlap the array; may be NULL for no rows.
 * @param[in] nulls_bytes bytes that `out_nulls` has room for.
 * @param[out] out_null_count may be NULL; receives how many rows are NULL; 0 on failure.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return as ms_column_copy_values; MS_UNSUPPORTED for types that the library does not deliver.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_column_copy_nulls(const struct ArrowSchema *schema,
                               const struct ArrowArray *array,
                               int64_t column,
                               int64_t start_row,
                               int64_t row_count,
                               uint8_t *out_nulls,
                               size_t nulls_bytes,
                               int64_t *out_null_count,
                               ms_error **err);

/**
 * Tells a bit for each row whether it has a value, in the order of Arrow: the first row in the lowest bit of the first byte. NULL is as for
 * ms_column_copy_nulls.
 * @param[in] schema as for ms_column_copy_values.
 * @param[in] array as for ms_column_copy_values.
 * @param[in] column as for ms_column_copy_values.
 * @param[in] start_row as for ms_column_copy_values.
 * @param[in] row_count as for ms_column_copy_values.
 * @param[out] out_validity receives 1 for a value and 0 for NULL, and 0 in the bits that are left of the last byte; must not overlap the
 * array; may be NULL for no rows.
 * @param[in] validity_bytes bytes that `out_validity` has room for: an eighth of the rows, rounded up.
 * @param[out] out_null_count may be NULL; receives how many rows are NULL; 0 on failure.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return as ms_column_copy_nulls.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_column_copy_validity(const struct ArrowSchema *schema,
                                  const struct ArrowArray *array,
                                  int64_t column,
                                  int64_t start_row,
                                  int64_t row_count,
                                  uint8_t *out_validity,
                                  size_t validity_bytes,
                                  int64_t *out_null_count,
                                  ms_error **err);

/**
 * How many bytes ms_column_copy_strings will write.
 * @param[in] schema as for ms_column_copy_values.
 * @param[in] array as for ms_column_copy_values.
 * @param[in] column as for ms_column_copy_values; strings or binary values of any Arrow layout that the library delivers.
 * @param[in] start_row as for ms_column_copy_values.
 * @param[in] row_count as for ms_column_copy_values.
 * @param[out] out_bytes receives the bytes of all rows together, to which a NULL adds none; 0 on failure.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return MS_OK; MS_INVALID_ARGUMENT for NULL, for rows or a column that the array does not have, and for a malformed array;
 * MS_UNSUPPORTED for columns without strings.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_column_strings_size(const struct ArrowSchema *schema,
                                 const struct ArrowArray *array,
                                 int64_t column,
                                 int64_t start_row,
                                 int64_t row_count,
                                 size_t *out_bytes,
                                 ms_error **err);

/**
 * Copies strings or binary values, whatever their Arrow layout is: their bytes one behind the other, and for each row where its bytes end. A
 * row that is NULL has no bytes.
 * @param[in] schema as for ms_column_copy_values.
 * @param[in] array as for ms_column_copy_values.
 * @param[in] column as for ms_column_strings_size.
 * @param[in] start_row as for ms_column_copy_values.
 * @param[in] row_count as for ms_column_copy_values.
 * @param[in] first_end what the ends are counted from: 0, or where the last row ends that the caller's column has already.
 * @param[out] out_bytes receives the bytes; must overlap neither the array nor `out_ends`; may be NULL for none.
 * @param[in] bytes_capacity bytes that `out_bytes` has room for: at least what ms_column_strings_size says.
 * @param[out] out_ends receives `first_end` plus the bytes up to and including each row; aligned as its type; must not overlap
 * the array; may be NULL for no rows.
 * @param[in] ends_capacity ends that `out_ends` has room for: at least `row_count`.
 * @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
 * @return as ms_column_strings_size; MS_INVALID_ARGUMENT also for too little room, and MS_VALUE_OUT_OF_RANGE if an end does not fit 32
 * bits, where nothing is written.
 * Thread: any, at any time. Blocking: no.
 * @since 0.1
 */
MS_API
MS_NODISCARD
ms_status ms_column_copy_strings(const struct ArrowSchema *schema,
                                 const struct ArrowArray *array,
                                 int64_t column,
                                 int64_t start_row,
                                 int64_t row_count,
                                 uint32_t first_end,
                                 void *out_bytes,
                                 size_t bytes_capacity,
                                 uint32_t *out_ends,
                                 size_t ends_capacity,
                                 ms_error **err);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* MAXSTORAGE_H */
