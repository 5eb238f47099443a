//! The commands for people who run the server, as processes: what they print and how they end.

mod common;

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use common::{BINARY, Root, Server, numbers, sessions};
use serde_json::{Value, json};

fn run(args: &[&str]) -> Output {
    Command::new(BINARY).args(args).output().unwrap()
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn filled() -> Root {
    let root = Root::new();
    root.load("local.default.t", &root.parquet("a.parquet", &numbers(0, 100)), &[]);
    let part = root.parquet("b.parquet", &numbers(0, 7));
    root.load("local.default.p", &part, &["--partition", "ds=1"]);
    root.load("local.default.p", &part, &["--partition", "ds=2"]);
    root
}

#[test]
fn tables_lists_what_is_there() {
    let root = filled();
    let text = stdout(&root.run("tables", &[]));
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["table", "kind", "rows", "bytes", "files", "partitions", "version", "modified"]);
    assert_eq!((lines[1][0], lines[1][2], lines[1][5]), ("local.default.p", "14", "2"));
    assert_eq!((lines[2][0], lines[2][1], lines[2][2]), ("local.default.t", "MANAGED_TABLE", "100"));
    let found = json_lines(&stdout(&root.run("tables", &["--json", "--project", "LOCAL"])));
    assert_eq!((found.len(), &found[1]["rows"], &found[1]["files"]), (2, &json!(100), &json!(1)));
    assert!(stdout(&root.run("tables", &["--json", "--project", "none"])).is_empty());
    let nowhere = root.path().join("nowhere");
    let output = run(&["tables", "--root", nowhere.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("is no root") && !nowhere.exists(), "{}", stderr(&output));
}

#[test]
fn what_puts_rows_into_a_root_says_so_in_json() {
    let root = Root::new();
    let file = root.parquet("a.parquet", &numbers(0, 100));
    let output = root.try_load("local.default.t", &file, &["--json"]);
    let lines = json_lines(&stdout(&output));
    assert_eq!((lines.len(), &lines[0]["table"], &lines[0]["rows"]), (1, &json!("local.default.t"), &json!(100)));
    assert!(lines[0]["seconds"].as_f64().is_some() && stderr(&output).contains("100 rows in"));
    let lines = json_lines(&stdout(&root.run("tpch", &["--scale", "0.001", "--json"])));
    let tables: Vec<&str> = lines.iter().map(|line| line["table"].as_str().unwrap()).collect();
    assert_eq!((lines.len(), tables[0]), (9, "local.default.lineitem"));
    assert!(lines.iter().all(|line| line["rows"].as_u64() > Some(0)), "{lines:?}");
    assert!(stdout(&root.run("tpch", &["--scale", "0.001", "--if-exists", "skip"])).is_empty());
}

#[test]
fn head_prints_rows() {
    let root = filled();
    let text = stdout(&root.run("head", &["local.default.t", "-n", "3"]));
    assert_eq!(text, "id  name\n 0  NULL\n 1  name 1\n 2  name 2\n");
    let rows = json_lines(&stdout(&root.run("head", &["local.p", "--json", "--partition", "ds=2"])));
    assert_eq!((rows.len(), &rows[0]), (7, &json!({"id": 0, "name": null, "ds": "2"})));
    assert_eq!(stdout(&root.run("head", &["local.default.t", "-n", "0"])), "id  name\n");
    let missing = root.run("head", &["local.default.nope"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(stderr(&missing).contains("there is no table local.default.nope"));
    assert_eq!(root.run("head", &["a.b.c.d"]).status.code(), Some(2), "a usage error");
}

#[test]
fn fsck_finds_what_does_not_fit() {
    let root = filled();
    let sound = root.run("fsck", &[]);
    assert!(
        stdout(&sound).ends_with("2 tables, 3 files, 114 rows: 0 findings; 0 removed, 0 files of others left alone\n")
    );
    let files = root.data_files();
    let data = root.path().join("data");
    let orphan = data.join("0123456789abcdef0123456789abcdef.parquet");
    std::fs::write(&orphan, "x").unwrap();
    std::fs::write(data.join("notes.txt"), "mine").unwrap();
    let check = |args: &[&str]| {
        let output = root.run("fsck", &[&["--json"], args].concat());
        let lines = json_lines(&String::from_utf8(output.stdout).unwrap());
        let kinds: Vec<String> = lines.iter().filter_map(|line| Some(line["kind"].as_str()?.to_string())).collect();
        (output.status.code(), kinds, lines.last().unwrap().clone())
    };
    let (code, kinds, totals) = check(&[]);
    assert_eq!((code, kinds.as_slice(), &totals["foreign"]), (Some(3), ["orphan".to_string()].as_slice(), &json!(1)));
    assert!(orphan.exists(), "a check changes nothing");
    let (code, kinds, totals) = check(&["--repair"]);
    assert_eq!((code, kinds.len(), &totals["removed"]), (Some(0), 0, &json!(1)));
    assert!(!orphan.exists() && data.join("notes.txt").exists());
    let sql = |text: &str| {
        rusqlite::Connection::open(root.path().join("catalog.sqlite")).unwrap().execute_batch(text).unwrap();
    };
    let blobs = root.path().join("blobs");
    std::fs::create_dir_all(&blobs).unwrap();
    let blob = "0123456789abcdef0123456789abcdef";
    std::fs::write(blobs.join(blob), "abc").unwrap();
    assert_eq!(check(&[]).1, ["orphan"]);
    assert_eq!(check(&["--repair"]).2["removed"], 1);
    sql(&format!("insert into blobs values ('{blob}', 's', 'local', null, 3, null, null, 1)"));
    assert_eq!(check(&["--repair"]).1, ["missing"]);
    std::fs::write(blobs.join(blob), "ab").unwrap();
    assert_eq!(check(&[]).1, ["size"]);
    std::fs::write(blobs.join(blob), "abc").unwrap();
    assert!(check(&[]).1.is_empty());
    let kept = std::fs::read(&files[0]).unwrap();
    let mut damaged = kept.clone();
    let end = damaged.len() - 20;
    damaged[end..].fill(7);
    for (bytes, expected) in [(Some(damaged), "damaged"), (Some(kept[1..].to_vec()), "size"), (None, "missing")] {
        match bytes {
            Some(bytes) => std::fs::write(&files[0], bytes).unwrap(),
            None => std::fs::remove_file(&files[0]).unwrap(),
        }
        let (code, kinds, _) = check(&["--repair"]);
        assert_eq!((code, kinds), (Some(3), vec![expected.to_string()]));
    }
    std::fs::write(&files[0], &kept).unwrap();
    sql("update files set row_count = row_count + 1 where id = (select min(id) from files)");
    assert_eq!(check(&[]).1, ["rows"]);
    sql("update files set row_count = row_count - 1 where id = (select min(id) from files)");
    sql("update files set version = 99 where id = (select min(id) from files)");
    assert_eq!(check(&[]).1, ["contradiction"]);
    sql("update files set version = 2 where version = 99; update tables set columns = '[]x' where name = 't'");
    assert_eq!(check(&[]).1, ["table"]);
}

#[test]
fn a_running_server_takes_plans_and_times() {
    let root = filled();
    let server = root.serve(&[]);
    let url = format!("http://127.0.0.1:{}", server.port);
    let plan = root.path().join("plan.json");
    let path = plan.to_str().unwrap();
    std::fs::write(
        &plan,
        r#"[{"name": "busy", "match": {"action": "TableCreateReadSession", "times": 1},
                               "effect": {"kind": "throttle"}}]"#,
    )
    .unwrap();
    assert_eq!(stdout(&run(&["fault", "check", path])), "1 rules, all sound\n");
    assert_eq!(json_lines(&stdout(&run(&["fault", "check", "--json", path]))), [json!({"rules": 1})]);
    let set = stdout(&run(&["fault", "set", "--server", &url, path]));
    assert!(set.lines().nth(1).unwrap().starts_with("busy        0       0      0"), "{set}");
    assert_eq!(server.post(&sessions("t"), "{}").status, 429);
    assert_eq!(server.post(&sessions("t"), "{}").status, 201);
    let report: Value = serde_json::from_str(&stdout(&run(&["fault", "get", "--json", "--server", &url]))).unwrap();
    assert_eq!((&report["rules"][0]["matched"], &report["rules"][0]["fired"]), (&json!(2), &json!(1)));
    stdout(&run(&["fault", "clear", "--server", &url]));
    assert_eq!(stdout(&run(&["fault", "get", "--server", &url])), "no fault plan is in force\n");
    std::fs::write(&plan, "[{}]").unwrap();
    let wrong = run(&["fault", "check", path]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(stderr(&wrong).contains("rule 1: missing field `effect`"), "{}", stderr(&wrong));
    let clock = |args: &[&str]| stdout(&run(&[&["clock"], args, &["--server", &url]].concat()));
    assert!(clock(&["get"]).contains("the time of the machine"));
    clock(&["set", "2027-01-15T08:00:00Z"]);
    assert_eq!(clock(&["freeze"]).split('.').next(), Some("2027-01-15T08:00:00"));
    assert!(clock(&["advance", "-2h"]).starts_with("2027-01-15T06:00:0"), "it stands still and can be moved");
    assert!(clock(&["run"]).contains("ms ahead of the machine"));
    assert!(clock(&["reset"]).contains("the time of the machine"));
    let unreachable = run(&["clock", "get", "--server", "http://127.0.0.1:9"]);
    assert_eq!(unreachable.status.code(), Some(1));
    assert!(stderr(&unreachable).contains("cannot reach 127.0.0.1:9"), "{}", stderr(&unreachable));
}

#[test]
fn a_key_opens_a_server_that_asks_for_one() {
    let root = filled();
    let server = root.serve(&["--admin-needs-key", "--account", "op:secret-of-op"]);
    let url = format!("http://127.0.0.1:{}", server.port);
    let get = |more: &[&str]| run(&[&["clock", "get", "--server", &url], more].concat());
    let refused = get(&[]);
    assert!(stderr(&refused).contains("refused this (401)"), "{}", stderr(&refused));
    let wrong = get(&["--account", "op:other"]);
    assert!(!wrong.status.success() && !stderr(&wrong).contains("other"), "{}", stderr(&wrong));
    stdout(&get(&["--account", "op:secret-of-op"]));
}

#[test]
fn statements_work_on_roots_and_on_servers() {
    let root = filled();
    let grant = |target: [&str; 2], statements: &[&str]| run(&[&["grant", target[0], target[1]], statements].concat());
    let path = root.path();
    let offline = ["--root", path.to_str().unwrap()];
    assert_eq!(stdout(&grant(offline, &["ADD TENANT USER RAM$alice;", "LIST TENANT USERS;"])).lines().count(), 2);
    let server = root.serve(&["--profile", "strict"]);
    let url = format!("http://127.0.0.1:{}", server.port);
    let online = ["--server", url.as_str()];
    let users = stdout(&grant(online, &["LIST TENANT USERS;"]));
    assert!(users.contains("RAM$local@localhost:alice"), "{users}");
    stdout(&grant(online, &["CREATE ACCESS KEY 'alice' SECRET 'wonder' FOR USER RAM$alice;"]));
    let mut alice = root.serve(&["--profile", "strict"]);
    alice.account = ("alice".into(), "wonder".into());
    assert_eq!(alice.post(&sessions("t"), "{}").status, 403, "she is known and may not read");
    for target in [offline, online] {
        let wrong = grant(target, &["SELECT '<' & 1;"]);
        let told = "\"SELECT '<' & 1;\" is no statement on governance";
        assert!(!wrong.status.success() && stderr(&wrong).contains(told), "{}", stderr(&wrong));
        let missing = grant(target, &["DROP QUOTA nothing;"]);
        assert!(!missing.status.success() && stderr(&missing).contains("nothing"), "{}", stderr(&missing));
    }
    assert_eq!(run(&["grant", "LIST TENANT USERS;"]).status.code(), Some(2), "root or server");
}

#[test]
fn usage_is_what_was_read() {
    let root = filled();
    let mut server = root.serve(&[]);
    assert_eq!(server.count("t", "{}"), 100);
    server.signal("TERM");
    server.wait(Duration::from_secs(10));
    let rows = json_lines(&stdout(&root.run("usage", &["--json"])));
    let read =
        rows.iter().find(|row| row["operation"].as_str().unwrap().contains("Read") && row["rows"] == 100).unwrap();
    assert_eq!((&read["table"], &read["requests"]), (&json!("t"), &json!(1)));
    let text = stdout(&root.run("usage", &[]));
    assert!(text.starts_with("month") && text.contains("local.default.t"), "{text}");
    assert!(json_lines(&stdout(&root.run("usage", &["--json", "--month", "1999-01"]))).is_empty());
    assert_eq!(json_lines(&stdout(&root.run("usage", &["--json", "--month", "all"]))), rows);
}

fn serve(args: &[&str], variables: &[(&str, &str)]) -> Server {
    let environment = variables.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    Server::start_as(args, environment)
}

#[test]
fn the_configuration_file_is_obeyed() {
    let root = filled();
    let directory = root.path();
    let directory = directory.parent().unwrap();
    let write = |text: &str| {
        let path = directory.join("server.toml");
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_string()
    };
    let printed = stdout(&run(&["config"]));
    assert!(printed.contains("\n#listen = \"127.0.0.1:0\"\n") && printed.contains("MAXSTORAGE_LISTEN"), "{printed}");
    let options = json_lines(&stdout(&run(&["config", "--json"])));
    let option = |key: &str| options.iter().find(|option| option["key"] == key).unwrap();
    assert_eq!(option("listen")["default"], "127.0.0.1:0");
    assert_eq!(
        (&option("profile")["choices"], &option("profile")["default"]),
        (&json!(["dev", "strict", "cloud"]), &json!("dev"))
    );
    assert_eq!(
        (&option("grace_ms")["default"], &option("grace_ms")["environment"]),
        (&json!(5000), &json!("MAXSTORAGE_GRACE_MS"))
    );
    assert!(options.iter().all(|option| printed.contains(option["environment"].as_str().unwrap())), "{options:?}");
    let config = write(&format!("{printed}\n[serve.x]\n"));
    assert!(stderr(&run(&["serve", "--config", &config])).contains("[serve] has no option x"));
    let config = write(
        r#"
        [serve]
        root = "root"
        account = ["file:file"]
        session_lifetime_s = 11
        [[project]]
        name = "sales"
        schemas = ["raw"]
        statements = ["ADD USER RAM$alice;", "CREATE ROLE reader;", "GRANT reader TO RAM$alice;",
                      "GRANT Describe ON TABLE raw.orders TO ROLE reader;"]
        [tenant]
        statements = ["ADD TENANT USER RAM$alice;"]
        [[account]]
        user = "RAM$alice"
        id = "alice"
        secret = "wonder"
        [[quota]]
        name = "nightly"
        slots = 3
        [[table]]
        name = "sales.raw.orders"
        files = ["a.parquet"]
        [[table]]
        name = "sales.raw.days"
        partition = "ds=1"
        files = ["b.parquet", "b.parquet"]
        "#,
    );
    for _ in 0..2 {
        let mut server = serve(&["--config", &config], &[]);
        server.account = ("file".into(), "file".into());
        assert_eq!(server.get("/api/projects/sales/schemas/raw").status, 200);
        let life = |server: &Server| {
            let session = server.session("t", "{}");
            session["ExpirationTime"].as_i64().unwrap() - server.admin("GET", "clock", None)["now_ms"].as_i64().unwrap()
        };
        assert!((10_000..=11_000).contains(&life(&server)));
        assert!(server.get("/api/quotas/nightly").text().contains("nightly"));
        server.account = ("alice".into(), "wonder".into());
        assert_eq!(server.get("/api/tenants").status, 200);
        drop(server);
        let mut server = serve(&[], &[("MAXSTORAGE_CONFIG", &config), ("MAXSTORAGE_SESSION_LIFETIME_S", "50")]);
        server.account = ("file".into(), "file".into());
        assert!((49_000..=50_000).contains(&life(&server)), "the environment comes before the file");
        drop(server);
        let mut server =
            serve(&["--config", &config, "--session-lifetime-s", "90"], &[("MAXSTORAGE_SESSION_LIFETIME_S", "50")]);
        server.account = ("file".into(), "file".into());
        assert!((89_000..=90_000).contains(&life(&server)), "the command line comes before the environment");
    }
    let rows: Vec<u64> = json_lines(&stdout(&root.run("tables", &["--json", "--project", "sales"])))
        .iter()
        .map(|table| table["rows"].as_u64().unwrap())
        .collect();
    assert_eq!(rows, [14, 100], "seeding a second time adds nothing");
    let config = write("[serve]\nroot = \"root\"\n[[table]]\nname = \"sales.raw.more\"\nfiles = [\"none.parquet\"]\n");
    let output = run(&["serve", "--config", &config]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("table sales.raw.more of the configuration"), "{}", stderr(&output));
    for (text, expected) in
        [("[server]", "unknown field `server`"), ("a = ", "line 1"), ("[[project]]\nnam = 1", "`nam`")]
    {
        let output = run(&["serve", "--config", &write(text)]);
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains(expected), "{}", stderr(&output));
    }
    assert!(!Path::new("root").exists(), "paths count from the file");
}

#[test]
fn logs_and_the_ready_line_can_be_json() {
    let root = filled();
    let mut server = Server::start_with(
        &root.path(),
        &["--log-format", "json", "--ready-json"],
        "info",
        std::process::Stdio::piped(),
    );
    let session = server.session("t", "{}");
    assert_eq!(session["SessionStatus"], "NORMAL");
    assert_eq!(server.raw("GET", "/api/tenants", None, &[]).status, 401);
    server.signal("TERM");
    assert_eq!(server.wait(Duration::from_secs(10)), Some(0));
    let mut text = String::new();
    std::io::Read::read_to_string(&mut server.child.stderr.take().unwrap(), &mut text).unwrap();
    let lines = json_lines(&text);
    let create = lines.iter().find(|line| line["action"] == "TableCreateReadSession").unwrap();
    assert_eq!(
        (&create["status"], &create["table"], &create["level"]),
        (&json!(201), &json!("local.default.t"), &json!("INFO"))
    );
    assert_eq!(create["caller"], "ALIYUN$local@localhost");
    assert_eq!(create["request"].as_str().unwrap().len(), 32);
    assert!(create["bytes"].as_u64().unwrap() > 100 && create["ms"].is_u64() && create["received"] == 2);
    let failed = run(&["--log-format", "json", "tables", "--root", "nowhere"]);
    assert!(json_lines(&stderr(&failed))[0]["message"].as_str().unwrap().contains("is no root"));
    assert!(lines.iter().any(|line| line["action"] == "GetTenant" && line["status"] == 401 && line["caller"] == ""));
}

#[test]
fn a_server_with_tls_is_reached_as_well() {
    let root = filled();
    let server = root.serve(&["--tls-dev"]);
    let url = format!("https://localhost:{}", server.port);
    let ca = root.path().join("tls/ca.pem");
    let get = |more: &[&str]| run(&[&["clock", "get", "--server", &url], more].concat());
    assert!(stdout(&get(&["--ca", ca.to_str().unwrap()])).contains("the time of the machine"));
    assert!(stderr(&get(&[])).contains("needs --ca"));
    let other = Root::new();
    let _other = other.serve(&["--tls-dev"]);
    let foreign = get(&["--ca", other.path().join("tls/ca.pem").to_str().unwrap()]);
    assert!(stderr(&foreign).contains("no trust in the server"), "{}", stderr(&foreign));
}
