//! The sessions at the service that one session of ours stands for.

use std::sync::{Arc, OnceLock};
use std::task::Poll;

use super::lease::{Hold, Lease};
use super::plan::Plan;
use crate::error::{Error, Kind, Result};
use crate::proto::call::Rows;
use crate::runtime::{Changes, Listener, Runtime};
use crate::transport::Transport;

/// Plans of the same read, each of other partitions. The splits of a plan follow those of the plan before it. Plans may be added until there
/// are as many as were announced; what is there never changes.
#[derive(Debug, Clone)]
pub(crate) struct Parts(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Number of the first split.
    base: i64,
    /// Whether others have plans of the same read.
    is_excerpt: bool,
    first: Arc<Plan>,
    /// Those that are known are in the first places.
    all: Box<[OnceLock<Part>]>,
    /// Why there will be no more, though not all are known.
    failure: OnceLock<Error>,
    changes: Changes,
}

#[derive(Debug)]
struct Part {
    plan: Arc<Plan>,
    lease: Arc<Lease>,
    /// Number of its first split in the whole.
    first_split: i64,
}

/// How many splits of a plan are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// The number of splits, numbered from 0.
    pub splits: i64,
    /// Whether there are no others.
    pub is_whole: bool,
}

/// Whether all plans are known.
#[derive(Debug, Clone, Copy)]
pub(super) enum State<'a> {
    /// They are.
    Whole,
    /// Others will come.
    Planning,
    /// No others will come, and why.
    Failed(&'a Error),
    /// Others are elsewhere, and what to say about that.
    Excerpt(&'a Error),
}

impl Parts {
    /// Plans that are all there are, of which there is at least one. Fails if the table changed between them.
    pub(super) fn new(transport: &Arc<Transport>, plans: Vec<Plan>) -> Result<Self> {
        let count = plans.len();
        Self::growing(transport, plans, count)
    }

    /// One plan among others that are elsewhere, whose splits are numbered from `base`.
    pub(super) fn excerpt(transport: &Arc<Transport>, plan: Plan, base: i64) -> Result<Self> {
        let parts = Self::with(transport, vec![plan], 1, base, true)?;
        let (count, last) = (parts.split_count() - base, parts.split_count() - 1);
        let message = match count {
            0 => "this session has no split: it was attached from the token of a split".to_owned(),
            _ => format!("this session has splits {base} to {last} alone: it was attached from the token of a split"),
        };
        parts.0.failure.get_or_init(|| Error::new(Kind::WrongState, message));
        Ok(parts)
    }

    /// The first of `count` plans, of which there is at least one.
    pub(super) fn growing(transport: &Arc<Transport>, plans: Vec<Plan>, count: usize) -> Result<Self> {
        Self::with(transport, plans, count, 0, false)
    }

    fn with(transport: &Arc<Transport>, plans: Vec<Plan>, count: usize, base: i64, is_excerpt: bool) -> Result<Self> {
        let first = plans.first().cloned().map(Arc::new);
        let first = first.ok_or_else(|| Error::new(Kind::Internal, "a session without a plan"))?;
        let parts = Parts(Arc::new(Inner {
            base,
            is_excerpt,
            first,
            all: std::iter::repeat_with(OnceLock::new).take(count).collect(),
            failure: OnceLock::new(),
            changes: Changes::default(),
        }));
        plans.into_iter().try_for_each(|plan| parts.add(transport, plan))?;
        Ok(parts)
    }

    /// Adds the next plan; only to be called by one at a time. Fails if the table changed since the first one.
    pub(super) fn add(&self, transport: &Arc<Transport>, plan: Plan) -> Result<()> {
        let first = self.first();
        if first.columns != plan.columns {
            let message = format!("the columns of {} changed while it was being planned", first.source);
            return Err(Error::new(Kind::TableChanged, message));
        }
        let plan = Arc::new(plan);
        let part = Part { lease: Lease::new(transport, &plan), plan, first_split: self.split_count() };
        let place = self.0.all.get(self.count());
        if place.is_none_or(|place| place.set(part).is_err()) {
            return Err(Error::new(Kind::Internal, "there are more plans than were announced"));
        }
        self.0.changes.tell();
        Ok(())
    }

    /// Takes note that there will be no more plans, and why. Without effect if all are there.
    pub(super) fn fail(&self, error: Error) {
        if !self.is_whole() && self.0.failure.set(error).is_ok() {
            self.0.changes.tell();
        }
    }

    /// Whether all plans are there. What is told was so before: who asks this first and then for splits finds those that were meant.
    pub(super) fn state(&self) -> State<'_> {
        // Whether planning failed is asked first: a plan that is whole has not.
        match (self.0.failure.get(), self.is_whole()) {
            (_, true) => State::Whole,
            (Some(failure), false) if self.0.is_excerpt => State::Excerpt(failure),
            (Some(failure), false) => State::Failed(failure),
            (None, false) => State::Planning,
        }
    }

    /// Whether all plans are there.
    pub(crate) fn is_whole(&self) -> bool {
        !self.0.is_excerpt && self.0.all.last().is_none_or(|last| last.get().is_some())
    }

    /// Fails unless all plans are there: with the failure of planning, or because `what` needs all of them.
    pub(super) fn check_whole(&self, what: &str) -> Result<()> {
        match self.state() {
            State::Whole => Ok(()),
            State::Failed(failure) | State::Excerpt(failure) => Err(failure.clone()),
            State::Planning => Err(Error::new(
                Kind::WrongState,
                format!(
                    "{what}, and this one is still being planned: call ms_session_more_splits until it is complete"
                ),
            )),
        }
    }

    /// Whether more than `known` splits are known, or all, and how many: splits that are known come before the failure of the rest.
    pub(crate) fn more(&self, known: i64) -> Poll<Result<Known>> {
        // Asked before the splits are counted.
        let state = self.state();
        let splits = self.split_count();
        let is_whole = matches!(state, State::Whole);
        match state {
            _ if splits > known || is_whole => Poll::Ready(Ok(Known { splits, is_whole })),
            State::Failed(failure) | State::Excerpt(failure) => Poll::Ready(Err(failure.clone())),
            State::Whole | State::Planning => Poll::Pending,
        }
    }

    /// As [`Parts::more`], once it has an answer.
    pub(super) async fn wait_for_more(&self, known: i64) -> Result<Known> {
        let mut changes = self.listen();
        loop {
            match self.more(known) {
                Poll::Ready(answer) => return answer,
                Poll::Pending => changes.changed().await,
            }
        }
    }

    /// Hears of every plan that is added from now on, and of a failure.
    pub(crate) fn listen(&self) -> Listener {
        self.0.changes.listen()
    }

    /// The first plan: what all of them have in common.
    pub(crate) fn first(&self) -> &Arc<Plan> {
        &self.0.first
    }

    fn known(&self) -> impl Iterator<Item = &Part> {
        self.0.all.iter().map_while(OnceLock::get)
    }

    /// How many plans are known.
    pub(crate) fn count(&self) -> usize {
        self.0.all.partition_point(|part| part.get().is_some())
    }

    /// The share of the plans that is known, from 0 to 1.
    pub(crate) fn share(&self) -> f64 {
        self.count() as f64 / self.0.all.len().max(1) as f64
    }

    /// The plans that are known and their lives at the service, in the order of their splits.
    pub(super) fn all(&self) -> impl Iterator<Item = (&Arc<Plan>, &Arc<Lease>)> {
        self.known().map(|part| (&part.plan, &part.lease))
    }

    /// Has the plans that are known refreshed ahead of their ends as long as the guards live, without the first `held` of them.
    pub(crate) fn hold(&self, held: usize, runtime: &Runtime) -> Vec<Hold> {
        self.all().skip(held).map(|(_, lease)| lease.hold(runtime)).collect()
    }

    fn part(&self, split: i64) -> Option<&Part> {
        let begins = |part: &OnceLock<Part>| part.get().is_some_and(|part| part.first_split <= split);
        // A plan without splits begins where the next one does.
        self.0.all.get(self.0.all.partition_point(begins).checked_sub(1)?)?.get()
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

    /// Number of the first split, which is 0 unless the plan is one among others.
    pub(super) fn base(&self) -> i64 {
        self.0.base
    }

    /// Number of the first split that the plan of a split has.
    pub(super) fn first_of(&self, split: i64) -> Option<i64> {
        self.part(split).map(|part| part.first_split)
    }

    /// Fails for one plan among others, which must not be taken for all.
    pub(crate) fn check_alone(&self) -> Result<()> {
        match self.state() {
            State::Excerpt(failure) => Err(failure.clone()),
            _ => Ok(()),
        }
    }

    /// The number behind the last split that is known: how many there are, unless the plan is one among others.
    pub(super) fn split_count(&self) -> i64 {
        let last = self.count().checked_sub(1).and_then(|last| self.0.all.get(last)?.get());
        last.map_or(self.0.base, |part| part.first_split.saturating_add(part.plan.split_count()))
    }

    /// The sum of a figure, if every plan has it and all are known.
    pub(super) fn sum(&self, of: impl Fn(&Plan) -> Option<i64>) -> Option<i64> {
        self.is_whole().then(|| self.sum_of_known(of)).flatten()
    }

    /// The sum of a figure over the plans that are known, if every one of them has it.
    pub(crate) fn sum_of_known(&self, of: impl Fn(&Plan) -> Option<i64>) -> Option<i64> {
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
    fn plans_that_are_added_follow_those_that_are_there() {
        let mut plans = plans(&[Cut::Splits(2), Cut::Splits(3), Cut::Splits(0)]).into_iter();
        let parts = Parts::growing(&transport(), plans.by_ref().take(1).collect(), 3).unwrap();
        let known = |splits, is_whole| Poll::Ready(Ok::<_, ()>(Known { splits, is_whole }));
        let more = |count| parts.more(count).map_err(|error| assert_eq!(error.kind(), Kind::Internal));
        assert_eq!((more(0), more(1)), (known(2, false), known(2, false)));
        assert!(more(2).is_pending() && parts.check_whole("x").unwrap_err().kind() == Kind::WrongState);
        assert_eq!(
            (parts.sum(|plan| plan.estimated_bytes), parts.sum_of_known(|plan| plan.estimated_bytes)),
            (None, Some(7))
        );
        assert_eq!((parts.count(), parts.rows(2)), (1, None));
        let before = parts.locate(1).map(|(plan, local)| (plan.session_id.clone(), local));
        parts.add(&transport(), plans.next().unwrap()).unwrap();
        assert_eq!((more(2), parts.rows(4)), (known(5, false), Some(Rows::Split { index: 2 })));
        assert_eq!(parts.locate(1).map(|(plan, local)| (plan.session_id.clone(), local)), before);
        parts.add(&transport(), plans.next().unwrap()).unwrap();
        assert_eq!((more(5), more(i64::MAX)), (known(5, true), known(5, true)), "no more, and that is known");
        assert_eq!(parts.sum(|plan| plan.estimated_bytes), Some(21));
        parts.fail(Error::new(Kind::Internal, "too late to fail"));
        assert!(parts.check_whole("x").is_ok() && more(5) == known(5, true));
        assert_eq!(parts.add(&transport(), sample(Cut::Splits(1))).unwrap_err().kind(), Kind::Internal);
    }

    #[test]
    fn one_plan_among_others_keeps_the_numbers_and_is_never_whole() {
        let parts = Parts::excerpt(&transport(), sample(Cut::Splits(3)), 5).unwrap();
        let known: Vec<bool> = (4..9).map(|split| parts.locate(split).is_some()).collect();
        assert_eq!(known, [false, true, true, true, false]);
        assert_eq!(
            (parts.rows(6), parts.first_of(7), parts.split_count()),
            (Some(Rows::Split { index: 1 }), Some(5), 8)
        );
        assert!(!parts.is_whole() && parts.sum(|plan| plan.estimated_bytes).is_none());
        for error in [parts.check_alone().unwrap_err(), parts.check_whole("x").unwrap_err()] {
            assert!(error.kind() == Kind::WrongState && error.message().contains("splits 5 to 7"), "{error}");
        }
        assert!(matches!(parts.more(8), Poll::Ready(Err(_))));
        assert!(Parts::excerpt(&transport(), sample(Cut::Splits(0)), 5).unwrap().locate(5).is_none());
    }

    #[test]
    fn a_failure_comes_after_the_splits_that_are_known() {
        let parts = Parts::growing(&transport(), plans(&[Cut::Splits(2)]), 2).unwrap();
        parts.fail(Error::new(Kind::NotFound, "gone"));
        parts.fail(Error::new(Kind::Cancelled, "a second one"));
        assert!(matches!(parts.more(1), Poll::Ready(Ok(Known { splits: 2, is_whole: false }))));
        let Poll::Ready(Err(error)) = parts.more(2) else { panic!("no failure") };
        assert_eq!(error.message(), "gone");
        assert_eq!(parts.check_whole("x").unwrap_err().message(), "gone");
    }

    #[test]
    fn plans_of_other_columns_do_not_go_together() {
        let mut plans = plans(&[Cut::Splits(1), Cut::Splits(1)]);
        plans[1].columns.data_columns.clear();
        assert_eq!(Parts::new(&transport(), plans).unwrap_err().kind(), Kind::TableChanged);
        assert_eq!(Parts::new(&transport(), Vec::new()).unwrap_err().kind(), Kind::Internal);
    }
}
