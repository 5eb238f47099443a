//! The host's memory for rows.

use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::Arc;

use super::args::{Context, borrow, both};
use super::callbacks::call_host;
use super::error::ms_error;
use super::gate::gate;
use super::options::ms_options;
use super::status::ms_status;
use crate::error::{Error, Kind, Result};
use crate::memory::{Allocator, Lender, Region};

/// Provides `bytes` of memory at a multiple of `alignment`, a power of two; NULL if it has none. It is called from threads of the library,
/// several at once, must return soon, must not throw, must not call the library, and must take no lock under which an Arrow batch is released.
pub type ms_allocate =
    Option<unsafe extern "C" fn(context: *mut c_void, bytes: usize, alignment: usize) -> *mut c_void>;

/// Takes memory back, with the size and the alignment that it was asked for. It is called from any thread, also from the one that releases
/// an Arrow batch, must return soon, must not throw, and must not call the library.
pub type ms_deallocate =
    Option<unsafe extern "C" fn(context: *mut c_void, memory: *mut c_void, bytes: usize, alignment: usize)>;

/// Has the host provide the memory that rows are received in and decompressed into, so that the buffers of a batch lie there. What
/// conversions make besides (policies of types, filters, copies for alignment) lies in memory of the library. A piece is used for many batches;
/// each is given back once: when memory is short, or when its read and its batches are freed, then by a thread of the library if work for the
/// read was just under way. In a child made by fork, and after ms_end_callbacks, nothing is given back. The library fills a new piece with
/// zeros. Limits and memory hooks count these bytes as they count others; the memory hooks are asked before, and they are what holds readers
/// back: a read that is given no memory after what was kept for later was given back fails with MS_RESOURCE_EXHAUSTED, and one that is given
/// a place that is not aligned with MS_INVALID_ARGUMENT.
/// @param[in] options the options; clients opened with them, or with a clone of them, use the functions.
/// @param[in] allocate is asked; NULL, together with deallocate, for memory of the library again.
/// @param[in] deallocate is given it back.
/// @param[in] context handed to each call; must live until as many pieces came back as were given, or ms_shutdown or ms_end_callbacks has returned
/// MS_OK; may be NULL.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return MS_OK; MS_INVALID_ARGUMENT for NULL, also if only one of the functions is NULL; MS_BUSY.
/// Thread: one call at a time. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_options_set_allocator(
    options: *mut ms_options,
    allocate: ms_allocate,
    deallocate: ms_deallocate,
    context: *mut c_void,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        gate(err, || {
            let options = borrow(options, "options")?;
            let functions = both((allocate, "allocate"), (deallocate, "deallocate"))?;
            let allocator = functions.map(|(allocate, deallocate)| {
                let context = Context(context);
                Allocator::new(Host(Arc::new(Functions { allocate, deallocate, context, pid: std::process::id() })))
            });
            options.change(|options| {
                options.set_allocator(allocator);
                Ok(())
            })
        })
    }
}

const WHAT: &str = "an allocator";

struct Functions {
    allocate: unsafe extern "C" fn(*mut c_void, usize, usize) -> *mut c_void,
    deallocate: unsafe extern "C" fn(*mut c_void, *mut c_void, usize, usize),
    context: Context,
    pid: u32,
}

struct Host(Arc<Functions>);

impl Lender for Host {
    fn allocate(&self, bytes: usize, alignment: usize) -> Result<Box<dyn Region>> {
        let Functions { allocate, context, .. } = &*self.0;
        // SAFETY: the host promises that its functions can be called with their context from any thread.
        let given = call_host(WHAT, || unsafe { allocate(context.0, bytes, alignment) });
        let memory = given.and_then(|memory| NonNull::new(memory.cast::<u8>())).ok_or_else(|| {
            Error::new(Kind::ResourceExhausted, format!("{bytes} bytes for a batch: the host's allocator has none"))
        })?;
        let piece = Piece { memory, bytes, alignment, host: Arc::clone(&self.0) };
        if memory.addr().get() % alignment != 0 {
            let message = format!("the host's allocator gave memory that is not aligned to {alignment} bytes");
            return Err(Error::new(Kind::InvalidArgument, message));
        }
        // SAFETY: the host gave so many bytes, and nobody else has them. They are written before they are read.
        unsafe { memory.write_bytes(0, bytes) };
        Ok(Box::new(piece))
    }
}

struct Piece {
    memory: NonNull<u8>,
    bytes: usize,
    alignment: usize,
    host: Arc<Functions>,
}

// SAFETY: the memory belongs to the piece alone, and the host's functions can be called from any thread.
unsafe impl Send for Piece {}
// SAFETY: as above; shared, it is only read.
unsafe impl Sync for Piece {}

impl Region for Piece {
    fn as_slice(&self) -> &[u8] {
        // SAFETY: so many bytes, which were written, until the piece is dropped.
        unsafe { std::slice::from_raw_parts(self.memory.as_ptr(), self.bytes) }
    }

    fn as_slice_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and nobody else has them.
        unsafe { std::slice::from_raw_parts_mut(self.memory.as_ptr(), self.bytes) }
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        let Functions { deallocate, context, pid, .. } = &*self.host;
        // In a child made by fork a lock of the host's may be held by a thread that is not there.
        if *pid != std::process::id() {
            return;
        }
        // SAFETY: as for `allocate`; given back once, as it was asked for.
        call_host(WHAT, || unsafe { deallocate(context.0, self.memory.as_ptr().cast(), self.bytes, self.alignment) });
    }
}
