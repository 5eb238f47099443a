//! The time zone that instants are shown in. Their values are counts from 1970 in UTC whatever the zone is, so only the type changes.

use std::fmt;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, make_array};
use arrow_schema::DataType;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};

/// Longest name; the longest of the time zone database has 32 characters.
const MAX_BYTES: usize = 64;

/// A time zone, by its name in the time zone database (`Asia/Shanghai`) or as an offset (`+08:00`), as Arrow writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeZone(Arc<str>);

impl Default for TimeZone {
    /// UTC.
    fn default() -> Self {
        TimeZone(Arc::from("UTC"))
    }
}

impl TimeZone {
    /// Reads a name or an offset. Which names there are is not known here, only what they look like.
    pub fn parse(text: &str) -> Result<Self> {
        if is_offset(text) || is_name(text) {
            return Ok(TimeZone(Arc::from(text)));
        }
        let message = format!("`{text}` is no time zone: it is written `Asia/Shanghai`, or as an offset, `+08:00`");
        Err(Error::new(Kind::InvalidOption, message))
    }

    /// Whether it is UTC.
    pub(super) fn is_utc(&self) -> bool {
        *self == TimeZone::default()
    }

    /// As Arrow has it.
    pub(super) fn arrow(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

impl fmt::Display for TimeZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for TimeZone {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        TimeZone::parse(&text)
    }
}

impl From<TimeZone> for String {
    fn from(zone: TimeZone) -> String {
        zone.to_string()
    }
}

/// Whether a text is `+HH:MM` or `-HH:MM`, of less than a day.
fn is_offset(text: &str) -> bool {
    let Some(rest) = text.strip_prefix(['+', '-']) else { return false };
    let below =
        |text: &str, limit: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit()) && text < limit;
    rest.split_once(':').is_some_and(|(hours, minutes)| below(hours, "24") && below(minutes, "60"))
}

/// Whether a text can be a name of the time zone database: words between slashes. A word has a sign before a digit in the zones of
/// `Etc` only, and in two old names, so that `UTC+8` is a mistake, which it is.
fn is_name(text: &str) -> bool {
    let is_word = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_alphabetic())
            && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-+".contains(&byte))
    };
    let signed = text.as_bytes().windows(2).any(|pair| matches!(pair, [b'+' | b'-', b'0'..=b'9']));
    let may_be_signed = text.starts_with("Etc/GMT") || matches!(text, "GMT+0" | "GMT-0");
    (2..=MAX_BYTES).contains(&text.len()) && text.split('/').all(is_word) && (!signed || may_be_signed)
}

/// The same instants in a type that names another zone.
pub(super) fn label(array: &ArrayRef, data_type: &DataType) -> Result<ArrayRef> {
    let labelled = array.to_data().into_builder().data_type(data_type.clone()).build();
    Ok(make_array(labelled.map_err(super::steps::unfit)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_offsets_of_arrow_are_taken() {
        for good in [
            "UTC",
            "Asia/Shanghai",
            "America/Argentina/ComodRivadavia",
            "America/Port-au-Prince",
            "America/North_Dakota/New_Salem",
            "Etc/GMT+8",
            "Etc/GMT-14",
            "GMT+0",
            "EST5EDT",
            "NZ-CHAT",
            "W-SU",
            "+08:00",
            "-00:30",
            "+23:59",
        ] {
            let zone = TimeZone::parse(good).unwrap();
            assert_eq!((zone.to_string().as_str(), zone.is_utc()), (good, good == "UTC"));
            let json = serde_json::to_string(&zone).unwrap();
            assert_eq!(serde_json::from_str::<TimeZone>(&json).unwrap(), zone);
        }
    }

    #[test]
    fn what_is_no_zone_is_said() {
        let long = "A/".repeat(40) + "A";
        for bad in [
            "",
            "Z",
            "8",
            "+8",
            "+0800",
            "08:00",
            "+24:00",
            "+08:60",
            "+ 8:00",
            "+08:0",
            "UTC+8",
            "GMT+8",
            "Asia/",
            "/Asia",
            "Asia//Shanghai",
            "Asia/Shang hai",
            "..",
            "Asia/../x",
            "8/9",
            "Zürich",
            "Asia/Shanghai\n",
            "Etc/UTC+8",
            &long,
        ] {
            let error = TimeZone::parse(bad).unwrap_err();
            assert!(error.kind() == Kind::InvalidOption && error.message().contains("+08:00"), "{bad}: {error}");
            assert!(serde_json::from_value::<TimeZone>(bad.into()).is_err());
        }
    }
}
