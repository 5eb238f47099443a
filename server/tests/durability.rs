//! Writers commit while the server is killed (SIGKILL) at random moments, again and again. After each restart every
//! acknowledged commit is there exactly once, every commit in doubt wholly or not at all, nothing else, and no file that
//! nothing names.
//!
//! 200 kills by default, in about half a minute; `MS_DURABILITY_ROUNDS` takes another number and
//! `MS_DURABILITY_SEED` another seed: `cargo test -p maxstorage-server --test durability -- --nocapture` prints the figures.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use common::upload::stream;
use common::{Root, Server, base, numbers};
use serde_json::{Value, json};

const WRITERS: usize = 3;
const ROUNDS: u64 = 200;

/// The tables: plain, hash-clustered, range-clustered, partitioned with a partition per writer that is overwritten.
const TABLES: [&str; 4] = ["plain", "hashed", "ranged", "parted"];

/// A commit that was sent, until its end is known.
#[derive(Clone, Debug)]
struct Commit {
    session: String,
    table: &'static str,
    messages: Vec<String>,
    ids: Vec<i64>,
}

/// What one writer knows.
#[derive(Default)]
struct Writer {
    random: u64,
    /// Rows that must be there, by table. In `parted` only those of the last commit.
    expected: BTreeMap<&'static str, BTreeSet<i64>>,
    /// Was sent and not answered.
    in_doubt: Option<Commit>,
    commits: u64,
    resolved: u64,
}

impl Writer {
    fn next(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) % below
    }

    /// Writes and commits until the server goes away.
    fn work(&mut self, server: &Server, number: usize, ids: &AtomicI64) {
        while self.step(server, number, ids).is_some() {}
    }

    fn step(&mut self, server: &Server, number: usize, ids: &AtomicI64) -> Option<()> {
        let table = TABLES[self.next(4) as usize];
        let request = match table {
            "parted" => json!({"PartitionSpec": format!("w={number}"), "Overwrite": true}),
            _ => json!({"EnhanceWriteCheck": self.next(2) == 0}),
        };
        let target = format!("{}/sessions?session_type=batch_write", base(table));
        let session = call(server, &target, request)?;
        let session = session["SessionId"].as_str().unwrap().to_string();
        let mut commit = Commit { session, table, messages: Vec::new(), ids: Vec::new() };
        for block in 0..1 + self.next(3) {
            let count = 1 + self.next(40) as i64;
            let first = ids.fetch_add(count, Ordering::Relaxed);
            let rows = stream(&[numbers(first, count)], None);
            let query = format!("block_number={block}&attempt_number=0");
            let target = format!("{}/sessions/{}/data?{query}", base(table), commit.session);
            let answer = server.try_call("POST", &target, Some(&rows))?;
            assert_eq!(answer.status, 200, "{}", answer.text());
            // Some blocks are written and never committed.
            if self.next(5) > 0 {
                commit.messages.push(answer.json()["CommitMessage"].as_str().unwrap().to_string());
                commit.ids.extend(first..first + count);
            }
        }
        self.in_doubt = Some(commit);
        self.settle(server)
    }

    /// Sends the commit in doubt, again if need be, until it is COMMITTED.
    fn settle(&mut self, server: &Server) -> Option<()> {
        let Some(commit) = self.in_doubt.clone() else { return Some(()) };
        let target = format!("{}/commit?session_id={}", base(commit.table), commit.session);
        let mut state = call(server, &target, json!({"CommitMessages": commit.messages}))?;
        let end = Instant::now() + Duration::from_secs(30);
        while state["SessionStatus"] != "COMMITTED" {
            assert_eq!(state["SessionStatus"], "COMMITTING", "{state}");
            assert!(Instant::now() < end);
            std::thread::sleep(Duration::from_millis(5));
            let target = format!("{}/sessions/{}?session_type=batch_write", base(commit.table), commit.session);
            state = server.try_call("GET", &target, None)?.json();
        }
        let expected = self.expected.entry(commit.table).or_default();
        if commit.table == "parted" {
            expected.clear();
        }
        expected.extend(commit.ids);
        self.commits += 1;
        self.in_doubt = None;
        Some(())
    }
}

/// A POST of JSON that must succeed, if the server lives to answer it.
fn call(server: &Server, target: &str, body: Value) -> Option<Value> {
    let answer = server.try_call("POST", target, Some(body.to_string().as_bytes()))?;
    assert!((200..300).contains(&answer.status), "{}", answer.text());
    Some(answer.json())
}

fn rounds() -> u64 {
    std::env::var("MS_DURABILITY_ROUNDS").map_or(ROUNDS, |text| text.parse().unwrap())
}

fn prepare() -> Root {
    let root = Root::new();
    let empty = root.parquet("empty.parquet", &numbers(0, 0));
    for table in &TABLES[..3] {
        root.load(&format!("local.default.{table}"), &empty, &[]);
    }
    root.load("local.default.parted", &empty, &["--partition", "w=none"]);
    let catalogue = rusqlite::Connection::open(root.path().join("catalog.sqlite")).unwrap();
    for (table, kind) in [("hashed", "hash"), ("ranged", "range")] {
        let clustering = json!({
            "kind": kind, "columns": ["id"], "sort": [{"column": "id", "ascending": true}], "buckets": 4
        });
        let properties = json!({"clustering": clustering}).to_string();
        catalogue.execute("update tables set properties = ?1 where name = ?2", [&properties, table]).unwrap();
    }
    root
}

/// Every file is named by a commit or an open session, and every named file is there; soon, because a commit that was
/// promised before the kill may be under way.
fn check_files(root: &Root) {
    let catalogue = rusqlite::Connection::open(root.path().join("catalog.sqlite")).unwrap();
    let mut statement = catalogue.prepare("select id from files union all select id from staged_files").unwrap();
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        let ids = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
        let named: BTreeSet<String> = ids.map(|id| format!("{}.parquet", id.unwrap())).collect();
        let name = |path: &std::path::PathBuf| path.file_name().unwrap().to_str().unwrap().to_string();
        let found: BTreeSet<String> = root.data_files().iter().map(name).collect();
        let difference: Vec<&String> = found.symmetric_difference(&named).collect();
        if difference.is_empty() {
            return;
        }
        assert!(Instant::now() < end, "files without a name, or names without a file: {difference:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn check_rows(server: &Server, writers: &[Writer]) -> usize {
    let mut total = 0;
    for table in TABLES {
        let mut found: Vec<i64> = Vec::new();
        for batch in server.read(table, r#"{"RequiredDataColumns":["id"]}"#) {
            found.extend(batch.column(0).as_primitive::<Int64Type>().values());
        }
        found.sort_unstable();
        let mut expected: Vec<i64> =
            writers.iter().filter_map(|writer| writer.expected.get(table)).flatten().copied().collect();
        expected.sort_unstable();
        assert!(found == expected, "{table}: {} rows are there, {} were acknowledged", found.len(), expected.len());
        total += found.len();
    }
    total
}

#[test]
fn acknowledged_commits_survive_being_killed_at_any_moment() {
    let seed: u64 = std::env::var("MS_DURABILITY_SEED").map_or(7, |text| text.parse().unwrap());
    let root = prepare();
    let ids = AtomicI64::new(0);
    let start = Instant::now();
    let mut moments = Writer { random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, ..Writer::default() };
    let mut writers: Vec<Writer> = (0..WRITERS)
        .map(|number| Writer { random: moments.random.wrapping_add(number as u64 * 7919) | 1, ..Writer::default() })
        .collect();
    let rounds = rounds();
    let mut rows = 0;
    for round in 0..=rounds {
        // In every third round a commit is a promise that is kept later.
        let args: &[&str] = if round % 3 == 2 { &["--commit-delay-ms", "25"] } else { &[] };
        let mut server = root.serve(args);
        check_files(&root);
        for writer in &mut writers {
            writer.resolved += u64::from(writer.in_doubt.is_some());
            writer.settle(&server).expect("the server is not killed here");
        }
        if round % 5 == 0 || round == rounds {
            rows = check_rows(&server, &writers);
        }
        if round == rounds {
            break;
        }
        let life = Duration::from_millis(5 + moments.next(120));
        std::thread::scope(|scope| {
            let server = &server;
            for (number, writer) in writers.iter_mut().enumerate() {
                let ids = &ids;
                scope.spawn(move || writer.work(server, number, ids));
            }
            std::thread::sleep(life);
            server.signal("KILL");
        });
        server.child.wait().unwrap();
    }
    let sum = |count: fn(&Writer) -> u64| writers.iter().map(count).sum::<u64>();
    println!(
        "durability: {rounds} kills, {} commits, {} of them in doubt when the server died, {rows} rows at the end, \
         nothing lost or doubled, seed {seed}, {:.1} s",
        sum(|writer| writer.commits),
        sum(|writer| writer.resolved),
        start.elapsed().as_secs_f64()
    );
    assert!(sum(|writer| writer.commits) > rounds && sum(|writer| writer.resolved) > 0, "the test tests something");
}
