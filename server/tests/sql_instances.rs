//! Statements as instances: definitions, rows, results, failures, over HTTP.

mod common;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use common::{Answer, Root, Server, numbers};

/// Submits a statement and returns the id of its instance.
fn submit(server: &Server, statement: &str, settings: &str) -> String {
    let escaped = statement.replace('&', "&amp;").replace('<', "&lt;");
    let body = format!(
        "<Instance><Job><Priority>9</Priority><Tasks><SQL><Name>T</Name><Config><Property><Name>settings</Name>\
         <Value>{settings}</Value></Property></Config><Query>{escaped}</Query></SQL></Tasks></Job></Instance>"
    );
    let answer = server.post("/api/projects/local/instances", &body);
    assert_eq!((answer.status, answer.body.len()), (201, 0), "{}", answer.text());
    let location = answer.header("location").unwrap().to_string();
    location.rsplit('/').next().unwrap().to_string()
}

fn ask(server: &Server, id: &str, query: &str) -> Answer {
    server.get(&format!("/api/projects/local/instances/{id}{query}"))
}

/// The text between the first `<name ..>` and `</name>`, with entities resolved.
fn text(answer: &Answer, name: &str) -> String {
    let body = answer.text();
    let Some(start) = body.find(&format!("<{name}")) else { return String::new() };
    let start = start + body[start..].find('>').unwrap() + 1;
    let end = body[start..].find(&format!("</{name}>")).map_or(start, |end| start + end);
    body[start..end].replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
}

/// Runs a statement to its end: the status of its task and the text of its result.
fn run(server: &Server, statement: &str) -> (String, String) {
    let id = submit(server, statement, "{}");
    let end = Instant::now() + Duration::from_secs(20);
    while text(&ask(server, &id, "?instancestatus"), "Status") != "Terminated" {
        assert!(Instant::now() < end, "{statement} does not end");
    }
    let result = ask(server, &id, "?result");
    (text(&result, "Status"), text(&result, "Result"))
}

fn ok(server: &Server, statement: &str) -> String {
    let (status, result) = run(server, statement);
    assert_eq!(status, "Success", "{statement}: {result}");
    result
}

fn failure(server: &Server, statement: &str) -> String {
    let (status, result) = run(server, statement);
    assert_eq!(status, "Failed", "{statement}: {result}");
    result
}

#[test]
fn tables_are_made_filled_and_read() {
    let root = Root::new();
    let server = root.serve(&[]);
    ok(
        &server,
        "create table if not exists t (id bigint not null comment 'the key', name string, d decimal(10,2), tags array<string>)
         comment 'a table' partitioned by (ds string, hh bigint) lifecycle 7;",
    );
    ok(
        &server,
        "insert into t partition (ds='a', hh=1) values (1, 'it\\'s', 1.5, array('x', null)), (2, null, null, null);",
    );
    ok(&server, "insert into t partition (ds, hh) select id + 10, name, d, tags, 'b', 2 from t where id = 1;");
    assert_eq!(
        ok(&server, "select id, name, d, tags, ds, hh from t order by id desc limit 2"),
        "\"id\",\"name\",\"d\",\"tags\",\"ds\",\"hh\"\n11,\"it's\",1.50,\"[\"\"x\"\",null]\",\"b\",2\n2,\\N,\\N,\\N,\"a\",1\n"
    );
    assert_eq!(ok(&server, "select count(*) as n from t where ds = 'a' and name is not null"), "\"n\"\n1\n");
    assert_eq!(ok(&server, "show partitions t"), "ds=a/hh=1\nds=b/hh=2\n");
    assert_eq!(ok(&server, "select id / 2 h, 'x' from t where id = 1"), "\"h\",\"_c1\"\n0.5,\"x\"\n");
    ok(&server, "insert overwrite table t partition (ds='a', hh=1) values (5, 'five', 0, null)");
    ok(&server, "alter table t drop partition (ds='b', hh=2)");
    ok(&server, "alter table t add if not exists partition (ds='a', hh=1) partition (ds='c', hh=3)");
    assert_eq!(ok(&server, "select id from t"), "\"id\"\n5\n");
    assert_eq!(ok(&server, "show partitions t"), "ds=a/hh=1\nds=c/hh=3\n");
    ok(&server, "truncate table t partition (ds='a', hh=1)");
    assert_eq!(ok(&server, "select count(*) from t"), "\"_c0\"\n0\n");
    ok(&server, "drop table t");
    assert!(failure(&server, "select * from t").starts_with("ODPS-0130131:[1,15] Table not found - table local.t "));
}

#[test]
fn a_table_made_by_a_statement_is_read_through_the_storage_api() {
    let root = Root::new();
    let server = root.serve(&[]);
    ok(&server, "create table made as select 1 as a, 'x' as b");
    ok(&server, "alter table made add columns (c bigint)");
    ok(&server, "insert into made values (2, 'y', 3)");
    let rows: Vec<String> = server.read("made", "{}").iter().map(|batch| format!("{:?}", batch.columns())).collect();
    assert_eq!(server.count("made", "{}"), 2);
    assert!(rows.concat().contains("null"), "the old row has no value in the new column: {rows:?}");
    assert_eq!(ok(&server, "select a, c from made where c is null"), "\"a\",\"c\"\n1,\\N\n");
}

#[test]
fn a_query_that_fails_leaves_what_it_would_have_replaced() {
    let root = Root::new();
    let server = root.serve(&[]);
    ok(&server, "create table t (a bigint, v string) partitioned by (ds string)");
    ok(&server, "insert into t partition (ds='x') values (1, 'old'), (2, 'old')");
    let rows = "\"a\",\"v\",\"ds\"\n1,\"old\",\"x\"\n2,\"old\",\"x\"\n";
    for statement in [
        // The second row is out of the range of BIGINT, known only when it is read.
        "create or replace table t as select a + 9223372036854775806 as a from t",
        "create or replace table t partitioned on (ds) as select a + 9223372036854775806 as a, ds from t",
        "create or replace table t (primary key (a)) as select a from t",
        "create or replace table t as select nothing from t",
    ] {
        let files = || root.data_files().into_iter().collect::<BTreeSet<_>>();
        let before = files();
        failure(&server, statement);
        assert_eq!(files(), before, "{statement}");
        assert_eq!(ok(&server, "select * from t order by a"), rows, "{statement}");
        assert_eq!(ok(&server, "show partitions t"), "ds=x\n");
    }
    failure(&server, "create table u as select a + 9223372036854775806 as a from t");
    assert!(failure(&server, "select * from u").contains("Table not found"));
    // A query may read what it replaces.
    ok(&server, "create or replace table t as select a + 1 as a, v from t");
    assert_eq!(ok(&server, "select * from t order by a"), "\"a\",\"v\"\n2,\"old\"\n3,\"old\"\n");
    ok(&server, "create or replace table t range clustered by (a) into 2 buckets as select a, v from t");
    assert_eq!(server.count("t", "{\"SplitOptions\":{\"SplitMode\":\"Bucket\"}}"), 2);
    ok(&server, "create or replace table t (z string)");
    assert_eq!(ok(&server, "select * from t"), "\"z\"\n");
}

#[test]
fn a_view_that_cannot_be_built_again_keeps_its_rows() {
    let root = Root::new();
    let server = root.serve(&[]);
    ok(&server, "create table t (a bigint, k string)");
    ok(&server, "insert into t values (1, 'x'), (1, 'y')");
    ok(
        &server,
        "create materialized view mv partitioned on (k) as select a + 9223372036854775806 as n, k from t where a > 0",
    );
    let rows = "\"n\",\"k\"\n9223372036854775807,\"x\"\n9223372036854775807,\"y\"\n";
    assert_eq!(ok(&server, "select * from mv order by k"), rows);
    ok(&server, "insert into t values (2, 'x')");
    failure(&server, "alter materialized view mv rebuild");
    assert_eq!(ok(&server, "select * from mv order by k"), rows);
    ok(&server, "truncate table t");
    ok(&server, "insert into t values (1, 'z')");
    ok(&server, "alter materialized view mv rebuild");
    assert_eq!(ok(&server, "select * from mv"), "\"n\",\"k\"\n9223372036854775807,\"z\"\n");
}

#[test]
fn a_server_that_is_killed_while_it_replaces_a_table_has_the_old_one() {
    let root = Root::new();
    root.load("local.default.src", &root.parquet("src.parquet", &numbers(0, 400_000)), &[]);
    let mut server = root.serve(&[]);
    ok(&server, "create table t as select 7 as a");
    ok(
        &server,
        "create materialized view mv partitioned on (k) as select id, cast(id % 3 as string) k from src where id < 9",
    );
    let before = ok(&server, "select * from mv order by id");
    // Row by row, which takes seconds.
    let slow: Vec<String> = (0..60).map(|i| format!("id * 3 + {i} as c{i}")).collect();
    let slow = slow.join(", ");
    ok(&server, &format!("create or replace materialized view late build deferred as select {slow} from src"));
    let statements =
        [format!("create or replace table t as select {slow} from src"), "alter materialized view late rebuild".into()];
    for statement in statements {
        let id = submit(&server, &statement, "{}");
        assert_eq!(text(&ask(&server, &id, "?taskstatus"), "Status"), "Running", "too fast to be killed");
        server.signal("KILL");
        server.child.wait().unwrap();
        server = root.serve(&[]);
        assert_eq!(ok(&server, "select * from t"), "\"a\"\n7\n");
        assert_eq!(ok(&server, "select count(*) from late"), "\"_c0\"\n0\n");
        assert_eq!(ok(&server, "select * from mv order by id"), before);
    }
}

#[test]
fn statements_and_results_have_limits() {
    let root = Root::new();
    let server = root.serve(&[]);
    let body = |query: &str| {
        format!("<Instance><Job><Tasks><SQL><Name>T</Name><Query>{query}</Query></SQL></Tasks></Job></Instance>")
    };
    let long = body(&format!("select 1 -- {}", "x".repeat(2 << 20)));
    let refused = server.post("/api/projects/local/instances", &long);
    assert_eq!(refused.status, 400, "{}", refused.text());
    assert!(refused.text().contains("at most 2097152 are allowed"), "{}", refused.text());
    let select = |items: usize| format!("select {}1", "1,".repeat(items - 1));
    let wide = ok(&server, &format!("create table w as {}", select(1200)));
    assert_eq!(wide, "");
    assert!(failure(&server, &select(10_001)).contains("more than 10000 columns"));
    // Also where a star stands for many.
    let stars = format!("select {}* from w", "*,".repeat(8));
    assert!(failure(&server, &stars).contains("more than 10000 columns"));
    // Names have 128 bytes, those of columns in any script.
    for name in ["n".repeat(128), "名".repeat(42)] {
        ok(&server, &format!("create or replace table c as select 1 as {name}"));
    }
    for name in ["n".repeat(129), "名".repeat(43)] {
        for statement in
            [format!("create table d ({name} bigint)"), format!("alter table c add columns ({name} bigint)")]
        {
            assert!(failure(&server, &statement).contains("at most 128 bytes"), "{statement}");
        }
    }
    let ordered = |keys: usize| format!("select 1 as a order by {}a", "a,".repeat(keys - 1));
    ok(&server, &ordered(1000));
    assert!(failure(&server, &ordered(1001)).contains("ORDER BY has more than 1000 keys"));
    // A megabyte of words ends at once; it took a minute.
    let start = Instant::now();
    failure(&server, &format!("grant {}", "ab c-d ".repeat(150_000)));
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
}

#[test]
fn clustered_delta_and_derived_tables() {
    let root = Root::new();
    let server = root.serve(&[]);
    ok(&server, "create table h (k bigint, v string) clustered by (k) sorted by (k desc) into 4 buckets");
    ok(&server, "insert into h values (1, 'a'), (2, 'b'), (3, 'c')");
    assert_eq!(server.count("h", "{\"SplitOptions\":{\"SplitMode\":\"Bucket\"}}"), 3);
    ok(
        &server,
        "create table pk (id bigint not null, v string, primary key (id)) tblproperties ('transactional'='true', 'write.bucket.num'='2')",
    );
    ok(&server, "insert into pk values (1, 'a'), (2, 'b'), (1, 'c')");
    ok(&server, "update pk set v = 'z' where id = 2");
    let twice = failure(&server, "update pk set v = 'z', V = 'y' where id = 2");
    assert!(twice.starts_with("ODPS-0130071:[1,28]") && twice.contains("column V is set twice"), "{twice}");
    ok(&server, "delete from pk where id = 1");
    assert_eq!(ok(&server, "select id, v from pk"), "\"id\",\"v\"\n2,\"z\"\n");
    ok(&server, "create materialized view mv (key, value) partitioned on (value) as select k, v from h where k > 1");
    assert_eq!(ok(&server, "select key, value from mv order by key"), "\"key\",\"value\"\n2,\"b\"\n3,\"c\"\n");
    ok(&server, "insert into h values (4, 'd')");
    ok(&server, "alter materialized view mv rebuild");
    assert_eq!(ok(&server, "select count(*) from mv"), "\"_c0\"\n3\n");
    ok(&server, "create view v as select a, b from x join y on x.i = y.i group by a");
    ok(&server, "create external table e (a int) stored by 'h' location 'oss://b/'");
    for table in ["v", "e"] {
        assert!(failure(&server, &format!("select * from {table}")).contains("whose rows this server does not have"));
        assert_eq!(server.post(&common::sessions(table), "{}").error(), (405, "MethodNotAllowed".into()));
    }
    assert!(failure(&server, "update h set v = 'x' where k = 1").contains("has no primary key"));
    assert!(failure(&server, "drop view h").contains("MANAGED_TABLE"));
    ok(&server, "drop view v");
}

#[test]
fn earlier_versions_of_a_transactional_table() {
    let root = Root::new();
    let server = root.serve(&[]);
    ok(
        &server,
        "create table t (id bigint not null, v string, primary key (id)) tblproperties ('transactional'='true')",
    );
    ok(&server, "insert into t values (1, 'a'), (2, 'b')");
    ok(&server, "delete from t where id = 1");
    let count = |as_of: &str| ok(&server, &format!("select count(*) as n from t {as_of}"));
    assert_eq!(
        ["1", "2", "3"].map(|v| count(&format!("version as of {v}")).replace("\"n\"", "")),
        ["\n0\n", "\n2\n", "\n1\n"]
    );
    assert_eq!(count("timestamp as of datetime'2999-01-01 00:00:00' x where id = 2"), count(""));
    for (refused, why) in [
        ("select * from t version as of 4", "has the versions 1 to 3"),
        ("select * from t timestamp as of datetime'2000-01-01 00:00:00'", "has the versions 1 to 3, not 0"),
        ("select * from t timestamp as of true", "needs a point in time"),
    ] {
        let message = failure(&server, refused);
        assert!(message.contains(why), "{message}");
    }
    ok(&server, "create table plain (id bigint)");
    assert!(failure(&server, "select * from plain version as of 1").contains("is not transactional"));
}

#[test]
fn concurrent_updates_are_not_lost() {
    let root = Root::new();
    let server = root.serve(&[]);
    ok(&server, "create table u (id bigint not null, a bigint, b bigint, primary key (id))");
    let rows: Vec<String> = (0..1000).map(|id| format!("({id},0,0)")).collect();
    ok(&server, &format!("insert into u values {}", rows.join(",")));
    for round in 1..5 {
        std::thread::scope(|scope| {
            for column in ["a", "b"] {
                let server = &server;
                scope.spawn(move || ok(server, &format!("update u set {column} = {round} where id >= 0")));
            }
        });
        let both = format!("select count(*) from u where a = {round} and b = {round}");
        assert!(ok(&server, &both).contains("1000"), "round {round}");
    }
}

#[test]
fn failures_say_what_and_where() {
    let root = Root::new();
    let server = root.serve(&[]);
    ok(&server, "create table t (id bigint, name string)");
    for (statement, expected) in [
        ("selekt 1", "ODPS-0130161:[1,1] Parse exception - invalid token 'selekt'"),
        ("select id\nfrom t group by id", "ODPS-0130161:[2,8] Parse exception - GROUP in a SELECT is not supported"),
        (
            "select a.id from t a join t b on a.id = b.id",
            "ODPS-0130161:[1,22] Parse exception - a join is not supported",
        ),
        ("select 'x from t", "ODPS-0130161:[1,8]"),
        ("select nope from t", "ODPS-0130071:[1,8] Semantic analysis exception - column nope cannot be resolved"),
        ("select f(id) from t", "ODPS-0130071:[1,8] Semantic analysis exception - function f cannot be resolved"),
        ("select id from t where name like 'x'", "ODPS-0130071:[1,24]"),
        ("create table t (a int)", "already exists"),
        ("create table u (a int, A int)", "is named twice"),
        ("create table u (a nonsense)", "ODPS-0130161:[1,19]"),
        ("create table u (a int) partitioned by (p double)", "cannot be of type double"),
        ("create table u (a int) clustered by (b) into 4 buckets", "cluster column b is no column"),
        ("create table u (a bigint, primary key (a))", "must be NOT NULL"),
        ("insert into t values (1)", "takes 2 columns, but 1 are given"),
        ("insert into t values ('x', 'y')", "cannot be converted to bigint"),
        ("insert into t values (99999999999999999999, 'y')", "outside the range of bigint"),
        ("alter table t add partition (ds='x')", "no partition column"),
        ("alter table nothing.t rename to u", "ODPS-0420111"),
        ("drop table u", "ODPS-0130131"),
        ("merge into t using u on a = b", "that begins with MERGE is not supported"),
        ("select 1; select 2", "a second statement"),
    ] {
        let found = failure(&server, statement);
        assert!(found.contains(expected), "{statement}: {found}");
    }
    ok(&server, "drop table if exists u");
    assert_eq!(ok(&server, "set a.b=c;\nset x=y;\nselect 1 as one;"), "\"one\"\n1\n");
}

#[test]
fn instances_are_described_and_listed() {
    let root = Root::new();
    let server = root.serve(&[]);
    let id = submit(&server, "select 1 as a where b <> 2", "{}");
    assert!(id.len() == 26 && id.as_bytes()[17] == b'g', "{id}");
    let status = ask(&server, &id, "?instancestatus");
    assert_eq!(text(&status, "Status"), "Terminated");
    for header in ["x-odps-owner", "x-odps-start-time", "x-odps-end-time"] {
        assert!(status.header(header).is_some_and(|value| !value.is_empty()), "{header}");
    }
    let tasks = ask(&server, &id, "?taskstatus");
    assert!(tasks.text().contains("<Name>T</Name><Status>Failed</Status>"), "{}", tasks.text());
    assert_eq!(text(&ask(&server, &id, "?source"), "Query"), "select 1 as a where b <> 2");
    assert_eq!(ask(&server, &id, "?cached").status, 404);
    assert_eq!(ask(&server, "20200101000000000gnothing1", "").status, 404);
    let stop = "<Instance><Status>Terminated</Status></Instance>";
    let answer = server.send("PUT", &format!("/api/projects/local/instances/{id}"), Some(stop), &[]);
    assert_eq!(answer.status, 409, "it has terminated already");
    let more: Vec<String> = (0..3).map(|_| submit(&server, "select 2", "{}")).collect();
    let first = server.get("/api/projects/local/instances?expectmarker=true&maxitems=2");
    assert_eq!(first.text().matches("<Instance>").count(), 2);
    let marker = text(&first, "Marker");
    let second = server.get(&format!("/api/projects/local/instances?expectmarker=true&maxitems=2&marker={marker}"));
    assert_eq!(text(&second, "Marker"), "");
    let both = first.text() + &second.text();
    assert!(more.iter().chain([&id]).all(|id| both.contains(&format!("<Name>{id}</Name>"))));
    assert_eq!(server.post("/api/projects/local/instances", "<Instance>").status, 400);
    assert_eq!(server.post("/api/projects/nope/instances", "<Instance/>").status, 400);
}

#[test]
fn schemas_follow_the_settings_of_the_job() {
    let root = Root::new();
    let server = root.serve(&[]);
    ok(&server, "create schema if not exists s1");
    let settings = "{\"odps.namespace.schema\": \"true\", \"odps.default.schema\": \"s1\"}";
    let run = |statement: &str| {
        let id = submit(&server, statement, settings);
        ask(&server, &id, "?instancestatus");
        text(&ask(&server, &id, "?result"), "Result")
    };
    assert_eq!(run("create table x (a int)"), "");
    assert_eq!(run("show tables"), "ALIYUN$local@localhost:x\n");
    assert_eq!(run("select count(*) from local.s1.`x`"), "\"_c0\"\n0\n");
    assert_eq!(run("select count(*) from s1.x"), "\"_c0\"\n0\n");
    assert!(failure(&server, "drop schema s1").contains("is not empty"));
    assert_eq!(run("drop table s1.x"), "");
    ok(&server, "drop schema s1");
    assert_eq!(ok(&server, "show schemas"), "default\n");
}

#[test]
fn sessions_outlive_their_table_and_its_partitions() {
    let root = Root::new();
    let mut server = root.serve(&["--garbage-interval-ms", "20"]);
    for statement in [
        "create table t (id bigint)",
        "insert into t values (1), (2)",
        "create table p (id bigint) partitioned by (ds string)",
        "insert into p partition (ds = 'a') values (3)",
        "insert into p partition (ds = 'b') values (4)",
    ] {
        ok(&server, statement);
    }
    let opened = ["t", "p"].map(|table| {
        let id = server.session(table, "{}")["SessionId"].as_str().unwrap().to_string();
        let rows = server.split(table, &id, 0);
        (table, id, rows)
    });
    for statement in [
        "drop table t",
        "create table t (other string)",
        "insert into t values ('x')",
        "alter table p drop partition (ds = 'a')",
        "truncate table p partition (ds = 'b')",
    ] {
        ok(&server, statement);
    }
    for (table, id, rows) in &opened {
        assert_eq!(&server.split(table, id, 0), rows, "{table}");
    }
    server.signal("KILL");
    server.wait(Duration::from_secs(10));
    let server = root.serve(&["--garbage-interval-ms", "20"]);
    std::thread::sleep(Duration::from_millis(200));
    for (table, id, rows) in &opened {
        assert_eq!(&server.split(table, id, 0), rows, "{table} after the restart");
    }
}

#[test]
fn results_outlive_the_server_and_their_table() {
    let root = Root::new();
    let file = root.parquet("t.parquet", &numbers(0, 100));
    root.load("local.default.t", &file, &[]);
    let mut server = root.serve(&[]);
    let id = submit(&server, "select id from t where id >= 97", "{}");
    ok(&server, "drop table t");
    let expected = "\"id\"\n97\n98\n99\n";
    assert_eq!(text(&ask(&server, &id, "?result"), "Result"), expected);
    server.signal("TERM");
    server.wait(Duration::from_secs(10));
    let server = root.serve(&[]);
    assert_eq!(text(&ask(&server, &id, "?result"), "Result"), expected);
    assert!(!server.get("/api/projects").text().contains('#'), "results are no project");
    assert_eq!(server.get("/api/projects/%23instances/tables").status, 404);
}
