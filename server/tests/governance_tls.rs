//! https on the listener.

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use common::{Root, Server, numbers};
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// Sends a signed GET over TLS as a client that trusts `authority`, and returns the answer as text.
fn get(server: &Server, authority: &std::path::Path, host: &'static str, target: &str) -> std::io::Result<String> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connection = ClientConnection::new(Arc::new(config), host.try_into().unwrap()).unwrap();
    let mut stream = StreamOwned::new(connection, TcpStream::connect(("127.0.0.1", server.port)).unwrap());
    let headers: String =
        server.sign("GET", target, None).iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let port = server.port;
    write!(stream, "GET {target} HTTP/1.1\r\nhost: {host}:{port}\r\nconnection: close\r\n{headers}\r\n")?;
    let mut text = Vec::new();
    // The end of the body is known by its length; how the connection ends does not matter.
    let _ = stream.read_to_end(&mut text);
    Ok(String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn a_development_authority_is_made_once_and_trusted_by_clients() {
    let root = Root::new();
    root.load("local.default.t", &root.parquet("t.parquet", &numbers(0, 10)), &[]);
    let authority = root.path().join("tls/ca.pem");
    let server = root.serve(&["--tls-dev"]);
    let before = std::fs::read(&authority).unwrap();
    for host in ["127.0.0.1", "localhost"] {
        let answer = get(&server, &authority, host, "/api/projects/local/tunnel?service").unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.ends_with(&format!("\r\n\r\n{host}:{}", server.port)), "discovery has no scheme: {answer}");
    }
    assert!(get(&server, &authority, "elsewhere.example", "/api/tenants").is_err());
    // Plain HTTP gets no answer there.
    let mut plain = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    plain.write_all(b"GET /api/tenants HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"), "{}", String::from_utf8_lossy(&answer));
    drop(server);
    let server = root.serve(&["--tls-dev"]);
    assert_eq!(std::fs::read(&authority).unwrap(), before);
    assert!(get(&server, &authority, "localhost", "/api/tenants").unwrap().starts_with("HTTP/1.1 200"));
    // Another root has another authority.
    let other = Root::new();
    let stranger = other.serve(&["--tls-dev"]);
    assert!(get(&stranger, &authority, "localhost", "/api/tenants").is_err());
}

#[test]
fn a_given_certificate_is_served_and_a_wrong_one_refused_at_start() {
    let root = Root::new();
    let at = |name: &str| root.parquet(name, &numbers(0, 1)).with_extension("pem");
    let (cert, key) = (at("cert"), at("key"));
    let pair = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["localhost".to_string()]).unwrap();
    std::fs::write(&cert, params.self_signed(&pair).unwrap().pem()).unwrap();
    std::fs::write(&key, pair.serialize_pem()).unwrap();
    let args = ["--tls-cert", cert.to_str().unwrap(), "--tls-key", key.to_str().unwrap()];
    let server = root.serve(&args);
    assert!(get(&server, &cert, "localhost", "/api/tenants").unwrap().starts_with("HTTP/1.1 200"));
    drop(server);
    let refused = root.run("serve", &["--tls-cert", key.to_str().unwrap(), "--tls-key", key.to_str().unwrap()]);
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("holds no certificate"));
    assert!(!root.run("serve", &["--tls-cert", cert.to_str().unwrap()]).status.success(), "a key is demanded");
}
