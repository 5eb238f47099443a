//! The virtual clock: whatever a client can see follows it.

mod common;

use common::{Root, base, data, numbers, sessions};
use serde_json::{Value, json};

const DAY_MS: i64 = 86_400_000;

#[test]
fn everything_a_client_sees_follows_the_clock() {
    let root = Root::new();
    root.load("local.default.t", &root.parquet("a.parquet", &numbers(0, 10)), &[]);
    let server = root.serve(&["--no-clock-check", "--planning-delay-ms", "60000"]);
    let set = |change: Value| server.admin("PUT", "clock", Some(&change.to_string()));
    let start = server.admin("GET", "clock", None);
    assert_eq!((&start["frozen"], &start["ahead_ms"]), (&json!(false), &json!(0)));
    let noon = 1_800_000_000_000i64;
    let stopped = set(json!({"set_ms": noon, "frozen": true}));
    assert_eq!((&stopped["now_ms"], &stopped["now"]), (&json!(noon), &json!("2027-01-15T08:00:00.000Z")));
    let session = server.post(&sessions("t"), "{}");
    assert_eq!(session.status, 202);
    assert_eq!(session.header("date"), Some("Fri, 15 Jan 2027 08:00:00 GMT"));
    let session = session.json();
    assert_eq!(session["ExpirationTime"], noon + DAY_MS);
    let id = session["SessionId"].as_str().unwrap();
    let target = format!("{}/sessions/{id}?session_type=batch_read", base("t"));
    let status = || server.get(&target).json()["SessionStatus"].clone();
    let read = || server.get(&data("t", &format!("session_id={id}&split_index=0")));
    assert_eq!(status(), "INIT");
    set(json!({"advance_ms": 60_000}));
    assert_eq!(status(), "NORMAL", "planning takes as long as the clock says");
    assert_eq!(read().batch().num_rows(), 10);
    set(json!({"advance_ms": DAY_MS - 60_001}));
    assert_eq!(status(), "NORMAL");
    set(json!({"advance_ms": 1}));
    assert_eq!(status(), "EXPIRED");
    assert_eq!(read().error(), (409, "StatusConflict".into()));
    assert_eq!(server.get(&format!("{target}&session_refresh=true")).json()["ExpirationTime"], noon + 2 * DAY_MS);
    assert_eq!(read().status, 200);
    let running = set(json!({"frozen": false}));
    assert_eq!(running["frozen"], false);
    let back = server.admin("DELETE", "clock", None);
    assert_eq!(back["ahead_ms"], 0);
    let json = [("content-type".to_string(), "application/json".to_string())];
    for wrong in ["{\"set_ms\": -1}", "{\"advance\": 1}", "[]", "{\"advance_ms\": 9223372036854775807}"] {
        assert_eq!(server.raw("PUT", "/_maxstorage/clock", Some(wrong), &json).status, 400, "{wrong}");
    }
}

#[test]
fn signatures_are_as_old_as_the_clock_says() {
    let root = Root::new();
    let server = root.serve(&[]);
    assert_eq!(server.get("/api/tenants").status, 200);
    let set = |change: Value| server.admin("PUT", "clock", Some(&change.to_string()));
    set(json!({"advance_ms": 880_000}));
    assert_eq!(server.get("/api/tenants").status, 200);
    set(json!({"advance_ms": 40_000}));
    let refused = server.get("/api/tenants");
    assert!(refused.text().contains("<Code>RequestTimeTooSkewed</Code>"), "{}", refused.text());
}
