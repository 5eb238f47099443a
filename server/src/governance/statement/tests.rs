use super::*;
use crate::catalog::{Column, NewTable};
use crate::types::Type;

const PAGE_POLICY: &str = r#"{ "Statement": [{ "Action": [ "odps:List", "odps:Usage"], "Effect": "Allow",
    "Resource": ["acs:odps:*:regions/*/quotas/pay-as-you-go"]}], "Version": "1" }"#;

struct Fixture {
    _root: tempfile::TempDir,
    catalog: Catalog,
}

impl Fixture {
    fn new() -> Fixture {
        let root = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(root.path()).unwrap();
        catalog.ensure_project("p").unwrap();
        let columns = [Column::new("a", Type::Int, true), Column::new("b", Type::String, true)];
        catalog.create_table(&NewTable::plain(&"p.default.t".parse().unwrap(), &columns, &[])).unwrap();
        Fixture { _root: root, catalog }
    }

    fn by(&self, by: By<'_>, text: &str) -> Result<Output, ApiError> {
        run(&self.catalog, by, "p", text).unwrap_or_else(|| panic!("not about governance: {text}"))
    }

    fn ok(&self, text: &str) -> Output {
        self.by(By::Operator, text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn code(&self, text: &str) -> (u16, &'static str) {
        self.by(By::Operator, text).map_err(|error| (error.status, error.code)).expect_err(text)
    }

    fn as_user(&self, user: &str, text: &str) -> Result<Output, ApiError> {
        let caller = Caller { principal: user.parse().unwrap(), policy: None, shown: None };
        self.by(By::Caller(&caller), text)
    }
}

#[test]
fn the_statements_of_the_product_page_as_printed() {
    let f = Fixture::new();
    f.ok(&format!("CREATE TENANT ROLE role_name WITH POLICY {PAGE_POLICY};"));
    f.ok("-- Add an Alibaba Cloud account to the tenant and grant a role to the Alibaba Cloud account.
          Add tenant user <Aliyun$xxxx>; Grant tenant role <role_name> to user <Aliyun$xxxx>;
          -- View the permissions of a role or user in the tenant.
          Show grants for tenant role <role_name>; Show grants for tenant user <Aliyun$xxxx>;
          Show principals for tenant [role] <role_name>;");
    assert!(f.ok("Show grants for tenant role role_name").text.contains("quotas/pay-as-you-go: List | Usage"));
    assert!(f.ok("show grants for tenant user ALIYUN$xxxx").text.contains("role_name"));
    for text in ["Show principals for tenant [role] <role_name>", "show principals for tenant role_name;"] {
        assert_eq!(f.ok(text).text, "ALIYUN$xxxx");
    }
    assert_eq!(f.ok("list tenant users").text, "ALIYUN$xxxx");
    assert_eq!(f.ok("list tenant roles").text, "Super_Administrator\nAdmin\nrole_name");
    f.ok("REVOKE tenant role role_name FROM USER ALIYUN$xxxx");
    assert_eq!(f.ok("show principals for tenant role role_name").text, "");
    f.ok("drop tenant role role_name; remove tenant user ALIYUN$xxxx");
    assert_eq!(f.code("drop tenant role role_name"), (404, "NoSuchObject"));
}

#[test]
fn policies_are_put_and_read_back() {
    let f = Fixture::new();
    f.ok("create tenant role r");
    f.ok(&format!("put policy {PAGE_POLICY} on tenant role r"));
    assert_eq!(f.ok("get policy on tenant role r").json, serde_json::from_str::<Value>(PAGE_POLICY).unwrap());
    assert_eq!(f.code("put policy {\"Version\":\"9\",\"Statement\":[]} on tenant role r"), (400, "InvalidParameter"));
    assert_eq!(f.code(&format!("put policy {PAGE_POLICY} on tenant role nobody")), (404, "NoSuchObject"));
    f.ok("create role worker");
    f.ok("grant Download on table * to role worker privilegeproperties(\"policy\"=\"true\", \"allow\"=\"false\")");
    assert!(f.ok("describe role worker").text.contains("D\tprojects/p/tables/*: Download"));
    f.ok("revoke Download on table * from role worker privilegeproperties(\"policy\"=\"true\", \"allow\"=\"false\")");
    assert!(!f.ok("describe role worker").text.contains("Download"));
}

#[test]
fn users_roles_and_privileges_of_a_project() {
    let f = Fixture::new();
    f.ok("add user RAM$alice");
    assert_eq!(f.code("add user RAM$local@localhost:alice"), (409, "ObjectAlreadyExists"));
    assert_eq!(f.code("grant Select on table t to user RAM$bob"), (404, "NoSuchObject"));
    assert_eq!(f.code("grant Select on table missing to user RAM$alice"), (404, "NoSuchObject"));
    assert_eq!(f.code("grant Select on table t(zzz) to user RAM$alice"), (404, "NoSuchObject"));
    assert_eq!(f.code("grant Fly on table t to user RAM$alice"), (400, "ParseError"));
    f.ok("grant describe, SELECT on table default.t to user RAM$alice");
    f.ok("GRANT List, CreateInstance ON PROJECT p TO USER RAM$alice");
    f.ok("create role reader; grant reader to RAM$alice; grant select on table t(a) to role reader");
    let shown = f.ok("show grants for RAM$alice").text;
    for line in [
        "reader",
        "A\tprojects/p: CreateInstance | List",
        "schemas/default/tables/t: Describe | Select",
        "tables/t/a: Select",
    ] {
        assert!(shown.contains(line), "{line} is not in {shown}");
    }
    let acl = f.ok("show acl for t on type table").text;
    assert!(
        acl.contains("user/RAM$local@localhost:alice: Describe | Select") && acl.contains("role/reader: Select(a)"),
        "{acl}"
    );
    assert_eq!(f.ok("show principals reader").text, "RAM$local@localhost:alice");
    assert_eq!(f.ok("list roles").text, "admin\nsuper_administrator\nreader");
    f.ok("revoke Select on table t from user RAM$alice");
    assert_eq!(f.code("revoke Select on table t from user RAM$alice"), (404, "NoSuchObject"));
    f.ok("revoke reader from RAM$alice; remove user RAM$alice");
    assert_eq!(f.ok("list users").text, "");
}

#[test]
fn switches_properties_labels_and_quotas() {
    let f = Fixture::new();
    assert!(f.ok("show SecurityConfiguration").text.contains("ProjectProtection=false"));
    f.ok("set ProjectProtection=true with exception {\"Version\":\"1\",\"Statement\":[{\"Effect\":\"Allow\",\
          \"Principal\":\"ALIYUN$bob\",\"Action\":\"odps:Select\",\"Resource\":\"*\"}]}");
    assert!(f.ok("show SecurityConfiguration").text.contains("ProjectProtection=true"));
    assert_eq!(f.code("set ProjectProtection=perhaps"), (400, "ParseError"));
    assert_eq!(f.code("setproject ProjectProtection=false"), (400, "InvalidParameter"));
    f.ok("setproject odps.security.enabledownloadprivilege=true");
    assert_eq!(f.ok("setproject").json["odps.security.enabledownloadprivilege"], "true");
    f.ok("setproject odps.security.enabledownloadprivilege=");
    assert_eq!(f.code("set label 10 to user RAM$alice"), (400, "ParseError"));
    f.ok("add user RAM$alice; set label 3 to user RAM$alice; set label 4 to table t(b)");
    assert_eq!(f.code("set label 4 to table t(zzz)"), (404, "NoSuchObject"));
    f.ok("create quota group1#etl slots 2");
    f.ok("alter quota group1#etl slots unlimited rate 1000 off");
    assert!(f.ok("list quotas").text.contains("group1#etl exclusive slots=unlimited rate=1000 off"));
    assert!(f.ok("list quotas").text.contains("pay-as-you-go metered slots=1000 rate=10485760 on"));
    assert_eq!(f.code("drop quota default"), (400, "InvalidParameter"));
    f.ok("drop quota group1#etl");
    assert_eq!(f.code("create quota x"), (400, "ParseError"));
    f.ok("set tenant property storage_api_switch = true");
    assert_eq!(f.code("set tenant property other = true"), (400, "InvalidParameter"));
    f.ok("setproject odps.storage.encryption=true");
    assert_eq!(f.ok("setproject").json["odps.storage.encryption.key"], "enabled");
    assert_eq!(f.code("install package x.y"), (501, "NotImplemented"));
}

#[test]
fn other_statements_are_left_alone() {
    let f = Fixture::new();
    for text in [
        "select 1",
        "create table x(a int)",
        "drop table t",
        "set odps.sql.allow.fullscan=true; select * from t",
        "show tables",
        "desc t",
        "alter table t add columns (c int)",
        "insert into t values (1, 'grant x to y')",
        "list",
        "-- only a comment",
        "select '",
        "",
    ] {
        assert!(run(&f.catalog, By::Operator, "p", text).is_none(), "{text}");
    }
    assert_eq!(f.code("whoami; select 1"), (400, "ParseError"));
    assert_eq!(f.code("grant select on table t to user RAM$x nonsense"), (400, "ParseError"));
}

#[test]
fn who_may_run_what() {
    let f = Fixture::new();
    f.ok("add user RAM$alice; add user RAM$boss; grant admin to RAM$boss; add tenant user RAM$chief");
    f.ok("grant tenant role Super_Administrator to user RAM$chief");
    let refused = |user: &str, text: &str| f.as_user(user, text).map_err(|error| (error.status, error.code));
    let no = Err((403, "NoPermission"));
    assert!(refused("RAM$alice", "whoami").is_ok());
    assert!(refused("RAM$alice", "show grants").is_ok());
    assert_eq!(refused("RAM$stranger", "whoami"), no);
    for text in [
        "add user RAM$x",
        "show grants for RAM$boss",
        "create tenant role y",
        "create access key k secret s for user RAM$alice",
    ] {
        assert_eq!(refused("RAM$alice", text), no, "{text}");
    }
    assert!(refused("RAM$boss", "add user RAM$x").is_ok());
    assert_eq!(refused("RAM$boss", "set ProjectProtection=true"), no);
    assert_eq!(refused("RAM$boss", "create tenant role y"), no);
    // An administrator gives nobody what it has not itself, and lifts no denial of its own.
    f.ok("create role r; create role high; set label 3 to role high; grant r to RAM$boss; create role other");
    let policy = |effect: &str, action: &str| {
        format!(r#"{{"Version":"1","Statement":[{{"Effect":"{effect}","Action":"{action}","Resource":"*"}}]}}"#)
    };
    for text in [
        "grant super_administrator to RAM$boss",
        "revoke super_administrator from RAM$alice",
        "grant high to RAM$alice",
        "grant Download on table t to role other",
        "grant All on table t to user RAM$alice",
        &format!("put policy {} on role other", policy("Allow", "odps:Down*")),
        &format!("put policy {} on role r", policy("Deny", "odps:Drop")),
        "revoke r from RAM$boss",
        "drop role r",
    ] {
        assert_eq!(refused("RAM$boss", text), no, "{text}");
    }
    for text in [
        "grant Select, Alter on table t to role other; grant other to RAM$alice",
        &format!("put policy {} on role other", policy("Deny", "odps:*")),
        "revoke other from RAM$alice; drop role other",
    ] {
        assert!(refused("RAM$boss", text).is_ok(), "{text}");
    }
    f.ok("add tenant user RAM$second; grant tenant role Admin to user RAM$second");
    for text in
        ["grant tenant role Super_Administrator to user RAM$second", "create access key k secret s for user RAM$x"]
    {
        assert_eq!(refused("RAM$second", text), no, "{text}");
    }
    assert!(refused("RAM$second", "list tenant users").is_ok());
    for text in ["create tenant role y", "set ProjectProtection=true", "add user RAM$y"] {
        assert!(refused("RAM$chief", text).is_ok(), "{text}");
    }
    // The creator of a table gives rights on it.
    let table = f.catalog.table(&"p.default.t".parse().unwrap()).unwrap().unwrap();
    assert_eq!(refused("RAM$alice", "grant Select on table t to user RAM$x"), no);
    let again = NewTable::plain(&table.name, &table.columns, &table.partition_keys);
    f.catalog.put_table(&again, Some(table.id), "RAM$local@localhost:alice", None).unwrap();
    assert!(refused("RAM$alice", "grant Select on table t to user RAM$x").is_ok());
    assert_eq!(refused("RAM$alice", "grant Download on table t to user RAM$alice"), no);
    f.ok("set ObjectCreatorHasGrantPermission=false");
    assert_eq!(refused("RAM$alice", "grant Select on table t to user RAM$x"), no);
}

#[test]
fn without_a_project_only_the_tenant_is_spoken_of() {
    let f = Fixture::new();
    let at_tenant = |text: &str| run(&f.catalog, By::Operator, "", text).expect(text);
    at_tenant("create tenant role r").unwrap();
    at_tenant(&format!("put policy {PAGE_POLICY} on tenant role r")).unwrap();
    assert_eq!(at_tenant("get policy on tenant role r").unwrap().text, PAGE_POLICY);
    assert_eq!(at_tenant("add user ALIYUN$x").map_err(|error| error.code), Err("InvalidParameter"));
    let nobody = Caller { principal: "ALIYUN$x".parse().unwrap(), policy: None, shown: None };
    run(&f.catalog, By::Caller(&nobody), "", "whoami").unwrap().unwrap();
    let refused = run(&f.catalog, By::Caller(&nobody), "", "get policy on tenant role r").unwrap().unwrap_err();
    assert_eq!(refused.status, 403);
}

#[test]
fn a_text_that_is_too_long_is_not_looked_at() {
    let f = Fixture::new();
    let text = |length: usize| format!("whoami;{}", " ".repeat(length - 7));
    assert!(run(&f.catalog, By::Operator, "p", &text(MAX_STATEMENT_BYTES)).unwrap().is_ok());
    let refused = run(&f.catalog, By::Operator, "p", &text(MAX_STATEMENT_BYTES + 1)).unwrap().unwrap_err();
    assert_eq!((refused.status, refused.code), (400, "ParseError"));
    assert!(refused.message.contains("2097153 bytes, at most 2097152"), "{refused}");
}
