//! InstanceCreateReadSession, InstanceGetReadSession, InstanceRead: results of SQL instances (storage-api-v2-v3.md 3.10).

use std::sync::Arc;

use axum::body::Body;
use serde::Deserialize;
use serde_json::{Value, json};

use super::read::{Form, compression, plain_rows, send};
use super::read_session::limits;
use super::schema::result_schema;
use super::{DataFormat, parse, required, target};
use crate::catalog::{InstanceState, StoredSession, TableName, result_table};
use crate::clock::now_ms;
use crate::error::ApiError;
use crate::governance::{self, Caller, Operation, Target};
use crate::http::instances;
use crate::http::reply::Reply;
use crate::http::request::{Head, Plane};
use crate::http::sessions::{blocking, new_id};
use crate::http::state::Shared;
use crate::plan::{CreateRequest, Plan, Planner, SplitMode};
use crate::read::{ReplayKey, Shape};

/// Rows of a result that is limited (Q21).
const LIMITED_ROWS: u64 = 10_000;

/// Rows of a batch if the client does not say, and at most.
const DEFAULT_BATCH_ROWS: i64 = 4096;
const MAX_BATCH_ROWS: i64 = 20_000;

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct SessionRequest {
    enable_limit: bool,
}

/// `TaskName` and `QueryId` name the only task there is. Clients of the older kind send the body of TableRead.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct ReadRequest {
    columns: Vec<String>,
    data_columns: Vec<String>,
    max_batch_rows: i64,
    max_batch_raw_size: i64,
    skip_row_num: i64,
    data_format: DataFormat,
}

/// Opens the result of an instance that has succeeded.
pub async fn create(shared: &Arc<Shared>, head: &Head, body: Body) -> Result<Reply, ApiError> {
    let (project, id) = target::instance(head)?;
    let request: SessionRequest = parse(&head.read_body(body).await?)?;
    let permit = governance::admit(shared, head, Operation::OpenInstance, Target::Project(&project)).await?;
    let quota = permit.quota().to_string();
    let named = governance::named_quota(head).map(str::to_string);
    let (shared, caller) = (shared.clone(), head.caller.clone());
    blocking(move || {
        let _permit = permit;
        let table = result(&shared, &caller, &project, &id)?;
        let snapshot = shared.catalog.snapshot(&table)?.ok_or_else(|| no_result(&id))?;
        let planner = Planner { catalog: &shared.catalog, footers: &shared.footers, limits: limits(&shared) };
        let mut by_rows = CreateRequest::default();
        by_rows.split_options.split_mode = SplitMode::RowOffset;
        let mut plan = planner.plan(snapshot, &by_rows)?;
        if request.enable_limit {
            shorten(&mut plan, LIMITED_ROWS);
        }
        let now = now_ms();
        let session = StoredSession {
            id: new_id(now),
            table,
            created_ms: now,
            ready_ms: now,
            expires_ms: now + shared.session_lifetime.as_millis() as i64,
            plan: serde_json::to_string(&plan).map_err(anyhow::Error::from)?,
        };
        if !shared.catalog.insert_session(&session, &plan.pinned_files())? {
            return Err(no_result(&id));
        }
        governance::remember_quota(&shared, named.as_deref(), &session.id)?;
        let plan = shared.keep_plan(&session.id, plan);
        Ok(Reply::json(200, &describe(&session, &plan, &quota)))
    })
    .await
}

/// Describes what [`create`] opened; `session_refresh=true` prolongs it.
pub async fn get(shared: &Arc<Shared>, head: &Head) -> Result<Reply, ApiError> {
    let (project, instance) = target::instance(head)?;
    let id = required(head, "SessionId")?.to_string();
    let refresh = head.query.get("session_refresh").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let operation = if refresh { Operation::RefreshSession } else { Operation::GetSession };
    let permit = governance::admit(shared, head, operation, Target::Project(&project)).await?;
    let quota = permit.quota().to_string();
    let (shared, caller) = (shared.clone(), head.caller.clone());
    blocking(move || {
        let _permit = permit;
        let session = find(&shared, &caller, &project, &instance, &id)?;
        if refresh {
            let expires_ms = now_ms() + shared.session_lifetime.as_millis() as i64;
            if !shared.catalog.extend_session(&id, expires_ms)? {
                return Err(no_result(&instance));
            }
        }
        Ok(Reply::json(200, &describe(&session, &*shared.plan(&session)?, &quota)))
    })
    .await
}

/// The rows of a result, from `Offset` on, `Count` of them or all that follow.
pub async fn read(shared: &Arc<Shared>, head: &Head, body: Body) -> Result<Reply, ApiError> {
    let (project, instance) = target::instance(head)?;
    let request: ReadRequest = parse(&head.read_body(body).await?)?;
    request.data_format.check()?;
    let id = required(head, "SessionId")?.to_string();
    let (offset, count): (Option<u64>, Option<u64>) = (head.integer("Offset")?, head.integer("Count")?);
    if request.max_batch_rows < 0 || request.max_batch_raw_size < 0 || request.skip_row_num < 0 {
        return Err(ApiError::argument("MaxBatchRows, MaxBatchRawSize and SkipRowNum must not be negative"));
    }
    let permit = governance::admit(shared, head, Operation::ReadInstance, Target::Project(&project)).await?;
    let batch_rows = if request.max_batch_rows == 0 { DEFAULT_BATCH_ROWS } else { request.max_batch_rows };
    let (coding, compression) = compression(head);
    let shape = Shape {
        compression,
        batch_rows: batch_rows.min(MAX_BATCH_ROWS) as usize,
        batch_bytes: usize::try_from(request.max_batch_raw_size).unwrap_or(usize::MAX),
    };
    let (state, caller) = (shared.clone(), head.caller.clone());
    let (rows, key) = blocking(move || {
        let session = find(&state, &caller, &project, &instance, &id)?;
        if session.expires_ms <= now_ms() {
            return Err(ApiError::new(409, "StatusConflict", format!("the session {id} is expired")));
        }
        let plan = state.plan(&session)?;
        let total = plan.row_count();
        let start = offset.unwrap_or(0).saturating_add(request.skip_row_num.unsigned_abs());
        let count = count.unwrap_or(total.saturating_sub(start));
        let range = plan.rows(start, count).ok_or_else(|| {
            let end = start.saturating_add(count);
            ApiError::argument(format!("rows {start} to {end} are requested, the result has {total}"))
        })?;
        let names = if request.columns.is_empty() { &request.data_columns } else { &request.columns };
        let places = places(&plan, names)?;
        let rows = plain_rows(&state.catalog, &state.footers, plan, range.clone(), &places, shape.batch_rows)?;
        let variant = format!("{:?}", crate::read::Batches::schema(&rows));
        Ok((rows, ReplayKey { variant, ..ReplayKey::new(&session.id, &range, shape) }))
    })
    .await?;
    send(shared, head, permit, rows, Form { shape, coding, key: Some(key) }).await
}

/// The hidden table with the rows of an instance.
fn result(shared: &Shared, caller: &Caller, project: &str, id: &str) -> Result<TableName, ApiError> {
    let instance = instances::find_result(shared, caller, Plane::Storage, project, id)?;
    match instance.state {
        InstanceState::Success => instance.result.ok_or_else(|| no_result(id)),
        InstanceState::Running => {
            Err(ApiError::new(409, "InvalidStateSetting", format!("the instance {id} is still running")))
        }
        state => {
            let message = format!("the instance {id} is {}, so it has no result", state.name());
            Err(ApiError::new(409, "InvalidStateSetting", message))
        }
    }
}

fn no_result(id: &str) -> ApiError {
    let message = format!("the instance {id} has no rows: it is no SELECT, or its result is older than a day");
    ApiError::new(404, "NoSuchObject", message)
}

/// The session of that id over the result of that instance.
fn find(shared: &Shared, caller: &Caller, project: &str, instance: &str, id: &str) -> Result<StoredSession, ApiError> {
    instances::find_result(shared, caller, Plane::Storage, project, instance)?;
    let session = shared.catalog.session(id)?.filter(|session| session.table == result_table(instance));
    session.ok_or_else(|| ApiError::new(404, "NoSuchObject", format!("instance {instance} has no session {id}")))
}

/// Leaves the first rows of a plan.
pub fn shorten(plan: &mut Plan, rows: u64) {
    let mut left = rows;
    for block in &mut plan.blocks {
        block.2 = block.2.min(left);
        left -= block.2;
    }
    plan.blocks.retain(|block| block.2 > 0);
}

fn places(plan: &Plan, names: &[String]) -> Result<Vec<usize>, ApiError> {
    if names.is_empty() {
        return Ok((0..plan.columns.len()).collect());
    }
    let place = |name: &String| {
        let found = plan.columns.iter().position(|output| output.column.name.eq_ignore_ascii_case(name));
        found.ok_or_else(|| ApiError::argument(format!("the result has no column {name}")))
    };
    names.iter().map(place).collect()
}

fn describe(session: &StoredSession, plan: &Plan, quota: &str) -> Value {
    let columns: Vec<_> = plan.columns.iter().map(|output| output.column.clone()).collect();
    json!({
        "DownloadID": session.id,
        "Status": "normal",
        "RecordCount": plan.row_count(),
        "TableSchema": result_schema(&columns),
        "QuotaName": quota,
    })
}
