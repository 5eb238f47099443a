//! How many requests run on each quota at once.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// What happens to a request beyond the slots of its quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Over {
    /// 429 `SlotExceeded`, `Retry-After: 1`.
    Refuse,
    /// It waits until a slot is free, first come first served.
    Queue,
    /// It runs all the same.
    Off,
}

/// Requests on one quota.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuotaLoad {
    pub quota: String,
    /// How many may run; `None` is no bound.
    pub slots: Option<u32>,
    pub used: u32,
    pub waiting: u32,
    /// Requests that were refused since the start.
    pub refused: u64,
}

#[derive(Default)]
struct Load {
    name: String,
    slots: Option<u32>,
    used: u32,
    refused: u64,
    waiting: VecDeque<oneshot::Sender<()>>,
}

/// The slots of all quotas.
#[derive(Clone, Default)]
pub struct Slots {
    /// By lower-case name.
    loads: Arc<Mutex<HashMap<String, Load>>>,
}

/// A taken slot; free again when dropped.
pub struct Slot {
    slots: Slots,
    key: String,
}

/// No slot was free: so many there are, so many were asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Exceeded {
    pub total: u32,
    pub acquired: u32,
}

impl Slots {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Load>> {
        self.loads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a slot of a quota that has `slots` of them.
    pub async fn take(&self, quota: &str, slots: Option<u32>, over: Over) -> Result<Slot, Exceeded> {
        let key = quota.to_lowercase();
        let turn = {
            let mut loads = self.lock();
            let load = loads.entry(key.clone()).or_default();
            (load.name, load.slots) = (quota.to_string(), slots);
            // Slots that were added meanwhile go to those who wait.
            load.admit_waiting();
            let total = slots.filter(|_| over != Over::Off).unwrap_or(u32::MAX);
            if load.used < total && load.waiting.is_empty() {
                load.used += 1;
                None
            } else if over == Over::Refuse {
                load.refused += 1;
                return Err(Exceeded { total, acquired: load.used + 1 });
            } else {
                let (sender, receiver) = oneshot::channel();
                load.waiting.push_back(sender);
                Some(receiver)
            }
        };
        match turn {
            Some(turn) => Waiter { slots: self.clone(), key, turn }.wait().await,
            None => Ok(Slot { slots: self.clone(), key }),
        }
    }

    /// All quotas that had a request, by name.
    pub fn load(&self) -> Vec<QuotaLoad> {
        let mut all: Vec<QuotaLoad> = self
            .lock()
            .values()
            .map(|load| QuotaLoad {
                quota: load.name.clone(),
                slots: load.slots,
                used: load.used,
                waiting: load.waiting.iter().filter(|waiter| !waiter.is_closed()).count() as u32,
                refused: load.refused,
            })
            .collect();
        all.sort_by(|a, b| a.quota.cmp(&b.quota));
        all
    }
}

/// A place in the queue.
struct Waiter {
    slots: Slots,
    key: String,
    turn: oneshot::Receiver<()>,
}

impl Waiter {
    /// Waits for the slot.
    async fn wait(mut self) -> Result<Slot, Exceeded> {
        match (&mut self.turn).await {
            Ok(()) => Ok(Slot { slots: self.slots.clone(), key: self.key.clone() }),
            // The other end is dropped with the queue only.
            Err(_) => Err(Exceeded { total: 0, acquired: 1 }),
        }
    }
}

impl Drop for Waiter {
    /// A request that is given up may have got its slot in the same moment: it goes on to the next.
    fn drop(&mut self) {
        if self.turn.try_recv().is_ok() {
            drop(Slot { slots: self.slots.clone(), key: std::mem::take(&mut self.key) });
        }
    }
}

impl Load {
    /// Hands free slots to those who wait; who has gone is skipped.
    fn admit_waiting(&mut self) {
        while self.slots.is_none_or(|slots| self.used < slots) {
            match self.waiting.pop_front() {
                Some(waiter) => self.used += u32::from(waiter.send(()).is_ok()),
                None => return,
            }
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut loads = self.slots.lock();
        if let Some(load) = loads.get_mut(&self.key) {
            load.used = load.used.saturating_sub(1);
            load.admit_waiting();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn take(slots: &Slots, total: u32, over: Over) -> Result<Slot, Exceeded> {
        slots.take("Group", Some(total), over).await
    }

    #[tokio::test]
    async fn a_slot_is_free_again_when_its_request_ends() {
        let slots = Slots::default();
        let first = take(&slots, 2, Over::Refuse).await.ok().unwrap();
        let _second = take(&slots, 2, Over::Refuse).await.ok().unwrap();
        assert_eq!(take(&slots, 2, Over::Refuse).await.err().unwrap(), Exceeded { total: 2, acquired: 3 });
        assert!(slots.take("other", Some(1), Over::Refuse).await.is_ok());
        drop(first);
        let _third = slots.take("GROUP", Some(2), Over::Refuse).await.ok().unwrap();
        assert!(take(&slots, 2, Over::Off).await.is_ok());
        let load = slots.load().into_iter().find(|load| load.quota.eq_ignore_ascii_case("group")).unwrap();
        assert_eq!((load.used, load.waiting, load.refused), (2, 0, 1));
    }

    #[tokio::test]
    async fn the_queue_is_served_in_order_and_forgets_who_has_gone() {
        let slots = Slots::default();
        let running = take(&slots, 1, Over::Queue).await.ok().unwrap();
        let mut gone = Box::pin(take(&slots, 1, Over::Queue));
        let mut next = Box::pin(take(&slots, 1, Over::Queue));
        assert!(futures::poll!(&mut gone).is_pending());
        assert!(futures::poll!(&mut next).is_pending());
        assert_eq!(slots.load()[0].waiting, 2);
        drop(gone);
        drop(running);
        let next = next.await.ok().unwrap();
        assert_eq!((slots.load()[0].used, slots.load()[0].waiting), (1, 0));
        drop(next);
        assert_eq!(slots.load()[0].used, 0);
    }

    #[tokio::test]
    async fn a_slot_handed_to_a_request_that_is_given_up_in_the_same_moment_is_not_lost() {
        let slots = Slots::default();
        let running = take(&slots, 1, Over::Queue).await.ok().unwrap();
        let mut waiting = Box::pin(take(&slots, 1, Over::Queue));
        assert!(futures::poll!(&mut waiting).is_pending());
        drop(running);
        drop(waiting);
        assert!(take(&slots, 1, Over::Refuse).await.is_ok());
    }

    #[tokio::test]
    async fn added_slots_count_for_those_who_wait() {
        let slots = Slots::default();
        let _running = take(&slots, 1, Over::Queue).await.ok().unwrap();
        let mut waiting = Box::pin(take(&slots, 1, Over::Queue));
        assert!(futures::poll!(&mut waiting).is_pending());
        let _other = take(&slots, 3, Over::Queue).await.ok().unwrap();
        assert!(waiting.await.is_ok());
    }
}
