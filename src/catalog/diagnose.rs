//! What may keep a client from reading, step by step.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray};

use super::unfit;
use crate::error::{Error, Kind, Result};
use crate::proto::call::{ReadSession, SplitMode, SplitOptions, TimeUnits};
use crate::proto::{Source, TableName, Version, metadata};
use crate::transport::{Answer, Purpose, Transport};

/// How far the clocks may differ before the service refuses requests.
const MAX_SKEW: Duration = Duration::from_secs(900);
/// Bytes per split of the session that tries the right to read; large, because nobody reads it.
const TRIAL_SPLIT_BYTES: u64 = 1 << 40;

/// The steps, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    NameResolution,
    Connect,
    Tls,
    ClockSkew,
    Signature,
    EndpointRouting,
    Project,
    Quota,
    Table,
    ReadRight,
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Step::NameResolution => "name_resolution",
            Step::Connect => "connect",
            Step::Tls => "tls",
            Step::ClockSkew => "clock_skew",
            Step::Signature => "signature",
            Step::EndpointRouting => "endpoint_routing",
            Step::Project => "project",
            Step::Quota => "quota",
            Step::Table => "table",
            Step::ReadRight => "read_right",
        }
    }

    /// What to do when the step fails.
    fn advice(self, kind: Kind) -> &'static str {
        match (self, kind) {
            (Step::NameResolution, _) => {
                "Check the host in option endpoint (or proxy) and the resolver of this machine."
            }
            (Step::Connect, _) => {
                "Check the port in option endpoint (or proxy), and whether a firewall lets this machine through."
            }
            (Step::Tls, _) => {
                "If the service has a certificate authority of its own, name its file in option tls.ca_file; check that the endpoint speaks TLS."
            }
            (Step::ClockSkew, Kind::Unauthenticated) => {
                "Set the clock of this machine: the service refuses requests that are 15 minutes off."
            }
            (Step::ClockSkew, _) => {
                "Something answers there, but it is not the service: check host, port and path in option endpoint."
            }
            (Step::Signature, Kind::Unauthenticated) => {
                "Check access_key_id, access_key_secret and security_token, and with signature v4 the region."
            }
            (Step::Signature, _) => "Check option endpoint: it is that of the service, with the path /api.",
            (Step::EndpointRouting, _) => {
                "Check option data_endpoint, or leave it out to have the service asked for it."
            }
            (Step::Project, Kind::PermissionDenied) => "Have the owner of the project add this account as a member.",
            (Step::Project, _) => "Check the name of the project, and that option endpoint is that of its region.",
            (Step::Quota, Kind::QuotaDenied | Kind::PermissionDenied) => {
                "Have a tenant role with odps:List and odps:Usage on the quota granted, or name another one in option quota."
            }
            (Step::Quota, _) => "Check the name in option quota, or leave it out to use the project's own.",
            (Step::Table, Kind::PermissionDenied) => "Have the right Describe on the table granted.",
            (Step::Table, _) => "Check the names of table and schema.",
            (Step::ReadRight, Kind::PermissionDenied) => {
                "Have the rights Describe and Select on the table granted, and Download where the project controls downloads."
            }
            (Step::ReadRight, Kind::TableKindUnsupported) => {
                "Read the table behind the view, or store the result in a table."
            }
            (Step::ReadRight, _) => "The table is there but cannot be read: do what the message says.",
        }
    }
}

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Ok,
    Failed,
    Skipped,
    NotTried,
}

impl Status {
    fn name(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Failed => "failed",
            Status::Skipped => "skipped",
            Status::NotTried => "not tried",
        }
    }
}

/// What a step found that did not fail.
enum Found<T> {
    /// It works.
    Works(T),
    /// It does not apply, and why.
    Idle(T, String),
}

#[derive(Debug)]
struct Row {
    step: Step,
    status: Status,
    time: Duration,
    sentence: Option<String>,
    error: Option<Error>,
}

/// The rows so far.
#[derive(Debug, Default)]
struct Report {
    rows: Vec<Row>,
    has_failed: bool,
}

impl Report {
    /// Takes a step, unless an earlier one failed; `None` if there is nothing to go on with.
    async fn take<T>(&mut self, step: Step, work: impl Future<Output = Result<Found<T>>>) -> Option<T> {
        if self.has_failed {
            self.rows.push(Row { step, status: Status::NotTried, time: Duration::ZERO, sentence: None, error: None });
            return None;
        }
        let start = Instant::now();
        let found = work.await;
        let time = start.elapsed();
        let (status, sentence, error, value) = match found {
            Ok(Found::Works(value)) => (Status::Ok, None, None, Some(value)),
            Ok(Found::Idle(value, why)) => (Status::Skipped, Some(why), None, Some(value)),
            Err(error) => {
                self.has_failed = true;
                let message = error.message().trim_end_matches('.');
                let sentence = format!("{message}. {}", step.advice(error.kind()));
                (Status::Failed, Some(sentence), Some(error), None)
            }
        };
        self.rows.push(Row { step, status, time, sentence, error });
        value
    }

    fn batch(&self) -> Result<RecordBatch> {
        let texts = |of: &dyn Fn(&Row) -> Option<String>| -> ArrayRef {
            Arc::new(self.rows.iter().map(of).collect::<StringArray>())
        };
        let server =
            |row: &Row, of: &dyn Fn(&Error) -> String| row.error.as_ref().map(of).filter(|text| !text.is_empty());
        RecordBatch::try_from_iter_with_nullable([
            ("step", texts(&|row| Some(row.step.name().to_owned())), false),
            ("status", texts(&|row| Some(row.status.name().to_owned())), false),
            (
                "milliseconds",
                Arc::new(self.rows.iter().map(|row| Some(row.time.as_secs_f64() * 1000.0)).collect::<Float64Array>())
                    as ArrayRef,
                false,
            ),
            ("sentence", texts(&|row| row.sentence.clone()), true),
            ("error", texts(&|row| row.error.as_ref().map(|error| error.kind().constant().to_owned())), true),
            ("server_code", texts(&|row| server(row, &|error| error.server().code.clone())), true),
            ("request_id", texts(&|row| server(row, &|error| error.server().request_id.clone())), true),
        ])
        .map_err(unfit)
    }
}

/// Walks the steps until one fails; the result has a row for each.
pub(super) async fn walk(
    transport: &Transport,
    project: Option<String>,
    table: Option<TableName>,
) -> Result<RecordBatch> {
    let mut report = Report::default();
    let service = transport.service_endpoint();
    let is_secure = service.starts_with("https:");

    let remote = transport.remote(service);
    let addresses =
        report.take(Step::NameResolution, async { transport.resolve(&remote?).await.map(Found::Works) }).await;
    let addresses = addresses.unwrap_or_default();
    report.take(Step::Connect, async { transport.knock(&addresses).await.map(Found::Works) }).await;
    let greeted = report.take(Step::Tls, async {
        match is_secure {
            true => transport.greet(service).await.map(|time| Found::Works(Some((time, SystemTime::now())))),
            false => Ok(Found::Idle(None, "The endpoint is plain HTTP.".to_owned())),
        }
    });
    let greeted = greeted.await.flatten();
    report
        .take(Step::ClockSkew, async {
            let (time, at) = match greeted {
                Some(greeted) => greeted,
                None => (transport.greet(service).await?, SystemTime::now()),
            };
            let Some(time) = time else {
                return Ok(Found::Idle((), "The answers of the service name no time.".to_owned()));
            };
            let skew = time.duration_since(at).or_else(|_| at.duration_since(time)).unwrap_or_default();
            match skew > MAX_SKEW {
                true => Err(Error::new(
                    Kind::Unauthenticated,
                    format!("the clocks of this machine and of the service differ by {} seconds", skew.as_secs()),
                )),
                false => Ok(Found::Works(())),
            }
        })
        .await;

    // The first signed request: whatever is wrong with the project is told where its turn is.
    let asked = report.take(Step::Signature, async {
        let request = project.as_deref().map_or_else(|| metadata::list_projects(None), metadata::get_project);
        match transport.ask_service(request).await {
            Err(error) if matches!(error.kind(), Kind::PermissionDenied | Kind::NotFound) => {
                Ok(Found::Works(Err(error)))
            }
            other => other.map(|answer| Found::Works(Ok(answer))),
        }
    });
    let asked: Option<Result<Answer>> = asked.await;
    let project_error = asked.and_then(Result::err);

    let Some(project) = project else {
        for step in [Step::EndpointRouting, Step::Project, Step::Quota, Step::Table, Step::ReadRight] {
            report.take(step, async { Ok(Found::Idle((), "No project was named.".to_owned())) }).await;
        }
        return report.batch();
    };
    let data = report.take(Step::EndpointRouting, async {
        let endpoint = match (transport.configured_data_endpoint(), &project_error) {
            (Some(configured), _) => configured.to_owned(),
            (None, Some(_)) => {
                let why = "The service tells the endpoint of a project, and something is wrong with the project.";
                return Ok(Found::Idle(String::new(), why.to_owned()));
            }
            (None, None) => transport.discover(&project, None).await?,
        };
        let addresses = transport.resolve(&transport.remote(&endpoint)?).await?;
        transport.knock(&addresses).await?;
        if endpoint.starts_with("https:") {
            transport.greet(&endpoint).await?;
        }
        Ok(Found::Works(endpoint))
    });
    let data = data.await.unwrap_or_default();
    report.take(Step::Project, async { project_error.map_or(Ok(Found::Works(())), Err) }).await;

    // A quota may only show to be closed when it is used: the session that tries the right to read is opened here.
    let mut tried: Option<Result<()>> = None;
    report
        .take(Step::Quota, async {
            let Some(quota) = transport.quota() else {
                return Ok(Found::Idle((), "No quota was named: the project's own is used.".to_owned()));
            };
            transport.discover(&project, Some(quota)).await?;
            if let Some(table) = &table {
                match try_to_read(transport, &data, table).await {
                    Err(error) if error.kind() == Kind::QuotaDenied => return Err(error),
                    other => tried = Some(other),
                }
            }
            Ok(Found::Works(()))
        })
        .await;

    let Some(table) = table else {
        for step in [Step::Table, Step::ReadRight] {
            report.take(step, async { Ok(Found::Idle((), "No table was named.".to_owned())) }).await;
        }
        return report.batch();
    };
    report.take(Step::Table, async { super::describe(transport, &table).await.map(Found::Works) }).await;
    report
        .take(Step::ReadRight, async {
            let tried = match tried {
                Some(tried) => tried,
                None => try_to_read(transport, &data, &table).await,
            };
            tried.map(Found::Works)
        })
        .await;
    report.batch()
}

/// Opens a session that nobody reads.
async fn try_to_read(transport: &Transport, endpoint: &str, table: &TableName) -> Result<()> {
    let source = Source::Table(table.clone());
    let wanted = |mode| ReadSession {
        data_columns: Vec::new(),
        partition_columns: Vec::new(),
        partitions: Vec::new(),
        bucket_ids: Vec::new(),
        split: SplitOptions { mode, number: TRIAL_SPLIT_BYTES, cross_partition: true },
        max_files: 0,
        units: TimeUnits { timestamp_unit: "nano".to_owned(), datetime_unit: "milli".to_owned() },
        filter: String::new(),
        filter_fallback: false,
        estimate: false,
        incremental: None,
    };
    let mut negotiation = transport.negotiate(endpoint, Version::V1)?;
    loop {
        let version = negotiation.version();
        let create = |mode| version.create_session(&source, &wanted(mode));
        let tried = match transport.call(Purpose::Plan, endpoint, create(SplitMode::Size)?).await {
            // Tables that are only read by row offset.
            Err(error) if error.kind() == Kind::InvalidArgument => {
                transport.call(Purpose::Plan, endpoint, create(SplitMode::RowOffset)?).await
            }
            other => other,
        };
        if negotiation.settle(tried)?.is_some() {
            return Ok(());
        }
    }
}
