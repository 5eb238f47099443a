use std::future::Future;
use std::pin::pin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64};
use std::task::{Context, Poll, Waker};

use super::*;
use crate::error::{Kind, Result};

/// A host that grants up to a limit and keeps the balance.
#[derive(Default)]
struct Counting {
    limit: AtomicI64,
    balance: AtomicI64,
    most: AtomicI64,
}

impl Host for Arc<Counting> {
    fn reserve(&self, bytes: u64) -> bool {
        let bytes = bytes as i64;
        let after = self.balance.fetch_add(bytes, Ordering::SeqCst) + bytes;
        if after > self.limit.load(Ordering::SeqCst) {
            self.balance.fetch_sub(bytes, Ordering::SeqCst);
            return false;
        }
        self.most.fetch_max(after, Ordering::SeqCst);
        true
    }
    fn release(&self, bytes: u64) {
        assert!(self.balance.fetch_sub(bytes as i64, Ordering::SeqCst) >= bytes as i64);
    }
}

fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn now(account: &Arc<Account>, bytes: u64, ahead: &Ahead) -> Option<Result<Grant>> {
    match account.reserve(bytes, ahead).now() {
        Poll::Ready(result) => Some(result),
        Poll::Pending => None,
    }
}

#[test]
fn the_limit_holds_for_reads_that_have_something_ready() {
    let budget = Budget::new(100, None);
    let (one, two) = (Account::new(&budget), Account::new(&budget));
    let busy = Ahead::default();
    let ready = busy.put();
    let first = now(&one, 60, &busy).unwrap().unwrap();
    assert!(now(&two, 41, &busy).is_none());
    let second = now(&two, 40, &busy).unwrap().unwrap();
    assert_eq!((budget.held(), one.held(), two.held()), (100, 60, 40));
    // A read that the engine may be waiting for goes on.
    let beyond = now(&two, 30, &Ahead::default()).unwrap().unwrap();
    assert_eq!((budget.held(), budget.peak(), budget.is_short()), (130, 130, true));
    drop((first, second, beyond, ready));
    assert_eq!((budget.held(), one.held(), two.held(), two.peak()), (0, 0, 0, 70));
}

/// A refusal is about what was held when the host was asked.
#[test]
fn a_refusal_while_all_comes_back_is_not_the_last_word() {
    #[derive(Default)]
    struct Full(Mutex<Option<Grant>>);
    impl Host for Arc<Full> {
        fn reserve(&self, _: u64) -> bool {
            // It has nothing left, and what it gave comes back just now, from another thread.
            self.0.lock().unwrap().take().is_none()
        }
        fn release(&self, _: u64) {}
    }
    let host = Arc::new(Full::default());
    let account = Account::new(&Budget::new(0, Some(Hooks::new(Arc::clone(&host)))));
    let ahead = Ahead::default();
    *host.0.lock().unwrap() = now(&account, 10, &ahead).unwrap().ok();
    assert!(now(&account, 10, &ahead).is_none());
    assert_eq!(account.held(), 0);
    now(&account, 10, &ahead).unwrap().unwrap();
}

#[test]
fn who_waits_is_served_in_turn_and_woken() {
    let budget = Budget::new(100, None);
    let account = Account::new(&budget);
    let ahead = Ahead::default();
    let ready = ahead.put();
    let held = now(&account, 100, &ahead).unwrap().unwrap();
    let mut large = pin!(account.reserve(80, &ahead));
    let small = pin!(account.reserve(10, &ahead));
    let mut small = small;
    assert!(poll(large.as_mut()).is_pending() && poll(small.as_mut()).is_pending());
    assert_eq!(budget.waiting(), 2);
    drop(held);
    assert!(poll(small.as_mut()).is_pending(), "it came later");
    let Poll::Ready(Ok(first)) = poll(large.as_mut()) else { panic!("there is room") };
    large.set(account.reserve(1, &ahead));
    assert!(poll(small.as_mut()).is_ready());
    // The last batch that is taken makes way at once.
    let mut third = pin!(account.reserve(90, &ahead));
    assert!(poll(third.as_mut()).is_pending());
    drop(ready);
    assert!(poll(third.as_mut()).is_ready());
    drop(first);
}

#[test]
fn a_host_that_refuses_is_waited_for_while_something_is_held() {
    let host = Arc::new(Counting::default());
    host.limit.store(100, Ordering::SeqCst);
    let budget = Budget::new(0, Some(Hooks::new(Arc::clone(&host))));
    let account = Account::new(&budget);
    let ahead = Ahead::default();
    let held = now(&account, 70, &ahead).unwrap().unwrap();
    assert!(now(&account, 40, &ahead).is_none(), "its own memory may come back");
    drop(held);
    assert_eq!(host.balance.load(Ordering::SeqCst), 0);
    assert!(now(&account, 100, &ahead).unwrap().is_ok());
    let error = now(&account, 101, &ahead).unwrap().unwrap_err();
    assert_eq!(error.kind(), Kind::ResourceExhausted);
    assert_eq!((budget.held(), budget.peak(), host.most.load(Ordering::SeqCst)), (0, 100, 100));
}

#[test]
fn what_is_kept_for_later_is_given_up_first() {
    struct Kept(Mutex<Option<Grant>>, AtomicBool);
    impl Idle for Kept {
        fn trim(&self) -> bool {
            self.1.store(true, Ordering::SeqCst);
            self.0.lock().unwrap().take().is_some()
        }
    }
    let budget = Budget::new(100, None);
    let account = Account::new(&budget);
    let ahead = Ahead::default();
    let _ready = ahead.put();
    let kept = Arc::new(Kept(Mutex::new(Some(now(&account, 90, &ahead).unwrap().unwrap())), AtomicBool::new(false)));
    let weak: std::sync::Weak<dyn Idle> = Arc::downgrade(&(Arc::clone(&kept) as Arc<dyn Idle>));
    budget.register(weak);
    let small = now(&account, 10, &ahead).unwrap().unwrap();
    assert!(!kept.1.load(Ordering::SeqCst), "there was room");
    drop(small);
    assert!(now(&account, 50, &ahead).is_some());
    assert!(kept.1.load(Ordering::SeqCst));
}

#[test]
fn many_threads_leave_nothing_behind() {
    let host = Arc::new(Counting::default());
    host.limit.store(500, Ordering::SeqCst);
    let budget = Budget::new(400, Some(Hooks::new(Arc::clone(&host))));
    let threads: Vec<_> = (0..4u64)
        .map(|seed| {
            let budget = Arc::clone(&budget);
            std::thread::spawn(move || {
                let account = Account::new(&budget);
                let ahead = Ahead::default();
                let _ready = ahead.put();
                let mut grants = Vec::new();
                for round in 0..5_000u64 {
                    let bytes = 1 + (round * 31 + seed * 7) % 90;
                    grants.extend(now(&account, bytes, &ahead).and_then(Result::ok));
                    if round % 3 == 0 {
                        grants.clear();
                    }
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!((budget.held(), host.balance.load(Ordering::SeqCst)), (0, 0));
    assert!(budget.peak() > 100 && budget.peak() <= 400, "{}", budget.peak());
}

#[test]
fn what_parts_hold_is_held_by_the_whole() {
    let budget = Budget::new(0, None);
    let whole = Account::new(&budget);
    let (one, two) = (Account::within(&whole), Account::within(&whole));
    let first = now(&one, 60, &Ahead::default()).unwrap().unwrap();
    let second = now(&two, 40, &Ahead::default()).unwrap().unwrap();
    assert_eq!((one.held(), two.held(), whole.held(), budget.held()), (60, 40, 100, 100));
    drop((first, one));
    assert_eq!((whole.held(), budget.held()), (40, 40));
    drop(second);
    assert_eq!((whole.held(), whole.peak(), two.peak(), budget.peak()), (0, 100, 40, 100));
}
