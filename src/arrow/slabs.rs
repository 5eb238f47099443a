//! Memory for the bodies of a stream, used again when the engine has released the batches that lay in it.
//!
//! A fresh allocation of a megabyte costs more than filling it: every page is zeroed by the kernel first.

use std::sync::{Arc, Mutex, PoisonError};

use arrow_buffer::{Buffer, MutableBuffer};
use bytes::Bytes;

use crate::error::{Error, Kind, Result};

/// Free slabs that are kept; a stream in flow uses one per batch in the queue, one at the engine and one being filled.
const KEPT: usize = 8;
/// A larger slab is given back to the system.
const KEPT_BYTES: usize = 32 << 20;

/// The slabs of one stream; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Slabs(Arc<Mutex<Vec<MutableBuffer>>>);

impl Slabs {
    /// A slab with room for `capacity` bytes, aligned as Arrow likes it. Its content is what it was used for before.
    pub(super) fn take(&self, capacity: usize) -> Result<MutableBuffer> {
        let reused = {
            let mut free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let fitting = free.iter().position(|slab| slab.capacity() >= capacity);
            // Without one that fits, the oldest makes room for the larger one.
            fitting.or((!free.is_empty()).then_some(0)).map(|index| free.swap_remove(index))
        };
        match reused {
            Some(slab) if slab.capacity() >= capacity => Ok(slab),
            // Zeroed by the kernel page by page when it is filled: what a peer only announces costs nothing.
            _ => MutableBuffer::try_from_len_zeroed(capacity)
                .map_err(|error| Error::new(Kind::ResourceExhausted, format!("{capacity} bytes for a batch: {error}"))),
        }
    }

    /// The content of a slab, to be read by anybody; the slab comes back when the last reader is gone.
    pub(super) fn share(&self, slab: MutableBuffer) -> Buffer {
        Buffer::from(Bytes::from_owner(Lent { slab, home: self.clone() }))
    }

    fn put_back(&self, slab: MutableBuffer) {
        let mut free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < KEPT && slab.capacity() <= KEPT_BYTES {
            free.push(slab);
        }
    }
}

/// A slab that somebody reads.
struct Lent {
    slab: MutableBuffer,
    home: Slabs,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        self.slab.as_slice()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.home.put_back(std::mem::take(&mut self.slab));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slab_comes_back_after_its_last_reader() {
        let slabs = Slabs::default();
        let mut slab = slabs.take(100).unwrap();
        slab.clear();
        slab.extend_from_slice(&[7u8; 100]);
        let place = slab.as_ptr();
        let buffer = slabs.share(slab);
        let part = buffer.slice_with_length(64, 10);
        assert_eq!((buffer.as_ptr(), part.as_slice()), (place, [7; 10].as_slice()));
        drop(buffer);
        assert_ne!(slabs.take(100).unwrap().as_ptr(), place, "a part of it is still read");
        drop(part);
        assert_eq!(slabs.take(50).unwrap().as_ptr(), place);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let slabs = Slabs::default();
        let lent: Vec<Buffer> = (0..20).map(|_| slabs.share(slabs.take(64).unwrap())).collect();
        let large = slabs.share(slabs.take(KEPT_BYTES + 1).unwrap());
        drop((lent, large));
        let free = slabs.0.lock().unwrap();
        assert_eq!(free.len(), KEPT);
        assert!(free.iter().all(|slab| slab.capacity() <= KEPT_BYTES));
    }
}
