//! The task that owns a stream end to end: request, body, frames, batches, hand-off.

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use arrow_array::RecordBatch;

use super::chunk::{Chunk, Filtered, Rows};
use super::constants::Constants;
use super::due::Due;
use super::kept::Kept;
use super::position::{Piece, Position, Rest};
use super::sink::Sink;
use super::source::Source;
use crate::arrow::{Decoder, Encoded, Frame, Framer, Slab, Unpacker, behind_the_end, claim_fresh};
use crate::error::{Error, Kind, Result};
use crate::memory::{Ahead, Allowance};
use crate::proto::call::{self, ReadRows};
use crate::runtime::{Place, forced_panic};
use crate::session::{Lease, Plan};
use crate::transport::{Body, Errand, Need, Purpose};

/// A read of one piece that is about to start.
#[derive(Debug)]
pub(crate) struct Reader {
    source: Arc<Source>,
    piece: Piece,
    position: Arc<Position>,
    sink: Sink,
    /// What the engine did not take yet.
    ahead: Ahead,
    /// `None` for rows that another request has asked for before.
    due: Option<Due>,
}

impl Reader {
    /// `position` is at the start of `piece`.
    pub(crate) fn new(source: &Arc<Source>, position: Arc<Position>, piece: Piece, sink: Sink) -> Self {
        let (source, ahead, due) = (Arc::clone(source), Ahead::default(), source.due());
        Reader { source, piece, position, sink, ahead, due: Some(due) }
    }

    /// As [`Reader::new`], for rows that another reader asked for and gives away.
    pub(crate) fn taking_over(source: &Arc<Source>, position: Arc<Position>, piece: Piece, sink: Sink) -> Self {
        Reader { source: Arc::clone(source), piece, position, sink, ahead: Ahead::default(), due: None }
    }

    /// A request is out, or none is needed.
    fn asked(&self) {
        if let Some(due) = &self.due {
            due.settle();
        }
    }

    /// What the engine did not take yet.
    pub(super) fn ahead(&self) -> &Ahead {
        &self.ahead
    }

    /// Reads to the end; batches go into the sink.
    pub(crate) async fn run(self) -> Result<()> {
        self.sink.fed_by(self.read_piece()).await
    }

    async fn read_piece(&self) -> Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        if let Some((constants, rows)) = self.source.told(&self.piece)? {
            self.asked();
            return self.tell(&constants, rows).await;
        }
        let (plan, lease) = self.source.part_of(self.piece.split)?;
        let what = &plan.source;
        let named = match self.piece.rows {
            call::Rows::Split { index } => format!("reading split {index} of {what}"),
            call::Rows::Range { start, count } => format!("reading rows {start}+{count} of {what}"),
        };
        let result = self.read(plan, lease).await;
        match &result {
            Ok(()) => log::debug!("{named}: done"),
            Err(error) => log::warn!("{named}: {error}"),
        }
        result.map_err(|error| error.context(named))
    }

    /// Delivers rows that are all alike, without a request. All batches are parts of one.
    async fn tell(&self, constants: &Constants<'_>, most: usize) -> Result<()> {
        let schema = self.source.projection.schema();
        let allowance = self.allowance(constants.bytes(most), None).await?;
        let rows = constants.rows(schema, most)?;
        if let Some(allowance) = allowance {
            claim_fresh(&RecordBatch::new_empty(Arc::clone(schema)), &rows, &allowance);
        }
        loop {
            let count = self.position.claim(self.source.caps.next(&rows, 0) as u64);
            if count == 0 {
                return Ok(());
            }
            let part = rows.slice(0, usize::try_from(count).unwrap_or(most));
            let whole = Filtered { rows: part.num_rows(), kept: Kept::default(), passed: 0 };
            let chunk = self.chunk(part, 0, whole, None).await?;
            self.sink.put(chunk).await;
        }
    }

    /// Asks for the rows, and again for the undelivered ones whenever an answer breaks off.
    async fn read(&self, plan: &Plan, lease: &Lease) -> Result<()> {
        let start = Instant::now();
        let (source, position) = (&self.source, &self.position);
        let can_skip = plan.version.skips_rows(&plan.source);
        let mut attempts = source.transport.attempts();
        let mut request_id = String::new();
        loop {
            let rest = position.rest(can_skip);
            let wanted = ReadRows { rows: rest.rows, skip: rest.skip, form: &source.form };
            let request = plan.version.read_rows(&plan.source, &plan.session_id, &wanted)?;
            let request = request.routed(&lease.route_token());
            let made = attempts.made();
            let throttled = attempts.throttled();
            let sent = || self.asked();
            let errand =
                Errand { purpose: Purpose::Read, share: &source.share, split: Some(self.piece.split), sent: &sent };
            let started = source.transport.download(&plan.data_endpoint, request, &mut attempts, errand).await;
            source.metrics.requests.add(u64::from(attempts.made() - made));
            source.metrics.throttled.add_time(attempts.throttled() - throttled);
            if self.source.metrics.first_byte.get() == 0 {
                self.source.metrics.first_byte.add_time(start.elapsed());
            }
            // A failure without an answer is known by the id of the answer that broke off before it.
            let mut body = started.map_err(|error| plan.version.session_failure(error.with_request_id(&request_id)))?;
            lease.set_route_token(body.route_token());
            request_id = body.request_id().to_owned();
            let delivered = position.delivered();
            let read = self.deliver(&mut body, rest, plan.version.packs_bodies()).await;
            body.end(read.as_ref().err());
            // Its slot is for others while this one waits.
            drop(body);
            let Err(failure) = read else { return Ok(()) };
            if position.delivered() > delivered {
                attempts.progress();
            }
            if failure.kind() == Kind::ResourceExhausted {
                // Of this process: the service cannot help.
                return Err(failure.with_request_id(&request_id));
            }
            attempts.wait_after(failure.with_request_id(&request_id)).await?;
            log::info!("going on after {} rows", position.delivered());
            self.source.metrics.resumes.add(1);
        }
    }

    /// Takes the body of an answer apart. It is complete only if the end marker came, and nothing after it.
    async fn deliver(&self, body: &mut Body, rest: Rest, is_packed: bool) -> Result<()> {
        let source = &self.source;
        let mut unpacker = Unpacker::new(is_packed);
        let mut framer = Framer::new(&source.slabs);
        let decoder = Decoder::new(Arc::clone(&source.schema), &source.slabs);
        let mut decoder = decoder.with_overflow(source.overflow);
        let mut seen = 0;
        loop {
            let count = match framer.room() {
                // Behind the end marker: only the end of the body may follow.
                [] => match self.receive(body, &mut unpacker, &mut [0]).await? {
                    0 => 0,
                    _ => return Err(behind_the_end()),
                },
                room => self.receive(body, &mut unpacker, room).await?,
            };
            if count == 0 {
                break;
            }
            let working = Instant::now();
            let frame = framer.advance(count)?;
            self.source.metrics.decode.add_time(working.elapsed());
            match frame {
                Some(Frame::Schema(schema)) => decoder.begin(&schema)?,
                Some(Frame::Room(length)) => framer.give(self.slab(length, body).await?),
                Some(Frame::Batch(encoded)) => {
                    let (batch, bytes) = self.decode(&mut decoder, encoded, body).await?;
                    let fresh = self.without_known(batch, rest.known.saturating_sub(seen), &mut seen);
                    self.hand_over(fresh, bytes, body).await?;
                    if self.position.is_over() {
                        return Ok(());
                    }
                }
                Some(Frame::End) | None => {}
            }
        }
        if !framer.has_ended() {
            // Temporary, as a connection that breaks: the rest is there to be asked for.
            let message =
                format!("the stream ended after {} rows without the Arrow end marker", self.position.delivered());
            return Err(Error::new(Kind::Connection, message));
        }
        self.check_count(rest, seen)
    }

    /// Fills a part of `room` with bytes of the stream; 0 behind the last one. A body that is not compressed as a whole is received
    /// right there.
    async fn receive(&self, body: &mut Body, unpacker: &mut Unpacker, room: &mut [u8]) -> Result<usize> {
        loop {
            if unpacker.is_passed() {
                return self.receive_raw(body, room, Need::All).await;
            }
            let working = Instant::now();
            let unpacked = unpacker.unpack(room)?;
            self.source.metrics.decode.add_time(working.elapsed());
            if let Some(count) = unpacked {
                return Ok(count);
            }
            let count = self.receive_raw(body, unpacker.room(), Need::Any).await?;
            unpacker.advance(count);
            if unpacker.needed_bytes() > 0 {
                let memory = self.allowance(unpacker.needed_bytes(), Some(&mut *body)).await?;
                unpacker.begin(memory)?;
            }
        }
    }

    async fn receive_raw(&self, body: &mut Body, room: &mut [u8], need: Need) -> Result<usize> {
        let metrics = &self.source.metrics;
        let waiting = Instant::now();
        let count = body.read(room, need).await?;
        metrics.network.add_time(waiting.elapsed());
        metrics.bytes_wire.add(count as u64);
        if body.is_copied() {
            metrics.bytes_copied.add(count as u64);
        }
        Ok(count)
    }

    /// The rows of a batch that are not delivered yet.
    fn without_known(&self, batch: RecordBatch, known: u64, seen: &mut u64) -> RecordBatch {
        *seen += batch.num_rows() as u64;
        if known == 0 {
            return batch;
        }
        let known = usize::try_from(known).unwrap_or(usize::MAX).min(batch.num_rows());
        self.source.metrics.rows_reread.add(known as u64);
        batch.slice(known, batch.num_rows() - known)
    }

    /// Fails if a complete answer has another number of rows than it must.
    fn check_count(&self, Rest { rows, skip, known }: Rest, seen: u64) -> Result<()> {
        if seen < known && known == self.piece.skip {
            let message = format!("read.start_row is {known}, the split has {seen} rows");
            return Err(Error::new(Kind::InvalidOption, message));
        }
        if seen < known {
            let message =
                format!("{known} rows were read before the stream broke, on the second reading it has {seen}");
            return Err(Error::new(Kind::CorruptData, message));
        }
        if let call::Rows::Range { count, .. } = rows {
            let seen = i64::try_from(seen.saturating_add(skip)).unwrap_or(i64::MAX);
            if seen > count || (seen < count && !self.piece.filtered) {
                let message = format!("{count} rows were asked for, the stream has {seen}");
                return Err(Error::new(Kind::CorruptData, message));
            }
        }
        Ok(())
    }

    /// Decodes a message; the batch and the bytes of the frame that it lies in.
    async fn decode(&self, decoder: &mut Decoder, encoded: Encoded, body: &mut Body) -> Result<(RecordBatch, u64)> {
        let source = &self.source;
        forced_panic(source.forced_panic.as_deref(), Place::Reader);
        let target = match decoder.decompressed_bytes(&encoded)? {
            0 => None,
            bytes => Some(self.slab(bytes, body).await?),
        };
        let made = self.allowance(decoder.made_bytes(&encoded)?, Some(&mut *body)).await?;
        let working = Instant::now();
        let (decoded, copied) = (decoder.decoded_bytes(), decoder.copied_bytes());
        let replaced = decoder.replaced_times();
        let batch = decoder.decode(&encoded, target, made.as_ref())?;
        let bytes = decoder.decoded_bytes() - decoded;
        source.metrics.bytes_decoded.add(bytes);
        source.metrics.bytes_copied.add(decoder.copied_bytes() - copied);
        source.metrics.times_replaced.add(decoder.replaced_times() - replaced);
        source.metrics.decode.add_time(working.elapsed());
        Ok((batch, bytes))
    }

    /// Waits for memory. The socket is left alone meanwhile, and the request does not count as one under way.
    async fn slab(&self, length: usize, body: &mut Body) -> Result<Slab> {
        self.granted(length as u64, self.source.slabs.take(length, &self.ahead), Some(body)).await
    }

    /// Waits for memory that the library needs to make something; `None` for none.
    async fn allowance(&self, bytes: u64, body: Option<&mut Body>) -> Result<Option<Allowance>> {
        if bytes == 0 {
            return Ok(None);
        }
        let grant = self.granted(bytes, self.source.account.reserve(bytes, &self.ahead), body).await?;
        Ok(Some(Allowance::new(grant)))
    }

    async fn granted<T>(
        &self,
        bytes: u64,
        taking: impl Future<Output = Result<T>>,
        mut body: Option<&mut Body>,
    ) -> Result<T> {
        let mut taking = pin!(taking);
        if let Poll::Ready(taken) = std::future::poll_fn(|context| Poll::Ready(taking.as_mut().poll(context))).await {
            return taken;
        }
        if let Some(body) = &mut body {
            body.set_counted(false);
        }
        let taken = self.source.granted(bytes, taking, &self.ahead).await;
        if let Some(body) = body {
            body.set_counted(true);
        }
        taken
    }

    /// A batch of `bytes` for the engine: what filters have left of the rows before the present position.
    async fn chunk(
        &self,
        batch: RecordBatch,
        bytes: u64,
        filtered: Filtered,
        body: Option<&mut Body>,
    ) -> Result<Chunk> {
        let position = self.piece.before.saturating_add(self.position.delivered());
        let start = position.saturating_sub(filtered.rows as u64);
        let form = self.source.refinement.most_bytes_of_form(&batch);
        Ok(Chunk {
            split: self.piece.split,
            bytes,
            position,
            rows: Rows { start, kept: filtered.kept },
            passed: filtered.passed,
            allowance: self.allowance(form, body).await?.map(Arc::new),
            filtering: None,
            ready: Some(self.ahead.put()),
            batch,
        })
    }

    /// Hands a batch of `bytes` on, in parts of the size that the engine wants. While the engine is slower than the service, the
    /// request does not count as one under way.
    async fn hand_over(&self, batch: RecordBatch, bytes: u64, body: &mut Body) -> Result<()> {
        let rows = batch.num_rows();
        let mut start = 0;
        while start < rows {
            let wanted = self.source.caps.next(&batch, start);
            let count = usize::try_from(self.position.claim(wanted as u64)).unwrap_or(wanted);
            if count > 0 {
                let part = if count == rows { batch.clone() } else { batch.slice(start, count) };
                let refinement = &self.source.refinement;
                let filters = refinement.since(0);
                let allowance = self.allowance(refinement.most_bytes(&part, &filters), Some(&mut *body)).await?;
                let (projection, metrics) = (&self.source.projection, &self.source.metrics);
                let mut kept = Kept::default();
                let part = refinement.apply(part, &filters, projection, metrics, &mut kept, allowance.as_ref())?;
                drop(allowance);
                let filtered = Filtered { rows: count, kept, passed: filters.count() };
                let bytes = u64::try_from(u128::from(bytes) * part.num_rows() as u128 / rows as u128).unwrap_or(bytes);
                // One that is left without rows counts by its position only, which the next one has as well.
                if part.num_rows() > 0 {
                    let chunk = self.chunk(part, bytes, filtered, Some(&mut *body)).await?;
                    let waiting = Instant::now();
                    if let Some(chunk) = self.sink.try_put(chunk) {
                        body.set_counted(false);
                        self.sink.put(chunk).await;
                        body.set_counted(true);
                    }
                    self.source.metrics.queue_wait.add_time(waiting.elapsed());
                }
            }
            start += count;
            if count < wanted {
                if self.position.is_over() {
                    return Ok(());
                }
                return Err(Error::new(Kind::CorruptData, "the stream has more rows than were asked for"));
            }
        }
        Ok(())
    }
}
