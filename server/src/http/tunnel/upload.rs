//! Upload sessions: create, look, commit.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::download::demand_partition;
use super::schema::{demand_carried, schema};
use crate::catalog::{ClusteringKind, Table, TableKind, TableName, Unit, WriteSession, WriteStatus};
use crate::clock::now_ms;
use crate::error::ApiError;
use crate::governance::{self, Caller, Operation, Target as Subject};
use crate::http::reply::Reply;
use crate::http::request::{Head, Plane};
use crate::http::server::no_such;
use crate::http::sessions::{blocking, new_id, resolve};
use crate::http::state::Shared;
use crate::plan::demand_rows;
use crate::write::{Target, commit_session, demand_open};

/// Longest text or binary value of an upload (service-behaviour.md 3.6).
const MAX_FIELD_BYTES: u64 = 8 << 20;

/// What an upload session stores of its creation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UploadOptions {
    partition: String,
}

/// Keeps other write sessions from passing for uploads.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Stored {
    upload: UploadOptions,
}

/// What the creation of a session says.
struct Wish {
    partition: String,
    create_partition: bool,
    overwrite: bool,
    quota: Option<String>,
    caller: Caller,
}

/// `POST ?uploads`.
pub async fn create(shared: &Arc<Shared>, head: &Head, name: TableName) -> Result<Reply, ApiError> {
    let flag = |name: &str| head.query.get(name).is_some_and(|value| !value.eq_ignore_ascii_case("false"));
    let wish = Wish {
        partition: head.query.get("partition").unwrap_or_default().to_string(),
        create_partition: flag("create_partition"),
        overwrite: flag("overwrite"),
        quota: governance::named_quota(head).map(str::to_string),
        caller: head.caller.clone(),
    };
    let permit = governance::admit(shared, head, Operation::CreateWriteSession, Subject::Table(&name)).await?;
    let shared = shared.clone();
    blocking(move || {
        let target = open_table(&shared, &name, &wish)?;
        let now = now_ms();
        let session = WriteSession {
            id: new_id(now),
            table: target.table.name.clone(),
            destination: target.destination(wish.overwrite),
            request: json!(Stored { upload: UploadOptions { partition: wish.partition.clone() } }).to_string(),
            status: WriteStatus::Normal,
            message: String::new(),
            created_ms: now,
            expires_ms: now + shared.session_lifetime.as_millis() as i64,
        };
        shared.catalog.insert_write_session(&session)?;
        governance::remember_quota(&shared, wish.quota.as_deref(), &session.id)?;
        Ok(Reply::json(200, &describe(&session, Some(&target.table), &[], permit.quota())))
    })
    .await
}

/// `GET ?uploadid=`: the state of the session and the blocks it has.
pub async fn get(shared: &Arc<Shared>, head: &Head, name: TableName) -> Result<Reply, ApiError> {
    let permit = governance::admit(shared, head, Operation::GetSession, Subject::Table(&name)).await?;
    let id = head.query.get("uploadid").unwrap_or_default().to_string();
    let shared = shared.clone();
    blocking(move || {
        let (session, _) = find(&shared, &name, &id)?;
        let units = newest(&shared, &id)?;
        let table = table_of(&shared, &session)?;
        Ok(Reply::json(200, &describe(&session, table.as_ref(), &units, permit.quota())))
    })
    .await
}

/// `POST ?uploadid=`: makes the rows of all blocks visible. Committing again what is committed succeeds.
pub async fn commit(shared: &Arc<Shared>, head: &Head, name: TableName) -> Result<Reply, ApiError> {
    let permit = governance::admit(shared, head, Operation::CommitSession, Subject::Table(&name)).await?;
    let id = head.query.get("uploadid").unwrap_or_default().to_string();
    let shared = shared.clone();
    blocking(move || {
        let (mut session, _) = find(&shared, &name, &id)?;
        if session.status != WriteStatus::Committed {
            demand_open(&session, now_ms())?;
            commit_session(&shared.catalog, &id, &newest(&shared, &id)?)?;
            session.status = WriteStatus::Committed;
        }
        let table = table_of(&shared, &session)?;
        Ok(Reply::json(200, &describe(&session, table.as_ref(), &[], permit.quota())))
    })
    .await
}

/// The session of that id on that table. Fails with `NoSuchProject`, `NoSuchUpload`.
pub fn find(shared: &Shared, name: &TableName, id: &str) -> Result<(WriteSession, UploadOptions), ApiError> {
    if shared.catalog.project(&name.project)?.is_none() {
        return Err(no_such(Plane::Storage, "Project", &name.project));
    }
    let session = shared.catalog.write_session(id)?.filter(|session| session.table.is(name));
    let stored = session.and_then(|session| {
        let stored: Stored = serde_json::from_str(&session.request).ok()?;
        Some((session, stored.upload))
    });
    stored.ok_or_else(|| ApiError::new(404, "NoSuchUpload", format!("there is no upload session {id} on {name}")))
}

/// What blocks of the session are written into, if its table is as it was.
pub fn target(shared: &Shared, session: &WriteSession, options: &UploadOptions) -> Result<Target, ApiError> {
    match table_of(shared, session)? {
        Some(table) => Target::partition(table, &options.partition),
        None => {
            let message = format!("{} was changed since the upload session was created", session.table);
            Err(ApiError::new(409, "TableModified", message))
        }
    }
}

/// The table of a session, if it is as it was.
fn table_of(shared: &Shared, session: &WriteSession) -> Result<Option<Table>, ApiError> {
    let destination = &session.destination;
    let same = |table: &Table| table.id == destination.table_id && table.schema_version == destination.schema_version;
    Ok(shared.catalog.table(&session.table)?.filter(same))
}

fn open_table(shared: &Shared, name: &TableName, wish: &Wish) -> Result<Target, ApiError> {
    let table = resolve(shared, name)?.table;
    demand_rows(&table)?;
    demand_carried(table.columns.iter())?;
    let refuse = |why: &str| Err(ApiError::new(405, "MethodNotAllowed", format!("{}: {why}", table.name)));
    if table.kind != TableKind::Managed {
        return refuse("rows of a materialized view come from its query");
    }
    // service-behaviour.md 1.3: confirmed.
    if table.properties.clustering.as_ref().is_some_and(|clustering| clustering.kind == ClusteringKind::Range) {
        return refuse("the tunnel does not upload into range-clustered tables");
    }
    let target = Target::partition(table, &wish.partition)?;
    if target.table.partition_keys.is_empty() {
        return Ok(target);
    }
    demand_partition(&target, &wish.partition)?;
    let values: Vec<String> = target.partition.iter().flatten().cloned().collect();
    let known = shared.catalog.partitions(target.table.id)?.into_iter().any(|partition| partition.values == values);
    if !known {
        if !wish.create_partition {
            let message = format!("{} has no partition {}", target.table.name, wish.partition);
            return Err(ApiError::new(404, "NoSuchPartition", message));
        }
        governance::require_new_partitions(shared, &wish.caller, &target.table)?;
        // A commit of no rows creates the partition it names.
        shared.catalog.commit_rows(&target.destination(false), &[])?;
    }
    Ok(target)
}

/// The newest version of every block, in the order of the blocks.
fn newest(shared: &Shared, id: &str) -> Result<Vec<Unit>, ApiError> {
    let mut blocks: BTreeMap<i64, Unit> = BTreeMap::new();
    // Versions of a block come in their order.
    for (unit, _) in shared.catalog.staged_units(id)? {
        if let Ok(block) = unit.name.parse() {
            blocks.insert(block, unit);
        }
    }
    Ok(blocks.into_values().collect())
}

fn describe(session: &WriteSession, table: Option<&Table>, units: &[Unit], quota: &str) -> Value {
    let status = match session.status {
        WriteStatus::Normal if session.expires_ms <= now_ms() => "expired",
        WriteStatus::Normal => "normal",
        WriteStatus::Committing => "closing",
        WriteStatus::Committed => "closed",
        WriteStatus::Aborted => "canceled",
        WriteStatus::Critical => "critical",
    };
    let block = |unit: &Unit| json!({"BlockID": unit.name.parse::<i64>().unwrap_or_default()});
    let mut answer = json!({
        "UploadID": session.id,
        "Status": status,
        "UploadedBlockList": units.iter().map(block).collect::<Vec<_>>(),
        "MaxFieldSize": MAX_FIELD_BYTES,
        "QuotaName": quota,
    });
    if let Some(table) = table {
        answer["Schema"] = schema(table.columns.iter(), table.partition_keys.iter());
    }
    answer
}
