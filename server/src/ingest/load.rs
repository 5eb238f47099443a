//! The `load` command: Parquet files into a table.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use arrow::datatypes::SchemaRef;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::progress::{Loaded, Progress};
use crate::catalog::{Catalog, Change, Column, IfExists, TableName};
use crate::plan::parse_spec;
use crate::store::{PendingFiles, batch_rows};
use crate::types::{Type, infer};
use crate::write::{TableWriter, Target, commit_with};

/// Rows of a batch at most.
const BATCH_ROWS: usize = 8192;

/// What `load` was asked to do.
#[derive(Debug)]
pub struct LoadOptions {
    pub table: TableName,
    /// Full partition spec, `k=v/k=v`.
    pub partition: Option<String>,
    pub if_exists: IfExists,
    /// Rows per block of the stored files.
    pub block_rows: usize,
    pub files: Vec<PathBuf>,
}

/// Loads Parquet files. Either all rows become visible or none.
pub fn load(catalog: &Catalog, options: &LoadOptions) -> Result<Loaded> {
    let mut sources: Vec<(&Path, SchemaRef, u64)> = Vec::new();
    for path in &options.files {
        let reader = open(path)?;
        let rows = reader.metadata().file_metadata().num_rows().max(0) as u64;
        sources.push((path, reader.schema().clone(), rows));
    }
    let Some((first_path, first, _)) = sources.first() else { bail!("name at least one Parquet file") };
    let columns = infer_columns(first).with_context(|| format!("{}", first_path.display()))?;
    for (path, schema, _) in &sources {
        let other = infer_columns(schema).with_context(|| format!("{}", path.display()))?;
        if let Some(difference) = first_difference(&columns, &other) {
            bail!("{} and {} differ: {difference}", first_path.display(), path.display());
        }
    }
    let spec = options.partition.as_deref().map(parse_spec).transpose().map_err(|e| anyhow!("{e}"))?;
    let (partition_keys, spec) = partition_keys(catalog, options, &columns, spec.unwrap_or_default())?;
    let partition: Option<Vec<String>> = options.partition.as_ref().map(|_| spec);
    let mut change = Change {
        table: options.table.clone(),
        columns,
        partition_keys,
        if_exists: options.if_exists,
        partition: partition.clone(),
    };
    catalog.check(&mut change)?;
    let progress = Progress::start(format!("load {}", options.table), sources.iter().map(|s| s.2).sum());
    let mut files = PendingFiles::new(catalog)?;
    let target = Target {
        partition: partition.into_iter().flatten().map(Some).collect(),
        block_rows: options.block_rows,
        ..Target::table(catalog.changed_table(&change)?)
    };
    for (path, schema, _) in &sources {
        let mut writer = TableWriter::new(catalog, &target, schema)?;
        let reader = open(path)?;
        let groups = 0..reader.metadata().num_row_groups();
        let rows = batch_rows(reader.metadata(), groups, |_| true, BATCH_ROWS);
        for batch in reader.with_batch_size(rows).build()? {
            let batch = batch.with_context(|| format!("cannot read {}", path.display()))?;
            writer.write(&batch).with_context(|| format!("{}", path.display()))?;
            progress.add(batch.num_rows() as u64);
        }
        files.append(writer.finish()?.files);
    }
    let overwrite = options.if_exists == IfExists::Overwrite;
    let destination = target.destination(overwrite);
    let current = || catalog.changed_table(&change);
    commit_with(catalog, &destination, current, files, |arranged| catalog.commit_change(&change, arranged))?;
    Ok(progress.finish_table(options.table.clone()))
}

fn open(path: &Path) -> Result<ParquetRecordBatchReaderBuilder<File>> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    ParquetRecordBatchReaderBuilder::try_new(file).with_context(|| format!("{} is not a Parquet file", path.display()))
}

fn infer_columns(schema: &SchemaRef) -> Result<Vec<Column>> {
    let mut columns: Vec<Column> = Vec::new();
    for field in schema.fields() {
        let field = Arc::as_ref(field);
        let ty = infer(field).map_err(|why| anyhow!("column {} {why}", field.name()))?;
        if columns.iter().any(|c| c.name.eq_ignore_ascii_case(field.name())) {
            bail!("column {} appears twice (names are compared without case)", field.name());
        }
        // The catalogue stores the text, so what cannot be read back must not get in.
        match ty.to_string().parse::<Type>() {
            Ok(again) if again == ty => {}
            Ok(_) => bail!("column {} has a type whose text {ty} is ambiguous", field.name()),
            Err(error) => bail!("column {} has a type that cannot be written down: {error}", field.name()),
        }
        columns.push(Column::new(field.name(), ty, field.is_nullable()));
    }
    if columns.is_empty() {
        bail!("the file has no columns");
    }
    Ok(columns)
}

fn first_difference(left: &[Column], right: &[Column]) -> Option<String> {
    if left.len() != right.len() {
        return Some(format!("{} columns against {}", left.len(), right.len()));
    }
    left.iter()
        .zip(right)
        .find(|(l, r)| !l.name.eq_ignore_ascii_case(&r.name) || l.ty != r.ty)
        .map(|(l, r)| format!("column {} {} against {} {}", l.name, l.ty, r.name, r.ty))
}

/// The partition columns of the table and the values of the spec in their order. A new table gets string columns.
fn partition_keys(
    catalog: &Catalog,
    options: &LoadOptions,
    columns: &[Column],
    spec: Vec<(String, String)>,
) -> Result<(Vec<Column>, Vec<String>)> {
    let keys = match catalog.partition_keys(&options.table)? {
        Some(keys) => keys,
        None => spec.iter().map(|(name, _)| Column::new(name, Type::String, true)).collect(),
    };
    if let Some(clash) = keys.iter().find(|k| columns.iter().any(|c| c.name.eq_ignore_ascii_case(&k.name))) {
        bail!("partition column {} is also a column of the file", clash.name);
    }
    if options.partition.is_none() && !keys.is_empty() {
        let names: Vec<&str> = keys.iter().map(|k| k.name.as_str()).collect();
        bail!("{} is partitioned by {}: name one with --partition", options.table, names.join(", "));
    }
    let mut values = Vec::new();
    for key in &keys {
        let Some((_, value)) = spec.iter().find(|(name, _)| name.eq_ignore_ascii_case(&key.name)) else {
            bail!("--partition lacks {}", key.name);
        };
        values.push(crate::plan::partition_value(value, &key.ty).map_err(|e| anyhow!("partition {}: {e}", key.name))?);
    }
    if let Some((name, _)) = spec.iter().find(|(n, _)| !keys.iter().any(|k| k.name.eq_ignore_ascii_case(n))) {
        bail!("{} is not a partition column of {}", name, options.table);
    }
    Ok((keys, values))
}
