//! What all requests of one open read share.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use arrow_schema::SchemaRef;

use super::constants::Constants;
use super::due::{Due, Unasked};
use super::keys::KeyFilter;
use super::position::Piece;
use super::refine::Refinement;
use crate::arrow::policy::Overflow;
use crate::arrow::{Caps, Slabs};
use crate::error::{Error, Kind, Result};
use crate::memory::Account;
use crate::metrics::Metric;
use crate::options::{self, Options};
use crate::predicate::Predicate;
use crate::proto::call::{Compression, MOST_BATCH_ROWS, RowsForm};
use crate::session::{Lease, Metrics, Parts, Plan, Projection, Session};
use crate::transport::{Share, Transport};

/// Batches of a piece where a split is read by several requests.
const BATCHES_PER_PIECE: u64 = 16;

/// A session with the options of one read of it, and what that read holds.
#[derive(Debug)]
pub(crate) struct Source {
    pub(super) transport: Arc<Transport>,
    pub(super) share: Arc<Share>,
    parts: Parts,
    /// The columns that are delivered.
    pub(super) projection: Projection,
    /// The columns of the stream, which are more if the service cannot be asked for fewer than a session has.
    pub(super) schema: SchemaRef,
    pub(super) refinement: Refinement,
    /// The conditions on partition keys among the filters that were added.
    key_filters: RwLock<Vec<KeyFilter>>,
    /// What happens to times that do not fit.
    pub(super) overflow: Overflow,
    pub(super) form: RowsForm,
    pub(super) caps: Caps,
    pub(super) slabs: Slabs,
    /// The session sums them up when the read is over, which is when nobody else has them.
    pub(super) metrics: Arc<Metrics>,
    pub(super) account: Arc<Account>,
    pub(super) memory_wait: Duration,
    pub(super) forced_panic: Option<String>,
    /// Rows of a piece.
    piece_rows: u64,
    unasked: Unasked,
    /// Batches and bytes that may wait for the engine.
    pub(crate) prefetch_batches: usize,
    pub(crate) prefetch_bytes: u64,
}

impl Source {
    /// A read by up to `requests` requests at once.
    pub(crate) fn new(session: &Session, read: &Options, requests: usize) -> Result<Arc<Self>> {
        // A filter of the library may need any column of the session.
        let narrows = session.plan().version.narrows_reads() && session.selection().is_none();
        let projection = Projection::new(session, read)?;
        let batch_rows = read.number(&options::READ_BATCH_ROWS);
        let form = RowsForm {
            max_batch_rows: batch_rows.min(MOST_BATCH_ROWS),
            max_batch_bytes: read.number(&options::READ_BATCH_BYTES),
            compression: match read.text(&options::READ_COMPRESSION) {
                Some("lz4") => Some(Compression::Lz4),
                Some("zstd") => Some(Compression::Zstd),
                _ => None,
            },
            columns: if narrows { projection.names() } else { Vec::new() },
        };
        let piece_rows =
            match (read.number(&options::READ_REQUEST_ROWS), read.number(&options::READ_REQUESTS_PER_SPLIT)) {
                (0, 0 | 1) => u64::MAX,
                (0, _) => batch_rows.saturating_mul(BATCHES_PER_PIECE),
                (rows, _) => rows,
            };
        let schema = Arc::clone(if narrows { projection.asked() } else { session.arriving().0 });
        let refinement = Refinement::new(session, &schema, projection.schema())?;
        let (metrics, account) = session.reads().begin();
        Ok(Arc::new(Source {
            transport: session.client().transport().traced(read)?,
            share: Share::new(read.number(&options::READ_PRIORITY)),
            parts: session.parts().clone(),
            key_filters: RwLock::default(),
            refinement,
            overflow: session.plan().policies.timestamp_overflow,
            schema,
            projection,
            caps: Caps { rows: usize::try_from(batch_rows).unwrap_or(usize::MAX), bytes: form.max_batch_bytes },
            form,
            slabs: Slabs::new(&account, requests),
            metrics,
            account,
            memory_wait: session.client().memory_wait(),
            forced_panic: read.text(&options::DEBUG_PANIC).map(str::to_owned),
            piece_rows,
            unasked: Unasked::default(),
            prefetch_batches: usize::try_from(read.number(&options::READ_PREFETCH_BATCHES)).unwrap_or(1),
            prefetch_bytes: read.number(&options::READ_PREFETCH_BYTES),
        }))
    }

    /// The schema of every batch.
    pub(super) fn delivered(&self) -> &SchemaRef {
        self.refinement.schema()
    }

    /// Adds a filter for everything that was not handed out yet.
    pub(super) fn add_filter(&self, filter: &Predicate) -> Result<()> {
        self.refinement.add(filter, self.projection.schema())?;
        let conditions = KeyFilter::of(filter, self.projection.schema());
        self.key_filters.write().unwrap_or_else(PoisonError::into_inner).extend(conditions);
        Ok(())
    }

    /// A piece that is about to be read, unless a filter that was added rules its partition out: `done` is told of it then.
    pub(crate) fn wanted(&self, piece: Piece, done: impl FnOnce(&Piece)) -> Option<Result<Piece>> {
        match self.is_ruled_out(&piece) {
            Ok(false) => Some(Ok(piece)),
            Ok(true) => {
                self.unasked.pass_over();
                done(&piece);
                None
            }
            Err(error) => Some(Err(error)),
        }
    }

    fn is_ruled_out(&self, piece: &Piece) -> Result<bool> {
        let filters = self.key_filters.read().unwrap_or_else(PoisonError::into_inner);
        if filters.is_empty() {
            return Ok(false);
        }
        let partitions = &self.part_of(piece.split)?.0.partitions;
        filters.iter().try_fold(false, |is_out, filter| Ok(is_out || filter.rules_out(partitions)?))
    }

    /// The row that a piece has again and again, and how often at most in one batch, if its address tells how many there are and its
    /// partition what is in them.
    pub(super) fn told(&self, piece: &Piece) -> Result<Option<(Constants<'_>, usize)>> {
        if piece.filtered || self.refinement.selects() {
            return Ok(None);
        }
        let Some(rows) = piece.addressed() else { return Ok(None) };
        let count = usize::try_from(rows).unwrap_or(usize::MAX).min(self.caps.rows);
        let constants = Constants::of(self.projection.schema(), &self.part_of(piece.split)?.0.partitions);
        Ok(constants.map(|constants| {
            let count = constants.most_rows(count);
            (constants, count)
        }))
    }

    /// All rows of split `index`.
    pub(super) fn split(session: &Session, index: i64) -> Result<Piece> {
        Ok(Piece::whole(index, session.rows(index)?, session.plan().filtered))
    }

    /// All rows of a split that is known.
    pub(crate) fn whole(&self, split: i64) -> Result<Piece> {
        let rows =
            self.parts.rows(split).ok_or_else(|| Error::new(Kind::Internal, format!("split {split} has no plan")))?;
        Ok(Piece::whole(split, rows, self.parts.first().filtered))
    }

    /// The plan that a split belongs to, and its life at the service.
    pub(super) fn part_of(&self, split: i64) -> Result<(&Plan, &Lease)> {
        let (plan, lease) =
            self.parts.of(split).ok_or_else(|| Error::new(Kind::Internal, format!("split {split} has no plan")))?;
        Ok((plan, lease))
    }

    /// The pieces by which a part of a split is read.
    pub(crate) fn cut(&self, piece: Piece) -> impl Iterator<Item = Piece> + use<> {
        piece.cut(self.piece_rows)
    }

    /// Counts the pieces of a part of a split as not asked for yet.
    pub(crate) fn expect(&self, piece: &Piece) {
        self.unasked.add(piece.pieces(self.piece_rows));
    }

    /// Counts one piece that is read as it is, or splits that are not known yet.
    pub(crate) fn expect_again(&self) {
        self.unasked.add(1);
    }

    /// All splits are known.
    pub(crate) fn expect_no_more(&self) {
        self.unasked.pass_over();
    }

    /// One of the pieces that were counted, whose request is about to be made.
    pub(super) fn due(&self) -> Due {
        self.unasked.due()
    }

    /// Whether every piece was asked for.
    pub(super) fn all_requested(&self) -> bool {
        self.unasked.is_none()
    }

    /// Batches that a lane must hold so that the request of a piece is not held up before its end.
    pub(super) fn lane_batches(&self) -> usize {
        match self.piece_rows {
            u64::MAX => self.prefetch_batches,
            rows => usize::try_from(rows.div_ceil(self.form.max_batch_rows.max(1)))
                .unwrap_or(usize::MAX)
                .clamp(self.prefetch_batches, 4096),
        }
    }

    /// The fewest rows that are worth a request of their own.
    pub(crate) fn least_rows(&self) -> u64 {
        self.form.max_batch_rows
    }

    /// What the read has cost so far.
    pub(crate) fn list_metrics(&self) -> Vec<Metric> {
        self.metrics.memory_current.set(self.account.held());
        self.metrics.memory_peak.set(self.account.peak());
        self.metrics.list()
    }
}
