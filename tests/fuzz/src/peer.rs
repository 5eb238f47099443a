//! Clients: one that reaches nobody, and one whose every request is answered with what the target says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use maxstorage::client::Client;
use maxstorage::options::Options;

/// Nobody listens there.
const NOBODY: &str = "http://127.0.0.1:9/api";

/// A client of an endpoint that gives up at once.
fn client(endpoint: &str) -> Client {
    let mut options = Options::new();
    for (key, value) in [
        ("endpoint", endpoint),
        ("data_endpoint", endpoint),
        ("project", "p"),
        ("access_key_id", "a"),
        ("access_key_secret", "s"),
        ("protocol", "2"),
        ("connect_timeout_ms", "1000"),
        ("read_idle_timeout_ms", "500"),
        ("retry.max_attempts", "1"),
        ("retry.initial_backoff_ms", "1"),
        ("retry.max_backoff_ms", "1"),
        ("limits.memory_bytes", "16777216"),
    ] {
        options.set(key, value).expect("a legal option");
    }
    Client::open(&options).expect("a client")
}

/// A client that reaches nobody.
pub fn offline() -> &'static Client {
    static CLIENT: LazyLock<Client> = LazyLock::new(|| client(NOBODY));
    &CLIENT
}

/// A client whose requests get the answers of [`answer_with`].
pub fn answered() -> &'static Client {
    static CLIENT: LazyLock<Client> = LazyLock::new(|| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        std::thread::spawn(move || listener.incoming().flatten().for_each(|stream| drop(serve(&stream))));
        client(&format!("http://{address}"))
    });
    &CLIENT
}

/// Answers one request; there is no second one on a connection.
fn serve(mut stream: &TcpStream) -> std::io::Result<()> {
    let (mut request, mut length) = (BufReader::new(stream), 0);
    let mut line = String::new();
    while request.read_line(&mut line)? > 2 {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        line.clear();
    }
    std::io::copy(&mut request.take(length), &mut std::io::sink())?;
    let answer = answers().pop();
    stream.write_all(&answer.unwrap_or_default())?;
    stream.shutdown(Shutdown::Both)
}

/// The answers that are left, the next one last.
fn answers() -> MutexGuard<'static, Vec<Vec<u8>>> {
    static ANSWERS: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());
    ANSWERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sets the bytes, head and all, that the next requests are answered with, the last one first. Further requests get none.
pub fn answer_with(next: Vec<Vec<u8>>) {
    *answers() = next;
}

/// A whole answer that succeeds.
pub fn ok(body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}
