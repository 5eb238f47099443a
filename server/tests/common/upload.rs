//! Writing through v1: the calls W1 to W4.

use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::ipc::CompressionType;
use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};
use serde_json::{Value, json};

use super::{Answer, Server, base};

/// A complete Arrow stream.
pub fn stream(batches: &[RecordBatch], compression: Option<CompressionType>) -> Vec<u8> {
    let options = IpcWriteOptions::default().try_with_compression(compression).unwrap();
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), batches[0].schema_ref(), options).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.finish().unwrap();
    writer.into_inner().unwrap()
}

impl Server {
    /// W1 as it is answered.
    pub fn try_write_session(&self, table: &str, request: &Value) -> Answer {
        self.post(&format!("{}/sessions?session_type=batch_write", base(table)), &request.to_string())
    }

    /// W1; demands 201 and returns the answer.
    pub fn write_session(&self, table: &str, request: Value) -> Value {
        let answer = self.try_write_session(table, &request);
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.json()
    }

    /// W2.
    pub fn get_write_session(&self, table: &str, id: &str) -> Answer {
        self.get(&format!("{}/sessions/{id}?session_type=batch_write", base(table)))
    }

    /// W3 with these bytes, sent chunked.
    pub fn block(&self, table: &str, id: &str, block: i64, attempt: i64, body: &[u8]) -> Answer {
        let query = format!("block_number={block}&attempt_number={attempt}");
        self.upload(&format!("{}/sessions/{id}/data?{query}", base(table)), body)
    }

    /// W3 of one batch; demands success and returns the commit message.
    pub fn write_block(&self, table: &str, id: &str, block: i64, attempt: i64, rows: &RecordBatch) -> String {
        let answer = self.block(table, id, block, attempt, &stream(std::slice::from_ref(rows), None));
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["CommitMessage"].as_str().unwrap().to_string()
    }

    /// W4.
    pub fn commit(&self, table: &str, id: &str, messages: &[String]) -> Answer {
        let body = json!({"CommitMessages": messages}).to_string();
        self.post(&format!("{}/commit?session_id={id}", base(table)), &body)
    }

    /// A whole write of one batch.
    pub fn write(&self, table: &str, request: Value, rows: &RecordBatch) {
        let session = self.write_session(table, request);
        let id = session["SessionId"].as_str().unwrap();
        let message = self.write_block(table, id, 0, 0, rows);
        let answer = self.commit(table, id, &[message]);
        assert_eq!((answer.status, &answer.json()["SessionStatus"]), (201, &json!("COMMITTED")));
    }

    /// A signed POST of bytes, chunked.
    pub fn upload(&self, target: &str, bytes: &[u8]) -> Answer {
        self.try_call("POST", target, Some(bytes)).unwrap()
    }

    /// A signed call, with its body chunked; `None` if the server goes away before its answer is complete.
    pub fn try_call(&self, method: &str, target: &str, bytes: Option<&[u8]>) -> Option<Answer> {
        let config =
            ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(Duration::from_secs(60)));
        let agent: ureq::Agent = config.build().into();
        let mut request = ureq::http::Request::builder().method(method);
        request = request.uri(format!("http://127.0.0.1:{}{target}", self.port));
        for (name, value) in self.sign(method, target, None) {
            request = request.header(name, value);
        }
        let response = match bytes {
            Some(mut bytes) => agent.run(request.body(ureq::SendBody::from_reader(&mut bytes)).unwrap()),
            None => agent.run(request.body(()).unwrap()),
        };
        let (parts, mut body) = response.ok()?.into_parts();
        let body = body.read_to_vec().ok()?;
        let headers = parts.headers.iter().map(|(n, v)| (n.to_string(), v.to_str().unwrap().to_string())).collect();
        Some(Answer { status: parts.status.as_u16(), headers, body, complete: true })
    }
}
