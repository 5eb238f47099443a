//! What a request is about, told from its path and query alone, before anybody looks at its signature or body.

use super::request::Head;
use crate::subject::{Protocol, Subject, UNKNOWN, action};

/// The subject of a request.
pub fn subject(head: &Head) -> Subject {
    let path: Vec<&str> = head.segments.iter().map(String::as_str).collect();
    let mut subject = match path.as_slice() {
        ["_maxstorage", ..] | ["metrics"] => Subject::new(Protocol::Own, "Admin"),
        ["api", "storage", "v1", rest @ ..] => first(head, rest),
        ["api", "storage", "v2", ..] => later(head, Protocol::V2),
        ["api", "storage", "v3", ..] => later(head, Protocol::V3),
        rest if head.is_tunnel_call() => tunnel(head, rest),
        ["api", rest @ ..] | rest => service(head, rest),
    };
    let of = |names: [&str; 2]| names.iter().find_map(|name| head.query.get(name)).filter(|value| !value.is_empty());
    subject.quota = of(["quotaName", "quota"]).map(str::to_string);
    subject
}

fn number(head: &Head, names: &[&str]) -> Option<u64> {
    names.iter().find_map(|name| head.query.get(name)?.parse().ok())
}

fn text(head: &Head, name: &str) -> Option<String> {
    head.query.get(name).filter(|value| !value.is_empty()).map(str::to_string)
}

/// Splits `projects/P[/schemas/S][/tables/T]` off a path.
fn place<'a, 'b>(path: &'a [&'b str], subject: &mut Subject) -> &'a [&'b str] {
    let mut rest = path;
    if let ["projects", project, more @ ..] = rest {
        subject.project = Some((*project).to_string());
        rest = more;
        if let ["schemas", schema, more @ ..] = rest {
            subject.schema = Some((*schema).to_string());
            rest = more;
        }
        if let ["tables", table, more @ ..] = rest {
            subject.table = Some((*table).to_string());
            rest = more;
        }
    }
    rest
}

/// Version 1 (storage-api-v1.md section 2).
fn first(head: &Head, path: &[&str]) -> Subject {
    let mut subject = Subject::new(Protocol::V1, UNKNOWN);
    let writes = head.query.get("session_type") == Some("batch_write");
    let (name, session) = match (head.method.as_str(), place(path, &mut subject)) {
        ("POST", ["sessions"]) if writes => ("TableCreateWriteSession", None),
        ("POST", ["sessions"]) => ("TableCreateReadSession", None),
        ("GET", ["sessions", id]) if writes => ("TableGetWriteSession", Some((*id).to_string())),
        ("GET", ["sessions", id]) => ("TableGetReadSession", Some((*id).to_string())),
        ("POST" | "PUT", ["sessions", id, "data"]) => ("TableWrite", Some((*id).to_string())),
        ("GET", ["data"]) => ("TableRead", text(head, "session_id")),
        ("POST", ["commit"]) => ("TableCommitWriteSession", text(head, "session_id")),
        ("DELETE", ["sessions", id]) => ("TableAbortWriteSession", Some((*id).to_string())),
        _ => (UNKNOWN, None),
    };
    subject.action = name;
    subject.session = session;
    subject.split = number(head, &["split_index"]);
    subject.block = number(head, &["block_number"]);
    subject
}

/// Versions 2 and 3 (storage-api-v2-v3.md section 1).
fn later(head: &Head, protocol: Protocol) -> Subject {
    // Calls of other protocols have names in fault plans and logs, and are no actions.
    let is_action = |name: &&str| ["Table", "Instance", "Blob"].iter().any(|kind| name.starts_with(kind));
    let name = head.query.get("Action").and_then(action).filter(is_action).unwrap_or(UNKNOWN);
    let mut subject = Subject::new(protocol, name);
    let target = head.query.get("Target").unwrap_or_default();
    // Names may hold dots, so the keywords cut.
    if let Some(rest) = target.strip_prefix("projects.") {
        let (rest, table) = match rest.split_once(".tables.") {
            Some((rest, table)) => (rest, Some(table)),
            None => (rest.split_once(".instances.").map_or(rest, |(rest, _)| rest), None),
        };
        let (project, schema) = rest.split_once(".schemas.").map_or((rest, None), |(p, s)| (p, Some(s)));
        subject.project = Some(project.to_string());
        subject.schema = schema.map(str::to_string);
        subject.table = table.map(str::to_string);
    }
    subject.session = text(head, "SessionId");
    subject.split = number(head, &["Index"]);
    subject.block = number(head, &["BlockNumber"]);
    subject.stream = text(head, "StreamId");
    subject
}

/// The classic tunnel, of tables and of instances.
fn tunnel(head: &Head, path: &[&str]) -> Subject {
    let mut subject = Subject::new(Protocol::Tunnel, UNKNOWN);
    let rest = place(path, &mut subject);
    let has = |name: &str| head.query.has(name);
    subject.action = match head.method.as_str() {
        _ if has("upserts") || has("upsertid") || rest == ["upserts"] => "TunnelUpsert",
        _ if has("streams") || has("slotid") || rest == ["streams"] => "TunnelStream",
        "GET" if rest == ["preview"] => "TablePreview",
        _ if has("downloads") => "TunnelCreateDownload",
        _ if has("uploads") => "TunnelCreateUpload",
        "GET" if has("data") => "TunnelDownload",
        "GET" if has("downloadid") => "TunnelGetDownload",
        "GET" if has("uploadid") => "TunnelGetUpload",
        "PUT" if has("uploadid") => "TunnelUpload",
        "POST" if has("uploadid") => "TunnelCommitUpload",
        _ => UNKNOWN,
    };
    subject.session = ["downloadid", "uploadid", "upsertid"].iter().find_map(|name| text(head, name));
    subject.block = number(head, &["blockid"]);
    subject.stream = text(head, "slotid");
    subject
}

/// Discovery, metadata, instances (account-routing-metadata.md part 3).
fn service(head: &Head, path: &[&str]) -> Subject {
    let mut subject = Subject::new(Protocol::Service, UNKNOWN);
    let rest = place(path, &mut subject);
    let get = matches!(head.method.as_str(), "GET" | "HEAD");
    subject.action = match (path.first().copied(), rest) {
        (Some("tenants"), _) if path.len() > 1 => "Authorization",
        (Some("tenants"), _) => "GetTenant",
        (Some("quotas"), _) => "GetQuota",
        (Some("projects"), _) if path.len() == 1 => "ListProjects",
        (Some("projects"), []) if subject.table.is_some() => match get {
            true if head.query.has("partitions") || head.query.has("partition") => "ListPartitions",
            true => "GetTable",
            false => "ChangeTable",
        },
        (Some("projects"), []) if subject.schema.is_some() => {
            if get {
                "GetSchema"
            } else {
                "ChangeSchema"
            }
        }
        (Some("projects"), []) => {
            if get {
                "GetProject"
            } else {
                "ChangeProject"
            }
        }
        (Some("projects"), ["tunnel"]) => "GetEndpoint",
        (Some("projects"), ["schemas"]) => {
            if get {
                "ListSchemas"
            } else {
                "ChangeSchema"
            }
        }
        (Some("projects"), ["tables"]) => {
            if get {
                "ListTables"
            } else {
                "ChangeTable"
            }
        }
        (Some("projects"), ["instances"]) => {
            if get {
                "ListInstances"
            } else {
                "CreateInstance"
            }
        }
        (Some("projects"), ["instances", ..]) => {
            if get {
                "GetInstance"
            } else {
                "ChangeInstance"
            }
        }
        (Some("projects"), ["authorization", ..] | ["users", ..] | ["roles", ..]) => "Authorization",
        _ => UNKNOWN,
    };
    if subject.table.is_some() && subject.schema.is_none() {
        subject.schema = text(head, "curr_schema");
    }
    subject
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;
    use crate::subject::ACTIONS;

    fn of(method: &str, target: &str) -> Subject {
        let (parts, ()) = Request::builder().method(method).uri(target).body(()).unwrap().into_parts();
        subject(&Head::new(&parts))
    }

    #[test]
    fn every_call_has_its_name() {
        let v1 = "/api/storage/v1/projects/p/schemas/s/tables/t";
        let cases = [
            ("POST", format!("{v1}/sessions?session_type=batch_read"), "TableCreateReadSession"),
            ("POST", format!("{v1}/sessions?session_type=batch_write"), "TableCreateWriteSession"),
            ("GET", format!("{v1}/sessions/x?session_type=batch_write"), "TableGetWriteSession"),
            ("GET", format!("{v1}/sessions/x?session_type=batch_read"), "TableGetReadSession"),
            ("GET", format!("{v1}/data?session_id=x&split_index=3"), "TableRead"),
            ("POST", format!("{v1}/sessions/x/data?block_number=1"), "TableWrite"),
            ("POST", format!("{v1}/commit?session_id=x"), "TableCommitWriteSession"),
            ("POST", "/api/storage/v2?Action=TablePreview&Target=projects.p.tables.t".into(), "TablePreview"),
            ("POST", "/api/storage/v2?Action=Nonsense&Target=projects.p.tables.t".into(), UNKNOWN),
            ("POST", "/projects/p/tables/t?downloads".into(), "TunnelCreateDownload"),
            ("GET", "/projects/p/tables/t?data&downloadid=x".into(), "TunnelDownload"),
            ("GET", "/projects/p/tables/t?downloadid=x".into(), "TunnelGetDownload"),
            ("PUT", "/projects/p/schemas/s/tables/t?uploadid=x&blockid=2".into(), "TunnelUpload"),
            ("POST", "/projects/p/tables/t?uploadid=x".into(), "TunnelCommitUpload"),
            ("POST", "/projects/p/instances/i?downloads".into(), "TunnelCreateDownload"),
            ("GET", "/api/tenants".into(), "GetTenant"),
            ("GET", "/api/projects/p/tunnel?service".into(), "GetEndpoint"),
            ("GET", "/api/projects/p".into(), "GetProject"),
            ("GET", "/api/projects/p/tables".into(), "ListTables"),
            ("GET", "/api/projects/p/tables/t?extended".into(), "GetTable"),
            ("GET", "/api/projects/p/tables/t?partitions".into(), "ListPartitions"),
            ("GET", "/api/projects/p/schemas".into(), "ListSchemas"),
            ("POST", "/api/projects/p/instances".into(), "CreateInstance"),
            ("GET", "/api/projects/p/instances/i?taskstatus".into(), "GetInstance"),
            ("GET", "/_maxstorage/faults".into(), "Admin"),
            ("GET", "/metrics".into(), "Admin"),
            ("GET", "/x".into(), UNKNOWN),
        ];
        for (method, target, name) in cases {
            assert_eq!(of(method, &target).action, name, "{method} {target}");
            assert!(ACTIONS.contains(&name));
        }
    }

    #[test]
    fn the_parts_are_found() {
        let read = of("GET", "/api/storage/v1/projects/p/tables/t/data?session_id=x&split_index=3&quotaName=q");
        assert_eq!((read.session.as_deref(), read.split, read.quota.as_deref()), (Some("x"), Some(3), Some("q")));
        assert_eq!(read.place(), "p.default.t");
        let target = "/api/storage/v3?Action=TableWrite&Target=projects.p.schemas.s.tables.a.b&SessionId=x&StreamId=7";
        let write = of("POST", target);
        assert_eq!((write.protocol, write.place().as_str()), (Protocol::V3, "p.s.a.b"));
        assert_eq!((write.session.as_deref(), write.stream.as_deref()), (Some("x"), Some("7")));
        let block = of("PUT", "/projects/p/schemas/s/tables/t?uploadid=u&blockid=2");
        assert_eq!((block.place().as_str(), block.session.as_deref(), block.block), ("p.s.t", Some("u"), Some(2)));
        let meta = of("GET", "/api/projects/p/tables/t?curr_schema=s");
        assert_eq!(meta.place(), "p.s.t");
        assert_eq!(of("POST", "/api/storage/v2?Action=InstanceRead&Target=projects.p.instances.i").place(), "p");
    }
}
