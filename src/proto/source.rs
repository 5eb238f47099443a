//! What a session reads.

use std::fmt;

use super::TableName;
use crate::error::{Error, Kind, Result};

/// A table, or the result of an SQL instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A table.
    Table(TableName),
    /// The result of an instance.
    Instance {
        /// Project in which the instance ran.
        project: String,
        /// Its id.
        id: String,
    },
}

impl Source {
    /// The project whose data endpoint serves it.
    pub fn project(&self) -> &str {
        match self {
            Source::Table(name) => &name.project,
            Source::Instance { project, .. } => project,
        }
    }

    /// The table, for calls that know nothing else.
    pub(super) fn table(&self) -> Result<&TableName> {
        match self {
            Source::Table(name) => Ok(name),
            Source::Instance { .. } => {
                Err(Error::new(Kind::Unsupported, "version 1 of the Storage API does not read results of instances"))
            }
        }
    }

    /// As versions 2 and 3 name it.
    pub(super) fn target(&self) -> String {
        match self {
            Source::Table(TableName { project, schema, table }) => {
                format!("projects.{project}.schemas.{schema}.tables.{table}")
            }
            Source::Instance { project, id } => format!("projects.{project}.instances.{id}"),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Table(name) => name.fmt(f),
            Source::Instance { project, id } => write!(f, "the result of instance {project}/{id}"),
        }
    }
}
