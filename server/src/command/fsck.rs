//! `fsck`: the catalogue of a root against its files.

use std::collections::HashMap;
use std::process::ExitCode;

use anyhow::Result;
use arrow::datatypes::Schema;
use serde::Serialize;
use serde_json::json;

use super::Root;
use super::output::say;
use crate::blob::open_blob;
use crate::catalog::{Blob, Catalog, KnownFile, Table};
use crate::ingest::Progress;
use crate::store::{Footers, clean, column_index, sealed_length};

/// Exit code if something was found.
const FOUND: u8 = 3;

#[derive(Debug, clap::Args)]
pub struct Fsck {
    #[command(flatten)]
    root: Root,
    /// Remove data files that the catalogue does not name. Nothing else is ever changed.
    #[arg(long)]
    repair: bool,
    /// One JSON object a finding, then one with the totals.
    #[arg(long)]
    json: bool,
}

/// One thing that is not as it should be.
#[derive(Debug, Serialize)]
struct Finding {
    kind: &'static str,
    what: String,
    why: String,
}

fn finding(kind: &'static str, what: impl Into<String>, why: impl Into<String>) -> Finding {
    Finding { kind, what: what.into(), why: why.into() }
}

pub fn run(args: &Fsck) -> Result<ExitCode> {
    let catalog = args.root.open()?;
    let mut findings: Vec<Finding> = Vec::new();
    findings.extend(catalog.database_damage()?.into_iter().map(|why| finding("database", "catalog.sqlite", why)));
    findings.extend(catalog.contradictions()?.into_iter().map(|(what, why)| finding("contradiction", what, why)));
    let tables = tables(&catalog, &mut findings)?;
    let (files, blobs) = (catalog.known_files()?, catalog.known_blobs()?);
    let progress = Progress::of("fsck", "files", (files.len() + blobs.len()) as u64);
    let footers = Footers::new(catalog.keyring());
    let mut rows = 0;
    for file in &files {
        if let Some(found) = look(&catalog, &footers, tables.get(&file.table_id), file) {
            findings.push(found);
        }
        rows += file.rows;
        progress.add(1);
    }
    for blob in &blobs {
        findings.extend(look_at_blob(&catalog, blob));
        progress.add(1);
    }
    progress.finish();
    let (orphans, foreign) = catalog.unknown_files()?;
    let mut removed = 0;
    if args.repair && !orphans.is_empty() {
        match clean(&catalog)? {
            Some(count) => removed = count,
            None => findings.push(finding("busy", "data", "another process is writing: nothing was removed")),
        }
    }
    for path in orphans.iter().filter(|path| path.exists()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        findings.push(finding("orphan", name, "the catalogue does not name this file; --repair removes it"));
    }
    let totals = json!({"tables": tables.len(), "files": files.len(), "rows": rows, "foreign": foreign.len(),
                        "removed": removed, "findings": findings.len()});
    if args.json {
        findings.iter().try_for_each(|found| say(json!(found)))?;
        say(totals)?;
    } else {
        findings.iter().try_for_each(|found| say(format_args!("{}: {}: {}", found.kind, found.what, found.why)))?;
        let count = |n: usize, one: &str| if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") };
        say(format_args!(
            "{}, {}, {rows} rows: {}; {removed} removed, {} of others left alone",
            count(tables.len(), "table"),
            count(files.len(), "file"),
            count(findings.len(), "finding"),
            count(foreign.len(), "file")
        ))?;
    }
    Ok(if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(FOUND) })
}

/// The tables that can be read, by id. Those that cannot are findings.
fn tables(catalog: &Catalog, findings: &mut Vec<Finding>) -> Result<HashMap<i64, Table>> {
    let mut tables = HashMap::new();
    for (id, name, table) in catalog.all_tables()? {
        match table {
            Ok(table) => {
                tables.insert(id, table);
            }
            Err(error) => findings.push(finding("table", format!("table {name}"), format!("{error:#}"))),
        }
    }
    Ok(tables)
}

/// What is wrong with one file.
fn look(catalog: &Catalog, footers: &Footers, table: Option<&Table>, file: &KnownFile) -> Option<Finding> {
    let path = catalog.file_path(&file.id);
    let owner = table.map_or_else(|| "a dropped table".to_string(), |table| table.name.to_string());
    let what = format!("file {} of {owner}", file.id);
    let bytes = match std::fs::metadata(&path) {
        Ok(metadata) => metadata.len(),
        // A replaced file may have been deleted by the clean-up of a running server just now.
        Err(_) if !file.visible && !file.staged => return None,
        Err(error) => return Some(finding("missing", what, error.to_string())),
    };
    if bytes != file.bytes {
        let why = format!("it has {bytes} bytes, the catalogue says {}", file.bytes);
        return Some(finding("size", what, why));
    }
    let footer = match footers.get(&file.id, &path) {
        Ok(footer) => footer,
        Err(error) => return Some(finding("damaged", what, format!("{error:#}"))),
    };
    let rows = footer.metadata().file_metadata().num_rows();
    if rows != file.rows as i64 {
        return Some(finding("rows", what, format!("it has {rows} rows, the catalogue says {}", file.rows)));
    }
    let missing = table.filter(|_| file.visible).and_then(|table| missing_column(table, footer.schema()));
    missing.map(|name| finding("columns", what, format!("it has no column {name}")))
}

/// What is wrong with one blob. Those that are encrypted are read to their end, which shows every change.
fn look_at_blob(catalog: &Catalog, blob: &Blob) -> Option<Finding> {
    let (dir, what) = (catalog.blob_dir(), format!("blob {}", blob.id));
    let found = match std::fs::metadata(dir.join(&blob.id)) {
        Ok(metadata) => metadata.len(),
        Err(error) => return Some(finding("missing", what, error.to_string())),
    };
    let expected = if blob.key.is_some() { sealed_length(blob.bytes) } else { blob.bytes };
    if found != expected {
        return Some(finding("size", what, format!("it has {found} bytes, the catalogue says {expected}")));
    }
    let read = |key: &str| -> Result<()> {
        let secret = catalog.keyring().secret(key)?;
        std::io::copy(&mut open_blob(&dir, &blob.id, Some(&secret))?, &mut std::io::sink())?;
        Ok(())
    };
    let error = read(blob.key.as_deref()?).err()?;
    Some(finding("damaged", what, format!("{error:#}")))
}

fn missing_column<'a>(table: &'a Table, schema: &Schema) -> Option<&'a str> {
    let absent = |name: &&str| column_index(schema, name).is_none();
    table.columns.iter().filter(|column| !column.nullable).map(|column| column.name.as_str()).find(absent)
}
