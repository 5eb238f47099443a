//! The asynchronous stream of the Arrow C device interface: what a scan pushes, as calls of a handler of the host.

use std::collections::VecDeque;
use std::ffi::{c_char, c_int, c_void};
use std::ptr::{null, null_mut};
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::RecordBatch;
use arrow_data::ffi::FFI_ArrowArray;
use arrow_schema::Schema;
use arrow_schema::ffi::FFI_ArrowSchema;

use super::{errno, export_batch, export_schema};
use crate::error::{Error, Kind, Result};
use crate::ffi::args::c_text;
use crate::ffi::callbacks::call_host;
use crate::ffi::gate::quiet;
use crate::runtime::PerProcess;
use crate::scan::{Demand, Sink};

/// `ARROW_DEVICE_CPU`, and the number of the device, of which there is none.
const DEVICE_CPU: i32 = 1;
const NO_DEVICE: i64 = -1;

/// `struct ArrowAsyncDeviceStreamHandler`.
#[repr(C)]
pub struct ArrowAsyncDeviceStreamHandler {
    on_schema: Option<unsafe extern "C" fn(*mut ArrowAsyncDeviceStreamHandler, *mut FFI_ArrowSchema) -> c_int>,
    on_next_task:
        Option<unsafe extern "C" fn(*mut ArrowAsyncDeviceStreamHandler, *mut AsyncTask, *const c_char) -> c_int>,
    on_error: Option<unsafe extern "C" fn(*mut ArrowAsyncDeviceStreamHandler, c_int, *const c_char, *const c_char)>,
    release: Option<unsafe extern "C" fn(*mut ArrowAsyncDeviceStreamHandler)>,
    producer: *mut AsyncProducer,
    private_data: *mut c_void,
}

/// `struct ArrowAsyncProducer`. Its private data is a [`Demand`] that the producer has a share of.
#[repr(C)]
struct AsyncProducer {
    device_type: i32,
    request: Option<unsafe extern "C" fn(*mut AsyncProducer, i64)>,
    cancel: Option<unsafe extern "C" fn(*mut AsyncProducer)>,
    additional_metadata: *const c_char,
    private_data: *mut c_void,
}

/// `struct ArrowAsyncTask`. Its private data is a boxed array.
#[repr(C)]
struct AsyncTask {
    extract_data: Option<unsafe extern "C" fn(*mut AsyncTask, *mut DeviceArray) -> c_int>,
    private_data: *mut c_void,
}

/// `struct ArrowDeviceArray`.
#[repr(C)]
struct DeviceArray {
    array: FFI_ArrowArray,
    device_id: i64,
    device_type: i32,
    sync_event: *mut c_void,
    reserved: [i64; 3],
}

/// A handler of the host, with the functions that it has been checked to have. Dropping it releases the handler.
pub(in crate::ffi) struct Handler {
    handler: *mut ArrowAsyncDeviceStreamHandler,
    on_schema: unsafe extern "C" fn(*mut ArrowAsyncDeviceStreamHandler, *mut FFI_ArrowSchema) -> c_int,
    on_next_task: unsafe extern "C" fn(*mut ArrowAsyncDeviceStreamHandler, *mut AsyncTask, *const c_char) -> c_int,
    on_error: unsafe extern "C" fn(*mut ArrowAsyncDeviceStreamHandler, c_int, *const c_char, *const c_char),
    release: unsafe extern "C" fn(*mut ArrowAsyncDeviceStreamHandler),
    /// What the handler points to; made by [`Box`].
    producer: *mut AsyncProducer,
    schema: FFI_ArrowSchema,
}

// SAFETY: the host promises that its handler can be called from any thread, one call at a time.
unsafe impl Send for Handler {}

impl Handler {
    /// Takes a handler for a stream of this schema. After a failure it is not called, not even to release it.
    ///
    /// # Safety
    /// `handler` is NULL or a valid struct, which stays where it is until it is released.
    pub(in crate::ffi) unsafe fn new(
        handler: *mut ArrowAsyncDeviceStreamHandler,
        schema: &Schema,
        demand: &Arc<Demand>,
    ) -> Result<Self> {
        let missing = |what: &str| Error::new(Kind::InvalidArgument, format!("{what} is NULL"));
        // SAFETY: by the contract of this function.
        let given = unsafe { handler.as_mut() }.ok_or_else(|| missing("handler"))?;
        let on_schema = given.on_schema.ok_or_else(|| missing("handler->on_schema"))?;
        let on_next_task = given.on_next_task.ok_or_else(|| missing("handler->on_next_task"))?;
        let on_error = given.on_error.ok_or_else(|| missing("handler->on_error"))?;
        let release = given.release.ok_or_else(|| missing("handler->release"))?;
        let schema = export_schema(schema)?;
        let producer = Box::into_raw(Box::new(AsyncProducer {
            device_type: DEVICE_CPU,
            request: Some(request),
            cancel: Some(cancel),
            additional_metadata: null(),
            private_data: Arc::into_raw(Arc::clone(demand)).cast_mut().cast(),
        }));
        given.producer = producer;
        Ok(Handler { handler, on_schema, on_next_task, on_error, release, producer, schema })
    }
}

/// Calls the host, which may call `request`, `cancel` and `extract_data` of what it got, but not the library.
fn call<T>(call: impl FnOnce() -> T) -> Option<T> {
    call_host("a handler of an Arrow stream", call)
}

impl Sink for Handler {
    fn begin(&mut self) -> bool {
        let schema = &raw mut self.schema;
        // SAFETY: the host's function with the host's handler; what it does not move out of `schema` is released with `self`.
        call(|| unsafe { (self.on_schema)(self.handler, schema) }) == Some(0)
    }

    fn batch(&mut self, batch: RecordBatch) -> bool {
        let array = Box::into_raw(Box::new(export_batch(batch)));
        let mut task = AsyncTask { extract_data: Some(extract_data), private_data: array.cast() };
        // SAFETY: as above; the task owns the array, and the host is to take it out.
        let taken = call(|| unsafe { (self.on_next_task)(self.handler, &raw mut task, null()) });
        if taken.is_none() {
            // SAFETY: the host was not called, so nobody knows the array.
            drop(unsafe { Box::from_raw(array) });
        }
        taken == Some(0)
    }

    fn end(&mut self) {
        // SAFETY: as above. What the host says to the end changes nothing.
        call(|| unsafe { (self.on_next_task)(self.handler, null_mut(), null()) });
    }

    fn failed(&mut self, error: &Error) {
        let message = c_text(&error.to_string());
        // SAFETY: as above; the message lives as long as the call.
        call(|| unsafe { (self.on_error)(self.handler, errno(error.kind()), message.as_ptr(), null()) });
    }
}

impl Drop for Handler {
    fn drop(&mut self) {
        // SAFETY: as above; nothing is called afterwards.
        call(|| unsafe { (self.release)(self.handler) });
        retire(Retired(self.producer));
    }
}

/// Producers whose handlers were released.
static RETIRED: PerProcess<Mutex<VecDeque<Retired>>> = PerProcess::new();
/// How many of them are kept.
const KEPT: usize = 1024;

/// A producer that nobody may use any more. Some do: the consumer of Arrow C++ (26) asks for more for each batch that it takes out of its own
/// queue, also behind the end. So its memory stays for a while, and what is asked of it has no effect.
struct Retired(*mut AsyncProducer);

// SAFETY: the producer is used by nobody but its consumer, through functions that any thread may call.
unsafe impl Send for Retired {}

impl Drop for Retired {
    fn drop(&mut self) {
        // SAFETY: made in `Handler::new`.
        let producer = unsafe { Box::from_raw(self.0) };
        // SAFETY: the share that `Handler::new` gave it.
        drop(unsafe { Arc::from_raw(producer.private_data.cast::<Demand>()) });
    }
}

fn retire(producer: Retired) {
    let mut retired = RETIRED.get().lock().unwrap_or_else(PoisonError::into_inner);
    retired.push_back(producer);
    let oldest = if retired.len() > KEPT { retired.pop_front() } else { None };
    drop(retired);
    drop(oldest);
}

/// The demand of a producer.
///
/// # Safety
/// `producer` is NULL or a producer of ours, in use or retired.
unsafe fn demand<'a>(producer: *mut AsyncProducer) -> Option<&'a Demand> {
    // SAFETY: by the contract of this function.
    unsafe { producer.as_ref()?.private_data.cast::<Demand>().as_ref() }
}

unsafe extern "C" fn request(producer: *mut AsyncProducer, count: i64) {
    quiet((), || {
        // SAFETY: the interface demands a live producer.
        if let Some(demand) = unsafe { demand(producer) } {
            demand.request(count);
        }
    });
}

unsafe extern "C" fn cancel(producer: *mut AsyncProducer) {
    quiet((), || {
        // SAFETY: the interface demands a live producer.
        if let Some(demand) = unsafe { demand(producer) } {
            demand.cancel();
        }
    });
}

unsafe extern "C" fn extract_data(task: *mut AsyncTask, out: *mut DeviceArray) -> c_int {
    quiet(libc::EIO, || {
        // SAFETY: the interface demands a live task, which the host may have moved.
        let Some(task) = (unsafe { task.as_mut() }) else { return libc::EINVAL };
        let array = std::mem::replace(&mut task.private_data, null_mut()).cast::<FFI_ArrowArray>();
        if array.is_null() {
            return libc::EINVAL;
        }
        // SAFETY: made in `batch`, and taken once.
        let array = *unsafe { Box::from_raw(array) };
        if !out.is_null() {
            let device = DeviceArray {
                array,
                device_id: NO_DEVICE,
                device_type: DEVICE_CPU,
                sync_event: null_mut(),
                reserved: [0; 3],
            };
            // SAFETY: the interface demands writable memory; what it held before is not looked at.
            unsafe { out.write(device) };
        }
        0
    })
}
