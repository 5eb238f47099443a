//! Schemas as metadata (account-routing-metadata.md 3.5).

use serde::Deserialize;

use super::paging::Page;
use super::query::Query;
use super::reply::Reply;
use super::request::Plane;
use super::server::no_such;
use super::service::{OWNER, http_date};
use super::state::Shared;
use super::xml::element;
use crate::catalog::{Defined, check_name};
use crate::error::ApiError;
use crate::governance::{Caller, require_project, require_schema};

/// The schemas of a project. Query: `name` (a prefix), `owner`, and which page.
pub fn list(shared: &Shared, project: &str, query: &Query) -> Result<Reply, ApiError> {
    let page = Page::of(query)?;
    let given = |name: &str| query.get(name).filter(|value| !value.is_empty());
    let prefix = given("name").unwrap_or_default().to_lowercase();
    let is_owner = given("owner").is_none_or(|owner| owner.eq_ignore_ascii_case(OWNER));
    let mut schemas = shared.catalog.schemas(project)?;
    schemas.retain(|(name, _)| is_owner && name.to_lowercase().starts_with(&prefix));
    let (schemas, head) = page.cut_sorted(schemas, |(name, _)| name.clone());
    let mut items = String::new();
    for (name, _) in schemas {
        let children = [element("Name", &name), element("Owner", OWNER), element("Type", "managed")];
        items.push_str(&format!("<Schema>{}</Schema>", children.concat()));
    }
    Ok(Reply::xml(200, &format!("<Schemas>{head}{items}</Schemas>")))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NewSchema {
    name: String,
    if_not_exists: Option<bool>,
}

/// Creates a schema from its XML document.
pub fn create(shared: &Shared, caller: &Caller, project: &str, body: &[u8]) -> Result<Reply, ApiError> {
    let bad = |why: String| ApiError::new(400, "InvalidParameter", format!("ODPS-0420061:Invalid parameter - {why}"));
    let text = std::str::from_utf8(body).map_err(|_| bad("the body is not UTF-8".into()))?;
    let new: NewSchema = quick_xml::de::from_str(text).map_err(|error| bad(error.to_string()))?;
    check_name(&new.name).map_err(bad)?;
    require_project(shared, caller, project, "CreateSchema")?;
    match shared.catalog.create_schema(project, &new.name)? {
        Defined::Exists(name) if new.if_not_exists != Some(true) => {
            let message = format!("ODPS-0422111:Object already exists - schema {project}.{name}");
            Err(ApiError::new(409, "ObjectAlreadyExists", message))
        }
        _ => Ok(Reply::whole(201, "application/xml", "")),
    }
}

/// Drops a schema that has no tables.
pub fn drop(shared: &Shared, caller: &Caller, project: &str, schema: &str) -> Result<Reply, ApiError> {
    require_schema(shared, caller, project, schema, "Drop")?;
    match shared.catalog.drop_schema(project, schema)? {
        Defined::Missing(name) => Err(no_such(Plane::Service, "Schema", &format!("{project}.{name}"))),
        Defined::NotEmpty => {
            let message = format!("schema {project}.{schema} has tables, or is the one that always exists");
            Err(ApiError::new(409, "DeleteConflict", message))
        }
        Defined::Done | Defined::Exists(_) => Ok(Reply::whole(204, "application/xml", "")),
    }
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
