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
/// Alignment of whatever lies in a slab.
pub(super) const ALIGNMENT: usize = 64;
/// A slab is up to this part larger than it must be, so that it suits the next batch, which may be a little larger.
const SLACK: usize = 8;

/// The slabs of one stream; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Slabs(Arc<Mutex<Vec<MutableBuffer>>>);

impl Slabs {
    /// A slab of at least `length` bytes, aligned as Arrow likes it. Its content is what it was used for before.
    pub(super) fn take(&self, length: usize) -> Result<MutableBuffer> {
        let reused = {
            let mut free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            // The smallest that fits; of equals the one that was used last, which may still be in the cache.
            let fitting = free.iter().enumerate().rev().filter(|(_, slab)| slab.len() >= length);
            let fitting = fitting.min_by_key(|(_, slab)| slab.len()).map(|(index, _)| index);
            // Without one that fits, the smallest makes room for the larger one.
            let smallest = || (0..free.len()).min_by_key(|index| free.get(*index).map_or(0, MutableBuffer::len));
            let chosen = fitting.or_else(|| (free.len() == KEPT).then(smallest).flatten());
            chosen.map(|index| free.remove(index))
        };
        match reused {
            Some(slab) if slab.len() >= length => Ok(slab),
            // Zeroed by the kernel page by page when it is filled: what a peer only announces costs nothing.
            _ => MutableBuffer::try_from_len_zeroed(roomy(length))
                .map_err(|error| Error::new(Kind::ResourceExhausted, format!("{length} bytes for a batch: {error}"))),
        }
    }

    /// The first `length` bytes of a slab, to be read by anybody; the slab comes back when the last reader is gone.
    pub(super) fn share(&self, slab: MutableBuffer, length: usize) -> Buffer {
        Buffer::from(Bytes::from_owner(Lent { slab, length, home: self.clone() }))
    }

    fn put_back(&self, slab: MutableBuffer) {
        let mut free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < KEPT && slab.len() <= KEPT_BYTES {
            free.push(slab);
        }
    }
}

/// The size of a new slab for `length` bytes.
fn roomy(length: usize) -> usize {
    length.next_multiple_of((length.next_power_of_two() / (2 * SLACK)).max(ALIGNMENT))
}

/// A slab that somebody reads.
struct Lent {
    slab: MutableBuffer,
    length: usize,
    home: Slabs,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        self.slab.as_slice().get(..self.length).unwrap_or_default()
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
        slab.as_slice_mut().fill(7);
        let place = slab.as_ptr();
        let buffer = slabs.share(slab, 100);
        let part = buffer.slice_with_length(64, 10);
        assert_eq!((buffer.len(), buffer.as_ptr(), part.as_slice()), (100, place, [7; 10].as_slice()));
        drop(buffer);
        assert_ne!(slabs.take(100).unwrap().as_ptr(), place, "a part of it is still read");
        drop(part);
        assert_eq!(slabs.take(50).unwrap().as_ptr(), place);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let slabs = Slabs::default();
        let lent: Vec<Buffer> = (0..20).map(|_| slabs.share(slabs.take(64).unwrap(), 64)).collect();
        let large = slabs.share(slabs.take(KEPT_BYTES + 1).unwrap(), 1);
        drop((lent, large));
        let free = slabs.0.lock().unwrap();
        assert_eq!(free.len(), KEPT);
        assert!(free.iter().all(|slab| slab.len() <= KEPT_BYTES));
    }

    #[test]
    fn a_batch_takes_the_slab_that_suits_it_best() {
        let slabs = Slabs::default();
        let sizes = [1 << 20, 1 << 10, 1 << 16];
        drop(sizes.map(|size| slabs.share(slabs.take(size).unwrap(), size)));
        assert_eq!(slabs.take(1000).unwrap().len(), 1 << 10);
        assert_eq!(slabs.take(60_000).unwrap().len(), 1 << 16);
        let larger = slabs.take((1 << 20) + 1).unwrap();
        assert!(larger.len() > (1 << 20) && larger.len() <= (9 << 20) / 8, "a little more than it must be");
        assert_eq!(slabs.take(1).unwrap().len(), 1 << 20, "which was kept, because there was room for another");
    }
}
