//! TLS with a certificate authority of our own, and proxies.

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use maxstorage::client::Client;
use maxstorage::error::Kind;
use maxstorage::options::Options;
use maxstorage::session::Session;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use support::Peer;

const COLUMN: &str = r#"{"Name":"a","Type":"bigint","Nullable":true}"#;

/// What is wrong with a certificate.
#[derive(Clone, Copy, PartialEq)]
enum Flaw {
    None,
    Expired,
    NotYetValid,
    OtherHost,
}

/// A TLS front for a peer: its address, and the file with its authority.
fn front(peer: &Peer, name: &str) -> (SocketAddr, PathBuf) {
    flawed_front(peer, name, Flaw::None)
}

fn flawed_front(peer: &Peer, name: &str, flaw: Flaw) -> (SocketAddr, PathBuf) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let certificate = authority.self_signed(&key).unwrap();
    let issuer = rcgen::Issuer::new(authority, key);
    let server_key = rcgen::KeyPair::generate().unwrap();
    let host = if flaw == Flaw::OtherHost { "127.0.0.2" } else { "127.0.0.1" };
    let mut server = rcgen::CertificateParams::new(vec![host.to_owned()]).unwrap();
    match flaw {
        Flaw::Expired => server.not_after = rcgen::date_time_ymd(2020, 1, 1),
        Flaw::NotYetValid => server.not_before = rcgen::date_time_ymd(4000, 1, 1),
        Flaw::None | Flaw::OtherHost => {}
    }
    let server = server.signed_by(&server_key, &issuer).unwrap();
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(server_key.serialize_der()));
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![server.der().clone()], private)
        .unwrap();
    let config = Arc::new(config);

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, behind) = (listener.local_addr().unwrap(), peer.address);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let config = Arc::clone(&config);
            std::thread::spawn(move || pass_on(stream, behind, config));
        }
    });
    let file = std::env::temp_dir().join(format!("maxstorage-tls-{}-{name}.pem", std::process::id()));
    std::fs::write(&file, certificate.pem()).unwrap();
    (address, file)
}

/// Passes one request and its answer on; our answers are short and have a length.
fn pass_on(mut stream: TcpStream, behind: SocketAddr, config: Arc<rustls::ServerConfig>) {
    let mut session = rustls::ServerConnection::new(config).unwrap();
    let mut tls = rustls::Stream::new(&mut session, &mut stream);
    let mut request = vec![0; 16 << 10];
    // A client that does not trust us goes away here.
    let Ok(length) = tls.read(&mut request) else { return };
    let mut plain = TcpStream::connect(behind).unwrap();
    plain.write_all(&request[..length]).unwrap();
    plain.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let mut answer = Vec::new();
    // The peer keeps the connection open, so the answer ends with the pause.
    let _ = plain.read_to_end(&mut answer);
    let _ = tls.write_all(&answer);
    let _ = plain.shutdown(Shutdown::Both);
    tls.conn.send_close_notify();
    let _ = tls.flush();
}

fn open(peer: &Peer, address: SocketAddr, more: &[(&str, &str)]) -> Result<Session, maxstorage::error::Error> {
    let mut options: Options = peer.options();
    options.set("data_endpoint", &format!("https://{address}")).unwrap();
    options.set("read_idle_timeout_ms", "5000").unwrap();
    options.set("retry.max_attempts", "1").unwrap();
    for (key, value) in more {
        options.set(key, value).unwrap();
    }
    Session::open(&Client::open(&options)?, &options)
}

#[test]
fn an_authority_of_the_options_is_trusted_and_a_strange_one_is_not() {
    let peer = Peer::table(COLUMN, 3, |_, _| {});
    let (address, ca) = front(&peer, "ca");
    let session = open(&peer, address, &[("tls.ca_file", ca.to_str().unwrap())]).unwrap();
    assert_eq!(session.split_count(), 3);
    let error = open(&peer, address, &[]).unwrap_err();
    assert_eq!(error.kind(), Kind::Connection, "{error}");
    assert!(error.message().contains("certificate"), "the cause is told: {error}");
    let session = open(&peer, address, &[("tls.verify", "false")]).unwrap();
    assert_eq!(session.split_count(), 3);
    std::fs::remove_file(ca).unwrap();
}

#[test]
fn a_diagnosis_finds_the_strange_authority() {
    let peer = Peer::start(|exchange, _| exchange.answer("404 Not Found", "", b""));
    let (address, ca) = front(&peer, "diagnosis");
    let step = |more: &[(&str, &str)]| {
        let mut options = peer.options();
        options.set("endpoint", &format!("https://{address}/api")).unwrap();
        options.set("read_idle_timeout_ms", "5000").unwrap();
        for (key, value) in more {
            options.set(key, value).unwrap();
        }
        let mut report = maxstorage::catalog::diagnose(&Client::open(&options).unwrap(), None).unwrap();
        let report = report.next_batch().unwrap().unwrap();
        let text = |column: &str| {
            let column = report.column_by_name(column).unwrap().as_string::<i32>();
            if column.is_null(2) { String::new() } else { column.value(2).to_owned() }
        };
        (text("step"), text("status"), text("sentence"))
    };
    let (name, status, sentence) = step(&[]);
    assert_eq!((name.as_str(), status.as_str()), ("tls", "failed"), "{sentence}");
    assert!(sentence.contains("certificate") && sentence.contains("tls.ca_file"), "{sentence}");
    assert_eq!(step(&[("tls.ca_file", ca.to_str().unwrap())]).1, "ok");
    std::fs::remove_file(ca).unwrap();
}

#[test]
fn a_file_without_certificates_is_refused_at_open() {
    let peer = Peer::table(COLUMN, 1, |_, _| {});
    for path in ["/nonexistent.pem", file!()] {
        let error = open(&peer, peer.address, &[("tls.ca_file", path)]).unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidOption, "{error}");
        assert!(error.message().contains(path));
    }
}

#[test]
fn requests_go_through_the_proxy_and_no_other_is_used() {
    let session = format!(
        r#"{{"SessionId":"S1","SessionStatus":"NORMAL","SplitsCount":2,
            "DataSchema":{{"DataColumns":[{COLUMN}],"PartitionColumns":[]}}}}"#
    );
    let proxy = Peer::start(move |exchange, _| exchange.json("201 Created", &session));
    let mut options = proxy.options();
    options.set("data_endpoint", "http://storage.example.test").unwrap();
    options.set("proxy", &format!("http://{}", proxy.address)).unwrap();
    let session = Session::open(&Client::open(&options).unwrap(), &options).unwrap();
    assert_eq!(session.split_count(), 2);
    assert!(proxy.heads()[0].starts_with("POST http://storage.example.test/api/storage/v1/"), "{}", proxy.heads()[0]);
}

#[test]
fn authorities_from_memory_are_trusted() {
    let peer = Peer::table(COLUMN, 3, |_, _| {});
    let (address, ca) = front(&peer, "memory");
    let pem = std::fs::read_to_string(&ca).unwrap();
    std::fs::remove_file(ca).unwrap();
    assert_eq!(open(&peer, address, &[("tls.ca_pem", &pem)]).unwrap().split_count(), 3);
    let error = open(&peer, address, &[("tls.ca_pem", "no certificate")]).unwrap_err();
    assert!(error.kind() == Kind::InvalidOption && error.message().contains("tls.ca_pem"), "{error}");
}

#[test]
fn a_certificate_that_is_over_or_of_another_host_is_refused_and_the_message_says_so() {
    let peer = Peer::table(COLUMN, 3, |_, _| {});
    for (name, flaw, told) in [
        ("expired", Flaw::Expired, "expired"),
        ("early", Flaw::NotYetValid, "not valid yet"),
        ("host", Flaw::OtherHost, "not valid for name"),
    ] {
        let (address, ca) = flawed_front(&peer, name, flaw);
        let error = open(&peer, address, &[("tls.ca_file", ca.to_str().unwrap())]).unwrap_err();
        assert_eq!(error.kind(), Kind::Connection, "{error}");
        assert!(error.message().contains("certificate") && error.message().contains(told), "{error}");
        let unverified = open(&peer, address, &[("tls.verify", "false")]).unwrap();
        assert_eq!(unverified.split_count(), 3);
        std::fs::remove_file(ca).unwrap();
    }
    assert_eq!(peer.heads().len(), 3, "a refused service gets no request");
}

/// A proxy that tunnels and passes on for those who know its password.
fn proxy(password: &'static str) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, heads) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
    let noted = Arc::clone(&heads);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let noted = Arc::clone(&noted);
            std::thread::spawn(move || serve_as_proxy(stream, password, &noted));
        }
    });
    (address, heads)
}

fn serve_as_proxy(mut stream: TcpStream, password: &str, noted: &Mutex<Vec<String>>) {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).unwrap_or(0) == 0 {
            return;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    noted.lock().unwrap().push(head.lines().next().unwrap().to_owned());
    let allowed = head
        .to_ascii_lowercase()
        .contains(&format!("proxy-authorization: basic {}\r\n", password.to_ascii_lowercase()));
    if !allowed {
        let no = "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n";
        let _ = stream.write_all(no.as_bytes());
        return;
    }
    let target = head.split(' ').nth(1).unwrap();
    let mut behind = TcpStream::connect(target).unwrap();
    stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").unwrap();
    let (mut up, mut down) = (stream.try_clone().unwrap(), behind.try_clone().unwrap());
    let sender = std::thread::spawn(move || {
        let _ = std::io::copy(&mut up, &mut down);
        let _ = down.shutdown(Shutdown::Write);
    });
    let _ = std::io::copy(&mut behind, &mut stream);
    let _ = stream.shutdown(Shutdown::Both);
    sender.join().unwrap();
}

#[test]
fn https_goes_through_a_proxy_with_its_password_and_a_wrong_one_is_told_without_it() {
    let peer = Peer::table(COLUMN, 3, |_, _| {});
    let (address, ca) = front(&peer, "proxy");
    // user:CANARY
    let (through, heads) = proxy("dXNlcjpDQU5BUlk=");
    let ca_file = ("tls.ca_file", ca.to_str().unwrap());
    let right = format!("http://user:CANARY@{through}");
    assert_eq!(open(&peer, address, &[ca_file, ("proxy", &right)]).unwrap().split_count(), 3);
    assert_eq!(heads.lock().unwrap().clone(), [format!("CONNECT {address} HTTP/1.1")]);
    let wrong = format!("http://user:CANARY-wrong@{through}");
    let error = open(&peer, address, &[ca_file, ("proxy", &wrong)]).unwrap_err();
    assert_eq!(error.kind(), Kind::Connection, "{error}");
    assert!(error.message().contains("proxy") && !error.message().contains("CANARY"), "{error}");
    // The proxy is not asked for a host that needs none.
    let asked = heads.lock().unwrap().len();
    let direct = [ca_file, ("proxy", wrong.as_str()), ("no_proxy", "10.0.0.0/8, 127.0.0.1")];
    assert_eq!(open(&peer, address, &direct).unwrap().split_count(), 3);
    assert_eq!(heads.lock().unwrap().len(), asked);
    std::fs::remove_file(ca).unwrap();
}
