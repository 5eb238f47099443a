//! Codes, statuses and shapes of refusals, and the service plane.

mod common;

use std::time::{Duration, SystemTime};

use common::{Root, Server, base, data, numbers, sessions};
use serde_json::json;

fn table(args: &[&str]) -> (Root, Server) {
    let root = Root::new();
    let file = root.parquet("t.parquet", &numbers(0, 100));
    root.load("local.default.t", &file, &[]);
    let server = root.serve(args);
    (root, server)
}

#[test]
fn storage_plane_errors() {
    let (_root, server) = table(&[]);
    let create = |table: &str, body: &str| server.post(&sessions(table), body).error();
    let bad = |code: &str| (400, code.to_string());
    assert_eq!(create("nope", "{}"), (404, "NoSuchTable".into()));
    let target = "/api/storage/v1/projects/nope/schemas/default/tables/t/sessions?session_type=batch_read";
    assert_eq!(server.post(target, "{}").error(), (404, "NoSuchProject".into()));
    let target = "/api/storage/v1/projects/local/schemas/nope/tables/t/sessions?session_type=batch_read";
    assert_eq!(server.post(target, "{}").error(), (404, "NoSuchSchema".into()));
    assert_eq!(create("t", "{"), bad("InvalidArgument"));
    assert_eq!(create("t", "{\"SplitOptions\":{\"SplitMode\":\"Weird\"}}"), bad("InvalidArgument"));
    assert_eq!(create("t", "{\"RequiredDataColumns\":[\"nope\"]}"), bad("InvalidColumnSpec"));
    assert_eq!(create("t", "{\"RequiredDataColumns\":[\"id\",\"id\"]}"), bad("InvalidColumnSpec"));
    assert_eq!(create("t", "{\"SplitOptions\":{\"SplitMode\":\"Bucket\"}}"), bad("InvalidArgument"));
    assert_eq!(create("t", "{\"SplitOptions\":{\"SplitMode\":\"Size\",\"SplitNumber\":1}}"), bad("InvalidArgument"));
    assert_eq!(create("t", "{\"RequiredBucketIds\":[1]}"), bad("InvalidArgument"));
    let session = server.session("t", "{}");
    let id = session["SessionId"].as_str().unwrap();
    let read = |query: &str| server.get(&data("t", query)).error();
    assert_eq!(read(&format!("session_id={id}&split_index=1")), bad("InvalidArgument"));
    assert_eq!(read(&format!("session_id={id}&split_index=-1")), bad("InvalidArgument"));
    assert_eq!(read(&format!("session_id={id}")), bad("InvalidArgument"));
    assert_eq!(read("split_index=0"), bad("InvalidArgument"));
    assert_eq!(read("session_id=unknown&split_index=0"), (404, "NoSuchDownload".into()));
    let target = format!("{}/sessions/unknown?session_type=batch_read", base("t"));
    assert_eq!(server.get(&target).error(), (404, "NoSuchDownload".into()));
    assert_eq!(server.post(&format!("{}/sessions", base("t")), "{}").error(), bad("InvalidArgument"));
    assert_eq!(server.get(&sessions("t")).error(), (405, "MethodNotAllowed".into()));
    for missing in [
        format!("{}/sessions?session_type=batch_write", base("t")),
        format!("{}/commit?session_id=x", base("t")),
        "/api/storage/v2?Action=TableCreateReadSession".to_string(),
        "/projects/local/tables/t?downloads".to_string(),
    ] {
        assert_eq!(server.post(&missing, "{}").error(), (501, "NotImplemented".into()), "{missing}");
    }
    assert_eq!(server.get("/api/storage/v1/x").error(), (404, "NoSuchObject".into()));
}

#[test]
fn signatures_are_verified() {
    let (_root, mut server) = table(&["--account", "ak:sk", "--account", "STS.1:sk:token"]);
    server.account = ("ak".into(), "sk".into());
    assert_eq!(server.get("/api/projects/local/tunnel?service").status, 200);
    server.account = ("ak".into(), "wrong".into());
    assert_eq!(server.post(&sessions("t"), "{}").error(), (401, "SignatureNotMatch".into()));
    server.account = ("local".into(), "local".into());
    assert_eq!(server.post(&sessions("t"), "{}").error(), (401, "Unauthorized".into()));
    server.account = ("STS.1".into(), "sk".into());
    assert_eq!(server.post(&sessions("t"), "{}").error(), (401, "Unauthorized".into()));
    let token = [("authorization-sts-token", "token")];
    assert_eq!(server.send("POST", &sessions("t"), Some("{}"), &token).status, 201);
    assert_eq!(server.raw("POST", &sessions("t"), Some("{}"), &[]).error(), (401, "Unauthorized".into()));
    let service = server.raw("GET", "/api/projects/local", None, &[]);
    assert_eq!(service.status, 401);
    assert!(service.text().contains("<Code>AuthorizationRequired</Code>"), "{}", service.text());
    let old = httpdate::fmt_http_date(SystemTime::now() - Duration::from_secs(1000));
    let headers = [("authorization".to_string(), "ODPS ak:x".to_string()), ("date".to_string(), old)];
    let late = server.raw("POST", &sessions("t"), Some("{}"), &headers);
    assert_eq!(late.error(), (400, "RequestTimeTooSkewed".into()));
    assert!(late.text().contains("interval  exceeds the max limitation: 900000"));
}

#[test]
fn wrong_body_digest_is_refused() {
    let (_root, server) = table(&["--no-auth"]);
    let headers = [("content-md5".to_string(), "0".repeat(32))];
    let answer = server.raw("POST", &sessions("t"), Some("{}"), &headers);
    assert_eq!(answer.error(), (400, "InvalidArgument".into()));
    assert_eq!(server.raw("POST", &sessions("t"), Some("{}"), &[]).status, 201);
}

#[test]
fn service_plane() {
    let (_root, server) = table(&[]);
    let tunnel = server.get("/api/projects/local/tunnel?service&quotaName=q");
    assert_eq!((tunnel.status, tunnel.text()), (200, format!("127.0.0.1:{}", server.port)));
    assert_eq!(server.get("/api/tenants").json()["Tenant"]["Parameters"]["odps.namespace.schema"], "false");
    assert_eq!(server.send("PUT", "/api/projects/local/logs", Some("{}"), &[]).status, 200);
    let project = server.get("/api/projects/local");
    assert!(project.header("x-odps-owner").is_some() && project.header("last-modified").is_some());
    assert!(server.get("/api/projects/local/tables?expectmarker=true").text().contains("<Name>t</Name>"));
    assert!(server.get("/api/projects/local/tables/t?extended").text().contains("&quot;recordNum&quot;:100"));
    for missing in
        ["/api/logview/host", "/api/projects/nope/tunnel?service", "/api/projects/local/tables/nope", "/api/x"]
    {
        let answer = server.get(missing);
        assert_eq!(answer.status, 404, "{missing}");
        for field in ["<Code>NoSuchObject</Code>", "<Message>", "<RequestId>", "<HostId>"] {
            assert!(answer.text().contains(field), "{missing}: {}", answer.text());
        }
        let id = answer.header("x-odps-request-id").unwrap();
        assert!(answer.text().contains(id) && id.bytes().all(|b| b.is_ascii_hexdigit()));
        assert_eq!(answer.header("content-length"), Some(answer.body.len().to_string().as_str()));
    }
    assert_eq!(server.post("/api/projects/local/instances", "{}").status, 501);
}

#[test]
fn external_url_and_profiles() {
    let (_root, server) = table(&["--external-url", "https://data.example.test:8443/", "--profile", "strict"]);
    assert_eq!(server.get("/api/projects/local/tunnel?service").text(), "data.example.test:8443");
    let small = json!({"SplitOptions": {"SplitMode": "Size", "SplitNumber": 10_485_759}}).to_string();
    assert_eq!(server.post(&sessions("t"), &small).error(), (400, "InvalidArgument".into()));
    let enough = json!({"SplitOptions": {"SplitMode": "Size", "SplitNumber": 10_485_760}}).to_string();
    assert_eq!(server.post(&sessions("t"), &enough).status, 201);
}
