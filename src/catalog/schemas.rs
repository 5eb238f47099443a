//! Projects and their schemas.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use super::unfit;
use crate::client::Client;
use crate::error::{Kind, Result};
use crate::proto::check_name;
use crate::proto::metadata::{self, Entry, Page};
use crate::transport::Transport;

/// What a project of two levels has instead of schemas.
const ONLY_SCHEMA: &str = "default";

/// The way through the lists.
#[derive(Debug)]
pub(super) struct Schemas {
    transport: Arc<Transport>,
    projects: Projects,
    /// Whether the list is of every project, not of one that the caller names.
    is_of_all: bool,
    /// Schemas of the present project: the rest of its list begins at the marker.
    present: Option<(Entry, Option<String>)>,
}

/// The projects that are to come.
#[derive(Debug)]
struct Projects {
    waiting: VecDeque<Entry>,
    next: Rest,
}

/// What is left of a list.
#[derive(Debug)]
enum Rest {
    All,
    From(String),
    Nothing,
}

impl Schemas {
    pub(super) fn new(client: &Client, project: Option<&str>) -> Result<Self> {
        let projects = match project {
            None => Projects { waiting: VecDeque::new(), next: Rest::All },
            Some(name) => {
                check_name("project", name)?;
                let entry = Entry { name: name.to_owned(), ..Entry::default() };
                Projects { waiting: VecDeque::from([entry]), next: Rest::Nothing }
            }
        };
        Ok(Schemas { transport: Arc::clone(client.transport()), projects, is_of_all: project.is_none(), present: None })
    }

    pub(super) fn schema() -> SchemaRef {
        Arc::new(Schema::new(vec![
            Field::new("project", DataType::Utf8, false),
            Field::new("schema", DataType::Utf8, false),
            Field::new("owner", DataType::Utf8, true),
        ]))
    }

    /// The next schemas, all of one project.
    pub(super) async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            let (project, marker) = match self.present.take() {
                Some(present) => present,
                None => match self.next_project().await? {
                    Some(project) => (project, None),
                    None => return Ok(None),
                },
            };
            let page = self.page(&project, marker.as_deref()).await?;
            if let Some(next) = page.next {
                self.present = Some((project.clone(), Some(next)));
            }
            if !page.items.is_empty() {
                return batch(&project, &page.items).map(Some);
            }
        }
    }

    async fn next_project(&mut self) -> Result<Option<Entry>> {
        loop {
            if let Some(project) = self.projects.waiting.pop_front() {
                return Ok(Some(project));
            }
            let marker = match std::mem::replace(&mut self.projects.next, Rest::Nothing) {
                Rest::All => None,
                Rest::From(marker) => Some(marker),
                Rest::Nothing => return Ok(None),
            };
            let answer = self.transport.ask_service(metadata::list_projects(marker.as_deref())).await;
            let answer = answer.map_err(|error| error.context("listing projects"))?;
            let page = metadata::entries(&answer.body).map_err(|error| error.with_request_id(&answer.request_id))?;
            self.projects.waiting.extend(page.items);
            self.projects.next = page.next.map_or(Rest::Nothing, Rest::From);
        }
    }

    async fn page(&self, project: &Entry, marker: Option<&str>) -> Result<Page<Entry>> {
        let answer = match self.transport.ask_service(metadata::list_schemas(&project.name, marker)).await {
            Ok(answer) => answer,
            // A service that lists no schemas where the project has only one.
            Err(error) if matches!(error.server().code.as_str(), "MethodNotAllowed" | "InvalidParameter") => {
                let only = Entry { name: ONLY_SCHEMA.to_owned(), owner: project.owner.clone(), ..Entry::default() };
                return Ok(Page { items: vec![only], next: None });
            }
            // A project that is listed but closed to the caller is left out of a list of all.
            Err(error) if error.kind() == Kind::PermissionDenied && self.is_of_all => {
                log::info!("the schemas of project {} are not listed: {error}", project.name);
                return Ok(Page { items: Vec::new(), next: None });
            }
            Err(error) => return Err(error.context(format!("listing the schemas of project {}", project.name))),
        };
        metadata::entries(&answer.body).map_err(|error| error.with_request_id(&answer.request_id))
    }
}

fn batch(project: &Entry, schemas: &[Entry]) -> Result<RecordBatch> {
    let owner = |schema: &Entry| Some(schema.owner.clone()).filter(|owner| !owner.is_empty());
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(schemas.iter().map(|_| &project.name))),
        Arc::new(StringArray::from_iter_values(schemas.iter().map(|schema| &schema.name))),
        Arc::new(schemas.iter().map(owner).collect::<StringArray>()),
    ];
    RecordBatch::try_new(Schemas::schema(), columns).map_err(unfit)
}
