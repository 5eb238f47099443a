//! The task that owns a stream end to end: request, body, frames, batches, hand-off.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::metrics::Metrics;
use super::position::Position;
use super::sink::Sink;
use crate::arrow::{Decoder, Encoded, Frame, Framer, Slabs, behind_the_end, check};
use crate::error::{Error, Kind, Result};
use crate::options::{self, Options};
use crate::proto::v1::{self, Rows, RowsForm};
use crate::runtime::{Place, forced_panic};
use crate::session::{Plan, Session};
use crate::transport::{Body, Transport};

/// A read that is about to start.
#[derive(Debug)]
pub(crate) struct Reader {
    transport: Arc<Transport>,
    plan: Arc<Plan>,
    schema: SchemaRef,
    form: RowsForm,
    rows: Rows,
    sink: Sink,
    slabs: Slabs,
    metrics: Arc<Metrics>,
    forced_panic: Option<String>,
}

impl Reader {
    pub(crate) fn new(
        session: &Session,
        index: i64,
        read: &Options,
        sink: Sink,
        metrics: Arc<Metrics>,
    ) -> Result<Self> {
        let rows = session.rows(index)?;
        let plan = Arc::clone(session.plan());
        let form = RowsForm {
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
            form,
            rows,
            plan,
            sink,
            slabs: Slabs::default(),
            metrics,
            forced_panic: read.text(&options::DEBUG_PANIC).map(str::to_owned),
        })
    }

    /// Reads to the end; batches go into the sink.
    pub(crate) async fn run(self) -> Result<()> {
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

    /// Asks for the rows, and again for the undelivered ones whenever an answer breaks off.
    async fn read(&self) -> Result<()> {
        let start = Instant::now();
        let mut position = Position::new(self.rows, self.plan.filtered);
        let mut attempts = self.transport.attempts();
        let mut request_id = String::new();
        loop {
            let (rows, known) = position.rest();
            let request = v1::read_rows(&self.plan.table, &self.plan.session_id, rows, &self.form);
            let made = attempts.made();
            let started = self.transport.download(&self.plan.data_endpoint, request, &mut attempts).await;
            self.metrics.requests.add(u64::from(attempts.made() - made));
            if self.metrics.first_byte.get() == 0 {
                self.metrics.first_byte.add_time(start.elapsed());
            }
            // A failure without an answer is known by the id of the answer that broke off before it.
            let body = started.map_err(|error| error.with_request_id(&request_id))?;
            request_id = body.request_id().to_owned();
            let delivered = position.delivered();
            let Err(failure) = self.deliver(body, rows, known, &mut position).await else { return Ok(()) };
            if position.delivered() > delivered {
                attempts.progress();
            }
            attempts.wait_after(failure.with_request_id(&request_id)).await?;
            log::info!("going on after {} rows", position.delivered());
            self.metrics.resumes.add(1);
        }
    }

    /// Takes the body of an answer with `rows` apart, of which the first `known` ones are delivered already. It is complete
    /// only if the end marker came, and nothing after it.
    async fn deliver(&self, mut body: Body, rows: Rows, known: u64, position: &mut Position) -> Result<()> {
        let mut framer = Framer::new(&self.slabs);
        let mut decoder = Decoder::new(Arc::clone(&self.schema), &self.slabs);
        let mut seen = 0;
        loop {
            let waiting = Instant::now();
            let count = match framer.room() {
                // Behind the end marker: only the end of the body may follow.
                [] => match body.read(&mut [0]).await? {
                    0 => 0,
                    _ => return Err(behind_the_end()),
                },
                room => body.read(room).await?,
            };
            self.metrics.network.add_time(waiting.elapsed());
            if count == 0 {
                break;
            }
            self.metrics.bytes_wire.add(count as u64);
            if body.is_copied() {
                self.metrics.bytes_copied.add(count as u64);
            }
            let working = Instant::now();
            let batch = match framer.advance(count)? {
                Some(Frame::Schema(schema)) => check(&schema, &self.schema).map(|()| None)?,
                Some(Frame::Batch(encoded)) => Some(self.decode(&mut decoder, &encoded)?),
                Some(Frame::End) | None => None,
            };
            self.metrics.decode.add_time(working.elapsed());
            let Some(batch) = batch else { continue };
            let fresh = self.without_known(batch, known.saturating_sub(seen), &mut seen);
            if fresh.num_rows() > 0 {
                position.advance(fresh.num_rows() as u64);
                self.metrics.queue_wait.add_time(self.hand_over(fresh, &mut body).await);
            }
        }
        if !framer.has_ended() {
            // Temporary, as a connection that breaks: the rest is there to be asked for.
            let message = format!("the stream ended after {} rows without the Arrow end marker", position.delivered());
            return Err(Error::new(Kind::Connection, message));
        }
        self.check_count(rows, seen, known)
    }

    /// The rows of a batch that are not delivered yet.
    fn without_known(&self, batch: RecordBatch, known: u64, seen: &mut u64) -> RecordBatch {
        *seen += batch.num_rows() as u64;
        if known == 0 {
            return batch;
        }
        let known = usize::try_from(known).unwrap_or(usize::MAX).min(batch.num_rows());
        self.metrics.rows_reread.add(known as u64);
        batch.slice(known, batch.num_rows() - known)
    }

    /// Fails if a complete answer has another number of rows than it must.
    fn check_count(&self, rows: Rows, seen: u64, known: u64) -> Result<()> {
        if seen < known {
            let message =
                format!("{known} rows were read before the stream broke, on the second reading it has {seen}");
            return Err(Error::new(Kind::CorruptData, message));
        }
        if let Rows::Range { count, .. } = rows {
            let seen = i64::try_from(seen).unwrap_or(i64::MAX);
            if seen > count || (seen < count && !self.plan.filtered) {
                let message = format!("{count} rows were asked for, the stream has {seen}");
                return Err(Error::new(Kind::CorruptData, message));
            }
        }
        Ok(())
    }

    fn decode(&self, decoder: &mut Decoder, encoded: &Encoded) -> Result<RecordBatch> {
        forced_panic(self.forced_panic.as_deref(), Place::Reader);
        let (decoded, copied) = (decoder.decoded_bytes(), decoder.copied_bytes());
        let batch = decoder.decode(encoded)?;
        self.metrics.bytes_decoded.add(decoder.decoded_bytes() - decoded);
        self.metrics.bytes_copied.add(decoder.copied_bytes() - copied);
        Ok(batch)
    }

    /// Hands a batch on. While the engine is slower than the service, the request does not count as one under way.
    async fn hand_over(&self, batch: RecordBatch, body: &mut Body) -> Duration {
        let waiting = Instant::now();
        if let Some(batch) = self.sink.try_put(batch) {
            body.set_counted(false);
            self.sink.put(batch).await;
            body.set_counted(true);
        }
        waiting.elapsed()
    }
}
