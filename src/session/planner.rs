//! Planning: options to a plan.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::lease::is_route_token;
use super::plan::{Cut, Plan};
use crate::arrow::policy::Policies;
use crate::client::Client;
use crate::error::{Error, Kind, Result};
use crate::options::{self, Key, Options};
use crate::proto::answer::{Planning, SessionAnswer};
use crate::proto::call::{Incremental, Moment, ReadSession, SplitMode, SplitOptions, TimeUnits};
use crate::proto::{Source, Version};
use crate::runtime::{sleep, within};
use crate::transport::{Answer, Purpose, Transport};

/// First wait between two questions whether the plan is ready; each further one is half as long again.
const FIRST_POLL: Duration = Duration::from_millis(20);
/// Longest wait between two questions.
const LAST_POLL: Duration = Duration::from_secs(1);
/// `SplitNumber` in the modes that do not use it, as the official clients send it.
const UNUSED_SPLIT_NUMBER: u64 = 256 << 20;

/// Options that say which rows and columns of a table are read: the result of an instance is read as it is.
const OF_TABLES: [&Key; 14] = [
    &options::TABLE_NAME,
    &options::COLUMNS,
    &options::PARTITION_COLUMNS,
    &options::PARTITIONS,
    &options::BUCKET_IDS,
    &options::SPLIT_MODE,
    &options::FILTER_TEXT,
    &options::FILTER_EXACT,
    &options::INCREMENTAL_MODE,
    &options::INCREMENTAL_START_VERSION,
    &options::INCREMENTAL_END_VERSION,
    &options::INCREMENTAL_START_TIMESTAMP,
    &options::INCREMENTAL_END_TIMESTAMP,
    &options::SPLIT_MAX_FILES,
];

/// A plan to be made.
#[derive(Debug)]
pub(super) struct PlanRequest {
    pub(super) source: Source,
    pub(super) wanted: ReadSession,
    policies: Policies,
    rows_per_split: i64,
    timeout: Duration,
    /// When it is over, which is the same for all parts of a plan.
    end: Instant,
}

/// A session that is ready.
struct Ready {
    version: Version,
    data_endpoint: String,
    route_token: String,
    answer: SessionAnswer,
}

impl PlanRequest {
    pub(super) fn from_options(client: &Client, scan: &Options) -> Result<Self> {
        let source = match scan.text(&options::INSTANCE) {
            None => Source::Table(client.table(scan.required(&options::TABLE_NAME)?)?),
            Some(id) => instance(client, id, scan)?,
        };
        let incremental = incremental(scan)?;
        let text = |key: &Key| scan.text(key).unwrap_or_default().to_owned();
        let wanted = ReadSession {
            data_columns: distinct(scan, &options::COLUMNS)?,
            partition_columns: distinct(scan, &options::PARTITION_COLUMNS)?,
            partitions: scan.list(&options::PARTITIONS),
            bucket_ids: bucket_ids(scan)?,
            split: split(scan, &source, incremental.is_some()),
            max_files: scan.number(&options::SPLIT_MAX_FILES),
            units: TimeUnits {
                timestamp_unit: text(&options::TYPES_TIMESTAMP_UNIT),
                datetime_unit: text(&options::TYPES_DATETIME_UNIT),
            },
            filter: String::new(),
            filter_fallback: scan.flag(&options::FILTER_FALLBACK),
            estimate: scan.flag(&options::ESTIMATE_STATISTICS),
            incremental,
        };
        let timeout = scan.duration(&options::PLAN_TIMEOUT_MS);
        Ok(PlanRequest {
            source,
            wanted,
            policies: Policies::of(scan)?,
            rows_per_split: i64::try_from(scan.number(&options::SPLIT_ROWS)).unwrap_or(i64::MAX),
            timeout,
            end: Instant::now() + timeout,
        })
    }

    /// The same for some of `all` partitions.
    pub(super) fn for_partitions(&self, partitions: Vec<String>, all: usize) -> Self {
        let mut wanted = self.wanted.clone();
        if wanted.split.mode == SplitMode::Parallelism && all > 0 {
            // A fair share of the splits that were asked for.
            let share = (u128::from(wanted.split.number) * partitions.len() as u128).div_ceil(all as u128);
            wanted.split.number = u64::try_from(share).unwrap_or(u64::MAX).max(1);
        }
        wanted.partitions = partitions;
        PlanRequest { source: self.source.clone(), wanted, policies: self.policies.clone(), ..*self }
    }

    pub(super) async fn plan(self, transport: &Transport) -> Result<Plan> {
        let named = format!("planning a read of {}", self.source);
        let start = Instant::now();
        let answered = within(self.time_left(), self.wait_for_answer(transport)).await;
        let answered = answered.unwrap_or_else(|| Err(self.too_late()));
        let plan = answered.and_then(|ready| self.read_answer(ready)).map_err(|error| error.context(named))?;
        let (count, elapsed) = (plan.split_count(), start.elapsed().as_millis());
        log::info!("session {} of {} has {count} splits, planned in {elapsed} ms", plan.session_id, plan.source);
        Ok(plan)
    }

    /// How long planning may still take.
    pub(super) fn time_left(&self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }

    pub(super) fn too_late(&self) -> Error {
        let limit = self.timeout.as_millis();
        Error::new(Kind::Timeout, format!("the service did not answer within plan_timeout_ms ({limit})"))
    }

    /// Creates the session and asks until it is planned.
    async fn wait_for_answer(&self, transport: &Transport) -> Result<Ready> {
        let endpoint = transport.data_endpoint(self.source.project()).await?;
        let mut negotiation = transport.negotiate(&endpoint, self.least_version())?;
        let (version, answer) = loop {
            let version = negotiation.version();
            let create = version.create_session(&self.source, &self.wanted)?;
            let created = transport.call(Purpose::Plan, &endpoint, create).await;
            let created = created.inspect_err(|error| self.forget_endpoint(transport, error));
            if let Some(answer) = negotiation.settle(created)? {
                break (version, answer);
            }
        };
        let mut route_token = String::new();
        let mut answer = self.parse(version, &answer, &mut route_token)?;
        let mut pause = FIRST_POLL;
        while answer.planning()? == Planning::Going {
            sleep(pause).await;
            pause = (pause * 3 / 2).min(LAST_POLL);
            let ask = version.get_session(&self.source, &answer.session_id)?.routed(&route_token);
            let asked = transport.call(Purpose::Plan, &endpoint, ask).await;
            let asked = asked.inspect_err(|error| self.forget_endpoint(transport, error));
            let asked = asked.map_err(|error| version.session_failure(error))?;
            answer = self.parse(version, &asked, &mut route_token)?;
        }
        Ok(Ready { version, data_endpoint: endpoint, route_token, answer })
    }

    /// The first version of the Storage API that can do this.
    fn least_version(&self) -> Version {
        match (&self.source, &self.wanted.incremental) {
            (Source::Table(_), None) => Version::V1,
            _ => Version::V2,
        }
    }

    fn forget_endpoint(&self, transport: &Transport, error: &Error) {
        transport.forget_endpoint(self.source.project(), error);
    }

    fn parse(&self, version: Version, answer: &Answer, route_token: &mut String) -> Result<SessionAnswer> {
        if is_route_token(&answer.route_token) {
            route_token.clone_from(&answer.route_token);
        }
        let parsed = version.session_answer(&self.source, &answer.body);
        parsed
            .and_then(|parsed| parsed.planning().map(|_| parsed))
            .map_err(|error| error.with_request_id(&answer.request_id))
    }

    fn read_answer(self, ready: Ready) -> Result<Plan> {
        let answer = ready.answer;
        let incomplete = |what: &str| {
            Error::new(
                Kind::CorruptData,
                format!("the service calls session {} ready but tells no {what}", answer.session_id),
            )
        };
        let expires_at_ms = answer.expires_at_ms();
        let by_rows = self.wanted.split.mode == SplitMode::RowOffset;
        let cut = match (by_rows, answer.record_count, answer.splits_count) {
            (true, total @ 0.., _) => Cut::Rows { total, per_split: self.rows_per_split },
            (false, _, count @ 0..) => Cut::Splits(count),
            (true, ..) => return Err(incomplete("number of rows")),
            (false, ..) => return Err(incomplete("number of splits")),
        };
        let exact_rows = by_rows.then_some(answer.record_count);
        Ok(Plan {
            columns: answer.data_schema.ok_or_else(|| incomplete("columns"))?,
            source: self.source,
            data_endpoint: ready.data_endpoint,
            version: ready.version,
            route_token: ready.route_token,
            session_id: answer.session_id,
            cut,
            partitions: self.wanted.partitions,
            buckets: answer.buckets,
            filtered: !self.wanted.filter.is_empty(),
            residual: None,
            hidden: Vec::new(),
            units: self.wanted.units,
            policies: self.policies,
            expires_at_ms,
            estimated_rows: exact_rows.or(answer.session_stats.map(|stats| stats.estimated_row_count)),
            estimated_bytes: answer.session_stats.map(|stats| stats.estimated_size),
        })
    }
}

/// The result of an instance in the default project.
fn instance(client: &Client, id: &str, scan: &Options) -> Result<Source> {
    if let Some(key) = OF_TABLES.into_iter().find(|key| scan.is_set(key)) {
        let message = format!("{} is for tables and cannot be combined with {}", key.name, options::INSTANCE.name);
        return Err(Error::new(Kind::InvalidOption, message));
    }
    if id.contains(|c: char| !c.is_ascii_alphanumeric() && !"_-".contains(c)) {
        return Err(Error::new(Kind::InvalidOption, format!("`{id}` is not the id of an instance")));
    }
    let project = client.project().ok_or_else(|| {
        Error::new(Kind::InvalidOption, format!("option {} needs {}", options::INSTANCE.name, options::PROJECT.name))
    })?;
    Ok(Source::Instance { project: project.to_owned(), id: id.to_owned() })
}

/// How the rows are cut. Results have rows only; changes are told by bucket.
fn split(scan: &Options, source: &Source, is_incremental: bool) -> SplitOptions {
    let by_default = match source {
        Source::Instance { .. } => "row_offset",
        Source::Table(_) if is_incremental && !scan.is_set(&options::SPLIT_MODE) => "bucket",
        Source::Table(_) => scan.text(&options::SPLIT_MODE).unwrap_or_default(),
    };
    let (mode, number) = match by_default {
        "parallelism" => (SplitMode::Parallelism, scan.number(&options::SPLIT_PARALLELISM)),
        "row_offset" => (SplitMode::RowOffset, 0),
        "bucket" => (SplitMode::Bucket, UNUSED_SPLIT_NUMBER),
        _ => (SplitMode::Size, scan.number(&options::SPLIT_SIZE_BYTES)),
    };
    SplitOptions { mode, number, cross_partition: scan.flag(&options::SPLIT_CROSS_PARTITION) }
}

/// The changes to read, if any key speaks of them.
fn incremental(scan: &Options) -> Result<Option<Incremental>> {
    let moment = |version: &Key, time: &Key| match (scan.is_set(version), scan.text(time)) {
        (true, Some(_)) => {
            let message = format!("{} and {} say the same: set one of them", version.name, time.name);
            Err(Error::new(Kind::InvalidOption, message))
        }
        (true, None) => Ok(Moment::Version(scan.number(version))),
        (false, Some(text)) => Ok(Moment::Time(text.to_owned())),
        (false, None) => Ok(Moment::Open),
    };
    let start = moment(&options::INCREMENTAL_START_VERSION, &options::INCREMENTAL_START_TIMESTAMP)?;
    let end = moment(&options::INCREMENTAL_END_VERSION, &options::INCREMENTAL_END_TIMESTAMP)?;
    if !scan.is_set(&options::INCREMENTAL_MODE) && start == Moment::Open && end == Moment::Open {
        return Ok(None);
    }
    let mode = scan.text(&options::INCREMENTAL_MODE).unwrap_or_default().to_owned();
    Ok(Some(Incremental { mode, start, end }))
}

fn distinct(scan: &Options, key: &Key) -> Result<Vec<String>> {
    let names = scan.list(key);
    let mut seen = HashSet::new();
    match names.iter().find(|name| !seen.insert(name.to_lowercase())) {
        Some(twice) => Err(Error::new(Kind::InvalidOption, format!("{} names {twice} twice", key.name))),
        None => Ok(names),
    }
}

fn bucket_ids(scan: &Options) -> Result<Vec<u32>> {
    let number = |text: String| {
        text.parse().map_err(|_| {
            Error::new(Kind::InvalidOption, format!("{} takes numbers; `{text}` is not one", options::BUCKET_IDS.name))
        })
    };
    scan.list(&options::BUCKET_IDS).into_iter().map(number).collect()
}
