//! Memory for the bodies of streams, used again when the engine has released the batches that lay in it.
//!
//! A fresh allocation of a megabyte costs more than filling it: every page is zeroed by the kernel first.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow_buffer::{Buffer, MutableBuffer};
use bytes::Bytes;
use memmap2::MmapMut;

use crate::error::{Error, Kind, Result};
use crate::memory::{Account, Ahead, Allocator, Budget, Grant, Idle, Region};

/// Free slabs that a read keeps per request; a stream in flow uses one per batch in the queue, one at the engine and one being filled.
const KEPT: usize = 8;
/// A larger slab is given back to the system.
const KEPT_BYTES: usize = 32 << 20;
/// Alignment of whatever lies in a slab.
pub(super) const ALIGNMENT: usize = 64;
/// A slab is up to this part larger than it must be, so that it suits the next batch, which may be a little larger.
const SLACK: usize = 8;

/// The slabs of one read; clones share them.
#[derive(Debug, Clone)]
pub struct Slabs(Arc<Pool>);

#[derive(Debug)]
struct Pool {
    account: Arc<Account>,
    free: Mutex<Vec<Slab>>,
    kept: usize,
}

/// Memory with its grant. The memory goes first.
#[derive(Debug)]
pub struct Slab {
    bytes: Memory,
    _grant: Grant,
}

/// Large slabs come from the system itself and go back to it: the heap of a process that allocates and frees pieces of a megabyte on several
/// threads grows to a multiple of what is used at any time.
#[derive(Debug)]
enum Memory {
    Heap(MutableBuffer),
    Pages(MmapMut),
    Host(Box<dyn Region>),
}

/// The system gives whole pages, and a call takes as long as filling some of them.
const PAGES_FROM_BYTES: usize = 256 << 10;

impl Memory {
    /// Zeros. The system's pages are there when they are filled: what a peer only announces costs nothing.
    fn zeroed(length: usize, allocator: Option<&Allocator>) -> Result<Self> {
        if let Some(allocator) = allocator {
            return allocator.allocate(length, ALIGNMENT).map(Memory::Host);
        }
        let failed = |error: &dyn std::fmt::Display| {
            Error::new(Kind::ResourceExhausted, format!("{length} bytes for a batch: {error}"))
        };
        if length < PAGES_FROM_BYTES {
            return MutableBuffer::try_from_len_zeroed(length).map(Memory::Heap).map_err(|error| failed(&error));
        }
        MmapMut::map_anon(length).map(Memory::Pages).map_err(|error| failed(&error))
    }

    fn as_slice(&self) -> &[u8] {
        match self {
            Memory::Heap(bytes) => bytes,
            Memory::Pages(bytes) => bytes,
            Memory::Host(region) => region.as_slice(),
        }
    }

    fn as_slice_mut(&mut self) -> &mut [u8] {
        match self {
            Memory::Heap(bytes) => bytes,
            Memory::Pages(bytes) => bytes,
            Memory::Host(region) => region.as_slice_mut(),
        }
    }

    fn len(&self) -> usize {
        self.as_slice().len()
    }
}

impl Slab {
    /// Its content.
    pub(super) fn as_slice_mut(&mut self) -> &mut [u8] {
        self.bytes.as_slice_mut()
    }
}

impl Slabs {
    /// The slabs of a read with up to `requests` requests at once.
    pub fn new(account: &Arc<Account>, requests: usize) -> Self {
        let pool =
            Pool { account: Arc::clone(account), free: Mutex::default(), kept: KEPT.saturating_mul(requests.max(1)) };
        let pool = Arc::new(pool);
        let idle: Arc<dyn Idle> = Arc::clone(&pool) as Arc<dyn Idle>;
        account.budget().register(Arc::downgrade(&idle));
        Slabs(pool)
    }

    /// A slab of at least `length` bytes, aligned as Arrow likes it, as soon as there is memory for it. Its content is what it was
    /// used for before.
    pub async fn take(&self, length: usize, ahead: &Ahead) -> Result<Slab> {
        if let Some(slab) = self.used(length) {
            return Ok(slab);
        }
        let size = roomy(length);
        let grant = self.0.account.reserve(size as u64, ahead).await?;
        let budget = self.0.account.budget();
        let bytes = match Memory::zeroed(size, budget.allocator()) {
            // What others keep for later may be all that the host has.
            Err(error) if error.kind() == Kind::ResourceExhausted && budget.trim() => {
                Memory::zeroed(size, budget.allocator())?
            }
            made => made?,
        };
        Ok(Slab { bytes, _grant: grant })
    }

    /// One that was used before and is large enough.
    fn used(&self, length: usize) -> Option<Slab> {
        let mut free = self.0.free();
        // The smallest that fits; of equals the one that was used last, which may still be in the cache.
        let fitting = free.iter().enumerate().rev().filter(|(_, slab)| slab.bytes.len() >= length);
        if let Some((index, _)) = fitting.min_by_key(|(_, slab)| slab.bytes.len()) {
            return Some(free.remove(index));
        }
        // Without one, the smallest makes room for the larger one.
        let smallest = free.iter().enumerate().min_by_key(|(_, slab)| slab.bytes.len()).map(|(index, _)| index);
        let dropped = smallest.filter(|_| free.len() >= self.0.kept).map(|index| free.remove(index));
        drop(free);
        drop(dropped);
        None
    }

    /// The first `length` bytes of a slab, to be read by anybody; the slab comes back when the last reader is gone.
    pub(super) fn share(&self, slab: Slab, length: usize) -> Buffer {
        Buffer::from(Bytes::from_owner(Lent { slab: Some(slab), length, home: self.clone() }))
    }

    fn put_back(&self, slab: Slab) {
        let pool = &self.0;
        if pool.account.budget().is_inherited() {
            return;
        }
        let mut free = pool.free();
        // Under the lock: who waits for memory comes here after it has taken its place in the line.
        if free.len() < pool.kept && slab.bytes.len() <= KEPT_BYTES && !pool.account.budget().is_short() {
            free.push(slab);
        } else {
            drop(free);
            drop(slab);
        }
    }
}

impl Default for Slabs {
    /// Slabs of a read without limits.
    fn default() -> Self {
        Slabs::new(&Account::new(&Budget::new(0, None)), 1)
    }
}

impl Pool {
    fn free(&self) -> MutexGuard<'_, Vec<Slab>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Idle for Pool {
    fn trim(&self) -> bool {
        let free = std::mem::take(&mut *self.free());
        !free.is_empty()
    }
}

/// The size of a new slab for `length` bytes.
fn roomy(length: usize) -> usize {
    length.max(1).next_multiple_of((length.next_power_of_two() / (2 * SLACK)).max(ALIGNMENT))
}

/// A slab that somebody reads.
struct Lent {
    slab: Option<Slab>,
    length: usize,
    home: Slabs,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        self.slab.as_ref().and_then(|slab| slab.bytes.as_slice().get(..self.length)).unwrap_or_default()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(slab) = self.slab.take() {
            self.home.put_back(slab);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Lender;
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    fn take(slabs: &Slabs, length: usize) -> Slab {
        match pin!(slabs.take(length, &Ahead::default())).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(slab) => slab.unwrap(),
            Poll::Pending => panic!("no memory"),
        }
    }

    #[test]
    fn a_slab_comes_back_after_its_last_reader() {
        let slabs = Slabs::default();
        let mut slab = take(&slabs, 100);
        slab.as_slice_mut().fill(7);
        let place = slab.bytes.as_slice().as_ptr();
        let buffer = slabs.share(slab, 100);
        let part = buffer.slice_with_length(64, 10);
        assert_eq!((buffer.as_ptr(), buffer.len(), part.as_slice()), (place, 100, [7; 10].as_slice()));
        drop(buffer);
        assert_ne!(take(&slabs, 100).bytes.as_slice().as_ptr(), place, "a part of it is still read");
        drop(part);
        assert_eq!(take(&slabs, 50).bytes.as_slice().as_ptr(), place);
    }

    #[test]
    fn what_is_kept_is_bounded_and_accounted() {
        let budget = Budget::new(0, None);
        let slabs = Slabs::new(&Account::new(&budget), 1);
        let lent: Vec<Buffer> = (0..20).map(|_| slabs.share(take(&slabs, 60), 60)).collect();
        let large = slabs.share(take(&slabs, KEPT_BYTES + 1), 1);
        assert_eq!(budget.held(), (20 * 64 + roomy(KEPT_BYTES + 1)) as u64);
        drop((lent, large));
        assert_eq!(slabs.0.free().len(), KEPT);
        assert!(slabs.0.free().iter().all(|slab| slab.bytes.len() <= KEPT_BYTES));
        assert_eq!(budget.held(), 64 * KEPT as u64);
        drop(slabs);
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn a_batch_may_outlive_everything_else() {
        let budget = Budget::new(0, None);
        let slabs = Slabs::new(&Account::new(&budget), 1);
        let buffer = slabs.share(take(&slabs, 64), 64);
        drop(slabs);
        assert_eq!(budget.held(), 64);
        drop(buffer);
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn slabs_of_every_size_are_zeroed_aligned_and_as_long_as_asked() {
        let slabs = Slabs::default();
        for length in [1, 63, PAGES_FROM_BYTES - 65, PAGES_FROM_BYTES, PAGES_FROM_BYTES + 1, 3 << 20] {
            let mut slab = take(&slabs, length);
            let bytes = slab.as_slice_mut();
            assert!(bytes.len() >= length && bytes.as_ptr().align_offset(ALIGNMENT) == 0, "{length}");
            assert!(bytes.iter().all(|byte| *byte == 0), "{length}");
            bytes.fill(7);
            assert_eq!(matches!(slab.bytes, Memory::Pages(_)), slab.bytes.len() >= PAGES_FROM_BYTES);
        }
    }

    #[test]
    fn a_batch_takes_the_slab_that_suits_it_best() {
        let slabs = Slabs::default();
        let sizes = [1 << 20, 1 << 10, 1 << 16];
        drop(sizes.map(|size| slabs.share(take(&slabs, size), size)));
        assert_eq!(take(&slabs, 1000).bytes.len(), 1 << 10);
        assert_eq!(take(&slabs, 60_000).bytes.len(), 1 << 16);
        let larger = take(&slabs, (1 << 20) + 1).bytes.len();
        assert!(larger > (1 << 20) && larger <= (9 << 20) / 8, "a little more than it must be");
        assert_eq!(take(&slabs, 1).bytes.len(), 1 << 20, "which was kept, because there was room for another");
    }

    /// A host with room for so many pieces.
    struct Room(Arc<Mutex<(usize, Vec<usize>)>>);

    struct Piece(MutableBuffer, Arc<Mutex<(usize, Vec<usize>)>>);

    impl Lender for Room {
        fn allocate(&self, bytes: usize, alignment: usize) -> Result<Box<dyn Region>> {
            assert_eq!(alignment, ALIGNMENT);
            let mut room = self.0.lock().unwrap();
            room.0 = room.0.checked_sub(1).ok_or_else(|| Error::new(Kind::ResourceExhausted, "none"))?;
            Ok(Box::new(Piece(MutableBuffer::from_len_zeroed(bytes), Arc::clone(&self.0))))
        }
    }

    impl Region for Piece {
        fn as_slice(&self) -> &[u8] {
            &self.0
        }
        fn as_slice_mut(&mut self) -> &mut [u8] {
            &mut self.0
        }
    }

    impl Drop for Piece {
        fn drop(&mut self) {
            let mut room = self.1.lock().unwrap();
            room.0 += 1;
            room.1.push(self.0.len());
        }
    }

    #[test]
    fn memory_of_the_host_is_used_again_and_what_is_kept_goes_back_before_a_read_fails() {
        let room = Arc::new(Mutex::new((1, Vec::new())));
        let budget = Budget::with_allocator(0, None, Some(Allocator::new(Room(Arc::clone(&room)))));
        let (one, two) = (Slabs::new(&Account::new(&budget), 1), Slabs::new(&Account::new(&budget), 1));
        for _ in 0..3 {
            drop(one.share(take(&one, 100), 100));
        }
        assert_eq!(*room.lock().unwrap(), (0, vec![]), "one piece for all of them");
        // Another read gets what the first one keeps, and a larger piece takes the place of a smaller one.
        let slab = take(&two, 1000);
        assert_eq!(*room.lock().unwrap(), (0, vec![128]));
        let refused = pin!(one.take(100, &Ahead::default())).poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(refused, Poll::Ready(Err(error)) if error.kind() == Kind::ResourceExhausted));
        assert_eq!(budget.held(), 1024, "what was granted for it is free again");
        drop((slab, one, two));
        assert_eq!((room.lock().unwrap().clone(), budget.held()), ((1, vec![128, 1024]), 0));
    }

    #[test]
    fn slabs_of_others_are_given_up_when_memory_is_short() {
        let budget = Budget::new(256, None);
        let (one, two) = (Slabs::new(&Account::new(&budget), 1), Slabs::new(&Account::new(&budget), 1));
        drop(one.share(take(&one, 200), 200));
        assert_eq!((budget.held(), one.0.free().len()), (256, 1));
        let slab = take(&two, 128);
        assert_eq!((budget.held(), budget.peak(), one.0.free().len()), (128, 256, 0));
        drop(slab);
    }
}
