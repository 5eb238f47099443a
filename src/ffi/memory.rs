//! The host's accounting of memory.

use std::ffi::c_void;

use super::args::{Context, borrow, both};
use super::callbacks::call_host;
use super::error::ms_error;
use super::gate::gate;
use super::options::ms_options;
use super::status::ms_status;
use crate::memory::{Hooks, Host};

/// Whether the host lets the library allocate `bytes` more. False holds readers back until memory comes back. It is called from threads of
/// the library, several at once, must return soon, must not throw, and must not call the library.
pub type ms_memory_reserve = Option<unsafe extern "C" fn(context: *mut c_void, bytes: usize) -> bool>;

/// Takes note that `bytes` which were reserved are free again. It is called from any thread, also from the one that releases an Arrow batch,
/// must return soon, must not throw, and must not call the library.
pub type ms_memory_release = Option<unsafe extern "C" fn(context: *mut c_void, bytes: usize)>;

/// Has the host account for, and refuse, the memory that rows lie in. `reserve` is called before an allocation, `release` after it was
/// freed, with the same sizes; when the client, everything opened through it and all its batches are gone, the sizes add up. A refusal is
/// waited out: what is kept for later is freed, and readers go on when memory comes back (docs/memory.md). It fails a read, with
/// MS_RESOURCE_EXHAUSTED, if nothing of the client's memory is in use, or if a reader that the engine waits for got nothing for
/// limits.memory_wait_ms.
/// @param[in] options the options; clients opened with them, or with a clone of them, use the hooks.
/// @param[in] reserve is asked; NULL, together with release, for no hooks any more.
/// @param[in] release is told.
/// @param[in] context handed to each call; must live until all that was reserved was released; may be NULL.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return MS_OK; MS_INVALID_ARGUMENT for NULL, also if only one of the hooks is NULL; MS_BUSY.
/// Thread: one call at a time. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_options_set_memory_hooks(
    options: *mut ms_options,
    reserve: ms_memory_reserve,
    release: ms_memory_release,
    context: *mut c_void,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        gate(err, || {
            let options = borrow(options, "options")?;
            let functions = both((reserve, "reserve"), (release, "release"))?;
            let hooks = functions
                .map(|(reserve, release)| Hooks::new(Callbacks { reserve, release, context: Context(context) }));
            options.change(|options| {
                options.set_memory_hooks(hooks);
                Ok(())
            })
        })
    }
}

struct Callbacks {
    reserve: unsafe extern "C" fn(*mut c_void, usize) -> bool,
    release: unsafe extern "C" fn(*mut c_void, usize),
    context: Context,
}

impl Host for Callbacks {
    fn reserve(&self, bytes: u64) -> bool {
        let Ok(bytes) = usize::try_from(bytes) else { return false };
        // SAFETY: the host promises that its hooks can be called with their context from any thread.
        call_host("a memory hook", || unsafe { (self.reserve)(self.context.0, bytes) }).unwrap_or(false)
    }

    fn release(&self, bytes: u64) {
        let Ok(bytes) = usize::try_from(bytes) else { return };
        // SAFETY: as above; the context lives until all is released.
        call_host("a memory hook", || unsafe { (self.release)(self.context.0, bytes) });
    }
}
