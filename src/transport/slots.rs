//! How many requests for rows a client has under way: bounded by an option, and by what the service bears.
//!
//! A refusal for too many requests halves the number, every request that is let in raises it a little again (additive increase,
//! multiplicative decrease). A request whose rows nobody takes does not count while it waits: else readers that the engine has not
//! come to yet could keep out the one that it waits for.
//!
//! A free slot goes to the reads of the highest priority that wait, and among them to the one that has the fewest. So that no priority
//! starves, every eighth slot that would pass over lower ones goes to the request of a lower one that has waited longest.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

/// The slots of a client.
#[derive(Debug)]
pub(super) struct Slots {
    state: Mutex<State>,
    most: f64,
    refusals: AtomicU64,
    throttled_us: AtomicU64,
}

/// Of so many slots one is for the lower priorities that wait.
const LOWER_EVERY: u32 = 8;

/// The part of the slots that one read has.
#[derive(Debug, Default)]
pub struct Share {
    priority: u64,
    held: AtomicUsize,
}

impl Share {
    /// No slots yet. A higher number comes first.
    pub fn new(priority: u64) -> Arc<Self> {
        Arc::new(Share { priority, held: AtomicUsize::new(0) })
    }
}

#[derive(Debug)]
struct State {
    /// How many may be taken; fractions add up to the next whole one.
    limit: f64,
    taken: usize,
    /// How often the limit was halved.
    cuts: u64,
    /// Who waits, in the order of arrival.
    line: Vec<(Arc<Share>, oneshot::Sender<Slot>)>,
    /// Slots that passed over lower priorities since the last one that did not.
    passed: u32,
}

impl State {
    /// Who of those that wait has the next free slot.
    fn next(&mut self) -> Option<usize> {
        let first = self.line.iter().map(|(share, _)| share.priority).max()?;
        if let Some(lower) = self.line.iter().position(|(share, _)| share.priority < first) {
            self.passed = (self.passed + 1) % LOWER_EVERY;
            if self.passed == 0 {
                return Some(lower);
            }
        }
        let of_first = self.line.iter().enumerate().filter(|(_, (share, _))| share.priority == first);
        of_first.min_by_key(|(_, (share, _))| share.held.load(Ordering::Relaxed)).map(|(at, _)| at)
    }
}

/// A taken slot.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Arc<Slots>,
    share: Arc<Share>,
    /// The cuts before it was taken.
    cuts: u64,
    /// It does not count for now.
    paused: bool,
}

/// What the slots of a client are used for at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotUse {
    /// Requests that count.
    pub held: u64,
    /// Requests that wait for a slot.
    pub waiting: u64,
    /// How many may count at the same time; 0 while the service has not set a limit.
    pub limit: u64,
    /// Requests that the service refused because it had too many.
    pub refusals: u64,
    /// Time that requests waited for slots and after such refusals.
    pub throttled: Duration,
}

impl Slots {
    /// `most` slots; 0 for as many as the service bears.
    pub(super) fn new(most: u64) -> Arc<Self> {
        let most = if most == 0 { f64::INFINITY } else { most as f64 };
        let state = State { limit: most, taken: 0, cuts: 0, line: Vec::new(), passed: 0 };
        let (refusals, throttled_us) = (AtomicU64::new(0), AtomicU64::new(0));
        Arc::new(Slots { state: Mutex::new(state), most, refusals, throttled_us })
    }

    /// Waits for a slot.
    pub(super) async fn take(self: &Arc<Self>, share: &Arc<Share>) -> Slot {
        loop {
            let waiting = {
                let mut state = self.lock();
                let (tell, told) = oneshot::channel();
                state.line.push((Arc::clone(share), tell));
                self.hand_out(&mut state);
                told
            };
            // The line is dropped by nobody before the slot comes.
            if let Ok(slot) = waiting.await {
                return slot;
            }
        }
    }

    /// Gives free slots to those who wait.
    fn hand_out(self: &Arc<Self>, state: &mut State) {
        // Whoever has gone waits no more.
        state.line.retain(|(_, tell)| !tell.is_closed());
        while (state.taken as f64) < state.limit.floor() {
            let Some(at) = state.next() else { return };
            let (share, tell) = state.line.remove(at);
            state.taken += 1;
            share.held.fetch_add(1, Ordering::Relaxed);
            let slot = Slot { slots: Arc::clone(self), share, cuts: state.cuts, paused: false };
            if let Err(mut slot) = tell.send(slot) {
                // Gone just now. The lock is held, so it cannot give itself back.
                slot.paused = true;
                state.taken -= 1;
                slot.share.held.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    /// Counts time for which a request was held up.
    pub(super) fn throttled(&self, time: Duration) {
        self.throttled_us.fetch_add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// What the slots are used for.
    pub(super) fn usage(&self) -> SlotUse {
        let state = self.lock();
        SlotUse {
            held: state.taken as u64,
            waiting: state.line.iter().filter(|(_, tell)| !tell.is_closed()).count() as u64,
            limit: if state.limit.is_finite() { state.limit as u64 } else { 0 },
            refusals: self.refusals.load(Ordering::Relaxed),
            throttled: Duration::from_micros(self.throttled_us.load(Ordering::Relaxed)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// The service let the request in: it may bear more.
    pub(super) fn accepted(&self) {
        let mut state = self.slots.lock();
        if state.limit < self.slots.most {
            state.limit = (state.limit + 1.0 / state.limit).min(self.slots.most);
            self.slots.hand_out(&mut state);
        }
    }

    /// The service refused the request because there are too many: halves what is under way, once for all requests that were
    /// made under the same limit. Whether others are under way.
    pub(super) fn refused(self) -> bool {
        self.slots.refusals.fetch_add(1, Ordering::Relaxed);
        let mut state = self.slots.lock();
        let others = state.taken > 1;
        if self.cuts != state.cuts {
            return others;
        }
        state.cuts += 1;
        state.limit = (state.limit.min(state.taken as f64) / 2.0).max(1.0);
        log::info!("the service bears no more requests: going on with {}", state.limit.floor());
        others
    }

    /// Nobody takes the rows of the request: another one may go on meanwhile.
    pub(super) fn pause(&mut self) {
        if !std::mem::replace(&mut self.paused, true) {
            let mut state = self.slots.lock();
            state.taken -= 1;
            self.share.held.fetch_sub(1, Ordering::Relaxed);
            self.slots.hand_out(&mut state);
        }
    }

    /// The rows of the request are taken again. Does not wait: its connection is there.
    pub(super) fn go_on(&mut self) {
        if std::mem::replace(&mut self.paused, false) {
            self.slots.lock().taken += 1;
            self.share.held.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.pause();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn block_on<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    async fn is_free(slots: &Arc<Slots>) -> bool {
        tokio::time::timeout(Duration::from_millis(10), slots.take(&Arc::default())).await.is_ok()
    }

    #[test]
    fn a_full_set_makes_the_next_one_wait_until_a_slot_is_free() {
        block_on(async {
            let slots = Slots::new(2);
            let (first, _second) = (slots.take(&Arc::default()).await, slots.take(&Arc::default()).await);
            assert!(!is_free(&slots).await);
            drop(first);
            assert!(is_free(&slots).await);
        });
    }

    #[test]
    fn refusals_halve_and_successes_add_one_per_round() {
        block_on(async {
            let slots = Slots::new(0);
            let mut taken = Vec::new();
            for _ in 0..16 {
                taken.push(slots.take(&Arc::default()).await);
            }
            taken.pop().unwrap().refused();
            assert_eq!(slots.lock().limit, 8.0);
            taken.truncate(7);
            assert!(is_free(&slots).await);
            // A round of successes: as many as there are slots raise the limit by about one.
            for _ in 0..9 {
                taken.last().unwrap().accepted();
            }
            assert_eq!(slots.lock().limit.floor(), 9.0);
            // A burst of refusals is one piece of news.
            let (one, two) = (slots.take(&Arc::default()).await, slots.take(&Arc::default()).await);
            one.refused();
            two.refused();
            assert_eq!(slots.lock().limit, 4.5);
            drop(taken);
            for _ in 0..5 {
                slots.take(&Arc::default()).await.refused();
            }
            assert_eq!(slots.lock().limit, 1.0, "one request is always tried");
            let last = slots.take(&Arc::default()).await;
            assert!(!is_free(&slots).await);
            drop(last);
        });
    }

    #[test]
    fn the_option_is_never_passed() {
        block_on(async {
            let slots = Slots::new(3);
            let slot = slots.take(&Arc::default()).await;
            (0..100).for_each(|_| slot.accepted());
            assert_eq!(slots.lock().limit, 3.0);
        });
    }

    #[test]
    fn a_request_whose_rows_nobody_takes_makes_room() {
        block_on(async {
            let slots = Slots::new(1);
            let mut stalled = slots.take(&Arc::default()).await;
            assert!(!is_free(&slots).await);
            stalled.pause();
            let other = slots.take(&Arc::default()).await;
            stalled.go_on();
            drop(other);
            assert!(!is_free(&slots).await);
            drop(stalled);
            assert!(is_free(&slots).await);
            assert_eq!(slots.lock().taken, 0);
        });
    }

    /// In which order those who wait in this order get the only slot.
    fn order(waiting: &[(char, u64)]) -> String {
        block_on(async {
            let slots = Slots::new(1);
            let mut held = slots.take(&Share::new(0)).await;
            let mut tasks = Vec::new();
            for (name, priority) in waiting {
                let (taking, share) = (Arc::clone(&slots), Share::new(*priority));
                tasks.push((*name, tokio::spawn(async move { taking.take(&share).await })));
                while slots.usage().waiting < tasks.len() as u64 {
                    tokio::task::yield_now().await;
                }
            }
            let mut order = String::new();
            while !tasks.is_empty() {
                drop(held);
                while !tasks.iter().any(|(_, task)| task.is_finished()) {
                    tokio::task::yield_now().await;
                }
                let at = tasks.iter().position(|(_, task)| task.is_finished()).unwrap();
                let (name, task) = tasks.remove(at);
                order.push(name);
                held = task.await.unwrap();
            }
            order
        })
    }

    #[test]
    fn the_highest_priority_that_waits_comes_first() {
        assert_eq!(order(&[('a', 0), ('b', 2), ('c', 1), ('d', 2)]), "bdca");
    }

    #[test]
    fn every_eighth_slot_is_for_the_lower_priorities() {
        let high = (0..20).map(|_| ('h', 9));
        let waiting: Vec<_> = [('x', 1), ('y', 0), ('z', 1)].into_iter().chain(high).collect();
        // The one that has waited longest, whatever its priority; without lower ones nobody is passed over.
        assert_eq!(order(&waiting), "hhhhhhhxhhhhhhhyhhhhhhz");
    }

    #[test]
    fn a_free_slot_goes_to_the_read_that_has_the_fewest() {
        block_on(async {
            let slots = Slots::new(4);
            let (large, small) = (Arc::<Share>::default(), Arc::<Share>::default());
            let mut held = Vec::new();
            for _ in 0..4 {
                held.push(slots.take(&large).await);
            }
            let waiting = |share: &Arc<Share>, name: char| {
                let (slots, share) = (Arc::clone(&slots), Arc::clone(share));
                tokio::spawn(async move { (name, slots.take(&share).await) })
            };
            let tasks = [waiting(&large, 'l'), waiting(&large, 'l'), waiting(&small, 's'), waiting(&small, 's')];
            while slots.usage().waiting < 4 {
                tokio::task::yield_now().await;
            }
            let mut order = Vec::new();
            let mut tasks: Vec<_> = tasks.into();
            for _ in 0..3 {
                held.remove(0);
                while !tasks.iter().any(tokio::task::JoinHandle::is_finished) {
                    tokio::task::yield_now().await;
                }
                let at = tasks.iter().position(tokio::task::JoinHandle::is_finished).unwrap();
                let (name, slot) = tasks.remove(at).await.unwrap();
                order.push(name);
                held.push(slot);
            }
            // 3 : 0, then 2 : 1, then 1 : 2.
            assert_eq!(order, ['s', 's', 'l']);
            assert_eq!((slots.usage().held, slots.usage().waiting, slots.usage().limit), (4, 1, 4));
            tasks[0].abort();
            drop(held);
            assert!(tasks.remove(0).await.unwrap_err().is_cancelled());
            assert!(is_free(&slots).await);
            assert_eq!((slots.usage().held, large.held.load(Ordering::Relaxed)), (0, 0));
        });
    }
}
