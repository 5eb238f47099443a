//! Decides from facts about a block whether some row of it can satisfy a predicate.

use super::ast::Op;
use super::bind::{Bound, Term};
use super::facts::{BlockFacts, Facts};
use super::value::{Outcomes, Value};

/// Whether some row of a block may make the predicate true. False is a proof, true is not.
pub fn can_match(predicate: &Bound, facts: &BlockFacts) -> bool {
    evaluate(predicate, facts).is_true
}

/// What the leaves of a predicate may be, for the rows that are looked at.
pub(super) trait World {
    fn compare(&self, op: Op, left: &Term, right: &Term) -> Truths;
    fn is_null(&self, term: &Term) -> Truths;
}

/// The truth values that rows may give: SQL's three-valued logic over sets of truth values.
#[derive(Clone, Copy, Debug)]
pub(super) struct Truths {
    pub is_true: bool,
    pub is_false: bool,
    pub is_unknown: bool,
}

impl Truths {
    pub const ANY: Truths = Truths { is_true: true, is_false: true, is_unknown: true };
    pub const NONE: Truths = Truths { is_true: false, is_false: false, is_unknown: false };
    pub const TRUE: Truths = Truths { is_true: true, ..Truths::NONE };
    pub const FALSE: Truths = Truths { is_false: true, ..Truths::NONE };
    pub const UNKNOWN: Truths = Truths { is_unknown: true, ..Truths::NONE };

    fn not(self) -> Truths {
        Truths { is_true: self.is_false, is_false: self.is_true, is_unknown: self.is_unknown }
    }

    fn and(self, other: Truths) -> Truths {
        Truths {
            is_true: self.is_true && other.is_true,
            is_false: self.is_false || other.is_false,
            is_unknown: (self.is_unknown && (other.is_unknown || other.is_true))
                || (other.is_unknown && (self.is_unknown || self.is_true)),
        }
    }

    fn or(self, other: Truths) -> Truths {
        self.not().and(other.not()).not()
    }
}

/// The truth values of a predicate in a world.
pub(super) fn evaluate(predicate: &Bound, world: &impl World) -> Truths {
    match predicate {
        Bound::And(items) => items.iter().fold(Truths::TRUE, |all, item| all.and(evaluate(item, world))),
        Bound::Or(items) => items.iter().fold(Truths::FALSE, |any, item| any.or(evaluate(item, world))),
        Bound::Not(item) => evaluate(item, world).not(),
        Bound::Compare(op, left, right) => world.compare(*op, left, right),
        Bound::In(term, items) => {
            items.iter().fold(Truths::FALSE, |any, item| any.or(world.compare(Op::Equal, term, item)))
        }
        Bound::IsNull(term) => world.is_null(term),
        Bound::Truth(term) => world.compare(Op::Equal, term, &Term::Value(Value::Bool(true))),
        Bound::Anything => Truths::ANY,
    }
}

/// All rows of a block.
impl World for BlockFacts {
    fn compare(&self, op: Op, left: &Term, right: &Term) -> Truths {
        compare(op, &look_up(left, self), &look_up(right, self))
    }

    fn is_null(&self, term: &Term) -> Truths {
        let facts = look_up(term, self);
        Truths { is_true: facts.may_be_null, is_false: facts.may_have_value, is_unknown: false }
    }
}

fn look_up(term: &Term, facts: &BlockFacts) -> Facts {
    match term {
        Term::Column(index) => facts.get(*index).cloned().unwrap_or(Facts::UNKNOWN),
        Term::Value(value) => Facts::constant(value.clone()),
        Term::Null => Facts::NULL,
    }
}

fn compare(op: Op, left: &Facts, right: &Facts) -> Truths {
    let is_unknown = left.may_be_null || right.may_be_null;
    if !left.may_have_value || !right.may_have_value {
        return Truths { is_unknown, ..Truths::NONE };
    }
    let Outcomes { less, equal, greater } = outcomes(left, right);
    let (is_true, is_false) = match op {
        Op::Equal => (equal, less || greater),
        Op::NotEqual => (less || greater, equal),
        Op::Less => (less, equal || greater),
        Op::LessOrEqual => (less || equal, greater),
        Op::Greater => (greater, less || equal),
        Op::GreaterOrEqual => (greater || equal, less),
    };
    Truths { is_true, is_false, is_unknown }
}

/// How a value of the left may compare with a value of the right.
fn outcomes(left: &Facts, right: &Facts) -> Outcomes {
    if left.may_be_nan || right.may_be_nan {
        return Outcomes::ANY;
    }
    let (Some((left_low, left_high)), Some((right_low, right_high))) = (&left.range, &right.range) else {
        return Outcomes::ANY;
    };
    let lowest = left_low.compare(right_high);
    let highest = left_high.compare(right_low);
    Outcomes {
        less: lowest.less,
        greater: highest.greater,
        equal: (lowest.less || lowest.equal) && (highest.greater || highest.equal),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Rules, bind, parse};
    use super::*;
    use crate::catalog::Column;
    use crate::types::Zone;

    const RULES: Rules = Rules { fallback: false, zone: Zone::UTC };

    fn matches(text: &str, facts: Facts) -> bool {
        let column = Column::new("a", crate::types::Type::BigInt, true);
        can_match(&bind(&parse(text).unwrap().unwrap(), &[&column], RULES).unwrap(), &vec![facts])
    }

    fn between(low: i128, high: i128, nulls: bool) -> Facts {
        let exact = |unscaled| Value::Exact { unscaled, scale: 0 };
        Facts { may_be_null: nulls, may_have_value: true, may_be_nan: false, range: Some((exact(low), exact(high))) }
    }

    #[test]
    fn prunes_as_the_documented_examples() {
        // service-behaviour.md 2.1, blocks of 10,000 ascending numbers from 1.
        let kept = |text: &str| {
            (0..10).filter(|i| matches(text, between(i * 10_000 + 1, (i + 1) * 10_000, false))).count() * 10_000
        };
        assert_eq!(kept("a is not null"), 100_000);
        assert_eq!(kept("a > 20000"), 80_000);
        assert_eq!(kept("a > 20000 and a < 15000"), 0);
        assert_eq!(kept("a = 20000"), 10_000);
        assert_eq!(kept("a in (1, 10001)"), 20_000);
        assert_eq!(kept("not a > 20000"), 20_000);
        assert_eq!(kept("a is null"), 0);
        assert_eq!(kept("a not in (1, NULL)"), 0);
        assert_eq!(kept("a in ()"), 0);
    }

    #[test]
    fn nulls_and_missing_facts_are_kept_in_doubt() {
        assert!(matches("a is null", between(1, 2, true)));
        assert!(matches("a = 5", Facts::UNKNOWN));
        assert!(!matches("a = NULL", Facts::UNKNOWN));
        assert!(!matches("a = 1 or a <> 1", Facts::NULL));
        assert!(!matches("not a = 1", between(1, 1, true)));
    }
}
