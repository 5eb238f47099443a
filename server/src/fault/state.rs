//! The plan in force, and what its rules have done so far.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::{Value, json};

use super::effect::Effect;
use super::plan::Rule;
use crate::subject::Subject;

/// A rule with its counters.
#[derive(Debug)]
struct Armed {
    rule: Rule,
    /// Requests of the kind that the rule names.
    matched: AtomicU64,
    /// Those that it struck.
    struck: AtomicU64,
    /// Those of them where the effect was reached: a body may end before the offset of an effect.
    fired: AtomicU64,
}

/// The plan in force.
#[derive(Debug, Default)]
pub struct Faults {
    rules: RwLock<Arc<Vec<Armed>>>,
}

/// One effect on one request. It tells its rule when it really happens.
#[derive(Clone, Debug)]
pub struct Shot {
    pub effect: Effect,
    /// Where it came from, for the log.
    pub origin: String,
    rule: Option<(Arc<Vec<Armed>>, usize)>,
}

impl Shot {
    /// An effect that a request asked for itself.
    pub fn asked(effect: Effect) -> Shot {
        Shot { effect, origin: "header".into(), rule: None }
    }

    /// Counts that the effect happened.
    pub fn fired(&self) {
        if let Some((rules, i)) = &self.rule
            && let Some(armed) = rules.get(*i)
        {
            armed.fired.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Faults {
    /// A plan in force from the start.
    pub fn new(rules: Vec<Rule>) -> Faults {
        let faults = Faults::default();
        faults.set(rules);
        faults
    }

    /// Replaces the plan; counters start anew. Requests under way keep the effects they have.
    pub fn set(&self, rules: Vec<Rule>) {
        let arm =
            |rule| Armed { rule, matched: AtomicU64::new(0), struck: AtomicU64::new(0), fired: AtomicU64::new(0) };
        let rules = Arc::new(rules.into_iter().map(arm).collect());
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = rules;
    }

    fn rules(&self) -> Arc<Vec<Armed>> {
        self.rules.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The effects on a request, in the order of the plan. Each rule counts for itself.
    pub fn strike(&self, subject: &Subject) -> Vec<Shot> {
        let rules = self.rules();
        let mut shots = Vec::new();
        for (i, armed) in rules.iter().enumerate() {
            let filter = &armed.rule.filter;
            if !filter.takes(subject) {
                continue;
            }
            let count = armed.matched.fetch_add(1, Ordering::Relaxed) + 1;
            let limit = filter.times.unwrap_or(u64::MAX);
            let more = |struck: u64| (struck < limit).then_some(struck + 1);
            if filter.strikes(count) && armed.struck.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok() {
                let origin = armed.rule.name.clone().unwrap_or_else(|| format!("rule {}", i + 1));
                shots.push(Shot { effect: armed.rule.effect.clone(), origin, rule: Some((rules.clone(), i)) });
            }
        }
        shots
    }

    /// How many rules are in force.
    pub fn count(&self) -> u64 {
        self.rules().len() as u64
    }

    /// The plan with what its rules have done.
    pub fn report(&self) -> Value {
        let rules = self.rules();
        let rule = |armed: &Armed| {
            let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
            json!({"rule": armed.rule, "matched": count(&armed.matched), "struck": count(&armed.struck),
                   "fired": count(&armed.fired)})
        };
        let unfired: Vec<usize> = rules
            .iter()
            .enumerate()
            .filter(|(_, armed)| armed.fired.load(Ordering::Relaxed) == 0)
            .map(|(i, _)| i + 1)
            .collect();
        json!({"rules": rules.iter().map(rule).collect::<Vec<_>>(), "unfired": unfired})
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;
    use crate::subject::Protocol;

    #[test]
    fn rules_count_for_themselves_and_report() {
        let plan = r#"[
            {"name": "second", "match": {"action": "TableRead", "nth": 2}, "effect": {"kind": "stall"}},
            {"match": {"action": "Table*", "times": 2}, "effect": {"kind": "throttle"}},
            {"match": {"action": "BlobRead"}, "effect": {"kind": "throttle"}}
        ]"#;
        let faults = Faults::new(parse(plan.as_bytes()).unwrap());
        let read = Subject::new(Protocol::V1, "TableRead");
        let origins = |subject: &Subject| {
            let shots = faults.strike(subject);
            shots.iter().for_each(Shot::fired);
            shots.into_iter().map(|shot| shot.origin).collect::<Vec<_>>()
        };
        assert_eq!(origins(&read), ["rule 2"]);
        assert_eq!(origins(&read), ["second", "rule 2"]);
        assert!(origins(&read).is_empty());
        assert!(origins(&Subject::new(Protocol::Service, "GetTable")).is_empty());
        let report = faults.report();
        let counts = |i: usize| ["matched", "struck", "fired"].map(|name| report["rules"][i][name].as_u64().unwrap());
        assert_eq!([counts(0), counts(1), counts(2)], [[3, 1, 1], [3, 2, 2], [0, 0, 0]]);
        assert_eq!(report["unfired"], json!([3]));
        assert_eq!(report["rules"][0]["rule"]["name"], "second");
        faults.set(Vec::new());
        assert!(origins(&read).is_empty());
        assert_eq!(faults.report()["rules"], json!([]));
    }
}
