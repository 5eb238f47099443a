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

impl Place {
    /// Reads `/projects/P[/schemas/S]/tables/T` or `/projects/P/instances/I`.
    pub fn of(head: &Head) -> Result<Place, ApiError> {
        let segments: Vec<&str> = head.segments.iter().map(String::as_str).collect();
        let (project, schema, table, rest) = match segments.as_slice() {
            ["projects", project, "instances", id] => {
                return Ok(Place::Instance { project: (*project).to_string(), id: (*id).to_string() });
            }
            ["projects", project, "schemas", schema, "tables", table, rest @ ..] => (*project, *schema, *table, rest),
            ["projects", project, "tables", table, rest @ ..] => (*project, "default", *table, rest),
            _ => return Err(unknown(head)),
        };
        match rest {
            [] => Ok(Place::Table(TableName { project: project.into(), schema: schema.into(), table: table.into() })),
            ["streams"] => Err(missing("stream uploads: upload blocks, or write through the Storage API")),
            ["upserts"] => Err(missing("upserts: write to primary-key tables through the Storage API or SQL")),
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

fn missing(what: &str) -> ApiError {
    ApiError::new(405, "MethodNotAllowed", format!("this server's tunnel has no {what}"))
}

fn unknown(head: &Head) -> ApiError {
    ApiError::new(405, "MethodNotAllowed", format!("{} is not a place of the tunnel", head.raw_path))
}
