//! The page "Resource observation": the picture as HTML that needs no script and nothing from elsewhere.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::chart::{Scale, Series, bar, lines, speed};
use super::counts::{HISTORY_S, Sample};
use super::snapshot::{CallView, QuotaView, Snapshot};
use super::units::{bytes, count, span};
use crate::types::temporal::iso_millis;

/// How often the page loads itself again.
const REFRESH_S: u32 = 10;
/// Rows of a list at most.
const MAX_ROWS: usize = 20;
/// Tables that are shown.
const TOP_TABLES: usize = 10;

const STYLE: &str = include_str!("style.css");

/// The whole page.
pub fn page(now: &Snapshot) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="refresh" content=(REFRESH_S);
                title { "Resource observation – maxstorage-server" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { "Resource observation" }
                    p.muted {
                        "maxstorage-server " (now.version) " · up " (span(now.uptime_s)) " · clock "
                        (now.clock.now) @if now.clock.frozen { " (standing still)" }
                        @if now.fault_rules > 0 { " · " b.alert { "fault plan of " (now.fault_rules) " rules in force" } }
                        " · loads again every " (REFRESH_S) " s"
                    }
                }
                main {
                    (tiles(now))
                    div.charts { (throughput(now)) (slots(now)) }
                    (metering(now))
                    (quotas(now))
                    (running(now))
                    (tables(now))
                    (sessions(now))
                    (calls(now))
                    (refusals(now))
                }
            }
        }
    };
    page.into_string()
}

fn tile(name: &str, value: &str, note: &str) -> Markup {
    html! { div.tile { div.name { (name) } div.value { (value) } div.muted { (note) } } }
}

fn latest(now: &Snapshot) -> Sample {
    now.samples.last().copied().unwrap_or_default()
}

fn tiles(now: &Snapshot) -> Markup {
    let waiting: u32 = now.quotas.iter().map(|quota| quota.waiting).sum();
    let requests: u64 = now.calls.iter().map(|call| call.requests).sum();
    let failed: u64 = now.calls.iter().filter(|call| call.status >= 400).map(|call| call.requests).sum();
    let sessions: u64 = now.sessions.iter().map(|view| view.count).sum();
    let memory = now.memory_bytes.map_or("unknown".into(), |memory| bytes(memory as f64));
    html! {
        section.tiles aria-label="At a glance" {
            (tile("Running requests", &count(now.running_requests), &format!("{} since the start", count(requests))))
            (tile("Slots in use", &count(now.slots_used().into()), &format!("{waiting} waiting")))
            (tile("Sent", &speed(latest(now).sent as f64), &format!("{} in all", bytes(now.sent_bytes as f64))))
            (tile("Received", &speed(latest(now).received as f64), &format!("{} in all", bytes(now.received_bytes as f64))))
            (tile("Sessions", &count(sessions), "known to the catalogue"))
            (tile("Refused", &count(failed), "answers of 400 and above"))
            (tile("Memory", &memory, "resident"))
        }
    }
}

fn throughput(now: &Snapshot) -> Markup {
    let values = |of: fn(&Sample) -> u64| now.samples.iter().map(|sample| of(sample) as f64).collect();
    let sent = Series { name: "Sent", class: "series-1", values: values(|sample| sample.sent) };
    let received = Series { name: "Received", class: "series-2", values: values(|sample| sample.received) };
    lines("Throughput", &[sent, received], HISTORY_S, Scale::Speed)
}

fn slots(now: &Snapshot) -> Markup {
    let values = |of: fn(&Sample) -> u32| now.samples.iter().map(|sample| f64::from(of(sample))).collect();
    let used = Series { name: "In use", class: "series-1", values: values(|sample| sample.slots) };
    let waiting = Series { name: "Waiting", class: "series-2", values: values(|sample| sample.waiting) };
    lines("Slots", &[used, waiting], HISTORY_S, Scale::Count)
}

fn metering(now: &Snapshot) -> Markup {
    let (metered, free) = (now.metered_bytes as f64, now.free_bytes as f64);
    let beyond = (metered - free).max(0.0);
    html! {
        section {
            h2 { "Metered in " (now.month) }
            p {
                b { (bytes(metered)) } " of pay-as-you-go by logical size, of which " b { (bytes(free)) } " are free"
                @if beyond > 0.0 { "; " b.alert { (bytes(beyond)) " are charged" } }
                "."
            }
            (bar(metered, free))
        }
    }
}

/// Why a list is empty.
fn nothing(why: &str) -> Markup {
    html! { p.muted { (why) } }
}

fn quotas(now: &Snapshot) -> Markup {
    let slots = |quota: &QuotaView| quota.slots.map_or("no bound".to_string(), |slots| count(slots.into()));
    html! {
        section {
            h2 { "Quotas" }
            table {
                thead { tr {
                    th { "Quota" } th { "Kind" } th.number { "Slots in use" } th.number { "Slots" } th { "" }
                    th.number { "Waiting" } th.number { "Refused" } th.number { "Cap per request" }
                    th.number { "Logical bytes this month" }
                } }
                tbody { @for quota in &now.quotas { tr {
                    td { (quota.name) @if !quota.enabled { " " span.alert { "off" } } } td { (quota.kind) }
                    td.number { (quota.used) } td.number { (slots(quota)) }
                    td.wide { (bar(quota.used.into(), quota.slots.unwrap_or(0).into())) }
                    td.number { (quota.waiting) } td.number { (count(quota.refused)) }
                    td.number { (quota.rate.map_or("none".into(), |rate| speed(rate as f64))) }
                    td.number { (bytes(quota.logical_bytes as f64)) }
                } } }
            }
        }
    }
}

fn running(now: &Snapshot) -> Markup {
    html! {
        section {
            h2 { "Running requests" }
            @if now.running.is_empty() { (nothing("No metered request is running.")) } @else {
                table {
                    thead { tr {
                        th { "Operation" } th { "Table" } th { "Quota" } th { "Who" } th.number { "For" }
                        th.number { "Sent or received" } th.number { "Throughput" } th.number { "Cap" } th { "" }
                        th { "Request" }
                    } }
                    tbody { @for view in now.running.iter().take(MAX_ROWS) { tr {
                        td { (view.operation) } td { (place(&view.project, &view.schema, &view.table)) }
                        td { (view.quota) } td { (view.principal) } td.number { (span(view.seconds)) }
                        td.number { (bytes(view.wire_bytes as f64)) } td.number { (speed(view.speed)) }
                        td.number { (view.rate.map_or("none".into(), |rate| speed(rate as f64))) }
                        td.wide { (bar(view.speed, view.rate.unwrap_or(0) as f64)) }
                        td.code { (view.request_id) }
                    } } }
                }
                @if now.running.len() > MAX_ROWS { (nothing(&format!("and {} more", now.running.len() - MAX_ROWS))) }
            }
        }
    }
}

fn place(project: &str, schema: &str, table: &str) -> String {
    [project, schema, table].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(".")
}

fn tables(now: &Snapshot) -> Markup {
    let mut tables: Vec<(String, u64, u64, u64)> = Vec::new();
    for row in now.usage.iter().filter(|row| !row.table.is_empty()) {
        let name = place(&row.project, &row.schema, &row.table);
        match tables.iter_mut().find(|(known, ..)| *known == name) {
            Some((_, logical, rows, requests)) => {
                (*logical, *rows, *requests) =
                    (*logical + row.logical_bytes, *rows + row.rows, *requests + row.requests);
            }
            None => tables.push((name, row.logical_bytes, row.rows, row.requests)),
        }
    }
    tables.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let most = tables.first().map_or(0, |table| table.1);
    html! {
        section {
            h2 { "Top tables of " (now.month) }
            @if tables.is_empty() { (nothing("No table was read or written this month.")) } @else {
                table {
                    thead { tr {
                        th { "Table" } th.number { "Logical bytes" } th { "" } th.number { "Rows" } th.number { "Requests" }
                    } }
                    tbody { @for (name, logical, rows, requests) in tables.iter().take(TOP_TABLES) { tr {
                        td { (name) } td.number { (bytes(*logical as f64)) } td.wide { (bar(*logical as f64, most as f64)) }
                        td.number { (count(*rows)) } td.number { (count(*requests)) }
                    } } }
                }
            }
        }
    }
}

fn sessions(now: &Snapshot) -> Markup {
    html! {
        section {
            h2 { "Sessions" }
            @if now.sessions.is_empty() { (nothing("There is no session.")) } @else {
                table {
                    thead { tr { th { "Kind" } th { "State" } th.number { "Sessions" } } }
                    tbody { @for view in &now.sessions { tr {
                        td { (view.kind) } td { (view.state) } td.number { (count(view.count)) }
                    } } }
                }
            }
        }
    }
}

/// The end of the class that the slowest of `part` of all requests is in.
fn quantile(now: &Snapshot, call: &CallView, part: f64) -> String {
    let wanted = (call.requests as f64 * part).ceil() as u64;
    let mut below = 0;
    for (end, count) in now.classes_ms.iter().zip(&call.durations) {
        below += count;
        if below >= wanted {
            return format!("≤ {}", span(*end as f64 / 1000.0));
        }
    }
    format!("> {}", span(now.classes_ms.last().copied().unwrap_or(0) as f64 / 1000.0))
}

fn calls(now: &Snapshot) -> Markup {
    html! {
        section {
            h2 { "Calls since the start" }
            @if now.calls.is_empty() { (nothing("No request has ended yet.")) } @else {
                table {
                    thead { tr {
                        th { "Call" } th { "Protocol" } th.number { "Status" } th.number { "Requests" }
                        th.number { "Broken off" } th.number { "Received" } th.number { "Sent" }
                        th.number { "Half of them" } th.number { "95 %" }
                    } }
                    tbody { @for call in &now.calls { tr {
                        td { (call.action) } td { (call.protocol) }
                        td.number { @if call.status == 0 { "none" } @else { (call.status) } }
                        td.number { (count(call.requests)) } td.number { (count(call.broken)) }
                        td.number { (bytes(call.received as f64)) } td.number { (bytes(call.sent as f64)) }
                        td.number { (quantile(now, call, 0.5)) } td.number { (quantile(now, call, 0.95)) }
                    } } }
                }
            }
        }
    }
}

fn refusals(now: &Snapshot) -> Markup {
    html! {
        section {
            h2 { "Recent errors" }
            @if now.refusals.is_empty() { (nothing("Nothing was refused.")) } @else {
                table {
                    thead { tr {
                        th { "When" } th { "Call" } th { "On" } th.number { "Status" } th { "Code" } th { "Message" }
                        th { "Request" }
                    } }
                    tbody { @for refusal in now.refusals.iter().take(MAX_ROWS) { tr {
                        td.code { (iso_millis(refusal.at_ms)) } td { (refusal.action) } td { (refusal.place) }
                        td.number { (refusal.status) } td { (refusal.code) } td { (refusal.message) }
                        td.code { (refusal.request_id) }
                    } } }
                }
            }
        }
    }
}
