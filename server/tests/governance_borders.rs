//! What colleagues cannot get around: borders of projects, rights of administrators, lives of tokens.

mod common;

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use common::governance::{Caller, PAGE_POLICY, code, no, sql, start, start_two, submit_as};
use common::tables::Declared;
use common::v2::Api;
use common::{Answer, Root, Server, data, numbers, sessions};

/// The ways to the rows of an instance in project local: what each answers.
fn ways(caller: &Caller<'_>, instance: &str) -> Vec<Answer> {
    let id = instance.rsplit('/').next().unwrap();
    let action = |name: &str| format!("/api/storage/v2?Action={name}&Target=projects.local.instances.{id}");
    let downloads = format!("/projects/local/instances/{id}?downloads&instance_tunnel_limit_enabled");
    vec![
        caller.get(&format!("{instance}?result")),
        caller.post(&action("InstanceCreateReadSession"), "{\"EnableLimit\":true}"),
        caller.post(&action("InstanceCreateReadSession").replace("v2", "v3"), "{}"),
        caller.post(&downloads, ""),
    ]
}

/// Runs a statement to its end and returns the path of its instance.
fn run_sql(caller: &Caller<'_>, statement: &str) -> String {
    let instance = submit_as(caller, statement, "");
    while !caller.get(&format!("{instance}?instancestatus")).text().contains("Terminated") {}
    instance
}

fn statuses(answers: &[Answer]) -> Vec<u16> {
    answers.iter().map(|answer| answer.status).collect()
}

#[test]
fn results_carry_what_their_tables_demand() {
    let (_root, server) = start_two();
    server.run("grant Describe, Select on table t to user RAM$alice");
    let alice = server.as_key("alice", "secret");
    let instance = run_sql(&alice, "select * from t");
    let id = instance.rsplit('/').next().unwrap();
    assert_eq!(statuses(&ways(&alice, &instance)), [200; 4]);
    let action = |name: &str| format!("/api/storage/v2?Action={name}&Target=projects.local.instances.{id}");
    let session = alice.post(&action("InstanceCreateReadSession"), "{}").json();
    let session = session["DownloadID"].as_str().unwrap().to_string();
    let download = alice.post(&format!("/projects/local/instances/{id}?downloads"), "").json();
    let download = download["DownloadID"].as_str().unwrap().to_string();
    // Sessions that were opened before end with the right as well.
    let reads = || {
        let target = |name: &str| format!("{}&SessionId={session}", action(name));
        let tunnel = |more: &str| format!("/projects/local/instances/{id}?downloadid={download}{more}");
        [
            alice.post(&target("InstanceGetReadSession"), "{}"),
            alice.post(&target("InstanceRead"), "{}"),
            alice.get(&tunnel("")),
            alice.get(&tunnel("&data&rowrange=(0,1)")),
        ]
    };
    assert_eq!(statuses(&reads()), [200; 4]);
    server.run("setproject odps.security.enabledownloadprivilege=true");
    for answer in ways(&alice, &instance).iter().chain(&reads()) {
        assert_eq!(answer.status, 403);
        assert!(answer.text().contains("odps:Download"), "{}", answer.text());
    }
    server.run("grant Download on table t to user RAM$alice");
    assert_eq!(statuses(&ways(&alice, &instance)), [200; 4]);
    server.run("set ProjectProtection=true");
    for caller in [&alice, &server.owner()] {
        for answer in ways(caller, &instance) {
            assert_eq!(answer.status, 403);
            assert!(answer.text().contains("[4021]"), "{}", answer.text());
        }
    }
    assert_eq!(statuses(&reads()), [403; 4]);
    // Counts are data as well; the state of the instance and what was asked are not.
    for statement in ["select count(*) from t", "select 1 x from t where id = 7"] {
        assert_eq!(statuses(&ways(&alice, &run_sql(&alice, statement))), [403; 4], "{statement}");
    }
    assert_eq!(alice.get(&format!("{instance}?taskstatus")).status, 200);
    assert_eq!(alice.get(&format!("{instance}?source")).status, 200);
    // What reads no table, and what leaves no rows, has nothing to carry out.
    assert_eq!(statuses(&ways(&alice, &run_sql(&alice, "select 1"))), [200; 4]);
    assert!(sql(&alice, "create table copy as select * from t").0);
    // A copy inside of the project is as protected; the sentence of a failure may hold a value.
    assert_eq!(statuses(&ways(&alice, &run_sql(&alice, "select * from copy"))), [403; 4]);
    let failed = run_sql(&alice, "select cast(name as bigint) n from t");
    assert!(alice.get(&format!("{failed}?taskstatus")).text().contains("Failed"));
    assert_eq!(alice.get(&format!("{failed}?result")).status, 403);
    server.run(
        "set ProjectProtection=true with exception {\"Version\":\"1\",\"Statement\":[{\"Effect\":\"Allow\",\
         \"Principal\":\"RAM$local@localhost:alice\",\"Action\":\"odps:Select\",\"Resource\":\"acs:odps:*:projects/local/tables/t\"}]}",
    );
    assert_eq!(statuses(&ways(&alice, &instance)), [200; 4]);
    assert_eq!(statuses(&ways(&server.owner(), &instance)), [403; 4]);
    let sentence = alice.get(&format!("{failed}?result")).text();
    assert!(sentence.contains("name "), "the sentence tells a value: {sentence}");
    // Rights on the table that are gone take its results along, and dropping the table frees nothing.
    server.run("revoke Select on table t from user RAM$alice");
    assert_eq!(statuses(&ways(&alice, &instance)), [403; 4]);
    server.run("grant Select on table t to user RAM$alice; set ProjectProtection=true");
    assert!(sql(&server.owner(), "drop table t").0);
    assert_eq!(statuses(&ways(&alice, &instance)), [403; 4]);
}

#[test]
fn a_result_of_another_projects_table_is_for_those_who_may_read_that() {
    let (root, server) = start_two();
    drop(server);
    let file = root.parquet("o.parquet", &numbers(0, 10));
    root.load("other.default.o", &file, &[]);
    let server = root.serve(&["--profile", "strict"]);
    server.create_user("boss");
    server.run("add user RAM$boss; grant admin to RAM$boss");
    let other = |statements: &str| {
        let body = format!("<Authorization><Query>{statements}</Query></Authorization>");
        assert_eq!(server.owner().post("/api/projects/other/authorization", &body).status, 200);
    };
    other("add user RAM$alice; grant Describe, Select on table o to user RAM$alice");
    let (alice, boss) = (server.as_key("alice", "secret"), server.as_key("boss", "secret"));
    let instance = run_sql(&alice, "select * from other.o");
    assert_eq!(statuses(&ways(&alice, &instance)), [200; 4]);
    assert_eq!(boss.get(&instance).status, 200, "boss administers the project of the instance");
    assert_eq!(statuses(&ways(&boss, &instance)), [403; 4]);
    other("set ProjectProtection=true");
    assert_eq!(statuses(&ways(&alice, &instance)), [403; 4]);
    // Rows may go to a project that is trusted, but not further.
    let into = "create table local.default.mine as select * from other.o";
    assert!(sql(&alice, into).1.contains("[4021]"));
    other("add trustedproject local");
    let (done, text) = sql(&alice, into);
    assert!(done, "{text}");
    assert_eq!(statuses(&ways(&alice, &instance)), [403; 4]);
}

#[test]
fn changing_rows_needs_rights_on_what_is_compared_and_what_is_set() {
    let root = Root::new();
    root.declare(&Declared::delta("d", &[("id", "bigint", false), ("a", "string", true), ("b", "string", true)], "id"));
    let server = root.serve(&["--profile", "strict"]);
    server.create_user("alice");
    server.run("add user RAM$alice; grant CreateInstance on project local to user RAM$alice");
    assert!(sql(&server.owner(), "insert into d values (1, 'x', 'y')").0);
    server.run("grant Describe, Update on table d to user RAM$alice");
    let alice = server.as_key("alice", "secret");
    let refused = |statement: &str| {
        let (done, text) = sql(&alice, statement);
        assert!(!done && text.contains("[4019]"), "{statement}: {text}");
    };
    for statement in ["update d set a = 'z' where b = 'y'", "delete from d where id = 1"] {
        refused(statement);
    }
    let allowed = |statement: &str| {
        let (done, text) = sql(&alice, statement);
        assert!(done, "{statement}: {text}");
    };
    allowed("update d set a = 'z'");
    server.run("grant Select on table d(id) to user RAM$alice");
    refused("update d set a = 'z' where b = 'y'");
    allowed("update d set a = 'w' where id = 1");
    // Labels count as in a SELECT.
    server.run("grant Select on table d to user RAM$alice; set label 3 to table d(b); set LabelSecurity=true");
    refused("delete from d where b = 'y'");
    server.run("set LabelSecurity=false; revoke Update on table d from user RAM$alice");
    // A grant on columns is one on these columns.
    server.run("grant Update on table d(id, a) to user RAM$alice");
    allowed("update d set a = 'v' where id = 1");
    allowed("insert into d (id, a) values (2, 'n')");
    for statement in [
        "update d set b = 'v' where id = 1",
        "insert into d values (3, 'n', 'n')",
        "delete from d where id = 1",
        "truncate table d",
        "insert overwrite table d values (3, 'n', 'n')",
    ] {
        refused(statement);
    }
    server.run("grant Drop, Alter on table d(a) to user RAM$alice");
    refused("drop table d");
    refused("alter table d set comment 'mine'");
}

#[test]
fn an_administrator_of_a_project_gives_no_more_than_it_has() {
    let (_root, server) = start(&["--profile", "strict"]);
    server.create_user("boss");
    server.run(
        "add user RAM$alice; add user RAM$boss; grant admin to RAM$boss; create role loader; create role secret;
         create role watched; set label 5 to role secret; grant Download on table t to role loader;
         grant watched to RAM$boss; grant super_administrator to RAM$alice",
    );
    server.run("grant Select on table t to role watched privilegeproperties(\"policy\"=\"true\",\"allow\"=\"false\")");
    let boss = server.as_key("boss", "secret");
    let all = "{\"Version\":\"1\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"odps:*\",\"Resource\":\"*\"}]}";
    let none = "{\"Version\":\"1\",\"Statement\":[]}";
    for statement in [
        "grant super_administrator to RAM$boss",
        "grant role Super_Administrator to user RAM$boss",
        "revoke super_administrator from RAM$alice",
        "remove user RAM$alice",
        "grant loader to RAM$boss",
        "grant secret to RAM$boss",
        "grant Download on table t to user RAM$boss",
        "grant All on table t to user RAM$boss",
        "grant Download on table * to role watched privilegeproperties(\"policy\"=\"true\",\"allow\"=\"true\")",
        &format!("put policy {all} on role loader"),
        &format!("put policy {none} on role watched"),
        "revoke Select on table t from role watched privilegeproperties(\"policy\"=\"true\",\"allow\"=\"false\")",
        "revoke watched from RAM$boss",
        "drop role watched",
        "set label 9 to user RAM$boss",
        "set ProjectProtection=false",
        "add trustedproject other",
        "add tenant user RAM$boss",
        "grant tenant role Super_Administrator to user RAM$boss",
        "create access key x secret y for user ALIYUN$local@localhost",
    ] {
        let answer = boss.authorize(statement);
        assert_eq!(answer.status, 403, "{statement}: {}", answer.text());
    }
    for (target, policy) in [("loader", all), ("watched", none)] {
        let target = format!("/api/projects/local/roles/{target}?policy");
        assert_eq!(boss.send("PUT", &target, Some(policy)).status, 403);
    }
    // What an administrator is for, it does.
    for statement in [
        "create role reader; grant Describe, Select on table t to role reader",
        "add user RAM$carol; grant reader to RAM$carol; grant admin to RAM$carol; remove user RAM$carol",
        "grant Select on table t to role reader privilegeproperties(\"policy\"=\"true\",\"allow\"=\"true\")",
        &format!("put policy {none} on role reader"),
        "drop role reader",
    ] {
        let answer = boss.authorize(statement);
        assert_eq!(answer.status, 200, "{statement}: {}", answer.text());
    }
}

#[test]
fn an_administrator_of_the_tenant_does_not_make_itself_anybody() {
    let (_root, server) = start(&["--profile", "strict"]);
    server.create_user("admin");
    server.create_user("chief");
    server.run(
        "add tenant user RAM$admin; add tenant user RAM$chief; grant tenant role Admin to user RAM$admin;
         grant tenant role Super_Administrator to user RAM$chief; create tenant role r",
    );
    let (admin, chief) = (server.as_key("admin", "secret"), server.as_key("chief", "secret"));
    for statement in [
        "grant tenant role Super_Administrator to user RAM$admin",
        "revoke tenant role Super_Administrator from user RAM$chief",
        "remove tenant user RAM$chief",
        "create access key x secret y for user ALIYUN$local@localhost",
        "create bearer token 'x' for user RAM$chief",
        "drop access key chief",
        "grant tenant role r to user RAM$admin",
        "add tenant role r to project local",
        &format!("put policy {PAGE_POLICY} on tenant role r"),
        &format!("create tenant role s with policy {PAGE_POLICY}"),
    ] {
        let answer = admin.authorize(statement);
        assert_eq!(answer.status, 403, "{statement}: {}", answer.text());
    }
    let target = "/api/tenants/_empty_tenant_/authorization/roles/r?policy";
    assert_eq!(admin.send("PUT", target, Some(PAGE_POLICY)).status, 403);
    for statement in
        ["add tenant user RAM$x", "list tenant users", "create quota q slots 1", "remove tenant user RAM$x"]
    {
        assert_eq!(admin.authorize(statement).status, 200, "{statement}");
    }
    assert_eq!(chief.authorize(&format!("put policy {PAGE_POLICY} on tenant role r")).status, 200);
    assert_eq!(chief.authorize("grant tenant role r to user RAM$chief").status, 200);
}

#[test]
fn the_creator_of_a_table_cannot_download_what_it_copied() {
    let (_root, server) = start_two();
    server.run("grant Describe, Select on table t to user RAM$alice");
    server.run("setproject odps.security.enabledownloadprivilege=true");
    let alice = server.as_key("alice", "secret");
    assert!(sql(&alice, "create table copy as select * from t").0);
    assert_eq!(alice.post(&sessions("copy"), "{}").status, 403);
    for statement in ["grant Download on table copy to user RAM$alice", "grant All on table copy to user RAM$alice"] {
        assert_eq!(alice.authorize(statement).status, 403, "{statement}");
    }
    assert_eq!(alice.authorize("grant Select on table copy to user RAM$alice").status, 200);
    assert_eq!(alice.post(&sessions("copy"), "{}").status, 403);
}

/// A request of somebody with a temporary key.
fn as_temporary(server: &Server, method: &str, target: &str, body: Option<&str>) -> Answer {
    let mut headers = server.sign_as(&("sts".into(), "secret".into()), method, target, body);
    headers.push(("authorization-sts-token".into(), "ticket".into()));
    server.raw(method, target, body, &headers)
}

#[test]
fn tokens_live_no_longer_than_the_key_that_made_them() {
    let (_root, server) = start(&["--profile", "strict"]);
    let key = |life: &str| {
        server.run(&format!("create access key 'sts' secret 'secret' token 'ticket' {life} for user RAM$alice"));
    };
    let sign_at = "/api/projects/local/authorization?sign_bearer_token";
    let sign = || {
        let answer = as_temporary(&server, "POST", sign_at, Some("{\"expires_in_hours\":10}"));
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.text().split("<Result>").nth(1).unwrap().split('<').next().unwrap().to_string()
    };
    let with = |token: &str| {
        let headers = [("x-odps-bearer-token".to_string(), token.to_string())];
        server.raw("POST", &sessions("t"), Some("{}"), &headers)
    };
    key("expires 100");
    assert_eq!(as_temporary(&server, "POST", sign_at, Some("{}")).status, 403, "alice is in no project");
    server.run("add user RAM$alice; grant Describe, Select on table t to user RAM$alice");
    let first = sign();
    assert_eq!(with(&first).status, 201);
    // A token makes no tokens, which would outlive it.
    let headers = [("x-odps-bearer-token".to_string(), first.clone())];
    assert_eq!(server.raw("POST", sign_at, Some("{}"), &headers).status, 403);
    // The clock goes past the end of the key.
    server.admin("PUT", "clock", Some("{\"advance_ms\":101000}"));
    assert_eq!(code(&with(&first)), (401, "AuthenticationRequestExpired".into()));
    server.admin("DELETE", "clock", None);
    let second = sign();
    server.run("drop access key 'sts'");
    assert_eq!(code(&with(&second)), (401, "Unauthorized".into()));
    key("expires 100");
    assert_eq!(code(&with(&second)), (401, "Unauthorized".into()), "the same key again brings no tokens back");
    // Another key of the same id is not the maker.
    let third = sign();
    server.run("create access key 'sts' secret 'other' token 'ticket' for user RAM$alice");
    assert_eq!(code(&with(&third)), (401, "Unauthorized".into()));
    key("");
    let fourth = sign();
    assert_eq!(with(&fourth).status, 201);
    server.run("remove user RAM$alice; add user RAM$alice; grant Describe, Select on table t to user RAM$alice");
    assert_eq!(code(&with(&fourth)), (401, "Unauthorized".into()), "it was removed from the project meanwhile");
    let fifth = sign();
    server.run("add tenant user RAM$alice; create bearer token 'sixth' for user RAM$alice");
    assert_eq!((with(&fifth).status, with("sixth").status), (201, 201));
    server.run("remove tenant user RAM$alice");
    for token in [fifth.as_str(), "sixth"] {
        assert_eq!(code(&with(token)), (401, "Unauthorized".into()));
    }
}

#[test]
fn a_token_names_only_the_quotas_of_its_policy() {
    let (_root, server) = start(&["--profile", "strict"]);
    server.run(&format!(
        "set tenant property storage_api_switch=true; create tenant role r with policy {PAGE_POLICY};
         add user RAM$alice; add tenant user RAM$alice; grant tenant role r to user RAM$alice;
         grant Describe, Select on table t to user RAM$alice"
    ));
    let alice = server.as_key("alice", "secret");
    let sign = |quotas: &str| {
        let body = format!(
            "{{\"policy\":{{\"Version\":\"1\",\"Statement\":[{{\"Effect\":\"Allow\",\"Action\":\"odps:*\",\
             \"Resource\":[\"acs:odps:*:projects/local/*\"{quotas}]}}]}}}}"
        );
        let answer = alice.post("/api/projects/local/authorization?sign_bearer_token", &body);
        answer.text().split("<Result>").nth(1).unwrap().split('<').next().unwrap().to_string()
    };
    let with = |token: &str, quota: &str| {
        let headers = [("x-odps-bearer-token".to_string(), token.to_string())];
        server.raw("POST", &format!("{}{quota}", sessions("t")), Some("{}"), &headers)
    };
    let (narrow, wide) = (sign(""), sign(",\"acs:odps:*:regions/*/quotas/*\""));
    let named = "&quotaName=pay-as-you-go";
    assert_eq!((with(&narrow, "").status, with(&wide, named).status), (201, 201));
    assert_eq!(code(&with(&narrow, named)), no());
}

#[test]
fn the_quota_of_a_session_is_asked_for_again() {
    let (_root, server) = start(&["--profile", "strict"]);
    server.run(&format!(
        "set tenant property storage_api_switch=true; create tenant role r with policy {PAGE_POLICY};
         add user RAM$alice; add tenant user RAM$alice; grant tenant role r to user RAM$alice;
         grant Describe, Select on table t to user RAM$alice; grant CreateInstance on project local to user RAM$alice"
    ));
    let alice = server.as_key("alice", "secret");
    let named = "&quotaName=pay-as-you-go";
    let created = alice.post(&format!("{}{named}", sessions("t")), "{}").json();
    let id = created["SessionId"].as_str().unwrap().to_string();
    let get =
        |more: &str| alice.get(&format!("{}{more}", sessions("t").replace("sessions?", &format!("sessions/{id}?"))));
    let instance = run_sql(&alice, "select * from t");
    let instance = instance.rsplit('/').next().unwrap();
    let action = |name: &str| format!("/api/storage/v2?Action={name}&Target=projects.local.instances.{instance}");
    let opened = alice.post(&format!("{}{named}", action("InstanceCreateReadSession")), "{}").json();
    let opened = opened["DownloadID"].as_str().unwrap().to_string();
    let result =
        |more: &str| alice.post(&format!("{}&SessionId={opened}{more}", action("InstanceGetReadSession")), "{}");
    let refresh = "&session_refresh=true";
    assert_eq!((get(refresh).status, result(refresh).status), (200, 200));
    assert_eq!(result("").json()["QuotaName"], "pay-as-you-go");
    server.run("revoke tenant role r from user RAM$alice");
    assert_eq!((get(refresh).status, result(refresh).status), (403, 403), "{}", result(refresh).text());
    assert_eq!((get("").status, result("").status), (200, 200));
    assert_eq!(alice.get(&data("t", &format!("session_id={id}&split_index=0"))).status, 200, "it runs to its end");
    server.run("grant tenant role r to user RAM$alice; set tenant property storage_api_switch=false");
    assert_eq!(code(&get(refresh)), no());
    // The session of somebody else lends its quota to nothing new.
    server.run("set tenant property storage_api_switch=true; create access key bob secret secret for user RAM$bob");
    server.run("add user RAM$bob; grant Describe, Select on table t to user RAM$bob; alter quota default off");
    let bob = server.as_key("bob", "secret");
    assert_eq!(code(&bob.post(&format!("{}&session_id={id}", sessions("t")), "{}")), no());
}

#[test]
fn a_denial_on_a_project_beats_a_grant_on_a_schema_and_the_other_way_round() {
    let (_root, server) = start_two();
    let alice = server.as_key("alice", "secret");
    assert!(sql(&server.owner(), "create schema s").0);
    server.run(
        "create role limited; grant limited to RAM$alice; revoke CreateTable on project local from user RAM$alice",
    );
    server.run("grant CreateTable on schema s to user RAM$alice");
    let mut number = 0;
    let mut create = || {
        number += 1;
        sql(&alice, &format!("create table local.s.t{number} (x bigint)"))
    };
    assert!(create().0);
    let deny = |resource: &str| {
        let policy = format!(
            "{{\"Version\":\"1\",\"Statement\":[{{\"Effect\":\"Deny\",\"Action\":\"odps:CreateTable\",\
             \"Resource\":\"acs:odps:*:projects/local{resource}\"}}]}}"
        );
        server.run(&format!("put policy {policy} on role limited"));
    };
    deny("");
    let (done, text) = create();
    assert!(!done && text.contains("[4011]"), "{text}");
    // The schema denies what the project grants.
    server.run("grant CreateTable on project local to user RAM$alice");
    deny("/schemas/s");
    let (done, text) = create();
    assert!(!done && text.contains("[4011]"), "{text}");
    deny("/schemas/other");
    assert!(create().0);
    // A permission by policy does not beat a denial in another role either.
    deny("");
    let allow = "{\"Version\":\"1\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"odps:*\",\"Resource\":\"*\"}]}";
    server.run(&format!("create role wide; put policy {allow} on role wide; grant wide to RAM$alice"));
    assert!(create().1.contains("[4011]"));
    server.run("grant admin to RAM$alice");
    assert!(create().1.contains("[4011]"));
    // Schemas over REST need the rights of schemas.
    server.run("revoke admin from RAM$alice; revoke wide from RAM$alice; revoke limited from RAM$alice");
    let body = "<Schema><Project>local</Project><Name>n</Name></Schema>";
    assert_eq!(alice.post("/api/projects/local/schemas", body).status, 403);
    assert_eq!(alice.send("DELETE", "/api/projects/local/schemas/s", None).status, 403);
    server.run("grant CreateSchema on project local to user RAM$alice");
    assert_eq!(alice.post("/api/projects/local/schemas", body).status, 201);
    server.run("grant Drop on schema n to user RAM$alice");
    assert_eq!(alice.send("DELETE", "/api/projects/local/schemas/n", None).status, 204);
}

#[test]
fn what_needs_no_session_needs_the_right() {
    let root = Root::new();
    let blob = HashMap::from([("maxcompute.type".to_string(), "blob".to_string())]);
    let fields = vec![
        Field::new("id", DataType::Int64, true),
        Field::new("picture", DataType::Binary, true).with_metadata(blob),
    ];
    let empty = RecordBatch::new_empty(Arc::new(Schema::new(fields)));
    root.load("local.default.b", &root.parquet("b.parquet", &empty), &[]);
    let server = root.serve(&["--no-auth"]);
    let api = Api { server: &server, version: 3 };
    let stream = "&SessionId=default&StreamId=a&StreamVersion=1";
    api.call("TableCreateWriteStream", "b", stream, serde_json::json!({}));
    let put = || {
        let query = format!("{stream}&PartitionValues=&ColumnIndex=2");
        let answer = api.send("TableWriteBlob", &common::v2::target("b"), &query, b"bytes", &[]);
        use base64::Engine;
        let encoded = answer.json()["BlobReference"].as_str().unwrap().to_string();
        String::from_utf8(base64::engine::general_purpose::STANDARD.decode(encoded).unwrap()).unwrap()
    };
    let (used, unused) = (put(), put());
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let cells: ArrayRef = Arc::new(BinaryArray::from_iter_values([&used]));
    api.write("b", stream, &RecordBatch::try_from_iter([("id", ids), ("picture", cells)]).unwrap());
    drop(server);
    let server = root.serve(&["--profile", "strict"]);
    server.create_user("alice");
    server.run("add user RAM$alice");
    let alice = server.as_key("alice", "secret");
    let act = |action: &str| {
        let target = "projects.local.schemas.default.tables.b";
        alice.post(&format!("/api/storage/v3?Action={action}&Target={target}{stream}"), "{}").status
    };
    let actions =
        ["TableGetWriteSchema", "TableGetWriteSession", "TableGetWriteStream", "TableWrite", "TableWriteBlob"];
    assert_eq!(actions.map(act), [403; 5]);
    let read = |caller: &Caller<'_>, reference: &str| {
        let body = format!("{{\"BlobReferences\":[\"{reference}\"]}}");
        caller.post("/api/storage/v3?Action=BlobRead&Target=generic.blob", &body).status
    };
    assert_eq!((read(&alice, &used), read(&alice, &unused)), (403, 200), "what no row holds has no table to ask for");
    server.run("grant Describe, Update on table b to user RAM$alice; grant Select on table b(id) to user RAM$alice");
    assert_eq!(actions.map(act), [200, 200, 200, 400, 400]);
    assert_eq!(read(&alice, &used), 403);
    server.run("grant Select on table b to user RAM$alice");
    assert_eq!(read(&alice, &used), 200);
    server.run("setproject odps.security.enabledownloadprivilege=true");
    assert_eq!(read(&alice, &used), 403);
    server.run("grant Download on table b to user RAM$alice");
    assert_eq!(read(&alice, &used), 200);
    server.run("set ProjectProtection=true");
    let owner = server.owner();
    assert_eq!([read(&alice, &used), read(&alice, &unused), read(&owner, &used), read(&owner, &unused)], [403; 4]);
}

#[test]
fn refreshing_asks_for_the_columns_of_the_predicate_again() {
    let (_root, server) = start(&["--profile", "strict", "--check-each-read"]);
    server.run("add user RAM$alice; grant Describe, Select on table t to user RAM$alice");
    let alice = server.as_key("alice", "secret");
    let body = "{\"RequiredDataColumns\":[\"id\"],\"FilterPredicate\":\"name = 'name 1'\"}";
    let id = alice.post(&sessions("t"), body).json()["SessionId"].as_str().unwrap().to_string();
    let refresh = || {
        let target = sessions("t").replace("sessions?", &format!("sessions/{id}?"));
        alice.get(&format!("{target}&session_refresh=true")).status
    };
    let read = || alice.get(&data("t", &format!("session_id={id}&split_index=0"))).status;
    assert_eq!((refresh(), read()), (200, 200));
    server.run("revoke Select on table t from user RAM$alice; grant Select on table t(id) to user RAM$alice");
    assert_eq!((refresh(), read()), (403, 403));
}

#[test]
fn ways_around_that_a_colleague_tries() {
    let (root, server) = start_two();
    drop(server);
    root.load("other.default.o", &root.parquet("o.parquet", &numbers(0, 10)), &[]);
    root.declare(&Declared::delta("d", &[("id", "bigint", false), ("a", "string", true)], "id"));
    let server = root.serve(&["--profile", "strict"]);
    let (alice, owner) = (server.as_key("alice", "secret"), server.owner());
    assert!(sql(&owner, "insert into d values (1, 'x')").0);
    assert!(sql(&owner, "create table secret as select * from t").0);
    let owned = run_sql(&owner, "select * from t");
    let result = owned.rsplit('/').next().unwrap();
    // The hidden table of a result has no address.
    for project in ["%23instances", "#instances"] {
        let target = format!(
            "/api/storage/v1/projects/{project}/schemas/default/tables/{result}/sessions?session_type=batch_read"
        );
        assert!([400, 401, 403, 404].contains(&owner.post(&target, "{}").status), "{project}");
    }
    let refused = |statement: &str| {
        let (done, text) = sql(&alice, statement);
        assert!(!done && (text.contains("[40") || text.contains("is not a name")), "{statement}: {text}");
    };
    for statement in [
        "select * from d version as of 1",
        "select a from d timestamp as of datetime'2026-01-02 03:04:05'",
        "select * from other.o",
        "create table mine like secret",
        "create table mine as select * from secret",
        "create materialized view mine as select * from secret",
        "create materialized view other.default.mine as select 1 x",
        "insert into other.o select 1, 'x'",
        "insert into t values (1, 'x')",
        "describe secret",
        "describe extended secret",
        "show create table secret",
        "show tables in other",
        "alter table secret rename to mine",
        "drop table secret",
        "drop schema default",
        "truncate table secret",
        &format!("select * from `#instances`.`default`.`{result}`"),
    ] {
        refused(statement);
    }
    // A view that is filled later is filled with the rights of whoever fills it.
    server.run("grant Describe, Select on table secret to user RAM$alice");
    assert!(sql(&alice, "create materialized view later build deferred as select * from secret").0);
    server.run("revoke Select on table secret from user RAM$alice");
    refused("alter materialized view later rebuild");
    // Columns by every reader: incremental, preview, tunnel, CSV, statements.
    server.run("grant Describe on table d to user RAM$alice; grant Select on table d(id) to user RAM$alice");
    let incremental = "{\"SplitOptions\":{\"SplitMode\":\"Bucket\"},\"IncrementalRead\":true,\"IncrementalReadOptions\":{\"Mode\":\"cdc\",\"StartVersion\":0,\"EndVersion\":2}}";
    assert_eq!(alice.post(&sessions("d"), incremental).status, 403);
    let preview = "/api/storage/v3?Action=TablePreview&Target=projects.local.tables.d";
    assert_eq!(alice.post(preview, "{}").status, 403);
    assert_eq!(alice.post(preview, "{\"Columns\":[\"id\"]}").status, 200);
    assert_eq!(alice.post("/projects/local/tables/d?downloads", "").status, 403);
    for statement in [
        "select cast(a as string) from d",
        "select id + cast(a as bigint) from d",
        "select count(*) from d where a = 'x'",
        "select id from d where not (a is null)",
        "select * from d",
        "select id as a from d order by a limit 1",
    ] {
        let (done, _) = sql(&alice, statement);
        assert_eq!(done, statement.starts_with("select id as a"), "{statement}");
    }
    // Names in other cases are the same names.
    server.run("create role never; grant never to RAM$alice; grant Select on table d to user RAM$alice");
    let deny = "{\"Version\":\"1\",\"Statement\":[{\"Effect\":\"Deny\",\"Action\":\"odps:select\",\"Resource\":\"acs:odps:*:projects/LOCAL/tables/D\"}]}";
    assert!(sql(&alice, "select * from d").0);
    server.run(&format!("put policy {deny} on role never"));
    for statement in ["select * from d", "select * from LOCAL.`default`.D", "select * from D"] {
        refused(statement);
    }
    assert_eq!(
        alice
            .post("/api/storage/v1/projects/Local/schemas/DEFAULT/tables/D/sessions?session_type=batch_read", "{}")
            .status,
        403
    );
    // The pages of the operator are not hers over a signed call with another host.
    let faults = |caller: &Caller<'_>| caller.send("DELETE", "/_maxstorage/faults", None).status;
    drop(server);
    let server = root.serve(&["--profile", "strict", "--admin-needs-key"]);
    assert_eq!((faults(&server.as_key("alice", "secret")), faults(&server.owner())), (403, 200));
    assert_eq!(server.raw("GET", "/metrics", None, &[]).status, 401);
}

#[cfg(unix)]
#[test]
fn the_root_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let root = Root::new();
    let place = root.path();
    let file = root.parquet("t.parquet", &numbers(0, 10));
    root.load("local.default.t", &file, &[]);
    drop(root.serve(&["--tls-dev"]));
    let server = root.serve(&[]);
    server.run("setproject odps.storage.encryption=true");
    let mode = |name: &str| {
        std::fs::metadata(place.join(name)).unwrap_or_else(|e| panic!("{name}: {e}")).permissions().mode() & 0o777
    };
    for name in ["data", "keys", "tls"] {
        assert_eq!(mode(name), 0o700, "{name}");
    }
    for name in ["catalog.sqlite", "catalog.sqlite-wal", "catalog.sqlite-shm", "keys/root.key", "keys/local.json"] {
        assert_eq!(mode(name), 0o600, "{name}");
    }
    for file in root.data_files() {
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{}", file.display());
    }
    drop(server);
    // What an earlier version left open is closed at the next start.
    for (name, mode) in [("catalog.sqlite", 0o644), ("data", 0o755)] {
        std::fs::set_permissions(place.join(name), std::fs::Permissions::from_mode(mode)).unwrap();
    }
    let _server = root.serve(&[]);
    assert_eq!((mode("catalog.sqlite"), mode("data")), (0o600, 0o700));
}
