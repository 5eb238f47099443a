//! Calls about tenant, quotas, users, roles and rights (account-routing-metadata.md 3.6.5, 3.7, 3.8).

use std::sync::Arc;

use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::auth::bearer_id;
use super::reply::Reply;
use super::request::Head;
use super::route::Call;
use super::server::no_such;
use super::sessions::blocking;
use super::state::Shared;
use super::xml::element;
use crate::catalog::{Credential, Origin, Role, TableName};
use crate::clock::now_ms;
use crate::error::ApiError;
use crate::governance::{self, Policy};

/// Life of a bearer token if the request names none, and at most.
const TOKEN_HOURS: i64 = 24;
const MAX_TOKEN_HOURS: i64 = 24 * 30;

/// The calls of this module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecurityCall {
    Tenant,
    Quotas,
    Quota(String),
    /// A statement, or a bearer token with `?sign_bearer_token`.
    Authorization(String),
    /// A statement on the tenant.
    TenantAuthorization,
    /// The policy of a role of the tenant.
    TenantPolicy(String),
    PutTenantPolicy(String),
    Configuration(String),
    PutConfiguration(String),
    Users(String),
    /// A user; with `?roles` its roles.
    User(String, String),
    Roles(String),
    /// A role; with `?users` its users, with `?policy` its policy.
    Role(String, String),
    PutPolicy(String, String),
}

/// Finds the call of a path below the service endpoint.
pub fn route(head: &Head, method: &str, path: &[&str]) -> Option<SecurityCall> {
    let get = method == "GET";
    let text = |text: &&str| text.to_string();
    Some(match path {
        ["tenants"] if get => SecurityCall::Tenant,
        ["quotas"] if get => SecurityCall::Quotas,
        ["quotas", name] if get => SecurityCall::Quota(text(name)),
        ["projects", project, "authorization"] if method == "POST" => SecurityCall::Authorization(text(project)),
        // SDKs do not know the id of the tenant and write `_empty_tenant_`.
        ["tenants", _, "authorization"] if method == "POST" => SecurityCall::TenantAuthorization,
        ["tenants", _, "authorization", "roles", role] if head.query.has("policy") => match method {
            "GET" => SecurityCall::TenantPolicy(text(role)),
            "PUT" => SecurityCall::PutTenantPolicy(text(role)),
            _ => return None,
        },
        ["projects", project] if head.query.has("security_configuration") => match method {
            "GET" => SecurityCall::Configuration(text(project)),
            "PUT" => SecurityCall::PutConfiguration(text(project)),
            _ => return None,
        },
        ["projects", project, "users"] if get => SecurityCall::Users(text(project)),
        ["projects", project, "users", user] if get => SecurityCall::User(text(project), text(user)),
        ["projects", project, "roles"] if get => SecurityCall::Roles(text(project)),
        ["projects", project, "roles", role] if get => SecurityCall::Role(text(project), text(role)),
        ["projects", project, "roles", role] if method == "PUT" && head.query.has("policy") => {
            SecurityCall::PutPolicy(text(project), text(role))
        }
        _ => return None,
    })
}

/// Refuses metadata to those who may not see it: strangers to the project, and members without List or Describe.
pub async fn guard(shared: &Arc<Shared>, head: &Head, call: &Call) -> Result<(), ApiError> {
    let (name, table, action) = match call {
        Call::Project(name) | Call::Schemas(name) | Call::Schema(name, _) | Call::Tunnel(name) => (name, None, None),
        Call::Tables(name) | Call::LoadTables(name) | Call::NoneOf(name, _) => (name, None, Some("List")),
        Call::Table(name, table) => (name, Some(table.clone()), None),
        _ => return Ok(()),
    };
    if !shared.governance.checks {
        return Ok(());
    }
    let (shared, caller, name) = (shared.clone(), head.caller.clone(), name.clone());
    let schema = head.query.get("curr_schema").filter(|s| !s.is_empty()).unwrap_or("default").to_string();
    blocking(move || {
        // What does not exist is told by the call itself.
        let Some((project, _)) = shared.catalog.project(&name)? else { return Ok(()) };
        governance::require_member(&shared, &caller, &project)?;
        if let Some(action) = action {
            governance::require_project(&shared, &caller, &project, action)?;
        }
        if let Some(table) = table
            && let Some(table) = shared.catalog.table(&TableName { project, schema, table })?
        {
            governance::require_table(&shared, &caller, &table, "Describe")?;
        }
        Ok(())
    })
    .await
}

/// Answers a call.
pub async fn answer(shared: &Arc<Shared>, head: &Head, call: SecurityCall, body: Body) -> Result<Reply, ApiError> {
    let body = head.read_body(body).await?;
    let (shared, caller, plane) = (shared.clone(), head.caller.clone(), head.plane());
    let query = head.query.clone();
    blocking(move || {
        let catalog = &shared.catalog;
        let known = |name: &str| match catalog.project(name)? {
            Some((project, _)) => Ok(project),
            None => Err(no_such(plane, "Project", name)),
        };
        let unknown = |what: &str, name: &str| {
            ApiError::new(404, "NoSuchObject", format!("ODPS-0420111:Object not found - there is no {what} {name}"))
        };
        let member = |name: &str| -> Result<String, ApiError> {
            let project = known(name)?;
            governance::require_project(&shared, &caller, &project, "List")?;
            Ok(project)
        };
        match call {
            SecurityCall::Tenant => Ok(Reply::json(200, &governance::tenant_document(catalog)?)),
            SecurityCall::Quotas => Ok(Reply::xml(200, &governance::quota_list(catalog)?)),
            SecurityCall::Quota(name) => match governance::quota_document(catalog, &name)? {
                Some(document) => Ok(Reply::xml(200, &document)),
                None => Err(unknown("quota", &name)),
            },
            SecurityCall::Authorization(name) if query.has("sign_bearer_token") => {
                let project = known(&name)?;
                governance::require_member(&shared, &caller, &project)?;
                sign_token(&shared, &caller, project, &body)
            }
            SecurityCall::Authorization(name) => {
                let result = run(&shared, &caller, &known(&name)?, &body)?;
                Ok(Reply::xml(200, &format!("<Authorization>{}</Authorization>", element("Result", &result))))
            }
            SecurityCall::TenantAuthorization => {
                // What is about the tenant alone needs no project. The Java SDK asks in XML, and reads JSON.
                Ok(Reply::json(200, &json!({ "Response": run(&shared, &caller, "", &body)? })))
            }
            SecurityCall::TenantPolicy(role) => {
                let policy = governance::tenant_role_policy(&shared, &caller, &role)?;
                Ok(Reply::json(200, &json!({ "Policy": policy })))
            }
            SecurityCall::PutTenantPolicy(role) => {
                let policy = String::from_utf8_lossy(&body).into_owned();
                governance::put_tenant_role_policy(&shared, &caller, &role, &policy)?;
                Ok(Reply::whole(200, "text/plain", ""))
            }
            SecurityCall::PutConfiguration(name) => {
                let project = known(&name)?;
                for (name, value, exception) in configuration(&body)? {
                    governance::set_switch(&shared, &caller, &project, &name, value, exception)?;
                }
                Ok(Reply::whole(200, "text/plain", ""))
            }
            SecurityCall::Configuration(name) => {
                Ok(Reply::xml(200, &governance::security_document(catalog, &member(&name)?)?))
            }
            SecurityCall::Users(name) => Ok(users(&catalog.project_users(&member(&name)?)?)),
            SecurityCall::User(name, user) => {
                let project = member(&name)?;
                let same = |found: &&String| found.eq_ignore_ascii_case(&user);
                let all = catalog.project_users(&project)?;
                let found = all.iter().find(same).ok_or_else(|| unknown("user", &user))?;
                if query.has("roles") {
                    return Ok(roles(&catalog.project_roles_of(&project, found)?));
                }
                Ok(Reply::xml(200, &governance::user_document(found)))
            }
            SecurityCall::Roles(name) => Ok(roles(&catalog.project_roles(&member(&name)?)?)),
            SecurityCall::Role(name, role) => {
                let project = member(&name)?;
                let same = |found: &Role| found.name.eq_ignore_ascii_case(&role);
                let found = catalog.project_roles(&project)?.into_iter().find(same);
                let found = found.ok_or_else(|| unknown("role", &role))?;
                if query.has("users") {
                    return Ok(users(&catalog.project_role_members(&project, &role)?));
                }
                if query.has("policy") {
                    return Ok(Reply::whole(200, "application/json", found.policy));
                }
                Ok(Reply::xml(200, &governance::role_document(&found)))
            }
            SecurityCall::PutPolicy(name, role) => {
                let project = known(&name)?;
                let policy = String::from_utf8_lossy(&body).into_owned();
                governance::put_role_policy(&shared, &caller, &project, &role, &policy)?;
                Ok(Reply::whole(200, "text/plain", ""))
            }
        }
    })
    .await
}

/// Runs statements of a caller.
fn run(shared: &Shared, caller: &governance::Caller, project: &str, body: &[u8]) -> Result<String, ApiError> {
    let request = AuthorizationRequest::parse(body)?;
    let Some(output) = governance::statement(shared, caller, project, &request.query) else {
        let message = "ODPS-0130161:Parse exception - this is not a statement on governance";
        return Err(ApiError::new(400, "ParseError", message));
    };
    let output = output?;
    Ok(if request.json { output.json.to_string() } else { output.text })
}

/// A switch with its value, and the exception of the project protection.
type Switch = (String, bool, Option<String>);

/// The switches of a `<SecurityConfiguration>` as SDKs send it.
fn configuration(body: &[u8]) -> Result<Vec<Switch>, ApiError> {
    #[derive(Deserialize)]
    struct Item {
        #[serde(rename = "@Protected")]
        protected: Option<String>,
        #[serde(rename = "$text")]
        text: Option<String>,
        #[serde(rename = "Exceptions")]
        exceptions: Option<String>,
    }
    let items: std::collections::BTreeMap<String, Item> = xml(body)?;
    let switches = items.into_iter().filter_map(|(name, item)| {
        let value = item.protected.or(item.text)?.trim().to_lowercase();
        let exception = item.exceptions.filter(|text| !text.trim().is_empty());
        matches!(value.as_str(), "true" | "false").then(|| (name, value == "true", exception))
    });
    Ok(switches.collect())
}

/// Reads an XML document.
fn xml<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let malformed = |why: String| ApiError::new(400, "MalformedXML", format!("ODPS-0420031:Invalid XML - {why}"));
    let text = std::str::from_utf8(body).map_err(|e| malformed(e.to_string()))?;
    quick_xml::de::from_str(text).map_err(|e| malformed(e.to_string()))
}

fn users(principals: &[String]) -> Reply {
    let items: String = principals.iter().map(|principal| governance::user_document(principal)).collect();
    Reply::xml(200, &format!("<Users>{items}</Users>"))
}

fn roles(roles: &[Role]) -> Reply {
    let items: String = roles.iter().map(governance::role_document).collect();
    Reply::xml(200, &format!("<Roles>{items}</Roles>"))
}

/// `<Authorization><Query>..</Query><ResponseInJsonFormat>true</ResponseInJsonFormat></Authorization>`.
struct AuthorizationRequest {
    query: String,
    json: bool,
}

impl AuthorizationRequest {
    fn parse(body: &[u8]) -> Result<AuthorizationRequest, ApiError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Document {
            query: String,
            #[serde(default)]
            response_in_json_format: Option<bool>,
        }
        let document: Document = xml(body)?;
        Ok(AuthorizationRequest { query: document.query, json: document.response_in_json_format.unwrap_or(false) })
    }
}

/// A new bearer token for the caller, which lives no longer than the key of the caller and its membership in the
/// project. Only its digest is stored; its policy narrows what it may do.
fn sign_token(shared: &Shared, caller: &governance::Caller, project: String, body: &[u8]) -> Result<Reply, ApiError> {
    #[derive(Default, Deserialize)]
    struct Request {
        expires_in_hours: Option<i64>,
        policy: Option<serde_json::Value>,
    }
    let invalid =
        |why: String| ApiError::new(400, "InvalidParameter", format!("ODPS-0420061:Invalid parameter - {why}"));
    if caller.shown.as_ref().is_some_and(|shown| shown.is_token) {
        let message = "ODPS-0420095:Access denied - a bearer token makes no other tokens: ask with an access key";
        return Err(ApiError::new(403, "NoPermission", message));
    }
    let request: Request = if body.is_empty() {
        Request::default()
    } else {
        serde_json::from_slice(body).map_err(|e| invalid(e.to_string()))?
    };
    let hours = request.expires_in_hours.unwrap_or(TOKEN_HOURS);
    if !(1..=MAX_TOKEN_HOURS).contains(&hours) {
        return Err(invalid(format!("expires_in_hours is from 1 to {MAX_TOKEN_HOURS}")));
    }
    let policy = match request.policy {
        None | Some(serde_json::Value::Null) => None,
        Some(serde_json::Value::String(text)) => Some(text),
        Some(document) => Some(document.to_string()),
    };
    if let Some(policy) = &policy {
        Policy::parse(policy).map_err(invalid)?;
    }
    let mut expires_ms = now_ms() + hours * 3_600_000;
    if let Some(end) = caller.shown.as_ref().and_then(|shown| shown.expires_ms) {
        expires_ms = expires_ms.min(end);
    }
    // PyODPS reads the third field as the end of the token's life in seconds.
    let token = STANDARD.encode(format!("maxstorage,{},{}", Uuid::new_v4().simple(), expires_ms / 1000));
    shared.catalog.put_credential(&Credential {
        id: bearer_id(&token),
        principal: caller.principal.as_str().to_string(),
        secret: String::new(),
        token: None,
        expires_ms: Some(expires_ms),
        policy,
        origin: caller.shown.as_ref().map(|shown| Origin { key: shown.id.clone(), mark: shown.mark.clone(), project }),
    })?;
    Ok(Reply::xml(200, &format!("<Authorization>{}</Authorization>", element("Result", &token))))
}
