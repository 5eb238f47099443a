//! Versions 2 and 3: one call by action and target.

use std::io::Read;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::ipc::reader::StreamReader;
use serde_json::{Value, json};

use super::upload::stream;
use super::{Answer, Server};

/// A call of one version; the server must run with `--no-auth`, for nothing is signed.
pub struct Api<'a> {
    pub server: &'a Server,
    pub version: u8,
}

/// `projects.local.tables.TABLE`, without schema as the newest Python client sends it.
pub fn target(table: &str) -> String {
    format!("projects.local.tables.{table}")
}

/// The parameters that name a stream of a write session.
pub fn at(session: &str, stream: &str, version: i64) -> String {
    format!("&SessionId={session}&StreamId={stream}&StreamVersion={version}&Count=7")
}

/// Creates a stream.
pub fn open(api: &Api<'_>, table: &str, session: &str, stream: &str, version: i64) -> Value {
    let body = json!({"StreamId": stream, "StreamVersion": version});
    api.call("TableCreateWriteStream", table, &format!("&SessionId={session}"), body)
}

/// Commits a write session.
pub fn commit(api: &Api<'_>, table: &str, session: &str, body: Value) -> Answer {
    let query = format!("&SessionId={session}");
    api.send("TableCommitWriteSession", &target(table), &query, body.to_string().as_bytes(), &[])
}

impl Api<'_> {
    /// A call with any bytes, sent chunked.
    pub fn send(&self, action: &str, target: &str, query: &str, body: &[u8], headers: &[(&str, &str)]) -> Answer {
        let config =
            ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(Duration::from_secs(60)));
        let agent: ureq::Agent = config.accept_encoding("identity").build().into();
        let (port, version) = (self.server.port, self.version);
        let url = format!("http://127.0.0.1:{port}/api/storage/v{version}?Action={action}&Target={target}{query}");
        let mut request = ureq::http::Request::builder().method("POST").uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut reader = body;
        let response = agent.run(request.body(ureq::SendBody::from_reader(&mut reader)).unwrap()).unwrap();
        let (parts, mut body) = response.into_parts();
        let mut bytes = Vec::new();
        let complete = body.as_reader().read_to_end(&mut bytes).is_ok();
        let headers = parts.headers.iter().map(|(n, v)| (n.to_string(), v.to_str().unwrap().to_string())).collect();
        let answer = Answer { status: parts.status.as_u16(), headers, body: bytes, complete };
        assert!(answer.header("x-odps-request-id").is_some());
        answer
    }

    /// A call about a table with JSON in and out; demands 200 and the route token.
    pub fn call(&self, action: &str, table: &str, query: &str, body: Value) -> Value {
        let answer = self.send(action, &target(table), query, body.to_string().as_bytes(), &[]);
        assert_eq!(answer.status, 200, "{action}: {}", answer.text());
        assert!(answer.header("x-odps-max-storage-route-token").is_some());
        answer.json()
    }

    /// Status and code of a call about a table that is refused.
    pub fn refused(&self, action: &str, table: &str, query: &str, body: Value) -> (u16, String) {
        self.send(action, &target(table), query, body.to_string().as_bytes(), &[]).error()
    }

    /// TableRead, plain.
    pub fn read(&self, table: &str, query: &str, body: Value) -> Vec<RecordBatch> {
        let answer = self.send("TableRead", &target(table), query, body.to_string().as_bytes(), &[]);
        answer.batches()
    }

    /// All rows of a table as they are now.
    pub fn rows(&self, table: &str) -> RecordBatch {
        let request = json!({"SplitOptions": {"SplitMode": "RowOffset"}});
        let session = self.call("TableCreateReadSession", table, "", request);
        let query = format!("&SessionId={}", session["SessionId"].as_str().unwrap());
        let answer = self.send("TableRead", &target(table), &query, b"{}", &[]);
        let schema = StreamReader::try_new(answer.body.as_slice(), None).unwrap().schema();
        concat_batches(&schema, &answer.batches()).unwrap()
    }

    /// Creates a write session; `mode` is a `&WriteMode=` or nothing.
    pub fn writing(&self, table: &str, mode: &str, body: Value) -> String {
        let session = self.call("TableCreateWriteSession", table, mode, body);
        session["SessionId"].as_str().unwrap().to_string()
    }

    /// TableWrite of one batch.
    pub fn try_write(&self, table: &str, query: &str, rows: &RecordBatch, headers: &[(&str, &str)]) -> Answer {
        self.send("TableWrite", &target(table), query, &stream(std::slice::from_ref(rows), None), headers)
    }

    /// TableWrite of one batch; demands success.
    pub fn write(&self, table: &str, query: &str, rows: &RecordBatch) -> Value {
        let answer = self.try_write(table, query, rows, &[]);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }
}
