//! TLS on the listener: with a given certificate, or with one of a development authority under the root directory.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::private;

/// How long the certificate of a server is good; a new one is made at every start.
const SERVER_DAYS: u64 = 397;
/// How long the development authority is good.
const AUTHORITY_DAYS: u64 = 3650;
/// Clients whose clock is behind must accept a certificate that was made just now.
const BEFORE: Duration = Duration::from_secs(86_400);

/// Options of `serve`.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct TlsOptions {
    /// Serve https with this certificate chain.
    #[arg(long, value_name = "FILE.pem", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Private key of --tls-cert.
    #[arg(long, value_name = "FILE.pem", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Serve https with a certificate for localhost, 127.0.0.1, ::1 and --listen, signed by a development authority that
    /// is made in the root when it is missing. Clients trust ROOT/tls/ca.pem.
    #[arg(long, conflicts_with = "tls_cert")]
    pub tls_dev: bool,
}

/// What turns connections into TLS connections; `None` if they are to stay plain.
pub fn acceptor(options: &TlsOptions, root: &Path, names: &[String]) -> Result<Option<TlsAcceptor>> {
    let (chain, key) = match (&options.tls_cert, &options.tls_key) {
        (Some(cert), Some(key)) => read(cert, key)?,
        // The command line demands this itself; a configuration file does not.
        (Some(_), None) | (None, Some(_)) => anyhow::bail!("tls_cert and tls_key go together"),
        _ if options.tls_dev => development(&root.join("tls"), names)?,
        _ => return Ok(None),
    };
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .context("cannot use TLS")?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .context("the certificate and the key for TLS do not go together")?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Some(TlsAcceptor::from(Arc::new(config))))
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn read(cert: &Path, key: &Path) -> Result<Identity> {
    let damaged = |path: &Path| format!("cannot read {}", path.display());
    let chain = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| damaged(cert))?;
    anyhow::ensure!(!chain.is_empty(), "{} holds no certificate", cert.display());
    Ok((chain, PrivateKeyDer::from_pem_file(key).with_context(|| damaged(key))?))
}

/// A fresh certificate of the development authority.
fn development(dir: &Path, names: &[String]) -> Result<Identity> {
    let authority = authority(dir)?;
    let mut params = CertificateParams::new(names.to_vec()).context("a name for the certificate is not usable")?;
    params.distinguished_name.push(DnType::CommonName, "maxstorage-server");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    valid(&mut params, SERVER_DAYS);
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, &authority).context("cannot sign a certificate")?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    Ok((vec![certificate.der().clone()], key))
}

fn valid(params: &mut CertificateParams, days: u64) {
    let now = SystemTime::now();
    params.not_before = (now - BEFORE).into();
    params.not_after = (now + Duration::from_secs(days * 86_400)).into();
}

/// The development authority of a root; made when it is missing.
fn authority(dir: &Path) -> Result<Issuer<'static, KeyPair>> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "maxstorage-server development authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    valid(&mut params, AUTHORITY_DAYS);
    let (key_path, cert_path) = (dir.join("ca.key"), dir.join("ca.pem"));
    if key_path.exists() && cert_path.exists() {
        let text = std::fs::read_to_string(&key_path).with_context(|| format!("cannot read {}", key_path.display()))?;
        let key = KeyPair::from_pem(&text).with_context(|| format!("{} is damaged", key_path.display()))?;
        return Ok(Issuer::new(params, key));
    }
    private::directory(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key).context("cannot make a development authority")?;
    replace(&key_path, key.serialize_pem().as_bytes(), 0o600)?;
    replace(&cert_path, certificate.pem().as_bytes(), 0o644)?;
    File::open(dir)?.sync_all()?;
    tracing::info!("made a development authority: clients trust {}", cert_path.display());
    Ok(Issuer::new(params, key))
}

/// Writes a file in one step.
fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let fresh = path.with_extension("new");
    let write = || -> std::io::Result<()> {
        let _ = std::fs::remove_file(&fresh);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&fresh)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&fresh, path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// The names a development certificate is for: those of this machine for itself, where it listens, and the host of an
/// external address.
pub fn names(listen: IpAddr, external: Option<&str>) -> Vec<String> {
    let mut names = vec!["localhost".to_string(), "127.0.0.1".into(), "::1".into()];
    if !listen.is_unspecified() {
        names.push(listen.to_string());
    }
    if let Some(authority) = external {
        let without_port = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((address, _)) => address,
            None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
        };
        names.push(without_port.to_string());
    }
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_a_certificate() {
        let of = |listen: &str, external| names(listen.parse().unwrap(), external);
        assert_eq!(of("127.0.0.1", None), ["127.0.0.1", "::1", "localhost"]);
        assert_eq!(of("0.0.0.0", Some("db.example:8443")), ["127.0.0.1", "::1", "db.example", "localhost"]);
        assert_eq!(of("10.0.0.7", Some("[fe80::1]:8")), ["10.0.0.7", "127.0.0.1", "::1", "fe80::1", "localhost"]);
    }

    #[test]
    fn the_authority_stays_and_its_key_is_private() {
        use std::os::unix::fs::PermissionsExt;
        let root = tempfile::tempdir().unwrap();
        let options = TlsOptions { tls_dev: true, ..TlsOptions::default() };
        let start = || acceptor(&options, root.path(), &["localhost".into()]).unwrap().is_some();
        assert!(start());
        let files = || ["ca.pem", "ca.key"].map(|name| std::fs::read(root.path().join("tls").join(name)).unwrap());
        let before = files();
        assert!(start());
        assert_eq!(files(), before);
        let mode = std::fs::metadata(root.path().join("tls/ca.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(acceptor(&TlsOptions::default(), root.path(), &[]).unwrap().is_none());
    }

    #[test]
    fn given_files_are_read_or_refused_with_a_sentence() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        let key = KeyPair::generate().unwrap();
        let cert = CertificateParams::new(vec!["localhost".to_string()]).unwrap().self_signed(&key).unwrap();
        std::fs::write(at("cert.pem"), cert.pem()).unwrap();
        std::fs::write(at("key.pem"), key.serialize_pem()).unwrap();
        std::fs::write(at("other.pem"), KeyPair::generate().unwrap().serialize_pem()).unwrap();
        let with = |cert: &str, key: &str| {
            let options = TlsOptions { tls_cert: Some(at(cert)), tls_key: Some(at(key)), tls_dev: false };
            acceptor(&options, root.path(), &[]).map(|found| found.is_some()).map_err(|error| format!("{error:#}"))
        };
        assert!(with("cert.pem", "key.pem").unwrap());
        assert!(with("cert.pem", "other.pem").unwrap_err().contains("do not go together"));
        assert!(with("key.pem", "key.pem").unwrap_err().contains("holds no certificate"));
        assert!(with("cert.pem", "missing.pem").unwrap_err().contains("cannot read"));
    }
}
