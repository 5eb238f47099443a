//! TableWrite: rows into a stream (storage-api-v2-v3.md 4.6, 4.8, 4.9).

use std::sync::Arc;

use axum::body::Body;
use serde_json::{Map, json};

use super::write_session::Place;
use super::{blocks, required};
use crate::catalog::{Arranged, CommitRefusal, Destination, Exactly, Landing, StreamRefusal, StreamWrite, TableName};
use crate::error::ApiError;
use crate::governance::{self, Operation, Permit, Target as Subject};
use crate::http::reply::Reply;
use crate::http::request::Head;
use crate::http::sessions::blocking;
use crate::http::state::Shared;
use crate::http::write_sessions::demand_new_partitions;
use crate::write::{TableWriter, Target, WriteError, Written, commit_with, drain, receive};

/// The header that an exactly-once writer proves itself with.
const ACCESS_TOKEN: &str = "x-odps-max-storage-write-access-token";

/// A write that may begin.
struct Prepared {
    place: Place,
    target: Target,
    name: String,
    version: i64,
    exactly: Option<Exactly>,
    permit: Permit,
}

/// Takes the rows as they arrive; nothing of them stays if the body does not end as it should.
pub async fn write(shared: &Arc<Shared>, head: &Head, name: TableName, body: Body) -> Result<Reply, ApiError> {
    if head.query.has("BlockNumber") {
        return blocks::write(shared, head, name, body).await;
    }
    let prepared = match prepare(shared, head, name).await {
        Ok(prepared) => prepared,
        Err(error) => {
            drain(body).await;
            return Err(error);
        }
    };
    let (catalog, counter) = (shared.catalog.clone(), prepared.permit.clone());
    let target = prepared.target.clone();
    let open = move |schema: &_| -> Result<TableWriter, WriteError> {
        Ok(TableWriter::new(&catalog, &target, schema)?.observed_by(move |rows| counter.count(rows)))
    };
    let Some(written) = receive(prepared.permit.incoming(body), open).await? else {
        return Err(ApiError::argument("the body is empty: even no rows are a complete Arrow stream"));
    };
    let (shared, caller) = (shared.clone(), head.caller.clone());
    blocking(move || {
        let table = prepared.place.table();
        let destination = prepared.target.destination(false);
        if prepared.place.streaming() {
            let partitions = written.files.files().iter().map(|file| file.partition.as_slice());
            demand_new_partitions(&shared, &caller, table, partitions)?;
        }
        let exactly_once = prepared.exactly.is_some();
        let (next, version) = store(&shared, &prepared, destination, written)?;
        let mut answer = Map::new();
        answer.insert("CommitMessage".into(), json!(""));
        if exactly_once {
            answer.insert("ExactlyOnceRowOffset".into(), json!(next));
        }
        if let Some(version) = version {
            // The version of the table that shows the rows: ascending, and visible when the client reads it.
            answer.insert("StagingId".into(), json!(version.to_string()));
        }
        Ok(Reply::json(200, &answer.into()))
    })
    .await
}

/// Gives the rows to the stream. Rows that it has taken before are dropped, which is a success.
fn store(
    shared: &Shared,
    prepared: &Prepared,
    destination: Destination,
    written: Written,
) -> Result<(u64, Option<i64>), ApiError> {
    let key = prepared.place.key();
    let streaming = prepared.place.streaming();
    let catalog = &shared.catalog;
    let write = StreamWrite {
        session: &key,
        name: &prepared.name,
        version: prepared.version,
        rows: written.rows,
        exactly: prepared.exactly.as_ref(),
        landing: if streaming { Landing::Visible(&destination) } else { Landing::Staged },
    };
    let stored = match streaming {
        true => {
            let id = prepared.place.table().id;
            let current = || catalog.table_by_id(id)?.ok_or_else(|| CommitRefusal::Gone.into());
            commit_with(catalog, &destination, current, written.files, |arranged| catalog.append(&write, arranged))
        }
        false => written.files.hand_over(catalog, |files| catalog.append(&write, Arranged::for_any_version(files))),
    };
    match stored {
        Err(error) => match error.downcast_ref() {
            Some(StreamRefusal::Duplicate(next)) => Ok((*next, streaming.then_some(prepared.place.table().version))),
            _ => Err(error.into()),
        },
        Ok(stored) => Ok(stored),
    }
}

async fn prepare(shared: &Arc<Shared>, head: &Head, table: TableName) -> Result<Prepared, ApiError> {
    let id = required(head, "SessionId")?.to_string();
    let name = required(head, "StreamId")?.to_string();
    let version: i64 = head.integer("StreamVersion")?.unwrap_or(0);
    let offset: Option<i64> = head.integer("RowOffset")?;
    // Checked for being a number only: an official client sends wrong counts.
    head.integer::<i64>("Count")?;
    let schema_version: Option<i64> = head.integer("SchemaVersion")?;
    let table_id: Option<String> = head.query.get("TableId").filter(|id| !id.is_empty()).map(str::to_string);
    let token = head.header(ACCESS_TOKEN).map(str::to_string);
    let exactly = match offset {
        None => None,
        Some(offset) => {
            let offset =
                u64::try_from(offset).map_err(|_| ApiError::argument(format!("RowOffset {offset} is negative")))?;
            Some(Exactly { offset, token: token.unwrap_or_default() })
        }
    };
    let right = governance::check(shared, head, Operation::WriteRows, Subject::Table(&table)).await?;
    let permit = right.enter().await?;
    let shared = shared.clone();
    blocking(move || {
        let place = Place::find(&shared, &table, &id)?;
        place.demand_open()?;
        if table_id.is_some_and(|id| id != place.table().id.to_string()) {
            return Err(ApiError::new(409, "TableModified", format!("{table} is another table by now")));
        }
        let newest = place.table().schema_version;
        if let Some(version) = schema_version.filter(|version| *version > newest) {
            return Err(ApiError::argument(format!("SchemaVersion {version} is not known: the newest is {newest}")));
        }
        let write = StreamWrite {
            session: &place.key(),
            name: &name,
            version,
            rows: 0,
            exactly: exactly.as_ref(),
            landing: Landing::Staged,
        };
        shared.catalog.check_stream(&write)?;
        let target = place.target();
        Ok(Prepared { place, target, name, version, exactly, permit })
    })
    .await
}
