//! Streams of a write session: create, get, close (storage-api-v2-v3.md 4.3, 4.5, 4.7).

use std::sync::Arc;

use axum::body::Body;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::write_session::{Place, demand_room};
use super::{blocks, parse, required};
use crate::catalog::{Stream, StreamRefusal, TableName};
use crate::error::ApiError;
use crate::governance::{self, Operation, Target};
use crate::http::reply::Reply;
use crate::http::request::Head;
use crate::http::sessions::blocking;
use crate::http::state::Shared;

/// Longest name of a stream.
const MAX_NAME_BYTES: usize = 1024;

/// What a request says about a stream, in its body or in its query.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct StreamRequest {
    stream_id: String,
    stream_version: Option<i64>,
    exactly_once_mode: bool,
}

impl StreamRequest {
    async fn read(head: &Head, body: Body) -> Result<StreamRequest, ApiError> {
        let mut request: StreamRequest = parse(&head.read_body(body).await?)?;
        if request.stream_id.is_empty() {
            request.stream_id = required(head, "StreamId")?.to_string();
        }
        if request.stream_version.is_none() {
            request.stream_version = head.integer("StreamVersion")?;
        }
        let in_query = head.query.get("ExactlyOnceMode").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        request.exactly_once_mode |= in_query;
        if request.stream_id.len() > MAX_NAME_BYTES {
            return Err(ApiError::argument(format!("a StreamId has at most {MAX_NAME_BYTES} bytes")));
        }
        Ok(request)
    }

    fn version(&self) -> Result<i64, ApiError> {
        match self.stream_version.unwrap_or(0) {
            version if version >= 0 => Ok(version),
            version => Err(ApiError::argument(format!("StreamVersion {version} is negative"))),
        }
    }

    /// Creates the stream in an open session.
    fn create(&self, shared: &Shared, place: &Place) -> Result<Stream, ApiError> {
        place.demand_open()?;
        demand_room(shared, &place.key())?;
        let stream = self.stream(place)?;
        shared.catalog.create_stream(&stream, place.streaming())?;
        Ok(stream)
    }

    /// A stream that has taken nothing.
    fn stream(&self, place: &Place) -> Result<Stream, ApiError> {
        Ok(Stream {
            session: place.key(),
            name: self.stream_id.clone(),
            version: self.version()?,
            schema_version: place.table().schema_version,
            table_id: place.table().id,
            token: self.exactly_once_mode.then(new_token),
            rows: 0,
            bytes: 0,
            closed: false,
        })
    }
}

/// Text that only its receiver knows.
fn new_token() -> String {
    Uuid::new_v4().simple().to_string()
}

/// Creates a stream. In a session of blocks this is how a client asks for room to write one.
pub async fn create(shared: &Arc<Shared>, head: &Head, name: TableName, body: Body) -> Result<Reply, ApiError> {
    let id = required(head, "SessionId")?.to_string();
    if blocks::holds(shared, &id).await? {
        return blocks::reserve(shared, head, name, id).await;
    }
    let request = StreamRequest::read(head, body).await?;
    let permit = governance::admit(shared, head, Operation::CreateWriteStream, Target::Table(&name)).await?;
    let shared = shared.clone();
    blocking(move || {
        let _permit = permit;
        let place = Place::find(&shared, &name, &id)?;
        let stream = request.create(&shared, &place)?;
        Ok(Reply::json(200, &Value::Object(describe(&stream, &place))))
    })
    .await
}

/// Describes a stream. An exactly-once writer gets the next row offset and a token, which makes older ones worthless.
pub async fn get(shared: &Arc<Shared>, head: &Head, name: TableName, body: Body) -> Result<Reply, ApiError> {
    let id = required(head, "SessionId")?.to_string();
    let request = StreamRequest::read(head, body).await?;
    let permit = governance::admit(shared, head, Operation::GetSession, Target::Table(&name)).await?;
    let shared = shared.clone();
    blocking(move || {
        let _permit = permit;
        let place = Place::find(&shared, &name, &id)?;
        let mut stream = match shared.catalog.stream(&place.key(), &request.stream_id)? {
            Some(stream) => stream,
            // Writers in several processes open streams by names that they agreed on: the first one creates it.
            None => request.create(&shared, &place)?,
        };
        let asked = request.stream_version.unwrap_or(stream.version);
        if asked != stream.version {
            let refusal = StreamRefusal::Version { name: stream.name, current: stream.version, asked };
            return Err(ApiError::from(&refusal));
        }
        if request.exactly_once_mode {
            let token = new_token();
            shared.catalog.set_stream_token(&place.key(), &stream.name, &token)?;
            stream.token = Some(token);
        } else {
            // Only who asks for it gets the right to write.
            stream.token = None;
        }
        let status = if stream.closed { "CLOSED" } else { "OPEN" };
        let mut answer = describe(&stream, &place);
        // Clients read these two in one spelling or the other.
        for name in ["status", "Status"] {
            answer.insert(name.into(), json!(status));
        }
        for name in ["recordCount", "RecordCount", "RowOffset"] {
            answer.insert(name.into(), json!(stream.rows));
        }
        answer.insert("ByteSize".into(), json!(stream.bytes));
        answer.insert("ErrorCode".into(), json!(""));
        answer.insert("ErrorMessage".into(), json!(""));
        answer.insert("LatestSchemaVersion".into(), json!(place.table().schema_version));
        Ok(Reply::json(200, &Value::Object(answer)))
    })
    .await
}

fn describe(stream: &Stream, place: &Place) -> Map<String, Value> {
    let mut answer = Map::new();
    answer.insert("TableSchema".into(), place.write_schema());
    answer.insert("TableId".into(), json!(stream.table_id.to_string()));
    answer.insert("SchemaVersion".into(), json!(stream.schema_version));
    if let Some(token) = &stream.token {
        answer.insert("AccessToken".into(), json!(token));
    }
    answer
}

/// Closes a stream: it takes no rows any more. What it has is committed all the same.
pub async fn close(shared: &Arc<Shared>, head: &Head, name: TableName, body: Body) -> Result<Reply, ApiError> {
    let id = required(head, "SessionId")?.to_string();
    let request = StreamRequest::read(head, body).await?;
    let permit = governance::admit(shared, head, Operation::GetSession, Target::Table(&name)).await?;
    let shared = shared.clone();
    blocking(move || {
        let _permit = permit;
        let place = Place::find(&shared, &name, &id)?;
        shared.catalog.close_stream(&place.key(), &request.stream_id, request.version()?)?;
        Ok(Reply::json(200, &json!({})))
    })
    .await
}
