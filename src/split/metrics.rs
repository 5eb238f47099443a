//! What a read costs.

use crate::metrics::figures;

figures! {
    /// The figures of one read.
    Metrics;

    rows, "rows", "Rows handed to the engine.";
    batches, "batches", "Batches handed to the engine.";
    bytes_wire, "bytes", "Bytes of the response body, after HTTP framing.";
    bytes_decoded, "bytes", "Bytes of the buffers of all decoded batches.";
    bytes_copied, "bytes", "Bytes copied within the process: out of the buffers of the HTTP library (TLS and proxies only; plain HTTP is received in place), and where a type needs more alignment than the wire has. Decompression is not counted.";
    requests, "requests", "HTTP requests made.";
    resumes, "requests", "Requests that went on where an earlier one had broken off.";
    rows_reread, "rows", "Rows that came a second time after such a break, and were left out.";
    first_byte, "us", "Time from opening the split to the start of the answer.";
    network, "us", "Time spent on the network after that: waiting for bytes and taking them out of the socket.";
    decode, "us", "Time spent in framing, decompression and validation.";
    throttled, "us", "Time requests waited because the service had too many: for a slot of the client, and after refusals.";
    memory_wait, "us", "Time readers waited for memory: the budget was used up or the host refused.";
    rows_filtered, "rows", "Rows that arrived and were left out, because a filter that the library evaluates (filter.exact, ms_split_add_filter) is not true for them.";
    filter, "us", "Time spent in evaluating filters and taking out the rows that match.";
    times_replaced, "values", "Timestamps and intervals that did not fit their unit and became NULL or the nearest value (types.timestamp_overflow).";
    decimals_converted, "values", "Decimals that were brought into another form (types.decimal).";
    chars_changed, "values", "CHAR values that got or lost blanks (types.char_padding).";
    map_entries_dropped, "values", "Entries of maps that were left out because a later one has the same key (types.map_duplicate_keys).";
    strings_viewed, "values", "Strings and binary values that were delivered as views (types.string_view).";
    offsets_widened, "values", "Strings, binary values and lists that were delivered with 64-bit offsets (types.large_offsets).";
    policies, "us", "Time spent in the policies of types, but for that of times.";
    queue_wait, "us", "Time finished batches waited for room in the queue: the engine was slower.";
    consumer_wait, "us", "Time the engine waited for batches: the network or decoding was slower.";
    memory_current, "bytes", "Bytes held for batches now: being received, decompressed, waiting, at the engine, or kept to be used again.";
    memory_peak, "bytes", "The most bytes held at one time.";
}
