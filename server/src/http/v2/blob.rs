//! TableWriteBlob and BlobRead (storage-api-v2-v3.md 5.2 to 5.4).

use std::sync::Arc;

use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::json;

use super::schema::blob_ids;
use super::write_session::Place;
use super::{parse, required, target};
use crate::blob::{CrcBlocks, FrameReader, Payload, PendingBlobs, Upload, UploadHeader, blob_id, reference};
use crate::catalog::{Blob, TableName};
use crate::error::ApiError;
use crate::governance::{self, Operation, Target};
use crate::http::reply::Reply;
use crate::http::request::Head;
use crate::http::sessions::blocking;
use crate::http::state::Shared;
use crate::limited::Limit;
use crate::read::{Coded, Coding, pieces};
use crate::store::{RootLock, Secret};
use crate::write::drain;

/// Blobs of one request at most.
const MAX_BLOBS: usize = 100_000;

/// Stores one blob, or with `Mode=Batch` all those of a body of frames, or none of them.
pub async fn write(shared: &Arc<Shared>, head: &Head, name: TableName, body: Body) -> Result<Reply, ApiError> {
    let (place, secret, permit) = match prepare(shared, head, &name).await {
        Ok(prepared) => prepared,
        Err(error) => {
            drain(body).await;
            return Err(error);
        }
    };
    let catalog = shared.catalog.clone();
    let lock = blocking(move || Ok(RootLock::for_writing(catalog.root())?)).await?;
    let what = "as sent and decoded, the blobs of one request have (--upload-blob-bytes)";
    let (dir, limit) = (shared.catalog.blob_dir(), Limit { bytes: shared.upload_blob_bytes, what });
    let upload = Upload::receive(dir, lock, limit, secret.clone(), permit.incoming(body)).await?;
    let encoding = head.header("content-encoding").map(str::to_string);
    let batch = is_batch(head)?;
    // Both are checked before the body is stored.
    let column: Option<i64> = if batch { None } else { head.integer("ColumnIndex")? };
    let shared = shared.clone();
    blocking(move || {
        let mut blobs = PendingBlobs::new(&shared.catalog, place.key(), name.project.clone(), secret)?;
        let mut source = upload.open(encoding.as_deref())?;
        let columns = blob_ids(place.table());
        if !batch {
            demand_column(&name, &columns, column)?;
            let sums = blobs.store(&mut source, None, None)?;
            permit.add(0, sums.bytes);
            let ids = blobs.hand_over(&shared.catalog)?;
            let id = ids.first().map(|id| encoded(id));
            return Ok(Reply::json(200, &json!({"BlobReference": id, "Size": sums.bytes, "MD5Value": sums.md5})));
        }
        let needs_key = shared.limits.strict_batches && place.table().has_primary_key();
        let mut frames = FrameReader::new(source);
        let (mut total, mut count) = (0, 0);
        while let Some(UploadHeader { column_index, distribution_key, content_type, custom_file_name, .. }) =
            frames.header()?
        {
            demand_column(&name, &columns, column_index)?;
            if needs_key && distribution_key.is_none() {
                return Err(ApiError::argument(format!("{name} has a primary key: a frame needs a DistributionKey")));
            }
            count += 1;
            if count > MAX_BLOBS {
                return Err(ApiError::argument(format!("a request has at most {MAX_BLOBS} blobs")));
            }
            let sums = blobs.store(&mut frames.data()?, content_type, custom_file_name)?;
            frames.footer(&sums)?;
            total += sums.bytes;
        }
        permit.add(0, total);
        let ids = blobs.hand_over(&shared.catalog)?;
        let references: Vec<String> = ids.iter().map(|id| encoded(id)).collect();
        Ok(Reply::json(200, &json!({"BlobReferences": references, "Size": total})))
    })
    .await
}

/// Where the blobs belong, and what they and the body are encrypted with.
async fn prepare(
    shared: &Arc<Shared>,
    head: &Head,
    name: &TableName,
) -> Result<(Place, Option<Secret>, governance::Permit), ApiError> {
    let id = required(head, "SessionId")?.to_string();
    is_batch(head)?;
    let permit = governance::admit(shared, head, Operation::WriteRows, Target::Table(name)).await?;
    let (shared, name) = (shared.clone(), name.clone());
    blocking(move || {
        let place = Place::find(&shared, &name, &id)?;
        place.demand_open()?;
        let secret = shared.catalog.keyring().for_writing(&name.project)?;
        Ok((place, secret, permit))
    })
    .await
}

fn is_batch(head: &Head) -> Result<bool, ApiError> {
    match head.query.get("Mode") {
        None | Some("") => Ok(false),
        Some(mode) if mode.eq_ignore_ascii_case("Batch") => Ok(true),
        Some(other) => Err(ApiError::argument(format!("Mode {other} is not Batch"))),
    }
}

fn demand_column(table: &TableName, columns: &[i64], column: Option<i64>) -> Result<(), ApiError> {
    match column {
        Some(column) if columns.contains(&column) => Ok(()),
        Some(column) => Err(ApiError::argument(format!("column id {column} of {table} is not of type blob"))),
        None => Err(ApiError::new(400, "InvalidParameter", "ColumnIndex is missing")),
    }
}

/// A reference as the answer of an upload carries it.
fn encoded(id: &str) -> String {
    STANDARD.encode(reference(id))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct ReadRequest {
    blob_references: Vec<String>,
}

/// The bytes of one blob, or frames of several, in blocks with checksums.
pub async fn read(shared: &Arc<Shared>, head: &Head, body: Body) -> Result<Reply, ApiError> {
    target::blob(head)?;
    let request: ReadRequest = parse(&head.read_body(body).await?)?;
    if request.blob_references.is_empty() {
        return Err(ApiError::argument("BlobReferences is empty"));
    }
    if request.blob_references.len() > MAX_BLOBS {
        return Err(ApiError::argument(format!("a request names at most {MAX_BLOBS} blobs")));
    }
    let (state, catalog, caller) = (shared.clone(), shared.catalog.clone(), head.caller.clone());
    let blobs = blocking(move || {
        let find = |text: &String| -> Result<Blob, ApiError> {
            let found = blob_id(text).map(|id| catalog.blob(id)).transpose()?.flatten();
            found.ok_or_else(|| ApiError::new(404, "NoSuchObject", format!("there is no blob {text}")))
        };
        let blobs = request.blob_references.iter().map(find).collect::<Result<Vec<Blob>, ApiError>>()?;
        governance::require_blobs(&state, &caller, &blobs)?;
        blobs.iter().filter_map(|blob| blob.key.as_deref()).try_for_each(|key| catalog.keyring().check_key(key))?;
        Ok(blobs)
    })
    .await?;
    let mut projects: Vec<&str> = blobs.iter().map(|blob| blob.project.as_str()).collect();
    projects.sort_unstable();
    projects.dedup();
    let (Some(first), others) = (projects.first(), projects.iter().skip(1)) else {
        return Err(ApiError::argument("BlobReferences is empty"));
    };
    for project in others {
        governance::check(shared, head, Operation::ReadRows, Target::Project(project)).await?;
    }
    let permit = governance::admit(shared, head, Operation::ReadRows, Target::Project(first)).await?;
    permit.add(0, blobs.iter().map(|blob| blob.bytes).sum());
    let coding = Coding::from_header(head.header("accept-encoding"));
    let payload = Payload::new(shared.catalog.blob_dir(), shared.catalog.keyring().clone(), blobs);
    let payload = Coded::new(blocking(move || payload.begun()).await?, coding)?;
    let body = Body::from_stream(permit.outgoing(pieces(CrcBlocks::new(payload), head.request_id.clone())));
    let reply = Reply::chunked(200, "application/octet-stream", body);
    Ok(match coding.name() {
        Some(name) => reply.with_header("content-encoding", name),
        None => reply,
    })
}
