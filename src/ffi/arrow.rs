//! Arrow's C structs: the only module that fills and reads them.

mod async_stream;
mod batch;
mod columns;

use std::ffi::{CString, c_char, c_int, c_void};

use arrow_array::{ArrayRef, RecordBatch, make_array};
use arrow_data::ffi::FFI_ArrowArray;
use arrow_schema::ffi::FFI_ArrowSchema;
use arrow_schema::{Schema, SchemaRef};

use super::args::c_text;
use super::gate::{fence, quiet};
use crate::error::{Error, Kind, Result};

pub use async_stream::ArrowAsyncDeviceStreamHandler;
pub(super) use async_stream::Handler;
pub(super) use batch::export_batch;
pub(super) use columns::{Located, locate};

/// `struct ArrowArrayStream` of the Arrow C stream interface. arrow-rs has one too, but its callbacks do not contain
/// panics and its fields are closed.
#[repr(C)]
pub struct ArrowArrayStream {
    get_schema: Option<unsafe extern "C" fn(*mut ArrowArrayStream, *mut FFI_ArrowSchema) -> c_int>,
    get_next: Option<unsafe extern "C" fn(*mut ArrowArrayStream, *mut FFI_ArrowArray) -> c_int>,
    get_last_error: Option<unsafe extern "C" fn(*mut ArrowArrayStream) -> *const c_char>,
    release: Option<unsafe extern "C" fn(*mut ArrowArrayStream)>,
    private_data: *mut c_void,
}

impl ArrowArrayStream {
    /// A stream that needs no release.
    pub(super) fn released() -> Self {
        ArrowArrayStream {
            get_schema: None,
            get_next: None,
            get_last_error: None,
            release: None,
            private_data: std::ptr::null_mut(),
        }
    }
}

/// What a stream is made of.
pub(super) trait BatchSource: Send {
    fn schema(&self) -> SchemaRef;
    fn next_array(&mut self) -> Result<Option<FFI_ArrowArray>>;
    /// Whether the source was made in another process, from which this one was forked.
    fn is_inherited(&self) -> bool {
        false
    }
}

struct Private {
    source: Box<dyn BatchSource>,
    last_error: Option<CString>,
}

pub(super) fn export_schema(schema: &Schema) -> Result<FFI_ArrowSchema> {
    FFI_ArrowSchema::try_from(schema)
        .map_err(|error| Error::new(Kind::Internal, format!("the schema cannot be exported: {error}")))
}

/// Takes an array over from the host; it is released when the result is dropped, and at once on failure. The schema stays the host's.
///
/// # Safety
/// `array` and `schema` are NULL, released, or valid structs of the C data interface, and `schema` tells the type of `array`.
pub(super) unsafe fn import_array(schema: *const FFI_ArrowSchema, array: *mut FFI_ArrowArray) -> Result<ArrayRef> {
    let invalid = |text: String| Error::new(Kind::InvalidArgument, text);
    if array.is_null() {
        return Err(invalid("array is NULL".to_owned()));
    }
    // SAFETY: by the contract of this function; the host's struct is left released, as the interface says of a moved one.
    let array = unsafe { FFI_ArrowArray::from_raw(array) };
    // SAFETY: as above.
    let schema = unsafe { schema.as_ref() }.ok_or_else(|| invalid("schema is NULL".to_owned()))?;
    if array.is_released() || schema.release().is_none() {
        return Err(invalid("array or schema is released".to_owned()));
    }
    // SAFETY: as above.
    let data = unsafe { arrow_array::ffi::from_ffi(array, schema) };
    let data = data.map_err(|error| invalid(format!("array cannot be taken: {error}")))?;
    data.validate_full().map_err(|error| invalid(format!("array is malformed: {error}")))?;
    Ok(make_array(data))
}

/// A stream over batches that are there already.
pub(super) fn export_batches(schema: SchemaRef, batches: Vec<RecordBatch>) -> ArrowArrayStream {
    struct Ready(SchemaRef, std::vec::IntoIter<RecordBatch>);
    impl BatchSource for Ready {
        fn schema(&self) -> SchemaRef {
            self.0.clone()
        }
        fn next_array(&mut self) -> Result<Option<FFI_ArrowArray>> {
            Ok(self.1.next().map(export_batch))
        }
    }
    export_source(Box::new(Ready(schema, batches.into_iter())))
}

pub(super) fn export_source(source: Box<dyn BatchSource>) -> ArrowArrayStream {
    let private = Box::new(Private { source, last_error: None });
    ArrowArrayStream {
        get_schema: Some(get_schema),
        get_next: Some(get_next),
        get_last_error: Some(get_last_error),
        release: Some(release),
        private_data: Box::into_raw(private).cast(),
    }
}

/// The private part of a stream of ours.
///
/// # Safety
/// `stream` is NULL, released, or a live stream of this file that no other call uses.
unsafe fn private<'a>(stream: *mut ArrowArrayStream) -> Option<&'a mut Private> {
    // SAFETY: by the contract of this function.
    unsafe { stream.as_ref()?.private_data.cast::<Private>().as_mut() }
}

/// Runs a callback; a failure is kept for `get_last_error` and becomes an `errno`.
///
/// # Safety
/// As for [`private`].
unsafe fn callback(stream: *mut ArrowArrayStream, body: impl FnOnce(&mut Private) -> Result<()>) -> c_int {
    // SAFETY: by the contract of this function.
    let Some(private) = (unsafe { private(stream) }) else { return libc::EINVAL };
    match fence(|| body(private)).unwrap_or_else(Err) {
        Ok(()) => {
            private.last_error = None;
            0
        }
        Err(error) => {
            private.last_error = Some(c_text(&error.to_string()));
            errno(error.kind())
        }
    }
}

fn errno(kind: Kind) -> c_int {
    match kind {
        Kind::Cancelled => libc::ECANCELED,
        Kind::Timeout | Kind::DeadlineExceeded => libc::ETIMEDOUT,
        Kind::ResourceExhausted => libc::ENOMEM,
        Kind::InvalidArgument | Kind::InvalidOption => libc::EINVAL,
        _ => libc::EIO,
    }
}

unsafe extern "C" fn get_schema(stream: *mut ArrowArrayStream, out: *mut FFI_ArrowSchema) -> c_int {
    if out.is_null() {
        return libc::EINVAL;
    }
    // SAFETY: the C stream interface demands a live stream and writable memory for the result.
    unsafe {
        out.write(FFI_ArrowSchema::empty());
        callback(stream, |private| {
            out.write(export_schema(&private.source.schema())?);
            Ok(())
        })
    }
}

unsafe extern "C" fn get_next(stream: *mut ArrowArrayStream, out: *mut FFI_ArrowArray) -> c_int {
    if out.is_null() {
        return libc::EINVAL;
    }
    // SAFETY: as in `get_schema`.
    unsafe {
        out.write(FFI_ArrowArray::empty());
        callback(stream, |private| {
            if let Some(array) = private.source.next_array()? {
                out.write(array);
            }
            Ok(())
        })
    }
}

unsafe extern "C" fn get_last_error(stream: *mut ArrowArrayStream) -> *const c_char {
    // SAFETY: as in `get_schema`.
    let private = unsafe { private(stream) };
    private.and_then(|private| private.last_error.as_ref()).map_or(std::ptr::null(), |text| text.as_ptr())
}

unsafe extern "C" fn release(stream: *mut ArrowArrayStream) {
    quiet((), || {
        // SAFETY: as in `get_schema`; the private part is dropped once, because the stream is marked as released.
        unsafe {
            let Some(stream) = stream.as_mut() else { return };
            let private = std::mem::replace(stream, ArrowArrayStream::released()).private_data.cast::<Private>();
            if !private.is_null() {
                let private = Box::from_raw(private);
                if private.source.is_inherited() {
                    std::mem::forget(private);
                }
            }
        }
    });
}
