//! Keys that a MAP has more than once.

use std::collections::HashMap;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, MapArray, UInt32Array};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{DataType, Fields};
use arrow_select::take::take;

use super::steps::unfit;
use super::{Duplicates, Touched};
use crate::error::{Error, Kind, Result};

/// Fails for keys that this version cannot compare.
pub(super) fn check_key(pair: &Fields) -> Result<()> {
    let data_type = pair.first().map_or(&DataType::Null, |key| key.data_type());
    match data_type {
        DataType::Utf8 | DataType::Binary | DataType::Boolean => Ok(()),
        other if other.primitive_width().is_some() => Ok(()),
        other => {
            let message = format!("types.map_duplicate_keys cannot compare keys of type {other}");
            Err(Error::new(Kind::Unsupported, message))
        }
    }
}

/// The map without entries whose key was there before in the same row; `None` if there are none. `rows` says which rows can be seen.
pub(super) fn unique(
    map: &MapArray,
    rows: Option<&NullBuffer>,
    duplicates: Duplicates,
    touched: &mut Touched,
) -> Result<Option<MapArray>> {
    if duplicates == Duplicates::Keep {
        return Ok(None);
    }
    let keys = Keys::of(map.keys());
    let mut kept: Vec<(usize, usize)> = Vec::new();
    let mut lengths = Vec::with_capacity(map.len());
    let (mut places, mut dropped): (HashMap<&[u8], usize>, u64) = (HashMap::new(), 0);
    for (row, range) in map.offsets().windows(2).enumerate() {
        let [start, end] = *range else { continue };
        let before = kept.len();
        if rows.is_none_or(|rows| rows.is_valid(row)) {
            places.clear();
            for entry in start as usize..end as usize {
                let key = keys.bytes(entry);
                match places.get(key).and_then(|place| kept.get_mut(*place)) {
                    None => {
                        places.insert(key, kept.len());
                        kept.push((entry, entry));
                    }
                    Some(_) if duplicates == Duplicates::Error => {
                        let message = "a map has a key twice; see option types.map_duplicate_keys";
                        return Err(Error::new(Kind::ValueOutOfRange, message));
                    }
                    Some(place) => {
                        place.1 = entry;
                        dropped += 1;
                    }
                }
            }
        }
        lengths.push(kept.len() - before);
    }
    if dropped == 0 {
        return Ok(None);
    }
    touched.map_entries += dropped;
    let numbers = |of: fn(&(usize, usize)) -> usize| -> UInt32Array {
        kept.iter().map(|pair| u32::try_from(of(pair)).ok()).collect()
    };
    let keys = take(map.keys(), &numbers(|pair| pair.0), None).map_err(unfit)?;
    let values = take(map.values(), &numbers(|pair| pair.1), None).map_err(unfit)?;
    let DataType::Map(entries, sorted) = map.data_type() else { return Ok(None) };
    let DataType::Struct(fields) = entries.data_type() else { return Ok(None) };
    let pairs = arrow_array::StructArray::try_new(fields.clone(), vec![keys, values], None).map_err(unfit)?;
    let offsets = OffsetBuffer::from_lengths(lengths);
    MapArray::try_new(entries.clone(), offsets, pairs, map.nulls().cloned(), *sorted).map(Some).map_err(unfit)
}

/// Keys as the bytes that make them equal.
enum Keys<'a> {
    Texts(&'a arrow_array::StringArray),
    Bytes(&'a arrow_array::BinaryArray),
    Flags(&'a arrow_array::BooleanArray),
    Fixed { values: arrow_buffer::Buffer, width: usize },
}

impl<'a> Keys<'a> {
    fn of(keys: &'a ArrayRef) -> Self {
        match keys.data_type() {
            DataType::Utf8 => Keys::Texts(keys.as_string::<i32>()),
            DataType::Binary => Keys::Bytes(keys.as_binary::<i32>()),
            DataType::Boolean => Keys::Flags(keys.as_boolean()),
            other => {
                let width = other.primitive_width().unwrap_or(1);
                let data = keys.to_data();
                let values = data.buffers().first().map(|values| values.slice(data.offset() * width));
                Keys::Fixed { values: values.unwrap_or_default(), width }
            }
        }
    }

    fn bytes(&self, at: usize) -> &[u8] {
        match self {
            Keys::Texts(texts) => texts.value(at).as_bytes(),
            Keys::Bytes(bytes) => bytes.value(at),
            Keys::Flags(flags) => match flags.value(at) {
                true => &[1],
                false => &[0],
            },
            Keys::Fixed { values, width } => values.get(at * width..(at + 1) * width).unwrap_or_default(),
        }
    }
}
