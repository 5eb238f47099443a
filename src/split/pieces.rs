//! What is still to be read, piece by piece.

use std::future::pending;
use std::task::Poll;

use super::position::Piece;
use crate::error::Result;

/// Pieces that are known one after the other.
pub(crate) trait Pieces: Send {
    /// The next piece; `None` after the last; pending while it is not known what comes next.
    fn next(&mut self) -> Poll<Option<Result<Piece>>>;

    /// Waits until a piece that was pending may be known; for ever if none is.
    fn changed(&mut self) -> impl Future<Output = ()> + Send;
}

/// Pieces that are all known.
pub(super) struct Listed<I>(pub(super) I);

impl<I: Iterator<Item = Result<Piece>> + Send> Pieces for Listed<I> {
    fn next(&mut self) -> Poll<Option<Result<Piece>>> {
        Poll::Ready(self.0.next())
    }

    fn changed(&mut self) -> impl Future<Output = ()> + Send {
        pending()
    }
}
