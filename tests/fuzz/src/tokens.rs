//! Tokens of sessions. The input is what stands between the mark and the checksum, a digit for the version first, or a JSON object without
//! its checksum; marks and checksums are made here, because a fuzzer does not guess them.

use maxstorage::session::Session;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::peer::offline;
use crate::reached_the_end;

const CHECKSUM_BYTES: usize = 8;
/// Splits that are looked at.
const MAX_SPLITS: i64 = 16;

pub fn run(data: &[u8]) {
    // As it is, too: the mark and the checksum may be missing or wrong.
    let _ = Session::attach(offline(), data);
    let token = match data.split_first() {
        Some((b'{', _)) => sealed(data),
        Some((version, content)) => Some(token(version.wrapping_sub(b'0'), content)),
        None => None,
    };
    let Some(Ok(session)) = token.map(|token| Session::attach(offline(), &token)) else { return };
    let (first, count) = (session.first_split(), session.split_count());
    assert!((0..=count).contains(&first));
    for index in (first - 1..count.min(first.saturating_add(MAX_SPLITS))).chain([count - 1, count, i64::MAX, i64::MIN])
    {
        assert_eq!(
            session.split_info(index).is_ok(),
            (first..count).contains(&index),
            "split {index} of {first} to {count}"
        );
    }
    if count - first < MAX_SPLITS {
        assert!(session.explain().starts_with('{'));
    }
    let Some((bytes, json)) = forms(&session) else { return };
    for written in [&bytes, &json] {
        let back = Session::attach(offline(), written).expect("what was written can be read");
        assert_eq!(forms(&back), Some((bytes.clone(), json.clone())), "it can be written again");
        let same = (back.schema(), back.split_count(), back.conjuncts());
        assert_eq!(same, (session.schema(), count, session.conjuncts()));
    }
    // One letter of it is changed, at a place that the input says.
    let mut changed = json.clone();
    let place = data.iter().fold(data.len(), |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte)));
    changed[place % json.len()] ^= if place % 2 == 0 { 1 } else { 0x20 };
    if let Ok(read) = Session::attach(offline(), &changed) {
        assert_eq!(forms(&read), Some((bytes, json)), "a change that was not noticed");
    }
    reached_the_end();
}

/// Both forms; nothing for the token of a split that has none.
fn forms(session: &Session) -> Option<(Vec<u8>, Vec<u8>)> {
    let first = session.first_split();
    let (bytes, json) = match session.serialize() {
        Ok(bytes) => (bytes, session.serialize_json().expect("as JSON as well")),
        Err(_) if session.split_info(first).is_err() => return None,
        Err(_) => {
            let split = |as_json| session.serialize_split(first, as_json).expect("the split of a token can be written");
            (split(false), split(true))
        }
    };
    Some((bytes, json))
}

fn token(version: u8, content: &[u8]) -> Vec<u8> {
    let mut token = [b"MSST", &[version][..], content].concat();
    let sum = Sha256::digest(&token);
    token.extend_from_slice(&sum[..CHECKSUM_BYTES]);
    token
}

/// An object with a checksum of all its fields.
fn sealed(text: &[u8]) -> Option<Vec<u8>> {
    let mut fields: Value = serde_json::from_slice(text).ok()?;
    let of: Vec<String> = fields.as_object()?.keys().cloned().collect();
    drop_nulls(&mut fields);
    let sum = Sha256::digest(fields.to_string());
    let sum: String = sum.iter().take(CHECKSUM_BYTES).map(|byte| format!("{byte:02x}")).collect();
    fields["checksum"] = json!({"of": of, "sha256": sum});
    Some(fields.to_string().into_bytes())
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(values) => values.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}
