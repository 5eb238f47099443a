//! Which values a column must have where a predicate is true.

use super::ast::Op;
use super::bind::{Bound, Term};
use super::value::Value;

/// The values of a column that a row must have one of for the predicate to be true; a `None` among them is NULL.
/// `None` if the predicate does not say.
pub fn required_values(predicate: &Bound, column: usize) -> Option<Vec<Option<Value>>> {
    let is_column = |term: &Term| *term == Term::Column(column);
    match predicate {
        // Each part must be true, so the shortest list is the best of them.
        Bound::And(items) => items.iter().filter_map(|item| required_values(item, column)).min_by_key(Vec::len),
        Bound::Or(items) => {
            let lists: Option<Vec<_>> = items.iter().map(|item| required_values(item, column)).collect();
            lists.map(|lists| lists.into_iter().flatten().collect())
        }
        Bound::Compare(Op::Equal, left, right) if is_column(left) => {
            value(right).map(|value| value.into_iter().collect())
        }
        Bound::Compare(Op::Equal, left, right) if is_column(right) => {
            value(left).map(|value| value.into_iter().collect())
        }
        Bound::In(term, items) if is_column(term) => {
            let values: Option<Vec<_>> = items.iter().map(value).collect();
            values.map(|values| values.into_iter().flatten().collect())
        }
        Bound::IsNull(term) if is_column(term) => Some(vec![None]),
        _ => None,
    }
}

/// What a column that equals this term has: a value; nothing if that is never true; `None` if it is not a constant.
fn value(term: &Term) -> Option<Option<Option<Value>>> {
    match term {
        Term::Value(value) => Some(Some(Some(value.clone()))),
        Term::Null => Some(None),
        Term::Column(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Rules, bind, parse};
    use super::*;
    use crate::catalog::Column;
    use crate::types::{Type, Zone};

    #[test]
    fn equality_is_found_wherever_it_must_hold() {
        let columns = [Column::new("a", Type::BigInt, true), Column::new("b", Type::BigInt, true)];
        let of = |text: &str| {
            let columns: Vec<&Column> = columns.iter().collect();
            let rules = Rules { fallback: false, zone: Zone::UTC };
            let found = required_values(&bind(&parse(text).unwrap().unwrap(), &columns, rules).unwrap(), 0)?;
            let number = |value: Option<Value>| match value {
                Some(Value::Exact { unscaled, .. }) => Some(unscaled),
                _ => None,
            };
            Some(found.into_iter().map(number).collect::<Vec<_>>())
        };
        assert_eq!(of("a = 1"), Some(vec![Some(1)]));
        assert_eq!(of("1 = a and b > 2"), Some(vec![Some(1)]));
        assert_eq!(of("a in (1, 2, NULL)"), Some(vec![Some(1), Some(2)]));
        assert_eq!(of("a in (1, 2) and a = 2"), Some(vec![Some(2)]));
        assert_eq!(of("(a = 1 and b = 2) or a is null"), Some(vec![Some(1), None]));
        assert_eq!(of("a = NULL"), Some(vec![]));
        for text in ["a > 1", "a = 1 or b = 1", "not a = 1", "a not in (1)", "b = 1", "a = b", "a <> 1"] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
