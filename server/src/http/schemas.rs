//! Schemas as metadata (account-routing-metadata.md 3.5).

use super::reply::Reply;
use super::request::Plane;
use super::server::no_such;
use super::service::{OWNER, http_date};
use super::state::Shared;
use super::xml::element;
use crate::error::ApiError;

/// The schemas of a project whose names start with `prefix` (lower-case).
pub fn list(shared: &Shared, project: &str, prefix: &str) -> Result<Reply, ApiError> {
    let mut items = String::new();
    for (name, _) in shared.catalog.schemas(project)? {
        if name.to_lowercase().starts_with(prefix) {
            let children = [element("Name", &name), element("Owner", OWNER), element("Type", "managed")];
            items.push_str(&format!("<Schema>{}</Schema>", children.concat()));
        }
    }
    Ok(Reply::xml(200, &format!("<Schemas><Marker/><MaxItems>1000</MaxItems>{items}</Schemas>")))
}

/// One schema; Java takes owner and times from the headers.
pub fn get(shared: &Shared, project: &str, schema: &str) -> Result<Reply, ApiError> {
    let (name, created_ms) = find(shared, project, schema)?;
    let created = http_date(created_ms);
    let body = [
        element("Name", &name),
        element("Project", project),
        "<Comment/>".to_string(),
        element("Type", "managed"),
        element("Owner", OWNER),
        element("CreateTime", &created),
        element("ModifiedTime", &created),
    ];
    Ok(Reply::xml(200, &format!("<Schema>{}</Schema>", body.concat()))
        .with_header("x-odps-owner", OWNER)
        .with_header("x-odps-creation-time", &created)
        .with_header("last-modified", &created))
}

/// Spelling and creation time of a schema; fails with `NoSuchObject`.
pub fn find(shared: &Shared, project: &str, schema: &str) -> Result<(String, i64), ApiError> {
    let missing = || no_such(Plane::Service, "Schema", &format!("{project}.{schema}"));
    shared.catalog.schema(project, schema)?.ok_or_else(missing)
}
