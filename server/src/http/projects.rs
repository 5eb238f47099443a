//! Projects as metadata (account-routing-metadata.md 3.1).

use std::collections::BTreeMap;

use super::paging::Page;
use super::query::Query;
use super::reply::Reply;
use super::service::{OWNER, http_date};
use super::state::Shared;
use super::xml::element;
use crate::error::ApiError;
use crate::governance::{Caller, REGION, TENANT_ID, properties, require_member};

/// Properties that every project has unless it sets them itself.
const PROPERTIES: [(&str, &str); 2] = [("odps.schema.model.enabled", "false"), ("odps.sql.type.system.odps2", "true")];

/// The projects that the caller is in. Query: `name` (a prefix), `owner`, and which page.
pub fn list(shared: &Shared, caller: &Caller, query: &Query) -> Result<Reply, ApiError> {
    let page = Page::of(query)?;
    let given = |name: &str| query.get(name).filter(|value| !value.is_empty());
    let prefix = given("name").unwrap_or_default().to_lowercase();
    let is_owner = given("owner").is_none_or(|owner| owner.eq_ignore_ascii_case(OWNER));
    let mut projects = shared.catalog.projects()?;
    projects.retain(|(name, _)| is_owner && name.to_lowercase().starts_with(&prefix));
    let mut mine = Vec::new();
    for project in projects {
        match require_member(shared, caller, &project.0) {
            Ok(()) => mine.push(project),
            Err(error) if error.status == 403 => {}
            Err(error) => return Err(error),
        }
    }
    let (projects, head) = page.cut_sorted(mine, |(name, _)| name.clone());
    let mut items = String::new();
    for (name, created_ms) in projects {
        items.push_str(&document(shared, &name, created_ms)?);
    }
    Ok(Reply::xml(200, &format!("<Projects>{head}{items}</Projects>")))
}

/// One project; clients take owner and times from the headers.
pub fn get(shared: &Shared, name: &str, created_ms: i64) -> Result<Reply, ApiError> {
    let created = http_date(created_ms);
    Ok(Reply::xml(200, &document(shared, name, created_ms)?)
        .with_header("x-odps-owner", OWNER)
        .with_header("x-odps-creation-time", &created)
        .with_header("last-modified", &created))
}

fn document(shared: &Shared, name: &str, created_ms: i64) -> Result<String, ApiError> {
    let created = http_date(created_ms);
    let mut all: BTreeMap<String, String> =
        PROPERTIES.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    all.extend(properties(&shared.catalog, name)?);
    let properties: String = all
        .iter()
        .map(|(name, value)| format!("<Property>{}{}</Property>", element("Name", name), element("Value", value)))
        .collect();
    let body = [
        element("Name", name),
        element("Type", "managed"),
        "<Comment/><ProjectGroupName/>".to_string(),
        element("State", "AVAILABLE"),
        format!("<Properties>{properties}</Properties><ExtendedProperties/>"),
        element("DefaultCluster", "local"),
        "<Clusters><Cluster><Name>local</Name><QuotaID>1</QuotaID></Cluster></Clusters>".to_string(),
        element("DefaultQuotaNickname", "default"),
        element("Region", REGION),
        element("TenantId", TENANT_ID),
        element("Owner", OWNER),
        element("CreationTime", &created),
        element("LastModifiedTime", &created),
    ];
    Ok(format!("<Project>{}</Project>", body.concat()))
}
