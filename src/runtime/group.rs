//! Tasks that one task starts and that end with it.

use tokio::task::JoinSet;

use super::Task;
use super::workers::Team;
use crate::error::{Error, Result};

/// Running tasks. Dropping the group ends them all.
#[derive(Debug, Default)]
pub struct Group(JoinSet<Result<()>>);

impl Group {
    /// Starts a task on the workers; only to be called on one of them.
    pub fn start(&mut self, future: impl Future<Output = Result<()>> + Send + 'static) -> Task {
        Task(match Team::own() {
            Some(team) => {
                let (worker, future) = team.place(future);
                self.0.spawn_on(future, worker)
            }
            // On a thread of somebody else's, as in tests.
            None => self.0.spawn(future),
        })
    }

    /// Waits for the next task to end by itself; `None` if none is running. A panic is an error like any other.
    pub async fn ended(&mut self) -> Option<Result<()>> {
        loop {
            match self.0.join_next().await? {
                Ok(result) => return Some(result),
                Err(error) if error.is_cancelled() => {}
                Err(error) => return Some(Err(Error::from_panic(error.into_panic().as_ref()))),
            }
        }
    }
}
