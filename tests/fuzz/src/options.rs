//! Options: lines `KEY=VALUE` to set, `KEY+=VALUE` to add, `$NAME=VALUE` for a variable of the environment. A client is opened with them,
//! and a session whose service cannot be reached.

use maxstorage::client::Client;
use maxstorage::error::Kind;
use maxstorage::options::{self, Options};
use maxstorage::session::Session;

use crate::peer::offline;
use crate::reached_the_end;

/// Keys that do something outside of this process, or panic on purpose.
const LEFT_OUT: [&str; 2] = ["debug.panic", "tls.ca_file"];

pub fn run(data: &[u8]) {
    // The first client decides about the threads of the process, so that is one of ours.
    let offline = offline();
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (mut found, mut variables) = (Options::new(), Vec::new());
    for line in text.lines().take(64) {
        let Some((key, value)) = line.split_once('=') else { continue };
        if let Some(variable) = key.strip_prefix('$') {
            variables.push((variable, value));
        } else if let Some(key) = key.strip_suffix('+') {
            if found.add(key, value).is_ok() {
                let key = options::find(key).expect("it was found before");
                assert_eq!(found.list(key).last().map(String::as_str), Some(value));
            }
        } else if !LEFT_OUT.contains(&key) && found.set(key, value).is_ok() && !value.is_empty() {
            let key = options::find(key).expect("it was found before");
            assert_eq!(found.text(key), Some(value));
        }
    }
    let _ = found.load_environment(|name| {
        variables.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned())
    });
    let shown = format!("{found:?}");
    for key in options::TABLE.iter().filter(|key| key.secret && found.is_set(key)) {
        let secret = found.text(key).unwrap_or_default();
        assert!(secret.len() < 16 || !shown.contains(secret) || is_elsewhere(&found, secret), "{} is shown", key.name);
    }
    let opened = found.is_set(&options::ENDPOINT) && Client::open(&found).is_ok();
    if found.is_set(&options::TABLE_NAME) || found.is_set(&options::INSTANCE) {
        match Session::open(offline, &found) {
            Ok(_) => panic!("nobody planned it"),
            Err(error) => assert_ne!(error.kind(), Kind::Internal, "{error}"),
        }
    }
    if opened {
        reached_the_end();
    }
}

/// Whether a text is also the value of an option that is no secret.
fn is_elsewhere(found: &Options, secret: &str) -> bool {
    let shown = |key: &&&'static options::Key| !key.secret && found.is_set(key);
    options::TABLE.iter().filter(shown).any(|key| found.list(key).iter().any(|value| value.contains(secret)))
}
