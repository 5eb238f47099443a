//! Download sessions of tables and of results: create, look, read rows.

use std::sync::Arc;

use axum::body::Body;
use serde_json::{Value, json};

use super::place::Place;
use super::schema::{demand_carried, schema};
use super::stream::{Form, RowStream};
use crate::catalog::{Column, InstanceState, Snapshot, StoredSession, TableName};
use crate::clock::now_ms;
use crate::error::ApiError;
use crate::governance::{self, Caller, Operation};
use crate::http::instances;
use crate::http::reply::Reply;
use crate::http::request::{Head, Plane};
use crate::http::server::no_such;
use crate::http::sessions::{Status, blocking, demand_normal, new_id, resolve};
use crate::http::state::Shared;
use crate::http::v2::shorten;
use crate::plan::{CreateRequest, JsonColumns, OutputColumn, Plan, Planner, RowRange, SplitMode, demand_rows};
use crate::read::{Rows, pieces};
use crate::tunnel::{Coding, Instants};
use crate::types::Timestamps;
use crate::write::Target;

/// Rows of a result that is limited (service-behaviour.md, "Download control").
const LIMITED_ROWS: u64 = 10_000;

/// Attempts to pin a snapshot while files are being replaced.
const PIN_ATTEMPTS: usize = 5;

/// Rows of a batch at most.
const BATCH_ROWS: usize = 4096;

/// `POST ?downloads`. With `asyncmode=true` the answer may say that the session is still being planned.
pub async fn create(shared: &Arc<Shared>, head: &Head, place: Place) -> Result<Reply, ApiError> {
    let operation = match place {
        Place::Table(_) => Operation::CreateReadSession,
        Place::Instance { .. } => Operation::OpenInstance,
    };
    let right = governance::check(shared, head, operation, place.target()).await?;
    let wish = Wish {
        partition: head.query.get("partition").unwrap_or_default().to_string(),
        may_wait: head.query.get("asyncmode").is_some_and(|value| value.eq_ignore_ascii_case("true")),
        limited: head.query.has("instance_tunnel_limit_enabled") && matches!(place, Place::Instance { .. }),
        quota: governance::named_quota(head).map(str::to_string),
    };
    // The session opens all columns to whoever has its id.
    let (state, caller, asked) = (shared.clone(), head.caller.clone(), place.clone());
    let columns: Vec<Column> = blocking(move || {
        let table = snapshot(&state, &caller, &asked)?.table;
        Ok(table.columns.into_iter().chain(table.partition_keys).collect())
    })
    .await?;
    let permit = right.with_columns(columns.iter().map(|column| column.name.as_str()))?.enter().await?;
    let (state, caller) = (shared.clone(), head.caller.clone());
    blocking(move || {
        let (session, plan) = open(&state, &caller, &place, &wish)?;
        Ok(Reply::json(200, &describe(&session, &plan, permit.quota())))
    })
    .await
}

/// `GET ?downloadid=`.
pub async fn get(shared: &Arc<Shared>, head: &Head, place: Place) -> Result<Reply, ApiError> {
    let permit = governance::admit(shared, head, Operation::GetSession, place.target()).await?;
    let id = head.query.get("downloadid").unwrap_or_default().to_string();
    let (shared, caller) = (shared.clone(), head.caller.clone());
    blocking(move || {
        let session = find(&shared, &caller, &place, &id)?;
        let plan = shared.plan(&session)?;
        Ok(Reply::json(200, &describe(&session, &plan, permit.quota())))
    })
    .await
}

/// `GET ?data&downloadid=&rowrange=(start,count)[&columns=][&arrow]`.
pub async fn read(shared: &Arc<Shared>, head: &Head, place: Place) -> Result<Reply, ApiError> {
    let id = head.query.get("downloadid").unwrap_or_default().to_string();
    let (start, count) = row_range(head.query.get("rowrange").unwrap_or_default())?;
    let columns = head.query.get("columns").unwrap_or_default().to_string();
    let coding = Coding::accepted(head.header("accept-encoding"));
    let form = match (head.query.has("arrow"), &place) {
        (false, _) => Form::Records,
        (true, Place::Table(_)) => Form::Arrow(Instants::Nanos),
        (true, Place::Instance { .. }) => Form::Arrow(Instants::Seconds),
    };
    let mut right = governance::check(shared, head, Operation::TunnelDownload, place.target()).await?;
    let (state, caller) = (shared.clone(), head.caller.clone());
    let (plan, range) = blocking(move || {
        let session = find(&state, &caller, &place, &id)?;
        demand_normal(&session)?;
        let plan = state.plan(&session)?;
        let range = located(&plan, start, count)?;
        Ok((narrowed(&plan, &columns, form)?, range))
    })
    .await?;
    right.columns(plan.columns.iter().map(|output| output.column.name.as_str()))?;
    let permit = right.enter().await?;
    let counter = permit.clone();
    let columns = plan.columns.iter().map(|output| output.column.clone()).collect();
    let rows = Rows::new(shared.catalog.clone(), shared.footers.clone(), Arc::new(plan), range, BATCH_ROWS);
    let stream = RowStream::new(rows, columns, form, coding)?.observed_by(move |batch| counter.count(batch));
    let body = Body::from_stream(permit.outgoing(pieces(stream, head.request_id.clone())));
    let reply = Reply::chunked(200, "application/octet-stream", body);
    Ok(match coding {
        Coding::Identity => reply,
        coding => reply.with_header("content-encoding", coding.name()),
    })
}

/// What the creation of a session says.
struct Wish {
    partition: String,
    may_wait: bool,
    /// Only the first rows of a result, for callers without rights on its tables.
    limited: bool,
    quota: Option<String>,
}

fn open(shared: &Shared, caller: &Caller, place: &Place, wish: &Wish) -> Result<(StoredSession, Arc<Plan>), ApiError> {
    let mut limits = shared.limits;
    limits.reading.json = JsonColumns::Utf8;
    let planner = Planner { catalog: &shared.catalog, footers: &shared.footers, limits };
    for _ in 0..PIN_ATTEMPTS {
        let snapshot = snapshot(shared, caller, place)?;
        let request = request(&snapshot, &wish.partition)?;
        let name = snapshot.table.name.clone();
        let mut plan = planner.plan(snapshot, &request)?;
        if wish.limited {
            shorten(&mut plan, LIMITED_ROWS);
        }
        let now = now_ms();
        let delay = if wish.may_wait { shared.planning_delay.as_millis() as i64 } else { 0 };
        let session = StoredSession {
            id: new_id(now),
            table: name,
            created_ms: now,
            ready_ms: now + delay,
            expires_ms: now + shared.session_lifetime.as_millis() as i64,
            plan: serde_json::to_string(&plan).map_err(anyhow::Error::from)?,
        };
        if shared.catalog.insert_session(&session, &plan.pinned_files())? {
            governance::remember_quota(shared, wish.quota.as_deref(), &session.id)?;
            let plan = shared.keep_plan(&session.id, plan);
            return Ok((session, plan));
        }
        // A commit replaced files between planning and pinning: plan again over the new state.
    }
    Err(ApiError::new(409, "TableModified", "the table changed while the session was planned: try again"))
}

fn snapshot(shared: &Shared, caller: &Caller, place: &Place) -> Result<Snapshot, ApiError> {
    match place {
        Place::Table(name) => resolve(shared, name),
        Place::Instance { project, id } => {
            let missing =
                || ApiError::new(404, "NoSuchObject", format!("the result of instance {id} is not kept any more"));
            shared.catalog.snapshot(&result(shared, caller, project, id)?)?.ok_or_else(missing)
        }
    }
}

/// The hidden table with the rows of an instance.
fn result(shared: &Shared, caller: &Caller, project: &str, id: &str) -> Result<TableName, ApiError> {
    let instance = instances::find_result(shared, caller, Plane::Storage, project, id)?;
    match instance.state {
        InstanceState::Success => instance.result.ok_or_else(|| {
            let message = format!("the instance {id} has no rows: it is no SELECT, or its result is older than a day");
            ApiError::new(404, "NoSuchObject", message)
        }),
        InstanceState::Running => {
            Err(ApiError::new(409, "InstanceNotTerminate", format!("the instance {id} is still running")))
        }
        state => {
            let message = format!("the instance {id} is {}, so it has no result", state.name());
            Err(ApiError::new(400, "TaskFailed", message))
        }
    }
}

/// All columns, addressed by rows; of a partitioned table one partition, which must be named in full.
fn request(snapshot: &Snapshot, partition: &str) -> Result<CreateRequest, ApiError> {
    demand_rows(&snapshot.table)?;
    let mut request = CreateRequest::default();
    request.split_options.split_mode = SplitMode::RowOffset;
    if !snapshot.table.partition_keys.is_empty() || !partition.is_empty() {
        demand_partition(&Target::partition(snapshot.table.clone(), partition)?, partition)?;
        request.required_partitions = vec![partition.to_string()];
    }
    Ok(request)
}

/// Refuses a spec that does not name one partition.
pub fn demand_partition(target: &Target, spec: &str) -> Result<(), ApiError> {
    let table = &target.table.name;
    if target.partition.iter().all(Option::is_some) {
        return Ok(());
    }
    Err(match spec.trim().is_empty() {
        true => ApiError::new(400, "MissingPartitionSpec", format!("{table} is partitioned: name a partition")),
        false => {
            let message = format!("{table}: \"{spec}\" does not name all partition columns");
            ApiError::new(400, "InvalidPartitionSpec", message)
        }
    })
}

/// The session of that id at that place.
fn find(shared: &Shared, caller: &Caller, place: &Place, id: &str) -> Result<StoredSession, ApiError> {
    let name = place.name();
    if shared.catalog.project(place.project())?.is_none() {
        return Err(no_such(Plane::Storage, "Project", place.project()));
    }
    if let Place::Instance { project, id } = place {
        instances::find_result(shared, caller, Plane::Storage, project, id)?;
    }
    let session = shared.catalog.session(id)?.filter(|session| session.table.is(&name));
    session.ok_or_else(|| ApiError::new(404, "NoSuchDownload", format!("there is no download session {id} here")))
}

/// Reads `(start,count)`.
fn row_range(text: &str) -> Result<(u64, u64), ApiError> {
    let numbers = || {
        let (start, count) = text.trim().strip_prefix('(')?.strip_suffix(')')?.split_once(',')?;
        Some((start.trim().parse().ok()?, count.trim().parse().ok()?))
    };
    numbers().ok_or_else(|| {
        ApiError::new(400, "InvalidRowRange", format!("rowrange=\"{text}\" is not of the form (start,count)"))
    })
}

fn located(plan: &Plan, start: u64, count: u64) -> Result<RowRange, ApiError> {
    plan.rows(start, count).ok_or_else(|| {
        let (end, rows) = (start.saturating_add(count), plan.row_count());
        let message = format!("rows {start} to {end} are requested, the session has {rows}");
        ApiError::new(400, "InvalidRowRange", message)
    })
}

/// The plan with the columns of the request only. Without any these are the data columns: the values of partition
/// columns are known from the partition. Records come in the order of the request, Arrow columns in that of the table.
fn narrowed(plan: &Plan, names: &str, form: Form) -> Result<Plan, ApiError> {
    let mut plan = Plan::clone(plan);
    let all = std::mem::take(&mut plan.columns);
    if names.is_empty() {
        plan.columns = all.into_iter().filter(|output| output.partition_index.is_none()).collect();
    } else {
        let wrong = |why: String| ApiError::new(400, "InvalidColumnSpec", why);
        let mut places: Vec<usize> = Vec::new();
        for name in names.split(',').map(str::trim) {
            let same = |output: &OutputColumn| output.column.name.eq_ignore_ascii_case(name);
            let place = all.iter().position(same).ok_or_else(|| wrong(format!("there is no column {name}")))?;
            if places.contains(&place) {
                return Err(wrong(format!("column {name} is named twice")));
            }
            places.push(place);
        }
        if form != Form::Records {
            places.sort_unstable();
        }
        plan.columns = places.into_iter().filter_map(|place| all.get(place).cloned()).collect();
    }
    demand_carried(plan.columns.iter().map(|output| &output.column))?;
    if form == Form::Records {
        plan.delivery.timestamps = Timestamps::Struct;
    }
    Ok(plan)
}

fn describe(session: &StoredSession, plan: &Plan, quota: &str) -> Value {
    let status = match Status::of(session, now_ms()) {
        Status::Init => "initiating",
        Status::Normal => "normal",
        Status::Expired => "expired",
    };
    let of = |partition: bool| {
        let outputs = plan.columns.iter().filter(move |output| output.partition_index.is_some() == partition);
        outputs.map(|output| &output.column)
    };
    json!({
        "DownloadID": session.id,
        "Status": status,
        "RecordCount": plan.row_count(),
        "Schema": schema(of(false), of(true)),
        "QuotaName": quota,
    })
}
