//! What the messages of an Arrow IPC stream take in memory, looked at before they are decoded.

use std::collections::HashMap;

use arrow::ipc::{MessageHeader, RecordBatch, root_as_message};

use super::body::malformed;
use super::error::WriteError;

/// Largest data of a message after decompression, and of all dictionaries of a stream.
const MAX_DECODED_BYTES: u64 = 512 << 20;

/// Most rows of a batch.
const MAX_BATCH_ROWS: i64 = 1 << 26;

/// Keeps the messages of one stream within bounds.
#[derive(Debug, Default)]
pub struct Sizes {
    /// Bytes of the dictionaries that the decoder holds, by their id.
    dictionaries: HashMap<i64, u64>,
}

impl Sizes {
    /// Refuses a message that would need too much memory. `message` is complete.
    pub fn check(&mut self, message: &[u8]) -> Result<(), WriteError> {
        let metadata = metadata_bytes(message).ok_or_else(|| malformed("a message is cut"))?;
        let header = root_as_message(metadata).map_err(|error| malformed(&error.to_string()))?;
        let body = message.get(8 + metadata.len()..).unwrap_or_default();
        match header.header_type() {
            MessageHeader::RecordBatch => match header.header_as_record_batch() {
                Some(batch) => check_batch(&batch, body).map(drop),
                None => Ok(()),
            },
            MessageHeader::DictionaryBatch => match header.header_as_dictionary_batch() {
                Some(dictionary) => {
                    let bytes = dictionary.data().map_or(Ok(0), |batch| check_batch(&batch, body))?;
                    self.hold(dictionary.id(), dictionary.isDelta(), bytes)
                }
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// Counts a dictionary: a delta comes on top of what is held, any other takes its place.
    fn hold(&mut self, id: i64, is_delta: bool, bytes: u64) -> Result<(), WriteError> {
        let held = self.dictionaries.entry(id).or_default();
        *held = if is_delta { held.saturating_add(bytes) } else { bytes };
        let total = self.dictionaries.values().fold(0u64, |total, bytes| total.saturating_add(*bytes));
        check_total("the stream has dictionaries of", total)
    }
}

/// Checks a batch. Returns the bytes that it may take once it is decoded.
fn check_batch(batch: &RecordBatch<'_>, body: &[u8]) -> Result<u64, WriteError> {
    if !(0..=MAX_BATCH_ROWS).contains(&batch.length()) {
        return Err(WriteError::Rows(format!(
            "a batch has {} rows, at most {MAX_BATCH_ROWS} are taken",
            batch.length()
        )));
    }
    let is_compressed = batch.compression().is_some();
    let mut total: u64 = 0;
    for buffer in batch.buffers().into_iter().flatten() {
        // Buffers may name the same bytes many times, and the decoder copies those that are not aligned.
        let stored = u64::try_from(buffer.length()).unwrap_or_default();
        let decoded = if is_compressed { decoded_bytes(body, buffer.offset()) } else { None };
        total = total.saturating_add(decoded.unwrap_or(stored));
    }
    check_total("a batch has", total)?;
    Ok(total)
}

/// What a compressed buffer says of its length, with which it begins; `None` if it is not compressed after all.
fn decoded_bytes(body: &[u8], offset: i64) -> Option<u64> {
    let start = usize::try_from(offset).ok()?;
    let prefix = body.get(start..start.checked_add(8)?)?.try_into().ok()?;
    u64::try_from(i64::from_le_bytes(prefix)).ok()
}

fn check_total(what: &str, bytes: u64) -> Result<(), WriteError> {
    match bytes <= MAX_DECODED_BYTES {
        true => Ok(()),
        false => Err(WriteError::Rows(format!(
            "{what} {bytes} bytes, at most {MAX_DECODED_BYTES} are taken: write shorter batches"
        ))),
    }
}

/// The metadata of a complete message.
fn metadata_bytes(message: &[u8]) -> Option<&[u8]> {
    let length = u32::from_le_bytes(message.get(4..8)?.try_into().ok()?);
    message.get(8..8 + length as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deltas_of_dictionaries_add_up_and_replacements_do_not() {
        let mut sizes = Sizes::default();
        let half = MAX_DECODED_BYTES / 2;
        (0..9).for_each(|_| sizes.hold(1, false, half).unwrap());
        sizes.hold(1, true, half).unwrap();
        assert!(sizes.hold(1, true, 1).unwrap_err().to_string().contains("dictionaries"));
        sizes.hold(1, false, half).unwrap();
        sizes.hold(2, false, half).unwrap();
        assert!(sizes.hold(3, false, 1).is_err(), "all dictionaries count together");
    }
}
