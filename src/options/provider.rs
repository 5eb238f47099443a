//! Credentials that a function of the host supplies.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use zeroize::Zeroizing;

use crate::error::Result;

/// Who asks, with the proof.
#[derive(Clone, PartialEq, Eq)]
pub enum Who {
    /// An AccessKey, with the STS token if it is a temporary one.
    Key {
        /// AccessKey ID.
        id: String,
        /// AccessKey secret.
        secret: Zeroizing<String>,
        /// STS token of a temporary AccessKey.
        token: Option<Zeroizing<String>>,
    },
    /// A bearer token, which signs nothing.
    Bearer(Zeroizing<String>),
}

impl fmt::Debug for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Who::Key { id, .. } => f.debug_struct("Key").field("id", id).finish_non_exhaustive(),
            Who::Bearer(_) => f.write_str("Bearer"),
        }
    }
}

/// What a source of credentials gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Who asks.
    pub who: Who,
    /// When it ends; `None` if that is not known.
    pub expires: Option<SystemTime>,
}

/// A function that supplies credentials. It may block, and is called by one thread at a time of a client.
#[derive(Clone)]
pub struct Provider(Arc<dyn Fn() -> Result<Grant> + Send + Sync>);

impl Provider {
    /// Wraps a function.
    pub fn new(supply: impl Fn() -> Result<Grant> + Send + Sync + 'static) -> Self {
        Provider(Arc::new(supply))
    }

    /// Asks for credentials.
    pub fn supply(&self) -> Result<Grant> {
        (self.0)()
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Provider")
    }
}
