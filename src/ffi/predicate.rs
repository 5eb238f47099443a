//! Predicates: filters as trees of typed comparisons.

use std::ffi::{CString, c_char, c_void};
use std::sync::OnceLock;

use arrow_data::ffi::FFI_ArrowArray;
use arrow_schema::ffi::FFI_ArrowSchema;

use super::args::{Out, borrow, bytes, c_text, handles, peek, text};
use super::arrow::import_array;
use super::error::ms_error;
use super::gate::{free, gate, new_handle, quiet};
use super::status::ms_status;
use crate::error::{Error, Kind, Result};
use crate::predicate::{Column, Literal, Op, Predicate, literals};

/// A condition on rows, as a tree of typed comparisons: true, false or unknown for each row. Never changes; parts of a tree are
/// shared, not copied.
pub struct ms_predicate {
    pub(super) predicate: Predicate,
    text: OnceLock<CString>,
}

impl ms_predicate {
    fn new(predicate: Predicate) -> Self {
        ms_predicate { predicate, text: OnceLock::new() }
    }
}

/// How ms_predicate_compare compares: one of the MS_COMPARE_ constants.
pub type ms_compare_op = i32;

/// Equal.
pub const MS_COMPARE_EQ: ms_compare_op = 0;
/// Not equal.
pub const MS_COMPARE_NE: ms_compare_op = 1;
/// Less.
pub const MS_COMPARE_LT: ms_compare_op = 2;
/// Less or equal.
pub const MS_COMPARE_LE: ms_compare_op = 3;
/// Greater.
pub const MS_COMPARE_GT: ms_compare_op = 4;
/// Greater or equal.
pub const MS_COMPARE_GE: ms_compare_op = 5;

/// A column compared with a literal. The literal is converted to the type of the column when a table is known, in a way that keeps
/// the meaning: for an INT column, `< 3.5` becomes `< 4`, and `= 3.5` is never true (docs/predicates.md).
/// @param[in] column copied; a name, or names with dots in between for a field of a struct; odd names in back-quotes. Case does not
/// matter.
/// @param[in] op one of the MS_COMPARE_ constants.
/// @param[in] schema the type of the literal; stays with the caller.
/// @param[in] array the literal: an array of length 1, whose value may be NULL. Consumed, on success and on failure alike.
/// @param[out] out_predicate receives the predicate, to be freed with ms_predicate_free; NULL on failure.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return MS_OK; MS_INVALID_ARGUMENT for NULL, a bad name, an unknown op, another length, or an array that is malformed;
/// MS_UNSUPPORTED for an Arrow type that is no literal.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_predicate_compare(
    column: *const c_char,
    op: ms_compare_op,
    schema: *const FFI_ArrowSchema,
    array: *mut FFI_ArrowArray,
    out_predicate: *mut *mut ms_predicate,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        gate(err, || {
            let values = import_array(schema, array).and_then(|array| literals(&array));
            let out = Out::handle(out_predicate, "out_predicate")?;
            let column = Column::parse(text(column, "column")?)?;
            let known = usize::try_from(op).ok().and_then(|op| Op::ALL.get(op).copied());
            let op = known.ok_or_else(|| {
                Error::new(Kind::InvalidArgument, format!("op {op} is not one of the MS_COMPARE_ constants"))
            })?;
            out.give(ms_predicate::new(Predicate::compare(column, op, only(values?)?)));
            Ok(())
        })
    }
}

fn only(values: Vec<Literal>) -> Result<Literal> {
    match <[Literal; 1]>::try_from(values) {
        Ok([value]) => Ok(value),
        Err(values) => {
            Err(Error::new(Kind::InvalidArgument, format!("array has {} values instead of one", values.len())))
        }
    }
}

/// Whether a column is one of some literals, or none of them. With a NULL among them, IN is true or unknown and NOT IN never true;
/// IN of nothing is false and NOT IN of nothing true.
/// @param[in] column as for ms_predicate_compare.
/// @param[in] negated true for NOT IN.
/// @param[in] schema the type of the literals; stays with the caller.
/// @param[in] array the literals, any number. Consumed, on success and on failure alike.
/// @param[out] out_predicate receives the predicate, to be freed with ms_predicate_free; NULL on failure.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return as ms_predicate_compare, but any length will do.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_predicate_in(
    column: *const c_char,
    negated: bool,
    schema: *const FFI_ArrowSchema,
    array: *mut FFI_ArrowArray,
    out_predicate: *mut *mut ms_predicate,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        gate(err, || {
            let values = import_array(schema, array).and_then(|array| literals(&array));
            let out = Out::handle(out_predicate, "out_predicate")?;
            let column = Column::parse(text(column, "column")?)?;
            out.give(ms_predicate::new(Predicate::in_set(column, negated, values?)));
            Ok(())
        })
    }
}

/// Whether a column is NULL, or is not.
/// @param[in] column as for ms_predicate_compare.
/// @param[in] negated true for IS NOT NULL.
/// @param[out] out_predicate receives the predicate, to be freed with ms_predicate_free; NULL on failure.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return MS_OK; MS_INVALID_ARGUMENT for NULL and for a bad name.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_predicate_is_null(
    column: *const c_char,
    negated: bool,
    out_predicate: *mut *mut ms_predicate,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        gate(err, || {
            let out = Out::handle(out_predicate, "out_predicate")?;
            let column = Column::parse(text(column, "column")?)?;
            out.give(ms_predicate::new(Predicate::is_null(column, negated)));
            Ok(())
        })
    }
}

/// Joins operands that are borrowed.
///
/// # Safety
/// `operands` points to `count` pointers that are NULL or live handles, or `count` is 0.
unsafe fn join(
    operands: *const *const ms_predicate,
    count: usize,
    out: *mut *mut ms_predicate,
    join: fn(Vec<Predicate>) -> Result<Predicate>,
) -> Result<()> {
    // SAFETY: by the contract of this function.
    unsafe {
        let out = Out::handle(out, "out_predicate")?;
        let operands = handles(operands, count, "operands")?;
        let joined = join(operands.into_iter().map(|operand| operand.predicate.clone()).collect())?;
        out.give(ms_predicate::new(joined));
        Ok(())
    }
}

/// All of some predicates.
/// @param[in] operands pointers to predicates, which are shared: they stay with the caller and may be freed at once.
/// @param[in] count number of them, at least one.
/// @param[out] out_predicate receives the predicate, to be freed with ms_predicate_free; NULL on failure.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return MS_OK; MS_INVALID_ARGUMENT for NULL, for no operands, and for a tree of more than 256 levels or 262,144 nodes.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_predicate_and(
    operands: *const *const ms_predicate,
    count: usize,
    out_predicate: *mut *mut ms_predicate,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe { gate(err, || join(operands, count, out_predicate, Predicate::and)) }
}

/// Any of some predicates.
/// @param[in] operands as for ms_predicate_and.
/// @param[in] count number of them, at least one.
/// @param[out] out_predicate receives the predicate, to be freed with ms_predicate_free; NULL on failure.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return as ms_predicate_and.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_predicate_or(
    operands: *const *const ms_predicate,
    count: usize,
    out_predicate: *mut *mut ms_predicate,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe { gate(err, || join(operands, count, out_predicate, Predicate::or)) }
}

/// The opposite of a predicate; unknown stays unknown.
/// @param[in] operand shared: it stays with the caller and may be freed at once.
/// @param[out] out_predicate receives the predicate, to be freed with ms_predicate_free; NULL on failure.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return MS_OK; MS_INVALID_ARGUMENT for NULL and for a tree of more than 256 levels.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_predicate_not(
    operand: *const ms_predicate,
    out_predicate: *mut *mut ms_predicate,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        gate(err, || {
            let out = Out::handle(out_predicate, "out_predicate")?;
            let operand = borrow(operand, "operand")?;
            out.give(ms_predicate::new(operand.predicate.clone().negated()?));
            Ok(())
        })
    }
}

/// Reads a predicate in the text form of the service (docs/predicates.md has the grammar).
/// @param[in] predicate_text copied.
/// @param[out] out_predicate receives the predicate, to be freed with ms_predicate_free; NULL on failure.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return MS_OK; MS_INVALID_ARGUMENT for NULL, bad UTF-8 and text that is no predicate; MS_UNSUPPORTED for a construct outside of the
/// grammar, such as a function; both messages tell the place.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_predicate_parse(
    predicate_text: *const c_char,
    out_predicate: *mut *mut ms_predicate,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        gate(err, || {
            let out = Out::handle(out_predicate, "out_predicate")?;
            out.give(ms_predicate::new(Predicate::parse(text(predicate_text, "predicate_text")?)?));
            Ok(())
        })
    }
}

/// Reads a predicate out of a Substrait message: an ExtendedExpression with one expression, which is a condition on the columns of its
/// base schema, as Arrow, Acero, DataFusion and others write it (docs/predicates.md has what is taken). Columns are known by
/// their names, so the schema may have any order and may lack columns of the table.
/// @param[in] message the encoded message, 16 MiB at most; not kept.
/// @param[in] message_len number of bytes.
/// @param[out] out_predicate receives the predicate, to be freed with ms_predicate_free; NULL on failure.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return MS_OK; MS_INVALID_ARGUMENT for NULL, for bytes that are no such message, and for more than 256 levels; MS_UNSUPPORTED for
/// what a predicate has no place for, such as a function or a cast of a column, which the message names.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_predicate_from_substrait(
    message: *const c_void,
    message_len: usize,
    out_predicate: *mut *mut ms_predicate,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        gate(err, || {
            let out = Out::handle(out_predicate, "out_predicate")?;
            let message = bytes(message, message_len, "message")?;
            out.give(ms_predicate::new(Predicate::from_substrait(message)?));
            Ok(())
        })
    }
}

/// The text of a predicate, for logs: ms_predicate_parse reads it as the same predicate. What is sent to the service may differ,
/// because there literals have the types of the columns.
/// @param[in] predicate may be NULL.
/// @return text owned by `predicate`, valid until it is freed; "" for NULL.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_predicate_text(predicate: *const ms_predicate) -> *const c_char {
    let predicate = unsafe { peek(predicate) };
    quiet(c"".as_ptr(), || {
        predicate.map_or(c"".as_ptr(), |predicate| {
            predicate.text.get_or_init(|| c_text(&predicate.predicate.to_string())).as_ptr()
        })
    })
}

/// A second handle of a predicate.
/// @param[in] predicate may be NULL.
/// @return a handle of its own, to be freed with ms_predicate_free; NULL for NULL.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_predicate_clone(predicate: *const ms_predicate) -> *mut ms_predicate {
    let predicate = unsafe { peek(predicate) };
    quiet(std::ptr::null_mut(), || {
        predicate.map_or(std::ptr::null_mut(), |predicate| new_handle(ms_predicate::new(predicate.predicate.clone())))
    })
}

/// Frees a predicate. What was made of it stays.
/// @param[in] predicate may be NULL.
/// Thread: any, once, when no other call uses the handle. Blocking: no.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_predicate_free(predicate: *mut ms_predicate) {
    unsafe { free(predicate, |_| false) }
}
