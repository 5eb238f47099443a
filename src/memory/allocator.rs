//! Memory that the host provides for what rows are received in.

use std::fmt;
use std::sync::Arc;

use crate::error::Result;

/// A piece of the host's memory. Dropping it gives it back.
pub trait Region: Send + Sync {
    /// Its content.
    fn as_slice(&self) -> &[u8];
    /// Its content, to be written.
    fn as_slice_mut(&mut self) -> &mut [u8];
}

/// A host that provides memory. Called from any thread, several at once, and never under a lock that reading takes.
pub trait Lender: Send + Sync {
    /// `bytes` zeros at a multiple of `alignment`.
    fn allocate(&self, bytes: usize, alignment: usize) -> Result<Box<dyn Region>>;
}

/// The memory of a host, shared.
#[derive(Clone)]
pub struct Allocator(Arc<dyn Lender>);

impl Allocator {
    /// The memory of `host`.
    pub fn new(host: impl Lender + 'static) -> Self {
        Allocator(Arc::new(host))
    }

    /// `bytes` zeros at a multiple of `alignment`.
    pub fn allocate(&self, bytes: usize, alignment: usize) -> Result<Box<dyn Region>> {
        self.0.allocate(bytes, alignment)
    }
}

impl fmt::Debug for Allocator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Allocator").finish_non_exhaustive()
    }
}

impl fmt::Debug for dyn Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Region").field("bytes", &self.as_slice().len()).finish()
    }
}
