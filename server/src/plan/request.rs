//! The JSON body of "create read session" (storage-api-v1.md 4.1).

use arrow::datatypes::TimeUnit;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::delta::IncrementalOptions;
use crate::error::ApiError;

/// The request body. Every key is optional and unknown keys are ignored.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct CreateRequest {
    pub required_data_columns: Vec<String>,
    pub required_partition_columns: Vec<String>,
    pub required_partitions: Vec<String>,
    #[serde(deserialize_with = "bucket_ids")]
    pub required_bucket_ids: Vec<i64>,
    pub split_options: SplitOptions,
    /// Files per split at most; 0 means no cap.
    pub split_max_file_num: i64,
    pub arrow_options: ArrowOptions,
    pub filter_predicate: String,
    pub filter_predicate_fallback: bool,
    pub enable_estimate_stats: bool,
    /// Version 2: texts with 64-bit offsets.
    pub enable_large_string: bool,
    pub incremental_read: bool,
    pub incremental_read_options: Option<IncrementalOptions>,
}

/// Numbers, or numbers as text: one official client sends those.
fn bucket_ids<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<i64>, D::Error> {
    let values = Vec::<Value>::deserialize(deserializer)?;
    let number = |value: &Value| value.as_i64().or_else(|| value.as_str()?.parse().ok());
    let wrong = |value: &Value| serde::de::Error::custom(format!("{value} is not the number of a bucket"));
    values.iter().map(|value| number(value).ok_or_else(|| wrong(value))).collect()
}

/// `SplitOptions`.
#[derive(Debug, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct SplitOptions {
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
    /// Whether the session tells changes instead of rows. C++ says so inside the options.
    pub fn is_incremental(&self) -> bool {
        self.incremental_read || self.incremental_read_options.as_ref().is_some_and(|o| o.enable_incremental_read)
    }

    /// Reads a request body; an empty one asks for everything with defaults.
    pub fn parse(body: &[u8]) -> Result<CreateRequest, ApiError> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(CreateRequest::default());
        }
        let refuse = |why: String| ApiError::argument(format!("the request body is not a read session request: {why}"));
        let mut value: Value = serde_json::from_slice(body).map_err(|e| refuse(e.to_string()))?;
        tidy(&mut value, "the body").map_err(refuse)?;
        serde_json::from_value(value).map_err(|e| refuse(e.to_string()))
    }
}

/// Demands an object and takes out what is `null`: some clients send that for "not given". The same for the objects of
/// options; serde alone would take lists for them.
fn tidy(value: &mut Value, what: &str) -> Result<(), String> {
    let Some(object) = value.as_object_mut() else { return Err(format!("{what} is not a JSON object")) };
    object.retain(|_, value| !value.is_null());
    for name in ["SplitOptions", "ArrowOptions", "IncrementalReadOptions"] {
        if let Some(options) = object.get_mut(name) {
            tidy(options, name)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_pyodps_and_java_send() {
        let body = r#"{"RequiredDataColumns": [], "RequiredPartitionColumns": [], "RequiredPartitions": ["pt=a"],
            "RequiredBucketIds": [], "SplitOptions": {"SplitMode": "Parallelism", "SplitNumber": 32, "CrossPartition": false},
            "ArrowOptions": {"TimestampUnit": "micro", "DatetimeUnit": "milli"}, "FilterPredicate": null,
            "EnableEstimateStats": false, "SplitMaxFileNum": 0, "Unknown": {"x": 1}, "IncrementalRead": false,
            "IncrementalReadOptions": {"Mode": "cdc", "StartVersion": null}}"#;
        let request = CreateRequest::parse(body.as_bytes()).unwrap();
        assert_eq!(request.split_options.split_mode, SplitMode::Parallelism);
        assert!(!request.split_options.cross_partition);
        assert_eq!(request.arrow_options.timestamp_unit, TimeUnitName::Micro);
        assert!(CreateRequest::parse(b"").unwrap().split_options.cross_partition);
        assert!(!request.is_incremental());
        let ids = CreateRequest::parse(b"{\"RequiredBucketIds\":[1,\"2\"]}").unwrap().required_bucket_ids;
        assert_eq!(ids, [1, 2]);
        assert!(CreateRequest::parse(b"{\"RequiredBucketIds\":[\"x\"]}").is_err());
        assert!(CreateRequest::parse(b"{\"SplitOptions\":{\"SplitMode\":\"Nope\"}}").is_err());
    }

    #[test]
    fn only_objects_are_requests_and_null_is_not_given() {
        for body in ["[]", "[[\"a\"]]", "1", "null", "{\"SplitOptions\":[]}", "{\"ArrowOptions\":[\"nano\",\"milli\"]}"]
        {
            assert!(CreateRequest::parse(body.as_bytes()).is_err(), "{body}");
        }
        let names = ["RequiredDataColumns", "RequiredBucketIds", "SplitMaxFileNum", "FilterPredicateFallback"];
        let nulls: Vec<String> = names.iter().map(|name| format!("\"{name}\":null")).collect();
        let body = format!(
            "{{{},\"SplitOptions\":{{\"SplitMode\":null,\"SplitNumber\":null,\"CrossPartition\":null}},\
             \"ArrowOptions\":{{\"TimestampUnit\":null,\"DatetimeUnit\":null}}}}",
            nulls.join(",")
        );
        let request = CreateRequest::parse(body.as_bytes()).unwrap();
        assert!(request.split_options.cross_partition);
        assert_eq!(request.arrow_options.datetime_unit, TimeUnitName::Milli);
        assert!(CreateRequest::parse(b"{\"SplitOptions\":null,\"ArrowOptions\":null}").is_ok());
        assert!(CreateRequest::parse(b"{\"RequiredDataColumns\":[null]}").is_err());
    }
}
