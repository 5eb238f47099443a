//! The classic tunnel: sessions that download tables and results of instances, and sessions that upload blocks.
//!
//! What the calls look like is known from the official clients (PyODPS `odps/tunnel`, the Java SDK
//! `com.aliyun.odps.tunnel`) and account-routing-metadata.md 5.1.

mod blocks;
mod body;
mod download;
mod place;
mod schema;
mod stream;
mod upload;

use std::sync::Arc;

use axum::body::Body;

use self::place::{Place, previewed, unknown};
use super::reply::Reply;
use super::request::Head;
use super::state::Shared;
use super::v2::{PREVIEW_ROWS, Wanted, deliver_preview};
use crate::catalog::TableName;
use crate::error::ApiError;
use crate::write::drain;

/// Answers a call of the tunnel. What official clients send and this tunnel does not do is refused with 405: they repeat
/// every 5xx for minutes.
pub async fn answer(shared: &Arc<Shared>, head: &Head, body: Body) -> Result<Reply, ApiError> {
    if let Some(table) = previewed(head) {
        return preview(shared, head, table).await;
    }
    let place = match Place::of(head) {
        Ok(place) => place,
        Err(error) => {
            drain(body).await;
            return Err(error);
        }
    };
    let has = |name: &str| head.query.has(name);
    match (head.method.as_str(), place) {
        ("POST", place) if has("downloads") => download::create(shared, head, place).await,
        ("GET", place) if has("downloadid") && has("data") => download::read(shared, head, place).await,
        ("GET", place) if has("downloadid") => download::get(shared, head, place).await,
        ("POST", Place::Table(table)) if has("uploads") => upload::create(shared, head, table).await,
        ("GET", Place::Table(table)) if has("uploadid") => upload::get(shared, head, table).await,
        ("PUT", Place::Table(table)) if has("uploadid") => blocks::write(shared, head, table, body).await,
        ("POST", Place::Table(table)) if has("uploadid") => upload::commit(shared, head, table).await,
        _ => {
            drain(body).await;
            Err(unknown(head))
        }
    }
}

/// `GET …/preview[?limit=][&partition=][&columns=]`: the first rows without a session, as in version 2 of the Storage API.
async fn preview(shared: &Arc<Shared>, head: &Head, table: TableName) -> Result<Reply, ApiError> {
    let columns = head.query.get("columns").unwrap_or_default().split(',').filter(|name| !name.is_empty());
    let wanted = Wanted {
        // Clients say -1 for no limit of their own.
        rows: head.integer("limit")?.filter(|limit| *limit >= 0).unwrap_or(PREVIEW_ROWS),
        partition: head.query.get("partition").unwrap_or_default().to_string(),
        columns: columns.map(str::to_string).collect(),
    };
    deliver_preview(shared, head, table, wanted).await
}
