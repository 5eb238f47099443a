//! `WriteMode=BatchCompatible`: the blocks of version 1 under the names of version 2 (storage-api-v2-v3.md 4.12).

use std::sync::Arc;

use axum::body::Body;
use serde_json::{Map, Value, json};

use crate::catalog::TableName;
use crate::error::ApiError;
use crate::http::reply::{Reply, ReplyBody};
use crate::http::request::Head;
use crate::http::sessions::blocking;
use crate::http::state::Shared;
use crate::http::write_sessions::{self, is_of_blocks};

use super::required;
use crate::write::drain;

/// Longest fields below this are raised to it.
const MIN_FIELD_BYTES: i64 = 8 << 20;

/// Whether a session takes blocks.
pub async fn holds(shared: &Arc<Shared>, id: &str) -> Result<bool, ApiError> {
    let (shared, id) = (shared.clone(), id.to_string());
    blocking(move || Ok(shared.catalog.write_session(&id)?.is_some_and(|session| is_of_blocks(&session)))).await
}

/// Creates a session of blocks.
pub async fn create(
    shared: &Arc<Shared>,
    head: &Head,
    name: TableName,
    mut request: Map<String, Value>,
) -> Result<Reply, ApiError> {
    // Zero and negative bounds mean "as usual".
    let is_usual = |value: &Value| value.as_i64().is_some_and(|number| number <= 0);
    request.retain(|name, value| name != "MaxFieldSize" || !is_usual(value));
    if let Some(bytes) = request.get_mut("MaxFieldSize")
        && bytes.as_i64().is_some_and(|bytes| bytes < MIN_FIELD_BYTES)
    {
        *bytes = json!(MIN_FIELD_BYTES);
    }
    if let Some(Value::Object(options)) = request.get_mut("DynamicPartitionOptions") {
        options.retain(|name, value| name == "InvalidStrategy" || !is_usual(value));
    }
    write_sessions::create_of(shared, head, name, Value::Object(request).to_string().as_bytes()).await.map(ok)
}

/// Describes a session of blocks.
pub async fn get(shared: &Arc<Shared>, head: &Head, name: TableName, id: String) -> Result<Reply, ApiError> {
    write_sessions::get(shared, head, name, id).await.map(ok)
}

/// A reservation, which this server always grants: the token means nothing to it.
pub async fn reserve(shared: &Arc<Shared>, head: &Head, name: TableName, id: String) -> Result<Reply, ApiError> {
    let reply = write_sessions::get(shared, head, name, id).await?;
    let status = body(&reply)["SessionStatus"].clone();
    if status != "NORMAL" {
        let message = format!("the write session is {}", status.as_str().unwrap_or_default());
        return Err(ApiError::new(409, "StatusConflict", message));
    }
    Ok(Reply::json(200, &json!({"QuotaToken": "local"})))
}

/// Writes a block.
pub async fn write(shared: &Arc<Shared>, head: &Head, name: TableName, stream: Body) -> Result<Reply, ApiError> {
    let id = match required(head, "SessionId") {
        Ok(id) => id.to_string(),
        Err(error) => {
            drain(stream).await;
            return Err(error);
        }
    };
    let mut reply = write_sessions::write(shared, head, name, id, stream).await?;
    let mut answer = body(&reply);
    let message: Option<Value> = answer["CommitMessage"].as_str().and_then(|text| serde_json::from_str(text).ok());
    if let Some(rows) = message.and_then(|message| message.pointer("/WriterStats/RecordNum").cloned()) {
        answer["RecordCount"] = rows;
    }
    reply.replace_json(&answer);
    Ok(ok(reply))
}

/// Commits the blocks whose messages are given.
pub async fn commit(shared: &Arc<Shared>, head: &Head, name: TableName, body: Body) -> Result<Reply, ApiError> {
    write_sessions::commit(shared, head, name, body).await.map(ok)
}

/// Version 1 answers 201 and 202, version 2 only 200.
fn ok(mut reply: Reply) -> Reply {
    reply.status = 200;
    reply
}

fn body(reply: &Reply) -> Value {
    match &reply.body {
        ReplyBody::Whole(bytes) => serde_json::from_slice(bytes).unwrap_or_default(),
        _ => Value::Null,
    }
}
