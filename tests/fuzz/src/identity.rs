//! Credentials as files, programs and services write them.

use maxstorage::auth::{Metadata, find_profile, read_answer};

use crate::reached_the_end;

pub fn run(data: &[u8]) {
    let answer = read_answer(data, "the answer").is_ok();
    let Ok(text) = std::str::from_utf8(data) else { return };
    let metadata = Metadata { endpoint: "http://127.0.0.1:9".to_owned(), role: None, token_required: false };
    let profile = ["", "p"].map(|name| find_profile(text, name, &metadata).is_ok_and(|found| found.is_some()));
    if answer || profile.contains(&true) {
        reached_the_end();
    }
}
