//! The two ends of every thread of the library.

use super::{BARRED, THREAD_HOOK};
use crate::options::ThreadHooks;

/// A thread of ours, from its first act to its last.
pub(super) struct Life(Option<ThreadHooks>);

impl Life {
    /// What a thread does first.
    pub(super) fn begin(hooks: Option<ThreadHooks>) -> Self {
        begin(hooks.as_ref());
        Life(hooks)
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        end(self.0.as_ref());
    }
}

/// What a thread does first that another library has started for us.
pub(super) fn begin(hooks: Option<&ThreadHooks>) {
    BARRED.set(Some("one of its own threads"));
    if let Some(hook) = THREAD_HOOK.get() {
        hook();
    }
    if let Some(hooks) = hooks {
        hooks.start();
    }
}

/// What such a thread does last.
pub(super) fn end(hooks: Option<&ThreadHooks>) {
    if let Some(hooks) = hooks {
        hooks.stop();
    }
}
