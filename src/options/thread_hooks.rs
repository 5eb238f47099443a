//! What the host does on the threads of the library.

use std::fmt;
use std::sync::Arc;

/// Functions that each thread calls: when it starts, before anything else, and when it is about to end.
#[derive(Clone)]
pub struct ThreadHooks {
    start: Arc<dyn Fn() + Send + Sync>,
    stop: Arc<dyn Fn() + Send + Sync>,
}

impl ThreadHooks {
    /// Wraps two functions.
    pub fn new(start: impl Fn() + Send + Sync + 'static, stop: impl Fn() + Send + Sync + 'static) -> Self {
        ThreadHooks { start: Arc::new(start), stop: Arc::new(stop) }
    }

    /// For a thread that starts.
    pub fn start(&self) {
        (self.start)();
    }

    /// For a thread that ends.
    pub fn stop(&self) {
        (self.stop)();
    }
}

impl fmt::Debug for ThreadHooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ThreadHooks")
    }
}
