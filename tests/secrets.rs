//! No secret leaves the options: not in a message, a log record, a token or a description. One test, because a process has one
//! logger.

mod support;

use std::sync::Mutex;

use log::{LevelFilter, Log, Metadata, Record};
use maxstorage::client::Client;
use maxstorage::options::{Options, TABLE};
use maxstorage::session::Session;
use maxstorage::split::Split;
use support::Peer;

static SEEN: Mutex<String> = Mutex::new(String::new());

struct Capture;

impl Log for Capture {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        SEEN.lock().unwrap().push_str(&format!("{} {}\n", record.target(), record.args()));
    }

    fn flush(&self) {}
}

fn note(text: &impl std::fmt::Debug) {
    SEEN.lock().unwrap().push_str(&format!("{text:?}\n"));
}

#[test]
fn secrets_are_nowhere() {
    log::set_logger(&Capture).unwrap();
    log::set_max_level(LevelFilter::Trace);
    let column = r#"{"Name":"a","Type":"bigint","Nullable":true}"#;
    let peer = Peer::table(column, 1, |exchange, number| match number {
        0 => exchange.json("403 Forbidden", r#"{"Code":"NoPermission","Message":"no"}"#),
        _ => drop(exchange.stream.shutdown(std::net::Shutdown::Both)),
    });
    let mut options = peer.options();
    for key in TABLE.iter().filter(|key| key.secret && !["proxy", "bearer_token"].contains(&key.name)) {
        options.set(key.name, &format!("CANARY-{}", key.name)).unwrap();
    }
    options.set("app.id", "app").unwrap();
    let client = Client::open(&options).unwrap();
    let session = Session::open(&client, &options).unwrap();
    note(&(&options, &client, &session));
    note(&String::from_utf8_lossy(&session.serialize().unwrap()));
    note(&String::from_utf8_lossy(&session.serialize_json().unwrap()));
    note(&session.explain());
    for _ in 0..2 {
        note(&Split::open(&session, 0, &options).unwrap().next_batch().unwrap_err());
    }

    // A bearer token, and a program that fails.
    let mut others = peer.options();
    for (key, value) in [("access_key_id", ""), ("access_key_secret", ""), ("bearer_token", "CANARY-bearer")] {
        others.set(key, value).unwrap();
    }
    let bearer = Client::open(&others).unwrap();
    note(&(&others, &bearer, Split::open(&Session::open(&bearer, &others).unwrap(), 0, &others).unwrap().next_batch()));
    others.set("bearer_token", "").unwrap();
    others.set("credentials", "process").unwrap();
    others.set("credentials.process", "sh -c 'echo CANARY-out; echo CANARY-err >&2' CANARY-argument").unwrap();
    note(&(&others, Session::open(&Client::open(&others).unwrap(), &others).map(drop)));
    others.set("credentials.process", "'CANARY-not-closed").unwrap();
    note(&Client::open(&others).map(drop));
    others.set("credentials", "uri").unwrap();
    for uri in ["http://u:CANARY@127.0.0.1:1/CANARY?CANARY", "CANARY://h"] {
        others.set("credentials.uri", uri).unwrap();
        note(&(&others, Client::open(&others).and_then(|client| Session::open(&client, &others)).map(drop)));
    }

    // Proxies and endpoints may have a password in their text; nobody answers there.
    let mut proxied = options.clone();
    proxied.set("proxy", "http://user:CANARY-proxy@127.0.0.1:1").unwrap();
    let through = Client::open(&proxied).unwrap();
    note(&(&proxied, &through));
    note(&Session::open(&through, &proxied).unwrap_err());
    for (key, value) in
        [("endpoint", "http://user:CANARY@h"), ("data_endpoint", "http://u:CANARY@h:port"), ("proxy", "CANARY:x:y")]
    {
        let mut bad: Options = options.clone();
        bad.set(key, value).unwrap();
        note(&Client::open(&bad).map(|_| key));
    }
    note(&options.set("access_key_secret", "CANARY-again"));

    let seen = SEEN.lock().unwrap();
    assert!(
        ["maxstorage::transport", "NoPermission", "split_count"].iter().all(|word| seen.contains(word)),
        "nothing was captured: {seen}"
    );
    assert!(!seen.contains("CANARY"), "{seen}");
}
