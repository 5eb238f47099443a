//! What threads meet at. The models in tests/loom build the queue and the waker with loom's in place of these.

pub(super) use std::sync::atomic::{AtomicBool, Ordering, fence};
pub(super) use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, TryLockError};

pub(super) use tokio::sync::Notify;
