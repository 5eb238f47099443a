//! Options.

use std::ffi::c_char;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow_array::{ArrayRef, BooleanArray, RecordBatch, StringArray};

use super::args::{Out, borrow, peek, take_turn, text};
use super::arrow::{ArrowArrayStream, export_batches};
use super::error::ms_error;
use super::gate::{free, gate, new_handle, quiet};
use super::status::ms_status;
use crate::error::{Error, Kind, Result};
use crate::options::{Options, TABLE, Type};

/// Settings: UTF-8 keys and values. One object may serve a client, a session and a split: each call reads its own keys.
pub struct ms_options {
    options: Mutex<Options>,
    /// Held during a call that only one thread may make.
    turn: Mutex<()>,
}

impl ms_options {
    fn new(options: Options) -> Self {
        ms_options { options: Mutex::new(options), turn: Mutex::new(()) }
    }

    /// A copy of what is set now.
    pub(super) fn read(&self) -> Options {
        self.lock().clone()
    }

    /// Changes what is set. The change is made to a copy, so that one that fails, or panics, leaves no trace.
    pub(super) fn change(&self, change: impl FnOnce(&mut Options) -> Result<()>) -> Result<()> {
        let _turn = take_turn(&self.turn, "options")?;
        let mut options = self.read();
        change(&mut options)?;
        *self.lock() = options;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Options> {
        self.options.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes options with every key at its default.
/// @return the options, to be freed with ms_options_free; NULL only after a defect of the library.
/// Thread: any. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn ms_options_new() -> *mut ms_options {
    quiet(std::ptr::null_mut(), || new_handle(ms_options::new(Options::new())))
}

/// Sets the value of a key, in place of what it had. For a list the value becomes its only item.
/// @param[in] options the options.
/// @param[in] key one of the MS_OPT_ constants (docs/options.md).
/// @param[in] value copied; "" puts the key back to its default.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return MS_OK; MS_INVALID_OPTION for an unknown key (the message suggests the nearest) or a value out of range;
/// MS_UNSUPPORTED for a key of a later version; MS_INVALID_ARGUMENT for NULL or bad UTF-8; MS_BUSY.
/// Thread: one call at a time. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_options_set(
    options: *mut ms_options,
    key: *const c_char,
    value: *const c_char,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        gate(err, || {
            let options = borrow(options, "options")?;
            let (key, value) = (text(key, "key")?, text(value, "value")?);
            options.change(|options| options.set(key, value))
        })
    }
}

/// Adds an item to a key that holds a list, for example a column.
/// @param[in] options the options.
/// @param[in] key one of the MS_OPT_ constants for a list.
/// @param[in] value copied; must not be "".
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return as ms_options_set; MS_INVALID_OPTION also for a key that holds one value.
/// Thread: one call at a time. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_options_add(
    options: *mut ms_options,
    key: *const c_char,
    value: *const c_char,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        gate(err, || {
            let options = borrow(options, "options")?;
            let (key, value) = (text(key, "key")?, text(value, "value")?);
            options.change(|options| options.add(key, value))
        })
    }
}

/// Sets every key that is still at its default from the environment variables of the MaxCompute SDKs, for example
/// ALIBABA_CLOUD_ACCESS_KEY_ID and ODPS_ENDPOINT (docs/options.md lists them). The library reads them only here and, if
/// the option credentials says so, in ms_client_open.
/// @param[in] options the options.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return MS_OK, also if no variable exists; MS_INVALID_OPTION if one has a bad value; MS_BUSY.
/// Thread: one call at a time, and none that changes the environment. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_options_load_environment(options: *mut ms_options, err: *mut *mut ms_error) -> ms_status {
    unsafe {
        gate(err, || {
            borrow(options, "options")?.change(|options| options.load_environment(|name| std::env::var(name).ok()))
        })
    }
}

/// Copies options.
/// @param[in] options may be NULL, which stands for all defaults.
/// @return a copy, to be freed with ms_options_free; NULL only after a defect of the library.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_options_clone(options: *const ms_options) -> *mut ms_options {
    let options = unsafe { peek(options) };
    quiet(std::ptr::null_mut(), || new_handle(ms_options::new(options.map(ms_options::read).unwrap_or_default())))
}

/// Lists every option of this version. Columns: key, group, type, range, default, value (utf8), is_secret (bool) and text (utf8);
/// value is NULL for a key at its default and "***" for a secret.
/// @param[in] options whose values are shown; may be NULL, which stands for all defaults.
/// @param[out] out_stream receives a stream of one batch, to be released by the caller; released on failure.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return MS_OK; MS_INVALID_ARGUMENT for NULL.
/// Thread: any, at any time. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_options_describe(
    options: *const ms_options,
    out_stream: *mut ArrowArrayStream,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        gate(err, || {
            let out = Out::claim(out_stream, ArrowArrayStream::released(), "out_stream")?;
            let options = peek(options).map(ms_options::read).unwrap_or_default();
            let batch = describe(&options)?;
            out.fill(export_batches(batch.schema(), vec![batch]));
            Ok(())
        })
    }
}

/// Frees options.
/// @param[in] options may be NULL.
/// Thread: any, once, when no other call uses the handle. Blocking: no.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_options_free(options: *mut ms_options) {
    unsafe { free(options, |_| false) }
}

fn describe(options: &Options) -> Result<RecordBatch> {
    let texts = |of: &dyn Fn(&crate::options::Key) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(TABLE.iter().map(|key| of(key))))
    };
    let values: StringArray = TABLE
        .iter()
        .map(|key| match (options.is_set(key), key.secret, key.kind) {
            (false, ..) => None,
            (true, true, _) => Some("***".to_owned()),
            (true, false, Type::List) => Some(options.list(key).join(",")),
            (true, false, _) => options.text(key).map(str::to_owned),
        })
        .collect();
    let secret: BooleanArray = TABLE.iter().map(|key| Some(key.secret)).collect();
    RecordBatch::try_from_iter_with_nullable([
        ("key", texts(&|key| key.name.to_owned()), false),
        ("group", texts(&|key| key.group.name().to_owned()), false),
        ("type", texts(&|key| key.kind.to_string()), false),
        ("range", texts(&|key| key.range()), false),
        ("default", texts(&|key| key.default.to_owned()), false),
        ("value", Arc::new(values) as ArrayRef, true),
        ("is_secret", Arc::new(secret) as ArrayRef, false),
        ("text", texts(&|key| key.doc.to_owned()), false),
    ])
    .map_err(|error| Error::new(Kind::Internal, error.to_string()))
}
