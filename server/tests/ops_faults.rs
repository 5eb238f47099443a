//! Fault plans against the real server: what a client sees, and what the report says of it.

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use arrow::ipc::reader::StreamReader;
use common::{Answer, Root, Server, data, numbers, sessions};
use serde_json::{Value, json};

fn table(rows: i64, args: &[&str]) -> (Root, Server) {
    let root = Root::new();
    root.load("local.default.t", &root.parquet("t.parquet", &numbers(0, rows)), &[]);
    let server = root.serve(args);
    (root, server)
}

/// Puts a plan in force.
fn plan(server: &Server, rules: Value) {
    server.admin("PUT", "faults", Some(&rules.to_string()));
}

/// Matched, struck, fired of each rule.
fn counts(server: &Server) -> Vec<[u64; 3]> {
    let report = server.admin("GET", "faults", None);
    let rules = report["rules"].as_array().unwrap();
    rules.iter().map(|rule| ["matched", "struck", "fired"].map(|name| rule[name].as_u64().unwrap())).collect()
}

/// Sends a signed request that may find no answer.
fn attempt(server: &Server, method: &str, target: &str, body: Option<&str>) -> Option<Answer> {
    server.try_raw(method, target, body, &server.sign(method, target, body)).ok()
}

/// The target that reads all rows of a new session.
fn read(server: &Server) -> String {
    let session = server.session("t", "{}");
    data("t", &format!("session_id={}&split_index=0", session["SessionId"].as_str().unwrap()))
}

#[test]
fn errors_speak_the_language_of_their_protocol() {
    let (_root, server) = table(10, &[]);
    plan(&server, json!([{"effect": {"kind": "error", "status": 503, "retry_after_s": 7, "message": "on <purpose>"}}]));
    let json = |answer: Answer| {
        assert_eq!(answer.header("retry-after"), Some("7"));
        assert_eq!(answer.json()["Message"], "on <purpose>");
        assert_eq!(answer.error(), (503, "ServiceUnavailable".into()));
    };
    json(server.post(&sessions("t"), "{}"));
    json(server.post("/api/storage/v2?Action=TableRead&Target=projects.local.tables.t", "{}"));
    json(server.post("/projects/local/tables/t?downloads", ""));
    let metadata = server.get("/api/projects/local/tables/t");
    assert_eq!(metadata.status, 503);
    let xml = metadata.text();
    assert!(xml.contains("<Code>ServiceUnavailable</Code>") && xml.contains("on &lt;purpose&gt;"), "{xml}");
    assert!(xml.contains(metadata.header("x-odps-request-id").unwrap()));
    assert_eq!(counts(&server), [[4, 4, 4]], "admin calls are never struck");
    let last = server.admin("DELETE", "faults", None);
    assert_eq!(last["rules"][0]["fired"], 4);
    assert_eq!(server.post(&sessions("t"), "{}").status, 201);
}

#[test]
fn a_throttled_client_hears_when_to_come_back() {
    let (_root, server) = table(10, &[]);
    plan(
        &server,
        json!([
            {"match": {"action": "TableCreateReadSession", "nth": 1}, "effect": {"kind": "throttle", "hold_client_ms": 20}},
            {"match": {"action": "TableCreateReadSession", "nth": 2},
             "effect": {"kind": "throttle", "code": "FlowExceeded", "retry_after_s": 9}},
            {"match": {"action": "TableCreateReadSession", "nth": 3}, "effect": {"kind": "moved", "location": "/elsewhere"}},
            {"match": {"action": "TableRead"}, "effect": {"kind": "stall"}},
        ]),
    );
    let first = server.post(&sessions("t"), "{}");
    assert_eq!(first.header("retry-after"), Some("1"));
    assert_eq!(first.json()["HoldClientMillis"], 20);
    assert_eq!(first.error(), (429, "SlotExceeded".into()));
    let second = server.post(&sessions("t"), "{}");
    assert_eq!((second.header("retry-after"), second.status), (Some("9"), 429));
    let moved = attempt(&server, "POST", &sessions("t"), Some("{}"));
    // The client of these tests follows the answer, and finds nothing there.
    assert!(moved.is_none_or(|answer| answer.status != 201));
    assert_eq!(server.post(&sessions("t"), "{}").status, 201);
    let report = server.admin("GET", "faults", None);
    assert_eq!(report["unfired"], json!([4]), "{report}");
}

#[test]
fn bodies_break_where_the_plan_says() {
    let (_root, server) = table(50_000, &[]);
    let target = read(&server);
    let good = server.get(&target);
    assert_eq!(good.batch().num_rows(), 50_000);
    let with = |effect: Value| {
        plan(&server, json!([{"match": {"action": "TableRead", "table": "t", "split": 0}, "effect": effect}]));
        let answer = server.get(&target);
        assert_eq!(counts(&server), [[1, 1, 1]], "{effect}");
        assert_eq!(answer.status, 200);
        answer
    };
    let cut = with(json!({"kind": "cut", "after_bytes": 70_001}));
    assert!(!cut.complete);
    assert_eq!(cut.body, good.body[..70_001]);
    let ended = with(json!({"kind": "end_early"}));
    assert!(ended.complete);
    assert_eq!(ended.body, good.body[..good.body.len() - 8]);
    let ended = with(json!({"kind": "end_early", "after_bytes": 1000}));
    assert!(ended.complete);
    assert_eq!(ended.body, good.body[..1000]);
    let flipped = with(json!({"kind": "flip_bit", "at_byte": 5000, "bit": 3}));
    assert!(flipped.complete && flipped.body.len() == good.body.len());
    let differing: Vec<usize> = (0..good.body.len()).filter(|i| good.body[*i] != flipped.body[*i]).collect();
    assert_eq!((differing.as_slice(), good.body[5000] ^ flipped.body[5000]), ([5000].as_slice(), 8));
    let schema = |answer: &Answer| StreamReader::try_new(answer.body.as_slice(), None).unwrap().schema();
    let other = with(json!({"kind": "wrong_schema"}));
    assert!(other.complete && schema(&other) != schema(&good));
    let spoiled = with(json!({"kind": "invalid_utf8"}));
    let why = StreamReader::try_new(spoiled.body.as_slice(), None).unwrap().find_map(Result::err).unwrap();
    assert!(spoiled.complete && why.to_string().to_lowercase().contains("utf"), "{why}");
    let begin = Instant::now();
    let size = good.body.len() as u64;
    let dripped = with(json!({"kind": "drip", "bytes_per_second": 40_000, "after_bytes": size - 20_000}));
    assert_eq!(dripped.body, good.body);
    assert!(begin.elapsed() >= Duration::from_millis(450), "{:?}", begin.elapsed());
    let begin = Instant::now();
    assert_eq!(with(json!({"kind": "delay", "ms": 300, "after_bytes": 100})).body, good.body);
    assert!(begin.elapsed() >= Duration::from_millis(300));
    plan(&server, json!([{"effect": {"kind": "cut", "after_bytes": size + 1}}]));
    assert_eq!(server.get(&target).body, good.body);
    assert_eq!(counts(&server), [[1, 1, 0]], "the offset was never reached");
}

#[test]
fn silence_is_silence() {
    let (_root, server) = table(50_000, &["--no-auth"]);
    let target = read(&server);
    let listen = |effect: Value| {
        plan(&server, json!([{"match": {"action": "TableRead"}, "effect": effect}]));
        let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        write!(stream, "GET {target} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut received = Vec::new();
        let end = stream.read_to_end(&mut received);
        assert_eq!(counts(&server), [[1, 1, 1]]);
        (received, end.is_ok())
    };
    assert_eq!(listen(json!({"kind": "stall"})), (Vec::new(), false));
    let (received, closed) = listen(json!({"kind": "stall", "after_bytes": 3000}));
    let head = received.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    assert!(!closed && received.len() >= head + 3000 && received.len() < head + 3000 + 100, "{}", received.len());
    assert_eq!(listen(json!({"kind": "cut"})), (Vec::new(), true));
    assert_eq!(server.get("/api/tenants").status, 200, "others are served");
}

#[test]
fn sessions_expire_fail_and_never_become_ready() {
    let (root, server) = table(10, &[]);
    let target = read(&server);
    plan(
        &server,
        json!([
            {"match": {"action": "TableRead", "times": 1}, "effect": {"kind": "expire_session"}},
            {"match": {"action": "TableCreateReadSession", "nth": 1}, "effect": {"kind": "session_state", "state": "INIT"}},
            {"match": {"action": "TableGetReadSession", "times": 2},
             "effect": {"kind": "session_state", "state": "CRITICAL", "message": "disk lost"}},
            {"match": {"action": "TableCreateReadSession", "nth": 2}, "effect": {"kind": "lose_answer"}},
            {"match": {"action": "TableCreateReadSession", "nth": 3}, "effect": {"kind": "error", "status": 500, "late": true}},
            {"match": {"action": "TableCreateReadSession", "nth": 4}, "effect": {"kind": "error", "status": 500}},
        ]),
    );
    assert_eq!(server.get(&target).error(), (409, "StatusConflict".into()));
    assert_eq!(server.get(&target).error(), (409, "StatusConflict".into()), "it stays expired");
    let waiting = server.post(&sessions("t"), "{}");
    assert_eq!((waiting.status, &waiting.json()["SessionStatus"]), (202, &json!("INIT")));
    assert!(waiting.json().get("SplitsCount").is_none());
    let id = waiting.json()["SessionId"].as_str().unwrap().to_string();
    let state = server.get(&format!("{}/sessions/{id}?session_type=batch_read", common::base("t"))).json();
    assert_eq!((&state["SessionStatus"], &state["Message"]), (&json!("CRITICAL"), &json!("disk lost")));
    let stored = || {
        let catalogue = rusqlite::Connection::open(root.path().join("catalog.sqlite")).unwrap();
        catalogue.query_row("select count(*) from sessions", [], |row| row.get::<_, i64>(0)).unwrap()
    };
    assert_eq!(stored(), 2);
    assert!(attempt(&server, "POST", &sessions("t"), Some("{}")).is_none(), "the answer is lost");
    assert_eq!(stored(), 3, "the session is not");
    assert_eq!(server.post(&sessions("t"), "{}").status, 500);
    assert_eq!(stored(), 4);
    assert_eq!(server.post(&sessions("t"), "{}").status, 500);
    assert_eq!(stored(), 4, "an error that is not late comes before the call");
    assert_eq!(counts(&server), [[2, 1, 1], [4, 1, 1], [1, 1, 1], [4, 1, 1], [4, 1, 1], [4, 1, 1]]);
}

#[test]
fn request_bodies_can_be_spoiled() {
    let (_root, server) = table(10, &[]);
    plan(
        &server,
        json!([{"match": {"action": "TableCreateReadSession", "times": 1},
                          "effect": {"kind": "flip_bit", "at_byte": 0, "on": "request"}},
                         {"match": {"action": "TableCreateReadSession", "nth": 2},
                          "effect": {"kind": "cut", "after_bytes": 1, "on": "request"}}]),
    );
    assert_eq!(server.post(&sessions("t"), "{}").error(), (400, "InvalidArgument".into()));
    assert_eq!(server.post(&sessions("t"), "{}").error(), (400, "IncompleteBody".into()));
    assert_eq!(server.post(&sessions("t"), "{}").status, 201);
    assert_eq!(counts(&server), [[3, 1, 1], [3, 1, 1]]);
}

#[test]
fn one_request_can_ask_for_its_own_fault() {
    let (_root, server) = table(10, &[]);
    let target = "/api/tenants";
    let fault = |effect: &str| server.send("GET", target, None, &[("x-maxstorage-fault", effect)]);
    assert_eq!(fault(r#"{"kind": "error", "status": 504}"#).status, 504);
    let wrong = fault(r#"{"kind": "eror"}"#);
    assert_eq!(wrong.status, 400);
    assert!(wrong.text().contains("x-maxstorage-fault: unknown variant"), "{}", wrong.text());
    assert_eq!(server.get(target).status, 200);
    // Whoever is elsewhere, or came through a proxy or a web page, shows a key of the owner.
    let foreign = |more: (&str, &str), signed: bool| {
        let mut headers = if signed { server.sign("GET", target, None) } else { Vec::new() };
        let effect = ("x-maxstorage-fault", r#"{"kind": "error", "status": 504}"#);
        headers.extend([effect, more].map(|(name, value)| (name.to_string(), value.to_string())));
        server.raw("GET", target, None, &headers).status
    };
    for more in [("x-forwarded-for", "10.0.0.1"), ("host", "example.com")] {
        assert_eq!((foreign(more, false), foreign(more, true)), (401, 504), "{more:?}");
    }
}

#[test]
fn admin_paths_are_for_the_owner() {
    let (_root, server) = table(1, &["--admin-needs-key", "--account", "local:local"]);
    let faults = "/_maxstorage/faults";
    assert_eq!(server.raw("GET", faults, None, &[]).status, 401);
    assert_eq!(server.get(faults).json(), json!({"rules": [], "unfired": []}));
    assert_eq!(server.raw("GET", "/_maxstorage/health", None, &[]).json()["status"], "ok");
    assert_eq!(server.send("PATCH", faults, None, &[]).status, 405);
    assert_eq!(server.get("/_maxstorage/nothing").status, 501);
    let bad = server.send("PUT", faults, Some(r#"[{"effect": {"kind": "stal"}}]"#), &[]);
    assert_eq!(bad.status, 400);
    assert!(bad.text().contains("rule 1: unknown variant"), "{}", bad.text());
}

#[test]
fn a_plan_in_a_file_repeats_exactly() {
    let root = Root::new();
    let file = root.parquet("plan.json", &numbers(0, 1));
    std::fs::write(
        &file,
        r#"[{"match": {"probability": 0.4, "seed": 5}, "effect": {"kind": "error", "status": 500}}]"#,
    )
    .unwrap();
    let outcomes = || {
        let server = root.serve(&["--fault-plan", file.to_str().unwrap()]);
        (0..30).map(|_| server.get("/api/tenants").status).collect::<Vec<_>>()
    };
    let first = outcomes();
    assert_eq!(first, outcomes());
    assert!(first.contains(&200) && first.contains(&500), "{first:?}");
    std::fs::write(&file, r#"[{"match": {"action": "Nothing"}, "effect": {"kind": "stall"}}]"#).unwrap();
    let output = root.run("serve", &["--fault-plan", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(message.contains("plan.json: rule 1: no action is called \"Nothing\""), "{message}");
}

#[test]
fn a_lost_answer_is_a_commit_all_the_same() {
    let (_root, server) = table(10, &[]);
    plan(
        &server,
        json!([
            {"match": {"action": "TableCommitWriteSession", "nth": 1}, "effect": {"kind": "cut"}},
            {"match": {"action": "TableCommitWriteSession", "nth": 2}, "effect": {"kind": "lose_answer"}},
            {"match": {"action": "TableWrite", "block": 1}, "effect": {"kind": "cut", "after_bytes": 200, "on": "request"}},
        ]),
    );
    let session = server.write_session("t", json!({}));
    let id = session["SessionId"].as_str().unwrap();
    let message = server.write_block("t", id, 0, 0, &numbers(100, 5));
    assert_ne!(server.block("t", id, 1, 0, &common::upload::stream(&[numbers(200, 5)], None)).status, 200);
    let target = format!("{}/commit?session_id={id}", common::base("t"));
    let body = json!({"CommitMessages": [message]}).to_string();
    assert!(attempt(&server, "POST", &target, Some(&body)).is_none());
    assert_eq!(server.count("t", "{}"), 10, "a commit that was cut off beforehand did nothing");
    assert!(attempt(&server, "POST", &target, Some(&body)).is_none());
    assert_eq!(server.count("t", "{}"), 15, "a commit whose answer was lost is one");
    assert_eq!(server.post(&target, &body).json()["SessionStatus"], "COMMITTED");
    assert_eq!(server.count("t", "{}"), 15, "asking again commits nothing twice");
    assert_eq!(counts(&server), [[3, 1, 1], [3, 1, 1], [1, 1, 1]]);
}

#[test]
fn version_2_breaks_in_the_same_way() {
    let (_root, server) = table(50_000, &[]);
    let target = |action: &str, more: &str| {
        format!("/api/storage/v2?Action={action}&Target=projects.local.schemas.default.tables.t{more}")
    };
    let session = server.post(&target("TableCreateReadSession", ""), "{}").json();
    let id = session["SessionId"].as_str().unwrap();
    let read = target("TableRead", &format!("&SessionId={id}&Index=0"));
    let good = server.post(&read, "{}");
    assert!(good.complete && good.body.len() > 100_000, "{}", good.text());
    let with = |effect: Value| {
        plan(&server, json!([{"match": {"protocol": "v2", "action": "TableRead", "split": 0}, "effect": effect}]));
        server.post(&read, "{}")
    };
    let cut = with(json!({"kind": "cut", "after_bytes": 50_000}));
    assert!(!cut.complete && cut.body == good.body[..50_000]);
    assert_eq!(with(json!({"kind": "end_early"})).body, good.body[..good.body.len() - 8]);
    assert_eq!(with(json!({"kind": "throttle", "code": "FlowExceeded"})).error(), (429, "FlowExceeded".into()));
    assert!(with(json!({"kind": "expire_session"})).status >= 400);
    let get = target("TableGetReadSession", &format!("&SessionId={id}&session_refresh=false"));
    assert_eq!(server.post(&get, "{}").json()["SessionStatus"], "EXPIRED");
    plan(
        &server,
        json!([{"match": {"action": "TableGetReadSession"}, "effect": {"kind": "session_state", "state": "CRITICAL"}}]),
    );
    assert_eq!(server.post(&get, "{}").json()["SessionStatus"], "CRITICAL");
}

#[test]
fn the_classic_tunnel_breaks_in_the_same_way() {
    let (_root, server) = table(1000, &[]);
    let base = "/projects/local/tables/t";
    let create = || server.post(&format!("{base}?downloads"), "");
    plan(
        &server,
        json!([
            {"match": {"action": "TunnelCreateDownload", "nth": 1}, "effect": {"kind": "throttle", "hold_client_ms": 5}},
            {"match": {"action": "TunnelDownload", "nth": 2}, "effect": {"kind": "cut", "after_bytes": 500}},
            {"match": {"action": "TunnelDownload", "nth": 3}, "effect": {"kind": "expire_session"}},
        ]),
    );
    let throttled = create();
    assert_eq!((throttled.status, &throttled.json()["HoldClientMillis"]), (429, &json!(5)));
    let session = create().json();
    let id = session["DownloadID"].as_str().unwrap();
    let read = || server.get(&format!("{base}?data&downloadid={id}&rowrange=(0,1000)"));
    let good = read();
    assert!(good.status == 200 && good.complete && good.body.len() > 1000, "{}", good.text());
    let cut = read();
    assert!(!cut.complete && cut.body == good.body[..500]);
    assert!((400..500).contains(&read().status), "the session is expired");
    assert_eq!(counts(&server), [[2, 1, 1], [3, 1, 1], [3, 1, 1]]);
}
