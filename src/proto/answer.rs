//! What the service answers about a read session, whatever the version.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};

/// Columns of a session.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DataSchema {
    /// Columns stored in the table.
    pub data_columns: Vec<Column>,
    /// Columns added by the service.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub system_columns: Vec<Column>,
    /// Columns whose value is fixed per partition.
    pub partition_columns: Vec<Column>,
}

impl DataSchema {
    /// The columns in the order of the stream.
    pub fn columns(&self) -> impl Iterator<Item = &Column> {
        self.data_columns.iter().chain(&self.system_columns).chain(&self.partition_columns)
    }
}

/// A column of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Column {
    /// Name.
    pub name: String,
    /// MaxCompute type as text, for example `decimal(38,18)`.
    #[serde(rename = "Type")]
    pub type_text: String,
    /// Whether values may be NULL.
    #[serde(default = "yes")]
    pub nullable: bool,
}

fn yes() -> bool {
    true
}

/// Answer to the creation of a session and to questions about it. Keys that are absent stay at their defaults.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SessionAnswer {
    /// Id of the session.
    pub session_id: String,
    /// Where the session is in its life.
    pub session_status: String,
    /// End of its life, epoch time as number, or text in old services.
    #[serde(default)]
    pub(super) expiration_time: serde_json::Value,
    /// Number of splits, negative in mode `RowOffset`.
    #[serde(default = "none")]
    pub splits_count: i64,
    /// Number of rows. Outside mode `RowOffset` version 1 has a negative one.
    #[serde(default = "none")]
    pub record_count: i64,
    /// Columns; present once the session is planned.
    #[serde(default)]
    pub data_schema: Option<DataSchema>,
    /// Estimates, if they were asked for.
    #[serde(default)]
    pub session_stats: Option<SessionStats>,
    /// The bucket of each split, in mode `Bucket`; numbers, or text of them.
    #[serde(default, rename = "SplitBucketId", deserialize_with = "numbers")]
    pub buckets: Vec<i64>,
    /// Why planning failed.
    #[serde(default)]
    pub message: Option<String>,
}

fn none() -> i64 {
    -1
}

/// A list of numbers, each as number or as text.
fn numbers<'de, D: serde::Deserializer<'de>>(list: D) -> std::result::Result<Vec<i64>, D::Error> {
    let list = Option::<Vec<serde_json::Value>>::deserialize(list)?.unwrap_or_default();
    let number = |value: &serde_json::Value| value.as_i64().or_else(|| value.as_str()?.parse().ok());
    let numbers: Option<Vec<i64>> = list.iter().map(number).collect();
    numbers.ok_or_else(|| serde::de::Error::custom("an element is no number"))
}

/// Estimates of a plan.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SessionStats {
    /// Bytes.
    pub estimated_size: i64,
    /// Rows.
    pub estimated_row_count: i64,
}

/// What an answer says about the plan.
#[derive(Debug, PartialEq, Eq)]
pub enum Planning {
    /// Not ready yet.
    Going,
    /// Ready.
    Done,
}

impl SessionAnswer {
    /// Reads the JSON text of an answer.
    pub fn parse(text: &[u8]) -> Result<Self> {
        serde_json::from_slice(text)
            .map_err(|error| Error::new(Kind::CorruptData, format!("the session answer cannot be read: {error}")))
    }

    /// Whether planning is done; a failed or ended session is an error.
    pub fn planning(&self) -> Result<Planning> {
        let message = self.message.as_deref().unwrap_or("no reason given");
        match self.session_status.to_ascii_uppercase().as_str() {
            "INIT" => Ok(Planning::Going),
            "NORMAL" => Ok(Planning::Done),
            "EXPIRED" => Err(Error::new(Kind::SessionExpired, format!("session {} has expired", self.session_id))),
            "CRITICAL" => {
                Err(Error::new(Kind::InvalidArgument, format!("the service could not plan the session: {message}")))
            }
            other => Err(Error::new(Kind::CorruptData, format!("the session has the unknown state {other}"))),
        }
    }

    /// End of the session's life in epoch milliseconds; small numbers are taken for seconds.
    pub fn expires_at_ms(&self) -> Option<i64> {
        let number = self.expiration_time.as_i64().filter(|number| *number > 0)?;
        Some(if number < 100_000_000_000 { number * 1000 } else { number })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str) -> SessionAnswer {
        SessionAnswer::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn answers_of_both_lengths() {
        let going =
            answer(r#"{"SessionId":"S","SessionStatus":"init","ExpirationTime":1795425619000,"SplitMode":"Size"}"#);
        assert_eq!(going.planning().unwrap(), Planning::Going);
        assert_eq!(going.splits_count, -1);
        let done = answer(
            r#"{"SessionId":"S","SessionType":"batch_read","SessionStatus":"NORMAL","ExpirationTime":1795425619,
                "SplitsCount":3,"RecordCount":-1,"Unknown":{},"SplitBucketId":[4,"7",9],"SessionStats":{"EstimatedSize":7,"EstimatedRowCount":8},
                "DataSchema":{"DataColumns":[{"Name":"id","Type":"bigint"},{"Name":"x","Type":"string","Nullable":false,"Comment":""}],
                              "PartitionColumns":[{"Name":"pt","Type":"string","Nullable":true}]}}"#,
        );
        assert_eq!(done.planning().unwrap(), Planning::Done);
        assert_eq!(done.expires_at_ms(), Some(1_795_425_619_000));
        assert_eq!(done.buckets, [4, 7, 9]);
        let schema = done.data_schema.unwrap();
        let columns: Vec<(&str, bool)> =
            schema.columns().map(|column| (column.name.as_str(), column.nullable)).collect();
        assert_eq!(columns, [("id", true), ("x", false), ("pt", true)]);
    }

    #[test]
    fn failed_sessions_are_errors() {
        for (status, kind) in
            [("CRITICAL", Kind::InvalidArgument), ("EXPIRED", Kind::SessionExpired), ("ODD", Kind::CorruptData)]
        {
            let answer = answer(&format!(r#"{{"SessionId":"S","SessionStatus":"{status}","Message":"why"}}"#));
            assert_eq!(answer.planning().unwrap_err().kind(), kind);
        }
        assert_eq!(SessionAnswer::parse(b"<html>").unwrap_err().kind(), Kind::CorruptData);
    }
}
