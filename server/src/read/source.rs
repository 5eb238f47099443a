//! What an encoder takes its rows from, and what an answer takes its bytes from.

use anyhow::Result;
use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;

use super::rows::Rows;
use super::size::batch_size;

/// Batches of one schema, made while they are asked for. Blocking.
pub trait Batches: Send {
    /// The schema of all batches.
    fn schema(&self) -> SchemaRef;

    /// The next batch, `None` at the end. After an error it must not be asked again.
    fn next_batch(&mut self) -> Result<Option<RecordBatch>>;
}

impl Batches for Rows {
    fn schema(&self) -> SchemaRef {
        Rows::schema(self)
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        Rows::next_batch(self)
    }
}

/// The bytes of a body, made while they are asked for. Blocking; each call does a bounded amount of work.
pub trait Pieces: Send + 'static {
    /// The next bytes, never none of them; `None` at the end.
    fn next_piece(&mut self) -> Result<Option<Bytes>>;
}

/// Joins short batches into longer ones.
pub struct Joined<B> {
    inner: B,
    rows: usize,
    bytes: usize,
}

impl<B: Batches> Joined<B> {
    /// Batches of at least `rows` rows or `bytes` bytes, but for the last.
    pub fn new(inner: B, rows: usize, bytes: usize) -> Joined<B> {
        Joined { inner, rows, bytes }
    }
}

impl<B: Batches> Batches for Joined<B> {
    fn schema(&self) -> SchemaRef {
        self.inner.schema()
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        let (mut parts, mut rows, mut bytes) = (Vec::new(), 0, 0);
        while rows < self.rows && bytes < self.bytes {
            let Some(batch) = self.inner.next_batch()? else { break };
            rows += batch.num_rows();
            bytes += batch_size(&batch)?;
            parts.push(batch);
        }
        match parts.len() {
            0 | 1 => Ok(parts.pop()),
            _ => Ok(Some(concat_batches(&self.inner.schema(), &parts)?)),
        }
    }
}
