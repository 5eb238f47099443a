//! The commands for people who run the server. Each has its arguments, and prints a table or JSON.

mod client;
mod clock;
mod fault;
mod fsck;
mod grant;
mod head;
mod output;
mod tables;
mod usage;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};

use crate::catalog::Catalog;
use crate::config;
pub use fault::read_plan;
pub use output::say;

/// The commands of this module.
#[derive(Debug, Subcommand)]
pub enum Tool {
    /// Print a commented configuration file with all options and their defaults.
    Config {
        /// One JSON object for each option of `serve`, instead of a file.
        #[arg(long)]
        json: bool,
    },
    /// List the tables of a root: kind, rows, bytes, files, partitions, version.
    Tables(tables::Tables),
    /// Print the first rows of a table, as a table or as JSON lines.
    Head(head::Head),
    /// Carry out statements on governance: tenant users and roles, quotas, rights, access keys, switches.
    Grant(grant::Grant),
    /// Print what was read and written, by month, quota, table and operation.
    Usage(usage::Usage),
    /// Compare the catalogue of a root with its files.
    ///
    /// Looks for missing, damaged and superfluous files, for row counts and columns that differ from what the catalogue
    /// says, and for versions that do not fit together. Changes nothing unless told to. Exit code 0: sound; 3:
    /// something was found; 1: the check itself failed.
    Fsck(fsck::Fsck),
    /// Look at, replace, clear or check the fault plan of a running server.
    Fault(fault::Fault),
    /// Look at, set, move or stop the clock of a running server.
    Clock(clock::Clock),
}

/// Runs a command.
pub fn run(tool: Tool) -> Result<ExitCode> {
    match tool {
        Tool::Config { json: false } => say(config::commented().trim_end())?,
        Tool::Config { json: true } => config::described().iter().try_for_each(say)?,
        Tool::Tables(args) => tables::run(&args)?,
        Tool::Head(args) => head::run(&args)?,
        Tool::Grant(args) => grant::run(&args)?,
        Tool::Usage(args) => usage::run(&args)?,
        Tool::Fsck(args) => return fsck::run(&args),
        Tool::Fault(args) => fault::run(&args)?,
        Tool::Clock(args) => clock::run(&args)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A root that is there already.
#[derive(Debug, Args)]
pub struct Root {
    /// Directory that holds everything.
    #[arg(long, value_name = "DIR", env = "MAXSTORAGE_ROOT", hide_env_values = true)]
    root: PathBuf,
}

impl Root {
    /// Opens the catalogue; a command that looks must not create what it looks at.
    fn open(&self) -> Result<Catalog> {
        open(&self.root)
    }
}

fn open(root: &Path) -> Result<Catalog> {
    if !root.join("catalog.sqlite").is_file() {
        bail!("{} is no root: it has no catalog.sqlite", root.display());
    }
    Catalog::open(root)
}
