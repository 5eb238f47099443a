//! The table of options.

use super::{Group, Key, Type};

macro_rules! keys {
    ($($constant:ident = $name:literal, $group:ident, $kind:expr, $default:literal, $secret:literal, $doc:literal;)*) => {
        $(
            #[doc = $doc]
            pub static $constant: Key = Key {
                name: $name, group: Group::$group, kind: $kind, default: $default, secret: $secret, doc: $doc,
            };
        )*

        /// Every option, in the order of the documentation.
        pub static TABLE: &[&Key] = &[$(&$constant,)*];
    };
}

const HOUR_MS: u64 = 3_600_000;
const SOURCES: &[&str] =
    &["static", "environment", "profile", "ecs_ram_role", "ram_role_arn", "oidc", "process", "uri"];
const UNITS: &[&str] = &["second", "milli", "micro", "nano"];

keys! {
    ENDPOINT = "endpoint", Connection, Type::Text, "", false, "Service endpoint with scheme and path, for example `http://127.0.0.1:8080/api`. Required.";
    DATA_ENDPOINT = "data_endpoint", Connection, Type::Text, "", false, "Endpoint of the Storage API. Without it the service endpoint is asked, and its answer kept for 15 minutes per project.";
    PROJECT = "project", Connection, Type::Text, "", false, "Default project for tables named without one; also sent as `curr_project`.";
    SCHEMA = "schema", Connection, Type::Text, "default", false, "Default schema for tables named without one.";
    QUOTA = "quota", Connection, Type::Text, "", false, "Quota (nickname) to use, for example `pay-as-you-go`. Empty: the project's own.";
    TAGS = "tags", Connection, Type::Text, "", false, "Comma-separated tags sent with every request, for the service's observation pages.";
    TRACE_PARENT = "trace.parent", Connection, Type::Text, "", false, "Trace that requests belong to, as W3C Trace Context writes it: `00-TRACE-SPAN-FLAGS`. It is sent as header `traceparent` with every request and told in logs and errors (`trace_parent` of `ms_error_json`). Set for a session, it is for planning, refreshing and reading it; set for a split or scan, for its requests.";
    USER_AGENT = "user_agent", Connection, Type::Text, "", false, "Name of the engine; put before the library's own user agent.";
    PROTOCOL = "protocol", Connection, Type::Choice(&["auto", "1", "2", "3"]), "auto", false, "Version of the Storage API. `auto`: version 1, or 2 for what only the later ones have (changes, results of instances, previews); if the service does not know that version, the next one, which is then remembered for its endpoint. A number: that version or none.";
    CONNECT_TIMEOUT_MS = "connect_timeout_ms", Connection, Type::Integer(1, HOUR_MS), "10000", false, "How long one attempt to connect, TLS included, may take.";
    READ_IDLE_TIMEOUT_MS = "read_idle_timeout_ms", Connection, Type::Integer(1, HOUR_MS), "120000", false, "How long a peer may send nothing before the attempt fails.";
    TLS_CA_FILE = "tls.ca_file", Connection, Type::Text, "", false, "PEM file with certificate authorities to trust besides those of the system.";
    TLS_CA_PEM = "tls.ca_pem", Connection, Type::Text, "", false, "Text of a PEM file with certificate authorities to trust besides those of the system and of `tls.ca_file`.";
    TLS_VERIFY = "tls.verify", Connection, Type::Bool, "true", false, "Whether the certificate of the service is checked. Switch off for tests only.";
    PROXY = "proxy", Connection, Type::Text, "", true, "Proxy for all requests, for example `http://proxy:3128`. May contain a password, so it is never shown.";
    NO_PROXY = "no_proxy", Connection, Type::Text, "", false, "Comma-separated hosts, domains and networks that are reached without `proxy`, for example `.internal, 10.0.0.0/8`.";
    LOCAL_ADDRESS = "local_address", Connection, Type::Text, "", false, "IP address of this machine from which connections are made, for a machine that has several; hosts are then reached by addresses of its family only. Empty: the system chooses.";
    HTTP_MAX_IDLE_CONNECTIONS = "http.max_idle_connections", Connection, Type::Integer(0, 10_000), "64", false, "Idle connections kept per host.";

    ACCESS_KEY_ID = "access_key_id", Identity, Type::Text, "", false, "AccessKey ID.";
    ACCESS_KEY_SECRET = "access_key_secret", Identity, Type::Text, "", true, "AccessKey secret.";
    SECURITY_TOKEN = "security_token", Identity, Type::Text, "", true, "STS token that belongs to a temporary AccessKey.";
    BEARER_TOKEN = "bearer_token", Identity, Type::Text, "", true, "Bearer token, in place of an AccessKey. It signs nothing: use it over TLS only.";
    CREDENTIALS = "credentials", Identity, Type::Choice(SOURCES), "static", false, "Where the credentials come from: these options, the variables of the SDKs, a profile of theirs, the metadata service of the machine, a role, an OpenID Connect token, a program, or a service of the host at an address. See docs/identity.md.";
    CREDENTIALS_TIMEOUT_MS = "credentials.timeout_ms", Identity, Type::Integer(1, HOUR_MS), "30000", false, "How long one attempt to get credentials may take.";
    CREDENTIALS_PROFILE = "credentials.profile", Identity, Type::Text, "", false, "Name of the profile, for `profile`. Empty: the current one of the command line tool, or `default`.";
    CREDENTIALS_FILE = "credentials.file", Identity, Type::Text, "", false, "File with profiles, for `profile`. Empty: `~/.aliyun/config.json`, `~/.alibabacloud/credentials`, `~/.alibabacloud/credentials.ini`, the first that has the profile.";
    CREDENTIALS_PROCESS = "credentials.process", Identity, Type::Text, "", true, "Program and its arguments, for `process`; no shell reads it. It prints a JSON object with AccessKeyId, AccessKeySecret, SecurityToken and Expiration. May contain a password, so it is never shown.";
    CREDENTIALS_URI = "credentials.uri", Identity, Type::Text, "", true, "URL, http or https, for `uri`. A GET of it answers a JSON object with AccessKeyId, AccessKeySecret, SecurityToken and Expiration, and with a Code that is `Success` if there is one. May contain a password or a key, so it is never shown.";
    ECS_ROLE_NAME = "ecs.role_name", Identity, Type::Text, "", false, "RAM role of the machine, for `ecs_ram_role`. Empty: the metadata service is asked.";
    ECS_METADATA_ENDPOINT = "ecs.metadata_endpoint", Identity, Type::Text, "http://100.100.100.200", false, "Metadata service of the machine.";
    ECS_TOKEN_REQUIRED = "ecs.token_required", Identity, Type::Bool, "false", false, "Whether the metadata service is asked in its hardened mode only. Else a service that gives no session token is asked without one.";
    ROLE_ARN = "role.arn", Identity, Type::Text, "", false, "Role to assume, for `ram_role_arn` and `oidc`.";
    ROLE_SOURCE = "role.source", Identity, Type::Choice(&["static", "environment", "profile", "ecs_ram_role", "process", "uri"]), "static", false, "Whose credentials assume the role, for `ram_role_arn`.";
    ROLE_SESSION_NAME = "role.session_name", Identity, Type::Text, "maxstorage", false, "Name of the role's session, as it is seen in audits.";
    ROLE_DURATION_SECONDS = "role.duration_seconds", Identity, Type::Integer(900, 43_200), "3600", false, "How long the credentials of a role last.";
    ROLE_POLICY = "role.policy", Identity, Type::Text, "", false, "Policy that narrows the role's rights.";
    ROLE_EXTERNAL_ID = "role.external_id", Identity, Type::Text, "", false, "External id that the role's trust policy asks for.";
    STS_ENDPOINT = "sts.endpoint", Identity, Type::Text, "", false, "Endpoint of the Security Token Service. Empty: that of `region`, or `https://sts.aliyuncs.com`.";
    OIDC_PROVIDER_ARN = "oidc.provider_arn", Identity, Type::Text, "", false, "OpenID Connect provider, for `oidc`.";
    OIDC_TOKEN_FILE = "oidc.token_file", Identity, Type::Text, "", false, "File with the OpenID Connect token, for `oidc`; read anew for each refresh.";
    SIGNATURE = "signature", Identity, Type::Choice(&["auto", "v2", "v4"]), "auto", false, "Version of the request signature. `auto`: v4 if `region` is set, else v2.";
    REGION = "region", Identity, Type::Text, "", false, "Region id for signature v4, for example `cn-hangzhou`.";
    APP_ID = "app.id", Identity, Type::Text, "", false, "AccessKey ID of the application account, for dual authentication.";
    APP_SECRET = "app.secret", Identity, Type::Text, "", true, "AccessKey secret of the application account.";

    RETRY_MAX_ATTEMPTS = "retry.max_attempts", Retry, Type::Integer(1, 100), "5", false, "How many times a request is made, the first one included.";
    RETRY_INITIAL_BACKOFF_MS = "retry.initial_backoff_ms", Retry, Type::Integer(1, HOUR_MS), "100", false, "Upper bound of the random wait before the second attempt; doubles with every further one.";
    RETRY_MAX_BACKOFF_MS = "retry.max_backoff_ms", Retry, Type::Integer(1, HOUR_MS), "10000", false, "Upper bound of any wait, also of one the service asks for.";
    RETRY_BUDGET_MS = "retry.budget_ms", Retry, Type::Integer(0, HOUR_MS), "120000", false, "No further attempt starts this long after the first one.";

    LIMITS_CONCURRENT_REQUESTS = "limits.concurrent_requests", Limits, Type::Integer(0, 100_000), "0", false, "Requests for rows that the client has under way at the same time, over all its splits and scans; 0 means as many as the service bears. A request whose rows the engine does not take does not count while it waits.";
    LIMITS_MEMORY_BYTES = "limits.memory_bytes", Limits, Type::Integer(0, u64::MAX >> 1), "0", false, "Memory for the batches of all splits and scans of the client, those that the engine has not released yet included; 0 means no limit. While it is used up, readers leave the network alone; one that the engine may be waiting for gets one batch beyond it (docs/memory.md).";
    LIMITS_MEMORY_WAIT_MS = "limits.memory_wait_ms", Limits, Type::Integer(0, HOUR_MS), "60000", false, "How long a reader that the engine may be waiting for is refused memory by the host's hooks, without getting any, before it fails with `MS_RESOURCE_EXHAUSTED`.";
    RUNTIME_WORKER_THREADS = "runtime.worker_threads", Limits, Type::Integer(1, 256), "2", false, "Threads for network and decoding. One set per process: the first client decides.";
    RUNTIME_THREAD_NAME = "runtime.thread_name", Limits, Type::Text, "maxstorage", false, "What the names of these threads begin with; their numbers follow, and Linux shows 15 characters in all. The first client decides.";
    RUNTIME_STACK_BYTES = "runtime.stack_bytes", Limits, Type::Integer(262_144, 1 << 30), "2097152", false, "Stack of each of these threads; they take what they use of it. The first client decides.";

    TABLE_NAME = "table", Scan, Type::Text, "", false, "Table to read: `TABLE`, `PROJECT.TABLE` or `PROJECT.SCHEMA.TABLE`. Required, unless `instance` is set.";
    INSTANCE = "instance", Scan, Type::Text, "", false, "Id of an SQL instance of `project` whose result is read, in place of a table: all its rows, `split.rows` of them per split.";
    COLUMNS = "columns", Scan, Type::List, "", false, "Data columns to read. With neither list set: all data columns, then all partition columns. Among read options: the columns of this split or scan, in the order of the session; versions 2 and 3 of the Storage API then send no others, for version 1 the library drops them.";
    PARTITION_COLUMNS = "partition_columns", Scan, Type::List, "", false, "Partition columns to read, after the data columns. Only one list set: only those columns. Among read options as `columns`.";
    PARTITIONS = "partitions", Scan, Type::List, "", false, "Partitions to read, each `key=value/key=value`; leading keys alone select all below. None: all partitions.";
    BUCKET_IDS = "bucket_ids", Scan, Type::List, "", false, "Buckets of a clustered table to read, as numbers. None: all buckets.";
    SPLIT_MODE = "split.mode", Scan, Type::Choice(&["size", "parallelism", "row_offset", "bucket"]), "size", false, "How the table is cut: by stored bytes, into a number of splits, by rows, or by bucket.";
    SPLIT_SIZE_BYTES = "split.size_bytes", Scan, Type::Integer(1, u64::MAX >> 1), "268435456", false, "Stored bytes per split, for mode `size`. The service has a lower limit (10 MiB).";
    SPLIT_PARALLELISM = "split.parallelism", Scan, Type::Integer(1, 1_000_000), "32", false, "Wanted number of splits, for mode `parallelism`.";
    SPLIT_ROWS = "split.rows", Scan, Type::Integer(1, u64::MAX >> 1), "1048576", false, "Rows per split, for mode `row_offset`; the last split may have fewer.";
    SPLIT_MAX_FILES = "split.max_files", Scan, Type::Integer(0, 1_000_000), "0", false, "Upper limit of files per split; 0 means none.";
    SPLIT_CROSS_PARTITION = "split.cross_partition", Scan, Type::Bool, "true", false, "Whether one split may hold rows of several partitions.";
    FILTER_TEXT = "filter.text", Scan, Type::Text, "", false, "Predicate in the text form of the service. It skips data: rows that do not match may still arrive.";
    FILTER_FALLBACK = "filter.fallback", Scan, Type::Bool, "false", false, "Whether the service may ignore a predicate it does not support, instead of refusing it.";
    FILTER_EXACT = "filter.exact", Scan, Type::Bool, "false", false, "Whether the library evaluates the filter itself, so that only rows arrive for which it is true. Columns that only the filter needs are read and not delivered.";
    INCREMENTAL_MODE = "incremental.mode", Scan, Type::Choice(&["append", "cdc"]), "append", false, "Reads changes of a Delta table in place of its rows, if this or another `incremental.` key is set: `append` the rows that were changed and are still there, `cdc` every change, if the table captures them. System columns tell which. Versions 2 and 3 of the Storage API have it; `split.mode` is then `bucket` unless it is set.";
    INCREMENTAL_START_VERSION = "incremental.start_version", Scan, Type::Integer(0, u64::MAX >> 1), "", false, "Version of the table after which changes count. Without a start: all changes.";
    INCREMENTAL_END_VERSION = "incremental.end_version", Scan, Type::Integer(1, u64::MAX >> 1), "", false, "Last version whose changes count. Without an end: the newest.";
    INCREMENTAL_START_TIMESTAMP = "incremental.start_timestamp", Scan, Type::Text, "", false, "Time after which changes count, in place of a version, for example `2024-01-01 00:00:00`.";
    INCREMENTAL_END_TIMESTAMP = "incremental.end_timestamp", Scan, Type::Text, "", false, "Last time whose changes count, in place of a version.";
    ESTIMATE_STATISTICS = "estimate_statistics", Scan, Type::Bool, "false", false, "Whether the plan should estimate rows and bytes. Versions 2 and 3 of the Storage API always do.";
    PLAN_PARTITIONS_PER_SESSION = "plan.partitions_per_session", Scan, Type::Integer(1, 100_000), "200", false, "Partitions that one session at the service reads. A longer list in `partitions` is planned by several, which the caller sees as one.";
    PLAN_CONCURRENCY = "plan.concurrency", Scan, Type::Integer(1, 256), "16", false, "Sessions at the service that are planned at the same time.";
    PLAN_WAIT = "plan.wait", Scan, Type::Choice(&["all", "first"]), "all", false, "What opening a session waits for: the whole plan, or, with `first`, the columns and the first splits, where the partitions are planned by several sessions. The others are planned meanwhile, and numbered as they become known: ms_session_more_splits waits for them, and a scan takes them up by itself.";
    PLAN_TIMEOUT_MS = "plan_timeout_ms", Scan, Type::Integer(1, 24 * HOUR_MS), "600000", false, "How long planning may take: that of all parts of a plan together, with all requests and retries, also what goes on after opening with plan.wait=first.";

    TYPES_TIMESTAMP_UNIT = "types.timestamp_unit", Types, Type::Choice(UNITS), "nano", false, "Arrow unit of TIMESTAMP and TIMESTAMP_NTZ.";
    TYPES_DATETIME_UNIT = "types.datetime_unit", Types, Type::Choice(UNITS), "milli", false, "Arrow unit of DATETIME.";
    TYPES_TIMESTAMP_OVERFLOW = "types.timestamp_overflow", Types, Type::Choice(&["error", "null", "clamp"]), "error", false, "What happens to a timestamp or interval that arrives as seconds and nanoseconds and does not fit its Arrow type: reading fails with `MS_VALUE_OUT_OF_RANGE`, it becomes NULL, or the nearest value there is. See docs/types.md for this and the options that follow.";
    TYPES_DECIMAL = "types.decimal", Types, Type::Choice(&["declared", "wide", "text"]), "declared", false, "How DECIMAL is delivered: with its precision and scale, all as decimal128(38,18), or as text with every digit of the scale. A value that would lose a digit is `MS_VALUE_OUT_OF_RANGE`.";
    TYPES_CHAR_PADDING = "types.char_padding", Types, Type::Choice(&["keep", "strip", "pad"]), "keep", false, "What happens to blanks at the end of CHAR: they stay as they arrive, go, or fill the value up to its length.";
    TYPES_MAP_DUPLICATE_KEYS = "types.map_duplicate_keys", Types, Type::Choice(&["keep", "last", "error"]), "keep", false, "What happens to a key that a MAP has more than once: all entries stay, the value of the last one stays in the place of the first, or reading fails with `MS_VALUE_OUT_OF_RANGE`.";
    TYPES_STRING_VIEW = "types.string_view", Types, Type::Bool, "false", false, "Whether strings and binary values, at every depth, are delivered as Arrow views (Utf8View, BinaryView).";
    TYPES_LARGE_OFFSETS = "types.large_offsets", Types, Type::Bool, "false", false, "Whether strings, binary values and lists, at every depth, are delivered with 64-bit offsets (LargeUtf8, LargeBinary, LargeList). Not together with `types.string_view`: views have no offsets.";
    TYPES_DICTIONARY = "types.dictionary", Types, Type::List, "", false, "Columns of strings that are delivered as Arrow dictionaries: a 32-bit key for each row, and in each batch each of its values once. `*` stands for all columns of type STRING, VARCHAR, CHAR and JSON.";
    TYPES_TIME_ZONE = "types.time_zone", Types, Type::Text, "UTC", false, "Time zone that the Arrow types of TIMESTAMP and DATETIME name: a name of the time zone database, for example `Asia/Shanghai`, or an offset such as `+08:00`. The values are the same instants whatever it is; TIMESTAMP_NTZ has no zone.";

    READ_BATCH_ROWS = "read.batch_rows", Read, Type::Integer(1, 1 << 20), "4096", false, "Upper limit of rows per batch. The service is asked for 20000 at most, and may send fewer.";
    READ_BATCH_BYTES = "read.batch_bytes", Read, Type::Integer(0, u64::MAX >> 1), "0", false, "Upper limit of uncompressed bytes per batch; 0 means none.";
    READ_COMPRESSION = "read.compression", Read, Type::Choice(&["none", "lz4", "zstd"]), "none", false, "Compression on the wire: version 1 of the Storage API compresses the buffers inside of batches, versions 2 and 3 the stream as a whole.";
    READ_PREFETCH_BATCHES = "read.prefetch_batches", Read, Type::Integer(1, 1024), "4", false, "Batches that may wait for the engine before the network is held back; per request for a scan.";

    READ_PREFETCH_BYTES = "read.prefetch_bytes", Read, Type::Integer(1, u64::MAX >> 1), "67108864", false, "Bytes of batches that may wait for the engine before the network is held back: of one split, or of a scan over all its splits. One batch may always wait.";

    READ_START_ROW = "read.start_row", Read, Type::Integer(0, u64::MAX >> 1), "0", false, "Rows at the start of a split to leave out, for example what ms_split_rows_delivered of an earlier reader says: this one then delivers exactly the rest. For ms_split_open only.";
    READ_ROW_COUNT = "read.row_count", Read, Type::Integer(0, u64::MAX >> 1), "", false, "Rows of a split to deliver at most. Without it: all. For ms_split_open only.";
    READ_ROW_COUNT_ONLY = "read.row_count_only", Read, Type::Bool, "false", false, "Whether batches have a number of rows and no columns. Without a filter, splits of a session with `split.mode=row_offset` are then counted by their addresses, without a request; else versions 2 and 3 of the Storage API are asked for the narrowest column of the session, and version 1 for all of them.";
    READ_PRIORITY = "read.priority", Read, Type::Integer(0, 1000), "0", false, "Who of the reads of a client gets a free slot first, where requests wait for one (`limits.concurrent_requests`, or refusals of the service): the highest number, and among equals the read that has the fewest. Every eighth slot that passes over lower numbers goes to the request of them that has waited longest, so none waits for ever. Requests under way are not interrupted.";
    READ_REQUESTS_PER_SPLIT = "read.requests_per_split", Read, Type::Integer(1, 4096), "1", false, "Requests by which one split of a session with `split.mode=row_offset` is read at the same time; its rows keep their order. A scan cuts its splits likewise, and has `scan.concurrency` requests altogether. Other sessions have one request per split.";
    READ_REQUEST_ROWS = "read.request_rows", Read, Type::Integer(0, u64::MAX >> 1), "0", false, "Rows per request where a split is read by several; 0 means 16 batches (`read.batch_rows`) if `read.requests_per_split` is above 1, else the whole split.";

    SCAN_CONCURRENCY = "scan.concurrency", Read, Type::Integer(1, 4096), "8", false, "Requests that a scan has under way at the same time.";
    SCAN_ROW_LIMIT = "scan.row_limit", Read, Type::Integer(0, u64::MAX >> 1), "0", false, "Rows that a scan delivers at most, whichever come first, with `scan.ordered` the first ones; then it ends, and nothing more is read. 0 means all. For a few rows lower `scan.concurrency` as well: as many requests begin before the first row is there. For ms_scan_open and ms_session_export_stream only.";
    SCAN_ORDERED = "scan.ordered", Read, Type::Bool, "false", false, "Whether a scan delivers the batches of one split after those of the other, by their numbers. Else they come as they arrive.";

    DEBUG_PANIC = "debug.panic", Debug, Type::Choice(&["none", "session_open", "next_batch", "reader"]), "none", false, "Forces a panic inside the named call or in the background reader, so that a host can test that it is contained.";
}

/// Keys of the interface that the service has no way to serve, and why.
pub const IMPOSSIBLE: &[(&str, &str)] = &[("snapshot.version", NO_SNAPSHOTS), ("snapshot.timestamp", NO_SNAPSHOTS)];
const NO_SNAPSHOTS: &str = "no version of the Storage API opens a read session on an earlier state of a table; a session keeps the \
    state of its creation, SQL reads earlier ones (`VERSION AS OF`), and the option instance reads the result";

/// Keys of the interface that later versions will have; setting one is `MS_UNSUPPORTED`, not a misspelling.
pub const PLANNED: &[&str] = &[
    "write.table",
    "write.partition",
    "write.mode",
    "write.overwrite",
    "write.dynamic_partition_limit",
    "write.invalid_partition",
    "write.compression",
    "write.block_bytes",
    "write.exactly_once",
    "write.commit_timeout_ms",
];
