//! The range of an incremental read, in all the spellings of the official clients.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::catalog::Column;
use crate::error::ApiError;
use crate::types::Type;

/// The system column that says what happened to a row.
pub const META_OPERATION: &str = "__meta_op_type";

/// The system column with the time of the commit that made the change. No document names it, but the tests of the C++
/// SDK demand that an incremental read has another system column, and the metadata of streams calls it so.
pub const META_TIMESTAMP: &str = "__meta_timestamp";

/// The system columns of an incremental read, in their order.
pub fn system_columns() -> Vec<Column> {
    vec![Column::new(META_TIMESTAMP, Type::Timestamp, false), Column::new(META_OPERATION, Type::TinyInt, false)]
}

/// How changes are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeMode {
    /// Every change; an update is a row before and a row after.
    Cdc,
    /// Only rows that are visible at the end.
    Append,
}

/// `IncrementalReadOptions` as clients send them. C++ and Java send `StartVersion` and so on, PyODPS `From` and `To`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct IncrementalOptions {
    pub mode: String,
    pub start_version: Option<i64>,
    pub end_version: Option<i64>,
    pub start_time_stamp: Option<String>,
    pub end_time_stamp: Option<String>,
    pub from: Option<Bound>,
    pub to: Option<Bound>,
    pub enable_incremental_read: bool,
}

/// One end of the range: a version, or the text of a time.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Bound {
    Version(i64),
    Text(String),
}

/// The versions `(start, end]` to tell about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncrementalRange {
    pub mode: ChangeMode,
    pub start: i64,
    pub end: i64,
}

impl IncrementalOptions {
    /// The range, in versions of a table whose newest is `latest`.
    ///
    /// A start of 0 or less means everything, an end of 0 or less the newest version; so do missing ones. `version_at`
    /// turns the text of a time into the newest version that was committed by then, 0 if there was none. Fails with
    /// `InvalidArgument`.
    pub fn resolve(
        &self,
        latest: i64,
        version_at: impl Fn(&str) -> Result<i64, ApiError>,
    ) -> Result<IncrementalRange, ApiError> {
        let mode = match self.mode.to_ascii_lowercase().as_str() {
            "cdc" => ChangeMode::Cdc,
            // What Java calls a mode only says which of the bounds counts; `v1` is an example of its documents.
            "" | "append" | "version" | "timestamp" | "v1" => ChangeMode::Append,
            _ => return Err(ApiError::argument(format!("Mode \"{}\" is not cdc or append", self.mode))),
        };
        let end_of = |version: Option<i64>, time: &Option<String>, bound: &Option<Bound>, open: i64| {
            // C++ sends -1 and "-1" for bounds that are not set.
            let time = time.as_deref().filter(|text| !text.is_empty() && *text != "-1");
            let version = version.filter(|version| *version > 0);
            match (version, time, bound) {
                (Some(version), _, _) => Ok(version),
                (None, Some(text), _) => version_at(text),
                (None, None, Some(Bound::Version(version))) if *version > 0 => Ok(*version),
                (None, None, Some(Bound::Text(text))) if !text.is_empty() => match text.parse::<i64>() {
                    Ok(version) if version > 0 => Ok(version),
                    Ok(_) => Ok(open),
                    Err(_) => version_at(text),
                },
                _ => Ok(open),
            }
        };
        let start = end_of(self.start_version, &self.start_time_stamp, &self.from, 0)?;
        let end = end_of(self.end_version, &self.end_time_stamp, &self.to, latest)?;
        for (name, version) in [("start", start), ("end", end)] {
            if version > latest {
                return Err(ApiError::argument(format!(
                    "the {name} of the incremental read is version {version}, the newest is {latest}"
                )));
            }
        }
        if start > end {
            return Err(ApiError::argument(format!("an incremental read from version {start} to {end}")));
        }
        Ok(IncrementalRange { mode, start, end })
    }
}

impl IncrementalRange {
    /// The options as the answer repeats them.
    pub fn echo(&self) -> Value {
        json!({"Mode": self.mode, "StartVersion": self.start, "EndVersion": self.end, "StartTimeStamp": "-1",
               "EndTimeStamp": "-1"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(options: &str) -> Result<(ChangeMode, i64, i64), String> {
        let options: IncrementalOptions = serde_json::from_str(options).unwrap();
        let range = options.resolve(9, |text| if text == "noon" { Ok(5) } else { Err(ApiError::argument(text)) });
        range.map(|range| (range.mode, range.start, range.end)).map_err(|error| error.code.to_string())
    }

    #[test]
    fn all_clients_are_understood() {
        use ChangeMode::{Append, Cdc};
        let cpp = r#"{"EnableIncrementalRead": true, "Mode": "cdc", "StartVersion": 2, "EndVersion": -1,
            "StartTimeStamp": "-1", "EndTimeStamp": "-1"}"#;
        assert_eq!(resolve(cpp), Ok((Cdc, 2, 9)));
        assert_eq!(resolve(r#"{"Mode": "timestamp", "StartTimeStamp": "noon", "EndVersion": 0}"#), Ok((Append, 5, 9)));
        assert_eq!(resolve(r#"{"Mode": "append", "From": 3, "To": "7"}"#), Ok((Append, 3, 7)));
        assert_eq!(resolve(r#"{"Mode": "CDC", "From": "noon", "To": 0}"#), Ok((Cdc, 5, 9)));
        assert_eq!(resolve("{}"), Ok((Append, 0, 9)));
        assert_eq!(resolve(r#"{"From": 9}"#), Ok((Append, 9, 9)));
        for bad in [r#"{"Mode":"x"}"#, r#"{"From":10}"#, r#"{"To":10}"#, r#"{"From":7,"To":6}"#, r#"{"From":"y"}"#] {
            assert_eq!(resolve(bad), Err("InvalidArgument".into()), "{bad}");
        }
    }
}
