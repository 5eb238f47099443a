//! Percent-decoding and query strings.

use percent_encoding::percent_decode_str;

/// Decoded name and value pairs in the order sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(pub Vec<(String, String)>);

impl Query {
    /// Reads a raw query: cut at `&`, then at the first `=`, then decode once with `+` as blank.
    pub fn parse(raw: &str) -> Query {
        let pairs = raw.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (form_decode(name), form_decode(value))
        });
        Query(pairs.collect())
    }

    /// The value of a parameter; empty text for a bare name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// A name that appears more than once, if there is one.
    pub fn repeated(&self) -> Option<&str> {
        let mut seen = std::collections::HashSet::new();
        self.0.iter().map(|(name, _)| name.as_str()).find(|name| !seen.insert(*name))
    }

    /// Whether the parameter is present, with or without a value.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }
}

/// Percent-decoding; broken UTF-8 becomes replacement characters, which then match nothing.
pub fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// Percent-decoding with `+` as blank.
pub fn form_decode(text: &str) -> String {
    decode(&text.replace('+', " "))
}
