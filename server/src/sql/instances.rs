//! Instances: statements that run beside the request that created them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use uuid::Uuid;

use super::context::Context;
use super::job::settings;
use super::run::{Outcome, run};
use crate::catalog::{Instance, InstanceState, Job, result_table};
use crate::clock::now_ms;
use crate::error::ApiError;
use crate::governance::{Caller, check_size, masked, require_project};
use crate::http::Shared;
use crate::types::temporal::iso_millis;

/// The instances that run now.
#[derive(Default)]
pub struct Running {
    entries: Mutex<HashMap<String, Entry>>,
}

struct Entry {
    cancelled: Arc<AtomicBool>,
    ended: watch::Receiver<bool>,
}

impl Running {
    fn entries(&self) -> std::sync::MutexGuard<'_, HashMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until an instance has ended; returns at once if it does not run.
    pub async fn wait(&self, id: &str) {
        let ended = self.entries().get(id).map(|entry| entry.ended.clone());
        if let Some(mut ended) = ended {
            // An error means that the statement is gone, which is an end as well.
            let _ = ended.wait_for(|ended| *ended).await;
        }
    }

    /// Asks the statement of an instance to stop at the next batch of rows.
    pub fn cancel(&self, id: &str) {
        if let Some(entry) = self.entries().get(id) {
            entry.cancelled.store(true, Ordering::Relaxed);
        }
    }
}

/// An id as the service makes them: time in UTC, `g`, eight letters and digits.
fn new_id(now: i64) -> String {
    let time: String = iso_millis(now).chars().filter(char::is_ascii_digit).collect();
    let random = Uuid::new_v4().simple().to_string();
    format!("{time}g{}", random.get(..8).unwrap_or(&random))
}

/// Stores a new instance and begins to run it. Blocking, but for no longer than the catalogue takes. A request that was
/// sent before finds the instance that it created then.
pub fn start(
    shared: &Arc<Shared>,
    runtime: &tokio::runtime::Handle,
    caller: &Caller,
    project: &str,
    job: Job,
    repeat_id: &str,
) -> Result<String, ApiError> {
    require_project(shared, caller, project, "CreateInstance")?;
    check_size(&job.query)?;
    let owner = caller.principal.as_str();
    if !repeat_id.is_empty()
        && let Some(found) = shared.catalog.repeated_instance(project, owner, repeat_id)?
    {
        return Ok(found.id);
    }
    let now = now_ms();
    let instance = Instance {
        id: new_id(now),
        project: project.to_string(),
        owner: owner.to_string(),
        job: Job { query: masked(&job.query), ..job.clone() },
        state: InstanceState::Running,
        created_ms: now,
        ended_ms: None,
        answer: String::new(),
        result: None,
    };
    shared.catalog.insert_instance(&instance, repeat_id)?;
    let (ended, receiver) = watch::channel(false);
    let cancelled = Arc::new(AtomicBool::new(false));
    let entry = Entry { cancelled: cancelled.clone(), ended: receiver };
    shared.running.entries().insert(instance.id.clone(), entry);
    let id = instance.id.clone();
    let (shared, caller) = (shared.clone(), caller.clone());
    runtime.spawn_blocking(move || {
        let id = instance.id.clone();
        if let Err(error) = finish(&shared, caller, instance, &job.query, cancelled) {
            tracing::error!("instance {id}: {error:#}");
        }
        shared.running.entries().remove(&id);
        let _ = ended.send(true);
    });
    Ok(id)
}

/// Runs the text of an instance, of which it keeps no secrets, to its end and stores what became of it.
fn finish(
    shared: &Arc<Shared>,
    caller: Caller,
    instance: Instance,
    query: &str,
    cancelled: Arc<AtomicBool>,
) -> anyhow::Result<()> {
    let mut context = Context {
        shared: shared.clone(),
        caller,
        project: instance.project.clone(),
        settings: settings(&instance.job).into_iter().collect(),
        cancelled,
        result: result_table(&instance.id),
        sources: Mutex::default(),
    };
    let outcome = run(&mut context, query);
    let (state, answer, has_rows) = match outcome {
        Ok(Outcome::Text(text)) => (InstanceState::Success, text, false),
        Ok(Outcome::Rows) => (InstanceState::Success, String::new(), true),
        Err(error) => {
            tracing::info!("instance {} failed: {error}", instance.id);
            shared.catalog.drop_table(&context.result)?;
            (InstanceState::Failed, error.to_string(), false)
        }
    };
    // Also the sentence of a failure may hold values that were read.
    let sources = context.sources.into_inner().unwrap_or_else(PoisonError::into_inner);
    shared.catalog.set_instance_sources(&instance.id, &sources)?;
    shared.catalog.end_instance(&instance.id, state, &answer, has_rows)
}
