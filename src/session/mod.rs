//! A read session: one planned read of one table. Nothing but its end changes after it was opened; usable from every thread.

mod filter;
mod lease;
mod plan;
mod planner;
mod projection;
mod token;

use std::sync::Arc;

use arrow_schema::SchemaRef;

use crate::client::Client;
use crate::error::{Error, Kind, Result};
use crate::options::{self, Options};
use crate::predicate::{Conjunct, Exactness, Predicate, Selection};
use crate::proto::call::Rows;
use crate::runtime::{Place, forced_panic};
use crate::transport::check_endpoint;

pub use lease::{Hold, Lease};
pub(crate) use plan::Plan;
pub(crate) use projection::Projection;

/// A planned read. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Session {
    client: Client,
    plan: Arc<Plan>,
    lease: Arc<Lease>,
    /// The schema of the batches that arrive.
    arriving: SchemaRef,
    /// Which of its columns are delivered; `None` for all.
    delivered: Option<Arc<[usize]>>,
    schema: SchemaRef,
    selection: Option<Arc<Selection>>,
    conjuncts: Arc<[Conjunct]>,
}

impl Session {
    /// Plans a read of the table that `scan` names; blocks until the plan is ready.
    pub fn open(client: &Client, scan: &Options) -> Result<Self> {
        Self::open_filtered(client, scan, None)
    }

    /// As [`Session::open`], of the rows for which `filter` is true as far as it is pushed or filter.exact says so.
    pub fn open_filtered(client: &Client, scan: &Options, filter: Option<&Predicate>) -> Result<Self> {
        client.runtime().check()?;
        forced_panic(scan.text(&options::DEBUG_PANIC), Place::SessionOpen);
        let request = planner::PlanRequest::from_options(client, scan, filter)?;
        let transport = Arc::clone(client.transport());
        let (plan, conjuncts) = client.runtime().run(async move { request.plan(&transport).await })?;
        Session::new(client, plan, conjuncts)
    }

    /// Opens a session that was planned elsewhere from its token. No I/O.
    pub fn attach(client: &Client, token: &[u8]) -> Result<Self> {
        client.runtime().check()?;
        let mut plan = token::read(token)?;
        plan.data_endpoint = match client.transport().configured_data_endpoint() {
            Some(endpoint) => endpoint.to_owned(),
            None => check_endpoint(&plan.data_endpoint).map_err(|error| error.context("the session token"))?,
        };
        // Without the report of the planning only what the library does itself is known.
        let residual = plan.residual.as_deref().map(Predicate::parse).transpose()?;
        let conjunct = |part: &Predicate| Conjunct {
            text: part.to_string(),
            pushed: None,
            exactness: Exactness::Exact,
            reason:
                "the library filters the rows (filter.exact); what was pushed is known where the session was opened"
                    .into(),
        };
        let conjuncts = residual.iter().flat_map(|residual| residual.conjuncts().iter().map(conjunct)).collect();
        Session::new(client, plan, conjuncts)
    }

    fn new(client: &Client, plan: Plan, conjuncts: Vec<Conjunct>) -> Result<Self> {
        let arriving = Arc::new(plan.schema()?);
        let delivered = plan.delivered(&arriving);
        let schema = match &delivered {
            None => Arc::clone(&arriving),
            Some(columns) => Arc::new(arriving.project(columns).map_err(|error| {
                Error::new(Kind::Internal, format!("the columns of the session are not found: {error}"))
            })?),
        };
        let residual = plan.residual.as_deref().map(Predicate::parse).transpose()?;
        let selection = residual.map(|residual| Selection::new(&residual, &arriving)).transpose()?;
        let plan = Arc::new(plan);
        let lease = Lease::new(client.transport(), &plan);
        Ok(Session {
            client: client.clone(),
            plan,
            lease,
            arriving,
            delivered: delivered.map(Into::into),
            schema,
            selection: selection.map(Arc::new),
            conjuncts: conjuncts.into(),
        })
    }

    /// The session as bytes for another process: versioned, with a checksum, without credentials.
    pub fn serialize(&self) -> Result<Vec<u8>> {
        token::write(&Plan {
            expires_at_ms: self.expires_at_ms(),
            route_token: self.lease.route_token(),
            ..Plan::clone(&self.plan)
        })
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

    /// What the library filters by.
    pub(crate) fn selection(&self) -> Option<&Arc<Selection>> {
        self.selection.as_ref()
    }

    /// How many splits the plan has.
    pub fn split_count(&self) -> i64 {
        self.plan.split_count()
    }

    /// Estimated rows of the plan: exact in mode `row_offset`, `None` if the service was not asked.
    pub fn estimated_rows(&self) -> Option<i64> {
        self.plan.estimated_rows
    }

    /// Estimated bytes of the plan, `None` if the service was not asked.
    pub fn estimated_bytes(&self) -> Option<i64> {
        self.plan.estimated_bytes
    }

    /// When the session ends, in epoch milliseconds; `None` if the service did not say.
    pub fn expires_at_ms(&self) -> Option<i64> {
        self.lease.expires_at_ms()
    }

    /// Prolongs the life of the session at the service; blocks until it has answered.
    pub fn refresh(&self) -> Result<()> {
        let lease = Arc::clone(&self.lease);
        let named = format!("refreshing the session {} of {}", self.plan.session_id, self.plan.source);
        self.client.runtime().run(async move { lease.refresh().await }).map_err(|error| error.context(named))
    }

    /// Has the session refreshed ahead of its end as long as the guard lives.
    pub(crate) fn hold(&self) -> Hold {
        self.lease.hold(self.client.runtime())
    }

    /// Whether this session was opened in another process, from which this one was forked.
    pub fn is_inherited(&self) -> bool {
        self.client.runtime().is_inherited()
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// The life of the session at the service, and the way to it.
    pub(crate) fn lease(&self) -> &Arc<Lease> {
        &self.lease
    }

    /// The rows of split `index`.
    pub(crate) fn rows(&self, index: i64) -> Result<Rows> {
        self.plan.rows(index).ok_or_else(|| {
            let count = self.split_count();
            Error::new(Kind::InvalidArgument, format!("there is no split {index}; the session has {count}"))
        })
    }
}
