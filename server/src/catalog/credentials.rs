//! Access keys and bearer tokens of principals.

use anyhow::Result;
use rusqlite::{OptionalExtension, params};
use sha2::{Digest, Sha256};

use super::Catalog;
use crate::clock::now_ms;

/// What a client shows to be believed.
#[derive(Clone)]
pub struct Credential {
    /// The id of an access key, or the digest of a bearer token.
    pub id: String,
    /// Canonical text of the principal it speaks for.
    pub principal: String,
    /// Empty for a bearer token.
    pub secret: String,
    /// The security token that temporary (STS) keys send along.
    pub token: Option<String>,
    pub expires_ms: Option<i64>,
    /// A policy that narrows what its bearer may do.
    pub policy: Option<String>,
    /// The key that a bearer token was made with; `None` if a statement made it.
    pub origin: Option<Origin>,
}

/// Where a bearer token comes from. It is good for as long as that key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The id of the key.
    pub key: String,
    /// [`Credential::mark`] of the key: another key of the same id is not its maker.
    pub mark: String,
    /// The project in which the token was asked for.
    pub project: String,
}

impl Credential {
    /// Tells a key from another one of the same id, and tells nothing else.
    pub fn mark(&self) -> String {
        let mut digest = Sha256::new();
        for part in [&self.id, &self.secret, self.token.as_ref().unwrap_or(&String::new())] {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl std::fmt::Debug for Credential {
    /// Prints no secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credential").field("id", &self.id).field("principal", &self.principal).finish_non_exhaustive()
    }
}

/// Secrets lie here in plain text, because a signature can be checked with nothing less.
pub(super) const SCHEMA: &str = "
create table credentials(
  id text primary key, principal text not null collate nocase, secret text not null, token text, expires_ms integer,
  policy text, created_ms integer not null, made_by text, made_with text, made_in text collate nocase) strict;
create index tokens_of_key on credentials(made_by);
";

impl Catalog {
    /// Stores a credential; one of the same id is replaced.
    pub fn put_credential(&self, credential: &Credential) -> Result<()> {
        self.lock().execute(
            "insert or replace into credentials(
               id, principal, secret, token, expires_ms, policy, created_ms, made_by, made_with, made_in)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            params![
                credential.id,
                credential.principal,
                credential.secret,
                credential.token,
                credential.expires_ms,
                credential.policy,
                now_ms(),
                credential.origin.as_ref().map(|origin| &origin.key),
                credential.origin.as_ref().map(|origin| &origin.mark),
                credential.origin.as_ref().map(|origin| &origin.project)
            ],
        )?;
        Ok(())
    }

    /// The credential of that id.
    pub fn credential(&self, id: &str) -> Result<Option<Credential>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "select id, principal, secret, token, expires_ms, policy, made_by, made_with, made_in
             from credentials where id = ?1",
        )?;
        let row = statement.query_row([id], |row| {
            Ok(Credential {
                id: row.get(0)?,
                principal: row.get(1)?,
                secret: row.get(2)?,
                token: row.get(3)?,
                expires_ms: row.get(4)?,
                policy: row.get(5)?,
                origin: match (row.get(6)?, row.get(7)?, row.get(8)?) {
                    (Some(key), Some(mark), Some(project)) => Some(Origin { key, mark, project }),
                    _ => None,
                },
            })
        });
        Ok(row.optional()?)
    }

    /// Forgets a credential and the tokens that were made with it. False if there is none of that id.
    pub fn drop_credential(&self, id: &str) -> Result<bool> {
        let connection = self.lock();
        connection.execute("delete from credentials where made_by = ?1", [id])?;
        Ok(connection.execute("delete from credentials where id = ?1", [id])? > 0)
    }

    /// Forgets bearer tokens and temporary keys that expired more than a day ago.
    pub fn drop_expired_credentials(&self) -> Result<usize> {
        Ok(self.lock().execute("delete from credentials where expires_ms < ?1", [now_ms() - 86_400_000])?)
    }
}
