//! What the integration tests share: the real binary in a temporary root, and a small client of its own.
#![allow(dead_code)] // each test crate uses a part

pub mod tables;
pub mod upload;
pub mod v2;

pub mod governance;

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::ipc::reader::StreamReader;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use md5::{Digest, Md5};
use parquet::arrow::ArrowWriter;
use percent_encoding::percent_decode_str;
use serde_json::Value;
use sha1::Sha1;
use tempfile::TempDir;

pub const BINARY: &str = env!("CARGO_BIN_EXE_maxstorage-server");
pub const STORAGE: &str = "/api/storage/v1";

/// A root directory with the commands that fill it.
pub struct Root {
    dir: TempDir,
}

impl Root {
    pub fn new() -> Root {
        Root { dir: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    /// A Parquet file with these batches.
    pub fn parquet(&self, name: &str, batch: &RecordBatch) -> PathBuf {
        let path = self.dir.path().join(name);
        let mut writer = ArrowWriter::try_new(std::fs::File::create(&path).unwrap(), batch.schema(), None).unwrap();
        writer.write(batch).unwrap();
        writer.close().unwrap();
        path
    }

    pub fn run(&self, command: &str, args: &[&str]) -> Output {
        Command::new(BINARY).arg(command).arg("--root").arg(self.path()).args(args).output().unwrap()
    }

    /// Runs `load` and demands success.
    pub fn load(&self, table: &str, file: &Path, more: &[&str]) {
        let output = self.try_load(table, file, more);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    pub fn try_load(&self, table: &str, file: &Path, more: &[&str]) -> Output {
        let mut args = vec!["--table", table];
        args.extend(more);
        args.push(file.to_str().unwrap());
        self.run("load", &args)
    }

    /// The data files in the root.
    pub fn data_files(&self) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(self.path().join("data")) else { return Vec::new() };
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    pub fn serve(&self, args: &[&str]) -> Server {
        Server::start(&self.path(), args)
    }
}

/// A running server; killed when dropped.
pub struct Server {
    pub child: Child,
    pub port: u16,
    pub account: (String, String),
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    pub fn start(root: &Path, args: &[&str]) -> Server {
        Server::start_with(root, args, "warn", Stdio::inherit())
    }

    pub fn start_with(root: &Path, args: &[&str], level: &str, stderr: Stdio) -> Server {
        let mut command = Command::new(BINARY);
        command.arg("serve").arg("--root").arg(root).args(args).env("RUST_LOG", level).stderr(stderr);
        Server::launch(&mut command)
    }

    /// Starts `serve` with these arguments and variables and nothing else.
    pub fn start_as(args: &[&str], variables: Vec<(String, String)>) -> Server {
        Server::launch(Command::new(BINARY).arg("serve").args(args).env("RUST_LOG", "warn").envs(variables))
    }

    fn launch(command: &mut Command) -> Server {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = match line.strip_prefix("ready ") {
            Some(url) => url.trim().to_string(),
            None => serde_json::from_str::<Value>(&line).unwrap_or_default()["ready"].to_string().replace('"', ""),
        };
        let port = url.rsplit_once("://127.0.0.1:").unwrap_or_else(|| panic!("not ready: {line}")).1;
        Server { child, port: port.parse().unwrap(), account: ("local".into(), "local".into()) }
    }

    /// Sends a signal by name and returns at once.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status().unwrap();
        assert!(status.success());
    }

    /// Waits for the process to end and returns its exit code.
    pub fn wait(&mut self, limit: Duration) -> Option<i32> {
        let end = Instant::now() + limit;
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("the server still runs after {limit:?}");
    }

    pub fn get(&self, target: &str) -> Answer {
        self.send("GET", target, None, &[])
    }

    pub fn post(&self, target: &str, body: &str) -> Answer {
        self.send("POST", target, Some(body), &[])
    }

    /// Sends a request signed with version 2.
    pub fn send(&self, method: &str, target: &str, body: Option<&str>, headers: &[(&str, &str)]) -> Answer {
        let mut own = self.sign(method, target, body);
        own.extend(headers.iter().map(|(n, v)| (n.to_string(), v.to_string())));
        self.raw(method, target, body, &own)
    }

    /// The headers that sign a request with version 2.
    pub fn sign(&self, method: &str, target: &str, body: Option<&str>) -> Vec<(String, String)> {
        self.sign_as(&self.account, method, target, body)
    }

    /// The same with another key.
    pub fn sign_as(
        &self,
        account: &(String, String),
        method: &str,
        target: &str,
        body: Option<&str>,
    ) -> Vec<(String, String)> {
        let date = httpdate::fmt_http_date(SystemTime::now());
        let mut own: Vec<(String, String)> = vec![("date".into(), date.clone())];
        let (mut md5, mut content_type) = (String::new(), "");
        if let Some(body) = body {
            md5 = Md5::digest(body).iter().map(|b| format!("{b:02x}")).collect();
            content_type = "application/json";
            own.push(("content-md5".into(), md5.clone()));
            own.push(("content-type".into(), content_type.into()));
        }
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let path = if path.starts_with(STORAGE) { path } else { path.strip_prefix("/api").unwrap_or(path) };
        let path = percent_decode_str(path).decode_utf8_lossy();
        let query = percent_decode_str(query).decode_utf8_lossy();
        let mut pairs: Vec<&str> = query.split('&').filter(|p| !p.is_empty()).collect();
        pairs.sort_unstable();
        let resource = if pairs.is_empty() { path.to_string() } else { format!("{path}?{}", pairs.join("&")) };
        let canonical = format!("{method}\n{md5}\n{content_type}\n{date}\n{resource}");
        let mut mac = Hmac::<Sha1>::new_from_slice(account.1.as_bytes()).unwrap();
        mac.update(canonical.as_bytes());
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        own.push(("authorization".into(), format!("ODPS {}:{signature}", account.0)));
        own
    }

    pub fn raw(&self, method: &str, target: &str, body: Option<&str>, headers: &[(String, String)]) -> Answer {
        self.try_raw(method, target, body, headers).unwrap()
    }

    /// Sends a request that may find no answer.
    pub fn try_raw(
        &self,
        method: &str,
        target: &str,
        body: Option<&str>,
        headers: &[(String, String)],
    ) -> Result<Answer, ureq::Error> {
        let config =
            ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(Duration::from_secs(60)));
        let agent: ureq::Agent = config.build().into();
        let url = format!("http://127.0.0.1:{}{target}", self.port);
        let mut request = ureq::http::Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let response = agent.run(request.body(body.unwrap_or_default().to_string()).unwrap())?;
        let (parts, mut body) = response.into_parts();
        let mut bytes = Vec::new();
        let complete = body.as_reader().read_to_end(&mut bytes).is_ok();
        let headers = parts.headers.iter().map(|(n, v)| (n.to_string(), v.to_str().unwrap().to_string())).collect();
        Ok(Answer { status: parts.status.as_u16(), headers, body: bytes, complete })
    }

    /// Calls an admin path, without a signature, and demands success.
    pub fn admin(&self, method: &str, path: &str, body: Option<&str>) -> Value {
        let json = [("content-type".to_string(), "application/json".to_string())];
        let answer = self.raw(method, &format!("/_maxstorage/{path}"), body, &json);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    /// Creates a session and returns the answer; demands 201.
    pub fn session(&self, table: &str, request: &str) -> Value {
        let answer = self.post(&sessions(table), request);
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.json()
    }

    /// Reads one split of a session.
    pub fn split(&self, table: &str, session: &str, index: i64) -> RecordBatch {
        self.get(&data(table, &format!("session_id={session}&split_index={index}"))).batch()
    }

    /// Reads all splits of a new session.
    pub fn read(&self, table: &str, request: &str) -> Vec<RecordBatch> {
        let session = self.session(table, request);
        let id = session["SessionId"].as_str().unwrap();
        (0..session["SplitsCount"].as_i64().unwrap()).map(|i| self.split(table, id, i)).collect()
    }

    /// Rows in all splits of a new session.
    pub fn count(&self, table: &str, request: &str) -> usize {
        self.read(table, request).iter().map(RecordBatch::num_rows).sum()
    }
}

pub fn base(table: &str) -> String {
    format!("{STORAGE}/projects/local/schemas/default/tables/{table}")
}

pub fn sessions(table: &str) -> String {
    format!("{}/sessions?session_type=batch_read", base(table))
}

pub fn data(table: &str, query: &str) -> String {
    format!("{}/data?{query}", base(table))
}

/// An answer with its whole body.
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub complete: bool,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// Status and code of a JSON error.
    pub fn error(&self) -> (u16, String) {
        let body = self.json();
        assert_eq!(body["RequestId"].as_str(), self.header("x-odps-request-id"));
        assert!(!body["Message"].as_str().unwrap().is_empty());
        (self.status, body["Code"].as_str().unwrap().to_string())
    }

    /// The batches of an Arrow stream that ends with its marker.
    pub fn batches(&self) -> Vec<RecordBatch> {
        assert_eq!(self.status, 200, "{}", self.text());
        assert!(self.complete);
        assert_eq!(self.header("transfer-encoding"), Some("chunked"));
        assert_eq!(self.header("content-encoding"), None);
        assert!(self.body.ends_with(&[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]), "no end-of-stream marker");
        StreamReader::try_new(self.body.as_slice(), None).unwrap().map(|b| b.unwrap()).collect()
    }

    pub fn batch(&self) -> RecordBatch {
        let batches = self.batches();
        let schema = StreamReader::try_new(self.body.as_slice(), None).unwrap().schema();
        concat_batches(&schema, &batches).unwrap()
    }
}

/// `rows` rows: `id` ascending from `start`, `name` its text.
pub fn numbers(start: i64, rows: i64) -> RecordBatch {
    let ids: Vec<i64> = (start..start + rows).collect();
    let names: ArrayRef =
        Arc::new(ids.iter().map(|i| (i % 7 != 0).then(|| format!("name {i}"))).collect::<StringArray>());
    let schema = Schema::new(vec![Field::new("id", DataType::Int64, false), Field::new("name", DataType::Utf8, true)]);
    RecordBatch::try_new(Arc::new(schema), vec![Arc::new(Int64Array::from(ids)), names]).unwrap()
}
