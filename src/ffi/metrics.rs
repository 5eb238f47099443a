//! Metrics as name/value pairs.

use std::ffi::{CString, c_char};

use super::args::{c_text, peek};
use super::gate::{free, quiet};
use crate::metrics::Metric;

/// Figures of a client, a session or a reader at one moment.
pub struct ms_metrics {
    rows: Vec<Row>,
}

struct Row {
    name: CString,
    unit: CString,
    value: i64,
}

impl ms_metrics {
    pub(super) fn new(metrics: &[Metric]) -> Self {
        let row = |metric: &Metric| Row {
            name: c_text(metric.name),
            unit: c_text(metric.unit),
            value: i64::try_from(metric.value).unwrap_or(i64::MAX),
        };
        ms_metrics { rows: metrics.iter().map(row).collect() }
    }
}

/// Reads a row; `none` if there is no such row.
///
/// # Safety
/// `metrics` is NULL or a live handle.
unsafe fn read<T>(metrics: *const ms_metrics, index: usize, none: T, field: impl FnOnce(&Row) -> T) -> T {
    // SAFETY: by the contract of this function.
    let row = unsafe { peek(metrics) }.and_then(|metrics| metrics.rows.get(index));
    match row {
        Some(row) => quiet(none, || field(row)),
        None => none,
    }
}

/// The number of figures.
/// @param[in] metrics may be NULL.
/// @return the number; 0 for NULL.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_metrics_count(metrics: *const ms_metrics) -> usize {
    let metrics = unsafe { peek(metrics) };
    quiet(0, || metrics.map_or(0, |metrics| metrics.rows.len()))
}

/// The name of a figure, for example "bytes_wire"; docs/metrics.md lists them.
/// @param[in] metrics may be NULL.
/// @param[in] index 0 to ms_metrics_count - 1.
/// @return text owned by `metrics`, valid until it is freed; "" for NULL and for another index.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_metrics_name(metrics: *const ms_metrics, index: usize) -> *const c_char {
    unsafe { read(metrics, index, c"".as_ptr(), |row| row.name.as_ptr()) }
}

/// The value of a figure.
/// @param[in] metrics may be NULL.
/// @param[in] index 0 to ms_metrics_count - 1.
/// @return the value; 0 for NULL and for another index.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_metrics_value(metrics: *const ms_metrics, index: usize) -> i64 {
    unsafe { read(metrics, index, 0, |row| row.value) }
}

/// The unit of a figure: "rows", "batches", "bytes", "requests", "reads", "values" or "us" (microseconds).
/// @param[in] metrics may be NULL.
/// @param[in] index 0 to ms_metrics_count - 1.
/// @return text owned by `metrics`, valid until it is freed; "" for NULL and for another index.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_metrics_unit(metrics: *const ms_metrics, index: usize) -> *const c_char {
    unsafe { read(metrics, index, c"".as_ptr(), |row| row.unit.as_ptr()) }
}

/// Frees metrics and the texts borrowed from them.
/// @param[in] metrics may be NULL.
/// Thread: any, once, when no other call uses the handle. Blocking: no.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_metrics_free(metrics: *mut ms_metrics) {
    unsafe { free(metrics, |_| false) }
}
