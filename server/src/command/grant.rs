//! `grant`: statements on governance, on a root or on a running server.

use std::io::Read;
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow};
use serde_json::{Value, json};

use super::client::Server;
use super::output::say;
use crate::catalog::Catalog;
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
    let place = match (&args.root, &args.server) {
        (Some(root), _) => Place::Root(super::open(root)?),
        (None, Some(server)) => Place::Server(server),
        (None, None) => return Err(anyhow!("name --root or --server")),
    };
    for text in &texts {
        let output = place.carry_out(&args.project, text)?;
        match args.json {
            true => say(&output["json"])?,
            false => say(output["text"].as_str().unwrap_or_default())?,
        }
    }
    Ok(())
}

/// Where statements are carried out.
enum Place<'a> {
    Root(Catalog),
    Server(&'a Server),
}

impl Place<'_> {
    fn carry_out(&self, project: &str, text: &str) -> Result<Value> {
        match self {
            Place::Root(catalog) => match governance::execute(catalog, project, text) {
                Some(Ok(output)) => Ok(json!({"text": output.text, "json": output.json})),
                Some(Err(error)) => Err(anyhow!("{error}")),
                None => Err(anyhow!("\"{}\" is no statement on governance", text.trim())),
            },
            Place::Server(server) => {
                server.call("POST", "statements", Some(&json!({"project": project, "statement": text})))
            }
        }
    }
}
