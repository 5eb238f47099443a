//! Metadata over REST: projects, schemas, tables of all kinds, partitions, pages.

mod common;

use common::{Answer, Root, Server};
use serde_json::Value;

fn sql(server: &Server, statement: &str) {
    let body = format!(
        "<Instance><Job><Tasks><SQL><Name>T</Name><Query><![CDATA[{statement}]]></Query></SQL></Tasks></Job></Instance>"
    );
    let answer = server.post("/api/projects/local/instances", &body);
    let id = answer.header("location").unwrap().rsplit('/').next().unwrap().to_string();
    let of = |query: &str| server.get(&format!("/api/projects/local/instances/{id}?{query}")).text();
    of("instancestatus");
    assert!(of("taskstatus").contains("Success"), "{statement}: {}", of("result"));
}

/// The JSON inside `<Schema>`.
fn schema(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let text = answer.text();
    let start = text.find("<Schema").unwrap();
    let start = start + text[start..].find('>').unwrap() + 1;
    let end = start + text[start..].find("</Schema>").unwrap();
    serde_json::from_str(
        &text[start..end].replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"),
    )
    .unwrap()
}

fn table(server: &Server, name: &str) -> (Value, Value, String) {
    let answer = server.get(&format!("/api/projects/local/tables/{name}?extended"));
    let document = schema(&answer);
    let reserved = serde_json::from_str(document["Reserved"].as_str().unwrap()).unwrap();
    (document, reserved, answer.text())
}

#[test]
fn documents_tell_all_kinds_apart() {
    let root = Root::new();
    let server = root.serve(&[]);
    for statement in [
        "create table plain (a bigint not null comment 'the <key>', b decimal(10,2)) comment 'a & b' partitioned by (ds string comment 'day') lifecycle 7",
        "create table h (k bigint, v string) clustered by (k) sorted by (k desc) into 4 buckets",
        "create table r (k bigint) range clustered by (k) sorted by (k) into 3 buckets",
        "create table tx (k bigint) tblproperties ('transactional'='true', 'my.own'='x')",
        "create table pk (id bigint not null, v string, primary key (id)) tblproperties ('transactional'='true', 'write.bucket.num'='8')",
        "insert into pk values (1, 'a'), (1, 'b')",
        "create view v (x) comment 'seen' as select a from plain",
        "create materialized view mv disable rewrite as select k from h",
        "create external table e (a int) stored by 'handler' with serdeproperties ('delimiter'='|') location 'oss://b/d/'",
    ] {
        sql(&server, statement);
    }
    let (plain, reserved, text) = table(&server, "plain");
    assert_eq!(plain["comment"], "a & b");
    assert_eq!(plain["lifecycle"], 7);
    assert_eq!(
        (&plain["columns"][0]["comment"], &plain["columns"][0]["isNullable"]),
        (&"the <key>".into(), &false.into())
    );
    assert_eq!(
        (&plain["columns"][1]["type"], &plain["columns"][1]["isNullable"]),
        (&"decimal(10,2)".into(), &true.into())
    );
    assert_eq!(
        (&plain["partitionKeys"][0]["name"], &plain["partitionKeys"][0]["comment"]),
        (&"ds".into(), &"day".into())
    );
    assert!(reserved["ClusterType"].is_null() && reserved["Transactional"].is_null());
    assert!(text.contains("<Type>MANAGED_TABLE</Type>") && text.contains("<Comment>a &amp; b</Comment>"));
    assert!(!text.contains("SchemaName"), "Java takes it for a sign of schemas");
    let (_, h, _) = table(&server, "h");
    assert_eq!((&h["ClusterType"], &h["BucketNum"]), (&"hash".into(), &4.into()));
    assert_eq!(h["SortCols"], serde_json::json!([{"col": "k", "order": "desc"}]));
    assert_eq!(table(&server, "r").1["ClusterType"], "range");
    let (tx, reserved, _) = table(&server, "tx");
    assert_eq!(reserved["Transactional"], "true");
    assert!(reserved["PrimaryKey"].is_null() && tx["tableProperties"].as_str().unwrap().contains("my.own"));
    let (pk, reserved, _) = table(&server, "pk");
    assert_eq!((&reserved["PrimaryKey"][0], &reserved["BucketNum"]), (&"id".into(), &8.into()));
    assert_eq!((&pk["recordNum"], &reserved["cdc_latest_version"]), (&(-1).into(), &"2".into()));
    let (v, _, text) = table(&server, "v");
    assert_eq!((&v["isVirtualView"], &v["viewText"]), (&true.into(), &"select a from plain".into()));
    assert!(text.contains("<Type>VIRTUAL_VIEW</Type>"));
    let (mv, _, text) = table(&server, "mv");
    assert_eq!((&mv["isMaterializedView"], &mv["isMaterializedViewRewriteEnabled"]), (&true.into(), &"false".into()));
    assert!(text.contains("<Type>MATERIALIZED_VIEW</Type>"));
    let (e, _, _) = table(&server, "e");
    assert_eq!(
        (&e["isExternal"], &e["location"], &e["storageHandler"]),
        (&true.into(), &"oss://b/d/".into(), &"handler".into())
    );
    assert_eq!(e["serDeProperties"], "{\"delimiter\":\"|\"}");
    let views = server.get("/api/projects/local/tables?expectmarker=true&type=VIRTUAL_VIEW").text();
    assert_eq!((views.matches("<Table>").count(), views.contains("<Name>v</Name>")), (1, true));
}

#[test]
fn lists_have_pages() {
    let root = Root::new();
    let server = root.serve(&[]);
    for name in ["a1", "A2", "a3", "b1"] {
        sql(&server, &format!("create table {name} (x int)"));
    }
    let mut marker = String::new();
    let mut pages = Vec::new();
    loop {
        let answer = server.get(&format!("/api/projects/local/tables?expectmarker=true&name=a&maxitems=2{marker}"));
        let text = answer.text();
        pages.push(text.matches("<Table>").count());
        assert!(text.contains("<MaxItems>2</MaxItems>"));
        match text.split("<Marker>").nth(1) {
            Some(rest) => marker = format!("&marker={}", rest.split('<').next().unwrap()),
            None => break,
        }
    }
    assert_eq!(pages, [2, 1]);
    assert_eq!(server.get("/api/projects/local/tables?marker=%21").status, 400);
    let body =
        "<Tables><Table><Project>local</Project><Name>a1</Name></Table><Table><Name>gone</Name></Table></Tables>";
    let loaded = server.post("/api/projects/local/tables?query", body).text();
    assert!(loaded.contains("<Name>a1</Name>") && !loaded.contains("gone"));
    let projects = server.get("/api/projects?expectmarker=true").text();
    assert!(projects.contains("<Name>local</Name>") && projects.contains("<Marker/>"));
}

#[test]
fn partitions_are_listed_and_found() {
    let root = Root::new();
    let server = root.serve(&[]);
    sql(&server, "create table p (x int) partitioned by (ds string, hh int)");
    sql(&server, "alter table p add partition (ds='a', hh=1) partition (ds='a', hh=2) partition (ds='b', hh=1)");
    let get = |query: &str| server.get(&format!("/api/projects/local/tables/p?{query}"));
    let first = get("expectmarker=true&maxitems=2&partitions").text();
    assert_eq!(first.matches("<Partition>").count(), 2);
    let marker = first.split("<Marker>").nth(1).unwrap().split('<').next().unwrap().to_string();
    let second = get(&format!("expectmarker=true&marker={marker}&maxitems=2&partitions")).text();
    assert!(second.contains("<Column Name=\"ds\" Value=\"b\"/><Column Name=\"hh\" Value=\"1\"/>"));
    assert_eq!(get("partition=ds='a'&partitions").text().matches("<Partition>").count(), 2);
    assert_eq!(get("name&partitions").text().matches("<Name>ds=").count(), 3);
    assert!(
        get("partitions&reverse").text().find("Value=\"b\"") < get("partitions&reverse").text().find("Value=\"a\"")
    );
    assert_eq!(schema(&get("partition=ds='a',hh='01'"))["partitionRecordNum"], 0);
    assert_eq!(get("partition=ds='a',hh='9'").status, 404);
    assert_eq!(get("partition=ds='a',hh='x'").status, 404);
}

#[test]
fn schemas_are_made_and_dropped_over_rest() {
    let root = Root::new();
    let server = root.serve(&[]);
    let new = |again: &str| format!("<Schema><Project>local</Project><Name>s1</Name>{again}</Schema>");
    let target = "/api/projects/local/schemas";
    assert_eq!(server.post(target, &new("")).status, 201);
    assert_eq!(server.post(target, &new("")).status, 409);
    assert_eq!(server.post(target, &new("<IfNotExists>true</IfNotExists>")).status, 201);
    assert!(server.get("/api/projects/local/schemas?expectmarker=true").text().contains("<Name>s1</Name>"));
    let drop = |name: &str| server.send("DELETE", &format!("{target}/{name}"), None, &[]).status;
    sql(&server, "create table s1.x (a int)");
    assert_eq!((drop("s1"), drop("default"), drop("s9")), (409, 409, 404));
    sql(&server, "drop table s1.x");
    assert_eq!((drop("s1"), drop("s1")), (204, 404));
}

#[test]
fn first_rows_come_as_csv() {
    let root = Root::new();
    let server = root.serve(&[]);
    sql(&server, "create table t (a bigint, b string) partitioned by (ds string)");
    sql(&server, "insert into t partition (ds='x') values (1, 'one'), (2, null)");
    sql(&server, "insert into t partition (ds='y') values (3, 'three')");
    let get = |query: &str| server.get(&format!("/api/projects/local/tables/t?data&linenum={query}"));
    assert_eq!(get("1").text(), "\"a\",\"b\",\"ds\"\n1,\"one\",\"x\"\n");
    assert_eq!(get("9&partition=ds='y'").text(), "\"a\",\"b\",\"ds\"\n3,\"three\",\"y\"\n");
    assert_eq!(server.get("/api/projects/local/tables/t?cols=b&data&linenum=2").text(), "\"b\"\n\"one\"\n\\N\n");
}
