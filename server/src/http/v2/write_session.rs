//! Write sessions: create, get, commit, abort (storage-api-v2-v3.md 4.1, 4.2, 4.7, 4.8).

use std::sync::Arc;

use axum::body::Body;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::schema::write_schema;
use super::{DataFormat, blocks, parse, required};
use crate::catalog::{Stream, StreamRefusal, Table, TableName, Unit, WriteSession, WriteStatus};
use crate::clock::now_ms;
use crate::error::ApiError;
use crate::governance::{self, Operation, Target as Subject};
use crate::http::reply::Reply;
use crate::http::request::Head;
use crate::http::sessions::{blocking, new_id};
use crate::http::state::Shared;
use crate::http::write_sessions::{demand_partitions, resolve};
use crate::write::{Target, commit_session, demand_open};

/// The session that needs no creation: rows are visible at once.
pub const DEFAULT: &str = "default";

/// Streams of a session at most (one per writer).
const MAX_STREAMS: usize = 100_000;

/// What a session of streams stores of its creation.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct StreamOptions {
    /// Rows are visible as soon as they are written.
    pub streaming: bool,
    /// The session follows its table to other columns.
    pub schema_evolution: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Stored {
    streams: StreamOptions,
}

/// Where the streams of a request belong.
pub enum Place {
    /// The table itself: session `default`.
    Table(Table),
    Session(Box<WriteSession>, StreamOptions, Table),
}

impl Place {
    /// Finds table and session of a request. Fails with 404, and 409 if the table is another one by now.
    pub fn find(shared: &Shared, name: &TableName, id: &str) -> Result<Place, ApiError> {
        let table = resolve(shared, name)?;
        if id.eq_ignore_ascii_case(DEFAULT) {
            return Ok(Place::Table(table));
        }
        let missing = || ApiError::new(404, "NoSuchObject", format!("there is no write session {id} on {name}"));
        let session = shared.catalog.write_session(id)?.filter(|session| session.table.is(name));
        let session = session.ok_or_else(missing)?;
        let stored: Stored = serde_json::from_str(&session.request).map_err(|_| {
            ApiError::new(409, "StatusConflict", format!("the write session {id} takes blocks, not streams"))
        })?;
        if session.destination.table_id != table.id {
            return Err(ApiError::new(409, "TableModified", format!("{name} is another table by now")));
        }
        Ok(Place::Session(Box::new(session), stored.streams, table))
    }

    pub fn table(&self) -> &Table {
        match self {
            Place::Table(table) | Place::Session(_, _, table) => table,
        }
    }

    /// The session id that streams are stored under.
    pub fn key(&self) -> String {
        match self {
            Place::Table(table) => Stream::of_table(table.id),
            Place::Session(session, ..) => session.id.clone(),
        }
    }

    /// Whether rows are visible as soon as they are written.
    pub fn streaming(&self) -> bool {
        match self {
            Place::Table(_) => true,
            Place::Session(_, options, _) => options.streaming,
        }
    }

    /// Refuses a session that takes nothing any more, and one whose table has other columns than it was made for.
    pub fn demand_open(&self) -> Result<(), ApiError> {
        let Place::Session(session, options, table) = self else { return Ok(()) };
        if session.status == WriteStatus::Normal && session.expires_ms <= now_ms() {
            return Err(ApiError::new(404, "NoSuchObject", format!("the write session {} is expired", session.id)));
        }
        demand_open(session, now_ms())?;
        let follows = options.schema_evolution || options.streaming;
        if !follows && session.destination.schema_version != table.schema_version {
            let message = format!("the columns of {} changed since the write session was created", table.name);
            return Err(ApiError::new(409, "TableModified", message));
        }
        Ok(())
    }

    /// The schema of the rows that clients are to send.
    pub fn write_schema(&self) -> Value {
        let target = self.target();
        write_schema(&target.table, &target.partition)
    }

    /// What rows are written into: the table as it is now.
    pub fn target(&self) -> Target {
        let table = Target::table(self.table().clone());
        match self {
            Place::Table(_) => table,
            Place::Session(session, ..) => Target { partition: session.destination.partition.clone(), ..table },
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct CreateRequest {
    partial_partition_spec: String,
    flags: Map<String, Value>,
    required_data_format: DataFormat,
}

impl CreateRequest {
    /// A flag: a boolean, or its text.
    fn flag(&self, name: &str) -> Result<bool, ApiError> {
        match self.flags.get(name) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(set)) => Ok(*set),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(true),
            Some(Value::String(text)) if text.is_empty() || text.eq_ignore_ascii_case("false") => Ok(false),
            Some(other) => Err(ApiError::argument(format!("the flag {name} is {other}, neither true nor false"))),
        }
    }
}

/// Creates a session of streams, or of blocks if the client speaks of a `PartitionSpec`.
pub async fn create(shared: &Arc<Shared>, head: &Head, name: TableName, body: Body) -> Result<Reply, ApiError> {
    let body = head.read_body(body).await?;
    let given: Map<String, Value> = parse(&body)?;
    if given.contains_key("PartitionSpec") {
        return blocks::create(shared, head, name, given).await;
    }
    let request: CreateRequest = parse(&body)?;
    request.required_data_format.check()?;
    let (overwrite, schema_evolution) = (request.flag("overwrite")?, request.flag("enable_schema_evolution")?);
    let streaming = is_streaming(head)?;
    if streaming && overwrite {
        return Err(ApiError::argument("rows of a streaming session are visible one by one: they cannot overwrite"));
    }
    let flag = request.flags.get("quota_name").and_then(Value::as_str).filter(|name| !name.is_empty());
    let quota = governance::named_quota(head).or(flag).map(str::to_string);
    let (operation, subject) = (Operation::CreateWriteSession, Subject::Table(&name));
    let permit = governance::check_on(shared, head, quota.as_deref(), operation, subject).await?.enter().await?;
    let shared = shared.clone();
    blocking(move || {
        let _permit = permit;
        let table = resolve(&shared, &name)?;
        let target = Target::partition(table, &request.partial_partition_spec)?;
        let now = now_ms();
        let session = WriteSession {
            id: new_id(now),
            table: target.table.name.clone(),
            destination: target.destination(overwrite),
            request: json!(Stored { streams: StreamOptions { streaming, schema_evolution } }).to_string(),
            status: WriteStatus::Normal,
            message: String::new(),
            created_ms: now,
            expires_ms: now + shared.session_lifetime.as_millis() as i64,
        };
        shared.catalog.insert_write_session(&session)?;
        governance::remember_quota(&shared, quota.as_deref(), &session.id)?;
        Ok(Reply::json(200, &json!({"SessionId": session.id})))
    })
    .await
}

/// Whether `WriteMode` asks for rows that are visible at once.
fn is_streaming(head: &Head) -> Result<bool, ApiError> {
    match head.query.get("WriteMode") {
        None | Some("" | "Batch" | "BatchCompatible") => Ok(false),
        Some("Streaming" | "StreamingRealtime") => Ok(true),
        Some(other) => Err(ApiError::argument(format!("WriteMode {other} is none of the four there are"))),
    }
}

/// Describes a session: its streams, and from which staging id on rows are not visible yet.
pub async fn get(shared: &Arc<Shared>, head: &Head, name: TableName) -> Result<Reply, ApiError> {
    let id = required(head, "SessionId")?.to_string();
    if blocks::holds(shared, &id).await? {
        return blocks::get(shared, head, name, id).await;
    }
    let permit = governance::admit(shared, head, Operation::GetSession, Subject::Table(&name)).await?;
    let shared = shared.clone();
    blocking(move || {
        let _permit = permit;
        let place = Place::find(&shared, &name, &id)?;
        let streams = shared.catalog.streams(&place.key())?;
        let streams: Map<String, Value> =
            streams.iter().map(|stream| (stream.name.clone(), describe(stream))).collect();
        let status = match &place {
            Place::Table(_) => WriteStatus::Normal.name(),
            Place::Session(session, ..) => {
                let expired = session.status == WriteStatus::Normal && session.expires_ms <= now_ms();
                if expired { "EXPIRED" } else { session.status.name() }
            }
        };
        Ok(Reply::json(
            200,
            &json!({
                "SessionId": id,
                "SessionStatus": status,
                "Streams": streams,
                // Rows are visible when they are acknowledged, so the next id is the first that is not.
                "MinUncommittedStagingId": (place.table().version + 1).to_string(),
            }),
        ))
    })
    .await
}

fn describe(stream: &Stream) -> Value {
    json!({
        "StreamId": stream.name,
        "StreamVersion": stream.version,
        "Status": if stream.closed { "CLOSED" } else { "OPEN" },
        "RecordCount": stream.rows,
    })
}

/// The schema that rows are written with.
pub async fn schema(shared: &Arc<Shared>, head: &Head, name: TableName) -> Result<Reply, ApiError> {
    let id = required(head, "SessionId")?.to_string();
    let permit = governance::admit(shared, head, Operation::GetSession, Subject::Table(&name)).await?;
    let shared = shared.clone();
    blocking(move || {
        let _permit = permit;
        let place = Place::find(&shared, &name, &id)?;
        Ok(Reply::json(200, &json!({"TableSchema": place.write_schema()})))
    })
    .await
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct CommitRequest {
    stream_ids: Vec<String>,
    stream_versions: Vec<i64>,
}

/// Makes the rows of all streams visible, or those of the named ones; the others are dropped. Committing again what is
/// committed succeeds.
pub async fn commit(shared: &Arc<Shared>, head: &Head, name: TableName, body: Body) -> Result<Reply, ApiError> {
    let id = required(head, "SessionId")?.to_string();
    if blocks::holds(shared, &id).await? {
        return blocks::commit(shared, head, name, body).await;
    }
    let request: CommitRequest = parse(&head.read_body(body).await?)?;
    if request.stream_ids.len() != request.stream_versions.len() {
        return Err(ApiError::argument("StreamIds and StreamVersions have different lengths"));
    }
    let permit = governance::admit(shared, head, Operation::CommitSession, Subject::Table(&name)).await?;
    let (shared, caller) = (shared.clone(), head.caller.clone());
    blocking(move || {
        let _permit = permit;
        let place = Place::find(&shared, &name, &id)?;
        let Place::Session(session, options, table) = &place else {
            return Err(ApiError::argument("rows of the session default are visible already: there is no commit"));
        };
        if session.status == WriteStatus::Committed {
            return Ok(Reply::json(200, &json!({})));
        }
        place.demand_open()?;
        let units = choose(&shared, session, &request)?;
        demand_partitions(&shared, &caller, session, &units)?;
        if options.schema_evolution && session.destination.schema_version != table.schema_version {
            shared.catalog.follow_columns(&session.id, table.schema_version)?;
        }
        commit_session(&shared.catalog, &session.id, &units)?;
        Ok(Reply::json(200, &json!({})))
    })
    .await
}

/// The units to commit, by the names of their streams.
fn choose(shared: &Shared, session: &WriteSession, request: &CommitRequest) -> Result<Vec<Unit>, ApiError> {
    let streams = shared.catalog.streams(&session.id)?;
    let is_named = |stream: &Stream| request.stream_ids.is_empty() || request.stream_ids.contains(&stream.name);
    for (name, version) in request.stream_ids.iter().zip(&request.stream_versions) {
        let refusal = match streams.iter().find(|stream| stream.name == *name) {
            Some(stream) if stream.version == *version => continue,
            Some(stream) => StreamRefusal::Version { name: name.clone(), current: stream.version, asked: *version },
            None => StreamRefusal::Unknown(name.clone()),
        };
        return Err(ApiError::new(409, "InvalidStateSetting", refusal.to_string()));
    }
    let staged: Vec<Unit> = shared.catalog.staged_units(&session.id)?.into_iter().map(|(unit, _)| unit).collect();
    // A stream that got no rows has nothing to commit.
    let chosen = streams.iter().filter(|stream| is_named(stream)).map(Stream::unit);
    Ok(chosen.filter(|unit| staged.contains(unit)).collect())
}

/// Drops everything that was written. Does nothing to a session that was aborted before.
pub async fn abort(shared: &Arc<Shared>, head: &Head, name: TableName, body: Body) -> Result<Reply, ApiError> {
    head.read_body(body).await?;
    let id = required(head, "SessionId")?.to_string();
    let permit = governance::admit(shared, head, Operation::CommitSession, Subject::Table(&name)).await?;
    let shared = shared.clone();
    blocking(move || {
        let _permit = permit;
        resolve(&shared, &name)?;
        if id.eq_ignore_ascii_case(DEFAULT) {
            // Nothing is left to be dropped: every write was visible when it was acknowledged.
            return Ok(Reply::json(200, &json!({})));
        }
        let missing = || ApiError::new(404, "NoSuchObject", format!("there is no write session {id} on {name}"));
        let session = shared.catalog.write_session(&id)?.filter(|session| session.table.is(&name));
        let session = session.ok_or_else(missing)?;
        match session.status {
            WriteStatus::Committed | WriteStatus::Committing => {
                let message = format!("the write session {id} is committed: it cannot be aborted");
                Err(ApiError::new(409, "InvalidStateSetting", message))
            }
            _ => {
                shared.catalog.end_write_session(&id, WriteStatus::Aborted, "")?;
                Ok(Reply::json(200, &json!({})))
            }
        }
    })
    .await
}

/// Refuses more streams than a session may have.
pub fn demand_room(shared: &Shared, key: &str) -> Result<(), ApiError> {
    match shared.catalog.stream_count(key)? < MAX_STREAMS {
        true => Ok(()),
        false => Err(ApiError::argument(format!("a session has at most {MAX_STREAMS} streams"))),
    }
}
