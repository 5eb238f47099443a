//! Which buckets of a hash-clustered or primary-key table can hold rows that a predicate accepts.

use std::collections::BTreeSet;

use crate::catalog::Table;
use crate::filter::{Bound, Value, required_values};
use crate::types::Type;
use crate::write::{Cell, Distribution, Hash, Layout};

/// Keys that are hashed at most; with more of them nothing is pruned.
const MAX_KEYS: usize = 10_000;

/// The buckets whose rows may make the predicate true. `None` if it does not say: pruning needs equality (or a list of
/// values) on every column that is hashed (service-behaviour.md 1.3). Range-clustered files are pruned by their
/// statistics, like all others.
pub fn possible_buckets(table: &Table, predicate: &Bound) -> Option<BTreeSet<u32>> {
    let Distribution::Hash { columns, buckets } = Layout::of(table).ok()?.distribution else { return None };
    let mut hashes = vec![Hash::START];
    for column in columns {
        let ty = &table.columns.get(column)?.ty;
        let keys: Vec<Key> =
            required_values(predicate, column)?.into_iter().map(|value| key(value, ty)).collect::<Option<_>>()?;
        if hashes.len().saturating_mul(keys.len()) > MAX_KEYS {
            return None;
        }
        hashes = hashes.iter().flat_map(|hash| keys.iter().filter_map(|key| key.add_to(*hash))).collect();
    }
    Some(hashes.into_iter().map(|hash| hash.bucket(buckets)).collect())
}

/// What a stored value must be to equal a value of a predicate.
enum Key {
    Null,
    Whole(i64),
    Wide(i128),
    Bool(bool),
    Bytes(Vec<u8>),
    /// No stored value equals it.
    Impossible,
}

impl Key {
    fn add_to(&self, hash: Hash) -> Option<Hash> {
        Some(hash.add(match self {
            Key::Null => Cell::Null,
            Key::Whole(v) => Cell::Whole(*v),
            Key::Wide(v) => Cell::Wide(*v),
            Key::Bool(v) => Cell::Bool(*v),
            Key::Bytes(v) => Cell::Bytes(v),
            Key::Impossible => return None,
        }))
    }
}

/// `None` if equality is not certain to mean equal bytes, as with floating point numbers.
fn key(value: Option<Value>, ty: &Type) -> Option<Key> {
    let Some(value) = value else { return Some(Key::Null) };
    Some(match (ty, value) {
        (Type::TinyInt | Type::SmallInt | Type::Int | Type::BigInt, Value::Exact { unscaled, scale }) => {
            rescale(unscaled, scale, 0).and_then(|v| i64::try_from(v).ok()).map_or(Key::Impossible, Key::Whole)
        }
        (Type::Decimal(..) | Type::PlainDecimal, Value::Exact { unscaled, scale }) => {
            let (_, stored) = ty.decimal_shape()?;
            rescale(unscaled, scale, u32::try_from(stored).ok()?).map_or(Key::Impossible, Key::Wide)
        }
        (Type::String | Type::Varchar(_), Value::Text(text)) => Key::Bytes(text.into_bytes()),
        (Type::Char(_), Value::Char(text)) => Key::Bytes(text.trim_end_matches(' ').as_bytes().to_vec()),
        (Type::Binary, Value::Bytes(bytes)) => Key::Bytes(bytes),
        (Type::Boolean, Value::Bool(v)) => Key::Bool(v),
        (Type::Date, Value::Date(days)) => Key::Whole(days),
        (Type::Datetime | Type::Timestamp | Type::TimestampNtz, Value::Instant(nanos)) => Key::Wide(nanos),
        _ => return None,
    })
}

/// The same number with another scale; `None` if it has none.
fn rescale(unscaled: i128, from: u32, to: u32) -> Option<i128> {
    match from <= to {
        true => unscaled.checked_mul(10i128.checked_pow(to - from)?),
        false => {
            let divisor = 10i128.checked_pow(from - to)?;
            (unscaled % divisor == 0).then_some(unscaled / divisor)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Clustering, ClusteringKind, Column, TableKind, TableProperties};
    use crate::filter::{Rules, bind, parse};
    use crate::types::Zone;

    fn possible(ty: &str, filter: &str) -> Option<usize> {
        let clustering =
            Clustering { kind: ClusteringKind::Hash, columns: vec!["k".into()], sort: Vec::new(), buckets: 1000 };
        let table = Table {
            id: 1,
            name: "p.t".parse().unwrap(),
            kind: TableKind::Managed,
            columns: vec![Column::new("v", Type::Int, true), Column::new("K", ty.parse().unwrap(), true)],
            partition_keys: Vec::new(),
            properties: TableProperties { clustering: Some(clustering), ..TableProperties::default() },
            version: 1,
            schema_version: 1,
            created_ms: 0,
            modified_ms: 0,
        };
        let columns: Vec<&Column> = table.columns.iter().collect();
        let rules = Rules { fallback: false, zone: Zone::UTC };
        let bound = bind(&parse(filter).unwrap().unwrap(), &columns, rules).unwrap();
        possible_buckets(&table, &bound).map(|buckets| buckets.len())
    }

    #[test]
    fn keys_that_cannot_be_stored_are_in_no_bucket_and_doubts_are_in_all() {
        assert_eq!(possible("bigint", "k = 7"), Some(1));
        assert_eq!(possible("bigint", "k in (7, 8, 7)"), Some(2));
        assert_eq!(possible("bigint", "k = 7 and k = 8"), Some(1));
        assert_eq!(possible("tinyint", "k = 1000000000000000000000"), Some(0));
        assert_eq!(possible("bigint", "k is null"), Some(1));
        assert_eq!(possible("bigint", "k = NULL"), Some(0));
        assert_eq!(possible("decimal(10,2)", "k = 1.5BD"), Some(1));
        assert_eq!(possible("decimal(10,2)", "k = 1.555BD"), Some(0));
        for (ty, filter) in
            [("double", "k = 1"), ("bigint", "k > 1"), ("bigint", "v = 1"), ("bigint", "k = 1 or v = 1")]
        {
            assert_eq!(possible(ty, filter), None, "{ty} {filter}");
        }
        let many: Vec<String> = (0..=MAX_KEYS).map(|i| i.to_string()).collect();
        assert_eq!(possible("bigint", &format!("k in ({})", many[..10_000].join(","))).map(|n| n > 900), Some(true));
    }
}
