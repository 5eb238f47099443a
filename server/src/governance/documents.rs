//! The metadata documents about tenant, quotas and security (account-routing-metadata.md 3.7, 3.8).

use serde_json::{Value, json};

use super::rights::{REGION, TENANT_ID};
use super::settings::STORAGE_API_SWITCH;
use super::statement::switches;
use crate::catalog::{Catalog, Quota, QuotaKind, Role};
use crate::error::ApiError;
use crate::http::element;

/// `GET /tenants`.
pub fn tenant_document(catalog: &Catalog) -> Result<Value, ApiError> {
    let switch = catalog.tenant_property(STORAGE_API_SWITCH)?.unwrap_or_else(|| "false".into());
    Ok(json!({"Tenant": {
        "Name": "local", "OwnerId": "1", "TenantId": TENANT_ID, "State": "NORMAL", "TenantState": "NORMAL",
        "CreateTime": 0, "UpdateTime": 0, "TenantMeta": "{}",
        "Parameters": {"odps.namespace.schema": "false", STORAGE_API_SWITCH: switch}
    }}))
}

/// The element `<Quota>`. Its id is its place in the list, from 1001 on.
fn quota(quota: &Quota, id: usize) -> String {
    let slots = quota.slots.unwrap_or(10_000).to_string();
    let children = [
        element("Cluster", "local"),
        element("Name", &quota.name),
        element("ID", &id.to_string()),
        element("IsEnabled", if quota.enabled { "true" } else { "false" }),
        element("ResourceSystemType", "FUXI_OFFLINE"),
        // Official clients know these two as NoPreempt or Preempt, and Fifo or Fair, and fail on other words.
        element("Strategy", "NoPreempt"),
        element("SchedulerType", "Fair"),
        element("IsParGroup", "false"),
        element("CPU", &slots),
        element("MinCPU", &slots),
        element("ElasticCPUMax", "0"),
        element("Memory", "40960"),
        element("MinMemory", "40960"),
        element("ElasticMemoryMax", "0"),
        element("TenantId", TENANT_ID),
        element("Status", if quota.enabled { "ON" } else { "OFF" }),
        element("Nickname", &quota.name),
        element("ParentNickname", quota.name.split_once('#').map_or("", |(parent, _)| parent)),
        element("CreatorId", "1"),
        element("Region", REGION),
        element("NeedAuth", if quota.kind == QuotaKind::Shared { "false" } else { "true" }),
        element("IsPureLink", "false"),
        element("QuotaVersion", "1"),
        element("IsMetaOnly", "false"),
    ];
    format!("<Quota>{}</Quota>", children.concat())
}

/// `GET /quotas/NAME`; `None` if there is no such quota.
pub fn quota_document(catalog: &Catalog, name: &str) -> Result<Option<String>, ApiError> {
    let quotas = catalog.quotas()?;
    let place = quotas.iter().position(|quota| quota.name.eq_ignore_ascii_case(name));
    Ok(place.and_then(|place| Some(quota(quotas.get(place)?, 1001 + place))))
}

/// `GET /quotas`.
pub fn quota_list(catalog: &Catalog) -> Result<String, ApiError> {
    let quotas = catalog.quotas()?;
    let items: String = quotas.iter().enumerate().map(|(place, one)| quota(one, 1001 + place)).collect();
    Ok(format!("<Quotas><Marker/><MaxItems>1000</MaxItems>{items}</Quotas>"))
}

/// `GET /projects/P?security_configuration`.
pub fn security_document(catalog: &Catalog, project: &str) -> Result<String, ApiError> {
    let mut children = String::new();
    for (name, value) in switches(catalog, project)? {
        let value = if value { "true" } else { "false" };
        // SDKs spell this one differently from the statement.
        let name = if name == "CheckPermissionUsingACL" { "CheckPermissionUsingAcl" } else { name };
        match name {
            "ProjectProtection" => {
                let exception = catalog.project_property(project, super::rights::PROTECTION_EXCEPTION)?;
                let exception = element("Exceptions", exception.as_deref().unwrap_or_default());
                children.push_str(&format!("<{name} Protected=\"{value}\">{exception}</{name}>"));
            }
            name => children.push_str(&element(name, value)),
        }
    }
    let download = catalog.project_property(project, super::settings::DOWNLOAD_CONTROL)?;
    children.push_str(&element("EnableDownloadPrivilege", download.as_deref().unwrap_or("false")));
    Ok(format!("<SecurityConfiguration>{children}</SecurityConfiguration>"))
}

/// `<User>` of a member of a project.
pub fn user_document(principal: &str) -> String {
    format!("<User>{}{}<Comment/></User>", element("ID", principal), element("DisplayName", principal))
}

/// `<Role>` of a project.
pub fn role_document(role: &Role) -> String {
    format!("<Role>{}<Comment/></Role>", element("Name", &role.name))
}
