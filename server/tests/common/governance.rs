//! Statements on governance over the wire, and requests of several principals.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::{Answer, Root, Server, data, numbers, sessions};

/// The policy of the product page.
pub const PAGE_POLICY: &str = r#"{ "Statement": [{ "Action": [ "odps:List", "odps:Usage"], "Effect": "Allow", "Resource": ["acs:odps:*:regions/*/quotas/pay-as-you-go"]}], "Version": "1" }"#;

/// The owner of tenant and projects.
pub const OWNER: &str = "ALIYUN$local@localhost";

impl Server {
    /// The same server, asked by the holder of another key.
    pub fn as_key(&self, id: &str, secret: &str) -> Caller<'_> {
        Caller { server: self, account: (id.into(), secret.into()) }
    }

    /// The same server, asked by the owner.
    pub fn owner(&self) -> Caller<'_> {
        self.as_key("local", "local")
    }

    /// Runs statements as the owner; demands success.
    pub fn run(&self, statements: &str) -> String {
        let answer = self.owner().authorize(statements);
        assert_eq!(answer.status, 200, "{statements}: {}", answer.text());
        answer.text()
    }

    /// A RAM user with the key NAME, secret `secret`, who is in no project.
    pub fn create_user(&self, name: &str) {
        self.run(&format!("create access key '{name}' secret 'secret' for user RAM${name}"));
    }
}

/// Somebody who sends requests.
pub struct Caller<'a> {
    server: &'a Server,
    account: (String, String),
}

impl Caller<'_> {
    pub fn send(&self, method: &str, target: &str, body: Option<&str>) -> Answer {
        let headers = self.server.sign_as(&self.account, method, target, body);
        self.server.raw(method, target, body, &headers)
    }

    pub fn get(&self, target: &str) -> Answer {
        self.send("GET", target, None)
    }

    pub fn post(&self, target: &str, body: &str) -> Answer {
        self.send("POST", target, Some(body))
    }

    /// Runs statements through `POST /projects/local/authorization`.
    pub fn authorize(&self, statements: &str) -> Answer {
        let escaped = statements.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let body = format!("<?xml version=\"1.0\"?><Authorization><Query>{escaped}</Query></Authorization>");
        self.post("/api/projects/local/authorization", &body)
    }
}

/// Table `t` in project local, and a user alice who is nowhere.
pub fn start(args: &[&str]) -> (Root, Server) {
    let root = Root::new();
    let file = root.parquet("t.parquet", &numbers(0, 100));
    root.load("local.default.t", &file, &[]);
    let server = root.serve(args);
    server.create_user("alice");
    (root, server)
}

pub fn code(answer: &Answer) -> (u16, String) {
    answer.error()
}

pub fn no() -> (u16, String) {
    (403, "NoPermission".into())
}

/// Two projects, of which alice is in the first only.
pub fn start_two() -> (Root, Server) {
    let (root, server) = start(&["--profile", "strict"]);
    drop(server);
    let server = root.serve(&["--profile", "strict", "--project", "other"]);
    server.run("add user RAM$alice; grant CreateInstance, CreateTable, List on project local to user RAM$alice");
    (root, server)
}

/// Submits a statement under a repeat id and returns the path of its instance.
pub fn submit_as(caller: &Caller<'_>, statement: &str, repeat_id: &str) -> String {
    let body = format!(
        "<Instance><Job><Guid>{repeat_id}</Guid><Priority>9</Priority><Tasks><SQL><Name>T</Name><Query>{statement}\
         </Query></SQL></Tasks></Job></Instance>"
    );
    let answer = caller.post("/api/projects/local/instances", &body);
    assert_eq!(answer.status, 201, "{}", answer.text());
    let location = answer.header("location").unwrap();
    location[location.find("/api/").unwrap()..].to_string()
}

/// Runs a statement to its end: whether it succeeded, and the document of its result.
pub fn sql(caller: &Caller<'_>, statement: &str) -> (bool, String) {
    let instance = submit_as(caller, statement, "");
    while !caller.get(&format!("{instance}?instancestatus")).text().contains("Terminated") {}
    let text = caller.get(&format!("{instance}?result")).text();
    (text.contains("<Status>Success</Status>"), text)
}

/// Lets the owner name a quota.
pub fn allow(server: &Server, quota: &str) {
    let policy = PAGE_POLICY.replace("pay-as-you-go", quota);
    server.run(&format!("create tenant role r{} with policy {policy}", quota.replace('-', "_")));
    server.run(&format!("grant tenant role r{} to user {OWNER}", quota.replace('-', "_")));
}

/// Creates a read session of `t` on a quota.
pub fn create(server: &Server, quota: &str) -> Answer {
    server.post(&format!("{}&quotaName={quota}", sessions("t")), "{}")
}

/// The target that reads the only split of a new session.
pub fn split(server: &Server, quota: &str) -> String {
    let session = create(server, quota);
    assert_eq!(session.status, 201, "{}", session.text());
    let id = session.json()["SessionId"].as_str().unwrap().to_string();
    data("t", &format!("session_id={id}&split_index=0&quotaName={quota}"))
}

/// Sends a request and reads the head of its answer, no more.
pub fn open(server: &Server, target: &str) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    let headers: String =
        server.sign("GET", target, None).iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    write!(stream, "GET {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\r\n").unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&head));
    stream
}
