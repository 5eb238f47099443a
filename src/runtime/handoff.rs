//! The bounded queue between the task that owns a stream and the engine: one core for blocking, polling, wakers and descriptors.
//!
//! Waking a thread costs as much as receiving a small batch. So an engine that waits is told when several batches are there or the producer
//! is about to wait itself, and a producer that waits for room when half of the queue is free.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::os::fd::RawFd;
use std::pin::pin;
use std::task::Poll;
use std::time::Instant;

use super::signal::Signal;
use super::sync::{Condvar, Mutex, MutexGuard, Notify, PoisonError};
use super::waker::{Callback, Waker};
use crate::error::{Error, Kind, Result};

/// So many bytes are worth a wake.
const WORTH_A_WAKE: u64 = 1 << 20;

/// A queue from asynchronous producers to consumers that need not be asynchronous. Cancelling is sticky and wakes both at once.
#[derive(Debug)]
pub struct Handoff<T> {
    state: Mutex<State<T>>,
    ready: Condvar,
    room: Notify,
    waker: Waker,
    capacity: usize,
    capacity_bytes: u64,
}

#[derive(Debug)]
struct State<T> {
    /// Items and their sizes.
    items: VecDeque<(T, u64)>,
    bytes: u64,
    /// Items that were taken and are not given back yet; what is behind them waits.
    held: usize,
    /// Items that were given back.
    returned: VecDeque<T>,
    /// Nothing goes out any more, whatever was taken.
    is_cut_off: bool,
    end: End,
    /// The end that the consumer has; a cancel that comes later does not change it.
    given: Option<Result<()>>,
    /// Whether the consumer was told that there is something for it.
    told: bool,
    /// How many threads are blocked.
    blocked: usize,
    /// Made when somebody asks for it.
    signal: Option<Signal>,
}

#[derive(Debug)]
enum End {
    NotYet,
    Finished,
    Failed(Error),
    Cancelled,
}

/// Takes a part off an item of which not all is wanted at once, and says how many bytes it has; `None` for the whole of it. It runs under the
/// lock of the queue, so that nobody sees the queue without the rest.
pub type Cut<'a, T> = dyn FnMut(&mut T) -> Option<(T, u64)> + 'a;

impl<T> State<T> {
    /// Whether the consumer would get an answer now.
    fn is_ready(&self) -> bool {
        let goes_on = self.held == 0 && (!self.items.is_empty() || !matches!(self.end, End::NotYet));
        goes_on || !self.returned.is_empty()
    }

    /// The next item, or a part of it, or the end. Items that arrived before a failure come first.
    fn next(&mut self, cut: &mut Cut<'_, T>) -> Poll<Result<Option<T>>> {
        if !self.is_ready() {
            return Poll::Pending;
        }
        let next = if let Some(item) = self.returned.front_mut() {
            Ok(cut(item).map(|(part, _)| part).or_else(|| self.returned.pop_front()))
        } else if let Some((item, bytes)) = self.items.front_mut() {
            let (taken, size) = match cut(item) {
                Some((part, size)) => (Some(part), size.min(*bytes)),
                None => (None, *bytes),
            };
            *bytes -= size;
            self.bytes -= size;
            Ok(taken.or_else(|| self.items.pop_front().map(|(item, _)| item)))
        } else {
            match &self.end {
                End::NotYet => return Poll::Pending,
                End::Finished => {
                    self.given.get_or_insert(Ok(()));
                    Ok(None)
                }
                End::Failed(error) => {
                    self.given.get_or_insert_with(|| Err(error.clone()));
                    Err(error.clone())
                }
                End::Cancelled => Err(Error::new(Kind::Cancelled, "the split was cancelled")),
            }
        };
        self.show();
        Poll::Ready(next)
    }

    /// Brings the descriptor in line with what was told and is still there.
    fn show(&mut self) {
        self.told &= self.is_ready();
        if let Some(signal) = &mut self.signal {
            signal.set(self.told);
        }
    }
}

impl<T> Handoff<T> {
    /// A queue that holds up to `capacity` items and `capacity_bytes` bytes, one item in any case.
    pub fn new(capacity: usize, capacity_bytes: u64) -> Self {
        let state = State {
            items: VecDeque::new(),
            bytes: 0,
            held: 0,
            returned: VecDeque::new(),
            is_cut_off: false,
            end: End::NotYet,
            given: None,
            told: false,
            blocked: 0,
            signal: None,
        };
        Handoff {
            state: Mutex::new(state),
            ready: Condvar::new(),
            room: Notify::new(),
            waker: Waker::default(),
            capacity,
            capacity_bytes,
        }
    }

    /// Runs what puts items into the queue, and tells the consumer of them whenever it waits.
    pub async fn fed_by<R>(&self, work: impl Future<Output = R>) -> R {
        let mut work = pin!(work);
        poll_fn(|context| {
            let polled = work.as_mut().poll(context);
            self.tell(self.lock(), true);
            polled
        })
        .await
    }

    /// Adds an item of `bytes` when there is room for it. An item that comes after the end is dropped. To be called inside of
    /// [`Handoff::fed_by`]: the consumer may be told of the item only when the work there waits.
    pub async fn put(&self, item: T, bytes: u64) {
        let mut rest = Some(item);
        while let Some(item) = rest.take() {
            rest = self.try_put(item, bytes);
            if rest.is_some() {
                self.room.notified().await;
            }
        }
    }

    /// As [`Handoff::put`], if there is room for the item, else gives it back.
    pub fn try_put(&self, item: T, bytes: u64) -> Option<T> {
        let mut item = Some(item);
        let refused = self.change(|state| match state.end {
            End::NotYet if !self.has_room(state, bytes) => item.take(),
            End::NotYet => {
                state.items.extend(item.take().map(|item| (item, bytes)));
                state.bytes += bytes;
                None
            }
            _ => None,
        });
        // Not under the lock: it may have memory of a host to give back.
        drop(item);
        refused
    }

    fn has_room(&self, state: &State<T>, bytes: u64) -> bool {
        let fits = state.items.len() < self.capacity && state.bytes.saturating_add(bytes) <= self.capacity_bytes;
        fits || state.items.is_empty()
    }

    /// Takes note that an item which was taken is not used: it comes back by [`Handoff::give_back`], and nothing behind it goes out before.
    /// False if the queue was cut off: then nobody wants it any more.
    pub fn hold(&self) -> bool {
        let mut state = self.lock();
        let goes_on = !state.is_cut_off;
        state.held += usize::from(goes_on);
        state.show();
        goes_on
    }

    /// Puts an item back where it was taken from. It is dropped if the queue was cut off meanwhile.
    pub fn give_back(&self, item: T) {
        let dropped = self.change(|state| {
            if state.held == 0 {
                return Some(item);
            }
            state.held -= 1;
            state.returned.push_back(item);
            None
        });
        drop(dropped);
    }

    /// Says that nothing more will come: all is delivered, or `result` tells what broke. The first end stays.
    pub fn finish(&self, result: Result<()>) {
        self.change(|state| {
            if matches!(state.end, End::NotYet) {
                state.end = match result {
                    Ok(()) => End::Finished,
                    Err(error) => End::Failed(error),
                };
            }
        });
    }

    /// Drops what is queued and ends the queue for both sides.
    pub fn cancel(&self) {
        self.cut_off(End::Cancelled);
    }

    /// As [`Handoff::cancel`], because what was taken is all that was wanted: for the consumer this is the end of the data.
    pub fn stop(&self) {
        self.cut_off(End::Finished);
    }

    /// As [`Handoff::cancel`], because what was taken is of no use. A queue that was cancelled stays so.
    pub fn fail(&self, error: Error) {
        self.cut_off(End::Failed(error));
    }

    fn cut_off(&self, end: End) {
        let dropped = self.change(|state| {
            // What cuts off first is the end for everybody, but that a cancel has the last word.
            if !state.is_cut_off || matches!(end, End::Cancelled) {
                match &end {
                    End::Finished => drop(state.given.get_or_insert(Ok(()))),
                    End::Failed(error) => drop(state.given.get_or_insert_with(|| Err(error.clone()))),
                    End::NotYet | End::Cancelled => {}
                }
                state.end = end;
            }
            state.bytes = 0;
            (state.held, state.is_cut_off) = (0, true);
            (std::mem::take(&mut state.items), std::mem::take(&mut state.returned))
        });
        self.room.notify_one();
        drop(dropped);
    }

    /// Whether all was taken and no more will come, without a failure.
    pub fn is_finished(&self) -> bool {
        let state = self.lock();
        let is_empty = state.items.is_empty() && state.returned.is_empty() && state.held == 0;
        matches!(state.given, Some(Ok(()))) || (is_empty && matches!(state.end, End::Finished))
    }

    /// How it ends for a consumer that takes nothing more: as it was told already, else a failure, a cancel, or the end if all was taken.
    pub fn outcome(&self) -> Result<()> {
        if self.is_finished() {
            return Ok(());
        }
        let state = self.lock();
        match (&state.given, &state.end) {
            (Some(given), _) => given.clone(),
            (None, end) => match end {
                End::Failed(error) => Err(error.clone()),
                _ => Err(Error::new(Kind::Cancelled, "the read was ended before all was taken")),
            },
        }
    }

    /// Whether nothing more comes in.
    pub fn has_ended(&self) -> bool {
        !matches!(self.lock().end, End::NotYet)
    }

    /// Whether the engine is slower than what comes in.
    pub fn is_full(&self) -> bool {
        let state = self.lock();
        !self.has_room(&state, 0)
    }

    /// Changes the state, and tells the consumer if enough is there for it now.
    fn change<R>(&self, change: impl FnOnce(&mut State<T>) -> R) -> R {
        let mut state = self.lock();
        let result = change(&mut state);
        let enough = state.items.len() > self.capacity / 2 || state.bytes >= WORTH_A_WAKE;
        let last = !matches!(state.end, End::NotYet) || !state.returned.is_empty();
        self.tell(state, enough || last);
        result
    }

    /// Tells the consumer that there is something for it, if there is, it was not told yet, and it is `worth` that now.
    fn tell(&self, mut state: MutexGuard<'_, State<T>>, worth: bool) {
        if !worth || state.told || !state.is_ready() {
            return;
        }
        state.told = true;
        state.show();
        let blocked = state.blocked > 0;
        drop(state);
        if blocked {
            self.ready.notify_all();
        }
        self.waker.wake();
    }

    /// What the consumer gets now. A producer that waits for room is told when there is some for several items.
    fn next(&self, state: &mut State<T>, cut: &mut Cut<'_, T>) -> Poll<Result<Option<T>>> {
        let next = state.next(cut);
        let half_free = state.items.len() <= self.capacity / 2 && state.bytes <= self.capacity_bytes / 2;
        if next.is_ready() && (half_free || state.items.is_empty()) {
            self.room.notify_one();
        }
        next
    }

    /// The next item; blocks until there is one, or fails with `DeadlineExceeded`, which may be tried again. `None` at the
    /// end. A failure of the queue is returned again by every later call.
    pub fn take(&self, deadline: Option<Instant>) -> Result<Option<T>> {
        self.take_part(deadline, &mut |_| None)
    }

    /// As [`Handoff::take`], of an item no more than `cut` takes off. The rest stays the first item.
    pub fn take_part(&self, deadline: Option<Instant>, cut: &mut Cut<'_, T>) -> Result<Option<T>> {
        let mut state = self.lock();
        loop {
            if let Poll::Ready(next) = self.next(&mut state, cut) {
                return next;
            }
            state.blocked += 1;
            state = match deadline {
                None => self.ready.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        state.blocked -= 1;
                        let message = "nothing arrived before the deadline; the split goes on";
                        return Err(Error::new(Kind::DeadlineExceeded, message));
                    }
                    self.ready.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
            state.blocked -= 1;
        }
    }

    /// The next item if there is one now.
    pub fn try_take(&self) -> Poll<Result<Option<T>>> {
        self.try_take_part(&mut |_| None)
    }

    /// As [`Handoff::try_take`], of an item no more than `cut` takes off. The rest stays the first item.
    pub fn try_take_part(&self, cut: &mut Cut<'_, T>) -> Poll<Result<Option<T>>> {
        self.next(&mut self.lock(), cut)
    }

    /// Has `callback` called whenever the queue becomes ready, on the thread that makes it so. The former callback is not running
    /// any more when this returns.
    pub fn set_waker(&self, callback: Option<Callback>) {
        self.waker.set(callback);
    }

    /// Cancels, closes the descriptor, and calls no callback any more. One that is running has returned when this returns, unless
    /// this is called from inside a callback.
    pub fn close(&self) {
        self.waker.close();
        self.cancel();
        // The producer may keep the queue for a while; the descriptor must not outlive the consumer in the host's epoll set.
        let signal = self.lock().signal.take();
        drop(signal);
    }

    /// A descriptor that is readable while [`Handoff::try_take`] has an answer that the consumer was told of. It belongs to the queue.
    pub fn descriptor(&self) -> Result<RawFd> {
        let mut state = self.lock();
        let state = &mut *state;
        let signal = match &mut state.signal {
            Some(signal) => signal,
            none => none.insert(Signal::new()?),
        };
        let descriptor = signal.descriptor();
        state.show();
        Ok(descriptor)
    }

    /// No code that can panic runs under the lock, so its state is good even if a holder died.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::{Duration, Instant};

    fn block_on<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    #[test]
    fn items_come_in_order_then_the_end_stays() {
        let queue = Handoff::new(3, u64::MAX);
        block_on(async {
            queue.put(1, 1).await;
            queue.put(2, 1).await;
        });
        queue.finish(Err(Error::new(Kind::Connection, "broke")));
        queue.finish(Ok(()));
        assert_eq!((queue.take(None).unwrap(), queue.take(None).unwrap()), (Some(1), Some(2)));
        for _ in 0..2 {
            assert_eq!(queue.take(None).unwrap_err().kind(), Kind::Connection);
        }
    }

    #[test]
    fn a_full_queue_holds_the_producer_back() {
        let queue = Arc::new(Handoff::new(2, u64::MAX));
        let producer = {
            let queue = Arc::clone(&queue);
            std::thread::spawn(move || {
                block_on(async {
                    for number in 0..1000 {
                        queue.put(number, 1).await;
                        assert!(queue.lock().items.len() <= 2);
                    }
                });
                queue.finish(Ok(()));
            })
        };
        let mut expected = 0;
        while let Some(number) = queue.take(None).unwrap() {
            assert_eq!(number, expected);
            expected += 1;
        }
        producer.join().unwrap();
        assert_eq!(expected, 1000);
    }

    #[test]
    fn cancel_wakes_both_sides_and_is_sticky() {
        let queue = Arc::new(Handoff::<u8>::new(1, u64::MAX));
        let waiting = {
            let queue = Arc::clone(&queue);
            std::thread::spawn(move || queue.take(None).unwrap_err().kind())
        };
        std::thread::sleep(Duration::from_millis(20));
        let start = Instant::now();
        queue.cancel();
        assert_eq!(waiting.join().unwrap(), Kind::Cancelled);
        assert!(start.elapsed() < Duration::from_millis(500));

        let full = Arc::new(Handoff::new(1, u64::MAX));
        let producer = {
            let full = Arc::clone(&full);
            std::thread::spawn(move || {
                block_on(async {
                    full.put(1, 1).await;
                    full.put(2, 1).await;
                });
            })
        };
        std::thread::sleep(Duration::from_millis(20));
        full.cancel();
        producer.join().unwrap();
        full.finish(Ok(()));
        assert_eq!(full.take(None).unwrap_err().kind(), Kind::Cancelled);
    }

    /// How often the waker of a queue was called, from now on.
    fn counted_wakes<T>(queue: &Handoff<T>) -> impl Fn() -> usize + use<T> {
        let wakes = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&wakes);
        queue.set_waker(Some(Box::new(move || {
            count.fetch_add(1, Ordering::SeqCst);
        })));
        move || wakes.load(Ordering::SeqCst)
    }

    #[allow(unsafe_code)]
    fn readable(descriptor: RawFd) -> bool {
        let mut poll = libc::pollfd { fd: descriptor, events: libc::POLLIN, revents: 0 };
        // SAFETY: one valid pollfd.
        unsafe { libc::poll(&raw mut poll, 1, 0) == 1 }
    }

    #[test]
    fn a_failure_of_the_consumer_is_the_end_even_behind_the_end() {
        for finished in [false, true] {
            let queue = Handoff::new(3, u64::MAX);
            block_on(queue.put(1, 1));
            block_on(queue.put(2, 1));
            if finished {
                queue.finish(Ok(()));
            }
            assert_eq!(queue.take(None).unwrap(), Some(1));
            queue.fail(Error::new(Kind::ValueOutOfRange, "too large"));
            assert!(queue.try_put(3, 1).is_none() && !queue.is_finished());
            for _ in 0..2 {
                assert_eq!(queue.take(None).unwrap_err().kind(), Kind::ValueOutOfRange);
            }
            queue.cancel();
            queue.fail(Error::new(Kind::ValueOutOfRange, "too large"));
            assert_eq!(queue.take(None).unwrap_err().kind(), Kind::Cancelled, "cancelled stays cancelled");
        }
    }

    #[test]
    fn what_is_behind_an_item_that_comes_back_waits_for_it() {
        let queue = Handoff::new(3, u64::MAX);
        let wakes = counted_wakes(&queue);
        let descriptor = queue.descriptor().unwrap();
        block_on(async {
            queue.put(1, 1).await;
            queue.put(2, 1).await;
        });
        assert_eq!(queue.take(None).unwrap(), Some(1));
        assert!(queue.hold());
        queue.finish(Ok(()));
        assert!(queue.try_take().is_pending() && !readable(descriptor) && !queue.is_finished());
        let deadline = queue.take(Some(Instant::now())).unwrap_err();
        assert_eq!((deadline.kind(), wakes()), (Kind::DeadlineExceeded, 1));
        queue.give_back(1);
        assert_eq!((wakes(), readable(descriptor)), (2, true));
        let taken = [(); 3].map(|()| queue.take(None).unwrap());
        assert_eq!((taken, queue.is_finished()), ([Some(1), Some(2), None], true));
        // The end of the read is one for what is held, too.
        let queue = Handoff::new(3, u64::MAX);
        block_on(queue.put(1, 1));
        assert_eq!(queue.take(None).unwrap(), Some(1));
        assert!(queue.hold());
        queue.cancel();
        queue.give_back(1);
        assert_eq!(queue.take(None).unwrap_err().kind(), Kind::Cancelled);
        assert!(!queue.hold());
        assert_eq!(queue.take(None).unwrap_err().kind(), Kind::Cancelled, "though it was taken before");
    }

    #[test]
    fn what_cuts_off_first_is_the_end_and_a_cancel_has_the_last_word() {
        let failed = || Error::new(Kind::ResourceExhausted, "no memory");
        let queue = Handoff::<u8>::new(1, 1);
        queue.stop();
        queue.fail(failed());
        assert_eq!(queue.take(None).unwrap(), None);
        queue.cancel();
        assert_eq!(queue.take(None).unwrap_err().kind(), Kind::Cancelled);
        let queue = Handoff::<u8>::new(1, 1);
        queue.fail(failed());
        queue.fail(Error::new(Kind::Cancelled, "the work was cancelled"));
        queue.stop();
        assert_eq!(queue.take(None).unwrap_err().kind(), Kind::ResourceExhausted);
    }

    #[test]
    fn an_item_that_nobody_wants_is_dropped_outside_of_the_lock() {
        /// Looks at the queue when it is dropped, as a host may that gets its memory back.
        struct Looks(std::sync::Weak<Handoff<Looks>>);
        impl Drop for Looks {
            fn drop(&mut self) {
                if let Some(queue) = self.0.upgrade() {
                    assert!(queue.state.try_lock().is_ok(), "dropped under the lock");
                }
            }
        }
        let queue = Arc::new(Handoff::new(2, u64::MAX));
        let item = || Looks(Arc::downgrade(&queue));
        assert!(queue.try_put(item(), 1).is_none());
        queue.cancel();
        assert!(queue.try_put(item(), 1).is_none());
        queue.give_back(item());
    }

    #[test]
    fn polling_descriptor_and_waker_agree_with_the_queue() {
        let queue = Handoff::new(2, u64::MAX);
        let wakes = counted_wakes(&queue);
        let descriptor = queue.descriptor().unwrap();
        assert!(queue.try_take().is_pending() && !readable(descriptor));
        block_on(async {
            queue.put(1, 1).await;
            queue.put(2, 1).await;
        });
        assert_eq!((wakes(), readable(descriptor)), (1, true), "one wake for becoming ready");
        assert!(matches!(queue.try_take(), Poll::Ready(Ok(Some(1)))));
        assert!(readable(descriptor));
        assert!(matches!(queue.try_take(), Poll::Ready(Ok(Some(2)))));
        assert!(queue.try_take().is_pending() && !readable(descriptor));
        queue.finish(Ok(()));
        assert_eq!((wakes(), readable(descriptor)), (2, true));
        for _ in 0..2 {
            assert!(matches!(queue.try_take(), Poll::Ready(Ok(None))));
            assert!(readable(descriptor), "the end stays");
        }
    }

    #[test]
    fn the_consumer_is_told_once_of_several_items_or_when_the_producer_waits() {
        let queue = Handoff::new(8, u64::MAX);
        let wakes = counted_wakes(&queue);
        let descriptor = queue.descriptor().unwrap();
        let told = || (wakes(), readable(descriptor));
        let take_all = || while queue.try_take().is_ready() {};
        block_on(queue.fed_by(async {
            for number in 0..4 {
                assert!(queue.try_put(number, 1).is_none());
            }
            assert_eq!(told(), (0, false), "half of the queue");
            queue.try_put(4, 1);
            assert_eq!(told(), (1, true), "more than half");
            take_all();
            queue.try_put(5, WORTH_A_WAKE);
            assert_eq!(told(), (2, true), "large");
            take_all();
            queue.try_put(6, 1);
            tokio::task::yield_now().await;
            assert_eq!(told(), (3, true), "the producer waited");
            queue.try_put(7, 1);
            tokio::task::yield_now().await;
            take_all();
            assert_eq!(told(), (3, false), "once, until all is taken");
            tokio::task::yield_now().await;
            queue.try_put(8, 1);
        }));
        assert_eq!(told(), (4, true), "the producer is done");
        take_all();
        queue.try_put(9, 1);
        queue.finish(Ok(()));
        assert_eq!(told(), (5, true), "the end");
    }

    #[test]
    fn a_producer_that_waits_for_room_is_told_when_half_of_the_queue_is_free() {
        use std::task::{Context, Waker};
        for (sizes, taken) in [(vec![1, 1, 1, 1], 2), (vec![10, 80], 2), (vec![80, 10], 1), (vec![200], 1)] {
            let queue = Handoff::new(4, 100);
            sizes.iter().for_each(|size| assert!(queue.try_put(*size, *size).is_none()));
            let mut putting = pin!(queue.put(20, 20));
            let mut is_in = || putting.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
            for _ in 0..taken {
                assert!(!is_in());
                assert!(queue.try_take().is_ready());
            }
            assert!(is_in(), "{sizes:?}");
        }
    }

    #[test]
    fn a_part_of_an_item_leaves_the_rest_where_it_is() {
        // Tens of the number, as many bytes.
        let mut tens =
            |number: &mut u64| (*number > 10).then(|| std::mem::replace(number, *number - 10)).map(|_| (10, 10));
        let queue = Handoff::new(1, 100);
        let (wakes, descriptor) = (counted_wakes(&queue), queue.descriptor().unwrap());
        assert!(queue.try_put(25, 25).is_none());
        assert_eq!((wakes(), readable(descriptor)), (1, true));
        assert_eq!(queue.take_part(None, &mut tens).unwrap(), Some(10));
        let bytes = || queue.lock().bytes;
        assert_eq!((bytes(), queue.is_full(), readable(descriptor)), (15, true, true));
        assert!(matches!(queue.try_take_part(&mut tens), Poll::Ready(Ok(Some(10)))));
        assert!(!queue.is_finished());
        assert_eq!(queue.take(None).unwrap(), Some(5));
        assert_eq!((bytes(), readable(descriptor), wakes()), (0, false, 1), "no wake for a rest");
        // What comes back is cut as well, and what is behind it waits.
        assert!(queue.try_put(30, 30).is_none());
        assert_eq!(queue.take(None).unwrap(), Some(30));
        assert!(queue.hold() && queue.try_put(7, 7).is_none());
        queue.give_back(30);
        queue.finish(Ok(()));
        let taken = [(); 5].map(|()| queue.take_part(None, &mut tens).unwrap());
        assert_eq!(taken, [Some(10), Some(10), Some(10), Some(7), None]);
    }

    #[test]
    fn a_descriptor_of_a_ready_queue_is_readable_at_once() {
        let queue = Handoff::<u8>::new(1, u64::MAX);
        queue.cancel();
        assert!(readable(queue.descriptor().unwrap()));
    }

    #[test]
    fn a_closed_queue_has_no_descriptor() {
        let queue = Handoff::<u8>::new(1, u64::MAX);
        queue.descriptor().unwrap();
        queue.close();
        assert!(queue.lock().signal.is_none(), "though the producer may still hold the queue");
    }

    #[test]
    fn a_deadline_ends_the_wait_and_not_the_read() {
        let queue = Handoff::new(1, u64::MAX);
        let start = Instant::now();
        let error = queue.take(Some(start + Duration::from_millis(30))).unwrap_err();
        assert_eq!(error.kind(), Kind::DeadlineExceeded);
        assert!(start.elapsed() >= Duration::from_millis(30));
        block_on(queue.put(1, 1));
        assert_eq!(queue.take(Some(start)).unwrap(), Some(1), "what is there is given, whatever the time");
    }

    #[test]
    fn bytes_count_as_items_do_and_one_item_always_fits() {
        let queue = Handoff::new(10, 100);
        assert!(queue.try_put('a', 1000).is_none());
        assert!(queue.try_put('b', 1).is_some());
        assert_eq!(queue.take(None).unwrap(), Some('a'));
        assert!(queue.try_put('c', 60).is_none() && queue.try_put('d', 40).is_none());
        assert_eq!(queue.try_put('e', 1), Some('e'));
        assert_eq!(queue.take(None).unwrap(), Some('c'));
        assert!(queue.try_put('f', 60).is_none());
    }
}
