//! What a consumer that batches are pushed to has asked for.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// How many batches a consumer takes, and whether it still wants any. Every call may be made at any time from any thread; none
/// waits, and none pushes anything itself.
#[derive(Debug, Default)]
pub struct Demand(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    wanted: u64,
    end: Option<End>,
    /// The task that pushes.
    task: Option<Waker>,
}

/// Why no more batches are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The consumer has cancelled.
    Cancelled,
    /// The consumer has asked for no batch, or for fewer.
    Wrong(i64),
}

impl Demand {
    /// Takes so many batches more. Less than one is a mistake, which ends the stream.
    pub fn request(&self, count: i64) {
        self.change(|state| match u64::try_from(count) {
            Ok(count) if count > 0 => state.wanted = state.wanted.saturating_add(count),
            _ => state.end = state.end.or(Some(End::Wrong(count))),
        });
    }

    /// Takes no batch any more. The first end stays.
    pub fn cancel(&self) {
        self.change(|state| state.end = state.end.or(Some(End::Cancelled)));
    }

    /// Has the task look again.
    pub(super) fn wake(&self) {
        self.change(|_| {});
    }

    /// Counts a batch that was pushed.
    pub(super) fn served(&self) {
        let mut state = self.lock();
        state.wanted = state.wanted.saturating_sub(1);
    }

    /// Ready while a batch is wanted, and when none will be any more. The task is woken by the next change.
    pub(super) fn poll(&self, context: &Context<'_>) -> Poll<Result<(), End>> {
        let mut state = self.lock();
        match state.end {
            Some(end) => return Poll::Ready(Err(end)),
            None => state.task = Some(context.waker().clone()),
        }
        if state.wanted > 0 { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        let task = state.task.take();
        drop(state);
        if let Some(task) = task {
            task.wake();
        }
    }

    /// No code that can panic runs under the lock.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn requests_add_up_and_every_change_wakes_once() {
        let (demand, count) = (Demand::default(), Arc::new(Count::default()));
        let waker = Waker::from(Arc::clone(&count));
        let mut context = Context::from_waker(&waker);
        let poll = |context: &mut Context| demand.poll(context);
        assert!(poll(&mut context).is_pending());
        demand.request(2);
        demand.request(i64::MAX);
        assert_eq!(count.0.load(Ordering::SeqCst), 1, "who was woken looks at all that has changed");
        assert_eq!(poll(&mut context), Poll::Ready(Ok(())));
        demand.wake();
        assert_eq!(count.0.load(Ordering::SeqCst), 2);
        let small = Demand::default();
        small.request(1);
        small.served();
        assert!(small.poll(&context).is_pending());
        context = Context::from_waker(&waker);
        demand.cancel();
        demand.request(0);
        assert_eq!(poll(&mut context), Poll::Ready(Err(End::Cancelled)));
    }

    #[test]
    fn a_request_of_nothing_is_an_end() {
        for wrong in [0, -1, i64::MIN] {
            let demand = Demand::default();
            demand.request(wrong);
            demand.cancel();
            assert_eq!(demand.poll(&Context::from_waker(Waker::noop())), Poll::Ready(Err(End::Wrong(wrong))));
        }
    }
}
