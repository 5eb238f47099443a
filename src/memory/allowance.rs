//! Memory for arrays that the library makes itself.

use std::sync::{Mutex, PoisonError};

use arrow_buffer::{MemoryPool, MemoryReservation};

use super::Grant;

/// Memory that was granted before arrays are made of others. What they turn out to take goes with their buffers; the rest comes back when
/// this is dropped.
#[derive(Debug)]
pub struct Allowance(Mutex<Grant>);

impl Allowance {
    /// An allowance of all that was granted.
    pub fn new(grant: Grant) -> Self {
        Allowance(Mutex::new(grant))
    }

    /// Gives back what is left beyond `bytes`.
    pub fn keep(&self, bytes: u64) {
        let beyond = {
            let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let beyond = left.bytes.saturating_sub(bytes);
            left.split(beyond)
        };
        drop(beyond);
    }

    /// Whether so many bytes are left.
    pub fn has(&self, bytes: u64) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).bytes >= bytes
    }

    fn left(&self) -> usize {
        usize::try_from(self.0.lock().unwrap_or_else(PoisonError::into_inner).bytes).unwrap_or(usize::MAX)
    }
}

/// Buffers take their share of it as long as they live; never more than there is.
impl MemoryPool for Allowance {
    fn reserve(&self, size: usize) -> Box<dyn MemoryReservation> {
        Box::new(Share(self.0.lock().unwrap_or_else(PoisonError::into_inner).split(size as u64)))
    }

    fn available(&self) -> isize {
        isize::try_from(self.left()).unwrap_or(isize::MAX)
    }

    fn used(&self) -> usize {
        0
    }

    fn capacity(&self) -> usize {
        self.left()
    }
}

/// What a buffer has of an allowance.
#[derive(Debug)]
struct Share(Grant);

impl MemoryReservation for Share {
    fn size(&self) -> usize {
        usize::try_from(self.0.bytes).unwrap_or(usize::MAX)
    }

    /// The buffers are whole when they take their share.
    fn resize(&mut self, _: usize) {}
}
