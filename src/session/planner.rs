//! Planning: from the scan options to a plan, through the service.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::plan::{Cut, Plan};
use crate::client::Client;
use crate::error::{Error, Kind, Result};
use crate::options::{self, Key, Options};
use crate::proto::v1::{self, ArrowOptions, CreateReadSession, Planning, SessionAnswer, SplitMode, SplitOptions};
use crate::proto::{Request, TableName};
use crate::runtime::{sleep, within};
use crate::transport::Transport;

/// First wait between two questions whether the plan is ready; each further one is half as long again.
const FIRST_POLL: Duration = Duration::from_millis(20);
/// Longest wait between two questions.
const LAST_POLL: Duration = Duration::from_secs(1);
/// `SplitNumber` in the modes that do not use it, as the official clients send it.
const UNUSED_SPLIT_NUMBER: u64 = 256 << 20;

/// A plan to be made.
#[derive(Debug)]
pub(super) struct PlanRequest {
    table: TableName,
    body: CreateReadSession,
    rows_per_split: i64,
    timeout: Duration,
}

impl PlanRequest {
    pub(super) fn from_options(client: &Client, scan: &Options) -> Result<Self> {
        let (split_mode, split_number) = match scan.text(&options::SPLIT_MODE) {
            Some("parallelism") => (SplitMode::Parallelism, scan.number(&options::SPLIT_PARALLELISM)),
            Some("row_offset") => (SplitMode::RowOffset, 0),
            Some("bucket") => (SplitMode::Bucket, UNUSED_SPLIT_NUMBER),
            _ => (SplitMode::Size, scan.number(&options::SPLIT_SIZE_BYTES)),
        };
        let text = |key: &Key| scan.text(key).unwrap_or_default().to_owned();
        let body = CreateReadSession {
            required_data_columns: distinct(scan, &options::COLUMNS)?,
            required_partition_columns: distinct(scan, &options::PARTITION_COLUMNS)?,
            required_partitions: scan.list(&options::PARTITIONS),
            required_bucket_ids: bucket_ids(scan)?,
            split_options: SplitOptions {
                split_mode,
                split_number,
                cross_partition: scan.flag(&options::SPLIT_CROSS_PARTITION),
            },
            split_max_file_num: scan.number(&options::SPLIT_MAX_FILES),
            arrow_options: ArrowOptions {
                timestamp_unit: text(&options::TYPES_TIMESTAMP_UNIT),
                datetime_unit: text(&options::TYPES_DATETIME_UNIT),
            },
            filter_predicate: text(&options::FILTER_TEXT),
            filter_predicate_fallback: scan.flag(&options::FILTER_FALLBACK),
            enable_estimate_stats: scan.flag(&options::ESTIMATE_STATISTICS),
        };
        Ok(PlanRequest {
            table: client.table(scan.required(&options::TABLE_NAME)?)?,
            body,
            rows_per_split: i64::try_from(scan.number(&options::SPLIT_ROWS)).unwrap_or(i64::MAX),
            timeout: scan.duration(&options::PLAN_TIMEOUT_MS),
        })
    }

    pub(super) async fn plan(self, transport: &Transport) -> Result<Plan> {
        let named = format!("planning a read of {}", self.table);
        let start = Instant::now();
        let limit = self.timeout;
        let answered = within(limit, self.wait_for_answer(transport)).await.unwrap_or_else(|| {
            let message = format!("the service did not answer within plan_timeout_ms ({})", limit.as_millis());
            Err(Error::new(Kind::Timeout, message))
        });
        let plan = answered.and_then(|(answer, data_endpoint)| self.read_answer(answer, data_endpoint));
        let plan = plan.map_err(|error| error.context(named))?;
        let (count, elapsed) = (plan.split_count(), start.elapsed().as_millis());
        log::info!("session {} of {} has {count} splits, planned in {elapsed} ms", plan.session_id, plan.table);
        Ok(plan)
    }

    /// Creates the session and asks until it is planned.
    async fn wait_for_answer(&self, transport: &Transport) -> Result<(SessionAnswer, String)> {
        let endpoint = transport.data_endpoint(&self.table.project).await?;
        let create = v1::create_session(&self.table, &self.body)?;
        let mut answer = self.ask(transport, &endpoint, create).await?;
        let mut pause = FIRST_POLL;
        while answer.planning()? == Planning::Going {
            sleep(pause).await;
            pause = (pause * 3 / 2).min(LAST_POLL);
            answer = self.ask(transport, &endpoint, v1::get_session(&self.table, &answer.session_id)).await?;
        }
        Ok((answer, endpoint))
    }

    async fn ask(&self, transport: &Transport, endpoint: &str, request: Request) -> Result<SessionAnswer> {
        let answer = transport.call(endpoint, request).await.inspect_err(|error| {
            transport.forget_endpoint(&self.table.project, error);
        })?;
        let parsed = SessionAnswer::parse(&answer.body);
        parsed
            .and_then(|parsed| parsed.planning().map(|_| parsed))
            .map_err(|error| error.with_request_id(&answer.request_id))
    }

    fn read_answer(self, answer: SessionAnswer, data_endpoint: String) -> Result<Plan> {
        let incomplete = |what: &str| {
            Error::new(
                Kind::CorruptData,
                format!("the service calls session {} ready but tells no {what}", answer.session_id),
            )
        };
        let expires_at_ms = answer.expires_at_ms();
        let by_rows = self.body.split_options.split_mode == SplitMode::RowOffset;
        let cut = match (by_rows, answer.record_count, answer.splits_count) {
            (true, total @ 0.., _) => Cut::Rows { total, per_split: self.rows_per_split },
            (false, _, count @ 0..) => Cut::Splits(count),
            (true, ..) => return Err(incomplete("number of rows")),
            (false, ..) => return Err(incomplete("number of splits")),
        };
        let exact_rows = by_rows.then_some(answer.record_count);
        Ok(Plan {
            columns: answer.data_schema.ok_or_else(|| incomplete("columns"))?,
            table: self.table,
            data_endpoint,
            session_id: answer.session_id,
            cut,
            filtered: !self.body.filter_predicate.is_empty(),
            units: self.body.arrow_options,
            expires_at_ms,
            estimated_rows: exact_rows.or(answer.session_stats.map(|stats| stats.estimated_row_count)),
            estimated_bytes: answer.session_stats.map(|stats| stats.estimated_size),
        })
    }
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
