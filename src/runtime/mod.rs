//! Threads: the one Tokio runtime of the process, the ways to wait for it, and the checks that keep waiting safe.

mod forced_panic;
mod handoff;

use std::cell::Cell;
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use once_cell::sync::OnceCell;
use tokio::task::JoinHandle;

use crate::error::{Error, Kind, Result};

pub use forced_panic::{Place, forced_panic};
pub use handoff::Handoff;

thread_local! {
    /// Whether this thread must not wait for the library, and why.
    static BARRED: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// The runtime of this process, while there is one.
static PROCESS: Mutex<Option<Process>> = Mutex::new(None);

/// Called on each worker thread when it starts.
static THREAD_HOOK: OnceCell<fn()> = OnceCell::new();

struct Process {
    pid: u32,
    users: Arc<()>,
    tokio: tokio::runtime::Runtime,
}

/// A counted reference to the runtime of the process.
///
/// The threads are started by the first reference. They stay, parked, when the last one is dropped, so that dropping never
/// waits; [`shutdown`] ends them.
#[derive(Debug, Clone)]
pub struct Runtime {
    pid: u32,
    handle: tokio::runtime::Handle,
    _user: Arc<()>,
}

impl Runtime {
    /// The runtime of this process, started with `workers` threads if it does not run yet.
    pub fn acquire(workers: usize) -> Result<Self> {
        check_thread()?;
        let pid = std::process::id();
        let mut slot = process();
        if slot.as_ref().is_some_and(|running| running.pid != pid) {
            // Made before a fork: its threads do not exist in this process, so it can only be forgotten.
            std::mem::forget(slot.take());
        }
        let running = match slot.as_mut() {
            Some(running) => running,
            None => slot.insert(Process { pid, users: Arc::new(()), tokio: start(workers)? }),
        };
        Ok(Runtime { pid, handle: running.tokio.handle().clone(), _user: Arc::clone(&running.users) })
    }

    /// Fails in a child of the process that made this reference, and on threads that must not wait for the library.
    pub fn check(&self) -> Result<()> {
        if self.is_inherited() {
            let message = "this handle was made before fork; open a new client in the child process";
            return Err(Error::new(Kind::Forked, message));
        }
        check_thread()
    }

    /// Whether this reference was made in another process, from which this one was forked.
    pub fn is_inherited(&self) -> bool {
        self.pid != std::process::id()
    }

    /// Runs a future on the workers and blocks the calling thread until it is done.
    pub fn run<T: Send + 'static>(&self, future: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
        self.check()?;
        let (sender, receiver) = mpsc::sync_channel(1);
        let task = self.handle.spawn(future);
        self.handle.spawn(async move {
            let result = match task.await {
                Ok(result) => result,
                Err(error) => Err(task_error(error)),
            };
            // The receiver waits below; it is gone only if the runtime is.
            drop(sender.send(result));
        });
        receiver
            .recv()
            .unwrap_or_else(|_| Err(Error::new(Kind::WrongState, "the library was shut down during the call")))
    }

    /// Runs a future on the workers.
    pub fn spawn<T: Send + 'static>(&self, future: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        self.handle.spawn(future)
    }
}

/// The error for a task that did not come to its end.
pub fn task_error(error: tokio::task::JoinError) -> Error {
    match error.try_into_panic() {
        Ok(payload) => Error::from_panic(payload.as_ref()),
        Err(_) => Error::new(Kind::Cancelled, "the work was cancelled"),
    }
}

/// Registers what each worker thread calls when it starts; the first registration stays.
pub fn set_thread_hook(hook: fn()) {
    THREAD_HOOK.get_or_init(|| hook);
}

/// Ends the threads. Fails while clients are open, and with `MS_TIMEOUT` if the threads take longer than `timeout`.
pub fn shutdown(timeout: Duration) -> Result<()> {
    check_thread()?;
    let mut slot = process();
    let Some(running) = slot.take_if(|running| running.pid == std::process::id()) else {
        return Ok(());
    };
    let users = Arc::strong_count(&running.users) - 1;
    if users > 0 {
        *slot = Some(running);
        let message = format!("{users} clients are still open; free them, their sessions and their splits first");
        return Err(Error::new(Kind::WrongState, message));
    }
    let (ended, wait) = mpsc::sync_channel(1);
    let joiner = std::thread::Builder::new().name("maxstorage-shutdown".into()).spawn(move || {
        drop(running);
        let _ = ended.send(());
    });
    let joiner =
        joiner.map_err(|error| Error::new(Kind::ResourceExhausted, format!("no thread to wait with: {error}")))?;
    match wait.recv_timeout(timeout) {
        Ok(()) => joiner.join().map_err(|payload| Error::from_panic(payload.as_ref())),
        Err(_) => Err(Error::new(Kind::Timeout, format!("the threads did not end within {} ms", timeout.as_millis()))),
    }
}

/// Runs `work` on a thread that must not call the library, for example inside a callback of the host.
pub fn barred<T>(reason: &'static str, work: impl FnOnce() -> T) -> T {
    let before = BARRED.replace(Some(reason));
    let result = work();
    BARRED.set(before);
    result
}

/// Fails on threads that would wait for themselves.
pub fn check_thread() -> Result<()> {
    match BARRED.get() {
        None => Ok(()),
        Some(reason) => Err(Error::new(Kind::WrongState, format!("the library must not be called from {reason}"))),
    }
}

fn process() -> MutexGuard<'static, Option<Process>> {
    PROCESS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn start(workers: usize) -> Result<tokio::runtime::Runtime> {
    let next = AtomicUsize::new(0);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .thread_name_fn(move || format!("maxstorage-{}", next.fetch_add(1, Ordering::Relaxed)))
        .on_thread_start(|| {
            BARRED.set(Some("one of its own threads"));
            if let Some(hook) = THREAD_HOOK.get() {
                hook();
            }
        })
        .enable_all()
        .build()
        .map_err(|error| Error::new(Kind::ResourceExhausted, format!("the worker threads cannot be started: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_errors_and_panics_come_back() {
        let runtime = Runtime::acquire(2).unwrap();
        assert_eq!(runtime.run(async { Ok(7) }).unwrap(), 7);
        let error = runtime.run(async { Err::<(), _>(Error::new(Kind::NotFound, "x")) }).unwrap_err();
        assert_eq!(error.kind(), Kind::NotFound);
        let error = runtime.run::<()>(async { panic!("boom {}", 1) }).unwrap_err();
        assert_eq!((error.kind(), error.message()), (Kind::Internal, "the library panicked: boom 1"));
    }

    #[test]
    fn waiting_on_a_worker_is_an_error() {
        let runtime = Runtime::acquire(2).unwrap();
        let inner = runtime.clone();
        let error = runtime.run(async move { inner.run(async { Ok(()) }) }).unwrap_err();
        assert_eq!(error.kind(), Kind::WrongState);
        let error = barred("a callback", || runtime.run(async { Ok(()) }).unwrap_err());
        assert!(error.message().ends_with("a callback"));
        runtime.run(async { Ok(()) }).unwrap();
    }

    #[test]
    fn shutdown_waits_for_the_last_handle() {
        let runtime = Runtime::acquire(2).unwrap();
        assert_eq!(shutdown(Duration::ZERO).unwrap_err().kind(), Kind::WrongState);
        drop(runtime);
    }
}
