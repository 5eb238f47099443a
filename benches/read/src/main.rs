//! The other ends of the comparison of `make bench`. Time and CPU are measured from outside, by the driver.
//!
//!     maxstorage-bench rust ENDPOINT TOKEN-FILE COMPRESSION ROWS TIMES    the library without its C boundary
//!     maxstorage-bench raw URL ACCEPT-ENCODING TIMES                      the bytes of an answer out of a socket, thrown away
//!     maxstorage-bench codec FILE COMPRESSION TIMES                       the C codec on the buffers of a saved body
//!
//! `codec` prints the CPU seconds that the codec took; the file is read and cut before the clock starts.

mod codec;

use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;

use maxstorage::client::Client;
use maxstorage::options::Options;
use maxstorage::session::Session;
use maxstorage::split::Split;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["rust", endpoint, token, compression, rows, times] => rust(endpoint, token, compression, rows, times.parse()?),
        ["raw", url, encoding, times] => raw(url, encoding, times.parse()?),
        ["codec", file, compression, times] => codec::run(&std::fs::read(file)?, compression, times.parse()?),
        _ => Err("the head of main.rs says how to call this".into()),
    }
}

fn rust(endpoint: &str, token: &str, compression: &str, rows: &str, times: u32) -> Result<()> {
    // As the C interface does at its first call; else strings would be checked twice, and each packet would wake a thread.
    maxstorage::ffi::trust_checked_byte_arrays();
    maxstorage::ffi::wake_sockets_late();
    let mut options = Options::new();
    for (key, value) in [
        ("endpoint", endpoint),
        ("access_key_id", "local"),
        ("access_key_secret", "local"),
        ("read.compression", compression),
        ("read.batch_rows", rows),
    ] {
        options.set(key, value).map_err(|error| error.to_string())?;
    }
    let client = Client::open(&options).map_err(|error| error.to_string())?;
    let session = Session::attach(&client, &std::fs::read(token)?).map_err(|error| error.to_string())?;
    let mut count = 0;
    for index in (0..times).flat_map(|_| 0..session.split_count()) {
        let split = Split::open(&session, index, &options).map_err(|error| error.to_string())?;
        while let Some(batch) = split.next_batch().map_err(|error| error.to_string())? {
            count += batch.num_rows();
        }
    }
    println!("{{\"rows\": {count}}}");
    Ok(())
}

fn raw(url: &str, encoding: &str, times: u32) -> Result<()> {
    let (host, path) = url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).ok_or("not an http:// URL")?;
    let mut buffer = vec![0; 256 << 10];
    let mut received = 0;
    for _ in 0..times {
        let mut stream = TcpStream::connect(host)?;
        write!(stream, "GET /{path} HTTP/1.1\r\nHost: {host}\r\nAccept-Encoding: {encoding}\r\n")?;
        write!(stream, "Connection: close\r\n\r\n")?;
        loop {
            match stream.read(&mut buffer)? {
                0 => break,
                count => received += count,
            }
        }
    }
    println!("{{\"received\": {received}}}");
    Ok(())
}
