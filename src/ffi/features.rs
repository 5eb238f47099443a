//! What this version of the library can do, for programs that run with several versions.

use super::gate::quiet;

/// Reading without blocking: ms_split_try_next_batch, ms_scan_try_next_batch, wakers and descriptors.
pub const MS_FEATURE_POLLING: u64 = 0x1;
/// ms_scan: all splits of a session by one handle.
pub const MS_FEATURE_SCANS: u64 = 0x2;
/// Filters as objects: ms_predicate.
pub const MS_FEATURE_PREDICATES: u64 = 0x4;
/// Filters for reads that are open: ms_split_add_filter, ms_scan_add_filter.
pub const MS_FEATURE_LATE_FILTERS: u64 = 0x8;
/// Filters as Substrait messages: ms_predicate_from_substrait.
pub const MS_FEATURE_SUBSTRAIT: u64 = 0x10;
/// Projects, tables, partitions and previews: ms_tables and its kind.
pub const MS_FEATURE_CATALOGUE: u64 = 0x20;
/// ms_client_diagnose and ms_session_explain.
pub const MS_FEATURE_DIAGNOSIS: u64 = 0x40;
/// ms_cancel: ends planning, the catalogue and whole queries, also by a deadline and from a signal handler.
pub const MS_FEATURE_CANCEL_OBJECTS: u64 = 0x80;
/// Credentials from the host: ms_options_set_credentials_provider.
pub const MS_FEATURE_CREDENTIALS_PROVIDER: u64 = 0x100;
/// The host accounts for memory: ms_options_set_memory_hooks.
pub const MS_FEATURE_MEMORY_HOOKS: u64 = 0x200;
/// The host provides memory: ms_options_set_allocator.
pub const MS_FEATURE_ALLOCATOR: u64 = 0x400;
/// The host decides about attempts: ms_options_set_retry_hook.
pub const MS_FEATURE_RETRY_HOOK: u64 = 0x800;
/// The host is called on the threads of the library: ms_options_set_thread_hooks.
pub const MS_FEATURE_THREAD_HOOKS: u64 = 0x1000;
/// Scans as asynchronous streams of the Arrow C device interface: ms_scan_export_async.
pub const MS_FEATURE_ASYNC_STREAM: u64 = 0x2000;
/// Sessions as JSON: ms_session_serialize_json.
pub const MS_FEATURE_SESSION_JSON: u64 = 0x4000;
/// The figures of all reads of a session: ms_session_metrics.
pub const MS_FEATURE_SESSION_METRICS: u64 = 0x8000;
/// Copies into columns of the engine: ms_column_copy_values and its kind.
pub const MS_FEATURE_COLUMN_COPIES: u64 = 0x10000;
/// ms_split_all_requested and ms_scan_all_requested.
pub const MS_FEATURE_ALL_REQUESTED: u64 = 0x20000;
/// ms_split_set_batch_limits and ms_scan_set_batch_limits.
pub const MS_FEATURE_BATCH_LIMITS: u64 = 0x40000;
/// The host is told of the end of each read: ms_options_set_read_end_callback.
pub const MS_FEATURE_READ_END_CALLBACK: u64 = 0x80000;
/// Versions 2 and 3 of the Storage API (the option protocol).
pub const MS_FEATURE_PROTOCOL_2: u64 = 0x100000;
/// Strings as dictionaries (the option types.dictionary).
pub const MS_FEATURE_DICTIONARIES: u64 = 0x200000;
/// Instants whose types name another time zone than UTC (the option types.time_zone).
pub const MS_FEATURE_TIME_ZONE: u64 = 0x400000;
/// Splits while others are planned (the option plan.wait): ms_session_more_splits, ms_session_try_more_splits.
pub const MS_FEATURE_MORE_SPLITS: u64 = 0x800000;
/// The host is told of each request as a span: ms_options_set_span_callback.
pub const MS_FEATURE_SPANS: u64 = 0x1000000;
/// Single splits as tokens: ms_session_serialize_split.
pub const MS_FEATURE_SPLIT_TOKENS: u64 = 0x2000000;

/// Every feature, and what the header has for it.
const FEATURES: &[(u64, &[&str])] = &[
    (MS_FEATURE_POLLING, &["ms_split_try_next_batch", "ms_scan_set_waker"]),
    (MS_FEATURE_SCANS, &["ms_scan_open", "ms_scan_next_batch_until"]),
    (MS_FEATURE_PREDICATES, &["ms_predicate_compare", "ms_predicate_parse"]),
    (MS_FEATURE_LATE_FILTERS, &["ms_split_add_filter", "ms_scan_add_filter"]),
    (MS_FEATURE_SUBSTRAIT, &["ms_predicate_from_substrait"]),
    (MS_FEATURE_CATALOGUE, &["ms_tables", "ms_partitions", "ms_table_preview"]),
    (MS_FEATURE_DIAGNOSIS, &["ms_client_diagnose", "ms_session_explain"]),
    (MS_FEATURE_CANCEL_OBJECTS, &["ms_cancel_set_deadline_ms", "ms_client_with_cancel", "ms_cancel_from_signal"]),
    (MS_FEATURE_CREDENTIALS_PROVIDER, &["ms_options_set_credentials_provider"]),
    (MS_FEATURE_MEMORY_HOOKS, &["ms_options_set_memory_hooks"]),
    (MS_FEATURE_ALLOCATOR, &["ms_options_set_allocator"]),
    (MS_FEATURE_RETRY_HOOK, &["ms_options_set_retry_hook"]),
    (MS_FEATURE_THREAD_HOOKS, &["ms_options_set_thread_hooks"]),
    (MS_FEATURE_ASYNC_STREAM, &["ms_scan_export_async"]),
    (MS_FEATURE_SESSION_JSON, &["ms_session_serialize_json"]),
    (MS_FEATURE_SESSION_METRICS, &["ms_session_metrics"]),
    (MS_FEATURE_COLUMN_COPIES, &["ms_column_copy_values", "ms_column_copy_strings"]),
    (MS_FEATURE_ALL_REQUESTED, &["ms_split_all_requested", "ms_scan_all_requested"]),
    (MS_FEATURE_BATCH_LIMITS, &["ms_split_set_batch_limits", "ms_scan_set_batch_limits"]),
    (MS_FEATURE_READ_END_CALLBACK, &["ms_options_set_read_end_callback"]),
    (MS_FEATURE_PROTOCOL_2, &["MS_OPT_PROTOCOL"]),
    (MS_FEATURE_DICTIONARIES, &["MS_OPT_TYPES_DICTIONARY"]),
    (MS_FEATURE_TIME_ZONE, &["MS_OPT_TYPES_TIME_ZONE"]),
    (MS_FEATURE_MORE_SPLITS, &["MS_OPT_PLAN_WAIT", "ms_session_more_splits", "ms_session_try_more_splits"]),
    (MS_FEATURE_SPANS, &["ms_options_set_span_callback", "ms_span_json"]),
    (MS_FEATURE_SPLIT_TOKENS, &["ms_session_serialize_split"]),
];

/// What the library can do at run time: a bit for each MS_FEATURE_ constant. A program that was built with a newer header asks before it looks
/// up a function, and one that may run without a feature asks before it relies on it. Bits are only added, and none changes its meaning; those
/// that a program does not know are features that it does not need. What is no feature of its own goes by ms_version.
/// @return the bits.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[unsafe(no_mangle)]
pub extern "C" fn ms_features() -> u64 {
    quiet(0, || FEATURES.iter().fold(0, |all, (bit, _)| all | bit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_single_bits_in_a_row_and_the_header_has_them() {
        let header = include_str!("../../include/maxstorage.h");
        for (number, (bit, names)) in FEATURES.iter().enumerate() {
            assert_eq!(*bit, 1 << number, "a bit is never left out or used twice");
            assert!(!names.is_empty());
            for name in *names {
                let is_there = [format!(" {name}("), format!(" *{name}("), format!("define {name} ")];
                assert!(is_there.iter().any(|form| header.contains(form)), "{name}");
            }
        }
        let known = header.matches("#define MS_FEATURE_").count();
        assert_eq!((ms_features().count_ones() as usize, FEATURES.len()), (known, known));
        assert!(ms_features().trailing_ones() == ms_features().count_ones());
    }
}
