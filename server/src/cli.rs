//! The command line.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::catalog::{IfExists, TableName};
use crate::command::Tool;
use crate::http::{Account, Profile};
use crate::ingest::IfTableExists;

/// A local MaxCompute Storage API service over real storage.
///
/// Rows lie in immutable Parquet files under a root directory, everything else in one SQLite database beside them. All
/// of it survives a restart and a kill -9.
#[derive(Debug, Parser)]
#[command(name = "maxstorage-server", version)]
pub struct Cli {
    /// How log lines on stderr look: text, or one JSON object a line.
    #[arg(long, global = true, value_enum, default_value = "text", env = "MAXSTORAGE_LOG_FORMAT")]
    pub log_format: LogFormat,
    #[command(subcommand)]
    pub command: Command,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

/// The largest number for durations, ten years in seconds, so that no sum of times overflows.
const LONGEST: u64 = 315_360_000;

/// Threads for work that blocks. Uploads through the classic tunnel, which hold one for as long as their clients take, get
/// half of them at most.
pub const THREADS: usize = 2048;

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve tables over HTTP until SIGTERM or SIGINT.
    ///
    /// Prints one line on stdout when it accepts requests, `ready http://HOST:PORT`; logs go to stderr (level from the
    /// environment variable RUST_LOG, default info). Service endpoint for SDKs: http://HOST:PORT/api; data endpoint:
    /// http://HOST:PORT.
    Serve(Box<Serve>),
    /// Load Parquet files into a table, all or nothing.
    ///
    /// A missing table is created from the schema of the files. Field metadata "maxcompute.type" names the MaxCompute
    /// type of a column, such as varchar(20), where the Arrow type alone does not say it.
    Load(Load),
    /// Generate the eight TPC-H tables, and orders_by_year, which is orders partitioned by the year of its date.
    Tpch(Tpch),
    #[command(flatten)]
    Tool(Tool),
}

#[derive(Debug, clap::Args)]
pub struct Serve {
    /// File with these options, and with what the root shall contain; the command config prints one.
    #[arg(long, value_name = "FILE.toml")]
    pub config: Option<PathBuf>,
    /// Directory that holds everything; created if missing.
    #[arg(long, value_name = "DIR")]
    pub root: PathBuf,
    /// Address and port to listen on; port 0 picks a free one.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// How strict to be: dev allows everything, strict checks rights and the limits of arguments, cloud also holds the slots
    /// and rates of quotas.
    #[arg(long, value_enum, default_value = "dev")]
    pub profile: Profile,
    /// Access key that may sign requests; with a TOKEN it is a temporary (STS) key. May be repeated. Default
    /// local:local.
    // Plain text here: an error of clap would print the value, and with it the secret.
    #[arg(long = "account", value_name = "ID:SECRET[:TOKEN]")]
    pub accounts: Vec<String>,
    /// Project to create if it is missing; projects in the root are served in any case. May be repeated. Default
    /// local.
    #[arg(long = "project", value_name = "NAME")]
    pub projects: Vec<String>,
    /// Accept signed requests of any date; by default the clocks may differ by 900 s.
    #[arg(long)]
    pub no_clock_check: bool,
    /// Do not authenticate requests at all.
    #[arg(long)]
    pub no_auth: bool,
    /// Keep encoded answers in memory and send them again from there: for benchmarks of clients.
    #[arg(long)]
    pub replay: bool,
    /// Encode the answers that are kept in batches of so many rows, whatever a client asks for.
    #[arg(long, value_name = "N", requires = "replay")]
    pub replay_batch_rows: Option<NonZeroUsize>,
    /// URL under which clients reach this server; endpoint discovery answers its host and port instead of the Host
    /// header.
    #[arg(long, value_name = "URL")]
    pub external_url: Option<String>,
    /// Answer "create session" with 202 INIT and let the session become NORMAL after this many milliseconds.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=LONGEST))]
    pub planning_delay_ms: u64,
    /// Answer "commit" with 202 COMMITTING and let the rows become visible after this many milliseconds.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=LONGEST))]
    pub commit_delay_ms: u64,
    /// Life of a session in seconds, of a read session also after a refresh.
    #[arg(long, value_name = "N", default_value_t = 86_400, value_parser = clap::value_parser!(u64).range(1..=LONGEST))]
    pub session_lifetime_s: u64,
    #[command(flatten, next_help_heading = "TLS")]
    pub tls: crate::http::TlsOptions,
    #[command(flatten, next_help_heading = "Governance")]
    pub governance: crate::governance::Settings,
    /// How often replaced files and dead sessions are looked for, for tests.
    #[arg(long, hide = true, default_value_t = 60_000, value_parser = clap::value_parser!(u64).range(1..=LONGEST))]
    pub garbage_interval_ms: u64,
    /// How long the head of a request may take, for tests.
    #[arg(long, hide = true, default_value_t = 60_000, value_parser = clap::value_parser!(u64).range(1..=LONGEST))]
    pub head_timeout_ms: u64,
    /// Cut an answer if its client takes nothing of it for this many seconds, so that its slot is free again; 0 waits for
    /// ever.
    #[arg(long, value_name = "N", default_value_t = 120, value_parser = clap::value_parser!(u64).range(..=LONGEST))]
    pub reader_idle_s: u64,
    /// Print the line that says that requests are accepted as JSON, `{"ready":"http://HOST:PORT"}`.
    #[arg(long)]
    pub ready_json: bool,
    /// Bytes of blobs that one upload may bring, as they are sent and after decoding.
    #[arg(long, value_name = "BYTES", default_value_t = 4 << 30, value_parser = clap::value_parser!(u64).range(1..))]
    pub upload_blob_bytes: u64,
    /// Bytes that one block of the classic tunnel may have after decoding.
    #[arg(long, value_name = "BYTES", default_value_t = 16 << 30, value_parser = clap::value_parser!(u64).range(1..))]
    pub tunnel_block_bytes: u64,
    /// Blocks that are taken through the classic tunnel at once; what is beyond gets 429 and comes again. Each holds a
    /// thread while it is read.
    #[arg(long, value_name = "N", default_value_t = 512,
          value_parser = clap::value_parser!(u32).range(1..=(THREADS as i64 / 2)))]
    pub tunnel_uploads: u32,
    /// How long running answers may go on after SIGTERM or SIGINT; then their connections are cut.
    #[arg(long, value_name = "N", default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(..=LONGEST))]
    pub grace_ms: u64,
    /// Fault plan in force from the start, a JSON list of rules.
    #[arg(long, value_name = "FILE.json")]
    pub fault_plan: Option<PathBuf>,
    /// Ask for a signature of the owner on /_maxstorage and /metrics from this machine as well.
    #[arg(long)]
    pub admin_needs_key: bool,
    #[command(flatten)]
    pub reading: crate::plan::Reading,
}

#[derive(Debug, clap::Args)]
pub struct Load {
    /// Directory that holds everything; created if missing.
    #[arg(long, value_name = "DIR")]
    pub root: PathBuf,
    /// Target table; project and schema are created if missing.
    #[arg(long, value_name = "PROJECT.SCHEMA.TABLE")]
    pub table: TableName,
    /// Target partition, with a value for every partition column. A new table gets these columns, as strings.
    #[arg(long, value_name = "K=V/K=V")]
    pub partition: Option<String>,
    /// What to do if the target (the partition if one is named, else the table) already has data.
    #[arg(long, value_enum, default_value = "error")]
    pub if_exists: IfExists,
    /// Rows per block; predicates skip whole blocks and splits consist of whole blocks.
    #[arg(long, value_name = "N", default_value_t = crate::store::BLOCK_ROWS as u32,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub block_rows: u32,
    /// Print the table and its new rows as a JSON object on stdout when they are there.
    #[arg(long)]
    pub json: bool,
    /// Parquet files; all must have the same columns.
    #[arg(required = true, value_name = "FILE.parquet")]
    pub files: Vec<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub struct Tpch {
    /// Directory that holds everything; created if missing.
    #[arg(long, value_name = "DIR")]
    pub root: PathBuf,
    /// Project of the tables; they go into its schema default.
    #[arg(long, value_name = "NAME", default_value = "local")]
    pub project: String,
    /// Scale factor: 1 is 6,001,215 rows of lineitem; fractions from 0.0001 on are allowed.
    #[arg(long, value_name = "S", default_value_t = 1.0)]
    pub scale: f64,
    /// What to do with tables that already have data.
    #[arg(long, value_enum, default_value = "error")]
    pub if_exists: IfTableExists,
    /// Print each table and its new rows as a JSON object a line on stdout when they are there.
    #[arg(long)]
    pub json: bool,
}

impl Serve {
    /// The accounts that may sign; `None` with --no-auth.
    pub fn accounts(&self) -> Result<Option<Vec<Account>>, String> {
        if self.no_auth {
            return Ok(None);
        }
        if self.accounts.is_empty() {
            return Ok(Some(vec!["local:local".parse()?]));
        }
        let parse = |(i, text): (usize, &String)| {
            text.parse().map_err(|why| format!("the value of --account number {} is wrong: {why}", i + 1))
        };
        self.accounts.iter().enumerate().map(parse).collect::<Result<_, _>>().map(Some)
    }

    /// How long planning pretends to take.
    pub fn planning_delay(&self) -> Duration {
        Duration::from_millis(self.planning_delay_ms)
    }

    /// The authority of --external-url.
    pub fn external_authority(&self) -> Result<Option<String>, String> {
        let Some(url) = &self.external_url else { return Ok(None) };
        let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
        match rest.map(|rest| rest.trim_end_matches('/')) {
            Some(authority) if !authority.is_empty() => Ok(Some(authority.to_string())),
            _ => Err(format!("--external-url \"{url}\" is not an http or https URL")),
        }
    }
}
