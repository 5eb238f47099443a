//! `grant`: statements on governance, on a root or on a running server.

use std::io::Read;
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow};
use serde_json::{Value, json};

use super::client::Server;
use super::output::say;
use crate::governance;

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("target").required(true).args(["root", "url"]))]
pub struct Grant {
    /// Directory that holds everything; a server may be running on it.
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    #[command(flatten)]
    server: Option<Server>,
    /// Project in which the statements are carried out.
    #[arg(long, value_name = "NAME", default_value = "local")]
    project: String,
    /// Print the answers as JSON, one a line.
    #[arg(long)]
    json: bool,
    /// Statements, such as "ADD TENANT USER RAM$alice;"; - reads stdin. They are carried out one after the other until
    /// one fails.
    #[arg(required = true, value_name = "STATEMENT")]
    statements: Vec<String>,
}

pub fn run(args: &Grant) -> Result<()> {
    let mut texts = Vec::new();
    for statement in &args.statements {
        let mut text = statement.clone();
        if statement == "-" {
            text.clear();
            std::io::stdin().read_to_string(&mut text).context("cannot read stdin")?;
        }
        texts.push(text);
    }
    let answer: Box<dyn Fn(&str) -> Result<Value>> = match (&args.root, &args.server) {
        (Some(root), _) => {
            let catalog = super::open(root)?;
            Box::new(move |text| {
                let output = governance::execute(&catalog, &args.project, text).ok_or_else(|| unknown(text))?;
                let output = output.map_err(|error| anyhow!("{error}"))?;
                Ok(json!({"text": output.text, "json": output.json}))
            })
        }
        (None, Some(server)) => Box::new(move |text| {
            server.call("POST", "statements", Some(&json!({"project": args.project, "statement": text})))
        }),
        (None, None) => return Err(anyhow!("name --root or --server")),
    };
    for text in &texts {
        let output = answer(text)?;
        match args.json {
            true => say(&output["json"])?,
            false => say(output["text"].as_str().unwrap_or_default())?,
        }
    }
    Ok(())
}

/// The error for text that governance does not know.
fn unknown(text: &str) -> anyhow::Error {
    anyhow!("\"{}\" is no statement on governance", text.trim())
}
