//! R3: the rows of a split or of a row range (storage-api-v1.md section 6).

use std::sync::Arc;

use axum::body::Body;
use futures::stream::iter;

use super::reply::Reply;
use super::request::Head;
use super::sessions::{blocking, demand_normal, find};
use super::state::Shared;
use crate::catalog::{StoredSession, TableName};
use crate::error::ApiError;
use crate::governance::{self, Operation, Target};
use crate::plan::{Plan, RowRange, SplitMode};
use crate::read::{Compression, Encoder, ReplayKey, Rows, Shape, pieces};

/// Rows of a batch if the client does not say, and at most.
const DEFAULT_BATCH_ROWS: usize = 4096;
const MAX_BATCH_ROWS: usize = 20_000;
/// Bounds of a batch in bytes, other than "no bound", that the service takes.
const BATCH_BYTES: std::ops::RangeInclusive<u64> = 1 << 20..=256 << 20;

/// What R3 selects; which of it counts depends on the session's mode.
struct Selectors {
    session_id: String,
    split_index: Option<u64>,
    row_index: Option<u64>,
    row_count: Option<u64>,
}

/// Answers R3: always chunked, never content-encoded.
pub async fn read(shared: &Arc<Shared>, head: &Head, table: TableName) -> Result<Reply, ApiError> {
    let asked = shape(head, shared.limits.strict_batches)?;
    let shape = shared.replay.as_ref().map_or(asked, |replay| replay.shape(asked));
    let selectors = Selectors {
        session_id: head.query.get("session_id").unwrap_or_default().to_string(),
        split_index: head.integer("split_index")?,
        row_index: head.integer("row_index")?,
        row_count: head.integer("row_count")?,
    };
    if selectors.session_id.is_empty() {
        return Err(ApiError::argument("session_id is missing"));
    }
    let right = governance::check(shared, head, Operation::ReadRows, Target::Table(&table)).await?;
    let state = shared.clone();
    let (session, plan, range) = blocking(move || locate(&state, &table, &selectors)).await?;
    let permit = right.with_columns(plan.told())?.enter().await?;
    let rows = Rows::new(shared.catalog.clone(), shared.footers.clone(), plan, range.clone(), shape.batch_rows);
    let body = match &shared.replay {
        Some(replay) => {
            let key = ReplayKey::new(&session.id, &range, shape);
            let slices = replay.body(key, move || Encoder::new(rows, shape)).await?;
            // Nobody looks into a replayed body: what is sent counts.
            permit.add(0, slices.iter().map(|slice| slice.len() as u64).sum());
            let count = slices.len();
            let slices = (0..count).filter_map(move |i| slices.get(i).cloned().map(Ok::<_, std::io::Error>));
            Body::from_stream(permit.outgoing(iter(slices)))
        }
        None => {
            let counter = permit.clone();
            let encoder = Encoder::new(rows, shape)?.observed_by(move |batch| counter.count(batch));
            Body::from_stream(permit.outgoing(pieces(encoder, head.request_id.clone())))
        }
    };
    Ok(Reply::chunked(200, "application/octet-stream", body))
}

/// Refuses data formats other than the one there is; absent is as good as that one.
pub fn check_format(head: &Head) -> Result<(), ApiError> {
    for (name, wanted) in [("data_format_type", "ARROW"), ("data_format_version", "V5")] {
        if let Some(given) = head.query.get(name).filter(|v| !v.is_empty() && !v.eq_ignore_ascii_case(wanted)) {
            return Err(ApiError::argument(format!("{name}=\"{given}\" is not {wanted}")));
        }
    }
    Ok(())
}

fn shape(head: &Head, strict: bool) -> Result<Shape, ApiError> {
    check_format(head)?;
    let rows: Option<u64> = head.integer("max_batch_rows")?;
    if rows == Some(0) {
        return Err(ApiError::argument("max_batch_rows must be at least 1"));
    }
    let bytes: Option<u64> = head.integer("max_batch_raw_size")?;
    if strict {
        if rows.is_some_and(|rows| rows > MAX_BATCH_ROWS as u64) {
            return Err(ApiError::argument(format!("max_batch_rows must be at most {MAX_BATCH_ROWS}")));
        }
        if bytes.is_some_and(|bytes| bytes != 0 && !BATCH_BYTES.contains(&bytes)) {
            return Err(ApiError::argument("max_batch_raw_size must be 0 or from 1 MiB to 256 MiB"));
        }
    }
    Ok(Shape {
        compression: Compression::from_header(head.header("accept-encoding")),
        batch_rows: rows.map_or(DEFAULT_BATCH_ROWS, |n| n.min(MAX_BATCH_ROWS as u64) as usize),
        batch_bytes: usize::try_from(bytes.unwrap_or(0)).unwrap_or(usize::MAX),
    })
}

fn locate(
    shared: &Shared,
    table: &TableName,
    selectors: &Selectors,
) -> Result<(StoredSession, Arc<Plan>, RowRange), ApiError> {
    let session = find(shared, table, &selectors.session_id)?;
    demand_normal(&session)?;
    let plan = shared.plan(&session)?;
    let range =
        if plan.split_mode == SplitMode::RowOffset { rows(&plan, selectors)? } else { split(&plan, selectors)? };
    Ok((session, plan, range))
}

fn split(plan: &Plan, selectors: &Selectors) -> Result<RowRange, ApiError> {
    let Some(index) = selectors.split_index else {
        return Err(ApiError::argument("split_index is missing: this session is cut into splits"));
    };
    usize::try_from(index).ok().and_then(|index| plan.split(index)).ok_or_else(|| {
        ApiError::argument(format!("split_index {index} is out of range: the session has {} splits", plan.splits.len()))
    })
}

fn rows(plan: &Plan, selectors: &Selectors) -> Result<RowRange, ApiError> {
    let (Some(start), Some(count)) = (selectors.row_index, selectors.row_count) else {
        return Err(ApiError::argument("row_index or row_count is missing: this session is addressed by rows"));
    };
    plan.rows(start, count).ok_or_else(|| {
        let message = format!(
            "rows {start} to {} are requested, the session has {}",
            start.saturating_add(count),
            plan.row_count()
        );
        ApiError::new(400, "InvalidRowRange", message)
    })
}
