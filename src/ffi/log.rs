//! The log callback: the one process-wide callback.

use std::cell::Cell;
use std::ffi::{c_char, c_void};
use std::sync::{OnceLock, PoisonError, RwLock};

use log::{Level, LevelFilter, Log, Metadata, Record};

use super::args::{Context, c_text};
use super::callbacks::call_host;
use super::gate::gate;
use super::status::ms_status;
use crate::error::{Error, Kind};
use crate::runtime::PerProcess;

/// Receives one record of the log. `level` is 1 error, 2 warning, 3 info, 4 debug or 5 trace; the texts are valid during
/// the call only. It is called from any thread, several at once, must not throw, and must not call the library.
pub type ms_log_callback =
    Option<unsafe extern "C" fn(context: *mut c_void, level: i32, target: *const c_char, message: *const c_char)>;

/// Registers the process-wide log callback in place of the former one. Without one the library logs nothing. Records
/// never contain credentials. A child made by fork starts without a callback. When the call returns, the former callback is not running and will not be called again.
/// @param[in] callback receives the records; NULL unregisters.
/// @param[in] context handed to each call; must outlive the registration; may be NULL.
/// @param[in] level most detailed level wanted, 1 to 5; 0 is the same as no callback.
/// @return MS_OK; MS_INVALID_ARGUMENT for another level; MS_WRONG_STATE from inside a callback, or if another logger of
/// the same program took the place.
/// Thread: any, but not from inside a callback. Blocking: until calls of the former callback have returned.
/// @since 0.1
#[must_use]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_set_log_callback(callback: ms_log_callback, context: *mut c_void, level: i32) -> ms_status {
    let body = || {
        let filter = match level {
            0 => LevelFilter::Off,
            1 => LevelFilter::Error,
            2 => LevelFilter::Warn,
            3 => LevelFilter::Info,
            4 => LevelFilter::Debug,
            5 => LevelFilter::Trace,
            other => return Err(Error::new(Kind::InvalidArgument, format!("{other} is not a log level"))),
        };
        if RUNNING.get() {
            return Err(Error::new(Kind::WrongState, "the log callback must not be changed from inside itself"));
        }
        if !*INSTALLED.get_or_init(|| log::set_logger(&SINK).is_ok()) {
            return Err(Error::new(Kind::WrongState, "this program has a logger of its own"));
        }
        let mut target = SINK.0.get().write().unwrap_or_else(PoisonError::into_inner);
        *target = callback.filter(|_| level > 0).map(|callback| Target { callback, context: Context(context) });
        log::set_max_level(if target.is_some() { filter } else { LevelFilter::Off });
        Ok(())
    };
    // SAFETY: NULL is allowed.
    unsafe { gate(std::ptr::null_mut(), body) }
}

static SINK: Sink = Sink(PerProcess::new());
static INSTALLED: OnceLock<bool> = OnceLock::new();

thread_local! {
    /// Whether the callback runs on this thread.
    static RUNNING: Cell<bool> = const { Cell::new(false) };
}

struct Sink(PerProcess<RwLock<Option<Target>>>);

struct Target {
    callback: unsafe extern "C" fn(*mut c_void, i32, *const c_char, *const c_char),
    context: Context,
}

impl Log for Sink {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("maxstorage") && metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if RUNNING.get() || !self.enabled(record.metadata()) {
            return;
        }
        let target = self.0.get().read().unwrap_or_else(PoisonError::into_inner);
        let Some(target) = target.as_ref() else { return };
        let level = match record.level() {
            Level::Error => 1,
            Level::Warn => 2,
            Level::Info => 3,
            Level::Debug => 4,
            Level::Trace => 5,
        };
        let (name, message) = (c_text(record.target()), c_text(&record.args().to_string()));
        RUNNING.set(true);
        call_host("a log callback", || {
            // SAFETY: the lock keeps the registration in place during the call; the texts live until it returns.
            unsafe { (target.callback)(target.context.0, level, name.as_ptr(), message.as_ptr()) }
        });
        RUNNING.set(false);
    }

    fn flush(&self) {}
}
