//! `maxstorage-server`: a local MaxCompute Storage API service. See README.md for the layout of the code.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic))]
#![deny(unsafe_code)]
// Both panic if the other end is gone.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod blob;
mod catalog;
mod cli;
mod clock;
mod command;
mod config;
mod datum;
mod delta;
mod error;
mod fault;
#[cfg(test)]
mod figures;
mod filter;
mod governance;
mod http;
mod ingest;
mod limited;
mod logging;
mod observe;
mod plan;
mod private;
mod read;
mod sql;
mod store;
mod subject;
mod tunnel;
mod types;
mod write;

use std::ffi::OsString;
use std::io::IsTerminal;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use tracing_subscriber::EnvFilter;

use catalog::{Catalog, check_name};
use cli::{Command, LogFormat};
use logging::Log;
use read::Replay;

fn main() -> ExitCode {
    let Ok(log) = Log::start() else { return ExitCode::FAILURE };
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let mut format = LogFormat::Text;
    let code = config::parse(&arguments).and_then(|(cli, seed)| {
        format = cli.log_format;
        start_log(&log, format);
        run(cli.command, seed)
    });
    let code = code.unwrap_or_else(|error| {
        match format {
            LogFormat::Text => log.line(format_args!("maxstorage-server: {error:#}")),
            LogFormat::Json => tracing::error!("{error:#}"),
        }
        ExitCode::FAILURE
    });
    log.flush();
    code
}

fn start_log(log: &Log, format: LogFormat) {
    let level = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt().with_env_filter(level).with_writer(log.clone()).log_internal_errors(false);
    match format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).with_span_list(false).init(),
    }
}

fn run(command: Command, seed: config::Seed) -> Result<ExitCode> {
    match command {
        Command::Serve(args) => serve(*args, seed)?,
        Command::Load(args) => {
            let catalog = Catalog::open(&args.root)?;
            let options = ingest::LoadOptions {
                table: args.table,
                partition: args.partition,
                if_exists: args.if_exists,
                block_rows: args.block_rows as usize,
                files: args.files,
            };
            let loaded = ingest::load(&catalog, &options)?;
            if args.json {
                command::say(loaded.to_json())?;
            }
        }
        Command::Tpch(args) => {
            check_name(&args.project).map_err(|e| anyhow!("{e}"))?;
            let catalog = Catalog::open(&args.root)?;
            let options = ingest::TpchOptions { project: args.project, scale: args.scale, if_exists: args.if_exists };
            ingest::tpch(&catalog, &options, |loaded| if args.json { command::say(loaded.to_json()) } else { Ok(()) })?;
        }
        Command::Tool(tool) => return command::run(tool),
    }
    Ok(ExitCode::SUCCESS)
}

fn serve(args: cli::Serve, seed: config::Seed) -> Result<()> {
    let accounts = args.accounts().map_err(|e| anyhow!("{e}"))?;
    let external_authority = args.external_authority().map_err(|e| anyhow!("{e}"))?;
    let planning_delay = args.planning_delay();
    let faults = match &args.fault_plan {
        Some(path) => command::read_plan(path)?,
        None => Vec::new(),
    };
    let projects = if args.projects.is_empty() { vec!["local".to_string()] } else { args.projects };
    for project in &projects {
        check_name(project).map_err(|e| anyhow!("{e}"))?;
    }
    let options = http::ServeOptions {
        root: args.root,
        listen: args.listen,
        profile: args.profile,
        reading: args.reading,
        accounts,
        check_clock: !args.no_clock_check,
        projects,
        replay: args.replay.then(|| Replay::new(args.replay_batch_rows.map(NonZeroUsize::get))),
        external_authority,
        planning_delay,
        governance: args.governance,
        tls: args.tls,
        commit_delay: Duration::from_millis(args.commit_delay_ms),
        session_lifetime: Duration::from_secs(args.session_lifetime_s),
        head_timeout: Duration::from_millis(args.head_timeout_ms),
        garbage_interval: Duration::from_millis(args.garbage_interval_ms),
        reader_idle: (args.reader_idle_s > 0).then(|| Duration::from_secs(args.reader_idle_s)),
        ready_json: args.ready_json,
        upload_blob_bytes: args.upload_blob_bytes,
        tunnel_block_bytes: args.tunnel_block_bytes,
        tunnel_uploads: args.tunnel_uploads as usize,
        grace: Duration::from_millis(args.grace_ms),
        faults,
        seed,
        admin_needs_key: args.admin_needs_key,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("maxstorage-server")
        .thread_stack_size(8 << 20)
        .max_blocking_threads(cli::THREADS)
        .build()
        .context("cannot start the runtime")?;
    let result = runtime.block_on(http::serve(options));
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}
