//! SQL instances (account-routing-metadata.md 3.6).

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::runtime::Handle;

use super::paging::Page;
use super::reply::Reply;
use super::request::{Head, Plane};
use super::server::no_such;
use super::service::http_date;
use super::sessions::blocking;
use super::state::Shared;
use super::xml::{element, escape};
use crate::catalog::{Instance, InstanceState};
use crate::error::ApiError;
use crate::governance::{Caller, require_instance, require_member, require_result};
use crate::sql::{MAX_ROWS, csv, parse_job, start};

/// How long a client that asks for the state of an instance may be held until the state changes
/// (account-routing-metadata.md 6, 20).
const HOLD: Duration = Duration::from_secs(5);

/// How long the answer to a new instance waits for its end. Most statements end at once, which spares clients a pause
/// between two questions.
const TRY_WAIT: Duration = Duration::from_millis(500);

/// Creates an instance. Its statement goes on running when the client has its answer.
pub async fn create(shared: &Arc<Shared>, head: &Head, project: String, body: Body) -> Result<Reply, ApiError> {
    let body = head.read_body(body).await?;
    let (job, repeat_id) = parse_job(&body)?;
    let (state, caller, runtime) = (shared.clone(), head.caller.clone(), Handle::current());
    let (project, id) = blocking(move || {
        let missing = || no_such(Plane::Service, "Project", &project);
        let (project, _) = state.catalog.project(&project)?.ok_or_else(missing)?;
        let id = start(&state, &runtime, &caller, &project, job, &repeat_id)?;
        Ok((project, id))
    })
    .await?;
    let _ = tokio::time::timeout(TRY_WAIT, shared.running.wait(&id)).await;
    let authority = shared.external_authority.clone().or_else(|| head.header("host").map(str::to_string));
    let location = format!("http://{}/api/projects/{project}/instances/{id}", authority.unwrap_or_default());
    Ok(Reply::whole(201, "application/xml", "").with_header("location", &location))
}

/// Answers a question about an instance; the query says which.
pub async fn get(shared: &Arc<Shared>, head: &Head, project: String, id: String) -> Result<Reply, ApiError> {
    if head.query.has("instancestatus") {
        let _ = tokio::time::timeout(HOLD, shared.running.wait(&id)).await;
    }
    let (shared, query, caller) = (shared.clone(), head.query.clone(), head.caller.clone());
    blocking(move || {
        let instance = find(&shared, &caller, Plane::Service, &project, &id)?;
        let reply = if query.has("taskstatus") {
            tasks(&instance)
        } else if query.has("result") {
            // What has neither rows nor a sentence carries nothing.
            if instance.result.is_some() || !instance.answer.is_empty() {
                require_result(&shared, &caller, &instance)?;
            }
            result(&shared, &instance)?
        } else if query.has("source") {
            source(&instance)
        } else if query.has("instanceprogress") {
            Reply::xml(200, "<Progress/>")
        } else if query.has("instancesummary") || query.has("summary") {
            let body = serde_json::json!({"Instance": {"JsonSummary": "{}", "Summary": ""}});
            Reply::json(200, &body).with_header("x-odps-task-finalized", &instance.is_terminated().to_string())
        } else if query.has("instancedetail") || query.has("detail") {
            Reply::json(200, &serde_json::json!({"Instance": {}}))
        } else if query.has("info") {
            Reply::whole(200, "text/plain", "")
        } else if query.has("cached") || query.has("instancequota") {
            return Err(ApiError::new(404, "NoSuchObject", "this server keeps no such record of an instance"));
        } else {
            status(&instance)
        };
        Ok(timed(reply, &instance))
    })
    .await
}

/// Terminates an instance, or takes information for its task, which nobody reads.
pub async fn change(
    shared: &Arc<Shared>,
    head: &Head,
    project: String,
    id: String,
    body: Body,
) -> Result<Reply, ApiError> {
    let body = head.read_body(body).await?;
    let is_info = head.query.has("info");
    let (shared, caller) = (shared.clone(), head.caller.clone());
    blocking(move || {
        let instance = find(&shared, &caller, Plane::Service, &project, &id)?;
        if is_info {
            return Ok(Reply::whole(200, "text/plain", ""));
        }
        let text = String::from_utf8_lossy(&body);
        if !text.contains("<Status>Terminated</Status>") {
            let message = "ODPS-0420061:Invalid parameter - an instance can be terminated only";
            return Err(ApiError::new(400, "InvalidParameter", message));
        }
        if instance.is_terminated() {
            let message = format!("the instance {id} has terminated already");
            return Err(ApiError::new(409, "InvalidStateSetting", message));
        }
        shared.running.cancel(&id);
        shared.catalog.end_instance(&id, InstanceState::Cancelled, "", false)?;
        Ok(Reply::whole(200, "application/xml", ""))
    })
    .await
}

/// The instances of a project from the newest on: all for those who administer it, else those of the caller.
pub async fn list(shared: &Arc<Shared>, head: &Head, project: String) -> Result<Reply, ApiError> {
    let page = Page::of(&head.query)?;
    let limit = page.size;
    let (query, caller) = (head.query.clone(), head.caller.clone());
    let shared = shared.clone();
    blocking(move || {
        let missing = || no_such(Plane::Service, "Project", &project);
        let (project, _) = shared.catalog.project(&project)?.ok_or_else(missing)?;
        require_instance(&shared, &caller, &project, caller.principal.as_str())?;
        let own = match require_instance(&shared, &caller, &project, "") {
            Ok(()) => None,
            Err(error) if error.status == 403 => Some(caller.principal.as_str()),
            Err(error) => return Err(error),
        };
        let mut found = shared.catalog.instances(&project, own, page.after.as_deref(), limit + 1)?;
        let has_more = found.len() > limit;
        found.truncate(limit);
        let marker = found.last().filter(|_| has_more).map(|last| URL_SAFE_NO_PAD.encode(&last.id)).unwrap_or_default();
        let wanted = query.get("status").filter(|status| !status.is_empty());
        let range = query.get("daterange").and_then(|range| range.split_once(':'));
        let bound = |text: Option<&str>| text.and_then(|text| text.parse::<i64>().ok()).map(|s| s * 1000);
        let (from, to) = (bound(range.map(|r| r.0)), bound(range.map(|r| r.1)));
        let mut items = String::new();
        for instance in found {
            let is_wanted = wanted.is_none_or(|status| status.eq_ignore_ascii_case(phase(&instance)))
                && from.is_none_or(|from| instance.created_ms >= from)
                && to.is_none_or(|to| instance.created_ms <= to);
            if is_wanted {
                let children = [
                    element("Name", &instance.id),
                    element("Owner", &instance.owner),
                    element("StartTime", &http_date(instance.created_ms)),
                    element("EndTime", &instance.ended_ms.map(http_date).unwrap_or_default()),
                    element("Status", phase(&instance)),
                ];
                items.push_str(&format!("<Instance>{}</Instance>", children.concat()));
            }
        }
        let head = format!("{}<MaxItems>{limit}</MaxItems>", element("Marker", &marker));
        Ok(Reply::xml(200, &format!("<Instances>{head}{items}</Instances>")))
    })
    .await
}

/// The instance of that id in that project, for its owner and those who administer the project; fails with
/// `NoSuchObject`, or `NoPermission` for everybody else.
pub fn find(shared: &Shared, caller: &Caller, plane: Plane, project: &str, id: &str) -> Result<Instance, ApiError> {
    if shared.catalog.project(project)?.is_none() {
        return Err(no_such(plane, "Project", project));
    }
    require_member(shared, caller, project)?;
    let missing = || ApiError::new(404, "NoSuchObject", format!("ODPS-0420111:Object not found - instance {id}"));
    let instance = shared.catalog.instance(project, id)?.ok_or_else(missing)?;
    require_instance(shared, caller, project, &instance.owner)?;
    Ok(instance)
}

/// The same for whoever may also have what the instance has read: its rows, or the sentence of its failure.
pub fn find_result(
    shared: &Shared,
    caller: &Caller,
    plane: Plane,
    project: &str,
    id: &str,
) -> Result<Instance, ApiError> {
    let instance = find(shared, caller, plane, project, id)?;
    require_result(shared, caller, &instance)?;
    Ok(instance)
}

/// Java takes owner and times from the headers.
fn timed(reply: Reply, instance: &Instance) -> Reply {
    reply
        .with_header("x-odps-owner", &instance.owner)
        .with_header("x-odps-start-time", &http_date(instance.created_ms))
        .with_header("x-odps-end-time", &instance.ended_ms.map(http_date).unwrap_or_default())
}

fn phase(instance: &Instance) -> &'static str {
    if instance.is_terminated() { "Terminated" } else { "Running" }
}

fn status(instance: &Instance) -> Reply {
    Reply::xml(200, &format!("<Instance><Status>{}</Status></Instance>", phase(instance)))
}

fn tasks(instance: &Instance) -> Reply {
    let task = [
        element("Name", &instance.job.task),
        element("Status", instance.state.name()),
        element("StartTime", &http_date(instance.created_ms)),
        element("EndTime", &instance.ended_ms.map(http_date).unwrap_or_default()),
        "<Histories/>".to_string(),
    ];
    let body = format!(
        "<Instance><Status>{}</Status><Tasks><Task Type=\"SQL\">{}</Task></Tasks></Instance>",
        phase(instance),
        task.concat()
    );
    Reply::xml(200, &body)
}

fn result(shared: &Shared, instance: &Instance) -> Result<Reply, ApiError> {
    let (format, text, descriptor) = match &instance.result {
        Some(table) => {
            let found = csv(shared, table, &[], None, MAX_ROWS)?;
            ("csv", found.text, element("ResultDescriptor", &found.descriptor))
        }
        None => ("text", instance.answer.clone(), String::new()),
    };
    let body = format!(
        "<Instance><Tasks><Task Type=\"SQL\">{}{}<Result Format=\"{format}\">{}</Result>{descriptor}</Task></Tasks>\
         </Instance>",
        element("Name", &instance.job.task),
        element("Status", instance.state.name()),
        escape(&text)
    );
    Ok(Reply::xml(200, &body))
}

/// The job as it was submitted.
fn source(instance: &Instance) -> Reply {
    let job = &instance.job;
    let properties: String = job
        .properties
        .iter()
        .map(|(name, value)| format!("<Property>{}{}</Property>", element("Name", name), element("Value", value)))
        .collect();
    let task = [element("Name", &job.task), format!("<Config>{properties}</Config>"), element("Query", &job.query)];
    let body = [
        element("Name", &job.name),
        element("Comment", &job.comment),
        element("Owner", &instance.owner),
        element("CreationTime", &http_date(instance.created_ms)),
        element("LastModifiedTime", &http_date(instance.ended_ms.unwrap_or(instance.created_ms))),
        element("Priority", &job.priority.to_string()),
        "<RunningCluster/><DAG><RunMode>Sequence</RunMode></DAG>".to_string(),
        format!("<Tasks><SQL>{}</SQL></Tasks>", task.concat()),
    ];
    Reply::xml(200, &format!("<Job>{}</Job>", body.concat()))
}
