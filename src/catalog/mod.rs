//! What a planner asks before it reads: projects and schemas, tables, their columns and facts, partitions, first rows.
//!
//! Every list is a stream of record batches that asks the service for a page when the host asks for a batch: it holds one page,
//! does nothing in between, and ends when it is dropped.

mod details;
mod diagnose;
mod partitions;
mod pattern;
mod preview;
mod schemas;
mod tables;
mod times;

use arrow_array::RecordBatch;
use arrow_schema::{ArrowError, Schema, SchemaRef};

use crate::client::Client;
use crate::error::{Error, Kind, Result};
use crate::options::Options;
use crate::predicate::Predicate;
use crate::proto::metadata::TableDocument;
use crate::proto::{TableName, check_name, metadata};
use crate::transport::Transport;

use partitions::Partitions;
use preview::Preview;
use schemas::Schemas;
use tables::Tables;

/// A stream of batches.
#[derive(Debug)]
pub struct Listing {
    client: Client,
    schema: SchemaRef,
    ahead: Option<RecordBatch>,
    rest: Rest,
}

/// What comes behind the batch that is there.
#[derive(Debug)]
enum Rest {
    Asked(Box<Source>),
    Nothing,
    /// Stays, so that nobody takes it for the end.
    Failed(Error),
}

/// Where the batches come from.
#[derive(Debug)]
enum Source {
    Schemas(Schemas),
    Tables(Tables),
    Partitions(Partitions),
    Preview(Box<Preview>),
}

impl Source {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        match self {
            Source::Schemas(schemas) => schemas.next().await,
            Source::Tables(tables) => tables.next().await,
            Source::Partitions(partitions) => partitions.next().await,
            Source::Preview(preview) => preview.next().await,
        }
    }
}

impl Listing {
    /// A stream whose first batch is there already, so that what is wrong with the request shows now.
    fn open(client: &Client, schema: SchemaRef, source: Source) -> Result<Self> {
        let mut listing = Listing { client: client.clone(), schema, ahead: None, rest: Rest::Asked(Box::new(source)) };
        listing.ahead = listing.ask()?;
        Ok(listing)
    }

    /// A stream of what is there already.
    fn ready(client: &Client, batch: RecordBatch) -> Self {
        Listing { client: client.clone(), schema: batch.schema(), ahead: Some(batch), rest: Rest::Nothing }
    }

    /// The schema of every batch.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The next batch, never an empty one; `None` after the last. Blocks until the service has answered.
    pub fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        match self.ahead.take() {
            Some(batch) => Ok(Some(batch)),
            None => self.ask(),
        }
    }

    /// Whether the stream was opened in another process, from which this one was forked.
    pub fn is_inherited(&self) -> bool {
        self.client.runtime().is_inherited()
    }

    fn ask(&mut self) -> Result<Option<RecordBatch>> {
        let mut source = match std::mem::replace(&mut self.rest, Rest::Nothing) {
            Rest::Asked(source) => source,
            Rest::Nothing => return Ok(None),
            Rest::Failed(error) => {
                self.rest = Rest::Failed(error.clone());
                return Err(error);
            }
        };
        let asked = self.client.run(None, async move {
            let batch = source.next().await?;
            Ok((source, batch))
        });
        let (source, batch) = asked.inspect_err(|error| self.rest = Rest::Failed(error.clone()))?;
        if batch.is_some() {
            self.rest = Rest::Asked(source);
        }
        Ok(batch)
    }
}

/// The schemas of a project, or of every project that the caller may see.
pub fn schemas(client: &Client, project: Option<&str>) -> Result<Listing> {
    let schemas = Schemas::new(client, project)?;
    Listing::open(client, Schemas::schema(), Source::Schemas(schemas))
}

/// The tables of a schema whose names match `pattern`, in which `*` stands for any characters and `?` for one.
pub fn tables(client: &Client, project: Option<&str>, schema: Option<&str>, pattern: Option<&str>) -> Result<Listing> {
    let tables = Tables::new(client, project, schema, pattern)?;
    Listing::open(client, Tables::schema(), Source::Tables(tables))
}

/// The columns of a table as a schema.
pub fn table_schema(client: &Client, table: &str) -> Result<Schema> {
    let (_, document) = described(client, table)?;
    details::schema(&document)
}

/// Kind, size, layout and times of a table, in one row.
pub fn table_details(client: &Client, table: &str) -> Result<Listing> {
    let (name, document) = described(client, table)?;
    Ok(Listing::ready(client, details::batch(&name, &document)?))
}

/// The partitions of a table that meet `filter`, a condition on its partition keys.
pub fn partitions(client: &Client, table: &str, filter: Option<&Predicate>) -> Result<Listing> {
    let (name, document) = described(client, table)?;
    let partitions = Partitions::new(client, name, &document.partition_keys()?, filter)?;
    Listing::open(client, partitions.schema(), Source::Partitions(partitions))
}

/// At most `limit` rows of a table, of the columns and the partition that `scan` names.
pub fn preview(client: &Client, table: &str, scan: &Options, limit: u32) -> Result<Listing> {
    let client = &client.observed(scan)?;
    let (name, document) = described(client, table)?;
    let preview = Preview::new(client, name, &document, scan, limit)?;
    Listing::open(client, preview.schema(), Source::Preview(Box::new(preview)))
}

/// What may keep a client from reading, one row for each step, tried in this order until one fails.
pub fn diagnose(client: &Client, table: Option<&str>) -> Result<Listing> {
    client.runtime().check()?;
    let table = table.map(|text| client.table(text)).transpose()?;
    let transport = std::sync::Arc::clone(client.transport());
    let project = table.as_ref().map(|table| table.project.clone()).or(client.project().map(str::to_owned));
    let batch = client.run(None, async move { diagnose::walk(&transport, project, table).await })?;
    Ok(Listing::ready(client, batch))
}

/// A table's name with its document.
fn described(client: &Client, table: &str) -> Result<(TableName, TableDocument)> {
    client.runtime().check()?;
    let name = client.table(table)?;
    let (asked, transport) = (name.clone(), std::sync::Arc::clone(client.transport()));
    let document = client.run(None, async move { describe(&transport, &asked).await });
    Ok((name.clone(), document.map_err(|error| error.context(format!("describing {name}")))?))
}

/// Asks for everything about a table.
async fn describe(transport: &Transport, table: &TableName) -> Result<TableDocument> {
    let answer = transport.ask_service(metadata::get_table(table, true)).await?;
    let mut document = TableDocument::parse(&answer.body).map_err(|error| error.with_request_id(&answer.request_id))?;
    if !document.is_complete() {
        let answer = transport.ask_service(metadata::get_table(table, false)).await?;
        let base = TableDocument::parse(&answer.body).map_err(|error| error.with_request_id(&answer.request_id))?;
        document.merge(base);
    }
    Ok(document)
}

/// The project that is meant.
fn project_of(client: &Client, project: Option<&str>) -> Result<String> {
    let project = project.or(client.project()).ok_or_else(|| {
        Error::new(Kind::InvalidOption, "no project: set option project on the client, or name one in the call")
    })?;
    check_name("project", project)?;
    Ok(project.to_owned())
}

/// The failure for a batch of ours that does not fit together.
fn unfit(error: ArrowError) -> Error {
    Error::new(Kind::Internal, error.to_string())
}
