//! Who may do what: the order of checks of service-behaviour.md 3.2 and the error of each case.

mod common;

use common::governance::{Caller, OWNER, PAGE_POLICY, code, no, sql, start, start_two, submit_as};
use common::{Root, STORAGE, base, data, numbers, sessions};

const PAYG: &str = "quotaName=pay-as-you-go";

#[test]
fn pay_as_you_go_opens_as_the_product_page_says() {
    let (_root, server) = start(&["--profile", "strict"]);
    let create = || server.post(&format!("{}&{PAYG}", sessions("t")), "{}");
    let off = create();
    assert_eq!(code(&off), no());
    server.run("set tenant property storage_api_switch=true");
    let ungranted = create();
    assert_eq!(code(&ungranted), no());
    assert_ne!(off.json()["Message"], ungranted.json()["Message"]);
    server.run(&format!("create tenant role payg with policy {PAGE_POLICY}"));
    assert_eq!(code(&create()), no());
    server.run(&format!("Add tenant user <{OWNER}>; Grant tenant role <payg> to user <{OWNER}>;"));
    let session = create();
    assert_eq!(session.status, 201, "{}", session.text());
    let id = session.json()["SessionId"].as_str().unwrap().to_string();
    // With and without the name: the session knows its quota.
    for more in ["", "&quotaName=pay-as-you-go"] {
        let rows = server.get(&data("t", &format!("session_id={id}&split_index=0{more}"))).batch();
        assert_eq!(rows.num_rows(), 100);
    }
    assert!(server.run("Show grants for tenant role <payg>;").contains("quotas/pay-as-you-go"));
    server.run(&format!("Revoke tenant role payg from user {OWNER}"));
    assert_eq!(code(&create()), no());
    // A role for another quota, and one that lists only, open nothing.
    for (role, policy) in
        [("other", PAGE_POLICY.replace("pay-as-you-go", "etl")), ("half", PAGE_POLICY.replace("\"odps:List\", ", ""))]
    {
        server
            .run(&format!("create tenant role {role} with policy {policy}; grant tenant role {role} to user {OWNER}"));
        assert_eq!(code(&create()), no());
    }
    // A denial beats a permission.
    server.run(&format!("grant tenant role payg to user {OWNER}"));
    assert_eq!(create().status, 201);
    let deny = PAGE_POLICY.replace("Allow", "Deny").replace("quotas/pay-as-you-go", "quotas/*");
    server.run(&format!("create tenant role never with policy {deny}; grant tenant role never to user {OWNER}"));
    assert_eq!(code(&create()), no());
}

#[test]
fn a_quota_that_is_named_at_discovery_goes_with_the_endpoint() {
    let (_root, server) = start(&["--profile", "strict"]);
    server.run("create quota group1#etl slots 5");
    let discovered = server.get("/api/projects/local/tunnel?service&quotaName=group1%23etl").text();
    let route = discovered.strip_prefix(&format!("127.0.0.1:{}", server.port)).unwrap();
    assert_eq!(route, "/quota/group1.etl");
    // Clients sign the path below their endpoint; some the whole path.
    let target = sessions("t");
    let routed = format!("{route}{target}");
    for signed in [&target, &routed] {
        let answer = server.raw("POST", &routed, Some("{}"), &server.sign("POST", signed, Some("{}")));
        assert_eq!(code(&answer), no());
        assert!(answer.text().contains("quotas/group1#etl"), "{}", answer.text());
    }
    let policy = PAGE_POLICY.replace("pay-as-you-go", "group1#*");
    server.run(&format!("create tenant role etl with policy {policy}; grant tenant role etl to user {OWNER}"));
    let answer = server.raw("POST", &routed, Some("{}"), &server.sign("POST", &target, Some("{}")));
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(server.get("/api/projects/local/tunnel?service").text(), format!("127.0.0.1:{}", server.port));
    // The flag of a write session of version 2 names a quota as well.
    let write = "/api/storage/v2?Action=TableCreateWriteSession&Target=projects.local.schemas.default.tables.t";
    let create = |quota: &str| {
        let body = format!("{{\"Flags\":{{\"quota_name\":\"{quota}\"}}}}");
        server.raw("POST", write, Some(&body), &server.sign("POST", write, Some(&body)))
    };
    assert_eq!(code(&create("pay-as-you-go")), no());
    assert_eq!(create("group1#etl").status, 200, "{}", create("group1#etl").text());
}

#[test]
fn unknown_quotas_fail_by_name_unless_everything_is_allowed() {
    let (root, server) = start(&["--profile", "strict"]);
    let target = format!("{}&quotaName=no_such_quota", sessions("t"));
    let answer = server.post(&target, "{}");
    assert_eq!(code(&answer), (400, "InvalidArgument".into()));
    assert!(answer.text().contains("no_such_quota"));
    let discovery = server.get("/api/projects/local/tunnel?service&quotaName=no_such_quota");
    assert_eq!(discovery.status, 404);
    assert!(discovery.text().contains("<Code>NoSuchObject</Code>") && discovery.text().contains("no_such_quota"));
    assert_eq!(server.get("/api/projects/local/tunnel?service&quotaName=default").status, 200);
    drop(server);
    let server = root.serve(&[]);
    assert_eq!(server.post(&target, "{}").status, 201);
    assert_eq!(server.get("/api/projects/local/tunnel?service&quotaName=no_such_quota").status, 200);
}

#[test]
fn a_user_needs_project_quota_and_table_and_loses_them_again() {
    let (_root, server) = start(&["--profile", "strict"]);
    let alice = server.as_key("alice", "secret");
    let create = || alice.post(&sessions("t"), "{}");
    let message = || create().json()["Message"].as_str().unwrap().to_string();
    assert!(message().contains("[4002]"), "{}", message());
    server.run("add user RAM$alice");
    assert!(message().contains("odps:Describe"), "{}", message());
    server.run("grant Describe on table t to user RAM$alice");
    assert!(message().contains("odps:Select"), "{}", message());
    server.run("grant Select on table t to user RAM$alice");
    let session = create();
    assert_eq!(session.status, 201, "{}", session.text());
    let id = session.json()["SessionId"].as_str().unwrap().to_string();
    let read = || alice.get(&data("t", &format!("session_id={id}&split_index=0")));
    let refresh = || {
        let target = sessions("t").replace("sessions?", &format!("sessions/{id}?"));
        alice.get(&format!("{target}&session_refresh=true"))
    };
    assert_eq!(read().batch().num_rows(), 100);
    assert_eq!(refresh().status, 200);
    // Rights are looked at when a session is created or refreshed.
    server.run("revoke Select on table t from user RAM$alice");
    assert_eq!(code(&create()), no());
    assert_eq!(read().batch().num_rows(), 100);
    assert_eq!(code(&refresh()), no());
    // By a role, and by its policy.
    server.run("create role reader; grant Describe, Select on table t to role reader; grant reader to RAM$alice");
    assert_eq!(create().status, 201);
    server.run("revoke Select on table t from role reader");
    assert_eq!(code(&create()), no());
    server.run("grant Select on table * to role reader privilegeproperties(\"policy\"=\"true\",\"allow\"=\"true\")");
    assert_eq!(create().status, 201);
    server.run("grant Select on table t to role reader privilegeproperties(\"policy\"=\"true\",\"allow\"=\"false\")");
    assert_eq!(code(&create()), no());
    assert!(message().contains("[4011]"), "{}", message());
    server.run("remove user RAM$alice");
    assert_eq!(code(&read()), no());
}

#[test]
fn each_read_is_checked_on_request() {
    let (_root, server) = start(&["--profile", "strict", "--check-each-read"]);
    server.run("add user RAM$alice; grant Describe, Select on table t to user RAM$alice");
    let alice = server.as_key("alice", "secret");
    let session = alice.post(&sessions("t"), "{}").json();
    let target = data("t", &format!("session_id={}&split_index=0", session["SessionId"].as_str().unwrap()));
    assert_eq!(alice.get(&target).status, 200);
    server.run("revoke Select on table t from user RAM$alice");
    assert_eq!(code(&alice.get(&target)), no());
}

#[test]
fn the_first_check_that_fails_is_the_one_that_is_told() {
    let (root, server) = start(&["--profile", "strict"]);
    drop(server);
    let server = root.serve(&["--profile", "strict", "--project", "other"]);
    server.run("create quota closed slots 1; set tenant property storage_api_switch=true");
    let alice = server.as_key("alice", "secret");
    let target = |project: &str, table: &str, quota: &str| {
        let base = format!("{STORAGE}/projects/{project}/schemas/default/tables/{table}/sessions");
        format!("{base}?session_type=batch_read&quotaName={quota}")
    };
    let column = "{\"RequiredDataColumns\":[\"nope\"]}";
    let error = |target: &str, body: &str| code(&alice.post(target, body));
    let code = |status: u16, code: &str| (status, code.to_string());
    // Everything is wrong; one thing after the other is put right.
    assert_eq!(error(&target("nope", "nope", "nope"), "{"), code(400, "InvalidArgument"));
    let stranger = server.as_key("nobody", "x").post(&target("nope", "nope", "nope"), column);
    assert_eq!(stranger.error(), code(401, "Unauthorized"));
    assert_eq!(error(&target("nope", "nope", "nope"), column), code(404, "NoSuchProject"));
    assert_eq!(error(&target("local", "nope", "nope"), column), code(403, "NoPermission"));
    server.run("add user RAM$alice");
    assert_eq!(error(&target("local", "nope", "nope"), column), code(400, "InvalidArgument"));
    assert_eq!(error(&target("local", "nope", "closed"), column), code(403, "NoPermission"));
    let policy = PAGE_POLICY.replace("pay-as-you-go", "closed");
    server.run(&format!(
        "create tenant role r with policy {policy}; add tenant user RAM$alice; grant tenant role r to user RAM$alice"
    ));
    assert_eq!(error(&target("local", "nope", "closed"), column), code(404, "NoSuchTable"));
    assert_eq!(error(&target("local", "t", "closed"), column), code(403, "NoPermission"));
    server.run("grant Describe, Select on table t to user RAM$alice");
    assert_eq!(error(&target("local", "t", "closed"), column), code(400, "InvalidColumnSpec"));
    assert_eq!(alice.post(&target("local", "t", "closed"), "{}").status, 201);
    // A member of one project is a stranger in the other.
    assert_eq!(error(&target("other", "t", "closed"), "{}"), code(403, "NoPermission"));
}

#[test]
fn download_control_and_project_protection() {
    let (_root, server) = start(&["--profile", "strict"]);
    server.run("add user RAM$alice; grant Describe, Select on table t to user RAM$alice");
    let alice = server.as_key("alice", "secret");
    let create = || alice.post(&sessions("t"), "{}");
    assert_eq!(create().status, 201);
    server.run("setproject odps.security.enabledownloadprivilege=true");
    assert!(create().text().contains("odps:Download"));
    server.run("grant Download on table t to user RAM$alice");
    assert_eq!(create().status, 201);
    server.run("set ProjectProtection=true");
    assert_eq!(code(&create()), no());
    assert!(create().text().contains("[4021]"));
    assert_eq!(code(&server.post(&sessions("t"), "{}")), no(), "whatever the caller's rights");
    server.run(
        "set ProjectProtection=true with exception {\"Version\":\"1\",\"Statement\":[{\"Effect\":\"Allow\",\
         \"Principal\":\"RAM$local@localhost:alice\",\"Action\":\"odps:Select\",\"Resource\":\"acs:odps:*:projects/local/tables/t\"}]}",
    );
    assert_eq!(create().status, 201);
    assert_eq!(code(&server.post(&sessions("t"), "{}")), no());
    server.run("set ProjectProtection=false");
    assert_eq!(server.post(&sessions("t"), "{}").status, 201);
}

#[test]
fn columns_by_grant_and_by_label() {
    let (_root, server) = start(&["--profile", "strict"]);
    server.run("add user RAM$alice; grant Describe on table t to user RAM$alice; grant Select on table t(id) to user RAM$alice");
    let alice = server.as_key("alice", "secret");
    let create = |body: &str| alice.post(&sessions("t"), body);
    let id = "{\"RequiredDataColumns\":[\"ID\"]}";
    assert_eq!(code(&create("{}")), no());
    assert_eq!(create(id).status, 201);
    // A predicate tells something about its columns.
    let filtered = "{\"RequiredDataColumns\":[\"id\"],\"FilterPredicate\":\"name = 'name 1'\"}";
    assert_eq!(code(&create(filtered)), no());
    server.run("grant Select on table t to user RAM$alice");
    assert_eq!(create("{}").status, 201);
    server.run("set label 3 to table t(name); set LabelSecurity=true");
    assert_eq!(code(&create("{}")), no());
    assert_eq!(code(&create(filtered)), no());
    assert_eq!(create(id).status, 201);
    server.run("set label 3 to user RAM$alice");
    assert_eq!(create("{}").status, 201);
    server.run("set label 2 to user RAM$alice; set label 9 to table t");
    assert_eq!(code(&create(id)), no());
}

#[test]
fn writing_needs_update_and_alter_for_new_partitions() {
    let root = Root::new();
    let file = root.parquet("t.parquet", &numbers(0, 10));
    root.load("local.default.t", &file, &[]);
    root.load("local.default.parted", &file, &["--partition", "ds=1"]);
    let server = root.serve(&["--profile", "strict"]);
    server.create_user("alice");
    server.run("add user RAM$alice; grant Describe, Select on table t to user RAM$alice");
    let alice = server.as_key("alice", "secret");
    let create = |table: &str, body: &str| alice.post(&sessions(table).replace("batch_read", "batch_write"), body);
    assert_eq!(code(&create("t", "{}")), no());
    server.run("grant Update on table t to user RAM$alice");
    assert_eq!(create("t", "{}").status, 201);
    server.run("grant Describe, Update on table parted to user RAM$alice");
    let there = "{\"PartitionSpec\":\"ds=1\"}";
    let fresh = "{\"PartitionSpec\":\"ds=2\"}";
    assert_eq!(create("parted", there).status, 201, "{}", create("parted", there).text());
    // Whether a write makes a partition is known when it is committed.
    let id = create("parted", fresh).json()["SessionId"].as_str().unwrap().to_string();
    let commit = || alice.post(&format!("{}/commit?session_id={id}", base("parted")), "{\"CommitMessages\":[]}");
    assert_eq!(code(&commit()), no());
    server.run("grant Alter on table parted to user RAM$alice");
    assert_eq!(commit().status, 201, "{}", commit().text());
}

#[test]
fn bearer_tokens_act_for_their_principal_within_their_policy() {
    let (_root, server) = start(&["--profile", "strict"]);
    server.run(
        "create bearer token 'short' expires 0 for user RAM$alice; create bearer token 'ticket' for user RAM$alice",
    );
    let with = |token: &str| {
        let headers = [("x-odps-bearer-token".to_string(), token.to_string())];
        server.raw("POST", &sessions("t"), Some("{}"), &headers)
    };
    assert_eq!(code(&with("ticket")), no());
    server.run("add user RAM$alice; grant Describe, Select on table t to user RAM$alice");
    assert_eq!(with("ticket").status, 201);
    assert_eq!(code(&with("short")), (401, "AuthenticationRequestExpired".into()));
    assert_eq!(code(&with("nonsense")), (401, "Unauthorized".into()));
    // A token of the owner that allows Describe only.
    let sign = |policy: &str| {
        let body = format!("{{\"expires_in_hours\":1,\"policy\":{policy}}}");
        let answer = server.post("/api/projects/local/authorization?sign_bearer_token", &body);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let text = answer.text();
        text.split("<Result>").nth(1).unwrap().split('<').next().unwrap().to_string()
    };
    let allow = |actions: &str| {
        let statement = format!(
            "{{\"Effect\":\"Allow\",\"Action\":[{actions}],\"Resource\":\"acs:odps:*:projects/local/tables/t\"}}"
        );
        sign(&format!("{{\"Version\":\"1\",\"Statement\":[{statement}]}}"))
    };
    assert_eq!(code(&with(&allow("\"odps:Describe\""))), no());
    assert_eq!(with(&allow("\"odps:Describe\",\"odps:Select\"")).status, 201);
    assert_eq!(with(&sign("null")).status, 201);
    server.run("drop bearer token 'ticket'; drop access key 'alice'");
    assert_eq!(code(&with("ticket")), (401, "Unauthorized".into()));
    assert_eq!(code(&server.as_key("alice", "secret").post(&sessions("t"), "{}")), (401, "Unauthorized".into()));
}

#[test]
fn security_documents() {
    let (_root, server) = start(&["--profile", "strict"]);
    server.run("add user RAM$alice; create role reader; grant reader to RAM$alice; create quota group1#etl slots 7");
    let text = |target: &str| {
        let answer = server.get(target);
        assert_eq!(answer.status, 200, "{target}: {}", answer.text());
        answer.text()
    };
    assert_eq!(server.get("/api/tenants").json()["Tenant"]["Parameters"]["storage_api_switch"], "false");
    assert!(text("/api/quotas?project=local&version=wlm").contains("<Nickname>pay-as-you-go</Nickname>"));
    let quota = text("/api/quotas/group1%23etl?project=local&version=wlm");
    assert!(quota.contains("<CPU>7</CPU>") && quota.contains("<ParentNickname>group1</ParentNickname>"), "{quota}");
    assert_eq!(server.get("/api/quotas/nope?project=local&version=wlm").status, 404);
    assert!(text("/api/projects/local/users").contains("<DisplayName>RAM$local@localhost:alice</DisplayName>"));
    assert!(text("/api/projects/local/users/RAM$local@localhost:alice?roles").contains("<Name>reader</Name>"));
    assert!(text("/api/projects/local/roles").contains("<Name>reader</Name>"));
    assert!(text("/api/projects/local/roles/reader?users").contains("alice"));
    let put = server.send("PUT", "/api/projects/local/roles/reader?policy", Some(PAGE_POLICY), &[]);
    assert_eq!(put.status, 200, "{}", put.text());
    assert_eq!(text("/api/projects/local/roles/reader?policy"), PAGE_POLICY);
    let put = server.send("PUT", "/api/tenants/_empty_tenant_/authorization/roles/r?policy", Some(PAGE_POLICY), &[]);
    assert_eq!(put.status, 404);
    server.run("create tenant role r");
    let target = "/api/tenants/_empty_tenant_/authorization/roles/r?policy";
    assert_eq!(server.send("PUT", target, Some(PAGE_POLICY), &[]).status, 200);
    assert_eq!(server.get(target).json()["Policy"], PAGE_POLICY);
    let configuration = "/api/projects/local?security_configuration";
    assert!(text(configuration).contains("<ProjectProtection Protected=\"false\">"));
    let body = "<SecurityConfiguration><LabelSecurity>true</LabelSecurity><ProjectProtection Protected=\"true\"/>\
                <CheckPermissionUsingAcl>true</CheckPermissionUsingAcl></SecurityConfiguration>";
    assert_eq!(server.send("PUT", configuration, Some(body), &[]).status, 200);
    let changed = text(configuration);
    assert!(changed.contains("<LabelSecurity>true<") && changed.contains("Protected=\"true\""), "{changed}");
    let alice = server.as_key("alice", "secret");
    assert_eq!(alice.send("PUT", configuration, Some(body)).status, 403);
    assert_eq!(alice.authorize("add user RAM$bob").status, 403);
    assert_eq!(alice.authorize("select 1").status, 400);
}

#[test]
fn metadata_is_for_those_who_may_see_it() {
    let (_root, server) = start(&["--profile", "strict"]);
    let alice = server.as_key("alice", "secret");
    let status = |path: &str| alice.get(&format!("/api/projects/local{path}")).status;
    let all = ["", "/tunnel?service", "/schemas", "/tables", "/tables/t"];
    assert_eq!(all.map(status), [403; 5]);
    assert_eq!(alice.get("/api/projects/nope").status, 404);
    server.run("add user RAM$alice");
    assert_eq!(all.map(status), [200, 200, 200, 403, 403]);
    server.run("grant List on project local to user RAM$alice; grant Describe on table t to user RAM$alice");
    assert_eq!(all.map(status), [200; 5]);
    assert_eq!(status("/tables/nope"), 404);
}

#[test]
fn a_preview_in_csv_needs_what_reading_needs() {
    let (_root, server) = start(&["--profile", "strict"]);
    server.run("add user RAM$alice; grant Describe on table t to user RAM$alice");
    let alice = server.as_key("alice", "secret");
    let status = |more: &str| alice.get(&format!("/api/projects/local/tables/t?data&linenum=3{more}")).status;
    assert_eq!(status(""), 403);
    server.run("grant Select on table t(id) to user RAM$alice");
    assert_eq!([status(""), status("&cols=name"), status("&cols=ID")], [403, 403, 200]);
    server.run("grant Select on table t to user RAM$alice");
    assert_eq!(status(""), 200);
    server.run("setproject odps.security.enabledownloadprivilege=true");
    assert_eq!(status(""), 403);
    server.run("grant Download on table t to user RAM$alice; set ProjectProtection=true");
    assert_eq!(status(""), 403);
    assert_eq!(server.get("/api/projects/local/tables/t?data").status, 403);
    server.run("set ProjectProtection=false");
    assert_eq!(status(""), 200);
    assert_eq!(alice.get("/api/projects/local/tables/nope?data").status, 404);
}

#[test]
fn instances_are_for_their_owners_and_the_administrators() {
    let (_root, server) = start_two();
    let (alice, owner) = (server.as_key("alice", "secret"), server.owner());
    let theirs = submit_as(&owner, "select * from t", "same");
    let own = submit_as(&alice, "select 1", "same");
    assert_ne!(theirs, own, "an id is repeated by one owner only");
    assert_eq!(submit_as(&alice, "select 1", "same"), own);
    let id = theirs.rsplit('/').next().unwrap();
    for query in ["", "?taskstatus", "?result", "?source", "?instancestatus"] {
        assert_eq!(alice.get(&format!("{theirs}{query}")).status, 403, "{query}");
        assert_eq!(alice.get(&format!("{own}{query}")).status, 200, "{query}");
        assert_eq!(owner.get(&format!("{own}{query}")).status, 200, "{query}");
    }
    let end = "<Instance><Status>Terminated</Status></Instance>";
    assert_eq!(alice.send("PUT", &theirs, Some(end)).status, 403);
    let downloads = format!("/projects/local/instances/{id}?downloads");
    let action = |action: &str| format!("/api/storage/v2?Action={action}&Target=projects.local.instances.{id}");
    let create = action("InstanceCreateReadSession");
    assert_eq!(alice.post(&create, "{}").status, 403);
    assert_eq!(alice.post(&downloads, "").status, 403);
    let session = owner.post(&create, "{}").json();
    let session = session["DownloadID"].as_str().unwrap().to_string();
    for name in ["InstanceGetReadSession", "InstanceRead"] {
        let target = format!("{}&SessionId={session}", action(name));
        assert_eq!((alice.post(&target, "{}").status, owner.post(&target, "{}").status), (403, 200), "{name}");
    }
    let session = owner.post(&downloads, "").json()["DownloadID"].as_str().unwrap().to_string();
    for more in ["", "&data&rowrange=(0,1)"] {
        let target = format!("/projects/local/instances/{id}?downloadid={session}{more}");
        assert_eq!((alice.get(&target).status, owner.get(&target).status), (403, 200), "{more}");
    }
    let listed = |caller: &Caller<'_>| caller.get("/api/projects/local/instances").text().matches("<Instance>").count();
    assert_eq!((listed(&alice), listed(&owner)), (1, 2));
    // A stranger does not find out what was submitted before.
    server.run("remove user RAM$alice");
    assert_eq!(alice.get(&own).status, 403);
}

#[test]
fn instances_keep_no_secrets() {
    let (_root, server) = start(&["--profile", "strict"]);
    let owner = server.owner();
    for statement in [
        "create access key 'k' secret 'hush' token 'hush' for user RAM$alice; show grants",
        "create access key k secret hush for user RAM$alice",
        "create access key secret secret hush for user RAM$alice",
        "create bearer token 'hush' for user RAM$alice",
        "drop bearer token -- the one
         'hush'",
        "create access key 'k' secret 'hush",
    ] {
        let source = owner.get(&format!("{}?source", submit_as(&owner, statement, ""))).text();
        assert!(!source.contains("hush"), "{source}");
    }
    let source = owner.get(&format!("{}?source", submit_as(&owner, "select 'hush'  x", ""))).text();
    assert!(source.contains("<Query>select 'hush'  x"), "{source}");
    assert_eq!(server.as_key("k", "hush").get("/api/tenants").status, 200, "the statement itself is not masked");
}

#[test]
fn web_pages_are_not_the_operator() {
    let (_root, server) = start(&["--profile", "strict"]);
    let body = "{\"project\":\"local\",\"statement\":\"list users\"}";
    let status = |headers: &[(&str, &str)]| {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        server.raw("POST", "/_maxstorage/statements", Some(body), &headers).status
    };
    let json = ("content-type", "application/json");
    assert_eq!(status(&[json]), 200);
    assert_eq!(status(&[json, ("sec-fetch-site", "same-origin")]), 200);
    assert_eq!(status(&[]), 401);
    assert_eq!(status(&[("content-type", "text/plain")]), 401);
    assert_eq!(status(&[json, ("origin", "http://127.0.0.1")]), 401);
    assert_eq!(status(&[json, ("sec-fetch-site", "cross-site")]), 401);
    assert_eq!(status(&[json, ("sec-fetch-site", "same-site")]), 401);
    // What is signed needs none of this.
    assert_eq!(server.owner().post("/_maxstorage/statements", body).status, 200);
}

#[test]
fn replacing_a_table_needs_the_right_to_drop_it() {
    let (_root, server) = start_two();
    let alice = server.as_key("alice", "secret");
    let (done, text) = sql(&alice, "create or replace table t (x bigint)");
    assert!(!done && text.contains("odps:Drop"), "{text}");
    assert_eq!(server.count("t", "{}"), 100);
    assert!(sql(&alice, "create table mine (x bigint)").0);
    assert!(sql(&alice, "create or replace table mine (y bigint)").0);
    server.run("grant Drop on table t to user RAM$alice");
    assert!(sql(&alice, "create or replace table t (x bigint)").0);
}

#[test]
fn a_condition_needs_rights_on_its_columns() {
    let (_root, server) = start_two();
    server.run("grant Describe on table t to user RAM$alice; grant Select on table t(id) to user RAM$alice");
    let alice = server.as_key("alice", "secret");
    assert!(sql(&alice, "select id from t where id = 1").0);
    for statement in ["select id from t where name = 'name 1'", "select count(*) from t where name = 'name 1'"] {
        let (done, text) = sql(&alice, statement);
        assert!(!done && text.contains("NO privilege on these columns"), "{text}");
    }
}

#[test]
fn lists_and_names_tell_nothing_about_what_is_not_ones_own() {
    let (root, server) = start_two();
    drop(server);
    let file = root.parquet("o.parquet", &numbers(0, 10));
    root.load("other.default.o", &file, &[]);
    let server = root.serve(&["--profile", "strict"]);
    let alice = server.as_key("alice", "secret");
    let projects = alice.get("/api/projects").text();
    assert!(projects.contains("<Name>local</Name>") && !projects.contains("<Name>other</Name>"), "{projects}");
    assert!(server.get("/api/projects").text().contains("<Name>other</Name>"));
    let load = |name: &str, project: &str| {
        let body = format!("<Tables><Table><Project>{project}</Project><Name>{name}</Name></Table></Tables>");
        alice.post("/api/projects/local/tables?query", &body).text()
    };
    let extended = || alice.get("/api/projects/local/tables?extended").text();
    assert!(!load("t", "local").contains("<Name>t") && !load("o", "other").contains("<Name>o"));
    assert!(extended().contains("<Name>t</Name>") && !extended().contains("<Schema"), "{}", extended());
    server.run("grant Describe on table t to user RAM$alice");
    assert!(load("t", "local").contains("<Name>t</Name>"), "{}", load("t", "local"));
    assert!(extended().contains("<Schema"), "{}", extended());
    let told = |statement: &str| sql(&alice, statement).1;
    for statement in ["show schemas in other", "describe schema other.default"] {
        assert!(told(statement).contains("[4002]"), "{}", told(statement));
    }
    for name in ["other.o", "other.nope", "other.nope.o"] {
        let text = told(&format!("select * from {name}"));
        assert!(text.contains("[4002]"), "{text}");
    }
}

#[test]
fn rows_of_a_protected_project_stay_in_it() {
    let (_root, server) = start_two();
    let owner = server.owner();
    assert!(sql(&owner, "create table other.default.o (id bigint, name string)").0);
    let out = "insert into other.default.o select id, name from t limit 1";
    assert!(sql(&owner, out).0);
    server.run("set ProjectProtection=true");
    for statement in [out, "create table other.default.p as select id, name from t"] {
        let (done, text) = sql(&owner, statement);
        assert!(!done && text.contains("[4021]"), "{text}");
    }
    assert!(sql(&owner, "create table within as select id, name from t").0);
    server.run("set ProjectProtection=false");
    assert!(sql(&owner, out).0);
}

#[test]
fn everything_is_allowed_in_profile_dev() {
    let (_root, server) = start(&[]);
    server.run("set ProjectProtection=true; setproject odps.security.enabledownloadprivilege=true");
    let alice = server.as_key("alice", "secret");
    assert_eq!(alice.post(&format!("{}&{PAYG}", sessions("t")), "{}").status, 201);
    assert_eq!(alice.authorize("add user RAM$bob").status, 200);
}
