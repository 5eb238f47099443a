//! The zone of a project, as a fixed offset.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An offset from UTC in minutes. The default is that of Asia/Shanghai, the default zone of projects, since 1992.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Zone {
    minutes: i32,
}

impl Zone {
    pub const UTC: Zone = Zone { minutes: 0 };

    /// The instant at which a clock of this zone shows what a clock of UTC shows at `nanos`.
    pub fn to_utc(self, nanos: i128) -> i128 {
        nanos - i128::from(self.minutes) * 60_000_000_000
    }
}

impl Default for Zone {
    fn default() -> Zone {
        Zone { minutes: 8 * 60 }
    }
}

impl FromStr for Zone {
    type Err = String;

    fn from_str(text: &str) -> Result<Zone, String> {
        match text {
            "UTC" | "Z" => return Ok(Zone::UTC),
            "Asia/Shanghai" | "PRC" => return Ok(Zone::default()),
            _ => {}
        }
        let offset = || {
            let (sign, rest) = match text.split_at_checked(1)? {
                ("+", rest) => (1, rest),
                ("-", rest) => (-1, rest),
                _ => return None,
            };
            let (hours, minutes) = rest.split_once(':')?;
            let number = |text: &str| if text.len() == 2 { text.parse::<u8>().ok() } else { None };
            let (hours, minutes) = (number(hours)?, number(minutes)?);
            let fits = minutes < 60 && (hours < 14 || (hours == 14 && minutes == 0));
            fits.then_some(Zone { minutes: sign * (i32::from(hours) * 60 + i32::from(minutes)) })
        };
        offset().ok_or_else(|| format!("\"{text}\" is not a zone: give an offset such as +08:00, UTC or Asia/Shanghai"))
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.minutes < 0 { '-' } else { '+' };
        write!(f, "{sign}{:02}:{:02}", self.minutes.abs() / 60, self.minutes.abs() % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_read_and_applied() {
        for (text, shown) in
            [("Asia/Shanghai", "+08:00"), ("UTC", "+00:00"), ("-03:30", "-03:30"), ("+14:00", "+14:00")]
        {
            assert_eq!(text.parse::<Zone>().unwrap().to_string(), shown);
        }
        for bad in ["", "8", "+8:00", "+14:01", "+08:60", "Mars/Phobos"] {
            assert!(bad.parse::<Zone>().is_err(), "{bad}");
        }
        let zone: Zone = "+08:00".parse().unwrap();
        assert_eq!(zone.to_utc(8 * 3_600_000_000_000 + 5), 5);
    }
}
