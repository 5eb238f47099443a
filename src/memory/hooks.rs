//! The host's own accounting.

use std::fmt;
use std::sync::Arc;

/// A host that counts, and may refuse, what is allocated for it. Called from any thread, several at once, and never under a lock of
/// the library.
pub trait Host: Send + Sync {
    /// Whether `bytes` more may be allocated.
    fn reserve(&self, bytes: u64) -> bool;
    /// `bytes` that were granted are free again.
    fn release(&self, bytes: u64);
}

/// A host, shared.
#[derive(Clone)]
pub struct Hooks(Arc<dyn Host>);

impl Hooks {
    /// The hooks of `host`.
    pub fn new(host: impl Host + 'static) -> Self {
        Hooks(Arc::new(host))
    }

    pub(super) fn reserve(&self, bytes: u64) -> bool {
        self.0.reserve(bytes)
    }

    pub(super) fn release(&self, bytes: u64) {
        self.0.release(bytes);
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks").finish_non_exhaustive()
    }
}
