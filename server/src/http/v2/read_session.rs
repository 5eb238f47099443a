//! TableCreateReadSession and TableGetReadSession (storage-api-v2-v3.md 3.1 to 3.3).

use std::sync::Arc;

use axum::body::Body;
use serde_json::{Value, json};

use super::required;
use super::schema::read_schema;
use crate::catalog::{StoredSession, TableName};
use crate::clock::now_ms;
use crate::error::ApiError;
use crate::http::reply::Reply;
use crate::http::request::Head;
use crate::http::sessions::{Status, look_up, open};
use crate::http::state::Shared;
use crate::plan::{CreateRequest, JsonColumns, Limits, Plan, Reading, SplitMode};

/// The rules of planning for what is no session on a table: JSON columns are delivered as text.
pub fn limits(shared: &Shared) -> Limits {
    Limits { reading: Reading { json: JsonColumns::Utf8, ..shared.limits.reading }, ..shared.limits }
}

/// Creates a session. It is ready at once, unless planning is delayed on request.
pub async fn create(shared: &Arc<Shared>, head: &Head, table: TableName, body: Body) -> Result<Reply, ApiError> {
    let request = CreateRequest::parse(&head.read_body(body).await?)?;
    let (session, plan) = open(shared, head, table, request, shared.limits).await?;
    Ok(Reply::json(200, &describe(&session, &plan)))
}

/// Describes a session. `session_refresh=true` prolongs it, also an expired one whose files are still there.
pub async fn get(shared: &Arc<Shared>, head: &Head, table: TableName) -> Result<Reply, ApiError> {
    let id = required(head, "SessionId")?.to_string();
    let (session, plan) = look_up(shared, head, table, id).await?;
    Ok(Reply::json(200, &describe(&session, &plan)))
}

/// The answer of section 3.1. All keys are always there, because an official client insists on each of them.
fn describe(session: &StoredSession, plan: &Plan) -> Value {
    let rows = plan.row_count();
    let splits = match plan.split_mode {
        SplitMode::RowOffset => -1,
        _ => plan.splits.len() as i64,
    };
    let nothing =
        json!({"Mode": "append", "StartVersion": 0, "EndVersion": 0, "StartTimeStamp": "", "EndTimeStamp": ""});
    json!({
        "SessionId": session.id,
        "SessionStatus": Status::of(session, now_ms()).name(),
        "SessionType": "batch_read",
        "ExpirationTime": session.expires_ms,
        "SplitMode": plan.split_mode,
        "SplitsCount": splits,
        "RecordCount": rows,
        "DataSchema": read_schema(plan),
        "SupportedDataFormat": [{"Type": "ARROW", "Version": "V5"}],
        "SplitBucketId": plan.bucket_ids,
        "SessionStats": {"EstimatedSize": plan.bytes, "EstimatedRowCount": rows},
        "LatestVersion": plan.latest_version,
        "Message": "",
        "EnableLargeString": plan.large_text,
        "IncrementalReadOptions": plan.incremental_echo().unwrap_or(nothing),
    })
}
