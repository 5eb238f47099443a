//! The configuration file.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;

use super::seed::Seed;

/// A file as it is written. `[serve]` holds the options of the command line, all else says what the root shall contain.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    #[serde(default)]
    pub serve: toml::Table,
    #[serde(default)]
    pub project: Vec<super::seed::Project>,
    #[serde(default)]
    pub account: Vec<super::seed::Account>,
    #[serde(default)]
    pub quota: Vec<super::seed::Quota>,
    #[serde(default)]
    pub table: Vec<super::seed::Table>,
    #[serde(default)]
    pub tenant: super::seed::Tenant,
}

impl File {
    /// Reads a file. What is wrong with it is told with line and column.
    pub fn read(path: &Path) -> Result<File> {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        File::parse(&text).with_context(|| format!("cannot use {}", path.display()))
    }

    pub fn parse(text: &str) -> Result<File> {
        Ok(toml::from_str(text)?)
    }

    /// What the root shall contain. Paths count from the directory of the file.
    pub fn seed(self, directory: &Path) -> Seed {
        let mut tables = self.table;
        for table in &mut tables {
            table.files.iter_mut().for_each(|file| *file = beside(directory, file));
        }
        Seed { projects: self.project, accounts: self.account, quotas: self.quota, tables, tenant: self.tenant }
    }
}

/// A path that a file in `directory` names.
pub fn beside(directory: &Path, path: &Path) -> PathBuf {
    directory.join(path)
}
