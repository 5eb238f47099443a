//! Planning of many partitions: several sessions at the service, some at a time.

use std::collections::VecDeque;
use std::iter::Enumerate;
use std::sync::{Arc, Mutex, PoisonError};
use std::vec::IntoIter;

use super::chunks::chunks;
use super::filter::{Filter, Prepared, TableColumns};
use super::parts::Parts;
use super::plan::Plan;
use super::planner::PlanRequest;
use crate::client::Client;
use crate::error::{Error, Kind, Result};
use crate::options::{self, Key, Options};
use crate::predicate::{Conjunct, Predicate};
use crate::proto::metadata::{TableDocument, get_table};
use crate::proto::{Source, TableName};
use crate::runtime::{Group, within};
use crate::transport::Transport;

/// Plans to be made: one for every group of partitions.
#[derive(Debug)]
pub(super) struct PlanRequests {
    whole: PlanRequest,
    filter: Filter,
    partitions_per_session: usize,
    concurrency: usize,
}

impl PlanRequests {
    pub(super) fn from_options(client: &Client, scan: &Options, filter: Option<&Predicate>) -> Result<Self> {
        let number = |key: &Key| usize::try_from(scan.number(key)).unwrap_or(usize::MAX);
        Ok(PlanRequests {
            whole: PlanRequest::from_options(client, scan)?,
            filter: Filter::new(scan, filter)?,
            partitions_per_session: number(&options::PLAN_PARTITIONS_PER_SESSION),
            concurrency: number(&options::PLAN_CONCURRENCY),
        })
    }

    /// Makes ready to plan, and tells what becomes of the filter.
    pub(super) async fn begin(mut self, transport: Arc<Transport>) -> Result<(Planning, Vec<Conjunct>)> {
        let prepared = within(self.whole.time_left(), self.prepare_filter(&transport)).await;
        let prepared = prepared.unwrap_or_else(|| Err(self.whole.too_late()));
        let Prepared { conjuncts, residual, hidden } =
            prepared.map_err(|error| error.context(format!("planning a read of {}", self.whole.source)))?;
        let groups = chunks(&self.whole.wanted.partitions, self.partitions_per_session);
        let planning = Planning {
            transport,
            partitions: groups.iter().map(Vec::len).sum(),
            count: groups.len(),
            waiting: groups.into_iter().enumerate(),
            whole: self.whole,
            residual,
            hidden,
            concurrency: self.concurrency,
            running: Group::default(),
            under_way: 0,
            made: Arc::default(),
            given_out: 0,
        };
        Ok((planning, conjuncts))
    }

    /// Puts the filter into the request, after a look at the table where the filter needs one.
    async fn prepare_filter(&mut self, transport: &Transport) -> Result<Prepared> {
        let table = match (&self.whole.source, self.filter.needs_table(&self.whole.wanted)) {
            (_, false) => Ok(None),
            (Source::Table(table), true) => columns(table, transport).await.map(Some),
            (Source::Instance { .. }, true) => {
                return Err(Error::new(Kind::InvalidArgument, "the result of an instance is read without a filter"));
            }
        };
        self.filter.prepare(table, &mut self.whole.wanted)
    }
}

/// Plans that are being made, several at a time. Dropping it ends them all, and so does the first failure.
#[derive(Debug)]
pub(super) struct Planning {
    transport: Arc<Transport>,
    whole: PlanRequest,
    residual: Option<String>,
    hidden: Vec<String>,
    /// Of all groups.
    partitions: usize,
    /// How many plans there will be.
    count: usize,
    /// Groups that nobody plans yet, with their numbers.
    waiting: Enumerate<IntoIter<Vec<String>>>,
    concurrency: usize,
    running: Group,
    under_way: usize,
    /// Plans that are ready.
    made: Arc<Mutex<VecDeque<(usize, Plan)>>>,
    given_out: usize,
}

impl Planning {
    /// How many plans there will be.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Whether all of them were given out.
    pub(super) fn is_over(&self) -> bool {
        self.given_out == self.count
    }

    /// All plans, in the order of their partitions.
    pub(super) async fn all(&mut self) -> Result<Vec<Plan>> {
        let mut plans = Vec::with_capacity(self.count);
        while let Some(plan) = self.next().await? {
            plans.push(plan);
        }
        plans.sort_by_key(|(number, _)| *number);
        Ok(plans.into_iter().map(|(_, plan)| plan).collect())
    }

    /// The plans that are ready first, until there is a split among them.
    pub(super) async fn first_splits(&mut self) -> Result<Vec<Plan>> {
        let mut plans = Vec::new();
        while let Some((_, plan)) = self.next().await? {
            let has_splits = plan.split_count() > 0;
            plans.push(plan);
            if has_splits {
                break;
            }
        }
        Ok(plans)
    }

    /// Adds the rest to `parts`, in the order in which they become ready.
    pub(super) async fn rest(mut self, parts: &Parts) -> Result<()> {
        while let Some((_, plan)) = self.next().await? {
            parts.add(&self.transport, plan)?;
        }
        Ok(())
    }

    /// The next plan that is ready, and the number of its partitions among all groups; `None` after the last.
    async fn next(&mut self) -> Result<Option<(usize, Plan)>> {
        loop {
            let made = self.made.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            if made.is_some() {
                self.given_out += 1;
                return Ok(made);
            }
            while self.under_way < self.concurrency && self.start_one() {}
            match self.running.ended().await {
                Some(ended) => ended?,
                None if self.is_over() => return Ok(None),
                None => {
                    let message = format!("{} of {} plans were made", self.given_out, self.count);
                    return Err(Error::new(Kind::Internal, message));
                }
            }
            self.under_way -= 1;
        }
    }

    fn start_one(&mut self) -> bool {
        let Some((number, group)) = self.waiting.next() else { return false };
        let request = self.whole.for_partitions(group, self.partitions);
        let (residual, hidden) = (self.residual.clone(), self.hidden.clone());
        let (transport, made) = (Arc::clone(&self.transport), Arc::clone(&self.made));
        self.running.start(async move {
            let plan = Plan { residual, hidden, ..request.plan(&transport).await? };
            made.lock().unwrap_or_else(PoisonError::into_inner).push_back((number, plan));
            Ok(())
        });
        self.under_way += 1;
        true
    }
}

/// The columns that a filter may be about.
async fn columns(table: &TableName, transport: &Transport) -> Result<TableColumns> {
    let columns = async {
        let answer = transport.ask_service(get_table(table, false)).await?;
        let document = TableDocument::parse(&answer.body);
        document
            .and_then(|table| Ok(TableColumns { data: table.data_columns()?, partition: table.partition_keys()? }))
            .map_err(|error| error.with_request_id(&answer.request_id))
    };
    columns.await.map_err(|error| error.context("learning the columns that the filter is about"))
}
