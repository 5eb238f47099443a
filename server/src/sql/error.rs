//! Why a statement failed, in the form that the service gives such failures.

use std::fmt;

use crate::error::ApiError;

/// A place in the text of a statement, both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    pub line: u64,
    pub column: u64,
}

impl Position {
    /// Where every text starts.
    pub const START: Position = Position { line: 1, column: 1 };
}

/// A failure of a statement; its text starts with an `ODPS-` number, from which clients make their exception classes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlError(String);

impl SqlError {
    /// The text is not SQL, or SQL that this server does not know.
    pub fn parse(at: Position, what: impl fmt::Display) -> SqlError {
        SqlError(format!("ODPS-0130161:[{},{}] Parse exception - {what}", at.line, at.column))
    }

    /// The statement is well-formed, but names or types do not fit.
    pub fn semantic(at: Position, what: impl fmt::Display) -> SqlError {
        SqlError(format!("ODPS-0130071:[{},{}] Semantic analysis exception - {what}", at.line, at.column))
    }

    /// A table that is missing.
    pub fn no_table(at: Position, name: impl fmt::Display) -> SqlError {
        SqlError(format!("ODPS-0130131:[{},{}] Table not found - table {name} cannot be resolved", at.line, at.column))
    }

    /// A project, schema or partition that is missing.
    pub fn no_object(what: impl fmt::Display) -> SqlError {
        SqlError(format!("ODPS-0420111:Object not found - {what}"))
    }

    /// A failure while the statement ran.
    pub fn runtime(what: impl fmt::Display) -> SqlError {
        SqlError(format!("ODPS-0123131:User defined exception - {what}"))
    }

    /// The instance was terminated by its owner.
    pub fn cancelled() -> SqlError {
        SqlError("ODPS-0123155:Job has been killed by its owner".into())
    }
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SqlError {}

/// Refusals of other parts: their number is kept if they have one.
impl From<ApiError> for SqlError {
    fn from(error: ApiError) -> SqlError {
        match error.message.starts_with("ODPS-") {
            true => SqlError(error.message),
            false => SqlError::runtime(format_args!("{}: {}", error.code, error.message)),
        }
    }
}

impl From<anyhow::Error> for SqlError {
    fn from(error: anyhow::Error) -> SqlError {
        SqlError::from(ApiError::from(error))
    }
}
