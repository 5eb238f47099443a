//! Versions of the Storage API: one family of calls, in two dialects. Version 1 has paths of its own for tables and sessions
//! ([`super::v1`]); versions 2 and 3 name an action and a target in the query ([`super::v2`]).

use serde::{Deserialize, Serialize};

use super::answer::SessionAnswer;
use super::call::{Preview, ReadRows, ReadSession};
use super::failure::is_known;
use super::{Request, Source, TableName, v1, v2};
use crate::error::{Error, Kind, Result};

/// A version of the Storage API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
pub enum Version {
    /// Version 1: tables.
    V1,
    /// Version 2: also results of instances, changes, previews.
    V2,
    /// Version 3: reads as version 2 does.
    V3,
}

impl From<Version> for u8 {
    fn from(version: Version) -> u8 {
        match version {
            Version::V1 => 1,
            Version::V2 => 2,
            Version::V3 => 3,
        }
    }
}

impl TryFrom<u8> for Version {
    type Error = String;

    fn try_from(number: u8) -> std::result::Result<Self, String> {
        Version::ALL
            .into_iter()
            .find(|version| u8::from(*version) == number)
            .ok_or_else(|| format!("there is no version {number} of the Storage API"))
    }
}

impl Version {
    /// Every version, in the order in which they are tried.
    pub(crate) const ALL: [Version; 3] = [Version::V1, Version::V2, Version::V3];

    /// Plans a read.
    pub fn create_session(self, source: &Source, wanted: &ReadSession) -> Result<Request> {
        match self {
            Version::V1 => v1::create_session(source.table()?, wanted),
            Version::V2 | Version::V3 => v2::create_session(self, source, wanted),
        }
    }

    /// Asks for the state of a read session.
    pub fn get_session(self, source: &Source, session_id: &str) -> Result<Request> {
        match self {
            Version::V1 => Ok(v1::get_session(source.table()?, session_id)),
            Version::V2 | Version::V3 => Ok(v2::get_session(self, source, session_id, false)),
        }
    }

    /// Asks for a session, and prolongs its life.
    pub fn refresh_session(self, source: &Source, session_id: &str) -> Result<Request> {
        match self {
            Version::V1 => Ok(v1::refresh_session(source.table()?, session_id)),
            Version::V2 | Version::V3 => Ok(v2::get_session(self, source, session_id, true)),
        }
    }

    /// Reads the answer to any of the three calls before.
    pub fn session_answer(self, source: &Source, text: &[u8]) -> Result<SessionAnswer> {
        match source {
            Source::Table(_) => SessionAnswer::parse(text),
            Source::Instance { .. } => v2::instance_answer(text),
        }
    }

    /// Asks for rows; the answer is an Arrow IPC stream.
    pub fn read_rows(self, source: &Source, session_id: &str, wanted: &ReadRows<'_>) -> Result<Request> {
        match self {
            Version::V1 => Ok(v1::read_rows(source.table()?, session_id, wanted)),
            Version::V2 | Version::V3 => v2::read_rows(self, source, session_id, wanted),
        }
    }

    /// Asks for a few rows without a session; the answer is an uncompressed Arrow IPC stream.
    pub fn preview(self, table: &TableName, wanted: &Preview) -> Result<Request> {
        match self {
            Version::V1 => Err(Error::new(Kind::Unsupported, "version 1 of the Storage API has no previews")),
            Version::V2 | Version::V3 => v2::preview(self, table, wanted),
        }
    }

    /// Whether a call for rows may name the rows to leave out at its start.
    pub fn skips_rows(self, source: &Source) -> bool {
        self != Version::V1 && matches!(source, Source::Table(_))
    }

    /// Whether a call for rows may name fewer columns than its session.
    pub fn narrows_reads(self) -> bool {
        self != Version::V1
    }

    /// Whether the body of an answer may be compressed as a whole.
    pub fn packs_bodies(self) -> bool {
        self != Version::V1
    }

    /// The failure of a call that named a session. Versions 2 and 3 have no codes of their own for a session that is gone.
    pub fn session_failure(self, error: Error) -> Error {
        match (self, error.server().code.as_str()) {
            (Version::V2 | Version::V3, "NoSuchObject" | "InvalidStateSetting") => {
                error.with_kind(Kind::SessionExpired)
            }
            _ => error,
        }
    }
}

/// Whether the failure of a first call says that the service may not speak the version of the call: it does not know the path, or
/// does not implement it, and names no object that is missing.
pub fn may_lack_version(error: &Error) -> bool {
    match error.server().http_status {
        404 | 405 | 410 => error.server().code == "NoSuchObject" || !is_known(&error.server().code),
        501 => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::failure::Failure;

    fn failure(status: u16, code: &str) -> Error {
        let body = format!(r#"{{"Code":"{code}","Message":"x"}}"#);
        Failure { status, body: body.as_bytes(), ..Failure::default() }.into_error()
    }

    #[test]
    fn what_a_service_without_the_version_answers() {
        for (status, code, lacks) in [
            (404, "", true),
            (404, "InvalidURI", true),
            (404, "NoSuchObject", true),
            (404, "NoSuchTable", false),
            (404, "NoSuchProject", false),
            (405, "", true),
            (405, "MethodNotAllowed", false),
            (501, "NotImplemented", true),
            (400, "InvalidArgument", false),
            (403, "", false),
            (500, "", false),
        ] {
            assert_eq!(may_lack_version(&failure(status, code)), lacks, "{status} {code}");
        }
        assert!(!may_lack_version(&Error::new(Kind::Connection, "x")));
    }

    #[test]
    fn lost_sessions_are_told_from_lost_tables() {
        let kind = |version: Version, status, code| version.session_failure(failure(status, code)).kind();
        assert_eq!(kind(Version::V1, 404, "NoSuchObject"), Kind::NotFound);
        assert_eq!(kind(Version::V2, 404, "NoSuchObject"), Kind::SessionExpired);
        assert_eq!(kind(Version::V3, 409, "InvalidStateSetting"), Kind::SessionExpired);
        assert_eq!(kind(Version::V2, 404, "NoSuchTable"), Kind::NotFound);
    }

    #[test]
    fn version_1_has_tables_only() {
        let source = Source::Instance { project: "p".into(), id: "i".into() };
        assert_eq!(Version::V1.get_session(&source, "S").unwrap_err().kind(), Kind::Unsupported);
        let table = TableName { project: "p".into(), schema: "s".into(), table: "t".into() };
        assert_eq!(Version::V1.preview(&table, &Preview::default()).unwrap_err().kind(), Kind::Unsupported);
    }
}
