//! The policies of types that options ask for.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Policies, TimeZone};
use crate::error::{Error, Kind, Result};
use crate::options::{self, Key, Options};

impl Policies {
    /// As the options say. Views have no offsets, so that they cannot have large ones.
    pub fn of(scan: &Options) -> Result<Self> {
        let policies = Policies {
            timestamp_overflow: word(scan, &options::TYPES_TIMESTAMP_OVERFLOW)?,
            decimal: word(scan, &options::TYPES_DECIMAL)?,
            char_padding: word(scan, &options::TYPES_CHAR_PADDING)?,
            map_duplicate_keys: word(scan, &options::TYPES_MAP_DUPLICATE_KEYS)?,
            string_view: scan.flag(&options::TYPES_STRING_VIEW),
            large_offsets: scan.flag(&options::TYPES_LARGE_OFFSETS),
            dictionary: scan.list(&options::TYPES_DICTIONARY),
            time_zone: zone(scan)?,
        };
        if policies.string_view && policies.large_offsets {
            let (view, large) = (options::TYPES_STRING_VIEW.name, options::TYPES_LARGE_OFFSETS.name);
            let message = format!("{view} and {large} are both true, but views have no offsets: choose one of them");
            return Err(Error::new(Kind::InvalidOption, message));
        }
        Ok(policies)
    }
}

fn zone(scan: &Options) -> Result<TimeZone> {
    let key = &options::TYPES_TIME_ZONE;
    TimeZone::parse(scan.text(key).unwrap_or_default()).map_err(|error| error.context(key.name.to_owned()))
}

/// The words of the options are those of tokens.
fn word<T: DeserializeOwned>(scan: &Options, key: &Key) -> Result<T> {
    let text = scan.text(key).unwrap_or_default();
    serde_json::from_value(Value::from(text))
        .map_err(|_| Error::new(Kind::Internal, format!("{} has the unknown value `{text}`", key.name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arrow::policy::{DecimalForm, Duplicates, Overflow, Padding};
    use crate::options::{Group, TABLE, Type};

    #[test]
    fn every_word_of_the_options_is_a_policy() {
        assert!(Policies::of(&Options::new()).unwrap().are_default());
        for key in TABLE.iter().filter(|key| key.group == Group::Types && !key.name.ends_with("_unit")) {
            let words = match key.kind {
                Type::Choice(words) => words,
                Type::Bool => &["false", "true"],
                // Zones and columns have no words.
                _ => continue,
            };
            for word in words {
                let mut options = Options::new();
                options.set(key.name, word).unwrap();
                let made = Policies::of(&options).unwrap();
                assert_eq!(made.are_default(), *word == key.default, "{} {word}", key.name);
            }
        }
    }

    #[test]
    fn each_option_has_its_own_policy() {
        let mut options = Options::new();
        for (key, value) in [
            ("types.timestamp_overflow", "clamp"),
            ("types.decimal", "wide"),
            ("types.char_padding", "pad"),
            ("types.map_duplicate_keys", "last"),
            ("types.string_view", "true"),
            ("types.dictionary", "city"),
            ("types.time_zone", "Asia/Shanghai"),
        ] {
            options.set(key, value).unwrap();
        }
        let expected = Policies {
            timestamp_overflow: Overflow::Clamp,
            decimal: DecimalForm::Wide,
            char_padding: Padding::Pad,
            map_duplicate_keys: Duplicates::Last,
            string_view: true,
            large_offsets: false,
            dictionary: vec!["city".into()],
            time_zone: TimeZone::parse("Asia/Shanghai").unwrap(),
        };
        assert_eq!(Policies::of(&options).unwrap(), expected);
        options.set("types.string_view", "false").unwrap();
        options.set("types.large_offsets", "true").unwrap();
        let expected = Policies { string_view: false, large_offsets: true, ..expected };
        assert_eq!(Policies::of(&options).unwrap(), expected);
    }

    #[test]
    fn a_zone_that_is_none_names_its_option() {
        let mut options = Options::new();
        options.set("types.time_zone", "UTC+8").unwrap();
        let error = Policies::of(&options).unwrap_err();
        assert!(error.kind() == Kind::InvalidOption && error.to_string().contains("types.time_zone"), "{error}");
    }

    #[test]
    fn views_have_no_offsets() {
        let mut options = Options::new();
        options.set("types.string_view", "true").unwrap();
        options.set("types.large_offsets", "true").unwrap();
        let error = Policies::of(&options).unwrap_err();
        assert!(error.kind() == Kind::InvalidOption && error.message().contains("types.large_offsets"), "{error}");
    }
}
