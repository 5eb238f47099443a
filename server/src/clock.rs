//! The only source of time for whatever a client can see: expiry, versions, dates, clock skew.
//!
//! Tests set it forward or stop it; it then differs from the clock of the machine until it is set back or the process
//! ends. Time-outs of connections follow the machine.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// Times before the epoch or after the year 9999 have no date text.
const LATEST_MS: i64 = 253_402_300_799_999;

/// How the clock differs from the machine's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Setting {
    ahead_ms: i64,
    frozen_at_ms: Option<i64>,
}

static SETTING: Mutex<Setting> = Mutex::new(Setting { ahead_ms: 0, frozen_at_ms: None });

/// What to do with the clock: set it, then move it, then stop it or let it run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// The time it shall show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_ms: Option<i64>,
    /// How far it goes forward, or back if negative.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advance_ms: Option<i64>,
    /// Whether it stands still from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen: Option<bool>,
}

/// What the clock shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reading {
    pub now_ms: i64,
    /// The same, as text.
    pub now: String,
    /// How far it is ahead of the machine's clock.
    pub ahead_ms: i64,
    pub frozen: bool,
}

impl Setting {
    fn now_ms(self, machine_ms: i64) -> i64 {
        self.frozen_at_ms.unwrap_or_else(|| machine_ms.saturating_add(self.ahead_ms).clamp(0, LATEST_MS))
    }

    fn changed(self, change: Change, machine_ms: i64) -> Result<Setting, String> {
        if change == Change::default() {
            return Err("nothing is to change: name set_ms, advance_ms or frozen".into());
        }
        let shown = change.set_ms.unwrap_or_else(|| self.now_ms(machine_ms));
        let target = shown.saturating_add(change.advance_ms.unwrap_or(0));
        if !(0..=LATEST_MS).contains(&target) {
            return Err(format!("{target} ms is before 1970 or after 9999"));
        }
        let frozen = change.frozen.unwrap_or(self.frozen_at_ms.is_some());
        Ok(Setting { ahead_ms: target - machine_ms, frozen_at_ms: frozen.then_some(target) })
    }
}

fn machine_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64)
}

fn setting() -> Setting {
    *SETTING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Milliseconds since the epoch, now.
pub fn now_ms() -> i64 {
    setting().now_ms(machine_ms())
}

/// The time of day, now.
pub fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(now_ms().max(0) as u64)
}

/// Whether the clock is the machine's.
pub fn is_real() -> bool {
    setting() == Setting::default()
}

/// What the clock shows.
pub fn read() -> Reading {
    let (setting, machine) = (setting(), machine_ms());
    let now_ms = setting.now_ms(machine);
    let now = crate::types::temporal::iso_millis(now_ms);
    Reading { now_ms, now, ahead_ms: now_ms - machine, frozen: setting.frozen_at_ms.is_some() }
}

/// Sets the clock.
pub fn change(change: Change) -> Result<(), String> {
    let mut setting = SETTING.lock().unwrap_or_else(PoisonError::into_inner);
    *setting = setting.changed(change, machine_ms())?;
    Ok(())
}

/// Sets the clock back to the machine's.
pub fn reset() {
    *SETTING.lock().unwrap_or_else(PoisonError::into_inner) = Setting::default();
}

#[cfg(test)]
mod tests {
    use super::*;

    // The clock of the process belongs to all tests, so this one looks at settings of its own.
    #[test]
    fn it_can_be_set_moved_stopped_and_started() {
        let real = Setting::default();
        let change = |advance_ms, frozen| Change { set_ms: None, advance_ms, frozen };
        assert_eq!(real.now_ms(1000), 1000);
        let ahead = real.changed(change(Some(500), None), 1000).unwrap();
        assert_eq!((ahead.now_ms(1000), ahead.now_ms(1100)), (1500, 1600));
        let stopped = ahead.changed(change(None, Some(true)), 1100).unwrap();
        assert_eq!((stopped.now_ms(1100), stopped.now_ms(9000)), (1600, 1600));
        let moved = stopped.changed(change(Some(-600), None), 9000).unwrap();
        assert_eq!(moved.now_ms(20_000), 1000, "it still stands");
        let running = moved.changed(change(None, Some(false)), 20_000).unwrap();
        assert_eq!((running.now_ms(20_000), running.now_ms(20_007)), (1000, 1007));
        let set = Change { set_ms: Some(5), advance_ms: Some(2), frozen: Some(true) };
        assert_eq!(running.changed(set, 30_000).unwrap().now_ms(1), 7);
        for wrong in [i64::MIN, -30_001, LATEST_MS, i64::MAX] {
            assert!(real.changed(change(Some(wrong), None), 30_000).is_err(), "{wrong}");
        }
    }
}
