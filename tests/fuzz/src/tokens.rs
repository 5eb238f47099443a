//! Tokens of sessions. The input is what stands between the mark and the checksum, a digit for the version first; both are made here,
//! because a fuzzer does not guess checksums.

use maxstorage::session::Session;
use sha2::{Digest, Sha256};

use crate::peer::offline;
use crate::reached_the_end;

const CHECKSUM_BYTES: usize = 8;
/// Splits that are looked at.
const MAX_SPLITS: i64 = 16;

pub fn run(data: &[u8]) {
    // As it is, too: the mark and the checksum may be missing or wrong.
    let _ = Session::attach(offline(), data);
    let Some((version, content)) = data.split_first() else { return };
    let token = token(version.wrapping_sub(b'0'), content);
    let Ok(session) = Session::attach(offline(), &token) else { return };
    let count = session.split_count();
    assert!(count >= 0);
    for index in (-1..count.min(MAX_SPLITS)).chain([count - 1, count, i64::MAX, i64::MIN]) {
        assert_eq!(session.split_info(index).is_ok(), (0..count).contains(&index), "split {index} of {count}");
    }
    if count < MAX_SPLITS {
        assert!(session.explain().starts_with('{'));
    }
    let written = session.serialize().expect("what was read can be written");
    let back = Session::attach(offline(), &written).expect("what was written can be read");
    assert_eq!(back.serialize().expect("it can be written again"), written);
    assert_eq!((back.schema(), back.split_count(), back.conjuncts()), (session.schema(), count, session.conjuncts()));
    reached_the_end();
}

fn token(version: u8, content: &[u8]) -> Vec<u8> {
    let mut token = [b"MSST", &[version][..], content].concat();
    let sum = Sha256::digest(&token);
    token.extend_from_slice(&sum[..CHECKSUM_BYTES]);
    token
}
