//! Statements on governance over the wire, and requests of several principals.

use super::{Answer, Server};

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
