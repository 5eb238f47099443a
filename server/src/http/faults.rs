//! Requests under the rules of the fault plan: every protocol passes here, before its signature is looked at.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use serde_json::{Map, Value};

use super::admin;
use super::reply::{Reply, ReplyBody};
use super::request::Head;
use super::server::answer;
use super::sessions::blocking;
use super::state::Shared;
use crate::error::ApiError;
use crate::fault::{Effect, Shot, Side, State, parse_effect, warp};
use crate::subject::Protocol;

/// A header with one effect for the request that carries it.
const HEADER: &str = "x-maxstorage-fault";

/// Answers a request, or does what the rules that strike it say.
pub async fn carry_out(shared: &Arc<Shared>, head: &mut Head, mut body: Body) -> Result<Reply, ApiError> {
    if head.subject.protocol == Protocol::Own {
        return answer(shared, head, body).await;
    }
    let mut shots = shared.faults.strike(&head.subject);
    if let Some(text) = head.header(HEADER) {
        let effect = parse_effect(text).map_err(|why| ApiError::argument(format!("{HEADER}: {why}")))?;
        admin::demand(shared, head).await?;
        shots.push(Shot::asked(effect));
    }
    for shot in &shots {
        tracing::info!(request = %head.request_id, rule = %shot.origin, "fault: {:?}", shot.effect);
        if let Some(reply) = before(shared, head, shot).await? {
            shot.fired();
            return Ok(reply);
        }
        if shot.effect.body() == Some(Side::Request) {
            body = warp(body, shot.clone());
        }
    }
    let reply = answer(shared, head, body).await;
    let mut reply = reply.unwrap_or_else(|error| Reply::error(&error, head.plane(), &head.request_id));
    for shot in shots {
        reply = after(head, reply, shot);
    }
    Ok(reply)
}

/// What happens before a call: an answer in place of it, or nothing that keeps it from being carried out.
async fn before(shared: &Arc<Shared>, head: &Head, shot: &Shot) -> Result<Option<Reply>, ApiError> {
    Ok(match &shot.effect {
        Effect::Delay { ms, after_bytes: None, .. } => {
            shot.fired();
            tokio::time::sleep(Duration::from_millis(*ms)).await;
            None
        }
        Effect::Stall { after_bytes: None, .. } => {
            shot.fired();
            std::future::pending().await
        }
        Effect::Cut { after_bytes: None, .. } => Some(Reply::hang_up()),
        Effect::Error { late: false, .. } | Effect::Throttle { .. } | Effect::Moved { .. } => {
            Some(refusal(head, &shot.effect))
        }
        Effect::ExpireSession {} => {
            if let Some(id) = head.subject.session.clone() {
                let catalog = shared.catalog.clone();
                if blocking(move || Ok(catalog.expire_session(&id)?)).await? {
                    shot.fired();
                }
            }
            None
        }
        _ => None,
    })
}

/// What happens to the answer of a call.
fn after(head: &Head, mut reply: Reply, shot: Shot) -> Reply {
    match &shot.effect {
        Effect::LoseAnswer {} => {
            shot.fired();
            Reply::hang_up()
        }
        Effect::Error { late: true, .. } => {
            shot.fired();
            refusal(head, &shot.effect)
        }
        Effect::SessionState { state, message } => {
            if pretend(&mut reply, *state, message.as_deref()) {
                shot.fired();
            }
            reply
        }
        effect if effect.body() == Some(Side::Response) => warped(reply, shot),
        _ => reply,
    }
}

/// The refusal of an effect, in the words of the protocol.
fn refusal(head: &Head, effect: &Effect) -> Reply {
    let reply =
        |status, code: &str, message: &str| Reply::refusal(status, code, message, head.plane(), &head.request_id);
    let (mut reply, retry_after_s, hold) = match effect {
        Effect::Error { status, code, message, retry_after_s, hold_client_ms, .. } => {
            let code = code.as_deref().unwrap_or(Effect::usual_code(*status));
            let message = message.as_deref().unwrap_or("a fault rule refuses this request");
            (reply(*status, code, message), *retry_after_s, *hold_client_ms)
        }
        Effect::Throttle { code, retry_after_s, hold_client_ms } => {
            (reply(429, code, "a fault rule throttles this request"), Some(*retry_after_s), *hold_client_ms)
        }
        Effect::Moved { location } => {
            let moved =
                reply(308, "SlotReassigned", "a fault rule says that the slot has moved: refresh and try again");
            let moved = location.iter().fold(moved, |reply, location| reply.with_header("location", location));
            (moved, None, None)
        }
        _ => (reply(500, "InternalServerError", "this effect is no refusal"), None, None),
    };
    if let Some(seconds) = retry_after_s {
        reply = reply.with_header("retry-after", &seconds.to_string());
    }
    if let (Some(ms), Some(Value::Object(mut fields))) = (hold, json(&reply)) {
        fields.insert("HoldClientMillis".into(), ms.into());
        reply.replace_json(&Value::Object(fields));
    }
    reply
}

/// The JSON of a whole body, if it is that.
fn json(reply: &Reply) -> Option<Value> {
    match &reply.body {
        ReplyBody::Whole(bytes) => serde_json::from_slice(bytes).ok(),
        _ => None,
    }
}

/// Rewrites the description of a session. False if the answer is none.
fn pretend(reply: &mut Reply, state: State, message: Option<&str>) -> bool {
    let Some(Value::Object(fields)) = json(reply) else { return false };
    if !fields.contains_key("SessionStatus") {
        return false;
    }
    let name = match state {
        State::Init => "INIT",
        State::Critical => "CRITICAL",
    };
    // What planning would have found out is not known in either state.
    let known = ["SessionId", "SessionType", "ExpirationTime", "SplitMode"];
    let mut pretended: Map<String, Value> =
        fields.into_iter().filter(|(name, _)| known.contains(&name.as_str())).collect();
    pretended.insert("SessionStatus".into(), name.into());
    if state == State::Critical {
        pretended.insert("Message".into(), message.unwrap_or("a fault rule made this session fail").into());
    }
    if reply.status == 201 && state == State::Init {
        reply.status = 202;
    }
    reply.replace_json(&Value::Object(pretended));
    true
}

/// The answer with a changed body. A whole body keeps the length that was announced, unless it is to end early, which
/// only a chunked body can do without a trace.
fn warped(mut reply: Reply, shot: Shot) -> Reply {
    let ends_early = matches!(shot.effect, Effect::EndEarly { .. });
    let body = match reply.body {
        ReplyBody::Chunked(body) => body,
        ReplyBody::None => return reply,
        ReplyBody::Whole(bytes) => {
            if matches!(shot.effect, Effect::EndEarly { after_bytes: None }) {
                reply.body = ReplyBody::Whole(bytes);
                return reply;
            }
            if !ends_early {
                reply.headers.insert("content-length", bytes.len().into());
            }
            Body::from(bytes)
        }
    };
    if ends_early {
        reply.headers.remove("content-length");
    }
    reply.body = ReplyBody::Chunked(warp(body, shot));
    reply
}
