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
    let missing = "/api/storage/v2?Action=VolumeRead&Target=projects.local.volumes.v";
    assert_eq!(server.post(missing, "{}").error(), (501, "NotImplemented".into()));
    assert_eq!(server.get("/api/storage/v1/x").error(), (404, "NoSuchObject".into()));
    assert_eq!(server.get("/api//storage/v1/x").error(), (404, "NoSuchObject".into()));
    for body in ["[]", "[[\"id\"]]"] {
        assert_eq!(create("t", body), bad("InvalidArgument"), "{body}");
    }
    assert_eq!(server.session("t", "{\"SplitOptions\":{\"CrossPartition\":null}}")["SplitsCount"], 1);
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
    assert_eq!(server.send("PUT", "/api/quotas/q", Some("{}"), &[]).status, 501);
    for (method, target, status) in [
        ("POST", "/api/projects/local/functions", 501),
        ("DELETE", "/api/projects/local/schemas/default/functions/f", 501),
        ("PUT", "/api/projects/local/resources/r", 501),
        ("POST", "/api/projects/local/volumes", 501),
        ("POST", "/api/projects/local/tables", 501),
        ("GET", "/api/projects/local/functions/f", 404),
        ("GET", "/api/projects/local/resources", 404),
        ("PUT", "/api/x", 404),
    ] {
        let answer = server.send(method, target, None, &[]);
        assert_eq!(answer.status, status, "{method} {target}");
        assert!(answer.text().contains("<Message>"), "{}", answer.text());
    }
    for known in ["/api/projects/local", "/api/projects/local/tables/t", "/api/tenants", "/api/projects/local/schemas"]
    {
        assert_eq!(server.send("HEAD", known, None, &[]).status, 405, "{known}");
    }
}

#[test]
fn schemas_are_what_loads_created() {
    let (root, server) = table(&[]);
    root.load("local.other.t", &root.parquet("t.parquet", &numbers(0, 1)), &[]);
    let list = server.get("/api/projects/local/schemas?expectmarker=true").text();
    assert!(list.contains("<Name>default</Name>") && list.contains("<Name>other</Name>"), "{list}");
    assert!(!server.get("/api/projects/local/schemas?name=ot").text().contains("<Name>default</Name>"));
    let schema = server.get("/api/projects/local/schemas/OTHER");
    assert_eq!(schema.status, 200, "{}", schema.text());
    assert!(schema.text().contains("<Name>other</Name><Project>local</Project>"), "{}", schema.text());
    for name in ["x-odps-owner", "x-odps-creation-time", "last-modified"] {
        assert!(schema.header(name).is_some(), "{name}");
    }
    assert_eq!(server.get("/api/projects/local/tables?curr_schema=other").status, 200);
    for missing in ["/api/projects/local/schemas/nope", "/api/projects/local/tables?curr_schema=nope"] {
        let answer = server.get(missing);
        assert_eq!(answer.status, 404, "{missing}");
        assert!(answer.text().contains("<Code>NoSuchObject</Code>"), "{}", answer.text());
    }
}

#[test]
fn a_signature_does_not_cover_two_values_of_one_name() {
    let (_root, server) = table(&[]);
    let session = server.session("t", "{}");
    let good = format!("session_id={}", session["SessionId"].as_str().unwrap());
    let headers = server.sign("GET", &data("t", &format!("{good}&split_index=0")), None);
    assert_eq!(server.raw("GET", &data("t", &format!("split_index=0&{good}")), None, &headers).status, 200);
    let changed = data("t", &format!("session_id=other&split_index=0&{good}"));
    assert_eq!(server.raw("GET", &changed, None, &headers).error(), (400, "InvalidArgument".into()));
}

#[test]
fn secrets_and_bad_numbers_on_the_command_line() {
    let root = Root::new();
    let stderr = |command: &str, args: &[&str]| {
        let output = root.run(command, args);
        assert!(!output.status.success());
        assert!(output.stdout.is_empty());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let message = stderr("serve", &["--account", "a:b", "--account", "key/id:TOPSECRET"]);
    assert!(!message.contains("TOPSECRET") && message.contains("--account number 2"), "{message}");
    let message = stderr("tpch", &["--scale", "0.00001"]);
    assert!(message.contains("--scale must be from 0.0001"), "{message}");
    for option in ["--session-lifetime-s", "--planning-delay-ms"] {
        let message = stderr("serve", &[option, "9223372036854775807"]);
        assert!(message.contains("is not in"), "{message}");
    }
    assert!(stderr("serve", &["--session-lifetime-s", "0"]).contains("is not in"));
}

#[test]
fn external_url_and_profiles() {
    let (_root, server) = table(&["--external-url", "https://data.example.test:8443/", "--profile", "strict"]);
    assert_eq!(server.get("/api/projects/local/tunnel?service").text(), "data.example.test:8443");
    let small = json!({"SplitOptions": {"SplitMode": "Size", "SplitNumber": 10_485_759}}).to_string();
    assert_eq!(server.post(&sessions("t"), &small).error(), (400, "InvalidArgument".into()));
    let enough = json!({"SplitOptions": {"SplitMode": "Size", "SplitNumber": 10_485_760}}).to_string();
    let session = server.post(&sessions("t"), &enough);
    assert_eq!(session.status, 201);
    let id = session.json()["SessionId"].as_str().unwrap().to_string();
    let read = |more: &str| server.get(&data("t", &format!("session_id={id}&split_index=0{more}")));
    for bad in ["max_batch_rows=20001", "max_batch_raw_size=1024", "max_batch_raw_size=268435457"] {
        assert_eq!(read(&format!("&{bad}")).error(), (400, "InvalidArgument".into()), "{bad}");
    }
    for good in ["max_batch_rows=20000", "max_batch_raw_size=0", "max_batch_raw_size=1048576"] {
        assert_eq!(read(&format!("&{good}")).batch().num_rows(), 100, "{good}");
    }
}

#[test]
fn what_is_no_http_request_gets_a_request_id_as_well() {
    use std::io::{Read, Write};
    let (_root, server) = table(&[]);
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(70_000));
    let many = format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "a: b\r\n".repeat(200));
    for (request, status) in [("GARBAGE\r\n\r\n", "400"), (&long, "414"), (&many, "431")] {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", server.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert_eq!(answer.matches("x-odps-request-id: ").count(), 1, "{answer}");
        assert!(answer.ends_with("\r\n\r\n"), "{answer}");
    }
}
