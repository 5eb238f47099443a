//! The task that owns a stream end to end: request, body, frames, batches, hand-off.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::metrics::Metrics;
use crate::arrow::{Decoder, Frame, Framer, check};
use crate::error::{Error, Kind, Result};
use crate::options::{self, Options};
use crate::proto::Request;
use crate::proto::v1::{self, ReadRows, Rows};
use crate::runtime::{Handoff, Place, forced_panic};
use crate::session::{Plan, Session};
use crate::transport::{Body, Transport};

/// A read that is about to start.
#[derive(Debug)]
pub(super) struct Reader {
    transport: Arc<Transport>,
    plan: Arc<Plan>,
    schema: SchemaRef,
    request: Request,
    rows: Rows,
    queue: Arc<Handoff<RecordBatch>>,
    metrics: Arc<Metrics>,
    forced_panic: Option<String>,
}

impl Reader {
    pub(super) fn new(
        session: &Session,
        index: i64,
        read: &Options,
        queue: Arc<Handoff<RecordBatch>>,
        metrics: Arc<Metrics>,
    ) -> Result<Self> {
        let rows = session.rows(index)?;
        let plan = Arc::clone(session.plan());
        let read_rows = ReadRows {
            rows,
            max_batch_rows: read.number(&options::READ_BATCH_ROWS),
            max_batch_bytes: read.number(&options::READ_BATCH_BYTES),
            compression: match read.text(&options::READ_COMPRESSION) {
                Some("lz4") => Some("LZ4_FRAME"),
                Some("zstd") => Some("ZSTD"),
                _ => None,
            },
        };
        Ok(Reader {
            transport: Arc::clone(session.client().transport()),
            schema: Arc::clone(session.schema()),
            request: v1::read_rows(&plan.table, &plan.session_id, &read_rows),
            rows,
            plan,
            queue,
            metrics,
            forced_panic: read.text(&options::DEBUG_PANIC).map(str::to_owned),
        })
    }

    /// Reads to the end; batches go into the queue.
    pub(super) async fn run(self) -> Result<()> {
        let named = match self.rows {
            Rows::Split { index } => format!("reading split {index} of {}", self.plan.table),
            Rows::Range { start, count } => format!("reading rows {start}+{count} of {}", self.plan.table),
        };
        let result = self.read().await;
        match &result {
            Ok(()) => log::debug!("{named}: done"),
            Err(error) => log::warn!("{named}: {error}"),
        }
        result.map_err(|error| error.context(named))
    }

    async fn read(&self) -> Result<()> {
        let start = Instant::now();
        let mut attempts = self.transport.attempts();
        let started = self.transport.download(&self.plan.data_endpoint, self.request.clone(), &mut attempts).await;
        self.metrics.requests.add(u64::from(attempts.made()));
        self.metrics.first_byte.add_time(start.elapsed());
        let body = started?;
        let request_id = body.request_id().to_owned();
        let complete = self.deliver(body).await;
        complete.map_err(|error| error.with_request_id(&request_id).with_attempts(attempts.made()))
    }

    /// Takes the body apart. It is complete only if the end marker came, and nothing after it.
    async fn deliver(&self, mut body: Body) -> Result<()> {
        let mut framer = Framer::new();
        let mut decoder = Decoder::new(Arc::clone(&self.schema));
        let mut rows = 0;
        loop {
            let waiting = Instant::now();
            let chunk = body.chunk().await?;
            self.metrics.network_wait.add_time(waiting.elapsed());
            let Some(mut chunk) = chunk else { break };
            self.metrics.bytes_wire.add(chunk.len() as u64);
            self.metrics.bytes_copied.add(chunk.len() as u64);
            loop {
                let working = Instant::now();
                let frame = framer.next_frame(&mut chunk)?;
                let batch = match frame {
                    Some(Frame::Schema(schema)) => check(&schema, &self.schema).map(|()| None)?,
                    Some(Frame::Batch { metadata, body }) => Some(self.decode(&mut decoder, &metadata, &body)?),
                    Some(Frame::End) | None => None,
                };
                self.metrics.decode.add_time(working.elapsed());
                match batch {
                    Some(batch) if batch.num_rows() > 0 => {
                        rows += batch.num_rows() as u64;
                        self.metrics.queue_wait.add_time(self.hand_over(batch).await);
                    }
                    Some(_) => {}
                    None if chunk.is_empty() => break,
                    None => {}
                }
            }
        }
        if !framer.has_ended() {
            let message = format!("the stream ended after {rows} rows without the Arrow end marker");
            return Err(Error::new(Kind::CorruptData, message));
        }
        if let Rows::Range { count, .. } = self.rows {
            let rows = i64::try_from(rows).unwrap_or(i64::MAX);
            if rows > count || (rows < count && !self.plan.filtered) {
                let message = format!("{count} rows were asked for, the stream has {rows}");
                return Err(Error::new(Kind::CorruptData, message));
            }
        }
        Ok(())
    }

    fn decode(
        &self,
        decoder: &mut Decoder,
        metadata: &arrow_buffer::Buffer,
        body: &arrow_buffer::Buffer,
    ) -> Result<RecordBatch> {
        forced_panic(self.forced_panic.as_deref(), Place::Reader);
        let (decoded, copied) = (decoder.decoded_bytes(), decoder.copied_bytes());
        let batch = decoder.decode(metadata, body)?;
        self.metrics.bytes_decoded.add(decoder.decoded_bytes() - decoded);
        self.metrics.bytes_copied.add(decoder.copied_bytes() - copied);
        Ok(batch)
    }

    async fn hand_over(&self, batch: RecordBatch) -> Duration {
        let waiting = Instant::now();
        self.queue.put(batch).await;
        waiting.elapsed()
    }
}
