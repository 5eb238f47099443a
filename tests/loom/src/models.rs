//! The models: small, because their number of orders grows fast.

use std::future::poll_fn;
use std::task::Poll;

use loom::future::{AtomicWaker, block_on};
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::sync::{Arc, Notify};
use loom::thread;

use crate::error::Kind;
use crate::runtime::{Handoff, Waker};

type Model = (&'static str, fn());

pub const ALL: &[Model] = &[
    ("a full queue holds the producer back and everything arrives in order", in_order),
    ("a blocked consumer sees what a producer that waits has put", told_at_a_wait),
    ("a producer is let in when half of the queue is free", half_free),
    ("a blocked consumer sees the end", end),
    ("cancel wakes a blocked consumer", cancel_wakes_consumer),
    ("cancel wakes a blocked producer", cancel_wakes_producer),
    ("cancel and finish and take agree on one end", one_end),
    ("a consumer that waits for its waker misses nothing", waker_is_enough),
    ("the descriptor is readable exactly while there is something to take", descriptor),
    ("a wake while the callback is replaced is not lost", replaced),
    ("no callback runs after close", closed),
    ("a callback never runs twice at once, and the last wake is seen", last_wake),
];

pub fn explore(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

fn in_order() {
    explore(|| {
        let queue = Arc::new(Handoff::new(1, 100));
        let producer = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || {
                block_on(async {
                    queue.put(1, 1).await;
                    queue.put(2, 1).await;
                });
                queue.finish(Ok(()));
            })
        };
        assert_eq!(queue.take(None).unwrap(), Some(1));
        assert_eq!(queue.take(None).unwrap(), Some(2));
        assert_eq!(queue.take(None).unwrap(), None);
        producer.join().unwrap();
    });
}

fn told_at_a_wait() {
    explore(|| {
        let queue = Arc::new(Handoff::new(4, 100));
        let gate = Arc::new((AtomicBool::new(false), AtomicWaker::new()));
        let producer = {
            let (queue, gate) = (Arc::clone(&queue), Arc::clone(&gate));
            let opened = poll_fn(move |context| {
                gate.1.register_by_ref(context.waker());
                if gate.0.load(Ordering::SeqCst) { Poll::Ready(()) } else { Poll::Pending }
            });
            thread::spawn(move || {
                block_on(queue.fed_by(async {
                    queue.put(1, 1).await;
                    opened.await;
                }));
            })
        };
        assert_eq!(queue.take(None).unwrap(), Some(1));
        gate.0.store(true, Ordering::SeqCst);
        gate.1.wake();
        producer.join().unwrap();
    });
}

fn half_free() {
    explore(|| {
        let queue = Arc::new(Handoff::new(2, 100));
        let producer = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || {
                block_on(queue.fed_by(async {
                    for number in 1..=3 {
                        queue.put(number, 1).await;
                    }
                }));
            })
        };
        for number in 1..=3 {
            assert_eq!(queue.take(None).unwrap(), Some(number));
        }
        producer.join().unwrap();
    });
}

fn end() {
    explore(|| {
        let queue = Arc::new(Handoff::<u8>::new(1, 100));
        let producer = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || queue.finish(Ok(())))
        };
        assert_eq!(queue.take(None).unwrap(), None);
        assert_eq!(queue.take(None).unwrap(), None);
        producer.join().unwrap();
    });
}

fn cancel_wakes_consumer() {
    explore(|| {
        let queue = Arc::new(Handoff::<u8>::new(1, 100));
        let canceller = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || queue.cancel())
        };
        assert_eq!(queue.take(None).unwrap_err().kind(), Kind::Cancelled);
        assert!(matches!(queue.try_take(), Poll::Ready(Err(_))), "it stays cancelled");
        canceller.join().unwrap();
    });
}

fn cancel_wakes_producer() {
    explore(|| {
        let queue = Arc::new(Handoff::new(1, 100));
        let producer = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || {
                block_on(async {
                    queue.put(1, 1).await;
                    queue.put(2, 1).await;
                    queue.put(3, 1).await;
                });
            })
        };
        queue.cancel();
        producer.join().unwrap();
        assert_eq!(queue.take(None).unwrap_err().kind(), Kind::Cancelled);
    });
}

fn one_end() {
    explore(|| {
        let queue = Arc::new(Handoff::new(2, 100));
        let (producer, canceller) = (Arc::clone(&queue), Arc::clone(&queue));
        let producer = thread::spawn(move || {
            producer.try_put(7, 1);
            producer.finish(Ok(()));
        });
        let canceller = thread::spawn(move || canceller.cancel());
        match queue.take(None) {
            Ok(Some(7)) | Ok(None) => {}
            Ok(Some(other)) => panic!("{other} was never put"),
            Err(error) => assert_eq!(error.kind(), Kind::Cancelled),
        }
        producer.join().unwrap();
        canceller.join().unwrap();
        assert_eq!(queue.take(None).unwrap_err().kind(), Kind::Cancelled, "cancel has the last word");
    });
}

fn waker_is_enough() {
    explore(|| {
        let queue = Arc::new(Handoff::new(1, 100));
        let woken = Arc::new(Notify::new());
        let wake = Arc::clone(&woken);
        queue.set_waker(Some(Box::new(move || wake.notify())));
        let producer = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || {
                queue.try_put(1, 1);
                queue.finish(Ok(()));
            })
        };
        let mut taken = 0;
        loop {
            match queue.try_take() {
                Poll::Ready(Ok(Some(_))) => taken += 1,
                Poll::Ready(Ok(None)) => break,
                Poll::Ready(Err(error)) => panic!("{error}"),
                Poll::Pending => woken.wait(),
            }
        }
        assert_eq!(taken, 1);
        producer.join().unwrap();
        queue.close();
    });
}

fn descriptor() {
    explore(|| {
        let queue = Arc::new(Handoff::new(1, 100));
        let producer = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || {
                queue.try_put(1, 1);
            })
        };
        let readable_before = queue.descriptor().unwrap() == 1;
        let taken = matches!(queue.try_take(), Poll::Ready(Ok(Some(1))));
        assert!(taken || !readable_before, "readable, and nothing to take");
        producer.join().unwrap();
        let readable = queue.descriptor().unwrap() == 1;
        assert_eq!(readable, !taken);
    });
}

fn replaced() {
    explore(|| {
        let waker = Arc::new(Waker::default());
        let calls = Arc::new(AtomicUsize::new(0));
        let counting = |calls: &Arc<AtomicUsize>| -> crate::runtime::waker::Callback {
            let calls = Arc::clone(calls);
            Box::new(move || {
                calls.fetch_add(1, Ordering::SeqCst);
            })
        };
        waker.set(Some(counting(&calls)));
        let other = {
            let waker = Arc::clone(&waker);
            thread::spawn(move || waker.wake())
        };
        waker.set(Some(counting(&calls)));
        other.join().unwrap();
        assert!(calls.load(Ordering::SeqCst) > 0);
    });
}

fn closed() {
    explore(|| {
        let queue = Arc::new(Handoff::<u8>::new(1, 100));
        let gone = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&gone);
        queue.set_waker(Some(Box::new(move || assert!(!seen.load(Ordering::SeqCst), "called after close"))));
        let producer = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || {
                queue.try_put(1, 1);
                queue.finish(Ok(()));
            })
        };
        queue.close();
        gone.store(true, Ordering::SeqCst);
        producer.join().unwrap();
    });
}

fn last_wake() {
    explore(|| {
        let waker = Arc::new(Waker::default());
        let state = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0), AtomicBool::new(false)));
        let seen = Arc::clone(&state);
        waker.set(Some(Box::new(move || {
            assert!(!seen.2.swap(true, Ordering::SeqCst), "twice at once");
            seen.1.store(seen.0.load(Ordering::SeqCst), Ordering::SeqCst);
            seen.2.store(false, Ordering::SeqCst);
        })));
        let change = |waker: &Waker, state: &(AtomicUsize, AtomicUsize, AtomicBool)| {
            state.0.fetch_add(1, Ordering::SeqCst);
            waker.wake();
        };
        let other = {
            let (waker, state) = (Arc::clone(&waker), Arc::clone(&state));
            thread::spawn(move || change(&waker, &state))
        };
        change(&waker, &state);
        other.join().unwrap();
        assert_eq!(state.1.load(Ordering::SeqCst), 2, "the last wake saw the last change");
    });
}
