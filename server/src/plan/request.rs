//! The JSON body of "create read session" (storage-api-v1.md 4.1).

use arrow::datatypes::TimeUnit;
use serde::{Deserialize, Deserializer, Serialize};

use crate::error::ApiError;

/// The request body. Every key is optional and unknown keys are ignored.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct CreateRequest {
    #[serde(deserialize_with = "or_default")]
    pub required_data_columns: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    pub required_partition_columns: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    pub required_partitions: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    pub required_bucket_ids: Vec<i64>,
    #[serde(deserialize_with = "or_default")]
    pub split_options: SplitOptions,
    /// Files per split at most; 0 means no cap.
    #[serde(deserialize_with = "or_default")]
    pub split_max_file_num: i64,
    #[serde(deserialize_with = "or_default")]
    pub arrow_options: ArrowOptions,
    #[serde(deserialize_with = "or_default")]
    pub filter_predicate: String,
    #[serde(deserialize_with = "or_default")]
    pub filter_predicate_fallback: bool,
    #[serde(deserialize_with = "or_default")]
    pub enable_estimate_stats: bool,
}

/// `SplitOptions`.
#[derive(Debug, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct SplitOptions {
    #[serde(deserialize_with = "or_default")]
    pub split_mode: SplitMode,
    /// Bytes per split in mode Size, number of splits in mode Parallelism.
    pub split_number: Option<i64>,
    pub cross_partition: bool,
}

impl Default for SplitOptions {
    fn default() -> Self {
        SplitOptions { split_mode: SplitMode::Size, split_number: None, cross_partition: true }
    }
}

/// `ArrowOptions`.
#[derive(Debug, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ArrowOptions {
    pub timestamp_unit: TimeUnitName,
    pub datetime_unit: TimeUnitName,
}

impl Default for ArrowOptions {
    fn default() -> Self {
        ArrowOptions { timestamp_unit: TimeUnitName::Nano, datetime_unit: TimeUnitName::Milli }
    }
}

/// How a session is cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SplitMode {
    #[default]
    #[serde(alias = "size")]
    Size,
    #[serde(alias = "parallelism")]
    Parallelism,
    #[serde(alias = "row_offset")]
    RowOffset,
    #[serde(alias = "bucket")]
    Bucket,
}

/// A timestamp unit as the protocol spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TimeUnitName {
    Second,
    Milli,
    Micro,
    Nano,
}

impl From<TimeUnitName> for TimeUnit {
    fn from(name: TimeUnitName) -> TimeUnit {
        match name {
            TimeUnitName::Second => TimeUnit::Second,
            TimeUnitName::Milli => TimeUnit::Millisecond,
            TimeUnitName::Micro => TimeUnit::Microsecond,
            TimeUnitName::Nano => TimeUnit::Nanosecond,
        }
    }
}

impl CreateRequest {
    /// Reads a request body; an empty one asks for everything with defaults.
    pub fn parse(body: &[u8]) -> Result<CreateRequest, ApiError> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(CreateRequest::default());
        }
        serde_json::from_slice(body)
            .map_err(|e| ApiError::argument(format!("the request body is not a read session request: {e}")))
    }
}

/// Reads JSON `null` as the default: some clients send it for "not given".
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_pyodps_and_java_send() {
        let body = r#"{"RequiredDataColumns": [], "RequiredPartitionColumns": [], "RequiredPartitions": ["pt=a"],
            "RequiredBucketIds": [], "SplitOptions": {"SplitMode": "Parallelism", "SplitNumber": 32, "CrossPartition": false},
            "ArrowOptions": {"TimestampUnit": "micro", "DatetimeUnit": "milli"}, "FilterPredicate": null,
            "EnableEstimateStats": false, "SplitMaxFileNum": 0, "Unknown": {"x": 1}}"#;
        let request = CreateRequest::parse(body.as_bytes()).unwrap();
        assert_eq!(request.split_options.split_mode, SplitMode::Parallelism);
        assert!(!request.split_options.cross_partition);
        assert_eq!(request.arrow_options.timestamp_unit, TimeUnitName::Micro);
        assert!(CreateRequest::parse(b"").unwrap().split_options.cross_partition);
        assert!(CreateRequest::parse(b"{\"SplitOptions\":{\"SplitMode\":\"Nope\"}}").is_err());
        assert!(CreateRequest::parse(b"[]").is_err() || CreateRequest::parse(b"[1]").is_err());
    }
}
