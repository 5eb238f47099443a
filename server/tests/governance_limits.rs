//! How much at once, how fast, and what it costs.

mod common;

use std::io::Read;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use common::governance::{allow, create, open, split};
use common::{Root, Server, data, numbers, sessions};
use rusqlite::{Connection, OpenFlags};

const ROWS: i64 = 60_000;
/// `id` has 8 bytes, `name` those of "name N", and every seventh name is NULL.
fn logical_bytes() -> u64 {
    (0..ROWS).map(|i| 8 + if i % 7 == 0 { 0 } else { format!("name {i}").len() as u64 }).sum()
}

fn start(args: &[&str]) -> (Root, Server) {
    let root = Root::new();
    let file = root.parquet("t.parquet", &numbers(0, ROWS));
    root.load("local.default.t", &file, &[]);
    let server = root.serve(args);
    (root, server)
}

#[test]
fn slots_are_held_while_bodies_run() {
    let (_root, server) = start(&["--profile", "cloud"]);
    // The body has about 1.2 MB: half a second at this rate.
    server.run("create quota group slots 1 rate 800000");
    allow(&server, "group");
    let target = split(&server, "group");
    let mut stream = open(&server, &target);
    for refused in [create(&server, "group"), server.get(&target)] {
        assert_eq!(refused.error(), (429, "SlotExceeded".into()));
        assert_eq!(refused.header("retry-after"), Some("1"));
        for part in ["group", "total: 1", "acquired: 2", "cn-local"] {
            assert!(refused.text().contains(part), "{}", refused.text());
        }
    }
    // Polling takes no slot, and other quotas have their own.
    let id = target.split("session_id=").nth(1).unwrap().split('&').next().unwrap();
    let poll = format!("{}&quotaName=group", sessions("t").replace("sessions?", &format!("sessions/{id}?")));
    assert_eq!(server.get(&poll).status, 200);
    assert_eq!(server.post(&sessions("t"), "{}").status, 201);
    stream.read_to_end(&mut Vec::new()).unwrap();
    // More slots count at once; a client that goes away frees its slot.
    assert_eq!(create(&server, "group").status, 201);
    let first = open(&server, &target);
    server.run("alter quota group slots 2");
    let _second = open(&server, &target);
    assert_eq!(create(&server, "group").status, 429);
    drop(first);
    let end = Instant::now() + Duration::from_secs(5);
    while create(&server, "group").status != 201 {
        assert!(Instant::now() < end, "the slot of a client that went away is still taken");
        std::thread::sleep(Duration::from_millis(20));
    }
    // The order of checks: a wrong column is told even though no slot is free.
    server.run("alter quota group slots 0");
    let target = format!("{}&quotaName=group", sessions("t"));
    let wrong = server.post(&target, "{\"RequiredDataColumns\":[\"nope\"]}");
    assert_eq!(wrong.error(), (400, "InvalidColumnSpec".into()));
}

#[test]
fn a_queue_waits_and_off_does_not_count() {
    let (root, server) = start(&["--profile", "cloud", "--over-slots", "queue"]);
    server.run("create quota group slots 1 rate 2000000");
    allow(&server, "group");
    let target = split(&server, "group");
    let mut first = open(&server, &target);
    std::thread::scope(|scope| {
        let second = scope.spawn(|| server.get(&target).batch().num_rows());
        let waiting = || {
            let status = server.admin("GET", "status", None);
            let quotas = status["quotas"].as_array().unwrap().clone();
            quotas.iter().find(|quota| quota["name"] == "group").unwrap()["waiting"].as_u64().unwrap()
        };
        let end = Instant::now() + Duration::from_secs(10);
        while waiting() != 1 {
            assert!(Instant::now() < end, "the second read does not wait for the slot of the first");
        }
        server.run("alter quota group rate 1000000000");
        first.read_to_end(&mut Vec::new()).unwrap();
        assert_eq!(second.join().unwrap(), ROWS as usize);
    });
    drop(server);
    let server = root.serve(&["--profile", "cloud", "--over-slots", "off"]);
    let _one = open(&server, &target);
    let _two = open(&server, &target);
    drop(server);
    // Without throttling there are no slots either.
    let server = root.serve(&["--profile", "strict"]);
    let _one = open(&server, &target);
    let _two = open(&server, &target);
}

#[test]
fn bodies_run_at_the_rate_of_their_quota() {
    let (root, server) = start(&["--profile", "cloud"]);
    assert!(server.run("list quotas").contains("pay-as-you-go metered slots=1000 rate=10485760 on"));
    server.run("set tenant property storage_api_switch=true; alter quota pay-as-you-go rate 800000");
    allow(&server, "pay-as-you-go");
    let timed = |server: &Server| {
        let target = split(server, "pay-as-you-go");
        let start = Instant::now();
        let answer = server.get(&target);
        assert_eq!(answer.batch().num_rows(), ROWS as usize);
        (answer.body.len() as f64, start.elapsed().as_secs_f64())
    };
    let (bytes, seconds) = timed(&server);
    // The first second's worth is free.
    let expected = (bytes - 8e5) / 8e5;
    assert!(expected > 0.3, "the table is too small for this test: {bytes} bytes");
    assert!((expected * 0.95..expected + 1.0).contains(&seconds), "{bytes} bytes took {seconds} s");
    drop(server);
    let server = root.serve(&["--profile", "strict"]);
    let (_, seconds) = timed(&server);
    assert!(seconds < expected * 0.95, "{seconds} s without throttling");
}

/// Rows, logical and wire bytes, requests of an operation on a quota.
fn usage(root: &Root, operation: &str, quota: &str) -> (u64, u64, u64, u64) {
    let path = root.path().join("catalog.sqlite");
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let sql = "select coalesce(sum(row_count), 0), coalesce(sum(logical_bytes), 0), coalesce(sum(wire_bytes), 0),
               coalesce(sum(requests), 0) from usage where operation = ?1 and quota = ?2 and project = 'local'";
    let number = |value: i64| value as u64;
    connection
        .query_row(sql, [operation, quota], |row| {
            Ok((number(row.get(0)?), number(row.get(1)?), number(row.get(2)?), number(row.get(3)?)))
        })
        .unwrap()
}

#[test]
fn usage_is_counted_by_logical_size_and_survives() {
    let (root, mut server) = start(&[]);
    let target = split(&server, "pay-as-you-go");
    let wire = server.get(&target).body.len() as u64;
    // A projection costs what it delivers.
    let answer = server.post(&format!("{}&quotaName=x", sessions("t")), "{\"RequiredDataColumns\":[\"id\"]}");
    let id = answer.json()["SessionId"].as_str().unwrap().to_string();
    // The quota of the session counts for a request that names none.
    server.get(&data("t", &format!("session_id={id}&split_index=0"))).batch();
    server.signal("TERM");
    assert_eq!(server.wait(Duration::from_secs(10)), Some(0));
    assert_eq!(usage(&root, "ReadRows", "pay-as-you-go"), (ROWS as u64, logical_bytes(), wire, 1));
    let (rows, logical, _, requests) = usage(&root, "ReadRows", "x");
    assert_eq!((rows, logical, requests), (ROWS as u64, ROWS as u64 * 8, 1));
    assert_eq!(usage(&root, "CreateReadSession", "pay-as-you-go").3, 1);
    drop(server);
    let text = |args: &[&str]| String::from_utf8(root.run("usage", args).stdout).unwrap();
    let bill = text(&["--free-bytes", "1000"]);
    assert!(bill.contains(&format!("0 free bytes left, {} charged", logical_bytes() - 1000)), "{bill}");
    let last = text(&["--requests", "2", "--json"]);
    let last: Vec<serde_json::Value> = last.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(last.len(), 2);
    assert_eq!((&last[0]["operation"], &last[0]["quota"]), (&"ReadRows".into(), &"x".into()));

    // Killed, the server has lost no more than the last second.
    let mut server = root.serve(&[]);
    server.get(&target).batch();
    let end = Instant::now() + Duration::from_secs(10);
    while usage(&root, "ReadRows", "pay-as-you-go").3 < 2 {
        assert!(Instant::now() < end, "usage is not stored while the server runs");
        std::thread::sleep(Duration::from_millis(50));
    }
    server.child.kill().unwrap();
    server.wait(Duration::from_secs(5));
    assert_eq!(usage(&root, "ReadRows", "pay-as-you-go"), (2 * ROWS as u64, 2 * logical_bytes(), 2 * wire, 2));
}

/// A table with a body of about 32 MB, more than the system holds for a client that does not read.
fn start_wide(args: &[&str]) -> (Root, Server) {
    let root = Root::new();
    let wide = |row: usize| format!("{row:>5}").repeat(3200);
    let names: ArrayRef = Arc::new(StringArray::from_iter_values((0..2000).map(wide)));
    let file = root.parquet("wide.parquet", &RecordBatch::try_from_iter([("name", names)]).unwrap());
    root.load("local.default.t", &file, &["--block-rows", "200"]);
    let server = root.serve(args);
    (root, server)
}

/// Whether a body came to its end, or broke off.
fn is_complete(mut stream: TcpStream) -> bool {
    let (mut buffer, mut tail) = (vec![0; 1 << 20], Vec::new());
    loop {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return tail.ends_with(b"\r\n0\r\n\r\n"),
            Ok(count) => {
                tail.extend_from_slice(&buffer[..count]);
                tail.drain(..tail.len().saturating_sub(16));
            }
        }
    }
}

#[test]
fn a_reader_that_stops_loses_its_slot_and_a_slow_one_does_not() {
    let (_root, server) = start_wide(&["--profile", "cloud", "--reader-idle-s", "2"]);
    server.run("create quota group slots 2");
    allow(&server, "group");
    let target = split(&server, "group");
    let stalled = open(&server, &target);
    let mut slow = open(&server, &target);
    assert_eq!(create(&server, "group").error(), (429, "SlotExceeded".into()));
    let start = Instant::now();
    let slow = std::thread::spawn(move || {
        let mut buffer = vec![0; 256 << 10];
        // Longer than the limit without ever standing still.
        while start.elapsed() < Duration::from_secs(5) {
            slow.read_exact(&mut buffer).unwrap();
            std::thread::sleep(Duration::from_millis(100));
        }
        is_complete(slow)
    });
    while create(&server, "group").status != 201 {
        assert!(start.elapsed() < Duration::from_secs(30), "the slot of a reader that stopped is still taken");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(start.elapsed() > Duration::from_millis(1500), "cut after {:?}", start.elapsed());
    assert!(!is_complete(stalled), "an answer that was cut looks complete");
    assert!(slow.join().unwrap(), "a slow reader was cut");
}

#[test]
fn without_a_limit_a_reader_that_stops_keeps_its_slot() {
    let (_root, server) = start_wide(&["--profile", "cloud", "--reader-idle-s", "0"]);
    server.run("create quota group slots 1");
    allow(&server, "group");
    let stalled = open(&server, &split(&server, "group"));
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(create(&server, "group").status, 429);
    assert!(is_complete(stalled));
}
