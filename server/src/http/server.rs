//! The listener, the handler of all requests, and the orderly stop.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::accept::accept;
use super::auth::identify;
use super::reply::{Account, Reply};
use super::request::{Head, Plane};
use super::route::{Call, route};
use super::state::{Profile, ServeOptions, Shared};
use super::{admin, data, faults, instances, security, service, sessions, tls, tunnel, v2, write_sessions};
use crate::catalog::Catalog;
use crate::error::ApiError;
use crate::governance::QuotaLoad;
use crate::store::clean;
use crate::subject::Protocol;
use crate::write::{drain, resume_commits};

/// How often usage is stored: a crash loses no more than this.
const USAGE_INTERVAL: Duration = Duration::from_secs(1);
/// How long an expired session is still known as expired: one day (storage-api-v1.md Q3).
const KEEP_EXPIRED_MS: i64 = 86_400_000;

/// Serves until SIGTERM or SIGINT. Prints the ready line on stdout once requests are accepted.
pub async fn serve(options: ServeOptions) -> Result<()> {
    let catalog = Arc::new(Catalog::open(&options.root)?);
    for project in &options.projects {
        catalog.ensure_project(project)?;
    }
    options.seed.apply(&catalog)?;
    match clean(&catalog)? {
        Some(0) => {}
        Some(count) => tracing::info!("removed {count} files that no commit names"),
        None => tracing::info!("another process is writing: left unfinished files alone"),
    }
    announce(&options, &catalog)?;
    let listener =
        TcpListener::bind(options.listen).await.with_context(|| format!("cannot listen on {}", options.listen))?;
    let address = listener.local_addr()?;
    let names = tls::names(address.ip(), options.external_authority.as_deref());
    let tls = tls::acceptor(&options.tls, &options.root, &names)?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    let (interval, head_timeout, grace) = (options.garbage_interval, options.head_timeout, options.grace);
    let (reader_idle, ready_json) = (options.reader_idle, options.ready_json);
    let shared = Arc::new(Shared::new(catalog, options));
    resume_commits(&shared.catalog)?;
    shared.catalog.end_lost_instances()?;
    let garbage = tokio::spawn(collect_garbage(shared.clone(), interval));
    let usage = tokio::spawn(store_usage(shared.clone()));
    let ticks = tokio::spawn(tick(shared.clone()));
    let meters = shared.clone();
    let router = Router::new().fallback(handle).with_state(shared);
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let wait = |mut stopped: tokio::sync::watch::Receiver<bool>| async move {
        // An error means that the sender is gone, which is a stop as well.
        let _ = stopped.wait_for(|stop| *stop).await;
    };
    let server = accept(listener, tls, router, head_timeout, reader_idle, wait(stopped.clone()));
    let mut stdout = std::io::stdout();
    let url = format!("{scheme}://{address}");
    let line = if ready_json { serde_json::json!({"ready": url}).to_string() } else { format!("ready {url}") };
    writeln!(stdout, "{line}").and_then(|()| stdout.flush()).context("cannot print the ready line")?;
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        tracing::info!("stopping");
        let _ = stop.send(true);
    });
    tokio::select! {
        () = server => {}
        () = async { wait(stopped).await; tokio::time::sleep(grace).await } => {
            tracing::warn!("cut answers that were still running {} s after the signal", grace.as_secs_f64());
        }
    }
    garbage.abort();
    usage.abort();
    ticks.abort();
    // What the last answers read and wrote.
    if let Err(error) = tokio::task::spawn_blocking(move || meters.governance.store_usage(&meters.catalog)).await? {
        tracing::error!("the usage of the last requests is lost: {error:#}");
    }
    tracing::info!("stopped");
    Ok(())
}

fn announce(options: &ServeOptions, catalog: &Catalog) -> Result<()> {
    for (project, _) in catalog.projects()? {
        tracing::info!("project {project}");
    }
    match &options.accounts {
        Some(accounts) => accounts.iter().for_each(|account| tracing::info!("account {}", account.id())),
        None => {
            tracing::warn!("--no-auth: REQUESTS ARE NOT AUTHENTICATED; anyone who reaches the port reads everything")
        }
    }
    match options.profile {
        Profile::Dev => tracing::info!("profile dev: no permissions, no limits"),
        Profile::Strict => tracing::info!("profile strict: rights are checked, nothing is throttled"),
        Profile::Cloud => tracing::info!("profile cloud: rights are checked, slots and rates of quotas hold"),
    }
    Ok(())
}

async fn collect_garbage(shared: Arc<Shared>, interval: Duration) {
    loop {
        tokio::time::sleep(interval).await;
        let state = shared.clone();
        let work = move || {
            state.governance.tidy(&state.catalog)?;
            state.catalog.forget_results()?;
            // Files first: blobs live as long as files refer to them.
            Ok::<_, anyhow::Error>(state.catalog.collect_garbage(KEEP_EXPIRED_MS)? + state.catalog.collect_blobs()?)
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(Ok(0)) => {}
            Ok(Ok(count)) => tracing::info!("deleted {count} files that nothing needs any more"),
            Ok(Err(error)) => tracing::error!("clean-up failed: {error:#}"),
            Err(error) => tracing::error!("clean-up failed: {error}"),
        }
    }
}

/// Remembers every second for the charts.
async fn tick(shared: Arc<Shared>) {
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    loop {
        seconds.tick().await;
        let load = shared.governance.slots.load();
        let sum = |of: fn(&QuotaLoad) -> u32| load.iter().map(of).sum();
        shared.observed.tick(sum(|load| load.used), sum(|load| load.waiting));
    }
}

/// Stores what requests read and wrote, once a second.
async fn store_usage(shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(USAGE_INTERVAL).await;
        let state = shared.clone();
        match tokio::task::spawn_blocking(move || state.governance.store_usage(&state.catalog)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!("usage is not stored: {error:#}"),
            Err(error) => tracing::error!("usage is not stored: {error}"),
        }
    }
}

/// Every request comes through here: id, signature, call, answer, log.
async fn handle(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let mut head = Head::new(&parts);
    let account = Account::open(&head, &shared.observed);
    let body = head.counted(body, &shared.observed);
    let reply = match faults::carry_out(&shared, &mut head, body).await {
        Ok(reply) => reply,
        Err(error) => Reply::error(&error, head.plane(), &head.request_id),
    };
    reply.into_response(&head, account)
}

/// Answers a request that no fault keeps from being answered.
pub async fn answer(shared: &Arc<Shared>, head: &mut Head, body: Body) -> Result<Reply, ApiError> {
    if head.subject.protocol == Protocol::Own {
        return admin::answer(shared, head, body).await;
    }
    head.caller = identify(shared, head).await?;
    // A signature covers the last of equal names only, so the others could be anything.
    if let Some(name) = head.query.repeated() {
        return Err(ApiError::argument(format!("the parameter {name} is given twice")));
    }
    match route(head)? {
        Call::CreateSession(table) => sessions::create(shared, head, table, body).await,
        Call::GetSession(table, id) => sessions::get(shared, head, table, id).await,
        Call::Security(call) => security::answer(shared, head, call, body).await,
        Call::ReadRows(table) => data::read(shared, head, table).await,
        Call::CreateWriteSession(table) => write_sessions::create(shared, head, table, body).await,
        Call::GetWriteSession(table, id) => write_sessions::get(shared, head, table, id).await,
        Call::WriteBlock(table, id) => write_sessions::write(shared, head, table, id, body).await,
        Call::ListInstances(project) => instances::list(shared, head, project).await,
        Call::CreateInstance(project) => instances::create(shared, head, project, body).await,
        Call::GetInstance(project, id) => instances::get(shared, head, project, id).await,
        Call::ChangeInstance(project, id) => instances::change(shared, head, project, id, body).await,
        Call::Commit(table) => write_sessions::commit(shared, head, table, body).await,
        Call::Action => v2::answer(shared, head, body).await,
        Call::ClassicTunnel => tunnel::answer(shared, head, body).await,
        Call::Absent(what) => {
            drain(body).await;
            let message = format!("ODPS-0420111:Object not found - this server has no {what}: {}", head.raw_path);
            Err(ApiError::new(404, "NoSuchObject", message))
        }
        Call::Missing(what) => {
            drain(body).await;
            Err(ApiError::not_implemented(format!("this server does not implement {what}")))
        }
        Call::Unknown => {
            drain(body).await;
            Err(ApiError::unknown_call(&head.method, &head.raw_path))
        }
        call => {
            security::guard(shared, head, &call).await?;
            service::answer(shared, head, call, body).await
        }
    }
}

/// The error of a name that does not exist; its code depends on the plane.
pub fn no_such(plane: Plane, what: &str, name: &str) -> ApiError {
    let number = match what {
        "Project" => "ODPS-0420111:Project not found",
        "Table" => "ODPS-0130131:Table not found",
        _ => "ODPS-0420111:Object not found",
    };
    let message = match what {
        "Table" => format!("{number} - table {name} cannot be resolved"),
        _ => format!("{number} - '{name}'"),
    };
    let code = match (plane, what) {
        (Plane::Service, _) => "NoSuchObject",
        (Plane::Storage, "Project") => "NoSuchProject",
        (Plane::Storage, "Schema") => "NoSuchSchema",
        (Plane::Storage, _) => "NoSuchTable",
    };
    ApiError::new(404, code, message)
}
