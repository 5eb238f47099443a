//! Panics on request, so that hosts and our own tests can see that they are contained.

/// Where a panic can be forced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The call that opens a session.
    SessionOpen,
    /// The call that takes a batch.
    NextBatch,
    /// The background reader of a split.
    Reader,
}

/// Panics if `debug.panic` (the text `asked`) names `place`.
#[allow(clippy::panic)]
pub fn forced_panic(asked: Option<&str>, place: Place) {
    let name = match place {
        Place::SessionOpen => "session_open",
        Place::NextBatch => "next_batch",
        Place::Reader => "reader",
    };
    if asked == Some(name) {
        panic!("forced by option debug.panic={name}");
    }
}
