//! Blocks of an upload session.

use std::sync::Arc;

use axum::body::Body;
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;

use super::body::{Reading, arrow_body, feed};
use super::upload::{find, target};
use crate::catalog::{Stage, StageLimits, TableName, Unit, UnitFacts};
use crate::clock::now_ms;
use crate::error::ApiError;
use crate::governance::{self, Operation, Permit, Target as Subject};
use crate::http::reply::Reply;
use crate::http::request::Head;
use crate::http::sessions::blocking;
use crate::http::state::Shared;
use crate::limited::{Limit, Limited};
use crate::tunnel::{Coding, Instants, RecordReader, arrow_schema, decoder, record_schema};
use crate::write::{MAX_BLOCKS, Matching, TableWriter, Target, WriteError, Written, demand_open, drain, receive};

/// A block that may be written.
struct Block {
    session_id: String,
    unit: Unit,
    target: Target,
    coding: Coding,
    permit: Permit,
    turn: OwnedSemaphorePermit,
}

/// `PUT ?uploadid=&blockid=[&block_version=][&arrow]`. A block that is sent again replaces what it was; nothing of it
/// stays if the body does not end as it should.
pub async fn write(shared: &Arc<Shared>, head: &Head, name: TableName, body: Body) -> Result<Reply, ApiError> {
    let block = match prepare(shared, head, name).await {
        Ok(block) => block,
        Err(error) => {
            drain(body).await;
            return Err(error);
        }
    };
    let Block { session_id, unit, target, coding, permit, turn } = block;
    let what = "after decoding, a block of the classic tunnel has (--tunnel-block-bytes)";
    let limit = Limit { bytes: shared.tunnel_block_bytes, what };
    let (catalog, counter) = (shared.catalog.clone(), permit.clone());
    let body = permit.incoming(body);
    let written = if head.query.has("arrow") {
        let schema = arrow_schema(&target.table.columns, Instants::Nanos);
        let open = move |schema: &_| -> Result<TableWriter, WriteError> {
            Ok(TableWriter::new(&catalog, &target, schema)?.observed_by(move |rows| counter.count(rows)))
        };
        let (body, outcome) = arrow_body(body, turn, coding, limit, &schema)?;
        let written = receive(body, open).await;
        // What went wrong inside the chunks is more to the point than that the stream in them broke off.
        outcome.settle(written).await?
    } else {
        let (reader, feeder) = feed(body, turn);
        let work = move || -> Result<Written, ApiError> {
            let schema = record_schema(&target.table.columns);
            let input = Limited::new(decoder(coding, reader).map_err(anyhow::Error::from)?, limit);
            let mut records = RecordReader::new(Box::new(input), &target.table.columns, schema.clone())?;
            let mut writer = TableWriter::new(&catalog, &target, &schema)?.observed_by(move |rows| counter.count(rows));
            while let Some(batch) = records.next_batch()? {
                writer.write(&batch)?;
            }
            Ok(writer.finish()?)
        };
        let written = blocking(work).await;
        Some(feeder.settle(written).await?)
    };
    let shared = shared.clone();
    blocking(move || {
        let _permit = permit;
        let (stage, catalog) = (Stage::Replace, &shared.catalog);
        match written {
            Some(Written { files, rows, left_out, .. }) => {
                let facts = UnitFacts { rows, invalid: left_out, detail: String::new() };
                files.hand_over(catalog, |files| {
                    catalog.stage(&session_id, &unit, stage, files, &facts, StageLimits::NONE)
                })?;
            }
            None => catalog.stage(&session_id, &unit, stage, &[], &UnitFacts::default(), StageLimits::NONE)?,
        }
        Ok(Reply::json(200, &json!({})))
    })
    .await
}

async fn prepare(shared: &Arc<Shared>, head: &Head, name: TableName) -> Result<Block, ApiError> {
    let id = head.query.get("uploadid").unwrap_or_default().to_string();
    let number: Option<i64> = head.integer("blockid")?;
    let number = number.ok_or_else(|| ApiError::argument("blockid is missing"))?;
    if !(0..MAX_BLOCKS).contains(&number) {
        let message = format!("blockid {number} is out of range: the session takes 0 to {}", MAX_BLOCKS - 1);
        return Err(ApiError::new(400, "InvalidBlockID", message));
    }
    let version: i64 = head.integer("block_version")?.unwrap_or(0);
    let coding = Coding::of_content(head.header("content-encoding"))?;
    let permit = governance::admit(shared, head, Operation::TunnelUpload, Subject::Table(&name)).await?;
    let turn = shared.tunnel_uploads.clone().try_acquire_owned().map_err(|_| too_many())?;
    let shared = shared.clone();
    blocking(move || {
        let (session, options) = find(&shared, &name, &id)?;
        demand_open(&session, now_ms())?;
        let target = Target { matching: Matching::Position, ..target(&shared, &session, &options)? };
        let unit = Unit { name: number.to_string(), version };
        Ok(Block { session_id: session.id, unit, target, coding, permit, turn })
    })
    .await
}

/// All bodies that may be read at once are being read. Every client of the tunnel comes again after 429.
fn too_many() -> ApiError {
    let message = "This server is taking as many blocks through the classic tunnel as it may (--tunnel-uploads)";
    ApiError::new(429, "SlotExceeded", message).retry_after(1)
}
