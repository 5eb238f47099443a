//! A peer whose every byte the test decides, and the streams it sends.
#![allow(dead_code)] // Each test binary uses its own part.

pub mod partitions;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{IpcWriteOptions, StreamWriter};
use maxstorage::client::Client;
use maxstorage::options::Options;

/// What a connection is asked and answers with.
pub struct Exchange {
    pub head: String,
    pub body: Vec<u8>,
    pub stream: TcpStream,
}

impl Exchange {
    pub fn path(&self) -> &str {
        self.head.split_whitespace().nth(1).unwrap_or_default()
    }

    pub fn send(&mut self, bytes: &[u8]) {
        // The client may have gone; that is its right.
        let _ = self.stream.write_all(bytes);
    }

    /// A complete answer.
    pub fn answer(&mut self, status: &str, headers: &str, body: &[u8]) {
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
        self.send(&[head.as_bytes(), body].concat());
    }

    pub fn json(&mut self, status: &str, body: &str) {
        self.answer(status, "x-odps-request-id: REQ-1\r\nContent-Type: application/json\r\n", body.as_bytes());
    }

    /// The head of a chunked answer.
    pub fn begin(&mut self) {
        self.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nx-odps-request-id: REQ-9\r\n\r\n");
    }

    pub fn chunk(&mut self, bytes: &[u8]) {
        self.send(&[format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat());
    }

    /// The end of a chunked answer.
    pub fn end(&mut self) {
        self.send(b"0\r\n\r\n");
    }

    /// Says nothing for longer than any test waits, or until the client goes.
    pub fn stall(&mut self) {
        let _ = self.stream.set_read_timeout(Some(Duration::from_secs(30)));
        let _ = self.stream.read(&mut [0]);
    }
}

/// A server on a loopback port that hands each request to a closure.
pub struct Peer {
    pub address: SocketAddr,
    stop: Arc<AtomicBool>,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Peer {
    /// `answer` gets each request and its number, counted from 0 over the life of the peer.
    pub fn start(answer: impl Fn(&mut Exchange, usize) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let (stop, heads, count) = (Arc::new(AtomicBool::new(false)), Arc::default(), AtomicUsize::new(0));
        let peer = Peer { address, stop: Arc::clone(&stop), heads: Arc::clone(&heads) };
        let (answer, count) = (Arc::new(answer), Arc::new(count));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                stream.set_nodelay(true).expect("a TCP socket");
                let (answer, count, heads) = (Arc::clone(&answer), Arc::clone(&count), Arc::clone(&heads));
                std::thread::spawn(move || {
                    while let Some((head, body)) = read_request(&stream) {
                        heads.lock().expect("not poisoned").push(head.clone());
                        let mut exchange = Exchange { head, body, stream: stream.try_clone().expect("a descriptor") };
                        answer(&mut exchange, count.fetch_add(1, Ordering::SeqCst));
                    }
                });
            }
        });
        peer
    }

    /// A peer that plans `splits` splits of the given columns and answers data requests with `data`.
    pub fn table(columns: &str, splits: usize, data: impl Fn(&mut Exchange, usize) + Send + Sync + 'static) -> Self {
        let session = format!(
            r#"{{"SessionId":"S1","SessionStatus":"NORMAL","SplitsCount":{splits},"RecordCount":-1,
                "DataSchema":{{"DataColumns":[{columns}],"PartitionColumns":[]}}}}"#
        );
        let reads = AtomicUsize::new(0);
        Peer::start(move |exchange, _| match exchange.path() {
            path if path.contains("/sessions") => exchange.json("201 Created", &session),
            path if path.contains("/data") => data(exchange, reads.fetch_add(1, Ordering::SeqCst)),
            _ => exchange.json("404 Not Found", r#"{"Code":"NoSuchObject","Message":"unknown"}"#),
        })
    }

    /// The heads of all requests so far.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().expect("not poisoned").clone()
    }

    /// Options for a client of this peer, with short waits.
    pub fn options(&self) -> Options {
        let mut options = Options::new();
        for (key, value) in [
            ("endpoint", format!("http://{}/api", self.address).as_str()),
            ("data_endpoint", format!("http://{}", self.address).as_str()),
            ("project", "p"),
            ("table", "t"),
            ("access_key_id", "local"),
            ("access_key_secret", "local"),
            ("connect_timeout_ms", "1000"),
            ("read_idle_timeout_ms", "400"),
            ("retry.max_attempts", "3"),
            ("retry.initial_backoff_ms", "5"),
        ] {
            options.set(key, value).expect("a legal option");
        }
        options
    }

    pub fn client(&self) -> Client {
        Client::open(&self.options()).expect("a client")
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

/// Reads a request with its body; `None` when the client is gone.
fn read_request(mut stream: &TcpStream) -> Option<(String, Vec<u8>)> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).ok()?;
    Some((head, body))
}

/// Arrow IPC stream bytes of batches.
pub fn ipc(batches: &[RecordBatch], compression: Option<CompressionType>) -> Vec<u8> {
    let options = IpcWriteOptions::default().try_with_compression(compression).expect("a known codec");
    let schema = batches[0].schema();
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), &schema, options).expect("a writer");
    for batch in batches {
        writer.write(batch).expect("a batch can be written");
    }
    writer.finish().expect("the end can be written");
    writer.into_inner().expect("the bytes")
}

/// A body that is compressed as a whole, into one frame.
pub fn packed(bytes: &[u8], compression: Option<CompressionType>) -> Vec<u8> {
    match compression {
        None => bytes.to_vec(),
        Some(CompressionType::ZSTD) => zstd::bulk::compress(bytes, 1).expect("a frame"),
        Some(_) => {
            let mut encoder = lz4::EncoderBuilder::new().build(Vec::new()).expect("an encoder");
            encoder.write_all(bytes).expect("memory");
            encoder.finish().0
        }
    }
}
