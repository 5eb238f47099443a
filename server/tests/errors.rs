//! Codes, statuses and shapes of refusals, and the service plane.

mod common;

use std::time::{Duration, Instant, SystemTime};

use common::{Answer, Root, Server, base, data, numbers, sessions};
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
    for missing in ["/api/logview/host", "/api/projects/nope/tunnel?service", "/api/projects/local/tables/nope"] {
        let answer = server.get(missing);
        assert_eq!(answer.status, 404, "{missing}");
        for field in ["<Code>NoSuchObject</Code>", "<Message>", "<RequestId>", "<HostId>"] {
            assert!(answer.text().contains(field), "{missing}: {}", answer.text());
        }
        let id = answer.header("x-odps-request-id").unwrap();
        assert!(answer.text().contains(id) && id.bytes().all(|b| b.is_ascii_hexdigit()));
        assert_eq!(answer.header("content-length"), Some(answer.body.len().to_string().as_str()));
    }
    for query in ["", "?data", "?partitions"] {
        let text = server.get(&format!("/api/projects/local/tables/nope{query}")).text();
        assert!(text.contains("table local.default.nope cannot be resolved"), "{text}");
    }
    for known in ["/api/projects/local", "/api/projects/local/tables/t", "/api/tenants", "/api/projects/local/schemas"]
    {
        assert_eq!(server.send("HEAD", known, None, &[]).status, 405, "{known}");
    }
}

/// Message and status of a refusal, whose code is `code` in the form of either plane.
fn refusal(answer: &Answer, code: &str) -> (u16, String) {
    let text = answer.text();
    let (wanted, message) = match answer.header("content-type") {
        Some("application/json") => (format!("\"Code\":\"{code}\""), answer.json()["Message"].to_string()),
        _ => (format!("<Code>{code}</Code>"), text.clone()),
    };
    assert!(text.contains(&wanted), "{text}");
    (answer.status, message)
}

#[test]
fn unknown_calls_answer_501_with_a_sentence_at_once() {
    let (_root, server) = table(&[]);
    let start = Instant::now();
    let large = "x".repeat(9 << 20);
    // Version 1, versions 2 and 3, the service below /api and beside it, the tunnel, and our own paths.
    for (method, target, named) in [
        ("GET", "/api/storage/v1/x", "GET /api/storage/v1/x"),
        ("GET", "/api//storage/v1/x", "/x"),
        ("POST", "/api/storage/v1/projects/local/tables/t/nonsense", "/nonsense"),
        ("DELETE", "/api/storage/v1/projects/local/schemas/default/tables/t", "DELETE"),
        ("POST", "/api/storage/v2?Action=Nonsense&Target=projects.local.tables.t", "Nonsense"),
        ("POST", "/api/storage/v3?Action=TableCompact&Target=projects.local.tables.t", "TableCompact"),
        ("GET", "/api/storage/v3?Action=Nonsense", "Nonsense"),
        ("POST", "/api/storage/v2?Action=VolumeRead&Target=projects.local.volumes.v", "VolumeRead"),
        ("POST", "/api/storage/v2?Action=TunnelUpload&Target=projects.local.tables.t", "TunnelUpload"),
        ("POST", "/api/storage/v2/tables?Action=TableRead", "POST /api/storage/v2/tables"),
        ("POST", "/api/storage/v4?Action=TableRead", "POST /api/storage/v4"),
        ("GET", "/api/x", "GET /api/x"),
        ("PUT", "/api/x", "PUT /api/x"),
        ("GET", "/x", "GET /x"),
        ("GET", "/", "GET /"),
        ("GET", "/api/projects/local/nonsense", "/api/projects/local/nonsense"),
        ("GET", "/api/projects/local/tables/t/nonsense", "/nonsense"),
        ("GET", "/api/projects/local/instances/i/nonsense", "/nonsense"),
        ("HEAD", "/api/projects/local/nonsense", ""),
        ("PATCH", "/api/projects/local", "changing projects"),
        ("PUT", "/api/quotas/q", "quotas"),
        ("POST", "/api/projects/local/functions", "functions"),
        ("POST", "/api/projects/local/registration%2Ffunctions", "functions"),
        ("DELETE", "/api/projects/local/schemas/default/functions/f", "schemas"),
        ("PUT", "/api/projects/local/resources/r", "resources"),
        ("POST", "/api/projects/local/volumes", "volumes"),
        ("POST", "/api/projects/local/tables", "tables"),
        ("DELETE", "/projects/local/tables/t?uploadid=u", "DELETE /projects/local/tables/t?uploadid=u"),
        ("PUT", "/projects/local/tables/t?downloads", "PUT /projects/local/tables/t?downloads"),
        ("POST", "/projects/local/views/t?downloads", "/projects/local/views/t"),
        ("GET", "/_maxstorage/nonsense", "GET /_maxstorage/nonsense"),
    ] {
        let bodies: &[Option<&str>] = if method == "GET" || method == "HEAD" { &[None] } else { &[None, Some(&large)] };
        for body in bodies {
            let answer = server.send(method, target, *body, &[]);
            if method == "HEAD" {
                assert_eq!(answer.status, 501, "{target}");
                continue;
            }
            let (status, message) = refusal(&answer, "NotImplemented");
            assert_eq!(status, 501, "{method} {target}: {message}");
            assert!(message.contains(named), "{method} {target}: {message}");
        }
    }
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

#[test]
fn what_this_server_has_none_of_is_not_found() {
    let (_root, server) = table(&[]);
    // Official clients ask for these, and would repeat a 501 for minutes: docs/sdk-conformance.md.
    for (method, target) in [
        ("GET", "/api/catalogapi"),
        ("GET", "/api/clusters"),
        ("GET", "/api/projects/local/functions/f"),
        ("GET", "/api/projects/local/registration%2Ffunctions/f"),
        ("GET", "/api/projects/nope/resources"),
        ("GET", "/api/projects/local/resources/r"),
        ("GET", "/api/projects/local/volumes/v/partitions/p"),
        ("GET", "/api/projects/local/cachedinstances"),
        ("POST", "/projects/local/tunnel/downloads?type=volumefile&target=local/v/p/f"),
        ("GET", "/projects/local/tunnel/uploads/u"),
        ("PUT", "/projects/local/volumes/v"),
    ] {
        let (status, message) = refusal(&server.send(method, target, None, &[]), "NoSuchObject");
        assert_eq!(status, 404, "{method} {target}: {message}");
    }
    assert_eq!(server.send("HEAD", "/api/projects/local/resources/r", None, &[]).status, 404);
    // Lists of them are empty.
    for (target, list) in [
        ("/api/projects/local/resources?expectmarker=true", "Resources"),
        ("/api/projects/local/registration/functions", "Functions"),
        ("/api/projects/local/registration%2Ffunctions", "Functions"),
        ("/api/projects/local/volumes", "Volumes"),
    ] {
        let answer = server.get(target);
        assert_eq!((answer.status, answer.text().contains(&format!("<{list}><Marker/>"))), (200, true), "{target}");
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
