//! Mistakes that the models must find: if one of these goes through, the models prove nothing.

use loom::sync::atomic::{AtomicBool, Ordering};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

use crate::models::explore;

pub const ALL: &[(&str, fn())] = &[
    ("a planted lost wake is found", lost_wake),
    ("a planted wake of a callback that is being replaced is found missing", skipped_wake),
];

/// Looks at the flag before it takes the lock that it waits under.
fn lost_wake() {
    explore(|| {
        let shared = Arc::new((AtomicBool::new(false), Mutex::new(()), Condvar::new()));
        let other = Arc::clone(&shared);
        let setter = thread::spawn(move || {
            other.0.store(true, Ordering::SeqCst);
            other.2.notify_all();
        });
        if !shared.0.load(Ordering::SeqCst) {
            let guard = shared.1.lock().unwrap();
            drop(shared.2.wait(guard).unwrap());
        }
        setter.join().unwrap();
    });
}

/// A waker that leaves a wake to the holder of the lock, who does not look.
fn skipped_wake() {
    explore(|| {
        let shared = Arc::new((Mutex::new(()), AtomicBool::new(false)));
        let other = Arc::clone(&shared);
        let waker = thread::spawn(move || {
            if let Ok(_callback) = other.0.try_lock() {
                other.1.store(true, Ordering::SeqCst);
            }
        });
        {
            let _replacing = shared.0.lock().unwrap();
            thread::yield_now();
        }
        waker.join().unwrap();
        assert!(shared.1.load(Ordering::SeqCst));
    });
}
