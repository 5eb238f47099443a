//! `fault`: the fault plan of a running server.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use clap::Subcommand;
use serde_json::{Value, json};

use super::client::Call;
use super::output::{say, table};
use crate::fault::{Rule, parse};

#[derive(Debug, clap::Args)]
pub struct Fault {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show the plan in force, and how often each rule matched, struck and fired.
    Get(Call),
    /// Put the plan of a file in force; counters start anew.
    Set {
        #[command(flatten)]
        call: Call,
        /// The plan, a JSON list of rules; - reads stdin.
        #[arg(value_name = "FILE.json")]
        plan: PathBuf,
    },
    /// Take the plan out of force, and show what its rules have done.
    Clear(Call),
    /// Read a plan and say whether it is sound, without any server.
    Check {
        /// The plan, a JSON list of rules; - reads stdin.
        #[arg(value_name = "FILE.json")]
        plan: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

pub fn run(args: &Fault) -> Result<()> {
    match &args.action {
        Action::Get(call) => show(call, &call.server.call("GET", "faults", None)?),
        Action::Set { call, plan } => {
            let rules = read_plan(plan)?;
            show(call, &call.server.call("PUT", "faults", Some(&json!(rules)))?)
        }
        Action::Clear(call) => show(call, &call.server.call("DELETE", "faults", None)?),
        Action::Check { plan, json } => {
            let count = read_plan(plan)?.len();
            if *json { say(json!({"rules": count})) } else { say(format_args!("{count} rules, all sound")) }
        }
    }
}

/// A fault plan in a file.
pub fn read_plan(path: &Path) -> Result<Vec<Rule>> {
    let mut text = Vec::new();
    if path == Path::new("-") {
        std::io::stdin().read_to_end(&mut text).context("cannot read stdin")?;
    } else {
        text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    }
    parse(&text).map_err(|why| anyhow!("{}: {why}", path.display()))
}

fn show(call: &Call, report: &Value) -> Result<()> {
    if call.json {
        return say(report);
    }
    let row = |(i, entry): (usize, &Value)| {
        let rule = &entry["rule"];
        let name = rule["name"].as_str().map_or_else(|| format!("rule {}", i + 1), str::to_string);
        let counts = ["matched", "struck", "fired"].map(|count| entry[count].to_string());
        [vec![name], counts.to_vec(), vec![rule["match"].to_string(), rule["effect"].to_string()]].concat()
    };
    let rules = report["rules"].as_array().map(Vec::as_slice).unwrap_or_default();
    if rules.is_empty() {
        return say("no fault plan is in force");
    }
    let rows: Vec<Vec<String>> = rules.iter().enumerate().map(row).collect();
    table(&["rule", "matched", "struck", "fired", "match", "effect"], &rows)
}
