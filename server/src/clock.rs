//! The only source of time for whatever a client can see: expiry, versions, dates, clock skew.

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since the epoch, now.
pub fn now_ms() -> i64 {
    now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64)
}

/// The time of day, now.
pub fn now() -> SystemTime {
    SystemTime::now()
}
