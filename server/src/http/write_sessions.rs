//! W1 to W4: create and get a write session, write a block, commit (storage-api-v1.md sections 7 to 9).

use std::sync::Arc;

use axum::body::Body;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::data::check_format;
use super::reply::Reply;
use super::request::{Head, Plane};
use super::server::no_such;
use super::sessions::{blocking, column, new_id};
use super::state::Shared;
use crate::catalog::{Column, Table, TableKind, TableName, Unit, WriteSession, WriteStatus};
use crate::clock::now_ms;
use crate::error::ApiError;
use crate::governance::{self, Caller, Operation, Permit, Target as Subject};
use crate::write::{
    Attempt, BlockOptions, CommitRequest, Distribution, Flight, Layout, MAX_BLOCKS, TableWriter, Target, WriteError,
    choose, commit_session, commit_when_due, demand_open, drain, receive, stage_block,
};

/// What a session of blocks stores of its creation.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Stored {
    blocks: BlockOptions,
}

/// W1. The session takes blocks at once.
pub async fn create(shared: &Arc<Shared>, head: &Head, name: TableName, body: Body) -> Result<Reply, ApiError> {
    let body = head.read_body(body).await?;
    create_of(shared, head, name, &body).await
}

/// W1 of a request that has been read.
pub async fn create_of(shared: &Arc<Shared>, head: &Head, name: TableName, body: &[u8]) -> Result<Reply, ApiError> {
    let options = BlockOptions::parse(body)?;
    let right = governance::check(shared, head, Operation::CreateWriteSession, Subject::Table(&name)).await?;
    let state = shared.clone();
    let (session, answer) = blocking(move || {
        let target = options.target(resolve(&state, &name)?)?;
        let now = now_ms();
        let session = WriteSession {
            id: new_id(now),
            table: target.table.name.clone(),
            destination: target.destination(options.overwrite),
            request: json!(Stored { blocks: options.clone() }).to_string(),
            status: WriteStatus::Normal,
            message: String::new(),
            created_ms: now,
            expires_ms: now + state.session_lifetime.as_millis() as i64,
        };
        let answer = describe(&session, &options, &target)?;
        Ok((session, answer))
    })
    .await?;
    let permit = right.enter().await?;
    let (shared, quota) = (shared.clone(), governance::named_quota(head).map(str::to_string));
    blocking(move || {
        let _permit = permit;
        shared.catalog.insert_write_session(&session)?;
        governance::remember_quota(&shared, quota.as_deref(), &session.id)?;
        Ok(Reply::json(201, &answer))
    })
    .await
}

/// W2. `session_refresh` has no effect on write sessions.
pub async fn get(shared: &Arc<Shared>, head: &Head, name: TableName, id: String) -> Result<Reply, ApiError> {
    let permit = governance::admit(shared, head, Operation::GetSession, Subject::Table(&name)).await?;
    let shared = shared.clone();
    blocking(move || {
        let _permit = permit;
        let (session, options) = find(&shared, &name, &id)?;
        Ok(Reply::json(200, &describe_stored(&shared, &session, &options)?))
    })
    .await
}

/// W3. Takes the rows as they arrive; nothing of them stays if the body does not end as it should.
pub async fn write(
    shared: &Arc<Shared>,
    head: &Head,
    name: TableName,
    id: String,
    body: Body,
) -> Result<Reply, ApiError> {
    let block = match prepare(shared, head, name, id).await {
        Ok(block) => block,
        Err(error) => {
            drain(body).await;
            return Err(error);
        }
    };
    let Block { session, options, target, at, flight, permit } = block;
    let (catalog, counter) = (shared.catalog.clone(), permit.clone());
    let open = move |schema: &_| -> Result<TableWriter, WriteError> {
        Ok(TableWriter::new(&catalog, &target, schema)?.observed_by(move |rows| counter.count(rows)))
    };
    let written = receive(permit.incoming(body), open).await?;
    let state = shared.clone();
    blocking(move || {
        let message = stage_block(&state.catalog, &session, &options, at, written)?;
        drop(flight);
        Ok(Reply::json(200, &json!({"CommitMessage": message})))
    })
    .await
}

/// A block that may be written.
struct Block {
    session: WriteSession,
    options: BlockOptions,
    target: Target,
    at: Attempt,
    flight: Flight,
    permit: Permit,
}

async fn prepare(shared: &Arc<Shared>, head: &Head, name: TableName, id: String) -> Result<Block, ApiError> {
    check_format(head)?;
    let at = attempt(head)?;
    let right = governance::check(shared, head, Operation::WriteRows, Subject::Table(&name)).await?;
    let permit = right.enter().await?;
    let shared = shared.clone();
    blocking(move || {
        let (session, options) = find(&shared, &name, &id)?;
        demand_open(&session, now_ms())?;
        let table = resolve(&shared, &name)?;
        if table.id != session.destination.table_id || table.schema_version != session.destination.schema_version {
            let message = format!("{name} was changed since the write session was created");
            return Err(ApiError::new(409, "TableModified", message));
        }
        let target = options.target(table)?;
        let limit = block_limit(&options, &Layout::of(&target.table)?);
        if at.block >= limit {
            let message = format!("block_number {} is out of range: the session takes 0 to {}", at.block, limit - 1);
            return Err(ApiError::new(400, "InvalidBlockID", message));
        }
        let alone = options.enhance_write_check;
        let flight = shared.flying.begin(&session.id, at, alone).ok_or_else(|| twice(at))?;
        if alone && shared.catalog.has_unit(&session.id, &at.unit())? {
            return Err(twice(at));
        }
        Ok(Block { session, options, target, at, flight, permit })
    })
    .await
}

/// W4. Committing again what is committed succeeds.
pub async fn commit(shared: &Arc<Shared>, head: &Head, name: TableName, body: Body) -> Result<Reply, ApiError> {
    let body = head.read_body(body).await?;
    let id = any_of(head, &["session_id", "SessionId"]).unwrap_or_default().to_string();
    if id.is_empty() {
        return Err(ApiError::argument("session_id is missing"));
    }
    let request = CommitRequest::parse(&body)?;
    let permit = governance::admit(shared, head, Operation::CommitSession, Subject::Table(&name)).await?;
    let state = shared.clone();
    let (session, options) = blocking(move || find(&state, &name, &id)).await?;
    if session.status == WriteStatus::Normal && options.enhance_write_check {
        let flying = shared.flying.wait(&session.id, request.wait()).await;
        if flying > 0 {
            let message = format!("{flying} blocks are still being written after {} s", request.wait().as_secs());
            return Err(ApiError::new(409, "StatusConflict", message));
        }
    }
    let state = shared.clone();
    let (runtime, caller) = (tokio::runtime::Handle::current(), head.caller.clone());
    blocking(move || {
        let _permit = permit;
        let mut session = session;
        session.status = match session.status {
            state @ (WriteStatus::Committed | WriteStatus::Committing) => state,
            _ => {
                demand_open(&session, now_ms())?;
                let units = choose(&state.catalog, &session, &options, &request)?;
                demand_partitions(&state, &caller, &session, &units)?;
                if state.commit_delay.is_zero() {
                    commit_session(&state.catalog, &session.id, &units)?;
                    WriteStatus::Committed
                } else {
                    let due_ms = now_ms() + state.commit_delay.as_millis() as i64;
                    state.catalog.begin_commit(&session.id, &units, due_ms)?;
                    let catalog = state.catalog.clone();
                    runtime.spawn(commit_when_due(catalog, session.id.clone(), units, due_ms));
                    WriteStatus::Committing
                }
            }
        };
        let code = if session.status == WriteStatus::Committed { 201 } else { 202 };
        Ok(Reply::json(code, &Value::Object(summary(&session))))
    })
    .await
}

/// Demands the right to create partitions if the commit would create some.
pub fn demand_partitions(
    shared: &Shared,
    caller: &Caller,
    session: &WriteSession,
    units: &[Unit],
) -> Result<(), ApiError> {
    let Some(table) = shared.catalog.table_by_id(session.destination.table_id)? else { return Ok(()) };
    if !shared.governance.checks || table.partition_keys.is_empty() {
        return Ok(());
    }
    let files = shared.catalog.staged_files(&session.id, units)?;
    let named = session.destination.static_partition();
    let receiving = files.iter().map(|file| file.partition.as_slice()).chain(named.as_deref());
    demand_new_partitions(shared, caller, &table, receiving)
}

/// Demands the right to create partitions if one of these does not exist.
pub fn demand_new_partitions<'a>(
    shared: &Shared,
    caller: &Caller,
    table: &Table,
    mut receiving: impl Iterator<Item = &'a [String]>,
) -> Result<(), ApiError> {
    if !shared.governance.checks || table.partition_keys.is_empty() {
        return Ok(());
    }
    let known = shared.catalog.partitions(table.id)?;
    match receiving.any(|values| !known.iter().any(|partition| partition.values == values)) {
        true => governance::require_new_partitions(shared, caller, table),
        false => Ok(()),
    }
}

/// The table, if rows can be written into it.
pub fn resolve(shared: &Shared, name: &TableName) -> Result<Table, ApiError> {
    if shared.catalog.project(&name.project)?.is_none() {
        return Err(no_such(Plane::Storage, "Project", &name.project));
    }
    if shared.catalog.schema(&name.project, &name.schema)?.is_none() {
        return Err(no_such(Plane::Storage, "Schema", &name.schema));
    }
    let table = shared.catalog.table(name)?.ok_or_else(|| no_such(Plane::Storage, "Table", &name.to_string()))?;
    match table.kind {
        TableKind::Managed => Ok(table),
        kind => Err(ApiError::new(
            405,
            "MethodNotAllowed",
            format!("{} is of type {}, which takes no rows", table.name, kind.name()),
        )),
    }
}

/// The session of blocks of that id on that table. Fails with `NoSuchProject`, `NoSuchUpload`.
fn find(shared: &Shared, name: &TableName, id: &str) -> Result<(WriteSession, BlockOptions), ApiError> {
    if shared.catalog.project(&name.project)?.is_none() {
        return Err(no_such(Plane::Storage, "Project", &name.project));
    }
    shared
        .catalog
        .write_session(id)?
        .filter(|session| session.table.is(name))
        .and_then(|session| {
            let stored: Stored = serde_json::from_str(&session.request).ok()?;
            Some((session, stored.blocks))
        })
        .ok_or_else(|| ApiError::new(404, "NoSuchUpload", format!("there is no write session {id} on {name}")))
}

/// Whether a session takes blocks, and not streams.
pub fn is_of_blocks(session: &WriteSession) -> bool {
    serde_json::from_str::<Stored>(&session.request).is_ok()
}

/// A parameter that version 2 spells in another way.
fn any_of<'a>(head: &'a Head, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| head.query.get(name)).filter(|value| !value.is_empty())
}

fn attempt(head: &Head) -> Result<Attempt, ApiError> {
    let number = |names: &[&str]| -> Result<Option<i64>, ApiError> {
        let parse = |text: &str| text.parse().map_err(|_| ApiError::argument(format!("\"{text}\" is not a number")));
        any_of(head, names).map(parse).transpose()
    };
    let block = number(&["block_number", "BlockNumber"])?;
    let attempt = number(&["attempt_number", "AttemptNumber"])?;
    let (Some(block), Some(attempt)) = (block, attempt) else {
        return Err(ApiError::argument("block_number or attempt_number is missing"));
    };
    if block < 0 || attempt < 0 {
        let message = format!("block_number {block} or attempt_number {attempt} is negative");
        return Err(ApiError::new(400, "InvalidBlockID", message));
    }
    Ok(Attempt { block, attempt })
}

fn twice(at: Attempt) -> ApiError {
    let Attempt { block, attempt } = at;
    ApiError::new(409, "AlreadyWritten", format!("block {block} was written in attempt {attempt} before"))
}

/// Blocks of a session at most. Writers that distribute rows over hash buckets have one block per bucket.
fn block_limit(options: &BlockOptions, layout: &Layout) -> i64 {
    match layout.distribution {
        Distribution::Hash { buckets, .. } if options.support_write_cluster => i64::from(buckets),
        _ => MAX_BLOCKS,
    }
}

/// The keys that every answer about a session has.
fn summary(session: &WriteSession) -> Map<String, Value> {
    let expired = session.status == WriteStatus::Normal && session.expires_ms <= now_ms();
    let status = if expired { "EXPIRED" } else { session.status.name() };
    let mut answer = Map::new();
    answer.insert("SessionId".into(), json!(session.id));
    answer.insert("SessionType".into(), json!("batch_write"));
    answer.insert("SessionStatus".into(), json!(status));
    answer.insert("ExpirationTime".into(), json!(session.expires_ms));
    if !session.message.is_empty() {
        answer.insert("Message".into(), json!(session.message));
    }
    answer
}

/// The answer of section 7.2. No key is ever null.
fn describe(session: &WriteSession, options: &BlockOptions, target: &Target) -> Result<Value, ApiError> {
    let table = &target.table;
    let layout = Layout::of(table)?;
    let mut answer = summary(session);
    answer.insert("MaxBlockNumber".into(), json!(block_limit(options, &layout)));
    answer.insert("EnhanceWriteCheck".into(), json!(options.enhance_write_check));
    let open = table.partition_keys.iter().zip(&target.partition).filter(|(_, value)| value.is_none());
    let schema = json!({
        "DataColumns": table.columns.iter().map(column).collect::<Vec<_>>(),
        "PartitionColumns": open.map(|(key, _)| column(key)).collect::<Vec<_>>(),
    });
    answer.insert("DataSchema".into(), schema);
    answer.insert("SupportedDataFormat".into(), json!([{"Type": "ARROW", "Version": "V5"}]));
    let name =
        |number: &usize| table.columns.get(*number).map(|column: &Column| column.name.clone()).unwrap_or_default();
    let (kind, columns, buckets) = match &layout.distribution {
        Distribution::Hash { columns, buckets } if options.support_write_cluster => ("HASH", columns, *buckets),
        Distribution::Range { columns, buckets } if options.support_write_cluster => ("RANGE", columns, *buckets),
        // The server distributes and sorts the rows itself.
        _ => return Ok(Value::Object(answer)),
    };
    let keys: Vec<String> = columns.iter().map(name).collect();
    let distribution = json!({"Type": kind, "ClusterKeys": keys, "BucketsNumber": buckets});
    answer.insert("RequiredDistribution".into(), distribution);
    let ordering = layout.sort.iter().map(|(number, ascending)| {
        let (direction, nulls) = if *ascending { ("ASC", "NULLS_FIRST") } else { ("DESC", "NULLS_LAST") };
        json!({"Name": name(number), "SortDirection": direction, "NullOrdering": nulls})
    });
    answer.insert("RequiredOrdering".into(), ordering.collect());
    Ok(Value::Object(answer))
}

/// The description of a stored session; the bare summary if its table is gone or has changed.
fn describe_stored(shared: &Shared, session: &WriteSession, options: &BlockOptions) -> Result<Value, ApiError> {
    let destination = &session.destination;
    let same = |table: &Table| table.schema_version == destination.schema_version;
    match shared.catalog.table_by_id(destination.table_id)?.filter(same) {
        Some(table) => describe(session, options, &options.target(table)?),
        None => Ok(Value::Object(summary(session))),
    }
}
