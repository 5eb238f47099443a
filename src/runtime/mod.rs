//! Threads: the workers of the process, the ways to wait for it, and the checks that keep waiting safe.

mod bell;
mod cancel;
mod changes;
mod forced_panic;
mod group;
mod handoff;
mod lane;
mod life;
mod per_process;
mod shutdown;
mod signal;
mod sync;
mod waker;
mod workers;

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::task::Poll;
use std::time::Duration;

use once_cell::sync::OnceCell;
use tokio::runtime::Handle;

use crate::error::{Error, Kind, Result};

pub use bell::Bell;
pub use cancel::{Bounds, Cancel, Cancellable};
pub use changes::{Changes, Listener};
pub use forced_panic::{Place, forced_panic};
pub use group::Group;
pub use handoff::Handoff;
pub use lane::{LaneIn, LaneOut, lane};
pub use per_process::PerProcess;
pub use shutdown::shutdown;
pub use waker::Callback;
pub use workers::Threads;
use workers::{Team, Workers};

thread_local! {
    /// Whether this thread must not wait for the library, and why.
    static BARRED: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// The threads of this process.
static PROCESS: PerProcess<Mutex<Process>> = PerProcess::new();

/// Called on each of our threads when it starts.
static THREAD_HOOK: OnceCell<fn()> = OnceCell::new();

#[derive(Default)]
struct Process {
    running: Option<Running>,
    /// Runtimes that were told to end and whose threads may still be there.
    ending: Vec<Arc<shutdown::Ending>>,
}

struct Running {
    users: Arc<()>,
    workers: Workers,
}

/// A counted reference to the workers of the process.
///
/// The threads are started by the first reference. They stay, parked, when the last one is dropped, so that dropping never
/// waits; [`shutdown`] ends them.
#[derive(Debug, Clone)]
pub struct Runtime {
    pid: u32,
    team: Team,
    _user: Arc<()>,
}

impl Runtime {
    /// The workers of this process, started as `threads` says if they do not run yet.
    pub fn acquire(threads: &Threads) -> Result<Self> {
        check_thread()?;
        let mut process = process();
        let running = match process.running.as_mut() {
            Some(running) => running,
            None => process.running.insert(Running { users: Arc::new(()), workers: start(threads)? }),
        };
        let (team, user) = (running.workers.team().clone(), Arc::clone(&running.users));
        Ok(Runtime { pid: std::process::id(), team, _user: user })
    }

    /// For a task on these threads: does not keep them from ending.
    pub fn uncounted(&self) -> Self {
        Runtime { pid: self.pid, team: self.team.clone(), _user: Arc::default() }
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

    /// Runs a future on a worker and blocks the calling thread until it is done.
    pub fn run<T: Send + 'static>(&self, future: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
        self.check()?;
        let (sender, receiver) = mpsc::sync_channel(1);
        self.spawn_aside(future, move |result| {
            // The receiver waits below; it is gone only if the runtime is.
            let _ = sender.send(result);
        });
        receiver
            .recv()
            .unwrap_or_else(|_| Err(Error::new(Kind::WrongState, "the library was shut down during the call")))
    }

    /// Runs a future on the worker that has the fewest reads. `end` gets its result there; a panic of the future is an error like any other.
    pub fn spawn<T: Send + 'static>(
        &self,
        future: impl Future<Output = Result<T>> + Send + 'static,
        end: impl FnOnce(Result<T>) + Send + 'static,
    ) -> Task {
        let (worker, future) = self.team.place(future);
        spawn_on(worker, future, end)
    }

    /// As [`Runtime::spawn`], for work that mostly waits: it does not count where the next read is placed.
    pub fn spawn_aside<T: Send + 'static>(
        &self,
        future: impl Future<Output = Result<T>> + Send + 'static,
        end: impl FnOnce(Result<T>) + Send + 'static,
    ) -> Task {
        spawn_on(self.team.idlest(), future, end)
    }
}

fn spawn_on<T: Send + 'static>(
    worker: &Handle,
    future: impl Future<Output = Result<T>> + Send + 'static,
    end: impl FnOnce(Result<T>) + Send + 'static,
) -> Task {
    let task = worker.spawn(future);
    let abort = task.abort_handle();
    worker.spawn(async move {
        end(match task.await {
            Ok(result) => result,
            Err(error) => Err(match error.try_into_panic() {
                Ok(payload) => Error::from_panic(payload.as_ref()),
                Err(_) => Error::new(Kind::Cancelled, "the work was cancelled"),
            }),
        });
    });
    Task(abort)
}

/// Work on the threads of the process.
#[derive(Debug, Clone)]
pub struct Task(tokio::task::AbortHandle);

impl Task {
    /// Drops the work at its next wait.
    pub fn abort(&self) {
        self.0.abort();
    }

    /// Whether it is done.
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

/// Waits on a worker.
pub async fn sleep(time: Duration) {
    tokio::time::sleep(time).await;
}

/// Lets other tasks of the worker run, if this one has had its share.
pub async fn give_way() {
    tokio::task::coop::consume_budget().await;
}

/// Runs a future on a worker for at most `limit`; `None` if that was not enough.
pub async fn within<T>(limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(limit, future).await.ok()
}

/// Which of two was there first.
#[derive(Debug)]
pub enum First<A, B> {
    /// The one.
    One(A),
    /// The other.
    Other(B),
}

/// Waits for the first of two futures, and drops the other one.
pub async fn first_of<A, B>(one: impl Future<Output = A>, other: impl Future<Output = B>) -> First<A, B> {
    let (mut one, mut other) = (pin!(one), pin!(other));
    poll_fn(|context| match one.as_mut().poll(context) {
        Poll::Ready(result) => Poll::Ready(First::One(result)),
        Poll::Pending => other.as_mut().poll(context).map(First::Other),
    })
    .await
}

/// Registers what each of our threads calls when it starts; the first registration stays.
pub fn set_thread_hook(hook: fn()) {
    THREAD_HOOK.get_or_init(|| hook);
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

fn process() -> MutexGuard<'static, Process> {
    PROCESS.get().lock().unwrap_or_else(PoisonError::into_inner)
}

fn start(threads: &Threads) -> Result<Workers> {
    Workers::start(threads).map_err(|error| {
        let message = format!("{} threads cannot be started: {error}", threads.count);
        Error::new(Kind::ResourceExhausted, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_errors_and_panics_come_back() {
        let runtime = Runtime::acquire(&Threads::default()).unwrap();
        assert_eq!(runtime.run(async { Ok(7) }).unwrap(), 7);
        let error = runtime.run(async { Err::<(), _>(Error::new(Kind::NotFound, "x")) }).unwrap_err();
        assert_eq!(error.kind(), Kind::NotFound);
        let error = runtime.run::<()>(async { panic!("boom {}", 1) }).unwrap_err();
        assert_eq!((error.kind(), error.message()), (Kind::Internal, "the library panicked: boom 1"));
    }

    #[test]
    fn waiting_on_a_worker_is_an_error() {
        let runtime = Runtime::acquire(&Threads::default()).unwrap();
        let inner = runtime.clone();
        let error = runtime.run(async move { inner.run(async { Ok(()) }) }).unwrap_err();
        assert_eq!(error.kind(), Kind::WrongState);
        let error = barred("a callback", || runtime.run(async { Ok(()) }).unwrap_err());
        assert!(error.message().ends_with("a callback"));
        runtime.run(async { Ok(()) }).unwrap();
    }
}
