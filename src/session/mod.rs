//! A read session: one planned read of one table. Nothing but its end changes after it was opened; usable from every thread.

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
    schema: SchemaRef,
}

impl Session {
    /// Plans a read of the table that `scan` names; blocks until the plan is ready.
    pub fn open(client: &Client, scan: &Options) -> Result<Self> {
        client.runtime().check()?;
        forced_panic(scan.text(&options::DEBUG_PANIC), Place::SessionOpen);
        let request = planner::PlanRequest::from_options(client, scan)?;
        let transport = Arc::clone(client.transport());
        let plan = client.runtime().run(async move { request.plan(&transport).await })?;
        Session::new(client, plan)
    }

    /// Opens a session that was planned elsewhere from its token. No I/O.
    pub fn attach(client: &Client, token: &[u8]) -> Result<Self> {
        client.runtime().check()?;
        let mut plan = token::read(token)?;
        plan.data_endpoint = match client.transport().configured_data_endpoint() {
            Some(endpoint) => endpoint.to_owned(),
            None => check_endpoint(&plan.data_endpoint).map_err(|error| error.context("the session token"))?,
        };
        Session::new(client, plan)
    }

    fn new(client: &Client, plan: Plan) -> Result<Self> {
        let schema = Arc::new(plan.schema()?);
        let plan = Arc::new(plan);
        let lease = Lease::new(client.transport(), &plan);
        Ok(Session { client: client.clone(), plan, lease, schema })
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
