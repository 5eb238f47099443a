//! The sessions at the service that one session of ours stands for.

use std::sync::Arc;

use super::lease::Lease;
use super::plan::Plan;
use crate::error::{Error, Kind, Result};
use crate::proto::call::Rows;
use crate::transport::Transport;

/// Plans of the same read, each of other partitions. The splits of a plan follow those of the plan before it.
#[derive(Debug, Clone)]
pub(crate) struct Parts {
    first: Arc<Plan>,
    all: Arc<[Part]>,
}

#[derive(Debug)]
struct Part {
    plan: Arc<Plan>,
    lease: Arc<Lease>,
    /// Number of its first split in the whole.
    first_split: i64,
}

impl Parts {
    /// Puts plans together, of which there is at least one. Fails if the table changed between them.
    pub(super) fn new(transport: &Arc<Transport>, plans: Vec<Plan>) -> Result<Self> {
        let mut first_split = 0i64;
        let mut parts: Vec<Part> = Vec::with_capacity(plans.len());
        for plan in plans {
            if let Some(first) = parts.first().filter(|first| first.plan.columns != plan.columns) {
                let message = format!("the columns of {} changed while it was being planned", first.plan.source);
                return Err(Error::new(Kind::TableChanged, message));
            }
            let count = plan.split_count();
            let plan = Arc::new(plan);
            parts.push(Part { lease: Lease::new(transport, &plan), plan, first_split });
            first_split = first_split.saturating_add(count);
        }
        let first = parts.first().map(|part| Arc::clone(&part.plan));
        let first = first.ok_or_else(|| Error::new(Kind::Internal, "a session without a plan"))?;
        Ok(Parts { first, all: parts.into() })
    }

    /// The first plan: what all of them have in common.
    pub(super) fn first(&self) -> &Arc<Plan> {
        &self.first
    }

    /// The plans and their lives at the service, in the order of their splits.
    pub(super) fn all(&self) -> impl ExactSizeIterator<Item = (&Arc<Plan>, &Arc<Lease>)> {
        self.all.iter().map(|part| (&part.plan, &part.lease))
    }

    fn part(&self, split: i64) -> Option<&Part> {
        let behind = self.all.partition_point(|part| part.first_split <= split);
        // A plan without splits begins where the next one does.
        self.all.get(behind.checked_sub(1)?)
    }

    /// The plan of a split and its life at the service; `None` if there is no such split.
    pub(crate) fn of(&self, split: i64) -> Option<(&Arc<Plan>, &Arc<Lease>)> {
        self.locate(split)?;
        self.part(split).map(|part| (&part.plan, &part.lease))
    }

    /// The plan of a split and the number of the split in it; `None` if there is no such split.
    pub(crate) fn locate(&self, split: i64) -> Option<(&Arc<Plan>, i64)> {
        let part = self.part(split)?;
        let local = split - part.first_split;
        (0..part.plan.split_count()).contains(&local).then_some((&part.plan, local))
    }

    /// The rows of a split; `None` if there is no such split.
    pub(crate) fn rows(&self, split: i64) -> Option<Rows> {
        let (plan, local) = self.locate(split)?;
        plan.rows(local)
    }

    /// How many splits there are.
    pub(super) fn split_count(&self) -> i64 {
        self.all.last().map_or(0, |part| part.first_split.saturating_add(part.plan.split_count()))
    }

    /// The sum of a figure, if every plan has it.
    pub(super) fn sum(&self, of: impl Fn(&Plan) -> Option<i64>) -> Option<i64> {
        self.all().try_fold(0i64, |sum, (plan, _)| Some(sum.saturating_add(of(plan)?)))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::plan::{Cut, sample};
    use super::*;

    pub(in super::super) fn transport() -> Arc<Transport> {
        let mut options = crate::options::Options::new();
        let pairs = [("endpoint", "http://127.0.0.1:9/api"), ("access_key_id", "a"), ("access_key_secret", "s")];
        pairs.iter().for_each(|(key, value)| options.set(key, value).unwrap());
        Transport::new(&options).unwrap()
    }

    fn plans(cuts: &[Cut]) -> Vec<Plan> {
        let named = |(number, cut): (usize, &Cut)| Plan { session_id: format!("S{number}"), ..sample(*cut) };
        cuts.iter().enumerate().map(named).collect()
    }

    #[test]
    fn splits_are_numbered_over_all_plans() {
        let rows = |total| Cut::Rows { total, per_split: 10 };
        let parts =
            Parts::new(&transport(), plans(&[Cut::Splits(2), Cut::Splits(0), rows(25), rows(0), Cut::Splits(1)]))
                .unwrap();
        assert_eq!(parts.split_count(), 6);
        let at = |split| parts.locate(split).map(|(plan, local)| (plan.session_id.clone(), local));
        let expected = [("S0", 0), ("S0", 1), ("S2", 0), ("S2", 1), ("S2", 2), ("S4", 0)];
        for (split, (session, local)) in expected.into_iter().enumerate() {
            assert_eq!(at(split as i64), Some((session.to_owned(), local)), "{split}");
        }
        assert_eq!((at(-1), at(6), at(i64::MAX)), (None, None, None));
        assert_eq!(parts.rows(4), Some(Rows::Range { start: 20, count: 5 }));
        assert_eq!(parts.rows(5), Some(Rows::Split { index: 0 }));
        assert_eq!(parts.sum(|plan| plan.estimated_bytes), Some(35));
        assert_eq!(parts.sum(|plan| plan.estimated_rows), None);
    }

    #[test]
    fn plans_of_other_columns_do_not_go_together() {
        let mut plans = plans(&[Cut::Splits(1), Cut::Splits(1)]);
        plans[1].columns.data_columns.clear();
        assert_eq!(Parts::new(&transport(), plans).unwrap_err().kind(), Kind::TableChanged);
        assert_eq!(Parts::new(&transport(), Vec::new()).unwrap_err().kind(), Kind::Internal);
    }
}
