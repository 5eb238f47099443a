//! Strings as dictionaries: each value once, and a number for each row.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, Int32Array, StringArray};

use super::steps::unfit;
use crate::error::Result;

/// In place of a name: all columns of strings.
pub(super) const EVERY: &str = "*";

/// Bytes that looking for values takes at most for a row, besides what is made: a value that is not there twice and its hash, in lists that
/// double when they grow, and its share of a table that is at least half empty and of the one before.
pub(super) const BYTES_OF_ROW: usize = 2 * (size_of::<&str>() + size_of::<u64>()) + 6 * size_of::<u32>();

/// The key of each row, and the values in the order in which they come first. NULL stays with the keys.
pub(super) fn encode(array: &ArrayRef) -> Result<(Int32Array, StringArray)> {
    let texts = array.as_string::<i32>();
    let mut keys = Vec::with_capacity(texts.len());
    let mut found = Found::default();
    // Rows of one value often come one after the other.
    let mut last = None;
    for text in texts {
        keys.push(match (text, last) {
            (None, _) => 0,
            (Some(text), Some((same, key))) if text == same => key,
            (Some(text), _) => {
                let key = found.key(text);
                last = Some((text, key));
                key
            }
        });
    }
    let bytes = found.values.iter().map(|value| value.len()).sum();
    let mut values = StringBuilder::with_capacity(found.values.len(), bytes);
    found.values.iter().for_each(|value| values.append_value(value));
    Ok((Int32Array::try_new(keys.into(), texts.nulls().cloned()).map_err(unfit)?, values.finish()))
}

/// The dictionary array of keys and values.
pub(super) fn joined(keys: Int32Array, values: ArrayRef) -> Result<ArrayRef> {
    Ok(Arc::new(arrow_array::DictionaryArray::try_new(keys, values).map_err(unfit)?))
}

/// Values that were found, and where to look for them: open addressing, whose places are numbers of values, 0 for none, 1 for the first.
struct Found<'a> {
    values: Vec<&'a str>,
    hashes: Vec<u64>,
    places: Vec<u32>,
    seed: u64,
}

impl Default for Found<'_> {
    fn default() -> Self {
        const FIRST_PLACES: usize = 64;
        // Whoever writes a table must not be able to tell which of its values meet.
        let seed = RandomState::new().hash_one(0);
        Found { values: Vec::new(), hashes: Vec::new(), places: vec![0; FIRST_PLACES], seed }
    }
}

impl<'a> Found<'a> {
    fn key(&mut self, text: &'a str) -> i32 {
        let hash = self.hash(text.as_bytes());
        let mut at = self.start(hash);
        loop {
            let number = self.places.get(at).copied().unwrap_or_default() as usize;
            let Some(index) = number.checked_sub(1) else { break };
            if self.hashes.get(index) == Some(&hash) && self.values.get(index) == Some(&text) {
                return index as i32;
            }
            at = self.behind(at);
        }
        self.values.push(text);
        self.hashes.push(hash);
        self.put(at, self.values.len());
        if self.values.len() * 2 > self.places.len() {
            self.grow();
        }
        self.values.len() as i32 - 1
    }

    fn grow(&mut self) {
        self.places = vec![0; self.places.len() * 2];
        for number in 1..=self.hashes.len() {
            let mut at = self.start(self.hashes.get(number - 1).copied().unwrap_or_default());
            while self.places.get(at).is_some_and(|taken| *taken != 0) {
                at = self.behind(at);
            }
            self.put(at, number);
        }
    }

    fn start(&self, hash: u64) -> usize {
        hash as usize & (self.places.len() - 1)
    }

    fn behind(&self, at: usize) -> usize {
        (at + 1) & (self.places.len() - 1)
    }

    fn put(&mut self, at: usize, number: usize) {
        if let Some(place) = self.places.get_mut(at) {
            *place = number as u32;
        }
    }

    /// Eight bytes at a time, each mixed in by a multiplication whose halves are folded onto each other.
    fn hash(&self, bytes: &[u8]) -> u64 {
        const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
        let mix = |state: u64, word: u64| {
            let product = u128::from(state ^ word) * u128::from(ODD ^ self.seed.rotate_left(32));
            product as u64 ^ (product >> 64) as u64
        };
        let (words, rest) = bytes.as_chunks::<8>();
        let state =
            words.iter().fold(self.seed ^ bytes.len() as u64, |state, word| mix(state, u64::from_ne_bytes(*word)));
        let last = rest.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
        mix(mix(state, last), ODD)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_there_once_and_every_row_has_its_own() {
        for (rows, kinds) in [(0, 1), (1, 1), (1000, 1), (1000, 7), (5000, 4999), (20_000, 20_000), (65_536, 300)] {
            let text = |row: usize| {
                (!row.is_multiple_of(11)).then(|| format!("{:x}", (row * 7919) % kinds).repeat(row % kinds % 5))
            };
            let texts: StringArray = (0..rows).map(text).collect();
            let array: ArrayRef = Arc::new(texts.clone());
            let (keys, values) = encode(&array).unwrap();
            let mut once: Vec<_> = values.iter().flatten().collect();
            once.sort_unstable();
            once.dedup();
            assert_eq!((once.len(), values.null_count()), (values.len(), 0));
            assert!(keys.iter().map(|key| key.map(|key| values.value(key as usize))).eq(texts.iter()));
            let joined = joined(keys, Arc::new(values)).unwrap();
            joined.to_data().validate_full().unwrap();
            if rows == 0 {
                continue;
            }
            // A part that begins in the middle of a byte of the bitmap.
            let part = array.slice(rows / 3, rows / 2);
            let (keys, values) = encode(&part).unwrap();
            assert!(keys.iter().map(|key| key.map(|key| values.value(key as usize))).eq(part.as_string::<i32>()));
        }
    }

    #[test]
    fn what_looking_takes_is_known() {
        for rows in [1usize, 100, 4096, 65_536] {
            let texts: StringArray = (0..rows).map(|row| Some(row.to_string())).collect();
            let mut found = Found::default();
            texts.iter().flatten().for_each(|text| _ = found.key(text));
            let places = size_of_val(found.places.as_slice());
            let taken =
                size_of_val(found.values.as_slice()) + size_of_val(found.hashes.as_slice()) + places + places / 2;
            assert!(taken <= rows * BYTES_OF_ROW + 512, "{taken} for {rows} rows");
        }
    }
}
