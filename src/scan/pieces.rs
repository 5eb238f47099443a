//! The pieces of all splits of a session, also of those that are not planned yet.

use std::future::pending;
use std::sync::Arc;
use std::task::Poll;

use super::Progress;
use crate::error::Result;
use crate::runtime::{Listener, Runtime};
use crate::session::{Hold, Known, Parts, Session};
use crate::split::{Piece, Pieces, Source};

/// The pieces of the splits, by their numbers. Splits that become known while others are read follow.
pub(super) struct AllPieces {
    source: Arc<Source>,
    parts: Parts,
    /// Not counted: what a task keeps is gone only some time after the scan was freed.
    runtime: Runtime,
    progress: Arc<Progress>,
    /// Of the split whose turn it is.
    pieces: Box<dyn Iterator<Item = Result<Piece>> + Send>,
    next_split: i64,
    known: Known,
    changes: Listener,
    /// Keep what became known later alive at the service; the scan itself keeps what it began with.
    holds: Vec<Hold>,
    held: usize,
}

impl AllPieces {
    /// Does not keep the planning of further splits going: whoever waits for batches does.
    pub(super) fn new(session: &Session, source: &Arc<Source>, progress: Arc<Progress>) -> Result<Self> {
        let parts = session.parts().clone();
        let mut all = AllPieces {
            changes: parts.listen(),
            known: Known { splits: 0, is_whole: false },
            source: Arc::clone(source),
            progress,
            pieces: Box::new(std::iter::empty()),
            next_split: 0,
            holds: Vec::new(),
            held: parts.count(),
            parts,
            runtime: session.client().runtime().uncounted(),
        };
        // What is not planned counts as a piece whose request was not sent.
        all.source.expect_again();
        // A failure comes behind the splits that are known.
        if let Poll::Ready(Ok(known)) = all.parts.more(-1) {
            all.take_note(known)?;
        }
        Ok(all)
    }

    /// Takes up splits that have become known.
    fn take_note(&mut self, known: Known) -> Result<()> {
        for split in self.known.splits..known.splits {
            self.source.expect(&self.source.whole(split)?);
        }
        if known.is_whole && !self.known.is_whole {
            self.source.expect_no_more();
        }
        self.known = known;
        let later = self.parts.hold(self.held, &self.runtime);
        self.held += later.len();
        self.holds.extend(later);
        Ok(())
    }

    /// The pieces of a split that no filter rules out when their turn comes.
    fn cut(&self, split: i64) -> Result<impl Iterator<Item = Result<Piece>> + Send + use<>> {
        let (source, progress) = (Arc::clone(&self.source), Arc::clone(&self.progress));
        let pieces = source.cut(source.whole(split)?);
        Ok(pieces.filter_map(move |piece| source.wanted(piece, |piece| progress.done(piece))))
    }

    fn advance(&mut self) -> Result<Poll<Option<Piece>>> {
        loop {
            if let Some(piece) = self.pieces.next() {
                return Ok(Poll::Ready(Some(piece?)));
            }
            if self.next_split < self.known.splits {
                self.pieces = Box::new(self.cut(self.next_split)?);
                self.next_split += 1;
            } else if self.known.is_whole {
                return Ok(Poll::Ready(None));
            } else {
                match self.parts.more(self.known.splits) {
                    Poll::Ready(known) => self.take_note(known?)?,
                    Poll::Pending => return Ok(Poll::Pending),
                }
            }
        }
    }
}

impl Pieces for AllPieces {
    fn next(&mut self) -> Poll<Option<Result<Piece>>> {
        match self.advance() {
            Ok(next) => next.map(|next| next.map(Ok)),
            Err(error) => Poll::Ready(Some(Err(error))),
        }
    }

    async fn changed(&mut self) {
        if self.known.is_whole {
            pending::<()>().await;
        }
        self.changes.changed().await;
    }
}
