//! TablePreview: a few rows without a session (storage-api-v2-v3.md 3.9).

use std::sync::Arc;

use axum::body::Body;
use serde::Deserialize;

use super::parse;
use super::read::{Form, plain_rows, send};
use super::read_session::limits;
use crate::catalog::{Table, TableName};
use crate::error::ApiError;
use crate::governance::{self, Operation, Target};
use crate::http::reply::Reply;
use crate::http::request::Head;
use crate::http::sessions::{blocking, resolve};
use crate::http::state::Shared;
use crate::plan::{CreateRequest, Planner, SplitMode};
use crate::read::{Coding, Compression, Joined, Shape};

/// Rows if the client does not say, and at most.
const DEFAULT_ROWS: i64 = 1000;
pub const MAX_ROWS: i64 = 10_000;

/// A client looks at the first batch only, so it holds all rows unless they are very wide.
const BATCH_BYTES: usize = 32 << 20;

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct PreviewRequest {
    limit: Option<i64>,
    partition: String,
    columns: Vec<String>,
}

/// Which rows are wanted.
pub struct Wanted {
    /// At most so many; never more than the limit of previews.
    pub rows: i64,
    /// A partition spec, which may leave out partition columns; the empty text is the whole table.
    pub partition: String,
    /// All columns if there are none.
    pub columns: Vec<String>,
}

/// `TablePreview`.
pub async fn preview(shared: &Arc<Shared>, head: &Head, name: TableName, body: Body) -> Result<Reply, ApiError> {
    let mut request: PreviewRequest = parse(&head.read_body(body).await?)?;
    if request.limit.is_none() {
        request.limit = head.integer("Limit")?;
    }
    if request.partition.is_empty() {
        request.partition = head.query.get("Partition").unwrap_or_default().to_string();
    }
    let rows = request.limit.unwrap_or(DEFAULT_ROWS);
    deliver(shared, head, name, Wanted { rows, partition: request.partition, columns: request.columns }).await
}

/// The first rows as an Arrow stream, uncompressed whatever the client asks for.
pub async fn deliver(shared: &Arc<Shared>, head: &Head, name: TableName, wanted: Wanted) -> Result<Reply, ApiError> {
    let Some(limit) = u64::try_from(wanted.rows.min(MAX_ROWS)).ok() else {
        return Err(ApiError::argument(format!("Limit {} is negative", wanted.rows)));
    };
    let mut right = governance::check(shared, head, Operation::Preview, Target::Table(&name)).await?;
    // The classic tunnel shows JSON as text; the Storage API does not read it unless the server is told to.
    let limits = if head.is_tunnel_call() { limits(shared) } else { shared.limits };
    let state = shared.clone();
    let (plan, limit) = blocking(move || {
        let snapshot = resolve(&state, &name)?;
        let mut request = plan_request(&snapshot.table, &wanted)?;
        let planner = Planner { catalog: &state.catalog, footers: &state.footers, limits };
        match planner.plan(snapshot, &request) {
            // Unlike a session, a preview of a partition that is not there is an empty stream (service-behaviour.md 1.2).
            Err(error) if error.code == "NoSuchPartition" => {
                request.required_partitions.clear();
                Ok((Arc::new(planner.plan(resolve(&state, &name)?, &request)?), 0))
            }
            planned => Ok((Arc::new(planned?), limit)),
        }
    })
    .await?;
    right.columns(plan.columns.iter().map(|output| output.column.name.as_str()))?;
    let permit = right.enter().await?;
    let state = shared.clone();
    let rows = blocking(move || {
        let range = plan.rows(0, limit.min(plan.row_count()));
        let range = range.ok_or_else(|| ApiError::argument("the table has fewer rows than it says"))?;
        let places: Vec<usize> = (0..plan.columns.len()).collect();
        plain_rows(&state.catalog, &state.footers, plan, range, &places, MAX_ROWS as usize)
    })
    .await?;
    let shape = Shape { compression: Compression::None, batch_rows: MAX_ROWS as usize, batch_bytes: 0 };
    let rows = Joined::new(rows, MAX_ROWS as usize, BATCH_BYTES);
    send(shared, head, permit, rows, Form { shape, coding: Coding::Plain, key: None }).await
}

/// Columns in table order: data columns, then partition columns.
fn plan_request(table: &Table, preview: &Wanted) -> Result<CreateRequest, ApiError> {
    let named = |name: &str| preview.columns.iter().any(|wanted| wanted.eq_ignore_ascii_case(name));
    let of = |columns: &[crate::catalog::Column]| -> Vec<String> {
        columns.iter().map(|column| column.name.clone()).filter(|name| named(name)).collect()
    };
    let mut request = CreateRequest {
        required_data_columns: of(&table.columns),
        required_partition_columns: of(&table.partition_keys),
        required_partitions: Some(preview.partition.clone()).filter(|spec| !spec.is_empty()).into_iter().collect(),
        ..CreateRequest::default()
    };
    request.split_options.split_mode = SplitMode::RowOffset;
    let known = |name: &String| {
        table.columns.iter().chain(&table.partition_keys).any(|column| column.name.eq_ignore_ascii_case(name))
    };
    match preview.columns.iter().find(|name| !known(name)) {
        Some(name) => Err(ApiError::argument(format!("{} has no column {name}", table.name))),
        None => Ok(request),
    }
}
