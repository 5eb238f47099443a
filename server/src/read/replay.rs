//! Encoded bodies kept in memory, so that a benchmark measures the client and not this server.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use bytes::{Bytes, BytesMut};
use tokio::sync::OnceCell;

use super::encode::Shape;
use super::source::Pieces;
use crate::plan::RowRange;

/// Bodies are served in slices of this size.
const SLICE_BYTES: usize = 1 << 20;

/// What makes a body the same body.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ReplayKey {
    pub session: String,
    /// First block, last block, rows skipped, rows.
    pub range: (usize, usize, u64, u64),
    pub shape: Shape,
    /// Whatever else makes a difference, as text.
    pub variant: String,
}

impl ReplayKey {
    /// The key of a row range of a session.
    pub fn new(session: &str, range: &RowRange, shape: Shape) -> ReplayKey {
        let range = (range.blocks.start, range.blocks.end, range.skip, range.rows);
        ReplayKey { session: session.to_string(), range, shape, variant: String::new() }
    }
}

/// A body as slices that share one allocation per slice.
pub type Body = Arc<Vec<Bytes>>;

/// All bodies encoded so far. Memory grows with what was asked for; that is the point.
#[derive(Debug)]
pub struct Replay {
    batch_rows: Option<usize>,
    bodies: Mutex<HashMap<ReplayKey, Arc<OnceCell<Body>>>>,
}

impl Replay {
    /// Nothing yet. With `batch_rows`, every body is in batches of so many.
    pub fn new(batch_rows: Option<usize>) -> Replay {
        Replay { batch_rows, bodies: Mutex::default() }
    }

    /// The shape of the bodies for a client that asks for `shape`.
    pub fn shape(&self, shape: Shape) -> Shape {
        Shape { batch_rows: self.batch_rows.unwrap_or(shape.batch_rows), ..shape }
    }

    /// The body under `key`; the first caller encodes it, later and concurrent callers share it.
    pub async fn body<P: Pieces>(
        &self,
        key: ReplayKey,
        source: impl FnOnce() -> Result<P> + Send + 'static,
    ) -> Result<Body> {
        let cell = {
            let mut bodies = self.bodies.lock().unwrap_or_else(PoisonError::into_inner);
            bodies.entry(key).or_default().clone()
        };
        let encode = || async { tokio::task::spawn_blocking(move || encode_all(source()?)).await? };
        Ok(cell.get_or_try_init(encode).await?.clone())
    }
}

fn encode_all(mut source: impl Pieces) -> Result<Body> {
    let mut slices = Vec::new();
    let mut rest = BytesMut::new();
    while let Some(piece) = source.next_piece()? {
        rest.extend_from_slice(&piece);
        while rest.len() >= SLICE_BYTES {
            slices.push(rest.split_to(SLICE_BYTES).freeze());
        }
    }
    if !rest.is_empty() {
        slices.push(rest.freeze());
    }
    Ok(Arc::new(slices))
}
