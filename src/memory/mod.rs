//! What memory is held, and who waits for more: bytes are granted before they are allocated, and given back with the last buffer
//! that lies in them (docs/memory.md).

mod ahead;
mod allocator;
mod allowance;
mod budget;
mod hooks;
mod reserve;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub use ahead::{Ahead, Ready};
pub use allocator::{Allocator, Lender, Region};
pub use allowance::Allowance;
pub use budget::{Budget, Idle};
pub use hooks::{Hooks, Host};
pub use reserve::Reserve;

/// What one read holds of a budget, whoever has its buffers now.
#[derive(Debug)]
pub struct Account {
    budget: Arc<Budget>,
    held: AtomicU64,
    peak: AtomicU64,
    /// Of all reads that it is one of.
    whole: Option<Arc<Account>>,
}

impl Account {
    /// An account that holds nothing yet.
    pub fn new(budget: &Arc<Budget>) -> Arc<Self> {
        Arc::new(Account { budget: Arc::clone(budget), held: AtomicU64::new(0), peak: AtomicU64::new(0), whole: None })
    }

    /// An account that holds nothing yet, and whatever it holds later counts in `whole` as well.
    pub fn within(whole: &Arc<Account>) -> Arc<Self> {
        let (held, peak) = (AtomicU64::new(0), AtomicU64::new(0));
        Arc::new(Account { budget: Arc::clone(&whole.budget), held, peak, whole: Some(Arc::clone(whole)) })
    }

    /// The budget it draws on.
    pub fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    /// Bytes that are held now.
    pub fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    /// The most that was held at one time.
    pub fn peak(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }

    /// Waits until `bytes` are granted. A read with nothing [`Ahead`] for the engine gets them also beyond the limit.
    pub fn reserve<'a>(self: &'a Arc<Self>, bytes: u64, ahead: &'a Ahead) -> Reserve<'a> {
        Reserve::new(self, bytes, ahead)
    }

    /// Takes note of bytes that the budget has granted.
    fn grant(self: &Arc<Self>, bytes: u64) -> Grant {
        self.add(bytes);
        Grant { account: Arc::clone(self), bytes }
    }
}

impl Account {
    fn add(&self, bytes: u64) {
        let held = self.held.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.peak.fetch_max(held, Ordering::Relaxed);
        if let Some(whole) = &self.whole {
            whole.add(bytes);
        }
    }

    fn subtract(&self, bytes: u64) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
        if let Some(whole) = &self.whole {
            whole.subtract(bytes);
        }
    }
}

/// Bytes that may be allocated. Dropping it, after the allocation is gone, gives them back.
#[derive(Debug)]
pub struct Grant {
    account: Arc<Account>,
    bytes: u64,
}

impl Grant {
    /// Takes up to `bytes` of it away.
    fn split(&mut self, bytes: u64) -> Grant {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        Grant { account: Arc::clone(&self.account), bytes }
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        if self.bytes == 0 {
            return;
        }
        self.account.subtract(self.bytes);
        self.account.budget.release(self.bytes);
    }
}

#[cfg(test)]
mod tests;
