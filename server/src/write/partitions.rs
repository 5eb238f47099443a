//! Which partition each row goes to.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;

use super::error::WriteError;
use super::target::Target;
use crate::catalog::Column;
use crate::plan::partition_value;

/// What happens to rows whose partition values are NULL, empty or not of their type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalid {
    /// The write fails.
    Fail,
    /// They are left out.
    Drop,
    /// At most so many are left out; one more and the write fails.
    Limit(u64),
}

/// The partitions that rows have gone to so far.
pub struct Partitions {
    keys: Vec<Column>,
    fixed: Vec<Option<String>>,
    invalid: Invalid,
    limit: usize,
    known: Vec<Vec<String>>,
    numbers: HashMap<Vec<String>, usize>,
    left_out: u64,
}

/// Where the rows of a batch go.
pub enum Route {
    /// All to the partition of this number.
    All(usize),
    /// Each to its own; `None` is left out.
    Rows(Vec<Option<usize>>),
}

impl Partitions {
    /// No partition yet; a table without partition columns has one without values.
    pub fn new(target: &Target) -> Partitions {
        Partitions {
            keys: target.table.partition_keys.clone(),
            fixed: target.partition.clone(),
            invalid: target.invalid,
            limit: target.max_partitions,
            known: Vec::new(),
            numbers: HashMap::new(),
            left_out: 0,
        }
    }

    /// The values of a partition.
    pub fn values(&self, number: usize) -> &[String] {
        self.known.get(number).map(Vec::as_slice).unwrap_or_default()
    }

    /// Rows left out so far.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Where `rows` rows go. `brought` are the partition columns that the rows bring, by number of the partition column.
    pub fn route(&mut self, brought: &[(usize, ArrayRef)], rows: usize) -> Result<Route, WriteError> {
        if brought.is_empty() {
            let values = self.fixed.iter().cloned().map(Option::unwrap_or_default).collect();
            return Ok(Route::All(self.number(values)?));
        }
        let texts = brought.iter().map(|(key, array)| Ok((*key, self.texts(*key, array)?)));
        let texts = texts.collect::<Result<Vec<_>, WriteError>>()?;
        let mut route = Vec::with_capacity(rows);
        for row in 0..rows {
            let same = |(_, texts): &(usize, StringArray)| {
                row > 0 && texts.is_valid(row) && texts.is_valid(row - 1) && texts.value(row) == texts.value(row - 1)
            };
            if let Some(last) = route.last().copied().flatten()
                && texts.iter().all(same)
            {
                route.push(Some(last));
                continue;
            }
            match self.values_of(&texts, row) {
                Ok(values) => route.push(Some(self.number(values)?)),
                Err(why) => {
                    self.left_out += 1;
                    match self.invalid {
                        Invalid::Drop => {}
                        Invalid::Limit(limit) if self.left_out <= limit => {}
                        _ => return Err(WriteError::Partition(why)),
                    }
                    route.push(None);
                }
            }
        }
        Ok(Route::Rows(route))
    }

    fn texts(&self, key: usize, array: &ArrayRef) -> Result<StringArray, WriteError> {
        let plain = match array.data_type() {
            DataType::Dictionary(_, value) => cast(array, value),
            _ => Ok(array.clone()),
        };
        let texts = plain.and_then(|array| match array.data_type() {
            ty if ty.is_integer() => cast(&array, &DataType::Utf8),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Date32 => {
                cast(&array, &DataType::Utf8)
            }
            other => Err(arrow::error::ArrowError::CastError(format!("Arrow type {other} cannot name a partition"))),
        });
        match texts {
            Ok(texts) => Ok(texts.as_string::<i32>().clone()),
            Err(error) => Err(WriteError::Rows(format!("partition column {}: {error}", self.name(key)))),
        }
    }

    fn name(&self, key: usize) -> &str {
        self.keys.get(key).map(|key| key.name.as_str()).unwrap_or_default()
    }

    /// The partition values of a row, or why it cannot have a partition.
    fn values_of(&self, texts: &[(usize, StringArray)], row: usize) -> Result<Vec<String>, String> {
        let mut values = self.fixed.clone();
        for (number, texts) in texts {
            let (Some(key), Some(slot)) = (self.keys.get(*number), values.get_mut(*number)) else { continue };
            let text = if texts.is_valid(row) { texts.value(row) } else { return Err(unfit(&key.name, "NULL")) };
            let value = check(text, key)?;
            match slot {
                Some(fixed) if *fixed != value => {
                    return Err(format!("partition column {}: the target is {fixed}, a row has {value}", key.name));
                }
                _ => *slot = Some(value),
            }
        }
        Ok(values.into_iter().map(Option::unwrap_or_default).collect())
    }

    fn number(&mut self, values: Vec<String>) -> Result<usize, WriteError> {
        let next = self.known.len();
        match self.numbers.entry(values) {
            Entry::Occupied(entry) => Ok(*entry.get()),
            Entry::Vacant(_) if next >= self.limit => {
                Err(WriteError::Partition(format!("the rows go to more than {} partitions", self.limit)))
            }
            Entry::Vacant(entry) => {
                self.known.push(entry.key().clone());
                entry.insert(next);
                Ok(next)
            }
        }
    }
}

fn unfit(key: &str, what: &str) -> String {
    format!("partition column {key}: a row has {what}")
}

/// The stored text of a value that a row brings. Specs have no escapes, so their separators cannot be part of a value.
fn check(text: &str, key: &Column) -> Result<String, String> {
    if text.is_empty() {
        return Err(unfit(&key.name, "an empty text"));
    }
    if text.chars().any(|c| matches!(c, '/' | ',' | '\'' | '"') || c.is_control()) || text.trim() != text {
        return Err(unfit(&key.name, &format!("{text:?}, which cannot be written in a partition spec")));
    }
    partition_value(text, &key.ty).map_err(|why| format!("partition column {}: {why}", key.name))
}
