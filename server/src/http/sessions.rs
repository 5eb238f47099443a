//! R1 and R2: create, get and refresh a read session (storage-api-v1.md section 4).

use std::sync::Arc;

use axum::body::Body;
use serde_json::{Map, Value, json};
use tokio::task::spawn_blocking;
use uuid::Uuid;

use super::reply::Reply;
use super::request::{Head, Plane};
use super::server::no_such;
use super::state::Shared;
use crate::catalog::{Column, Snapshot, StoredSession, TableName};
use crate::clock::now_ms;
use crate::error::ApiError;
use crate::governance::{self, Operation, Target};
use crate::plan::{CreateRequest, Limits, Plan, Planner, SplitMode};

/// Attempts to pin a snapshot while files are being replaced.
const PIN_ATTEMPTS: usize = 5;

/// The state of a session now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Init,
    Normal,
    Expired,
}

impl Status {
    /// The state at `now` of a stored session.
    pub fn of(session: &StoredSession, now: i64) -> Status {
        if session.expires_ms <= now {
            Status::Expired
        } else if session.ready_ms > now {
            Status::Init
        } else {
            Status::Normal
        }
    }

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Status::Init => "INIT",
            Status::Normal => "NORMAL",
            Status::Expired => "EXPIRED",
        }
    }
}

/// R1. Answers 201 if the session is ready, 202 if planning is delayed on request.
pub async fn create(shared: &Arc<Shared>, head: &Head, table: TableName, body: Body) -> Result<Reply, ApiError> {
    let body = head.read_body(body).await?;
    let request = CreateRequest::parse(&body)?;
    let (session, plan) = open(shared, head, table, request, shared.limits).await?;
    let status = Status::of(&session, now_ms());
    let code = if status == Status::Init { 202 } else { 201 };
    Ok(Reply::json(code, &describe(&session, &plan, status)))
}

/// R2. `session_refresh=true` prolongs the session, also an expired one whose files are still there.
pub async fn get(shared: &Arc<Shared>, head: &Head, table: TableName, id: String) -> Result<Reply, ApiError> {
    let (session, plan) = look_up(shared, head, table, id).await?;
    Ok(Reply::json(200, &describe(&session, &plan, Status::of(&session, now_ms()))))
}

/// Creates a session for whoever may read what it reads.
pub async fn open(
    shared: &Arc<Shared>,
    head: &Head,
    table: TableName,
    request: CreateRequest,
    limits: Limits,
) -> Result<(StoredSession, Arc<Plan>), ApiError> {
    let operation = Operation::CreateReadSession;
    let mut right = governance::check(shared, head, operation, Target::Table(&table)).await?;
    // Wrong columns are told before a slot is taken, so that order and error are the same on a busy quota.
    let (state, name) = (shared.clone(), table.clone());
    let (request, planned) = blocking(move || {
        let planned = plan(&state, &name, &request, limits)?;
        Ok((request, planned))
    })
    .await?;
    right.columns(planned.plan.told())?;
    let permit = right.enter().await?;
    let (shared, quota) = (shared.clone(), governance::named_quota(head).map(str::to_string));
    blocking(move || {
        let _permit = permit;
        let (session, plan) = store(&shared, &table, &request, planned, limits)?;
        governance::remember_quota(&shared, quota.as_deref(), &session.id)?;
        Ok((session, plan))
    })
    .await
}

/// Finds a session, and prolongs it if the query asks for that.
pub async fn look_up(
    shared: &Arc<Shared>,
    head: &Head,
    table: TableName,
    id: String,
) -> Result<(StoredSession, Arc<Plan>), ApiError> {
    let refresh = head.query.get("session_refresh").is_some_and(|v| v.eq_ignore_ascii_case("true"));
    let operation = if refresh { Operation::RefreshSession } else { Operation::GetSession };
    let mut right = governance::check(shared, head, operation, Target::Table(&table)).await?;
    let state = shared.clone();
    let (table, id, plan) = blocking(move || {
        let session = find(&state, &table, &id)?;
        let plan = state.plan(&session)?;
        Ok((table, id, plan))
    })
    .await?;
    right.columns(plan.told())?;
    let _permit = right.enter().await?;
    let shared = shared.clone();
    blocking(move || {
        let mut session = find(&shared, &table, &id)?;
        if refresh {
            let expires_ms = now_ms() + shared.session_lifetime.as_millis() as i64;
            if !shared.catalog.extend_session(&id, expires_ms)? {
                return Err(expired(&id));
            }
            session.expires_ms = expires_ms;
        }
        Ok((session, plan))
    })
    .await
}

/// Runs blocking work of one request.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    match spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(anyhow::anyhow!("a request failed: {error}").into()),
    }
}

/// The session of that id on that table. Fails with `NoSuchProject`, `NoSuchDownload`.
pub fn find(shared: &Shared, table: &TableName, id: &str) -> Result<StoredSession, ApiError> {
    if shared.catalog.project(&table.project)?.is_none() {
        return Err(no_such(Plane::Storage, "Project", &table.project));
    }
    let missing = || ApiError::new(404, "NoSuchDownload", format!("there is no session {id} on {table}"));
    shared.catalog.session(id)?.filter(|session| session.table.is(table)).ok_or_else(missing)
}

/// Refuses to read a session that is not planned yet, or whose life is over.
pub fn demand_normal(session: &StoredSession) -> Result<(), ApiError> {
    match Status::of(session, now_ms()) {
        Status::Normal => Ok(()),
        Status::Expired => Err(expired(&session.id)),
        Status::Init => {
            let message = format!("the session {} is still being planned", session.id);
            Err(ApiError::new(409, "StatusConflict", message))
        }
    }
}

/// The error for a session past its end.
pub fn expired(id: &str) -> ApiError {
    ApiError::new(409, "StatusConflict", format!("the session {id} is expired"))
}

/// The plan of a session over the table as it is now, and the table's spelling of its name.
struct Planned {
    table: TableName,
    plan: Plan,
}

fn plan(shared: &Shared, name: &TableName, request: &CreateRequest, limits: Limits) -> Result<Planned, ApiError> {
    let planner = Planner { catalog: &shared.catalog, footers: &shared.footers, limits };
    let snapshot = resolve(shared, name)?;
    let table = snapshot.table.name.clone();
    let compared = planner.predicate_columns(&snapshot.table, request)?;
    Ok(Planned { table, plan: Plan { compared, ..planner.plan(snapshot, request)? } })
}

/// Stores a session, which pins its files. Plans again if they were replaced meanwhile.
fn store(
    shared: &Shared,
    name: &TableName,
    request: &CreateRequest,
    planned: Planned,
    limits: Limits,
) -> Result<(StoredSession, Arc<Plan>), ApiError> {
    let mut planned = Some(planned);
    for _ in 0..PIN_ATTEMPTS {
        let Planned { table, plan } = match planned.take() {
            Some(planned) => planned,
            None => plan(shared, name, request, limits)?,
        };
        let now = now_ms();
        let session = StoredSession {
            id: new_id(now),
            table,
            created_ms: now,
            ready_ms: now + shared.planning_delay.as_millis() as i64,
            expires_ms: now + shared.session_lifetime.as_millis() as i64,
            plan: serde_json::to_string(&plan).map_err(anyhow::Error::from)?,
        };
        if shared.catalog.insert_session(&session, &plan.pinned_files())? {
            let plan = shared.keep_plan(&session.id, plan);
            return Ok((session, plan));
        }
        // A commit replaced files between planning and pinning: plan again over the new state.
    }
    Err(ApiError::new(409, "TableModified", format!("{name} changed while the session was planned: try again")))
}

/// The newest state of a table. Fails with `NoSuchProject`, `NoSuchSchema`, `NoSuchTable`.
pub fn resolve(shared: &Shared, name: &TableName) -> Result<Snapshot, ApiError> {
    if shared.catalog.project(&name.project)?.is_none() {
        return Err(no_such(Plane::Storage, "Project", &name.project));
    }
    if shared.catalog.schema(&name.project, &name.schema)?.is_none() {
        return Err(no_such(Plane::Storage, "Schema", &name.schema));
    }
    shared.catalog.snapshot(name)?.ok_or_else(|| no_such(Plane::Storage, "Table", &name.to_string()))
}

/// An id of letters, digits and `_` only, as canonical strings like it.
pub fn new_id(now: i64) -> String {
    format!("{now}_{}", Uuid::new_v4().simple())
}

/// The answer of section 4.4. No key is ever null.
fn describe(session: &StoredSession, plan: &Plan, status: Status) -> Value {
    let mut answer = Map::new();
    answer.insert("SessionId".into(), json!(session.id));
    answer.insert("SessionType".into(), json!("batch_read"));
    answer.insert("SessionStatus".into(), json!(status.name()));
    answer.insert("ExpirationTime".into(), json!(session.expires_ms));
    answer.insert("SplitMode".into(), json!(plan.split_mode));
    if status == Status::Init {
        return Value::Object(answer);
    }
    let by_rows = plan.split_mode == SplitMode::RowOffset;
    let (splits, rows) = if by_rows { (-1, plan.row_count() as i64) } else { (plan.splits.len() as i64, -1) };
    answer.insert("SplitsCount".into(), json!(splits));
    answer.insert("RecordCount".into(), json!(rows));
    let columns = |partition: bool| -> Vec<Value> {
        plan.columns.iter().filter(|c| c.partition_index.is_some() == partition).map(|c| column(&c.column)).collect()
    };
    let mut schema = json!({"DataColumns": columns(false), "PartitionColumns": columns(true)});
    if let Some(options) = plan.incremental_echo() {
        schema["SystemColumns"] = plan.system_columns.iter().map(column).collect();
        answer.insert("IncrementalReadOptions".into(), options);
    }
    answer.insert("DataSchema".into(), schema);
    answer.insert("LatestVersion".into(), json!(plan.latest_version));
    if plan.split_mode == SplitMode::Bucket {
        answer.insert("SplitBucketId".into(), json!(plan.bucket_ids));
    }
    answer.insert("SupportedDataFormat".into(), json!([{"Type": "ARROW", "Version": "V5"}]));
    if let Some((bytes, rows)) = plan.stats {
        answer.insert("SessionStats".into(), json!({"EstimatedSize": bytes, "EstimatedRowCount": rows}));
    }
    Value::Object(answer)
}

/// A column of `DataSchema`.
pub fn column(column: &Column) -> Value {
    json!({"Name": column.name, "Type": column.ty.to_string(), "Comment": column.comment, "Nullable": column.nullable})
}
