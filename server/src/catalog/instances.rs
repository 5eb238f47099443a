//! SQL instances: what they were asked to do, what became of it, and where their rows lie.

use anyhow::Result;
use rusqlite::{OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use super::{Catalog, TableName};
use crate::clock::now_ms;

/// The project of the tables that hold results. No client can name it: `#` is in no name.
const RESULTS: &str = "#instances";

/// How long the rows of a result are kept.
const KEEP_RESULT_MS: i64 = 86_400_000;

/// How long a repeated request with the same id finds its first instance (account-routing-metadata.md 6, 19).
const REPEAT_MS: i64 = 600_000;

/// What is known of an instance from the moment it was created.
pub(super) const SCHEMA: &str = "
create table instances(
  id text primary key, project text not null collate nocase, owner text not null, repeat_id text not null,
  job text not null, state text not null, created_ms integer not null, ended_ms integer,
  answer text not null, has_rows integer not null) strict;
create index instances_of_project on instances(project, created_ms);
create table instance_sources(
  instance text not null, table_id integer not null, project text not null, schema text not null, name text not null,
  columns text not null, primary key(instance, table_id)) strict;
";

/// How far an instance is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstanceState {
    Running,
    Success,
    Failed,
    Cancelled,
}

impl InstanceState {
    /// The name of the state of the instance's task.
    pub fn name(self) -> &'static str {
        match self {
            InstanceState::Running => "Running",
            InstanceState::Success => "Success",
            InstanceState::Failed => "Failed",
            InstanceState::Cancelled => "Cancelled",
        }
    }

    fn parse(name: &str) -> InstanceState {
        [InstanceState::Running, InstanceState::Success, InstanceState::Cancelled]
            .into_iter()
            .find(|state| state.name() == name)
            .unwrap_or(InstanceState::Failed)
    }
}

/// What an instance was asked to do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    pub name: String,
    pub comment: String,
    pub priority: i64,
    /// Name of its one task.
    pub task: String,
    pub query: String,
    /// The properties of the task's configuration, as sent.
    pub properties: Vec<(String, String)>,
}

/// A table of which an instance has read rows: who asks for its result needs rights on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    pub id: i64,
    /// What it was called then.
    pub name: TableName,
    /// The columns that were shown or compared.
    pub columns: Vec<String>,
}

/// An instance.
#[derive(Clone, Debug)]
pub struct Instance {
    pub id: String,
    pub project: String,
    pub owner: String,
    pub job: Job,
    pub state: InstanceState,
    pub created_ms: i64,
    /// `None` while it runs.
    pub ended_ms: Option<i64>,
    /// Text of the result: of a failure its sentence, of a SELECT nothing.
    pub answer: String,
    /// The hidden table with the rows of a SELECT, as long as they are kept.
    pub result: Option<TableName>,
}

impl Instance {
    /// Whether nothing will change any more.
    pub fn is_terminated(&self) -> bool {
        self.state != InstanceState::Running
    }
}

/// The hidden table for the rows of an instance.
pub fn result_table(instance: &str) -> TableName {
    TableName { project: RESULTS.into(), schema: "default".into(), table: instance.into() }
}

const SELECT: &str = "select id, project, owner, job, state, created_ms, ended_ms, answer, has_rows from instances";

fn read(row: &Row<'_>) -> rusqlite::Result<Instance> {
    let id: String = row.get(0)?;
    let job: String = row.get(3)?;
    let state: String = row.get(4)?;
    let has_rows: bool = row.get(8)?;
    Ok(Instance {
        project: row.get(1)?,
        owner: row.get(2)?,
        job: serde_json::from_str(&job).unwrap_or_default(),
        state: InstanceState::parse(&state),
        created_ms: row.get(5)?,
        ended_ms: row.get(6)?,
        answer: row.get(7)?,
        result: has_rows.then(|| result_table(&id)),
        id,
    })
}

impl Catalog {
    /// Stores a new instance that runs.
    pub fn insert_instance(&self, instance: &Instance, repeat_id: &str) -> Result<()> {
        self.lock().execute(
            "insert into instances values (?1, ?2, ?3, ?4, ?5, ?6, ?7, null, '', 0)",
            params![
                instance.id,
                instance.project,
                instance.owner,
                repeat_id,
                serde_json::to_string(&instance.job)?,
                instance.state.name(),
                instance.created_ms
            ],
        )?;
        Ok(())
    }

    /// Remembers what an instance has read. Call it before the instance ends.
    pub fn set_instance_sources(&self, id: &str, sources: &[Source]) -> Result<()> {
        let connection = self.lock();
        let mut statement =
            connection.prepare_cached("insert or replace into instance_sources values (?1, ?2, ?3, ?4, ?5, ?6)")?;
        for Source { id: table, name, columns } in sources {
            let columns = serde_json::to_string(columns)?;
            statement.execute(params![id, table, name.project, name.schema, name.table, columns])?;
        }
        Ok(())
    }

    /// What an instance that has ended has read.
    pub fn instance_sources(&self, id: &str) -> Result<Vec<Source>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(
            "select table_id, project, schema, name, columns from instance_sources where instance = ?1",
        )?;
        let rows = statement.query_map([id], |row| {
            let name = TableName { project: row.get(1)?, schema: row.get(2)?, table: row.get(3)? };
            Ok((row.get(0)?, name, row.get::<_, String>(4)?))
        })?;
        rows.map(|row| {
            let (id, name, columns) = row?;
            Ok(Source { id, name, columns: serde_json::from_str(&columns)? })
        })
        .collect()
    }

    /// Ends an instance that runs; one that has ended stays as it is.
    pub fn end_instance(&self, id: &str, state: InstanceState, answer: &str, has_rows: bool) -> Result<()> {
        self.lock().execute(
            "update instances set state = ?2, ended_ms = ?3, answer = ?4, has_rows = ?5
             where id = ?1 and state = 'Running'",
            params![id, state.name(), now_ms(), answer, has_rows],
        )?;
        Ok(())
    }

    /// An instance of a project.
    pub fn instance(&self, project: &str, id: &str) -> Result<Option<Instance>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(&format!("{SELECT} where project = ?1 and id = ?2"))?;
        Ok(statement.query_row([project, id], read).optional()?)
    }

    /// The instance that a request of this owner with this id has created in the last minutes.
    pub fn repeated_instance(&self, project: &str, owner: &str, repeat_id: &str) -> Result<Option<Instance>> {
        let connection = self.lock();
        let sql = format!(
            "{SELECT} where project = ?1 and repeat_id = ?2 and created_ms > ?3
             and owner = ?4 collate nocase"
        );
        let mut statement = connection.prepare_cached(&sql)?;
        Ok(statement.query_row(params![project, repeat_id, now_ms() - REPEAT_MS, owner], read).optional()?)
    }

    /// The instances of a project from the newest on, behind `after` and of `owner` if given.
    pub fn instances(
        &self,
        project: &str,
        owner: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Instance>> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(&format!(
            "{SELECT} where project = ?1 and (?2 is null or id < ?2)
             and (?4 is null or owner = ?4 collate nocase) order by id desc limit ?3"
        ))?;
        let rows = statement.query_map(params![project, after, limit as i64, owner], read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Ends the instances that a server left running when it stopped. Call it before any instance is created.
    pub fn end_lost_instances(&self) -> Result<()> {
        self.lock().execute(
            "update instances set state = 'Failed', ended_ms = ?1,
             answer = 'ODPS-0010000:Internal error - the server was stopped while the instance was running'
             where state = 'Running'",
            [now_ms()],
        )?;
        Ok(())
    }

    /// Drops the rows of results that nobody may ask for any more.
    pub fn forget_results(&self) -> Result<()> {
        let old: Vec<String> = {
            let connection = self.lock();
            let mut statement = connection.prepare_cached(
                "update instances set has_rows = 0 where has_rows = 1 and ended_ms < ?1 returning id",
            )?;
            statement.query_map([now_ms() - KEEP_RESULT_MS], |row| row.get(0))?.collect::<Result<_, _>>()?
        };
        for id in old {
            self.drop_table(&result_table(&id))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_end_once() {
        let root = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(root.path()).unwrap();
        let instance = |id: &str| Instance {
            id: id.into(),
            project: "p".into(),
            owner: "o".into(),
            job: Job { query: "select 1".into(), ..Job::default() },
            state: InstanceState::Running,
            created_ms: now_ms(),
            ended_ms: None,
            answer: String::new(),
            result: None,
        };
        for id in ["1", "2", "3"] {
            catalog.insert_instance(&instance(id), &format!("repeat {id}")).unwrap();
        }
        catalog.end_instance("1", InstanceState::Cancelled, "", false).unwrap();
        catalog.end_instance("1", InstanceState::Success, "late", true).unwrap();
        let first = catalog.instance("P", "1").unwrap().unwrap();
        assert_eq!((first.state, first.answer.as_str(), first.result), (InstanceState::Cancelled, "", None));
        assert!(catalog.instance("q", "1").unwrap().is_none());
        let source = Source { id: 7, name: "p.default.t".parse().unwrap(), columns: vec!["a".into()] };
        catalog.set_instance_sources("1", std::slice::from_ref(&source)).unwrap();
        assert_eq!(catalog.instance_sources("1").unwrap(), [source]);
        assert!(catalog.instance_sources("2").unwrap().is_empty());
        assert_eq!(catalog.repeated_instance("p", "O", "repeat 2").unwrap().unwrap().id, "2");
        assert!(catalog.repeated_instance("p", "other", "repeat 2").unwrap().is_none());
        let ids = |after| catalog.instances("p", None, after, 2).unwrap().into_iter().map(|i| i.id).collect::<Vec<_>>();
        assert_eq!((ids(None), ids(Some("2"))), (vec!["3".into(), "2".into()], vec!["1".to_string()]));
        catalog.end_lost_instances().unwrap();
        assert!(catalog.instance("p", "2").unwrap().unwrap().answer.contains("was stopped"));
    }
}
