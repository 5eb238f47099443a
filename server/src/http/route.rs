//! From method and path to a call.

use super::request::Head;
use super::security::{self, SecurityCall};
use crate::catalog::TableName;
use crate::error::ApiError;

/// A call the server knows.
#[derive(Debug, PartialEq, Eq)]
pub enum Call {
    CreateSession(TableName),
    GetSession(TableName, String),
    ReadRows(TableName),
    CreateWriteSession(TableName),
    GetWriteSession(TableName, String),
    WriteBlock(TableName, String),
    Commit(TableName),
    /// A call of Storage API v2 or v3; the query names it.
    Action,
    /// A call of the classic tunnel; path and query name it.
    ClassicTunnel,
    /// The objects of a kind in a project, of which there are none; with the name of the list.
    NoneOf(String, &'static str),
    /// A question about something that this server has none of.
    Absent(&'static str),
    Security(SecurityCall),
    UsageLog,
    Tunnel(String),
    Projects,
    Project(String),
    LoadTables(String),
    CreateSchema(String),
    DropSchema(String, String),
    Tables(String),
    Table(String, String),
    Schemas(String),
    Schema(String, String),
    ListInstances(String),
    CreateInstance(String),
    GetInstance(String, String),
    ChangeInstance(String, String),
    /// A call that this server does not offer.
    Missing(&'static str),
    /// Path and method of no call that this server knows.
    Unknown,
}

/// Objects of a project that official clients ask for and this server has none of. Asking finds nothing (404): after a
/// 5xx a Java client waits minutes before it repeats a GET.
const OTHER_OBJECTS: [&str; 22] = [
    "authorization",
    "cachedinstances",
    "classifications",
    "events",
    "functions",
    "matrices",
    "models",
    "offlinemodels",
    "registration",
    "resources",
    "servers",
    "session",
    "sessions",
    "streamjobs",
    "streamobjects",
    "streams",
    "system",
    "tags",
    "topologies",
    "volumes",
    "xflowinstances",
    "xflows",
];

/// Lists of such objects that official clients read, by the last part of their path.
const LISTS: [(&str, &str); 5] = [
    ("functions", "Functions"),
    ("offlinemodels", "OfflineModels"),
    ("resources", "Resources"),
    ("volumes", "Volumes"),
    ("xflows", "XFlows"),
];

/// The name of the list that a path below a project stands for.
fn list_of(path: &[&str]) -> Option<&'static str> {
    let kind = match path {
        ["registration", kind] | [kind] => kind.strip_prefix("registration/").unwrap_or(kind),
        _ => return None,
    };
    LISTS.iter().find(|(name, _)| *name == kind).map(|(_, list)| *list)
}

/// PyODPS asks for functions at `registration%2Ffunctions`.
fn is_other_object(kind: &str) -> bool {
    OTHER_OBJECTS.contains(&kind.split('/').next().unwrap_or_default())
}

/// Finds the call, or says that path and method do not go together.
pub fn route(head: &Head) -> Result<Call, ApiError> {
    let segments: Vec<&str> = head.segments.iter().map(String::as_str).collect();
    match segments.as_slice() {
        ["api", "storage", "v1", rest @ ..] => storage(head, rest),
        ["api", "storage", "v2" | "v3"] => Ok(Call::Action),
        ["api", "storage", "v2" | "v3", ..] => Ok(Call::Unknown),
        _ if head.is_tunnel_call() => Ok(Call::ClassicTunnel),
        ["api", rest @ ..] => service(head, rest),
        rest => service(head, rest),
    }
}

fn storage(head: &Head, path: &[&str]) -> Result<Call, ApiError> {
    let (project, schema, table, rest) = match path {
        ["projects", project, "schemas", schema, "tables", table, rest @ ..] => (project, *schema, table, rest),
        ["projects", project, "tables", table, rest @ ..] => (project, "default", table, rest),
        _ => return Ok(Call::Unknown),
    };
    let table = TableName { project: (*project).to_string(), schema: schema.to_string(), table: (*table).to_string() };
    let verb = |wanted: &str| match head.method == wanted {
        true => Ok(()),
        false => Err(ApiError::new(405, "MethodNotAllowed", format!("{} is called with {wanted}", head.raw_path))),
    };
    match rest {
        ["sessions"] => {
            verb("POST")?;
            Ok(if is_read(head)? { Call::CreateSession(table) } else { Call::CreateWriteSession(table) })
        }
        ["sessions", id] => {
            verb("GET")?;
            Ok(if is_read(head)? {
                Call::GetSession(table, (*id).to_string())
            } else {
                Call::GetWriteSession(table, (*id).to_string())
            })
        }
        ["sessions", id, "data"] => {
            verb("POST")?;
            Ok(Call::WriteBlock(table, (*id).to_string()))
        }
        ["commit"] => {
            verb("POST")?;
            Ok(Call::Commit(table))
        }
        ["data"] => {
            verb("GET")?;
            Ok(Call::ReadRows(table))
        }
        _ => Ok(Call::Unknown),
    }
}

fn is_read(head: &Head) -> Result<bool, ApiError> {
    match head.query.get("session_type") {
        Some("batch_read") => Ok(true),
        Some("batch_write") => Ok(false),
        other => Err(ApiError::argument(format!(
            "session_type is \"{}\", not batch_read or batch_write",
            other.unwrap_or_default()
        ))),
    }
}

/// Calls of the service plane. HEAD is allowed nowhere, which is told where GET would be answered.
fn service(head: &Head, path: &[&str]) -> Result<Call, ApiError> {
    if head.method != "HEAD" {
        return Ok(service_call(head, &head.method, path));
    }
    match service_call(head, "GET", path) {
        call @ (Call::Unknown | Call::Absent(_)) => Ok(call),
        _ => Err(ApiError::new(405, "MethodNotAllowed", format!("{} is not called with HEAD", head.raw_path))),
    }
}

fn service_call(head: &Head, method: &str, path: &[&str]) -> Call {
    let get = method == "GET";
    if let Some(call) = security::route(head, method, path) {
        return Call::Security(call);
    }
    match path {
        ["logview", "host"] | ["webconsole", "host"] | ["catalogapi"] if get => Call::Absent("link"),
        ["projects", _, "logs"] if method == "PUT" => Call::UsageLog,
        // PyODPS and odps-sdk-core add `?service`, odps-sdk-storage-api only `?quota=`.
        ["projects", project, "tunnel"] if get => Call::Tunnel((*project).to_string()),
        ["projects", project] if get => Call::Project((*project).to_string()),
        ["projects", project, "schemas"] if get => Call::Schemas((*project).to_string()),
        ["projects", project, "schemas", schema] if get => Call::Schema((*project).to_string(), (*schema).to_string()),
        ["projects", project, "tables"] if get => Call::Tables((*project).to_string()),
        ["projects", project, "tables", table] if get => Call::Table((*project).to_string(), (*table).to_string()),
        ["projects"] if get => Call::Projects,
        ["projects"] | ["projects", _] => Call::Missing("changing projects"),
        ["projects", project, "tables"] if method == "POST" && head.query.has("query") => {
            Call::LoadTables((*project).to_string())
        }
        ["projects", project, "schemas"] if method == "POST" => Call::CreateSchema((*project).to_string()),
        ["projects", project, "schemas", schema] if method == "DELETE" => {
            Call::DropSchema((*project).to_string(), (*schema).to_string())
        }
        ["projects", _, "tables", ..] if !get => Call::Missing("changing tables over REST: use SQL"),
        ["projects", _, "schemas", ..] if !get => Call::Missing("changing schemas in this way"),
        ["projects", project, "instances"] if get => Call::ListInstances((*project).to_string()),
        ["projects", project, "instances"] if method == "POST" => Call::CreateInstance((*project).to_string()),
        ["projects", project, "instances", id] if get => Call::GetInstance((*project).to_string(), (*id).to_string()),
        ["projects", project, "instances", id] if method == "PUT" => {
            Call::ChangeInstance((*project).to_string(), (*id).to_string())
        }
        ["quotas", ..] if !get => Call::Missing("changing quotas over REST"),
        ["clusters", ..] | ["tenants", _, ..] if get => Call::Absent("object of this kind"),
        ["projects", project, kind, ..] if is_other_object(kind) => match list_of(path.get(2..).unwrap_or_default()) {
            Some(list) if get => Call::NoneOf((*project).to_string(), list),
            _ if get => Call::Absent("object of this kind"),
            _ => Call::Missing("functions, resources, volumes, models and other objects besides tables"),
        },
        _ => Call::Unknown,
    }
}
