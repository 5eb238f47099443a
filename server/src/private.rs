//! Files and directories for the owner of the process alone: in the root lie rows, keys and the secrets of accounts.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::Result;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

const DIRECTORY: u32 = 0o700;
const FILE: u32 = 0o600;

/// Creates a directory with what is missing above it. One that is there is closed to others.
pub fn directory(path: &Path) -> Result<()> {
    DirBuilder::new().recursive(true).mode(DIRECTORY).create(path)?;
    close(path, DIRECTORY)
}

/// Creates a file that is not there yet.
pub fn create_new(path: &Path) -> Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(FILE).open(path)
}

/// Creates a file if it is missing. One that is there is closed to others and otherwise left as it is.
pub fn ensure(path: &Path) -> Result<()> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(FILE).open(path)?;
    close(path, FILE)
}

/// Takes what others may do from a file or directory. Only its owner can: for whoever else may open it, it stays as it is.
fn close(path: &Path, mode: u32) -> Result<()> {
    if std::fs::metadata(path)?.permissions().mode() & 0o077 == 0 {
        return Ok(());
    }
    if let Err(error) = std::fs::set_permissions(path, Permissions::from_mode(mode)) {
        tracing::warn!("{} is open to other users of this machine: {error}", path.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn what_is_made_is_private_and_what_was_open_is_closed() {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join("a/b");
        directory(&deep).unwrap();
        assert_eq!((mode(&deep), mode(&root.path().join("a"))), (0o700, 0o700));
        std::fs::set_permissions(&deep, Permissions::from_mode(0o755)).unwrap();
        directory(&deep).unwrap();
        assert_eq!(mode(&deep), 0o700);
        let file = deep.join("file");
        create_new(&file).unwrap();
        assert!(create_new(&file).is_err());
        std::fs::write(&file, "text").unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        ensure(&file).unwrap();
        assert_eq!((mode(&file), std::fs::read_to_string(&file).unwrap().as_str()), (0o600, "text"));
    }
}
