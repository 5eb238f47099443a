//! What the host does on the threads of the library.

use std::ffi::c_void;

use super::args::{Context, borrow};
use super::callbacks::call_host;
use super::error::ms_error;
use super::gate::gate;
use super::options::ms_options;
use super::status::ms_status;
use crate::options::ThreadHooks;

/// Called on a thread of the library: sets its affinity or its priority, attaches it to a virtual machine, registers it. It must return soon, must
/// not throw, and must not call the library.
pub type ms_thread_hook = Option<unsafe extern "C" fn(context: *mut c_void)>;

/// Has every thread of the library call functions of the host: on_start before it does anything else, on_stop when it is about to end. Threads
/// have their name by then (runtime.thread_name), and all signals blocked. As for the number of threads, the first client of a process
/// decides: hooks of later clients are not called until ms_shutdown has ended the threads.
/// @param[in] options the options; clients opened with them, or with a clone of them, have the hooks.
/// @param[in] on_start may be NULL.
/// @param[in] on_stop may be NULL; called on every thread that has called on_start, but not when the process ends, nor after
/// ms_end_callbacks.
/// @param[in] context handed to each call, several at once; must live until ms_shutdown has returned MS_OK, or as long as the process; may be
/// NULL.
/// @param[out] err may be NULL; receives an error on failure, to be freed with ms_error_free, else NULL.
/// @return MS_OK; MS_INVALID_ARGUMENT for NULL; MS_BUSY.
/// Thread: one call at a time. Blocking: no.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_options_set_thread_hooks(
    options: *mut ms_options,
    on_start: ms_thread_hook,
    on_stop: ms_thread_hook,
    context: *mut c_void,
    err: *mut *mut ms_error,
) -> ms_status {
    unsafe {
        gate(err, || {
            let options = borrow(options, "options")?;
            let context = Context(context);
            let any = on_start.or(on_stop).is_some();
            let hooks = any.then(|| ThreadHooks::new(move || call(on_start, context), move || call(on_stop, context)));
            options.change(|options| {
                options.set_thread_hooks(hooks);
                Ok(())
            })
        })
    }
}

fn call(hook: ms_thread_hook, context: Context) {
    if let Some(hook) = hook {
        // SAFETY: the host promises that its hooks can be called with their context on every thread of the library.
        call_host("a thread hook", || unsafe { hook(context.0) });
    }
}
