//! `tables`: what a root holds.

use anyhow::Result;
use serde_json::{Value, json};

use super::Root;
use super::output::{say, table};
use crate::types::temporal::iso_millis;

#[derive(Debug, clap::Args)]
pub struct Tables {
    #[command(flatten)]
    root: Root,
    /// Only this project.
    #[arg(long, value_name = "NAME")]
    project: Option<String>,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Tables) -> Result<()> {
    let catalog = args.root.open()?;
    let mut found: Vec<Value> = Vec::new();
    for (project, _) in catalog.projects()? {
        if args.project.as_ref().is_some_and(|wanted| !wanted.eq_ignore_ascii_case(&project)) {
            continue;
        }
        for (schema, _) in catalog.schemas(&project)? {
            for table in catalog.tables(&project, &schema)? {
                let files = catalog.files(table.id)?;
                let partitions = if table.partition_keys.is_empty() { 0 } else { catalog.partitions(table.id)?.len() };
                found.push(json!({
                    "table": table.name.to_string(),
                    "kind": table.kind.name(),
                    "rows": files.iter().map(|file| file.rows).sum::<u64>(),
                    "bytes": files.iter().map(|file| file.bytes).sum::<u64>(),
                    "files": files.len(),
                    "partitions": partitions,
                    "version": table.version,
                    "modified": iso_millis(table.modified_ms),
                }));
            }
        }
    }
    if args.json {
        return found.iter().try_for_each(say);
    }
    let names = ["table", "kind", "rows", "bytes", "files", "partitions", "version", "modified"];
    let cell = |row: &Value, name: &str| match &row[name] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let rows: Vec<Vec<String>> = found.iter().map(|row| names.iter().map(|name| cell(row, name)).collect()).collect();
    table(&names, &rows)
}
