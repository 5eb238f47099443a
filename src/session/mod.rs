//! A read session: one planned read of one table, usable from every thread. After it was opened nothing but its end changes, and the number of
//! its splits that are known, if the plan was not waited for.

mod background;
mod chunks;
mod explain;
mod filter;
mod lease;
mod metrics;
mod parts;
mod plan;
mod planner;
mod planning;
mod projection;
mod split_info;
mod token;

use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use arrow_schema::SchemaRef;

use crate::client::Client;
use crate::error::{Error, Kind, Result};
use crate::metrics::Metric;
use crate::options::{self, Options};
use crate::predicate::{Conjunct, Exactness, Predicate, Selection};
use crate::proto::call::Rows;
use crate::runtime::{Cancel, Place, forced_panic, within};
use crate::transport::check_endpoint;
use background::Clock;
use parts::State;
use planning::{PlanRequests, Planning};
use token::Plans;

pub(crate) use background::Background;
pub use lease::{Hold, Lease};
pub(crate) use metrics::Reads;
pub use metrics::{Metrics, SessionMetrics};
pub use parts::Known;
pub(crate) use parts::Parts;
pub(crate) use plan::Plan;
pub(crate) use projection::Projection;
pub use split_info::SplitInfo;

/// A planned read. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Session {
    client: Client,
    parts: Parts,
    /// The schema of the batches that arrive.
    arriving: SchemaRef,
    /// Which of its columns are delivered; `None` for all.
    delivered: Option<Arc<[usize]>>,
    /// The schema of these columns before policies change their form.
    plain: SchemaRef,
    schema: SchemaRef,
    selection: Option<Arc<Selection>>,
    conjuncts: Arc<[Conjunct]>,
    /// How long planning took; unknown for a session that was planned elsewhere.
    clock: Option<Clock>,
    /// What plans the rest, if there is any.
    background: Option<Arc<Background>>,
    reads: Arc<Reads>,
}

impl Session {
    /// Plans a read of the table that `scan` names; blocks until the plan is ready, or its first splits are known if `plan.wait` says so.
    pub fn open(client: &Client, scan: &Options) -> Result<Self> {
        Self::open_filtered(client, scan, None, None)
    }

    /// As [`Session::open`], of the rows for which `filter` is true as far as it is pushed or filter.exact says so,
    /// unless `cancel` ends the call.
    pub fn open_filtered(
        client: &Client,
        scan: &Options,
        filter: Option<&Predicate>,
        cancel: Option<&Cancel>,
    ) -> Result<Self> {
        client.runtime().check()?;
        forced_panic(scan.text(&options::DEBUG_PANIC), Place::SessionOpen);
        let client = &client.observed(scan)?;
        let requests = PlanRequests::from_options(client, scan, filter)?;
        let transport = Arc::clone(client.transport());
        let waits_for_all = scan.text(&options::PLAN_WAIT) != Some("first");
        let clock = Clock::start();
        let (plans, planning, conjuncts) = client.run(cancel, async move {
            let (mut planning, conjuncts) = requests.begin(transport).await?;
            let plans = if waits_for_all { planning.all().await? } else { planning.first_splits().await? };
            Ok((plans, planning, conjuncts))
        })?;
        let parts = Parts::growing(client.transport(), plans, planning.count())?;
        let session = Session::new(client, parts, conjuncts, Some(clock))?;
        Ok(session.going_on(planning))
    }

    /// Has the rest of the plan made in the background.
    fn going_on(mut self, planning: Planning) -> Self {
        if let Some(clock) = &self.clock {
            if planning.is_over() {
                clock.stop();
            } else {
                let background = Background::start(&self.client, planning, &self.parts, clock.clone());
                self.background = Some(Arc::new(background));
            }
        }
        self
    }

    /// Opens a session that was planned elsewhere from its token. No I/O.
    pub fn attach(client: &Client, token: &[u8]) -> Result<Self> {
        client.runtime().check()?;
        let mut plans = token::read(token)?;
        let all = match &mut plans {
            Plans::All(plans) => plans.iter_mut(),
            Plans::One(plan, _) => std::slice::from_mut(&mut **plan).iter_mut(),
        };
        for plan in all {
            plan.data_endpoint = match client.transport().configured_data_endpoint() {
                Some(endpoint) => endpoint.to_owned(),
                None => check_endpoint(&plan.data_endpoint).map_err(|error| error.context("the session token"))?,
            };
        }
        // Without the report of the planning only what the library does itself is known.
        let parts = match plans {
            Plans::All(plans) => Parts::new(client.transport(), plans)?,
            Plans::One(plan, first_split) => Parts::excerpt(client.transport(), *plan, first_split)?,
        };
        let residual = parts.first().residual.as_deref().map(Predicate::parse).transpose()?;
        let conjunct = |part: &Predicate| Conjunct {
            text: part.to_string(),
            pushed: None,
            exactness: Exactness::Exact,
            reason:
                "the library filters the rows (filter.exact); what was pushed is known where the session was opened"
                    .into(),
        };
        let conjuncts = residual.iter().flat_map(|residual| residual.conjuncts().iter().map(conjunct)).collect();
        Session::new(client, parts, conjuncts, None)
    }

    fn new(client: &Client, parts: Parts, conjuncts: Vec<Conjunct>, clock: Option<Clock>) -> Result<Self> {
        let plan = parts.first();
        let arriving = Arc::new(plan.schema()?);
        let delivered = plan.delivered(&arriving);
        let plain = match &delivered {
            None => Arc::clone(&arriving),
            Some(columns) => Arc::new(arriving.project(columns).map_err(|error| {
                Error::new(Kind::Internal, format!("the columns of the session are not found: {error}"))
            })?),
        };
        // What cannot be treated is known before anything is read.
        plan.policies.check(&plain)?;
        plan.policies.of_values(&arriving)?;
        let schema = Arc::clone(plan.policies.of_form(&plain)?.schema());
        let residual = plan.residual.as_deref().map(Predicate::parse).transpose()?;
        let selection = residual.map(|residual| Selection::new(&residual, &arriving)).transpose()?;
        Ok(Session {
            client: client.unbound(),
            parts,
            arriving,
            delivered: delivered.map(Into::into),
            plain,
            schema,
            selection: selection.map(Arc::new),
            conjuncts: conjuncts.into(),
            clock,
            background: None,
            reads: Arc::new(Reads::new(client.memory())),
        })
    }

    /// The session as bytes for another process: versioned, with a checksum, without credentials. Fails while the plan is not whole.
    pub fn serialize(&self) -> Result<Vec<u8>> {
        token::write(self.all_plans()?)
    }

    /// The same as the text of a JSON object, with fields that can be read.
    pub fn serialize_json(&self) -> Result<Vec<u8>> {
        token::write_json(self.all_plans()?)
    }

    /// One split as bytes, or as JSON, for another process that reads it by its number; also while others are still planned.
    pub fn serialize_split(&self, index: i64, as_json: bool) -> Result<Vec<u8>> {
        let part = self.parts.of(index).zip(self.parts.first_of(index));
        let ((plan, lease), first_split) = part.ok_or_else(|| self.no_split(index))?;
        let one = Plans::One(Box::new(current(plan, lease)), first_split);
        if as_json { token::write_json(one) } else { token::write(one) }
    }

    fn all_plans(&self) -> Result<Plans> {
        self.parts.check_whole("a session is written when all its splits are known")?;
        Ok(Plans::All(self.parts.all().map(|(plan, lease)| current(plan, lease)).collect()))
    }

    /// The schema of every batch.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// What became of each condition that the filter demands, in its order; empty without a filter. Of an attached session only what
    /// the library filters by is known.
    pub fn conjuncts(&self) -> &[Conjunct] {
        &self.conjuncts
    }

    /// The schema of the batches that arrive, and which of its columns are delivered; `None` for all.
    pub(crate) fn arriving(&self) -> (&SchemaRef, Option<&Arc<[usize]>>) {
        (&self.arriving, self.delivered.as_ref())
    }

    /// The schema of the columns that are delivered, before policies change their form.
    pub(crate) fn plain(&self) -> &SchemaRef {
        &self.plain
    }

    /// What the library filters by.
    pub(crate) fn selection(&self) -> Option<&Arc<Selection>> {
        self.selection.as_ref()
    }

    /// The number behind the last split that is known: how many there are, if the plan was waited for.
    pub fn split_count(&self) -> i64 {
        self.parts.split_count()
    }

    /// Waits until more than `known` splits are known, or the plan is whole: until `deadline`, or until `cancel` ends the call. What is known
    /// already is told whatever they say. A failure of planning comes after the splits that were planned before.
    pub fn more_splits(&self, known: i64, deadline: Option<Instant>, cancel: Option<&Cancel>) -> Result<Known> {
        if let Poll::Ready(answer) = self.try_more_splits(known)? {
            return Ok(answer);
        }
        let parts = self.parts.clone();
        self.client.run(cancel, async move {
            let waiting = parts.wait_for_more(known);
            let Some(deadline) = deadline else { return waiting.await };
            let waited = within(deadline.saturating_duration_since(Instant::now()), waiting).await;
            waited.unwrap_or_else(|| {
                Err(Error::new(Kind::DeadlineExceeded, "no more splits were known before the deadline"))
            })
        })
    }

    /// As [`Session::more_splits`], without waiting.
    pub fn try_more_splits(&self, known: i64) -> Result<Poll<Known>> {
        self.client.runtime().check()?;
        match self.parts.more(known) {
            Poll::Ready(answer) => answer.map(Poll::Ready),
            Poll::Pending => Ok(Poll::Pending),
        }
    }

    /// The session for a read of splits that are known: it does not keep the planning of others going.
    pub(crate) fn of_known_splits(&self) -> Self {
        Session { background: None, ..self.clone() }
    }

    /// What plans the rest, which whoever waits for more splits keeps.
    pub(crate) fn planning(&self) -> Option<Arc<Background>> {
        self.background.clone()
    }

    /// What is known about split `index` before it is read.
    pub fn split_info(&self, index: i64) -> Result<SplitInfo> {
        SplitInfo::of(&self.parts, index).ok_or_else(|| self.no_split(index))
    }

    /// What all reads of the session have cost so far, those that are over included.
    pub fn metrics(&self) -> Result<Vec<Metric>> {
        self.client.runtime().check()?;
        Ok(self.reads.list(self.clock.as_ref().map(Clock::time)))
    }

    pub(crate) fn reads(&self) -> &Reads {
        &self.reads
    }

    /// How the read was planned, as JSON text for a person.
    pub fn explain(&self) -> String {
        explain::text(self)
    }

    /// Estimated rows of the plan: exact in mode `row_offset`, `None` if the service was not asked, and while the plan is not whole.
    pub fn estimated_rows(&self) -> Option<i64> {
        self.parts.sum(|plan| plan.estimated_rows)
    }

    /// Estimated bytes of the plan, `None` if the service was not asked, and while the plan is not whole.
    pub fn estimated_bytes(&self) -> Option<i64> {
        self.parts.sum(|plan| plan.estimated_bytes)
    }

    /// When what is known of the session ends, in epoch milliseconds; `None` if the service did not say.
    pub fn expires_at_ms(&self) -> Option<i64> {
        self.parts.all().filter_map(|(_, lease)| lease.expires_at_ms()).min()
    }

    /// Prolongs the life of the session at the service; blocks until it has answered or `cancel` ends the call.
    pub fn refresh(&self, cancel: Option<&Cancel>) -> Result<()> {
        for (_, lease) in self.parts.all() {
            let (lease, named) = (Arc::clone(lease), lease.name());
            let refreshed = self.client.run(cancel, async move { lease.refresh().await });
            refreshed.map_err(|error| error.context(format!("refreshing the {named}")))?;
        }
        Ok(())
    }

    /// Whether this session was opened in another process, from which this one was forked.
    pub fn is_inherited(&self) -> bool {
        self.client.runtime().is_inherited()
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// What all plans of the session have in common.
    pub(crate) fn plan(&self) -> &Arc<Plan> {
        self.parts.first()
    }

    /// Number of the first split: 0, unless the session was attached from the token of a split.
    pub fn first_split(&self) -> i64 {
        self.parts.base()
    }

    pub(crate) fn parts(&self) -> &Parts {
        &self.parts
    }

    /// The rows of split `index`.
    pub(crate) fn rows(&self, index: i64) -> Result<Rows> {
        self.parts.rows(index).ok_or_else(|| self.no_split(index))
    }

    fn no_split(&self, index: i64) -> Error {
        // Asked before the splits are counted.
        let state = self.parts.state();
        let count = self.split_count();
        let message = match state {
            State::Whole => format!("there is no split {index}; the session has {count}"),
            State::Planning => {
                format!("there is no split {index} yet; {count} are known, and the session is still being planned")
            }
            State::Failed(failure) => {
                format!("there is no split {index}; {count} are known, and no others will be: {}", failure.message())
            }
            State::Excerpt(failure) => format!("there is no split {index}; {}", failure.message()),
        };
        Error::new(Kind::InvalidArgument, message)
    }
}

/// A plan with what has changed since it was made.
fn current(plan: &Plan, lease: &Lease) -> Plan {
    Plan { expires_at_ms: lease.expires_at_ms(), route_token: lease.route_token(), ..plan.clone() }
}
