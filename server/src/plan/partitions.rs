//! Partition specs: their text, their typed values, and which partitions a request selects.

use std::collections::HashMap;

use crate::catalog::{Column, Partition, Table};
use crate::error::ApiError;
use crate::filter::{Facts, Value};
use crate::types::Type;
use crate::types::temporal::parse_date;

/// Reads `k=v/k=v` (or with `,`): blanks around keys and values and quotes around values are dropped.
pub fn parse_spec(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut pairs = Vec::new();
    for pair in text.split(['/', ',']) {
        let Some((key, value)) = pair.split_once('=') else {
            return Err(format!("\"{text}\" is not a partition spec of the form k=v/k=v"));
        };
        let key = key.trim();
        let value = unquote(value.trim());
        if key.is_empty() || value.is_empty() {
            return Err(format!("\"{text}\" has an empty key or value"));
        }
        if pairs.iter().any(|(k, _): &(String, String)| k.eq_ignore_ascii_case(key)) {
            return Err(format!("\"{text}\" names {key} twice"));
        }
        pairs.push((key.to_string(), value.to_string()));
    }
    Ok(pairs)
}

fn unquote(value: &str) -> &str {
    for quote in ['\'', '"'] {
        if let Some(inner) = value.strip_prefix(quote).and_then(|v| v.strip_suffix(quote)) {
            return inner;
        }
    }
    value
}

/// The stored text of a partition value: checked against the column's type, numbers without leading zeros.
pub fn partition_value(text: &str, ty: &Type) -> Result<String, String> {
    let number = |low: i64, high: i64| match text.parse::<i64>() {
        Ok(v) if (low..=high).contains(&v) => Ok(v.to_string()),
        _ => Err(format!("\"{text}\" is not a {ty}")),
    };
    match ty {
        Type::TinyInt => number(i8::MIN.into(), i8::MAX.into()),
        Type::SmallInt => number(i16::MIN.into(), i16::MAX.into()),
        Type::Int => number(i32::MIN.into(), i32::MAX.into()),
        Type::BigInt => number(i64::MIN, i64::MAX),
        Type::Date => match parse_date(text) {
            Some(_) => Ok(text.to_string()),
            None => Err(format!("\"{text}\" is not a date")),
        },
        Type::String if text.contains(is_chinese) => Err(format!("\"{text}\" has Chinese characters")),
        Type::String => Ok(text.to_string()),
        Type::Varchar(n) | Type::Char(n) if text.chars().count() <= *n as usize => Ok(text.to_string()),
        other if other.is_partition_type() => Err(format!("\"{text}\" does not fit {other}")),
        other => Err(format!("{other} cannot be the type of a partition column")),
    }
}

/// A Han character: STRING partition columns have none.
fn is_chinese(c: char) -> bool {
    matches!(c, '\u{2e80}'..='\u{2fdf}' | '\u{3005}'..='\u{3007}' | '\u{3021}'..='\u{3029}' | '\u{3038}'..='\u{303b}'
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

/// A partition value as predicates compare it; `None` if it does not fit its column.
pub fn partition_cell(text: &str, ty: &Type) -> Option<Value> {
    match ty {
        Type::TinyInt | Type::SmallInt | Type::Int | Type::BigInt => {
            text.parse().ok().map(|unscaled| Value::Exact { unscaled, scale: 0 })
        }
        Type::Date => parse_date(text).map(Value::Date),
        Type::Char(_) => Some(Value::Char(text.to_string())),
        Type::String | Type::Varchar(_) => Some(Value::Text(text.to_string())),
        _ => None,
    }
}

/// What a predicate may assume about a partition column whose value is `text`.
pub fn facts(text: &str, ty: &Type) -> Facts {
    partition_cell(text, ty).map_or(Facts::UNKNOWN, Facts::constant)
}

/// Specs of one request at most (service-behaviour.md 3.6, ASSUMED): as many as a table has partitions.
const MAX_SPECS: usize = 60_000;

/// The partitions that a list of (possibly partial) specs selects. An empty list selects all.
///
/// Fails with `InvalidPartitionSpec` if a spec does not fit the table, `NoSuchPartition` if it selects nothing.
pub fn select(table: &Table, all: Vec<Partition>, specs: &[String]) -> Result<Vec<Partition>, ApiError> {
    if specs.is_empty() {
        return Ok(all);
    }
    if specs.len() > MAX_SPECS {
        let count = specs.len();
        return Err(ApiError::argument(format!("RequiredPartitions has {count} specs, at most {MAX_SPECS} are taken")));
    }
    let bad = |why: String| ApiError::new(400, "InvalidPartitionSpec", format!("{}: {why}", table.name));
    if table.partition_keys.is_empty() {
        return Err(bad("the table has no partitions".into()));
    }
    let having = (0..table.partition_keys.len()).map(|key| by_value(&all, key)).collect::<Vec<_>>();
    let mut selected = vec![false; all.len()];
    for spec in specs {
        let mut wanted: Vec<(usize, String)> = Vec::new();
        for (key, value) in parse_spec(spec).map_err(bad)? {
            let (index, column) = key_column(&table.partition_keys, &key)
                .ok_or_else(|| bad(format!("{key} in \"{spec}\" is not a partition column")))?;
            let value = partition_value(&value, &column.ty).map_err(|e| bad(format!("{key} in \"{spec}\": {e}")))?;
            wanted.push((index, value));
        }
        // Of the keys that it names, the one whose value the fewest partitions have.
        let numbers = wanted.iter().map(|(key, value)| having.get(*key).and_then(|having| having.get(value.as_str())));
        let fewest = numbers.map(|numbers| numbers.map_or(&[][..], Vec::as_slice)).min_by_key(|numbers| numbers.len());
        let mut hit = false;
        for number in fewest.unwrap_or_default() {
            let (Some(partition), Some(chosen)) = (all.get(*number), selected.get_mut(*number)) else { continue };
            if wanted.iter().all(|(key, value)| partition.values.get(*key) == Some(value)) {
                (*chosen, hit) = (true, true);
            }
        }
        if !hit {
            let message = format!("{} has no partition {spec}", table.name);
            return Err(ApiError::new(404, "NoSuchPartition", message));
        }
    }
    Ok(all.into_iter().zip(selected).filter_map(|(partition, chosen)| chosen.then_some(partition)).collect())
}

/// The numbers of the partitions that have each value of a key.
fn by_value(all: &[Partition], key: usize) -> HashMap<&str, Vec<usize>> {
    let mut numbers = HashMap::<&str, Vec<usize>>::new();
    for (number, partition) in all.iter().enumerate() {
        if let Some(value) = partition.values.get(key) {
            numbers.entry(value).or_default().push(number);
        }
    }
    numbers
}

fn key_column<'a>(keys: &'a [Column], name: &str) -> Option<(usize, &'a Column)> {
    keys.iter().enumerate().find(|(_, column)| column.name.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_specs_in_all_spellings() {
        let want = vec![("ds".to_string(), "2024".to_string()), ("hh".to_string(), "a b".to_string())];
        for text in ["ds=2024/hh=a b", "ds='2024', hh=\"a b\"", " ds = 2024 / hh = a b "] {
            assert_eq!(parse_spec(text), Ok(want.clone()), "{text}");
        }
        for text in ["ds", "ds=", "=x", "ds=1/ds=2", ""] {
            assert!(parse_spec(text).is_err(), "{text}");
        }
        assert_eq!(partition_value("007", &Type::Int), Ok("7".into()));
        assert!(partition_value("x", &Type::Int).is_err());
        assert!(partition_value("300", &Type::TinyInt).is_err());
        for text in ["a\u{e9}\u{3042}", "\u{1f980}"] {
            assert_eq!(partition_value(text, &Type::String), Ok(text.to_string()));
        }
        for text in ["\u{676d}\u{5dde}", "a\u{4e2d}", "\u{20000}"] {
            let why = format!("\"{text}\" has Chinese characters");
            assert_eq!(partition_value(text, &Type::String), Err(why));
        }
    }
}
