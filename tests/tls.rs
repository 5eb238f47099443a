//! TLS with a certificate authority of our own, and proxies.

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
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

/// A TLS front for a peer: its address, and the file with its authority.
fn front(peer: &Peer, name: &str) -> (SocketAddr, PathBuf) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let certificate = authority.self_signed(&key).unwrap();
    let issuer = rcgen::Issuer::new(authority, key);
    let server_key = rcgen::KeyPair::generate().unwrap();
    let server = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
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
