//! The policies of types that options ask for.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::arrow::policy::Policies;
use crate::error::{Error, Kind, Result};
use crate::options::{self, Key, Options};

/// As the options say.
pub(super) fn policies(scan: &Options) -> Result<Policies> {
    Ok(Policies {
        timestamp_overflow: word(scan, &options::TYPES_TIMESTAMP_OVERFLOW)?,
        decimal: word(scan, &options::TYPES_DECIMAL)?,
        char_padding: word(scan, &options::TYPES_CHAR_PADDING)?,
        map_duplicate_keys: word(scan, &options::TYPES_MAP_DUPLICATE_KEYS)?,
        string_view: scan.flag(&options::TYPES_STRING_VIEW),
    })
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
        assert!(policies(&Options::new()).unwrap().are_default());
        for key in TABLE.iter().filter(|key| key.group == Group::Types && !key.name.ends_with("_unit")) {
            let words = match key.kind {
                Type::Choice(words) => words,
                _ => &["false", "true"],
            };
            for word in words {
                let mut options = Options::new();
                options.set(key.name, word).unwrap();
                let made = policies(&options).unwrap();
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
        ] {
            options.set(key, value).unwrap();
        }
        let expected = Policies {
            timestamp_overflow: Overflow::Clamp,
            decimal: DecimalForm::Wide,
            char_padding: Padding::Pad,
            map_duplicate_keys: Duplicates::Last,
            string_view: true,
        };
        assert_eq!(policies(&options).unwrap(), expected);
    }
}
