//! Metrics, status and page of the real server, its start and its stop.

mod common;

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use common::{Root, data, numbers, sessions};
use serde_json::json;

/// Prometheus text by sample; demands that every line is one of the three kinds that there are.
fn samples(text: &str) -> HashMap<String, f64> {
    let mut found = HashMap::new();
    let mut family = String::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            family = name.to_string();
        } else if !line.starts_with("# HELP ") {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(name.starts_with(&family), "{line} is not of {family}");
            let new = found.insert(name.to_string(), value.parse().unwrap());
            assert!(new.is_none(), "{name} is there twice");
        }
    }
    found
}

#[test]
fn requests_are_counted_where_they_end() {
    let root = Root::new();
    root.load("local.default.t", &root.parquet("a.parquet", &numbers(0, 1000)), &[]);
    let server = root.serve(&[]);
    assert_eq!(server.count("t", "{}"), 1000);
    assert_eq!(server.post(&sessions("nope"), "{}").status, 404);
    let answer = server.raw("GET", "/metrics", None, &[]);
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let found = samples(&answer.text());
    let call = |name: &str, operation: &str, code: u16| {
        let labels = format!("operation=\"{operation}\",protocol=\"v1\",code=\"{code}\"");
        found.get(&format!("maxstorage_{name}{{{labels}}}")).copied()
    };
    assert_eq!(call("request_total", "TableRead", 200), Some(1.0));
    assert_eq!(call("request_total", "TableCreateReadSession", 404), Some(1.0));
    assert_eq!(call("request_duration_seconds_count", "TableRead", 200), Some(1.0));
    assert!(call("request_sent_bytes_total", "TableRead", 200).unwrap() > 1000.0 * 8.0);
    assert_eq!(call("request_received_bytes_total", "TableCreateReadSession", 201), Some(2.0));
    let last =
        "maxstorage_request_duration_seconds_bucket{operation=\"TableRead\",protocol=\"v1\",code=\"200\",le=\"+Inf\"}";
    assert_eq!(found[last], 1.0);
    assert_eq!(found["maxstorage_sessions{kind=\"read\",state=\"NORMAL\"}"], 1.0);
    assert_eq!(found["maxstorage_request_running"], 1.0, "the question itself");
    let status = server.admin("GET", "status", None);
    let refusal = &status["refusals"][0];
    assert_eq!(
        (&refusal["code"], &refusal["status"], &refusal["place"]),
        (&json!("NoSuchTable"), &json!(404), &json!("local.default.nope"))
    );
    let page = server.raw("GET", "/_maxstorage/observation", None, &[]);
    assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'none'"));
    assert!(page.text().contains("NoSuchTable") && !page.text().contains("<script"));
    let elsewhere = [("host".to_string(), "example.com".to_string())];
    for path in ["/metrics", "/_maxstorage/status", "/_maxstorage/observation"] {
        assert_eq!(server.raw("GET", path, None, &elsewhere).status, 401, "{path} is not for everybody");
        assert_eq!(server.get(path).status, 200, "{path}");
    }
}

#[test]
fn a_client_that_goes_away_is_counted_as_such() {
    let root = Root::new();
    root.load("local.default.t", &root.parquet("a.parquet", &numbers(0, 10)), &[]);
    let server = root.serve(&["--no-auth"]);
    server.admin("PUT", "faults", Some(r#"[{"match": {"action": "GetTenant"}, "effect": {"kind": "stall"}}]"#));
    let mut stalled = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    write!(stalled, "GET /api/tenants HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let running = || server.admin("GET", "status", None)["running_requests"].as_u64().unwrap();
    let wait = |wanted: u64| {
        let end = Instant::now() + Duration::from_secs(10);
        while running() != wanted {
            assert!(Instant::now() < end, "{} requests run, not {wanted}", running());
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    wait(2);
    drop(stalled);
    wait(1);
    let calls = server.admin("GET", "status", None)["calls"].clone();
    let gone = calls.as_array().unwrap().iter().find(|call| call["action"] == "GetTenant").unwrap();
    assert_eq!((&gone["status"], &gone["broken"]), (&json!(0), &json!(1)));
}

#[test]
fn an_existing_root_is_served_at_once() {
    let root = Root::new();
    root.load("local.default.t", &root.parquet("a.parquet", &numbers(0, 1000)), &[]);
    drop(root.serve(&[]));
    let mut times: Vec<Duration> = (0..5)
        .map(|_| {
            let begin = Instant::now();
            let server = root.serve(&[]);
            let took = begin.elapsed();
            assert_eq!(server.raw("GET", "/_maxstorage/health", None, &[]).json()["status"], "ok");
            took
        })
        .collect();
    times.sort();
    println!("started in {:?} (median of 5; unoptimized builds are slower)", times[2]);
    assert!(times[2] < Duration::from_millis(300), "{times:?}");
}

#[test]
fn a_stop_lets_running_answers_end() {
    let root = Root::new();
    root.load("local.default.t", &root.parquet("a.parquet", &numbers(0, 50_000)), &[]);
    let stop = |grace: &str| {
        let mut server = root.serve(&["--no-auth", "--grace-ms", grace]);
        let session = server.session("t", "{}");
        let target = data("t", &format!("session_id={}&split_index=0", session["SessionId"].as_str().unwrap()));
        let whole = server.get(&target).body.len();
        // The answer takes a second longer than it would.
        let plan =
            json!([{"match": {"action": "TableRead"}, "effect": {"kind": "delay", "ms": 1000, "after_bytes": 5000}}]);
        server.admin("PUT", "faults", Some(&plan.to_string()));
        let mut reader = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
        write!(reader, "GET {target} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut received = vec![0; 64];
        reader.read_exact(&mut received).unwrap();
        server.signal("TERM");
        let _ = reader.read_to_end(&mut received);
        assert_eq!(server.wait(Duration::from_secs(10)), Some(0));
        (received, whole)
    };
    let (received, whole) = stop("5000");
    assert!(received.ends_with(b"0\r\n\r\n") && received.len() > whole, "the answer came to its end");
    let (received, whole) = stop("100");
    assert!(
        !received.ends_with(b"0\r\n\r\n") && received.len() < whole,
        "the answer is cut and does not look complete"
    );
}
