//! The paths that only this server has: `/_maxstorage/…` and `/metrics`.
//!
//! They are for whoever runs the server: requests from this machine, or signed with a key of the owner.

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use serde::Deserialize;
use serde_json::{Value, json};

use super::auth::identify;
use super::reply::Reply;
use super::request::Head;
use super::sessions::blocking;
use super::state::Shared;
use crate::clock;
use crate::error::ApiError;
use crate::observe::{self, Snapshot};
use crate::{fault, governance};

/// Answers the calls of this module.
pub async fn answer(shared: &Arc<Shared>, head: &mut Head, body: Body) -> Result<Reply, ApiError> {
    let path: Vec<String> = head.segments.clone();
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let method = head.method.clone();
    if path.as_slice() == ["_maxstorage", "health"] && method == "GET" {
        return Ok(Reply::json(200, &json!({"status": "ok", "version": env!("CARGO_PKG_VERSION")})));
    }
    demand(shared, head).await?;
    match (method.as_str(), path.as_slice()) {
        ("GET", ["metrics"]) => {
            let now = snapshot(shared).await?;
            Ok(Reply::whole(200, "text/plain; version=0.0.4; charset=utf-8", observe::text(&now)))
        }
        ("GET", ["_maxstorage", "status"]) => {
            let now = serde_json::to_value(snapshot(shared).await?).map_err(anyhow::Error::from)?;
            Ok(Reply::json(200, &now))
        }
        ("GET", ["_maxstorage"] | ["_maxstorage", "observation"]) => {
            let page = observe::page(&snapshot(shared).await?);
            // The page holds everything itself; what names on it say is never run.
            let policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";
            Ok(Reply::whole(200, "text/html; charset=utf-8", page).with_header("content-security-policy", policy))
        }
        ("GET", ["_maxstorage", "faults"]) => Ok(Reply::json(200, &shared.faults.report())),
        ("PUT", ["_maxstorage", "faults"]) => {
            let text = head.read_body(body).await?;
            shared.faults.set(fault::parse(&text).map_err(ApiError::argument)?);
            Ok(Reply::json(200, &shared.faults.report()))
        }
        ("DELETE", ["_maxstorage", "faults"]) => {
            // The answer says what the plan has done until now.
            let report = shared.faults.report();
            shared.faults.set(Vec::new());
            Ok(Reply::json(200, &report))
        }
        ("GET", ["_maxstorage", "clock"]) => time(),
        ("PUT", ["_maxstorage", "clock"]) => {
            let text = head.read_body(body).await?;
            let change = serde_json::from_slice(&text).map_err(|why| ApiError::argument(why.to_string()))?;
            clock::change(change).map_err(ApiError::argument)?;
            tracing::info!("the clock shows {} now", clock::read().now);
            time()
        }
        ("DELETE", ["_maxstorage", "clock"]) => {
            clock::reset();
            time()
        }
        ("POST", ["_maxstorage", "statements"]) => {
            let text = head.read_body(body).await?;
            let order: Order = serde_json::from_slice(&text).map_err(|why| ApiError::argument(why.to_string()))?;
            let catalog = shared.catalog.clone();
            blocking(move || match governance::execute(&catalog, &order.project, &order.statement) {
                Some(output) => {
                    output.map(|output| Reply::json(200, &json!({"text": output.text, "json": output.json})))
                }
                None => {
                    Err(ApiError::argument(format!("\"{}\" is no statement on governance", order.statement.trim())))
                }
            })
            .await
        }
        (_, ["_maxstorage", "health" | "status" | "observation" | "faults" | "clock" | "statements"]) => {
            let message = format!("{} is not called with {method}", head.raw_path);
            Err(ApiError::new(405, "MethodNotAllowed", message))
        }
        _ => Err(ApiError::unknown_call(&method, &head.raw_path)),
    }
}

/// A statement that the operator wants carried out.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    project: String,
    statement: String,
}

async fn snapshot(shared: &Arc<Shared>) -> Result<Snapshot, ApiError> {
    let state = shared.clone();
    blocking(move || Ok(Snapshot::gather(&state)?)).await
}

fn time() -> Result<Reply, ApiError> {
    let reading: Value = serde_json::to_value(clock::read()).map_err(anyhow::Error::from)?;
    Ok(Reply::json(200, &reading))
}

/// Refuses everyone who does not run this server.
pub async fn demand(shared: &Arc<Shared>, head: &mut Head) -> Result<(), ApiError> {
    if !shared.admin_needs_key && is_local(head) {
        return Ok(());
    }
    head.caller = identify(shared, head).await?;
    if head.caller.is_owner() && head.caller.policy.is_none() {
        return Ok(());
    }
    Err(ApiError::new(403, "NoPermission", "only the owner of the server may do this"))
}

/// Whether a request comes from a program on this machine that meant to talk to it: no proxy has passed it on, its
/// `Host` is a name of this machine, which it is not when a web page has been led here, and no web page has sent it: those
/// name their origin, and what they may send without asking first is no JSON.
fn is_local(head: &Head) -> bool {
    let passed_on = ["forwarded", "x-forwarded-for", "via"].iter().any(|name| head.header(name).is_some());
    let same = |site: &str| ["none", "same-origin"].iter().any(|own| site.eq_ignore_ascii_case(own));
    let from_page = head.header("origin").is_some() || head.header("sec-fetch-site").is_some_and(|site| !same(site));
    let kind = head.header("content-type").unwrap_or_default().split(';').next().unwrap_or_default();
    let is_json = kind.trim().eq_ignore_ascii_case("application/json");
    if from_page || (["POST", "PUT"].contains(&head.method.as_str()) && !is_json) {
        return false;
    }
    let host = head.header("host").unwrap_or_default();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    let here = name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    head.peer.is_some_and(|peer| peer.ip().to_canonical().is_loopback()) && here && !passed_on
}
