//! Keys for encryption at rest: one per project, wrapped under the root key, both in files under the root directory.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, anyhow, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use parquet::encryption::decrypt::{FileDecryptionProperties, KeyRetriever};
use parquet::encryption::encrypt::FileEncryptionProperties;
use parquet::errors::ParquetError;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::catalog::check_name;
use crate::private;

/// Bytes of every key: AES-256.
pub(super) const KEY: usize = 32;
/// Bytes of the nonce before a wrapped key.
const NONCE: usize = 12;
/// Bytes of a wrapped key: nonce, encrypted key, tag.
pub(super) const WRAPPED: usize = NONCE + KEY + 16;

/// Why a file cannot be read although it is there. A client gets 500 `DataStoreError`.
#[derive(Debug, thiserror::Error)]
#[error("the encryption key of project {0} is disabled")]
pub struct KeyDisabled(pub String);

/// What is known about the key of a project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectKey {
    /// `project/number`: written into every file that is encrypted with it.
    pub id: String,
    /// The key, wrapped.
    wrapped: String,
    /// Whether new files are encrypted.
    pub encrypts: bool,
    /// A disabled key neither reads nor writes.
    pub enabled: bool,
}

/// A key as it encrypts and decrypts.
#[derive(Clone)]
pub struct Secret {
    /// As in [`ProjectKey::id`].
    pub id: String,
    pub(super) bytes: [u8; KEY],
}

/// The keys of one root directory. Holds none of them in memory.
pub struct Keyring {
    dir: PathBuf,
}

impl Keyring {
    /// The keys that lie under a root directory.
    pub fn new(root: &Path) -> Keyring {
        Keyring { dir: root.join("keys") }
    }

    /// The key of a project, `None` if it never had one.
    pub fn project(&self, project: &str) -> Result<Option<ProjectKey>> {
        // The name may come from a request: it must not lead out of the directory.
        if check_name(project).is_err() {
            return Ok(None);
        }
        let path = self.path(project);
        match std::fs::read(&path) {
            Ok(bytes) => {
                Ok(Some(serde_json::from_slice(&bytes).with_context(|| format!("{} is damaged", path.display()))?))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// Turns encryption of new files on, with a new key if the project has none, or off.
    pub fn set_encrypts(&self, project: &str, encrypts: bool) -> Result<()> {
        match self.project(project)? {
            Some(key) => self.store(project, &ProjectKey { encrypts, ..key }),
            None if !encrypts => Ok(()),
            None => {
                let id = format!("{}/{}", project.to_lowercase(), Uuid::new_v4().simple());
                let wrapped = wrap(&self.root_key()?, &random::<KEY>()?, &id)?;
                self.store(project, &ProjectKey { id, wrapped: STANDARD.encode(wrapped), encrypts, enabled: true })
            }
        }
    }

    /// Disables the key of a project, or enables it again. False if the project has none.
    pub fn set_enabled(&self, project: &str, enabled: bool) -> Result<bool> {
        let Some(key) = self.project(project)? else { return Ok(false) };
        self.store(project, &ProjectKey { enabled, ..key })?;
        Ok(true)
    }

    /// Fails with [`KeyDisabled`] if the key of a project is disabled.
    pub fn check(&self, project: &str) -> Result<()> {
        match self.project(project)? {
            Some(key) if !key.enabled => Err(KeyDisabled(project.to_string()).into()),
            _ => Ok(()),
        }
    }

    /// Fails with [`KeyDisabled`] if the key of that id is disabled.
    pub fn check_key(&self, id: &str) -> Result<()> {
        self.check(id.split('/').next().unwrap_or_default())
    }

    /// How new data files of a project are encrypted; `None` is not at all.
    pub fn encryption(&self, project: &str) -> Result<Option<Arc<FileEncryptionProperties>>> {
        let Some(secret) = self.for_writing(project)? else { return Ok(None) };
        let properties = FileEncryptionProperties::builder(secret.bytes.to_vec())
            .with_footer_key_metadata(secret.id.into_bytes())
            .build()
            .context("cannot encrypt files")?;
        Ok(Some(properties))
    }

    /// The key for new files of a project; `None` if they are not encrypted.
    pub fn for_writing(&self, project: &str) -> Result<Option<Secret>> {
        let Some(key) = self.project(project)?.filter(|key| key.encrypts) else { return Ok(None) };
        self.unwrap(project, key).map(Some)
    }

    /// The key of that id.
    pub fn secret(&self, id: &str) -> Result<Secret> {
        let project = id.split('/').next().unwrap_or_default();
        match self.project(project)? {
            Some(key) if key.id == id => self.unwrap(project, key),
            _ => bail!("the encryption key {id} is not in {}", self.dir.display()),
        }
    }

    fn unwrap(&self, project: &str, key: ProjectKey) -> Result<Secret> {
        if !key.enabled {
            return Err(KeyDisabled(project.to_string()).into());
        }
        let wrapped = STANDARD.decode(&key.wrapped).context("a wrapped key is not base64")?;
        let bytes = unwrap(&self.root_key()?, wrapped, &key.id)?;
        Ok(Secret { id: key.id, bytes })
    }

    fn path(&self, project: &str) -> PathBuf {
        self.dir.join(format!("{}.json", project.to_lowercase()))
    }

    /// The root key; made when it is first needed.
    fn root_key(&self) -> Result<[u8; KEY]> {
        let path = self.dir.join("root.key");
        let read = |path: &Path| -> Result<[u8; KEY]> {
            let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            let bytes = STANDARD.decode(text.trim()).with_context(|| format!("{} is damaged", path.display()))?;
            bytes.try_into().map_err(|_| anyhow!("{} is damaged: it does not hold {KEY} bytes", path.display()))
        };
        if !path.exists() {
            private::directory(&self.dir).with_context(|| format!("cannot create {}", self.dir.display()))?;
            let fresh = self.dir.join(format!("{}.new", Uuid::new_v4().simple()));
            write_secret(&fresh, STANDARD.encode(random::<KEY>()?).as_bytes())?;
            // Another process may be faster: then its key counts.
            let linked = std::fs::hard_link(&fresh, &path);
            std::fs::remove_file(&fresh)?;
            match linked {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                    return Err(error).with_context(|| format!("cannot create {}", path.display()));
                }
                _ => File::open(&self.dir)?.sync_all()?,
            }
        }
        read(&path)
    }

    /// Replaces the file of a project in one step.
    fn store(&self, project: &str, key: &ProjectKey) -> Result<()> {
        check_name(project).map_err(|why| anyhow!("{why}"))?;
        private::directory(&self.dir).with_context(|| format!("cannot create {}", self.dir.display()))?;
        let path = self.path(project);
        let fresh = self.dir.join(format!("{}.new", Uuid::new_v4().simple()));
        write_secret(&fresh, &serde_json::to_vec_pretty(key)?)?;
        std::fs::rename(&fresh, &path).with_context(|| format!("cannot replace {}", path.display()))?;
        Ok(File::open(&self.dir)?.sync_all()?)
    }
}

/// Writes a file that only its owner may read, and syncs it.
fn write_secret(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = private::create_new(path).with_context(|| format!("cannot create {}", path.display()))?;
    file.write_all(bytes)?;
    Ok(file.sync_all()?)
}

pub(super) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| anyhow!("the system gives no random numbers"))?;
    Ok(bytes)
}

pub(super) fn cipher(key: &[u8; KEY]) -> Result<LessSafeKey> {
    let key = UnboundKey::new(&AES_256_GCM, key).map_err(|_| anyhow!("a key is not usable"))?;
    Ok(LessSafeKey::new(key))
}

/// Nonce and encrypted key; the id is authenticated with it.
pub(super) fn wrap(root: &[u8; KEY], key: &[u8; KEY], id: &str) -> Result<Vec<u8>> {
    let nonce = random::<NONCE>()?;
    let mut sealed = key.to_vec();
    cipher(root)?
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(id.as_bytes()), &mut sealed)
        .map_err(|_| anyhow!("cannot wrap a key"))?;
    Ok([nonce.as_slice(), &sealed].concat())
}

pub(super) fn unwrap(root: &[u8; KEY], mut wrapped: Vec<u8>, id: &str) -> Result<[u8; KEY]> {
    let broken = || anyhow!("the key {id} was not wrapped under this key");
    if wrapped.len() < NONCE {
        return Err(broken());
    }
    let mut sealed = wrapped.split_off(NONCE);
    let nonce = Nonce::try_assume_unique_for_key(&wrapped).map_err(|_| broken())?;
    let key = cipher(root)?.open_in_place(nonce, Aad::from(id.as_bytes()), &mut sealed).map_err(|_| broken())?;
    (*key).try_into().map_err(|_| broken())
}

/// Finds the key of one file while its footer is read, and remembers what it found.
pub struct FileKey {
    keyring: Arc<Keyring>,
    found: Mutex<Found>,
}

#[derive(Default)]
struct Found {
    id: Option<String>,
    error: Option<anyhow::Error>,
}

impl FileKey {
    /// For one file.
    pub fn new(keyring: &Arc<Keyring>) -> Arc<FileKey> {
        Arc::new(FileKey { keyring: keyring.clone(), found: Mutex::default() })
    }

    /// What a reader needs. It does no harm to a file that is not encrypted.
    pub fn decryption(self: &Arc<Self>) -> Result<Arc<FileDecryptionProperties>> {
        let properties = FileDecryptionProperties::with_key_retriever(self.clone()).build();
        properties.context("cannot decrypt files")
    }

    /// The id of the key, if the file is encrypted; the error, if its key cannot be had.
    pub fn take(&self) -> (Option<String>, Option<anyhow::Error>) {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        (found.id.take(), found.error.take())
    }
}

impl KeyRetriever for FileKey {
    fn retrieve_key(&self, key_metadata: &[u8]) -> Result<Vec<u8>, ParquetError> {
        let id = String::from_utf8_lossy(key_metadata).into_owned();
        let secret = self.keyring.secret(&id);
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.id = Some(id);
        secret.map(|secret| secret.bytes.to_vec()).map_err(|error| {
            let text = error.to_string();
            found.error = Some(error);
            ParquetError::General(text)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_wrapped_and_bound_to_their_root_and_project() {
        let root = tempfile::tempdir().unwrap();
        let keyring = Keyring::new(root.path());
        assert!(keyring.encryption("p").unwrap().is_none());
        keyring.set_encrypts("p", true).unwrap();
        let key = keyring.project("P").unwrap().unwrap();
        let secret = keyring.secret(&key.id).unwrap().bytes;
        for entry in std::fs::read_dir(root.path().join("keys")).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            assert!(!bytes.windows(KEY).any(|window| window == secret));
            assert!(!String::from_utf8_lossy(&bytes).contains(&STANDARD.encode(secret)));
        }
        // Off and on again keeps the key: old files stay readable.
        keyring.set_encrypts("p", false).unwrap();
        assert!(keyring.encryption("p").unwrap().is_none());
        assert_eq!(keyring.secret(&key.id).unwrap().bytes, secret);
        keyring.set_encrypts("p", true).unwrap();
        assert_eq!(keyring.project("p").unwrap().unwrap(), key);

        keyring.set_encrypts("q", true).unwrap();
        let other = keyring.project("q").unwrap().unwrap();
        keyring.store("q", &ProjectKey { wrapped: key.wrapped.clone(), ..other.clone() }).unwrap();
        assert!(keyring.secret(&other.id).err().unwrap().to_string().contains("not wrapped under this key"));
        std::fs::remove_file(root.path().join("keys/root.key")).unwrap();
        assert!(keyring.secret(&key.id).err().unwrap().to_string().contains("not wrapped under this key"));
    }

    #[test]
    fn names_do_not_lead_out_of_the_directory() {
        let root = tempfile::tempdir().unwrap();
        let keyring = Keyring::new(root.path());
        keyring.set_encrypts("p", true).unwrap();
        std::fs::copy(root.path().join("keys/p.json"), root.path().join("p.json")).unwrap();
        for name in ["../p", "../keys/p", "", "a/b"] {
            assert!(keyring.project(name).unwrap().is_none(), "{name}");
            assert!(keyring.encryption(name).unwrap().is_none(), "{name}");
            assert!(keyring.set_encrypts(name, true).is_err(), "{name}");
            keyring.check(name).unwrap();
        }
    }

    #[test]
    fn a_disabled_key_does_nothing() {
        let root = tempfile::tempdir().unwrap();
        let keyring = Keyring::new(root.path());
        assert!(!keyring.set_enabled("p", false).unwrap());
        keyring.set_encrypts("p", true).unwrap();
        let id = keyring.project("p").unwrap().unwrap().id;
        assert!(keyring.set_enabled("p", false).unwrap());
        assert!(keyring.check("p").unwrap_err().is::<KeyDisabled>());
        assert!(keyring.encryption("p").unwrap_err().is::<KeyDisabled>());
        assert!(keyring.secret(&id).err().unwrap().is::<KeyDisabled>());
        keyring.check("q").unwrap();
        keyring.set_enabled("p", true).unwrap();
        keyring.secret(&id).unwrap();
    }
}
