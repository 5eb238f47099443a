//! The end of the threads.

use std::sync::mpsc::{self, SyncSender};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::life::Life;
use super::{Running, check_thread, process};
use crate::error::{Error, Kind, Result};
use crate::options::ThreadHooks;

/// A runtime that was told to end, and the thread that waits for its workers.
#[derive(Default)]
pub(super) struct Ending {
    is_over: Mutex<bool>,
    changed: Condvar,
    joiner: Mutex<Option<JoinHandle<()>>>,
}

impl Ending {
    /// Waits until the workers and the joiner are gone; false if that takes longer than `timeout`.
    fn wait(&self, timeout: Duration) -> bool {
        let is_over = self.is_over.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(is_over, timeout, |is_over| !*is_over);
        let (is_over, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if !*is_over {
            return false;
        }
        drop(is_over);
        let mut joiner = self.joiner.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(joiner) = joiner.take() {
            // Its last act was to say that it is over.
            drop(joiner.join());
        }
        true
    }
}

/// Ends the threads. Fails while clients are open, and with `Timeout` if the threads take longer than `timeout`; a later call
/// then goes on waiting for them.
pub fn shutdown(timeout: Duration) -> Result<()> {
    check_thread()?;
    let start = Instant::now();
    let waiting = {
        let mut process = process();
        let clients = process.running.as_ref().map_or(0, |running| Arc::strong_count(&running.users) - 1);
        if clients > 0 {
            let message = format!("{clients} clients are still open; free them, their sessions and their splits first");
            return Err(Error::new(Kind::WrongState, message));
        }
        if let Some(running) = process.running.as_ref() {
            let (ending, joiner) = start_joiner(running.workers.hooks().cloned())?;
            process.ending.push(ending);
            if let Some(running) = process.running.take() {
                // The joiner waits for this and nothing else.
                let _ = joiner.send(running);
            }
        }
        process.ending.clone()
    };
    for ending in waiting {
        if !ending.wait(timeout.saturating_sub(start.elapsed())) {
            let message = format!("the threads did not end within {} ms", timeout.as_millis());
            return Err(Error::new(Kind::Timeout, message));
        }
        process().ending.retain(|other| !Arc::ptr_eq(other, &ending));
    }
    Ok(())
}

/// Starts a thread that takes a runtime and drops it, which waits for the workers.
fn start_joiner(hooks: Option<ThreadHooks>) -> Result<(Arc<Ending>, SyncSender<Running>)> {
    let ending = Arc::new(Ending::default());
    let (give, take) = mpsc::sync_channel::<Running>(1);
    let over = Arc::clone(&ending);
    let joiner = std::thread::Builder::new().name("maxstorage-join".into()).spawn(move || {
        let _life = Life::begin(hooks);
        drop(take.recv());
        *over.is_over.lock().unwrap_or_else(PoisonError::into_inner) = true;
        over.changed.notify_all();
    });
    let joiner = joiner.map_err(|error| {
        Error::new(Kind::ResourceExhausted, format!("there is no thread to wait for the others with: {error}"))
    })?;
    *ending.joiner.lock().unwrap_or_else(PoisonError::into_inner) = Some(joiner);
    Ok((ending, give))
}
