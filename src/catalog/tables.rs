//! Tables of a schema.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use super::pattern::Pattern;
use super::{project_of, unfit};
use crate::client::Client;
use crate::error::Result;
use crate::proto::check_name;
use crate::proto::metadata::{self, Entry};
use crate::transport::Transport;

/// The way through the list.
#[derive(Debug)]
pub(super) struct Tables {
    transport: Arc<Transport>,
    project: String,
    schema: String,
    pattern: Pattern,
    marker: Option<String>,
    has_ended: bool,
}

impl Tables {
    pub(super) fn new(
        client: &Client,
        project: Option<&str>,
        schema: Option<&str>,
        pattern: Option<&str>,
    ) -> Result<Self> {
        let schema = schema.unwrap_or(client.schema());
        check_name("schema", schema)?;
        Ok(Tables {
            transport: Arc::clone(client.transport()),
            project: project_of(client, project)?,
            schema: schema.to_owned(),
            pattern: Pattern::new(pattern.unwrap_or("*")),
            marker: None,
            has_ended: false,
        })
    }

    pub(super) fn schema() -> SchemaRef {
        Arc::new(Schema::new(vec![
            Field::new("project", DataType::Utf8, false),
            Field::new("schema", DataType::Utf8, false),
            Field::new("table", DataType::Utf8, false),
            Field::new("kind", DataType::Utf8, true),
            Field::new("owner", DataType::Utf8, true),
        ]))
    }

    /// The matching tables of the next page that has some.
    pub(super) async fn next(&mut self) -> Result<Option<RecordBatch>> {
        while !self.has_ended {
            let request =
                metadata::list_tables(&self.project, &self.schema, &self.pattern.prefix(), self.marker.as_deref());
            let answer = self.transport.ask_service(request).await;
            let answer = answer
                .map_err(|error| error.context(format!("listing the tables of {}.{}", self.project, self.schema)))?;
            let page = metadata::entries(&answer.body).map_err(|error| error.with_request_id(&answer.request_id))?;
            self.has_ended = page.next.is_none();
            self.marker = page.next;
            let tables: Vec<Entry> = page.items.into_iter().filter(|table| self.pattern.matches(&table.name)).collect();
            if !tables.is_empty() {
                return self.batch(&tables).map(Some);
            }
        }
        Ok(None)
    }

    fn batch(&self, tables: &[Entry]) -> Result<RecordBatch> {
        let owner = |table: &Entry| Some(table.owner.clone()).filter(|owner| !owner.is_empty());
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(tables.iter().map(|_| &self.project))),
            Arc::new(StringArray::from_iter_values(tables.iter().map(|_| &self.schema))),
            Arc::new(StringArray::from_iter_values(tables.iter().map(|table| &table.name))),
            Arc::new(tables.iter().map(|table| kind(&table.kind)).collect::<StringArray>()),
            Arc::new(tables.iter().map(owner).collect::<StringArray>()),
        ];
        RecordBatch::try_new(Tables::schema(), columns).map_err(unfit)
    }
}

/// Our word for the kind of a table; the one of the service if we have none.
pub(super) fn kind(word: &str) -> Option<String> {
    let known = match word {
        "" => return None,
        "MANAGED_TABLE" => "table",
        "VIRTUAL_VIEW" => "view",
        "EXTERNAL_TABLE" => "external_table",
        "MATERIALIZED_VIEW" => "materialized_view",
        "OBJECT_TABLE" => "object_table",
        other => return Some(other.to_lowercase()),
    };
    Some(known.to_owned())
}
