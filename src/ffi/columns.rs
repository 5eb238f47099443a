//! Rows of a batch, copied into the columns that an engine has itself.

use std::ffi::c_void;

use arrow_data::ffi::FFI_ArrowArray;
use arrow_schema::ffi::FFI_ArrowSchema;

use super::args::{Out, room};
use super::arrow::{Located, locate};
use super::error::ms_error;
use super::gate::gate;
use super::status::ms_status;
use crate::error::Result;

/// Copies values of the same size each into memory of the caller, one behind the other, as Arrow has them: 1, 2, 4, 8 or 16 bytes for
/// numbers, dates, times, intervals and decimals. A BOOLEAN becomes a byte, 0 or 1. Of a column that has a dictionary the keys are copied.
/// What lies where a row is NULL is copied as well and means nothing.
///
/// This and the four functions below serve engines that keep rows in columns of their own; others need not copy. They take any batch of the
/// library with the schema it was delivered with, and for nested types also the arrays below it: `array` is a batch or a struct, and `column`
/// one of its parts; or a list or map, and `column` is 0 for its elements, which are counted from the first one that the list has.
/// @param[in] schema the schema of `array`; it stays the caller's.
/// @param[in] array a batch, a struct, a list or a map; it stays the caller's. Its offset and those of its columns are taken into account; what
/// lies above it is not: of a struct inside of a struct, add the offset of the outer one to `start_row`.
/// @param[in] column 0 to n_children - 1.
/// @param[in] start_row the first row to copy, from 0 on.
/// @param[in] row_count rows to copy; 0 is legal.
/// @param[out] out_values receives the values; it needs no alignment and must not overlap the array; may be NULL for no rows.
/// @param[in] values_bytes bytes that `out_values` has room for.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return MS_OK; MS_INVALID_ARGUMENT for NULL, for rows or a column that the array does not have and for too little room, where nothing
/// is written, and for a malformed array; MS_UNSUPPORTED for strings and nested types.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_column_copy_values(
    schema: *const FFI_ArrowSchema,
    array: *const FFI_ArrowArray,
    column: i64,
    start_row: i64,
    row_count: i64,
    out_values: *mut c_void,
    values_bytes: usize,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        gate(err, || {
            let rows = locate(schema, array, column, start_row, row_count)?;
            let room = room(out_values.cast::<u8>(), values_bytes, "out_values")?;
            rows.values()?.copy(rows.rows(), room)
        })
    }
}

/// Tells a byte for each row whether it is NULL. A row is NULL if its column says so, and if `array` is a struct that is NULL there.
/// @param[in] schema as for ms_column_copy_values.
/// @param[in] array as for ms_column_copy_values.
/// @param[in] column as for ms_column_copy_values.
/// @param[in] start_row as for ms_column_copy_values.
/// @param[in] row_count as for ms_column_copy_values.
/// @param[out] out_nulls receives 1 for NULL and 0 for a value; must not overlap the array; may be NULL for no rows.
/// @param[in] nulls_bytes bytes that `out_nulls` has room for.
/// @param[out] out_null_count may be NULL; receives how many rows are NULL; 0 on failure.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return as ms_column_copy_values; MS_UNSUPPORTED for types that the library does not deliver.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_column_copy_nulls(
    schema: *const FFI_ArrowSchema,
    array: *const FFI_ArrowArray,
    column: i64,
    start_row: i64,
    row_count: i64,
    out_nulls: *mut u8,
    nulls_bytes: usize,
    out_null_count: *mut i64,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        gate(err, || {
            counted(out_null_count, || {
                let rows = locate(schema, array, column, start_row, row_count)?;
                rows.nulls()?.copy(rows.rows(), room(out_nulls, nulls_bytes, "out_nulls")?)
            })
        })
    }
}

/// Tells a bit for each row whether it has a value, in the order of Arrow: the first row in the lowest bit of the first byte. NULL is as for
/// ms_column_copy_nulls.
/// @param[in] schema as for ms_column_copy_values.
/// @param[in] array as for ms_column_copy_values.
/// @param[in] column as for ms_column_copy_values.
/// @param[in] start_row as for ms_column_copy_values.
/// @param[in] row_count as for ms_column_copy_values.
/// @param[out] out_validity receives 1 for a value and 0 for NULL, and 0 in the bits that are left of the last byte; must not overlap the
/// array; may be NULL for no rows.
/// @param[in] validity_bytes bytes that `out_validity` has room for: an eighth of the rows, rounded up.
/// @param[out] out_null_count may be NULL; receives how many rows are NULL; 0 on failure.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return as ms_column_copy_nulls.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_column_copy_validity(
    schema: *const FFI_ArrowSchema,
    array: *const FFI_ArrowArray,
    column: i64,
    start_row: i64,
    row_count: i64,
    out_validity: *mut u8,
    validity_bytes: usize,
    out_null_count: *mut i64,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        gate(err, || {
            counted(out_null_count, || {
                let rows = locate(schema, array, column, start_row, row_count)?;
                rows.nulls()?.copy_validity(rows.rows(), room(out_validity, validity_bytes, "out_validity")?)
            })
        })
    }
}

/// How many bytes ms_column_copy_strings will write.
/// @param[in] schema as for ms_column_copy_values.
/// @param[in] array as for ms_column_copy_values.
/// @param[in] column as for ms_column_copy_values; strings or binary values of any Arrow layout that the library delivers.
/// @param[in] start_row as for ms_column_copy_values.
/// @param[in] row_count as for ms_column_copy_values.
/// @param[out] out_bytes receives the bytes of all rows together, to which a NULL adds none; 0 on failure.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return MS_OK; MS_INVALID_ARGUMENT for NULL, for rows or a column that the array does not have, and for a malformed array;
/// MS_UNSUPPORTED for columns without strings.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_column_strings_size(
    schema: *const FFI_ArrowSchema,
    array: *const FFI_ArrowArray,
    column: i64,
    start_row: i64,
    row_count: i64,
    out_bytes: *mut usize,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        gate(err, || {
            let out = Out::claim(out_bytes, 0, "out_bytes")?;
            let rows = locate(schema, array, column, start_row, row_count)?;
            out.fill(rows.strings()?.size(rows.rows(), &rows.nulls()?)?);
            Ok(())
        })
    }
}

/// Copies strings or binary values, whatever their Arrow layout is: their bytes one behind the other, and for each row where its bytes end. A
/// row that is NULL has no bytes.
/// @param[in] schema as for ms_column_copy_values.
/// @param[in] array as for ms_column_copy_values.
/// @param[in] column as for ms_column_strings_size.
/// @param[in] start_row as for ms_column_copy_values.
/// @param[in] row_count as for ms_column_copy_values.
/// @param[in] first_end what the ends are counted from: 0, or where the last row ends that the caller's column has already.
/// @param[out] out_bytes receives the bytes; must overlap neither the array nor `out_ends`; may be NULL for none.
/// @param[in] bytes_capacity bytes that `out_bytes` has room for: at least what ms_column_strings_size says.
/// @param[out] out_ends receives `first_end` plus the bytes up to and including each row; aligned as its type; must not overlap
/// the array; may be NULL for no rows.
/// @param[in] ends_capacity ends that `out_ends` has room for: at least `row_count`.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return as ms_column_strings_size; MS_INVALID_ARGUMENT also for too little room, and MS_VALUE_OUT_OF_RANGE if an end does not fit 32
/// bits, where nothing is written.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_column_copy_strings(
    schema: *const FFI_ArrowSchema,
    array: *const FFI_ArrowArray,
    column: i64,
    start_row: i64,
    row_count: i64,
    first_end: u32,
    out_bytes: *mut c_void,
    bytes_capacity: usize,
    out_ends: *mut u32,
    ends_capacity: usize,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        gate(err, || {
            let rows: Located<'_> = locate(schema, array, column, start_row, row_count)?;
            let bytes = room(out_bytes.cast::<u8>(), bytes_capacity, "out_bytes")?;
            let ends = room(out_ends, ends_capacity, "out_ends")?;
            rows.strings()?.copy(rows.rows(), &rows.nulls()?, first_end, bytes, ends)
        })
    }
}

/// Runs a copy and gives the number of NULLs to the host, if it wants it.
///
/// # Safety
/// `out` is NULL or points to writable memory for one number.
unsafe fn counted(out: *mut i64, copy: impl FnOnce() -> Result<usize>) -> Result<()> {
    // SAFETY: by the contract of this function.
    let out = (!out.is_null()).then(|| unsafe { Out::claim(out, 0, "out_null_count") }).transpose()?;
    let count = copy()?;
    if let Some(out) = out {
        out.fill(count as i64);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
