//! Substrait messages: read, written as text and read again as the same predicate.

use maxstorage::predicate::{Literal, Node, Predicate};

use crate::reached_the_end;

/// What the text of a time can say: the years 0000 to 9999, in days and nanoseconds.
const DAYS: std::ops::RangeInclusive<i64> = -719_528..=2_932_896;
const NANOS_OF_A_DAY: i128 = 86_400_000_000_000;

pub fn run(data: &[u8]) {
    let Ok(predicate) = Predicate::from_substrait(data) else { return };
    if has_far_times(&predicate) {
        return;
    }
    let written = predicate.to_string();
    match Predicate::parse(&written) {
        Ok(back) => assert_eq!(back, predicate, "it is written as {written:?}, which is something else"),
        Err(error) => panic!("it is written as {written:?}, which is not read: {error}"),
    }
    reached_the_end();
}

fn has_far_times(predicate: &Predicate) -> bool {
    match predicate.node() {
        Node::And(parts) | Node::Or(parts) => parts.iter().any(has_far_times),
        Node::Not(part) => has_far_times(part),
        Node::Compare { value, .. } => is_far_time(value),
        Node::In { values, .. } => values.iter().any(is_far_time),
        Node::IsNull { .. } => false,
    }
}

fn is_far_time(literal: &Literal) -> bool {
    match literal {
        Literal::Date(days) => !DAYS.contains(days),
        Literal::Instant(nanos) | Literal::Clock(nanos) => {
            i64::try_from(nanos.div_euclid(NANOS_OF_A_DAY)).map_or(true, |days| !DAYS.contains(&days))
        }
        _ => false,
    }
}
