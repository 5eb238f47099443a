//! What a tunnel call is about.

use crate::catalog::{TableName, result_table};
use crate::error::ApiError;
use crate::governance::Target;
use crate::http::request::Head;

/// A table, or the result of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Table(TableName),
    Instance { project: String, id: String },
}

/// The table of a path `projects/P[/schemas/S]/tables/T`, and what follows it.
fn on_table<'a>(segments: &'a [&'a str]) -> Option<(TableName, &'a [&'a str])> {
    let (project, schema, table, rest) = match segments {
        ["projects", project, "schemas", schema, "tables", table, rest @ ..] => (*project, *schema, *table, rest),
        ["projects", project, "tables", table, rest @ ..] => (*project, "default", *table, rest),
        _ => return None,
    };
    Some((TableName { project: project.into(), schema: schema.into(), table: table.into() }, rest))
}

/// The table whose first rows are asked for without a session.
pub fn previewed(head: &Head) -> Option<TableName> {
    let segments: Vec<&str> = head.segments.iter().map(String::as_str).collect();
    on_table(&segments).filter(|(_, rest)| head.method == "GET" && *rest == ["preview"]).map(|(table, _)| table)
}

impl Place {
    /// Reads `/projects/P[/schemas/S]/tables/T` or `/projects/P/instances/I`.
    pub fn of(head: &Head) -> Result<Place, ApiError> {
        let segments: Vec<&str> = head.segments.iter().map(String::as_str).collect();
        if let ["projects", project, "instances", id] = segments.as_slice() {
            return Ok(Place::Instance { project: (*project).to_string(), id: (*id).to_string() });
        }
        match on_table(&segments) {
            Some((table, [])) => Ok(Place::Table(table)),
            _ => Err(unknown(head)),
        }
    }

    /// What rights are asked for.
    pub fn target(&self) -> Target<'_> {
        match self {
            Place::Table(name) => Target::Table(name),
            Place::Instance { project, .. } => Target::Project(project),
        }
    }

    /// The table whose rows are meant.
    pub fn name(&self) -> TableName {
        match self {
            Place::Table(name) => name.clone(),
            Place::Instance { id, .. } => result_table(id),
        }
    }

    /// The project of the call.
    pub fn project(&self) -> &str {
        match self {
            Place::Table(name) => &name.project,
            Place::Instance { project, .. } => project,
        }
    }
}

/// The refusal of a call that this tunnel does not have.
pub fn unknown(head: &Head) -> ApiError {
    if head.segments.get(2).is_some_and(|kind| ["tunnel", "volumes"].contains(&kind.as_str())) {
        return ApiError::new(404, "NoSuchObject", format!("this server has no volumes: {}", head.raw_path));
    }
    let missing = match head.subject.action {
        "TunnelStream" => "stream uploads: upload blocks, or write through the Storage API",
        "TunnelUpsert" => "upserts: write to primary-key tables through the Storage API or SQL",
        _ => return ApiError::unknown_call(&head.method, &format!("{}?{}", head.raw_path, head.raw_query)),
    };
    ApiError::new(405, "MethodNotAllowed", format!("this server's tunnel has no {missing}"))
}
