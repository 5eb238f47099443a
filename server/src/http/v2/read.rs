//! TableRead: the rows of a split or a row range (storage-api-v2-v3.md 3.6 to 3.8).

use std::sync::Arc;

use axum::body::Body;
use futures::stream::iter;
use serde::Deserialize;

use super::{DataFormat, parse, required};
use crate::catalog::{Catalog, TableName};
use crate::error::ApiError;
use crate::governance::{self, Operation, Permit, Target};
use crate::http::reply::Reply;
use crate::http::request::Head;
use crate::http::sessions::{blocking, demand_normal, find};
use crate::http::state::Shared;
use crate::plan::{Plan, RowRange, SplitMode};
use crate::read::{
    Batches, Coded, Coding, Compression, Encoder, Recast, Recolumn, ReplayKey, Rows, Shape, pieces, timestamps_overflow,
};
use crate::store::Footers;
use crate::types::{PlainLayout, Timestamps, Units, plain_type};

/// Rows of a batch if the client does not say, and at most.
const DEFAULT_BATCH_ROWS: i64 = 4096;
const MAX_BATCH_ROWS: i64 = 20_000;

#[derive(Debug, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct ReadRequest {
    max_batch_rows: i64,
    skip_row_num: i64,
    max_batch_raw_size: i64,
    data_format: DataFormat,
    data_columns: Vec<String>,
    data_columns_unordered: bool,
}

impl Default for ReadRequest {
    fn default() -> Self {
        ReadRequest {
            max_batch_rows: DEFAULT_BATCH_ROWS,
            skip_row_num: 0,
            max_batch_raw_size: 0,
            data_format: DataFormat::default(),
            data_columns: Vec::new(),
            data_columns_unordered: false,
        }
    }
}

/// What the query selects. Neither is the session as a whole.
enum Selection {
    Split(u64),
    Rows { offset: u64, count: u64 },
    All,
}

/// Answers chunked; compressed as a whole if the client asks for that.
pub async fn read(shared: &Arc<Shared>, head: &Head, table: TableName, body: Body) -> Result<Reply, ApiError> {
    let request: ReadRequest = parse(&head.read_body(body).await?)?;
    request.data_format.check()?;
    let id = required(head, "SessionId")?.to_string();
    let selection = selection(head)?;
    let (coding, compression) = compression(head);
    let asked = Shape { compression, ..shape(&request)? };
    let shape = shared.replay.as_ref().map_or(asked, |replay| replay.shape(asked));
    let right = governance::check(shared, head, Operation::ReadRows, Target::Table(&table)).await?;
    let state = shared.clone();
    let (session, plan, range, places) = blocking(move || {
        let session = find(&state, &table, &id)?;
        demand_normal(&session)?;
        let plan = state.plan(&session)?;
        let range = skip(&plan, locate(&plan, &selection)?, request.skip_row_num)?;
        let places = choose(&plan, &request)?;
        Ok((session, plan, range, places))
    })
    .await?;
    let names = places.iter().filter_map(|place| plan.columns.get(*place)).map(|output| output.column.name.as_str());
    let compared = plan.compared.iter().map(String::as_str);
    let permit = right.with_columns(names.chain(compared))?.enter().await?;
    let state = shared.clone();
    let (rows, key) = blocking(move || {
        let rows = plain_rows(&state.catalog, &state.footers, plan, range.clone(), &places, shape.batch_rows)?;
        let key = ReplayKey { variant: format!("{:?}", rows.schema()), ..ReplayKey::new(&session.id, &range, shape) };
        Ok((rows, key))
    })
    .await?;
    send(shared, head, permit, rows, Form { shape, coding, key: Some(key) }).await
}

/// How rows become an answer.
pub struct Form {
    pub shape: Shape,
    pub coding: Coding,
    /// In replay mode, what has a key is kept in memory.
    pub key: Option<ReplayKey>,
}

/// Encodes rows into an answer.
pub async fn send(
    shared: &Arc<Shared>,
    head: &Head,
    permit: Permit,
    rows: impl Batches + 'static,
    form: Form,
) -> Result<Reply, ApiError> {
    let Form { shape, coding, key } = form;
    let body = match (&shared.replay, key) {
        (Some(replay), Some(mut key)) => {
            key.variant = format!("{coding:?} {}", key.variant);
            let slices = replay.body(key, move || Coded::new(Encoder::new(rows, shape)?, coding)).await?;
            // Nobody looks into a replayed body: what is sent counts.
            permit.add(0, slices.iter().map(|slice| slice.len() as u64).sum());
            let count = slices.len();
            let slices = (0..count).filter_map(move |i| slices.get(i).cloned().map(Ok::<_, std::io::Error>));
            Body::from_stream(permit.outgoing(iter(slices)))
        }
        _ => {
            let counter = permit.clone();
            let encoder = Encoder::new(rows, shape)?.observed_by(move |batch| counter.count(batch));
            Body::from_stream(permit.outgoing(pieces(Coded::new(encoder, coding)?, head.request_id.clone())))
        }
    };
    let reply = Reply::chunked(200, "application/octet-stream", body);
    Ok(match coding.name() {
        Some(name) => reply.with_header("content-encoding", name),
        None => reply,
    })
}

/// How rows are compressed: as one frame, or inside of record batches.
///
/// PyODPS decodes the whole body (storage-api-v2-v3.md 3.7). The storage client of the Java SDK always asks with the same words
/// and decodes nothing but the buffers of batches, as in version 1.
pub fn compression(head: &Head) -> (Coding, Compression) {
    let inside = head.header("user-agent").is_some_and(|agent| agent.contains("JavaSDK"));
    match (Coding::from_header(head.header("accept-encoding")), inside) {
        (Coding::Lz4, true) => (Coding::Plain, Compression::Lz4),
        (Coding::Zstd, true) => (Coding::Plain, Compression::Zstd),
        (coding, _) => (coding, Compression::None),
    }
}

fn selection(head: &Head) -> Result<Selection, ApiError> {
    let bad = |name: &str| ApiError::argument(format!("{name} must not be negative"));
    let number = |name: &str| -> Result<Option<u64>, ApiError> {
        head.integer::<i64>(name)?.map(|value| u64::try_from(value).map_err(|_| bad(name))).transpose()
    };
    match (number("Index")?, number("Offset")?, number("Count")?) {
        (Some(index), None, None) => Ok(Selection::Split(index)),
        (None, Some(offset), Some(count)) => Ok(Selection::Rows { offset, count }),
        (None, None, None) => Ok(Selection::All),
        _ => Err(ApiError::argument("give either Index, or Offset and Count")),
    }
}

fn shape(request: &ReadRequest) -> Result<Shape, ApiError> {
    if request.max_batch_rows < 0 || request.max_batch_raw_size < 0 {
        return Err(ApiError::argument("MaxBatchRows and MaxBatchRawSize must not be negative"));
    }
    let rows = if request.max_batch_rows == 0 { DEFAULT_BATCH_ROWS } else { request.max_batch_rows };
    Ok(Shape {
        compression: Compression::None,
        batch_rows: rows.min(MAX_BATCH_ROWS) as usize,
        batch_bytes: usize::try_from(request.max_batch_raw_size).unwrap_or(usize::MAX),
    })
}

fn locate(plan: &Plan, selection: &Selection) -> Result<RowRange, ApiError> {
    let total = plan.row_count();
    match *selection {
        Selection::All => plan.rows(0, total).ok_or_else(|| ApiError::argument("the session has no rows")),
        Selection::Rows { offset, count } => plan.rows(offset, count).ok_or_else(|| {
            let end = offset.saturating_add(count);
            ApiError::argument(format!("rows {offset} to {end} are requested, the session has {total}"))
        }),
        Selection::Split(_) if plan.split_mode == SplitMode::RowOffset => {
            Err(ApiError::argument("this session is addressed by Offset and Count, not by Index"))
        }
        Selection::Split(index) => usize::try_from(index).ok().and_then(|index| plan.split(index)).ok_or_else(|| {
            let splits = plan.splits.len();
            ApiError::argument(format!("Index {index} is out of range: the session has {splits} splits"))
        }),
    }
}

/// The rest of a range after its first rows, which the client has already.
fn skip(plan: &Plan, range: RowRange, rows: i64) -> Result<RowRange, ApiError> {
    let Some(rows) = u64::try_from(rows).ok().filter(|rows| *rows <= range.rows) else {
        return Err(ApiError::argument(format!("SkipRowNum {rows} is not from 0 to {}", range.rows)));
    };
    if rows == 0 {
        return Ok(range);
    }
    let before: u64 = plan.blocks.iter().take(range.blocks.start).map(|block| block.2).sum();
    plan.rows(before + range.skip + rows, range.rows - rows)
        .ok_or_else(|| ApiError::argument("SkipRowNum leads out of the session"))
}

/// The places, among the columns of the session, of those that this stream delivers.
fn choose(plan: &Plan, request: &ReadRequest) -> Result<Vec<usize>, ApiError> {
    let names: Vec<&str> =
        plan.columns.iter().map(|output| &output.column).chain(&plan.system_columns).map(|c| c.name.as_str()).collect();
    if request.data_columns.is_empty() {
        return Ok((0..names.len()).collect());
    }
    let mut places = Vec::new();
    for wanted in &request.data_columns {
        let place = names
            .iter()
            .position(|name| name.eq_ignore_ascii_case(wanted))
            .ok_or_else(|| ApiError::argument(format!("DataColumns: {wanted} is not a column of the session")))?;
        if places.contains(&place) {
            return Err(ApiError::argument(format!("DataColumns names {wanted} twice")));
        }
        places.push(place);
    }
    if request.data_columns_unordered {
        places.sort_unstable();
    }
    Ok(places)
}

/// Rows in the layout of this protocol. `columns` are places among the columns of the plan.
pub fn plain_rows(
    catalog: &Arc<Catalog>,
    footers: &Arc<Footers>,
    plan: Arc<Plan>,
    range: RowRange,
    columns: &[usize],
    batch_rows: usize,
) -> Result<Recast<Rows>, ApiError> {
    let usual = plan.delivery.timestamps;
    let wide = usual == Timestamps::Struct
        || (usual == Timestamps::Clamp && timestamps_overflow(catalog, footers, &plan, &range)?);
    let data = plan.columns.len();
    // Columns that nobody asked for are not decoded; those of the system cost nothing.
    let mut kept: Vec<usize> = columns.iter().copied().filter(|place| *place < data).collect();
    kept.sort_unstable();
    let plan = match kept.len() == data && !wide {
        true => plan,
        false => {
            let mut narrow = Plan::clone(&plan);
            narrow.columns = kept.iter().filter_map(|place| plan.columns.get(*place).cloned()).collect();
            if wide {
                narrow.delivery.timestamps = Timestamps::Struct;
            }
            Arc::new(narrow)
        }
    };
    let layout = PlainLayout {
        units: Units { datetime: plan.datetime_unit.into(), timestamp: plan.timestamp_unit.into() },
        large_text: plan.large_text,
        wide_timestamps: wide,
    };
    let recolumns = columns.iter().filter_map(|place| {
        let place = match place.checked_sub(data) {
            Some(system) => kept.len() + system,
            None => kept.binary_search(place).ok()?,
        };
        let column = match place.checked_sub(plan.columns.len()) {
            Some(system) => plan.system_columns.get(system)?,
            None => &plan.columns.get(place)?.column,
        };
        Some(Recolumn { place, layout: plain_type(&column.ty, layout) })
    });
    let recolumns: Vec<Recolumn> = recolumns.collect();
    let rows = Rows::new(catalog.clone(), footers.clone(), plan, range, batch_rows);
    Ok(Recast::new(rows, &recolumns)?)
}
