//! Block writing (storage-api-v1.md 7 to 9): a session, blocks in several attempts, a commit of chosen blocks.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::order::KeyRange;
use super::partitions::Invalid;
use super::target::{Matching, Target};
use super::writer::Written;
use crate::catalog::{Catalog, Stage, StageLimits, Table, Unit, UnitFacts, WriteSession, WriteStatus};
use crate::error::ApiError;
use crate::plan::TimeUnitName;

/// Blocks of a session at most (service-behaviour.md 3.4, 3.6).
pub const MAX_BLOCKS: i64 = 20_000;

/// How long a commit with checks waits for blocks that are being written, if the client does not say.
const DEFAULT_WAIT_S: i64 = 90;

/// The body of "create write session" (W1). Every key is optional and unknown keys are ignored.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct BlockOptions {
    pub partition_spec: String,
    pub overwrite: bool,
    pub arrow_options: Units,
    pub dynamic_partition_options: DynamicPartitions,
    pub support_write_cluster: bool,
    pub max_field_size: i64,
    pub enhance_write_check: bool,
}

/// The units of timestamps that the client will send.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Units {
    pub timestamp_unit: TimeUnitName,
    pub datetime_unit: TimeUnitName,
}

/// What happens to rows that bring partition values.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct DynamicPartitions {
    pub invalid_strategy: InvalidStrategy,
    pub invalid_limit: i64,
    pub dynamic_partition_limit: i64,
}

/// `InvalidStrategy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum InvalidStrategy {
    #[serde(alias = "exception", alias = "EXCEPTION")]
    Exception,
    #[serde(alias = "limit", alias = "LIMIT")]
    Limit,
    #[serde(alias = "drop", alias = "DROP")]
    Drop,
}

impl Default for BlockOptions {
    fn default() -> Self {
        BlockOptions {
            partition_spec: String::new(),
            overwrite: false,
            arrow_options: Units::default(),
            dynamic_partition_options: DynamicPartitions::default(),
            support_write_cluster: false,
            max_field_size: 8 << 20,
            enhance_write_check: false,
        }
    }
}

impl Default for Units {
    fn default() -> Self {
        Units { timestamp_unit: TimeUnitName::Nano, datetime_unit: TimeUnitName::Milli }
    }
}

impl Default for DynamicPartitions {
    fn default() -> Self {
        DynamicPartitions {
            invalid_strategy: InvalidStrategy::Exception,
            invalid_limit: 100,
            dynamic_partition_limit: 512,
        }
    }
}

impl BlockOptions {
    /// Reads a request body. `null` is as good as absent.
    pub fn parse(body: &[u8]) -> Result<BlockOptions, ApiError> {
        let refuse =
            |why: String| ApiError::argument(format!("the request body is not a write session request: {why}"));
        let text: &[u8] = if body.iter().all(u8::is_ascii_whitespace) { b"{}" } else { body };
        let mut value: Value = serde_json::from_slice(text).map_err(|e| refuse(e.to_string()))?;
        let Some(object) = value.as_object_mut() else { return Err(refuse("it is not a JSON object".into())) };
        object.retain(|_, value| !value.is_null());
        for name in ["ArrowOptions", "DynamicPartitionOptions"] {
            match object.get_mut(name) {
                Some(Value::Object(options)) => options.retain(|_, value| !value.is_null()),
                Some(_) => return Err(refuse(format!("{name} is not a JSON object"))),
                None => {}
            }
        }
        let options: BlockOptions = serde_json::from_value(value).map_err(|e| refuse(e.to_string()))?;
        options.check()?;
        Ok(options)
    }

    fn check(&self) -> Result<(), ApiError> {
        let within = |name: &str, value: i64, low: i64, high: i64| match (low..=high).contains(&value) {
            true => Ok(()),
            false => Err(ApiError::argument(format!("{name} is {value}, not from {low} to {high}"))),
        };
        within("MaxFieldSize", self.max_field_size, 8 << 20, 256 << 20)?;
        within("InvalidLimit", self.dynamic_partition_options.invalid_limit, 0, i64::MAX)?;
        within("DynamicPartitionLimit", self.dynamic_partition_options.dynamic_partition_limit, 1, 60_000)
    }

    /// What blocks of the session are written into.
    pub fn target(&self, table: Table) -> Result<Target, ApiError> {
        let dynamic = self.dynamic_partition_options;
        let target = Target::partition(table, &self.partition_spec)?;
        // Rows that find their partitions themselves come in no order that could be demanded.
        let one_partition = target.partition.iter().all(Option::is_some);
        Ok(Target {
            matching: Matching::Position,
            units: Some((self.arrow_options.datetime_unit.into(), self.arrow_options.timestamp_unit.into())),
            max_field_bytes: self.max_field_size.max(0) as usize,
            invalid: match dynamic.invalid_strategy {
                InvalidStrategy::Exception => Invalid::Fail,
                InvalidStrategy::Limit => Invalid::Limit(dynamic.invalid_limit.max(0) as u64),
                InvalidStrategy::Drop => Invalid::Drop,
            },
            max_partitions: dynamic.dynamic_partition_limit.max(1) as usize,
            check_order: self.enhance_write_check && self.support_write_cluster && one_partition,
            ..target
        })
    }

    fn limits(&self) -> StageLimits {
        let dynamic = self.dynamic_partition_options;
        StageLimits {
            partitions: dynamic.dynamic_partition_limit.max(1) as u64,
            invalid_rows: match dynamic.invalid_strategy {
                InvalidStrategy::Limit => dynamic.invalid_limit.max(0) as u64,
                InvalidStrategy::Exception | InvalidStrategy::Drop => u64::MAX,
            },
        }
    }
}

/// What the body of a commit says.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct CommitRequest {
    commit_messages: Vec<String>,
    wait_flying_writers_timeout_seconds: Option<i64>,
}

impl CommitRequest {
    /// Reads a request body.
    pub fn parse(body: &[u8]) -> Result<CommitRequest, ApiError> {
        let refuse = |why: String| ApiError::argument(format!("the request body is not a commit: {why}"));
        let request: CommitRequest = serde_json::from_slice(body).map_err(|e| refuse(e.to_string()))?;
        match request.wait_flying_writers_timeout_seconds {
            Some(wait) if !(1..=600).contains(&wait) => {
                Err(refuse(format!("WaitFlyingWritersTimeoutSeconds is {wait}, not from 1 to 600")))
            }
            _ => Ok(request),
        }
    }

    /// How long to wait for blocks that are being written.
    pub fn wait(&self) -> Duration {
        Duration::from_secs(self.wait_flying_writers_timeout_seconds.unwrap_or(DEFAULT_WAIT_S).max(0) as u64)
    }
}

/// One try at writing a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Attempt {
    pub block: i64,
    pub attempt: i64,
}

impl Attempt {
    /// The unit that the catalogue knows it by.
    pub fn unit(self) -> Unit {
        Unit { name: self.block.to_string(), version: self.attempt }
    }
}

/// The content of a commit message.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Message {
    block_number: i64,
    attempt_number: i64,
    /// Absent in messages that a client made up.
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<String>,
    writer_stats: Option<WriterStats>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WriterStats {
    record_num: u64,
}

/// Takes the rows of a complete block into the session; returns the commit message. `written` is `None` for a body
/// without bytes.
pub fn stage_block(
    catalog: &Catalog,
    session: &WriteSession,
    options: &BlockOptions,
    at: Attempt,
    written: Option<Written>,
) -> Result<String, ApiError> {
    let how = if options.enhance_write_check { Stage::Once } else { Stage::Replace };
    let stage =
        |files: &[_], facts: &UnitFacts| catalog.stage(&session.id, &at.unit(), how, files, facts, options.limits());
    let rows = match written {
        Some(Written { files, rows, left_out, keys }) => {
            let detail = keys.map(|keys| json!(keys).to_string()).unwrap_or_default();
            let facts = UnitFacts { rows, invalid: left_out, detail };
            files.hand_over(catalog, |files| stage(files, &facts))?;
            rows
        }
        None => {
            stage(&[], &UnitFacts::default())?;
            0
        }
    };
    let message = Message {
        block_number: at.block,
        attempt_number: at.attempt,
        session_id: Some(session.id.clone()),
        writer_stats: Some(WriterStats { record_num: rows }),
    };
    Ok(json!(message).to_string())
}

/// The blocks that a commit chooses. With checks each block must be named once and be what its message says; without,
/// the highest attempt of a block counts.
pub fn choose(
    catalog: &Catalog,
    session: &WriteSession,
    options: &BlockOptions,
    request: &CommitRequest,
) -> Result<Vec<Unit>, ApiError> {
    let staged: BTreeMap<Unit, UnitFacts> = catalog.staged_units(&session.id)?.into_iter().collect();
    let mut chosen: BTreeMap<i64, i64> = BTreeMap::new();
    for text in &request.commit_messages {
        let message: Message = serde_json::from_str(text)
            .map_err(|e| ApiError::argument(format!("a commit message is not one of this server: {e}")))?;
        if let Some(other) = message.session_id.filter(|id| *id != session.id) {
            return Err(ApiError::argument(format!("a commit message belongs to the session {other}")));
        }
        let at = Attempt { block: message.block_number, attempt: message.attempt_number };
        let Some(facts) = staged.get(&at.unit()) else {
            let Attempt { block, attempt } = at;
            return Err(ApiError::argument(format!("block {block} was not written in attempt {attempt}")));
        };
        let before = chosen.insert(at.block, at.attempt);
        if options.enhance_write_check {
            if before.is_some() {
                return Err(ApiError::argument(format!("the commit names block {} more than once", at.block)));
            }
            if let Some(stats) = message.writer_stats.filter(|stats| stats.record_num != facts.rows) {
                return Err(ApiError::argument(format!(
                    "the commit message of block {} speaks of {} rows, {} were written",
                    at.block, stats.record_num, facts.rows
                )));
            }
        } else if let Some(before) = before {
            chosen.insert(at.block, before.max(at.attempt));
        }
    }
    let units: Vec<Unit> = chosen.into_iter().map(|(block, attempt)| Attempt { block, attempt }.unit()).collect();
    check_ranges(units.iter().filter_map(|unit| staged.get(unit).map(|facts| (unit, facts))))?;
    Ok(units)
}

/// Blocks of a range-clustered table that were announced as distributed must not overlap.
fn check_ranges<'a>(units: impl Iterator<Item = (&'a Unit, &'a UnitFacts)>) -> Result<(), ApiError> {
    let mut ranges: Vec<(KeyRange, &str)> = Vec::new();
    for (unit, facts) in units.filter(|(_, facts)| !facts.detail.is_empty()) {
        let range = serde_json::from_str(&facts.detail).map_err(anyhow::Error::from)?;
        ranges.push((range, &unit.name));
    }
    ranges.sort();
    for ((low, first), (high, second)) in ranges.iter().zip(ranges.iter().skip(1)) {
        if high.first <= low.last {
            return Err(ApiError::argument(format!(
                "blocks {first} and {second} overlap, but the table is range-clustered: distribute the rows"
            )));
        }
    }
    Ok(())
}

/// Refuses a session that takes no rows any more.
pub fn demand_open(session: &WriteSession, now: i64) -> Result<(), ApiError> {
    let state = match session.status {
        WriteStatus::Normal if session.expires_ms > now => return Ok(()),
        WriteStatus::Normal => "EXPIRED",
        other => other.name(),
    };
    Err(ApiError::new(409, "StatusConflict", format!("the write session {} is {state}", session.id)))
}
