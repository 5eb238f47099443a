//! Two threads write one number without order between them. ThreadSanitizer must say so.

use std::cell::UnsafeCell;

struct Number(UnsafeCell<u64>);

// SAFETY: none, which is the point.
unsafe impl Sync for Number {}

static NUMBER: Number = Number(UnsafeCell::new(0));

fn add() {
    for _ in 0..10_000 {
        // SAFETY: none, as above.
        unsafe { *NUMBER.0.get() += 1 };
    }
}

fn main() {
    let threads = [(); 2].map(|()| std::thread::spawn(add));
    threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
}
