//! The threads of the process: each one drives the tasks that it was given, and their connections.
//!
//! A task stays on its thread, and so do its socket and its memory. Threads that share one queue of tasks also share the wait for the
//! network: what arrives for a busy one wakes an idle one, which finds that there is nothing for it to do.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;

use super::life::{self, Life};
use crate::options::ThreadHooks;

thread_local! {
    /// The workers that the calling thread is one of.
    static OWN: RefCell<Option<Team>> = const { RefCell::new(None) };
}

/// How the threads are to be.
#[derive(Debug, Clone)]
pub struct Threads {
    /// How many; one at least.
    pub count: usize,
    /// What their names begin with.
    pub name: String,
    /// Of each of them.
    pub stack_bytes: usize,
    /// What the host does on each of them, and on those that they start.
    pub hooks: Option<ThreadHooks>,
}

impl Default for Threads {
    fn default() -> Self {
        Threads { count: 2, name: "maxstorage".into(), stack_bytes: 2 << 20, hooks: None }
    }
}

/// Running threads. Dropping them waits until they are gone, and ends what still runs on them.
pub(super) struct Workers {
    team: Team,
    hooks: Option<ThreadHooks>,
    threads: Vec<(oneshot::Sender<()>, JoinHandle<()>)>,
}

/// Where tasks can be put: one worker at least.
#[derive(Debug, Clone)]
pub(super) struct Team(Arc<(Member, Vec<Member>)>);

#[derive(Debug)]
struct Member {
    handle: Handle,
    /// Tasks that were put there and are not over.
    tasks: Arc<AtomicUsize>,
}

impl Member {
    fn of(runtime: &Runtime) -> Self {
        Member { handle: runtime.handle().clone(), tasks: Arc::default() }
    }

    fn load(&self) -> usize {
        self.tasks.load(Ordering::Relaxed)
    }
}

/// A task as the worker counts it.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Workers {
    /// Starts threads.
    pub(super) fn start(threads: &Threads) -> io::Result<Self> {
        let Threads { count, name, stack_bytes, hooks } = threads.clone();
        let runtime = || {
            let mut builder = Builder::new_current_thread();
            builder.enable_all().thread_name(format!("{name}-aside")).thread_stack_size(stack_bytes);
            let (first, last) = (hooks.clone(), hooks.clone());
            builder.on_thread_start(move || life::begin(first.as_ref()));
            builder.on_thread_stop(move || life::end(last.as_ref()));
            builder.build()
        };
        let first = runtime()?;
        let others = (1..count).map(|_| runtime()).collect::<io::Result<Vec<Runtime>>>()?;
        let team = Team(Arc::new((Member::of(&first), others.iter().map(Member::of).collect())));
        let mut workers = Workers { team, hooks, threads: Vec::with_capacity(count) };
        for (index, runtime) in std::iter::once(first).chain(others).enumerate() {
            let (stop, stopped) = oneshot::channel();
            let (team, hooks) = (workers.team.clone(), workers.hooks.clone());
            let run = move || {
                let _life = Life::begin(hooks);
                OWN.set(Some(team));
                // Told to stop by a sender that is gone.
                let _ = runtime.block_on(stopped);
                drop(runtime);
                OWN.set(None);
            };
            let thread =
                std::thread::Builder::new().name(format!("{name}-{index}")).stack_size(stack_bytes).spawn(run)?;
            workers.threads.push((stop, thread));
        }
        Ok(workers)
    }

    pub(super) fn team(&self) -> &Team {
        &self.team
    }

    /// What the host does on the threads.
    pub(super) fn hooks(&self) -> Option<&ThreadHooks> {
        self.hooks.as_ref()
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        let (stops, threads): (Vec<_>, Vec<_>) = self.threads.drain(..).unzip();
        drop(stops);
        for thread in threads {
            // What panics on a worker is caught at the task.
            drop(thread.join());
        }
    }
}

impl Team {
    /// The workers that the calling thread is one of.
    pub(super) fn own() -> Option<Self> {
        OWN.with_borrow(Clone::clone)
    }

    /// The worker with the fewest tasks.
    pub(super) fn idlest(&self) -> &Handle {
        &self.least().handle
    }

    fn least(&self) -> &Member {
        let (first, others) = &*self.0;
        others.iter().fold(first, |least, other| if other.load() < least.load() { other } else { least })
    }

    /// The worker with the fewest tasks, and a task for it that is counted there.
    pub(super) fn place<F: Future>(&self, task: F) -> (&Handle, impl Future<Output = F::Output> + use<F>) {
        let member = self.least();
        member.tasks.fetch_add(1, Ordering::Relaxed);
        let counted = Counted(Arc::clone(&member.tasks));
        let task = async move {
            let _counted = counted;
            task.await
        };
        (&member.handle, task)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::sync::mpsc;

    fn threads(count: usize) -> Threads {
        Threads { count, name: "engine-io".into(), ..Threads::default() }
    }

    fn own_name() -> String {
        std::thread::current().name().unwrap_or_default().to_owned()
    }

    #[test]
    fn tasks_are_spread_over_the_workers_and_each_stays_where_it_is() {
        let workers = Workers::start(&threads(3)).unwrap();
        let (tell, told) = mpsc::channel();
        for _ in 0..6 {
            let tell = tell.clone();
            let (worker, task) = workers.team().place(async move {
                let first = own_name();
                for _ in 0..5 {
                    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                    assert_eq!(own_name(), first);
                    assert!(Team::own().is_some());
                }
                tell.send(first).unwrap();
            });
            worker.spawn(task);
        }
        drop(tell);
        let mut tasks = BTreeMap::<String, usize>::new();
        told.iter().for_each(|name| *tasks.entry(name).or_default() += 1);
        let two_each = ["engine-io-0", "engine-io-1", "engine-io-2"].map(|name| (name.to_owned(), 2));
        assert_eq!(tasks, BTreeMap::from(two_each));
        assert!(Team::own().is_none());
    }

    #[test]
    fn a_task_counts_until_it_is_over_or_dropped() {
        let workers = Workers::start(&threads(2)).unwrap();
        let (first, others) = &*workers.team.0;
        let loads = || (first.load(), others[0].load());
        let (_, one) = workers.team().place(async {});
        let (_, two) = workers.team().place(std::future::pending::<()>());
        let (_, three) = workers.team().place(std::future::pending::<()>());
        assert_eq!(loads(), (2, 1));
        drop(three);
        assert_eq!(loads(), (1, 1));
        let running = first.handle.spawn(two);
        running.abort();
        drop(one);
        assert!(first.handle.block_on(running).is_err());
        assert_eq!(loads(), (0, 0));
    }

    #[test]
    fn what_mostly_waits_does_not_decide_where_reads_go() {
        let workers = Workers::start(&threads(2)).unwrap();
        let (first, others) = &*workers.team.0;
        let (_, _read) = workers.team().place(std::future::pending::<()>());
        let _upkeep = workers.team().idlest().spawn(std::future::pending::<()>());
        let (_, _other_read) = workers.team().place(std::future::pending::<()>());
        assert_eq!((first.load(), others[0].load()), (1, 1));
    }

    #[test]
    fn the_end_of_the_workers_ends_what_runs_there() {
        let workers = Workers::start(&threads(2)).unwrap();
        let alive = Arc::new(());
        for _ in 0..4 {
            let alive = Arc::clone(&alive);
            let (worker, task) = workers.team().place(async move {
                std::future::pending::<()>().await;
                drop(alive);
            });
            worker.spawn(task);
        }
        assert_eq!(Arc::strong_count(&alive), 5);
        drop(workers);
        assert_eq!(Arc::strong_count(&alive), 1);
    }
}
