//! The service plane: endpoint discovery, project, schemas, tenant (account-routing-metadata.md 2.2, 3.1, 3.5, 3.7).

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use axum::body::Body;

use super::reply::Reply;
use super::request::{Head, Plane, quota_route};
use super::route::Call;
use super::server::no_such;
use super::sessions::blocking;
use super::state::Shared;
use super::{projects, schemas, tables};
use crate::catalog::TableName;
use crate::error::ApiError;
use crate::governance;
pub use crate::governance::OWNER;

/// Answers the calls of the service plane.
pub async fn answer(shared: &Arc<Shared>, head: &Head, call: Call, body: Body) -> Result<Reply, ApiError> {
    let schema = head.query.get("curr_schema").filter(|s| !s.is_empty()).unwrap_or("default").to_string();
    match call {
        Call::UsageLog => Ok(Reply::whole(200, "text/plain", "")),
        Call::Tunnel(project) => tunnel(shared, head, project).await,
        Call::Projects => {
            let query = head.query.clone();
            let (shared, caller) = (shared.clone(), head.caller.clone());
            blocking(move || projects::list(&shared, &caller, &query)).await
        }
        Call::Project(name) => with_project(shared, name, projects::get).await,
        Call::NoneOf(name, list) => {
            let document = format!("<{list}><Marker/><MaxItems>1000</MaxItems></{list}>");
            with_project(shared, name, move |_, _, _| Ok(Reply::xml(200, &document))).await
        }
        Call::Schemas(name) => {
            let query = head.query.clone();
            with_project(shared, name, move |shared, project, _| schemas::list(shared, project, &query)).await
        }
        Call::Schema(name, schema) => {
            with_project(shared, name, move |shared, project, _| schemas::get(shared, project, &schema)).await
        }
        Call::DropSchema(name, schema) => {
            let caller = head.caller.clone();
            with_project(shared, name, move |shared, project, _| schemas::drop(shared, &caller, project, &schema)).await
        }
        Call::Tables(name) => {
            let query = head.query.clone();
            let caller = head.caller.clone();
            with_project(shared, name, move |shared, project, _| {
                tables::list(shared, &caller, project, &schema, &query)
            })
            .await
        }
        Call::Table(project, table) if head.query.has("data") => {
            tables::preview(shared, head, TableName { project, schema, table }).await
        }
        Call::Table(name, table) => {
            let query = head.query.clone();
            with_project(shared, name, move |shared, project, _| tables::get(shared, project, &schema, &table, &query))
                .await
        }
        Call::CreateSchema(name) => {
            let body = head.read_body(body).await?;
            let caller = head.caller.clone();
            with_project(shared, name, move |shared, project, _| schemas::create(shared, &caller, project, &body)).await
        }
        Call::LoadTables(name) => {
            let body = head.read_body(body).await?;
            let caller = head.caller.clone();
            with_project(shared, name, move |shared, project, _| tables::load(shared, &caller, project, &schema, &body))
                .await
        }
        other => Err(anyhow::anyhow!("{other:?} is not a call of the service plane").into()),
    }
}

async fn with_project(
    shared: &Arc<Shared>,
    name: String,
    work: impl FnOnce(&Shared, &str, i64) -> Result<Reply, ApiError> + Send + 'static,
) -> Result<Reply, ApiError> {
    let shared = shared.clone();
    blocking(move || match shared.catalog.project(&name)? {
        Some((project, created)) => work(&shared, &project, created),
        None => Err(no_such(Plane::Service, "Project", &name)),
    })
    .await
}

/// The data endpoint as the client sees it: no scheme, no newline.
async fn tunnel(shared: &Arc<Shared>, head: &Head, project: String) -> Result<Reply, ApiError> {
    let authority = shared.external_authority.clone().or_else(|| head.header("host").map(str::to_string));
    let quota = governance::named_quota(head).filter(|_| shared.governance.checks).map(str::to_string);
    with_project(shared, project, move |shared, _, _| match authority {
        _ if quota
            .as_deref()
            .map(|name| shared.catalog.quota(name))
            .transpose()?
            .is_some_and(|quota| quota.is_none()) =>
        {
            let name = quota.unwrap_or_default();
            Err(ApiError::new(404, "NoSuchObject", format!("ODPS-0420111:Object not found - there is no quota {name}")))
        }
        Some(authority) => {
            let route = quota.as_deref().map(quota_route).unwrap_or_default();
            Ok(Reply::whole(200, "text/plain", format!("{authority}{route}")))
        }
        None => Err(ApiError::new(400, "InvalidParameter", "ODPS-0420061:The request has no Host header")),
    })
    .await
}

/// RFC 1123 text of epoch milliseconds.
pub fn http_date(epoch_ms: i64) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_millis(epoch_ms.max(0) as u64))
}
