//! The first rows of a table without a session: `TablePreview` of Storage API version 2.

use serde::Serialize;

use super::{Method, Request, TableName};
use crate::error::{Error, Kind, Result};

/// The schema that targets leave out, as the official clients do.
const DEFAULT_SCHEMA: &str = "default";

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Body<'a> {
    limit: u32,
    #[serde(skip_serializing_if = "str::is_empty")]
    partition: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    columns: &'a [String],
}

/// Asks for at most `limit` rows as a plain Arrow IPC stream: of `partition`, if it is not empty, and of `columns`, if there are some.
pub fn preview(table: &TableName, limit: u32, partition: &str, columns: &[String]) -> Result<Request> {
    let target = match table.schema.as_str() {
        DEFAULT_SCHEMA => format!("projects.{}.tables.{}", table.project, table.table),
        schema => format!("projects.{}.schemas.{schema}.tables.{}", table.project, table.table),
    };
    let body = serde_json::to_vec(&Body { limit, partition, columns })
        .map_err(|error| Error::new(Kind::Internal, format!("the preview request cannot be written: {error}")))?;
    let request = Request::new(Method::Post, ["api", "storage", "v2"]).query("Action", "TablePreview");
    let request = request.query("Target", target).query("Limit", limit);
    let request = if partition.is_empty() { request } else { request.query("Partition", partition) };
    Ok(request.json(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_and_body_say_the_same() {
        let table = |schema: &str| TableName { project: "p".into(), schema: schema.into(), table: "t".into() };
        let request = preview(&table("default"), 10, "pt=x", &["a".into()]).unwrap();
        assert_eq!(
            request.url(""),
            "/api/storage/v2?Action=TablePreview&Target=projects.p.tables.t&Limit=10&Partition=pt%3Dx"
        );
        assert_eq!(request.body, br#"{"Limit":10,"Partition":"pt=x","Columns":["a"]}"#);
        let request = preview(&table("s"), 1, "", &[]).unwrap();
        assert_eq!(request.url(""), "/api/storage/v2?Action=TablePreview&Target=projects.p.schemas.s.tables.t&Limit=1");
        assert_eq!(request.body, br#"{"Limit":1}"#);
    }
}
