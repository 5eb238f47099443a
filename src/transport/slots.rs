//! How many requests for rows a client has under way: bounded by an option, and by what the service bears.
//!
//! A refusal for too many requests halves the number, every request that is let in raises it a little again (additive increase,
//! multiplicative decrease). A request whose rows nobody takes does not count while it waits: else readers that the engine has not
//! come to yet could keep out the one that it waits for.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The slots of a client.
#[derive(Debug)]
pub(super) struct Slots {
    state: Mutex<State>,
    freed: Notify,
    most: f64,
}

#[derive(Debug)]
struct State {
    /// How many may be taken; fractions add up to the next whole one.
    limit: f64,
    taken: usize,
    /// How often the limit was halved.
    cuts: u64,
}

/// A taken slot.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Arc<Slots>,
    /// The cuts before it was taken.
    cuts: u64,
    /// It does not count for now.
    paused: bool,
}

impl Slots {
    /// `most` slots; 0 for as many as the service bears.
    pub(super) fn new(most: u64) -> Arc<Self> {
        let most = if most == 0 { f64::INFINITY } else { most as f64 };
        Arc::new(Slots { state: Mutex::new(State { limit: most, taken: 0, cuts: 0 }), freed: Notify::new(), most })
    }

    /// Waits for a slot.
    pub(super) async fn take(self: &Arc<Self>) -> Slot {
        loop {
            {
                let mut state = self.lock();
                if (state.taken as f64) < state.limit.floor() {
                    state.taken += 1;
                    if (state.taken as f64) < state.limit.floor() {
                        // Two slots that are freed at once may leave one permit: whoever gets it passes it on.
                        self.freed.notify_one();
                    }
                    return Slot { slots: Arc::clone(self), cuts: state.cuts, paused: false };
                }
            }
            // A slot that is freed before this wait begins leaves a permit, so it is not missed.
            self.freed.notified().await;
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
        let before = state.limit;
        if before < self.slots.most {
            state.limit = (before + 1.0 / before).min(self.slots.most);
            if state.limit.floor() > before.floor() {
                self.slots.freed.notify_one();
            }
        }
    }

    /// The service refused the request because there are too many: halves what is under way, once for all requests that were
    /// made under the same limit.
    pub(super) fn refused(self) {
        let mut state = self.slots.lock();
        if self.cuts != state.cuts {
            return;
        }
        state.cuts += 1;
        state.limit = (state.limit.min(state.taken as f64) / 2.0).max(1.0);
        log::info!("the service bears no more requests: going on with {}", state.limit.floor());
    }
}

impl Slot {
    /// Nobody takes the rows of the request: another one may go on meanwhile.
    pub(super) fn pause(&mut self) {
        if !std::mem::replace(&mut self.paused, true) {
            self.slots.lock().taken -= 1;
            self.slots.freed.notify_one();
        }
    }

    /// The rows of the request are taken again. Does not wait: its connection is there.
    pub(super) fn go_on(&mut self) {
        if std::mem::replace(&mut self.paused, false) {
            self.slots.lock().taken += 1;
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
        tokio::time::timeout(Duration::from_millis(10), slots.take()).await.is_ok()
    }

    #[test]
    fn a_full_set_makes_the_next_one_wait_until_a_slot_is_free() {
        block_on(async {
            let slots = Slots::new(2);
            let (first, _second) = (slots.take().await, slots.take().await);
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
                taken.push(slots.take().await);
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
            let (one, two) = (slots.take().await, slots.take().await);
            one.refused();
            two.refused();
            assert_eq!(slots.lock().limit, 4.5);
            drop(taken);
            for _ in 0..5 {
                slots.take().await.refused();
            }
            assert_eq!(slots.lock().limit, 1.0, "one request is always tried");
            let last = slots.take().await;
            assert!(!is_free(&slots).await);
            drop(last);
        });
    }

    #[test]
    fn the_option_is_never_passed() {
        block_on(async {
            let slots = Slots::new(3);
            let slot = slots.take().await;
            (0..100).for_each(|_| slot.accepted());
            assert_eq!(slots.lock().limit, 3.0);
        });
    }

    #[test]
    fn a_request_whose_rows_nobody_takes_makes_room() {
        block_on(async {
            let slots = Slots::new(1);
            let mut stalled = slots.take().await;
            assert!(!is_free(&slots).await);
            stalled.pause();
            let other = slots.take().await;
            stalled.go_on();
            drop(other);
            assert!(!is_free(&slots).await);
            drop(stalled);
            assert!(is_free(&slots).await);
            assert_eq!(slots.lock().taken, 0);
        });
    }
}
