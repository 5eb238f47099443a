//! Times of the host's clock.

use std::time::{Duration, Instant};

/// The moment of a reading of CLOCK_MONOTONIC; `None` for 0 and less, and for a time that never comes.
pub(super) fn instant(monotonic_ms: i64) -> Option<Instant> {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writable memory for the result; this clock exists everywhere.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    let here = Instant::now();
    let now_ms = now.tv_sec.saturating_mul(1000).saturating_add(now.tv_nsec / 1_000_000);
    let left = u64::try_from(monotonic_ms.saturating_sub(now_ms)).unwrap_or(0);
    if monotonic_ms > 0 { here.checked_add(Duration::from_millis(left)) } else { None }
}
