//! What a request is signed with.

use zeroize::Zeroizing;

use crate::error::{Error, Kind, Result};
use crate::options::{Grant, Who};

/// The AccessKey of an application, which signs besides the caller.
#[derive(Clone)]
pub struct App {
    /// AccessKey ID.
    pub id: String,
    /// AccessKey secret.
    pub secret: Zeroizing<String>,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The caller, and the application account if there is one.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// Who asks.
    pub who: Who,
    /// The application account.
    pub app: Option<App>,
}

/// Refuses what cannot be sent in a header.
pub fn checked(grant: Grant) -> Result<Grant> {
    match &grant.who {
        Who::Key { id, secret, token } => {
            sendable("access_key_id", id)?;
            if secret.is_empty() {
                return Err(Error::new(Kind::InvalidOption, "access_key_secret is empty"));
            }
            token.as_ref().map_or(Ok(()), |token| sendable("security_token", token))?;
        }
        Who::Bearer(token) => sendable("bearer_token", token)?,
    }
    Ok(grant)
}

/// Fails unless `value` is text for a header.
pub(super) fn sendable(name: &str, value: &str) -> Result<()> {
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    let message = format!("{name} must be printable ASCII without blanks, because it is sent in a header");
    Err(Error::new(Kind::InvalidOption, message))
}
