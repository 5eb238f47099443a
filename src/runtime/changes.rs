//! Tells any number of tasks that something has changed.

use std::future::pending;

use tokio::sync::watch;

/// Something that changes while others wait for it.
#[derive(Debug, Default)]
pub struct Changes(watch::Sender<()>);

impl Changes {
    /// Wakes everybody who listens, now or when they wait next.
    pub fn tell(&self) {
        self.0.send_modify(|()| {});
    }

    /// Hears of every change from now on.
    pub fn listen(&self) -> Listener {
        Listener(self.0.subscribe())
    }
}

/// One who waits for changes.
#[derive(Debug)]
pub struct Listener(watch::Receiver<()>);

impl Listener {
    /// Waits for a change that was not waited for yet; for ever, if there can be none any more.
    pub async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    #[test]
    fn no_change_is_missed_and_none_is_heard_twice() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let changes = Changes::default();
            changes.tell();
            let mut listener = changes.listen();
            let soon = Duration::from_millis(20);
            assert!(timeout(soon, listener.changed()).await.is_err(), "what was before does not count");
            changes.tell();
            changes.tell();
            listener.changed().await;
            assert!(timeout(soon, listener.changed()).await.is_err());
            drop(changes);
            assert!(timeout(soon, listener.changed()).await.is_err(), "nothing comes any more");
        });
    }
}
