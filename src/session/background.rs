//! Planning that goes on after a session was opened.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::parts::Parts;
use super::planning::Planning;
use crate::client::Client;
use crate::error::{Kind, Result};
use crate::runtime::Task;

/// How long planning took, or takes.
#[derive(Debug, Clone)]
pub(super) struct Clock {
    start: Instant,
    took: Arc<OnceLock<Duration>>,
}

impl Clock {
    pub(super) fn start() -> Self {
        Clock { start: Instant::now(), took: Arc::default() }
    }

    /// Planning is over.
    pub(super) fn stop(&self) {
        self.took.get_or_init(|| self.start.elapsed());
    }

    /// From its start to its end, or to now.
    pub(super) fn time(&self) -> Duration {
        self.took.get().copied().unwrap_or_else(|| self.start.elapsed())
    }
}

/// Planning that goes on. It ends with the last one who keeps this.
#[derive(Debug)]
pub(crate) struct Background(Task);

impl Background {
    /// Adds the rest of the plans to `parts`, or the failure.
    pub(super) fn start(client: &Client, planning: Planning, parts: &Parts, clock: Clock) -> Self {
        let (grown, told, transport) = (parts.clone(), parts.clone(), Arc::clone(client.transport()));
        let work = async move { planning.rest(&grown).await };
        Background(client.runtime().spawn_aside(work, move |result: Result<()>| {
            clock.stop();
            if let Err(error) = result {
                // Whoever needed more splits is gone, or will hear of it.
                if error.kind() != Kind::Cancelled {
                    log::warn!("planning a read of {} has failed: {error}", told.first().source);
                }
                told.fail(transport.told(error));
            }
        }))
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.0.abort();
    }
}
