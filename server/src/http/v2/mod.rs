//! Storage API versions 2 and 3: `/api/storage/v2|v3?Action=…&Target=…` (storage-api-v2-v3.md).
//!
//! Both versions are served alike. What is stored and read is shared with version 1: sessions, planner, reader, writer.

mod blob;
mod blocks;
mod instance;
mod preview;
mod read;
mod read_session;
mod schema;
mod stream;
mod target;
mod write;
mod write_session;

pub use instance::shorten;
pub use preview::{MAX_ROWS as PREVIEW_ROWS, Wanted, deliver as deliver_preview};
pub use write_session::DEFAULT as DEFAULT_SESSION;

use std::sync::Arc;

use axum::body::Body;
use serde::de::DeserializeOwned;

use super::reply::Reply;
use super::request::Head;
use super::state::Shared;
use crate::error::ApiError;
use crate::subject::UNKNOWN;
use crate::write::drain;

/// Steers the requests of a client to the node that knows its session. There is one node, so any token will do.
const ROUTE_TOKEN: (&str, &str) = ("x-odps-max-storage-route-token", "local");

/// Answers a call of version 2 or 3.
pub async fn answer(shared: &Arc<Shared>, head: &Head, body: Body) -> Result<Reply, ApiError> {
    // Whatever is refused, the body is read, so that the client sees the answer and not a broken connection.
    let reply = match head.subject.action {
        "TableWrite" | "TableWriteBlob" => store(shared, head, body).await,
        UNKNOWN => {
            drain(body).await;
            Err(unknown(head))
        }
        _ => act(shared, head, Body::from(head.read_body(body).await?)).await,
    };
    let reply = reply.map_err(spell)?;
    Ok(reply.with_header(ROUTE_TOKEN.0, ROUTE_TOKEN.1))
}

/// The actions whose bodies are streams.
async fn store(shared: &Arc<Shared>, head: &Head, body: Body) -> Result<Reply, ApiError> {
    let table = match demand_method(head).and_then(|()| target::table(head)) {
        Ok(table) => table,
        Err(error) => {
            drain(body).await;
            return Err(error);
        }
    };
    match head.subject.action {
        "TableWrite" => write::write(shared, head, table, body).await,
        _ => blob::write(shared, head, table, body).await,
    }
}

/// The actions whose bodies are small and have been read.
async fn act(shared: &Arc<Shared>, head: &Head, body: Body) -> Result<Reply, ApiError> {
    demand_method(head)?;
    match head.subject.action {
        "TableCreateReadSession" => read_session::create(shared, head, target::table(head)?, body).await,
        "TableGetReadSession" => read_session::get(shared, head, target::table(head)?).await,
        "TableRead" => read::read(shared, head, target::table(head)?, body).await,
        "TablePreview" => preview::preview(shared, head, target::table(head)?, body).await,
        "TableCreateWriteSession" => write_session::create(shared, head, target::table(head)?, body).await,
        "TableGetWriteSession" => write_session::get(shared, head, target::table(head)?).await,
        "TableGetWriteSchema" => write_session::schema(shared, head, target::table(head)?).await,
        "TableCommitWriteSession" => write_session::commit(shared, head, target::table(head)?, body).await,
        "TableAbortWriteSession" => write_session::abort(shared, head, target::table(head)?, body).await,
        "TableCreateWriteStream" => stream::create(shared, head, target::table(head)?, body).await,
        "TableGetWriteStream" => stream::get(shared, head, target::table(head)?, body).await,
        "TableCloseWriteStream" => stream::close(shared, head, target::table(head)?, body).await,
        "InstanceCreateReadSession" => instance::create(shared, head, body).await,
        "InstanceGetReadSession" => instance::get(shared, head).await,
        "InstanceRead" => instance::read(shared, head, body).await,
        "BlobRead" => blob::read(shared, head, body).await,
        _ => Err(unknown(head)),
    }
}

/// Two actions are called with GET by some clients and with POST by others; all the rest with POST.
fn demand_method(head: &Head) -> Result<(), ApiError> {
    let gets = ["InstanceGetReadSession", "TableGetWriteStream"].contains(&head.subject.action);
    match head.method.as_str() {
        "POST" => Ok(()),
        "GET" if gets => Ok(()),
        method => {
            let message = format!("{} is called with POST, not with {method}", head.subject.action);
            Err(ApiError::new(405, "MethodNotAllowed", message))
        }
    }
}

fn unknown(head: &Head) -> ApiError {
    match head.query.get("Action") {
        None | Some("") => ApiError::new(400, "InvalidParameter", "the parameter Action is missing"),
        Some(volume) if volume.starts_with("Volume") => {
            ApiError::not_implemented(format!("this server has no volumes, so it does not implement {volume}"))
        }
        Some(other) => ApiError::not_implemented(format!("this server knows no action {other}")),
    }
}

/// The codes of section 7.3, which are fewer than those of version 1.
fn spell(mut error: ApiError) -> ApiError {
    error.code = match (error.status, error.code) {
        (404, "NoSuchDownload" | "NoSuchUpload") => "NoSuchObject",
        (409, "StatusConflict" | "AlreadyWritten") => "InvalidStateSetting",
        (400, "InvalidParameter") => "InvalidParameter",
        (400, _) => "InvalidArgument",
        (_, code) => code,
    };
    error
}

/// A parameter that must be there.
fn required<'a>(head: &'a Head, name: &str) -> Result<&'a str, ApiError> {
    let missing = || ApiError::new(400, "InvalidParameter", format!("the parameter {name} is missing"));
    head.query.get(name).filter(|value| !value.is_empty()).ok_or_else(missing)
}

/// A JSON object of a request; no body is an empty one, and `null` is as good as not given.
fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let refuse = |why: String| ApiError::argument(format!("the request body is not what this action takes: {why}"));
    let body = if body.iter().all(u8::is_ascii_whitespace) { b"{}" } else { body };
    let mut value: serde_json::Value = serde_json::from_slice(body).map_err(|error| refuse(error.to_string()))?;
    let Some(object) = value.as_object_mut() else { return Err(refuse("it is not a JSON object".into())) };
    object.retain(|_, value| !value.is_null());
    serde_json::from_value(value).map_err(|error| refuse(error.to_string()))
}

/// `{"Type":"Arrow","Version":"V5"}`, in any case; the only format there is.
#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct DataFormat {
    #[serde(rename = "Type")]
    kind: String,
    version: String,
}

impl Default for DataFormat {
    fn default() -> Self {
        DataFormat { kind: "ARROW".into(), version: "V5".into() }
    }
}

impl DataFormat {
    fn check(&self) -> Result<(), ApiError> {
        let fits = |given: &str, wanted: &str| given.is_empty() || given.eq_ignore_ascii_case(wanted);
        match fits(&self.kind, "ARROW") && fits(&self.version, "V5") {
            true => Ok(()),
            false => Err(ApiError::argument(format!("DataFormat {} {} is not Arrow V5", self.kind, self.version))),
        }
    }
}
