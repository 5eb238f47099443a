//! The first rows of a table, without a session.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use crate::arrow::policy::{Policies, Touched, Treatment};
use crate::arrow::{ColumnFacts, Decoder, Frame, Framer, Slabs, Units, behind_the_end, claim_fresh, expected};
use crate::client::Client;
use crate::error::{Error, Kind, Result};
use crate::memory::{Account, Ahead, Allowance, Budget};
use crate::options::{self, Options};
use crate::proto::call;
use crate::proto::metadata::{ColumnEntry, TableDocument};
use crate::proto::{TableName, Version};
use crate::transport::{Attempts, Body, Errand, Need, Purpose, Transport};

/// The way through the answer.
#[derive(Debug)]
pub(super) struct Preview {
    transport: Arc<Transport>,
    memory: Arc<Budget>,
    table: TableName,
    wanted: call::Preview,
    /// As rows arrive.
    schema: SchemaRef,
    policies: Policies,
    values: Treatment,
    form: Treatment,
    stream: Option<Stream>,
    has_delivered: bool,
}

/// An answer that is under way.
#[derive(Debug)]
struct Stream {
    body: Body,
    framer: Framer,
    decoder: Decoder,
    account: Arc<Account>,
    slabs: Slabs,
}

impl Preview {
    pub(super) fn new(
        client: &Client,
        table: TableName,
        document: &TableDocument,
        scan: &Options,
        limit: u32,
    ) -> Result<Self> {
        let partition = match scan.list(&options::PARTITIONS).as_slice() {
            [] => String::new(),
            [one] => one.clone(),
            _ => {
                return Err(Error::new(Kind::InvalidOption, "a preview shows one partition, or the first rows of any"));
            }
        };
        let wanted = [scan.list(&options::COLUMNS), scan.list(&options::PARTITION_COLUMNS)].concat();
        let (data, keys) = (document.data_columns()?, document.partition_keys()?);
        let columns = chosen(&table, &wanted, &data, &keys)?;
        let names: Vec<String> = match wanted.is_empty() {
            true => Vec::new(),
            false => columns.iter().map(|(column, _)| column.name.clone()).collect(),
        };
        let facts = columns.iter().map(|(column, is_partition)| ColumnFacts {
            name: &column.name,
            type_text: &column.type_text,
            nullable: column.nullable,
            is_partition: *is_partition,
        });
        let schema = Arc::new(expected(facts, Units::default())?);
        let policies = Policies::of(scan)?;
        policies.check(&schema)?;
        Ok(Preview {
            transport: Arc::clone(client.transport()),
            memory: Arc::clone(client.memory()),
            wanted: call::Preview { limit: Some(limit.into()), partition, columns: names },
            values: policies.of_values(&schema)?,
            form: policies.of_form(&schema)?,
            policies,
            schema,
            table,
            stream: None,
            has_delivered: false,
        })
    }

    pub(super) fn schema(&self) -> SchemaRef {
        Arc::clone(self.form.schema())
    }

    /// The next batch. An answer that breaks off before the first one is asked for again.
    pub(super) async fn next(&mut self) -> Result<Option<RecordBatch>> {
        let named = |table: &TableName, error: Error| error.context(format!("previewing {table}"));
        let mut attempts = self.transport.attempts();
        loop {
            if self.stream.is_none() {
                let begun = self.begin(&mut attempts).await;
                self.stream = Some(begun.map_err(|error| named(&self.table, error))?);
            }
            let Some(stream) = self.stream.as_mut() else { return Ok(None) };
            match stream.next(&[&self.values, &self.form]).await {
                Ok(batch) => {
                    self.has_delivered |= batch.is_some();
                    return Ok(batch);
                }
                Err(error) if self.has_delivered => return Err(named(&self.table, error)),
                Err(error) => {
                    self.stream = None;
                    attempts.wait_after(error).await.map_err(|error| named(&self.table, error))?;
                }
            }
        }
    }

    async fn begin(&self, attempts: &mut Attempts) -> Result<Stream> {
        let endpoint = self.transport.data_endpoint(&self.table.project).await?;
        let mut negotiation = self.transport.negotiate(&endpoint, Version::V2)?;
        let body = loop {
            let request = negotiation.version().preview(&self.table, &self.wanted)?;
            let errand = Errand { purpose: Purpose::Catalogue, share: &Arc::default(), split: None, sent: &|| {} };
            let asked = self.transport.download(&endpoint, request, attempts, errand).await;
            let asked = asked.inspect_err(|error| self.transport.forget_endpoint(&self.table.project, error));
            if let Some(body) = negotiation.settle(asked)? {
                break body;
            }
        };
        let account = Account::new(&self.memory);
        let slabs = Slabs::new(&account, 1);
        let decoder = Decoder::new(Arc::clone(&self.schema), &slabs).with_overflow(self.policies.timestamp_overflow);
        Ok(Stream { body, framer: Framer::new(&slabs), decoder, account, slabs })
    }
}

impl Stream {
    /// The next batch with rows, after the treatments; `None` behind the end marker.
    async fn next(&mut self, treatments: &[&Treatment]) -> Result<Option<RecordBatch>> {
        loop {
            let count = match self.framer.room() {
                [] => match self.body.read(&mut [0], Need::All).await? {
                    0 => return Ok(None),
                    _ => return Err(behind_the_end()),
                },
                room => self.body.read(room, Need::All).await?,
            };
            if count == 0 {
                return Err(Error::new(Kind::Connection, "the stream ended without the Arrow end marker"));
            }
            match self.framer.advance(count)? {
                Some(Frame::Schema(wire)) => self.decoder.begin(&wire)?,
                // The engine waits for it: nothing is read ahead.
                Some(Frame::Room(length)) => self.framer.give(self.slabs.take(length, &Ahead::default()).await?),
                Some(Frame::Batch(encoded)) => {
                    let target = match self.decoder.decompressed_bytes(&encoded)? {
                        0 => None,
                        bytes => Some(self.slabs.take(bytes, &Ahead::default()).await?),
                    };
                    let made = match self.decoder.made_bytes(&encoded)? {
                        0 => None,
                        bytes => Some(self.allowance(bytes).await?),
                    };
                    let mut batch = self.decoder.decode(&encoded, target, made.as_ref())?;
                    if batch.num_rows() > 0 {
                        for treatment in treatments.iter().filter(|treatment| !treatment.is_idle()) {
                            let allowance = self.allowance(treatment.most_bytes(&batch)).await?;
                            let treated = treatment.apply(batch.clone(), &mut Touched::default())?;
                            claim_fresh(&batch, &treated, &allowance);
                            batch = treated;
                        }
                        return Ok(Some(batch));
                    }
                }
                Some(Frame::End) | None => {}
            }
        }
    }

    async fn allowance(&self, bytes: u64) -> Result<Allowance> {
        self.account.reserve(bytes, &Ahead::default()).await.map(Allowance::new)
    }
}

/// The columns that `wanted` names, in table order, and whether each is a partition key; all of them if it names none.
fn chosen<'a>(
    table: &TableName,
    wanted: &[String],
    data: &'a [ColumnEntry],
    keys: &'a [ColumnEntry],
) -> Result<Vec<(&'a ColumnEntry, bool)>> {
    let all: Vec<_> = data.iter().map(|column| (column, false)).chain(keys.iter().map(|key| (key, true))).collect();
    let is = |column: &ColumnEntry, name: &String| column.name.eq_ignore_ascii_case(name);
    if let Some(unknown) = wanted.iter().find(|name| !all.iter().any(|(column, _)| is(column, name))) {
        return Err(Error::new(Kind::NotFound, format!("{table} has no column {unknown}")));
    }
    let is_wanted = |column: &ColumnEntry| wanted.is_empty() || wanted.iter().any(|name| is(column, name));
    Ok(all.into_iter().filter(|(column, _)| is_wanted(column)).collect())
}
