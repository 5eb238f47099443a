//! Admission: the checks of service-behaviour.md 3.2 in their order, then a slot.

use std::collections::HashSet;
use std::sync::Arc;

use super::meters::Facts;
use super::permit::Permit;
use super::principal::Caller;
use super::rights::{Columns, Named, Rights, may_use_quota, no_permission};
use super::settings::{DEFAULT_QUOTA, DOWNLOAD_CONTROL, STORAGE_API_SWITCH};
use super::slots::Exceeded;
use crate::catalog::{Blob, Catalog, Instance, PAY_AS_YOU_GO, Quota, QuotaKind, SHARED_QUOTA, Table, TableName};
use crate::clock::now_ms;
use crate::error::ApiError;
use crate::http::{Head, Plane, Shared, blocking, no_such};
use crate::plan::demand_rows;

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    CreateReadSession,
    CreateWriteSession,
    CreateWriteStream,
    RefreshSession,
    GetSession,
    ReadRows,
    WriteRows,
    CommitSession,
    Preview,
    /// Opens the result of an instance.
    OpenInstance,
    ReadInstance,
    TunnelDownload,
    TunnelUpload,
}

/// The rights an operation needs on its table.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    Read,
    Write,
    Nothing,
}

impl Operation {
    /// The name in usage and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Operation::CreateReadSession => "CreateReadSession",
            Operation::CreateWriteSession | Operation::CreateWriteStream => "CreateWriteSession",
            Operation::RefreshSession => "RefreshSession",
            Operation::GetSession => "GetSession",
            Operation::ReadRows => "ReadRows",
            Operation::WriteRows => "WriteRows",
            Operation::CommitSession => "CommitSession",
            Operation::Preview => "Preview",
            Operation::OpenInstance | Operation::ReadInstance => "ReadInstance",
            Operation::TunnelDownload => "TunnelDownload",
            Operation::TunnelUpload => "TunnelUpload",
        }
    }

    /// Whether it occupies a slot: polling does not, so that it cannot starve what it waits for.
    fn takes_slot(self) -> bool {
        !matches!(self, Operation::RefreshSession | Operation::GetSession | Operation::CommitSession)
    }

    /// Whether it goes on with a session, on the quota of which it then runs.
    fn has_session(self) -> bool {
        use Operation as O;
        !matches!(self, O::CreateReadSession | O::CreateWriteSession | O::Preview | O::OpenInstance)
    }

    /// What it demands. The session `default` of a table is open to all: it is no proof that somebody had the right.
    fn needs(self, each_read: bool, open: bool) -> Needs {
        match self {
            Operation::WriteRows | Operation::GetSession | Operation::CommitSession if open => Needs::Write,
            Operation::CreateReadSession | Operation::RefreshSession | Operation::Preview => Needs::Read,
            Operation::CreateWriteSession | Operation::CreateWriteStream => Needs::Write,
            Operation::ReadRows | Operation::TunnelDownload if each_read => Needs::Read,
            Operation::WriteRows | Operation::TunnelUpload | Operation::CommitSession if each_read => Needs::Write,
            _ => Needs::Nothing,
        }
    }

    /// Whether table rows come out of the files.
    fn reads(self) -> bool {
        matches!(
            self,
            Operation::CreateReadSession | Operation::ReadRows | Operation::Preview | Operation::TunnelDownload
        )
    }
}

/// What an operation is about.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    Table(&'a TableName),
    Project(&'a str),
}

/// The right to do something; [`Right::enter`] begins it.
pub struct Right {
    shared: Arc<Shared>,
    operation: Operation,
    facts: Facts,
    quota: Quota,
    columns: Columns,
    /// Whether the columns of the request were looked at.
    checked: bool,
}

/// Checks, then takes a slot: for handlers that have no columns to check.
pub async fn admit(
    shared: &Arc<Shared>,
    head: &Head,
    operation: Operation,
    target: Target<'_>,
) -> Result<Permit, ApiError> {
    check(shared, head, operation, target).await?.enter().await
}

/// Everything up to the rights on the table.
pub async fn check(
    shared: &Arc<Shared>,
    head: &Head,
    operation: Operation,
    target: Target<'_>,
) -> Result<Right, ApiError> {
    check_on(shared, head, named_quota(head), operation, target).await
}

/// The same for a request that names its quota in its body.
pub async fn check_on(
    shared: &Arc<Shared>,
    head: &Head,
    named: Option<&str>,
    operation: Operation,
    target: Target<'_>,
) -> Result<Right, ApiError> {
    let (project, table) = match target {
        Target::Table(name) => (name.project.clone(), Some(name.clone())),
        Target::Project(name) => (name.to_string(), None),
    };
    let (quota, columns) = {
        let (shared, caller, plane) = (shared.clone(), head.caller.clone(), head.plane());
        let (named, session) = (named.map(str::to_string), head.subject.session.clone());
        let (project, table) = (project.clone(), table.clone());
        blocking(move || {
            let inherited = match (&named, &session) {
                (None, Some(id)) if operation.has_session() => shared.catalog.session_quota(id)?,
                _ => None,
            };
            let choice = Choice {
                named: named.as_deref(),
                inherited: inherited.as_deref(),
                asks_again: operation == Operation::RefreshSession,
                open: session.as_ref().is_some_and(|id| id.eq_ignore_ascii_case(crate::http::DEFAULT_SESSION)),
            };
            let found = if shared.governance.checks {
                checks(&shared, &caller, plane, operation, &project, table.as_ref(), choice)?
            } else {
                (any_quota(choice.named.or(choice.inherited)), Columns::All)
            };
            if operation.reads() {
                shared.catalog.keyring().check(&project)?;
            }
            Ok(found)
        })
        .await?
    };
    let facts = Facts {
        request_id: head.request_id.clone(),
        principal: head.caller.principal.as_str().to_string(),
        operation: operation.name(),
        quota: quota.name.clone(),
        project,
        schema: table.as_ref().map(|name| name.schema.clone()).unwrap_or_default(),
        table: table.map(|name| name.table).unwrap_or_default(),
    };
    Ok(Right { shared: shared.clone(), operation, facts, quota, columns, checked: false })
}

/// The quota that a request names.
pub fn named_quota(head: &Head) -> Option<&str> {
    let named = ["quotaName", "quota"].iter().find_map(|name| head.query.get(name)).filter(|name| !name.is_empty());
    named.or(head.routed_quota.as_deref())
}

/// Remembers the quota that the request creating a session named, for later requests of it that name none. Blocking.
pub fn remember_quota(shared: &Shared, head_quota: Option<&str>, session_id: &str) -> Result<(), ApiError> {
    if let Some(name) = head_quota {
        shared.catalog.set_session_quota(session_id, name, now_ms())?;
    }
    Ok(())
}

/// The quota of a profile that takes any name.
fn any_quota(name: Option<&str>) -> Quota {
    let name = name.unwrap_or(SHARED_QUOTA).to_string();
    Quota { name, kind: QuotaKind::Shared, slots: None, rate: None, enabled: true }
}

/// What the session of a request says, and the quota that the request names.
struct Choice<'a> {
    named: Option<&'a str>,
    inherited: Option<&'a str>,
    /// Whether the right to the inherited one is looked at again.
    asks_again: bool,
    /// Whether the session is the one that every table has for everybody.
    open: bool,
}

fn checks(
    shared: &Shared,
    caller: &Caller,
    plane: Plane,
    operation: Operation,
    project: &str,
    table: Option<&TableName>,
    choice: Choice<'_>,
) -> Result<(Quota, Columns), ApiError> {
    let catalog = &shared.catalog;
    let Some((project, _)) = catalog.project(project)? else { return Err(no_such(plane, "Project", project)) };
    let rights = Rights::load(catalog, caller, &project)?;
    demand_member(&rights, caller, &project)?;
    let quota = choose_quota(catalog, caller, &project, &choice)?;
    let Some(name) = table else { return Ok((quota, Columns::All)) };
    if catalog.schema(&project, &name.schema)?.is_none() {
        return Err(no_such(plane, "Schema", &name.schema));
    }
    let needs = operation.needs(shared.governance.settings.check_each_read, choice.open);
    let table = match catalog.table(name)? {
        Some(table) => table,
        // A session outlives its table: what then happens is the session's own matter.
        None if matches!(needs, Needs::Nothing) => return Ok((quota, Columns::All)),
        None => return Err(no_such(plane, "Table", &name.to_string())),
    };
    demand_rows(&table)?;
    let columns = match needs {
        Needs::Nothing => Columns::All,
        Needs::Read => demand_read(catalog, &rights, &project, &table)?,
        Needs::Write => {
            let object = Named::Table(&table.name, table.id);
            rights.demand("Describe", &object)?;
            rights.demand("Update", &object)?
        }
    };
    Ok((quota, columns))
}

fn demand_member(rights: &Rights<'_>, caller: &Caller, project: &str) -> Result<(), ApiError> {
    if rights.in_project()? {
        return Ok(());
    }
    Err(no_permission(4002, format!("{} does not exist in project {project}", caller.principal)))
}

/// Describe, Select, the labels of columns, Download if it is demanded, and the protection of the project.
fn demand_read(catalog: &Catalog, rights: &Rights<'_>, project: &str, table: &Table) -> Result<Columns, ApiError> {
    let object = Named::Table(&table.name, table.id);
    rights.demand("Describe", &object)?;
    let columns = rights.demand("Select", &object)?.and(rights.labelled(table)?);
    demand_exit(catalog, rights, project, &object, None)?;
    Ok(columns)
}

fn choose_quota(catalog: &Catalog, caller: &Caller, project: &str, choice: &Choice<'_>) -> Result<Quota, ApiError> {
    if let Some(name) = choice.named {
        let quota = catalog.quota(name)?.ok_or_else(|| unknown_quota(name))?;
        demand_quota(catalog, caller, &quota)?;
        return Ok(quota);
    }
    // The right to name it was checked when the session was created, and is when it is refreshed.
    if let Some(quota) = choice.inherited.map(|name| catalog.quota(name)).transpose()?.flatten() {
        if choice.asks_again {
            demand_quota(catalog, caller, &quota)?;
        }
        return Ok(quota);
    }
    if let Some(name) = catalog.project_property(project, DEFAULT_QUOTA)?
        && let Some(quota) = catalog.quota(&name)?.filter(|quota| quota.enabled && quota.kind == QuotaKind::Exclusive)
    {
        return Ok(quota);
    }
    match catalog.quota(SHARED_QUOTA)? {
        Some(quota) if quota.enabled => Ok(quota),
        _ => {
            let message = "ODPS-0420095:Access denied - the shared quota is off here: name a quota";
            Err(ApiError::new(403, "NoPermission", message))
        }
    }
}

fn unknown_quota(name: &str) -> ApiError {
    ApiError::argument(format!("ODPS-0420411:Invalid argument - there is no quota {name}"))
}

/// The switch of the tenant, the state of the quota, and the right to name it.
fn demand_quota(catalog: &Catalog, caller: &Caller, quota: &Quota) -> Result<(), ApiError> {
    let name = &quota.name;
    if name.eq_ignore_ascii_case(PAY_AS_YOU_GO)
        && catalog.tenant_property(STORAGE_API_SWITCH)?.as_deref() != Some("true")
    {
        let message =
            format!("ODPS-0420095:Access denied - the Storage API switch of the tenant is off, which {name} needs");
        return Err(ApiError::new(403, "NoPermission", message));
    }
    if !quota.enabled {
        let message = format!("ODPS-0420095:Access denied - the quota {name} is off");
        return Err(ApiError::new(403, "NoPermission", message));
    }
    if may_use_quota(catalog, caller, name)? {
        return Ok(());
    }
    let who = &caller.principal;
    Err(no_permission(
        4019,
        format!(
            "{who} has NO privilege 'odps:List' and 'odps:Usage' on {{acs:odps:*:regions/*/quotas/{name}}}: a tenant role must allow them"
        ),
    ))
}

impl Right {
    /// Refuses columns that the caller may not use.
    pub fn columns<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) -> Result<(), ApiError> {
        self.checked = true;
        self.columns.demand(names)
    }

    /// The same, in a chain.
    pub fn with_columns<'a>(mut self, names: impl IntoIterator<Item = &'a str>) -> Result<Right, ApiError> {
        self.columns(names)?;
        Ok(self)
    }

    /// Takes a slot and begins to count.
    pub async fn enter(self) -> Result<Permit, ApiError> {
        if !self.checked && self.columns != Columns::All {
            return Err(no_permission(4019, "the request uses columns that are not granted"));
        }
        let governance = &self.shared.governance;
        let limits = governance.limits;
        let slot = if self.operation.takes_slot() {
            let slots = self.quota.slots.filter(|_| limits);
            let taken = governance.slots.take(&self.quota.name, slots, governance.settings.over_slots).await;
            Some(taken.map_err(|exceeded| slot_exceeded(&self.quota.name, &exceeded))?)
        } else {
            None
        };
        let rate = self.quota.rate.filter(|_| limits);
        let (number, meter) = governance.meters.begin(self.facts, rate);
        Ok(Permit::new(governance.meters.clone(), number, meter, slot))
    }
}

impl Columns {
    /// Refuses what is not given for the object as a whole.
    pub fn whole(self) -> Result<(), ApiError> {
        match self {
            Columns::All => Ok(()),
            Columns::Only(_) => Err(no_permission(4019, "this needs a privilege on all columns of the table")),
        }
    }

    /// Refuses columns that are not among these.
    pub fn demand<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Result<(), ApiError> {
        let Columns::Only(given) = self else { return Ok(()) };
        let refused: Vec<&str> = names.into_iter().filter(|name| !given.contains(&name.to_lowercase())).collect();
        if refused.is_empty() {
            return Ok(());
        }
        let names = refused.join(", ");
        Err(no_permission(4019, format!("NO privilege on these columns, or their label is too high: {names}")))
    }
}

fn slot_exceeded(quota: &str, exceeded: &Exceeded) -> ApiError {
    let Exceeded { total, acquired } = exceeded;
    let region = super::rights::REGION;
    let message =
        format!("Your slot quota is exceeded. region: {region}, quota: {quota}, total: {total}, acquired: {acquired}");
    ApiError::new(429, "SlotExceeded", message).retry_after(1)
}

/// Demands a right on a table outside the Storage API: which columns it is given for is the answer.
pub fn require_table(shared: &Shared, caller: &Caller, table: &Table, action: &str) -> Result<Columns, ApiError> {
    if !shared.governance.checks {
        return Ok(Columns::All);
    }
    let rights = Rights::load(&shared.catalog, caller, &table.name.project)?;
    demand_member(&rights, caller, &table.name.project)?;
    let columns = rights.demand(action, &Named::Table(&table.name, table.id))?;
    Ok(if action == "Select" { columns.and(rights.labelled(table)?) } else { columns })
}

/// Demands that the caller is known in a project.
pub fn require_member(shared: &Shared, caller: &Caller, project: &str) -> Result<(), ApiError> {
    if !shared.governance.checks {
        return Ok(());
    }
    demand_member(&Rights::load(&shared.catalog, caller, project)?, caller, project)
}

/// Demands that an instance is the caller's own, or that the caller administers the project. A bearer token with a policy
/// must allow instances.
pub fn require_instance(shared: &Shared, caller: &Caller, project: &str, owner: &str) -> Result<(), ApiError> {
    if !shared.governance.checks {
        return Ok(());
    }
    let rights = Rights::load(&shared.catalog, caller, project)?;
    demand_member(&rights, caller, project)?;
    if caller.policy.is_some() {
        rights.demand("CreateInstance", &Named::Project)?;
    }
    if rights.is_admin() || owner.eq_ignore_ascii_case(caller.principal.as_str()) {
        return Ok(());
    }
    Err(no_permission(4019, format!("{} neither owns this instance nor administers {project}", caller.principal)))
}

/// Demands what the result of an instance carries from the tables that it was read from: Select on their columns, and
/// what it takes to leave their projects. Of a table that has been dropped only the owner of the instance has rows.
pub fn require_result(shared: &Shared, caller: &Caller, instance: &Instance) -> Result<(), ApiError> {
    if !shared.governance.checks {
        return Ok(());
    }
    let catalog = &shared.catalog;
    for source in catalog.instance_sources(&instance.id)? {
        let table = catalog.table_by_id(source.id)?;
        let name = table.as_ref().map_or(&source.name, |table| &table.name);
        let rights = Rights::load(catalog, caller, &name.project)?;
        demand_member(&rights, caller, &name.project)?;
        let object = Named::Table(name, source.id);
        match &table {
            Some(table) => {
                let columns = rights.demand("Select", &object)?.and(rights.labelled(table)?);
                columns.demand(source.columns.iter().map(String::as_str))?;
            }
            None if instance.owner.eq_ignore_ascii_case(caller.principal.as_str()) => {}
            None => return Err(no_permission(4019, format!("{name}, which the instance has read, was dropped"))),
        }
        demand_exit(catalog, &rights, &name.project, &object, None)?;
    }
    Ok(())
}

/// Demands that blobs may leave their projects: Select on a table of the project whose cells refer to it, and what it takes
/// to leave. A blob that no table refers to yet needs an open border.
pub fn require_blobs(shared: &Shared, caller: &Caller, blobs: &[Blob]) -> Result<(), ApiError> {
    if !shared.governance.checks {
        return Ok(());
    }
    let catalog = &shared.catalog;
    let mut open = HashSet::new();
    for blob in blobs {
        let tables = catalog.tables_of_blob(&blob.id, &blob.project)?;
        let rights = Rights::load(catalog, caller, &blob.project)?;
        if tables.is_empty() {
            demand_member(&rights, caller, &blob.project)?;
            demand_exit(catalog, &rights, &blob.project, &Named::Project, None)?;
        }
        let mut refusal = None;
        for id in tables {
            if open.contains(&id) {
                refusal = None;
                break;
            }
            match demand_blobs_of(catalog, &rights, caller, id) {
                Ok(()) => {
                    open.insert(id);
                    refusal = None;
                    break;
                }
                Err(error) => refusal = Some(error),
            }
        }
        if let Some(error) = refusal {
            return Err(error);
        }
    }
    Ok(())
}

/// Demands one of the columns with blobs of a table.
fn demand_blobs_of(catalog: &Catalog, rights: &Rights<'_>, caller: &Caller, id: i64) -> Result<(), ApiError> {
    let missing = || ApiError::new(404, "NoSuchObject", "the table of the blob is gone");
    let table = catalog.table_by_id(id)?.ok_or_else(missing)?;
    demand_member(rights, caller, &table.name.project)?;
    let object = Named::Table(&table.name, id);
    let columns = rights.demand("Select", &object)?.and(rights.labelled(&table)?);
    let mut holders = table.columns.iter().filter(|column| column.ty.to_string().contains("blob"));
    if !holders.any(|column| columns.demand([column.name.as_str()]).is_ok()) {
        return Err(no_permission(
            4019,
            format!("{} has NO privilege on the blobs of {}", caller.principal, table.name),
        ));
    }
    demand_exit(catalog, rights, &table.name.project, &object, None)
}

/// Demands the rights that data needs to go to another project: Download where it is demanded, and an open border.
pub fn require_exit(shared: &Shared, caller: &Caller, table: &Table, to: &str) -> Result<(), ApiError> {
    if !shared.governance.checks {
        return Ok(());
    }
    let project = &table.name.project;
    let rights = Rights::load(&shared.catalog, caller, project)?;
    demand_exit(&shared.catalog, &rights, project, &Named::Table(&table.name, table.id), Some(to))
}

fn demand_exit(
    catalog: &Catalog,
    rights: &Rights<'_>,
    project: &str,
    object: &Named<'_>,
    to: Option<&str>,
) -> Result<(), ApiError> {
    let download = catalog.project_property(project, DOWNLOAD_CONTROL)?;
    if download.is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        rights.demand_download(object)?;
    }
    rights.demand_exit(object, to)
}

/// Demands a right on a project: `Read`, `List`, `CreateTable`, `CreateInstance`.
pub fn require_project(shared: &Shared, caller: &Caller, project: &str, action: &str) -> Result<(), ApiError> {
    if !shared.governance.checks {
        return Ok(());
    }
    let rights = Rights::load(&shared.catalog, caller, project)?;
    demand_member(&rights, caller, project)?;
    rights.demand(action, &Named::Project).map(|_| ())
}

/// Demands the right to create partitions by writing: Alter on the table.
pub fn require_new_partitions(shared: &Shared, caller: &Caller, table: &Table) -> Result<(), ApiError> {
    require_table(shared, caller, table, "Alter")?.whole()
}

/// Demands a right on a schema: `CreateTable`, `Drop`. What the project gives for all schemas is enough, and what it
/// denies no schema gives.
pub fn require_schema(
    shared: &Shared,
    caller: &Caller,
    project: &str,
    schema: &str,
    action: &str,
) -> Result<(), ApiError> {
    if !shared.governance.checks {
        return Ok(());
    }
    let rights = Rights::load(&shared.catalog, caller, project)?;
    demand_member(&rights, caller, project)?;
    rights.demand_on_any(action, &[Named::Project, Named::Schema(schema)])
}
