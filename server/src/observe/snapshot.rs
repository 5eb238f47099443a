//! Everything that the pages show, gathered at one moment.

use anyhow::Result;
use serde::Serialize;

use super::counts::{CLASSES_MS, Key, Refusal, Sample, Tally};
use crate::catalog::{PAY_AS_YOU_GO, UsageRow};
use crate::clock;
use crate::governance::month;
use crate::http::Shared;

/// A quota, and what runs on it.
#[derive(Clone, Debug, Serialize)]
pub struct QuotaView {
    pub name: String,
    pub kind: &'static str,
    pub enabled: bool,
    /// `None` is no bound.
    pub slots: Option<u32>,
    pub used: u32,
    pub waiting: u32,
    /// Requests that found no slot.
    pub refused: u64,
    /// Bytes per second of one request at most.
    pub rate: Option<u64>,
    /// Read and written this month.
    pub logical_bytes: u64,
}

/// A metered request that has not ended.
#[derive(Clone, Debug, Serialize)]
pub struct RunningView {
    pub request_id: String,
    pub operation: &'static str,
    pub quota: String,
    pub project: String,
    pub schema: String,
    pub table: String,
    pub principal: String,
    pub seconds: f64,
    pub rows: u64,
    pub logical_bytes: u64,
    pub wire_bytes: u64,
    /// Bytes per second since it began, on the wire.
    pub speed: f64,
    /// Bytes per second at most.
    pub rate: Option<u64>,
}

/// Requests of one call.
#[derive(Clone, Debug, Serialize)]
pub struct CallView {
    pub action: &'static str,
    pub protocol: &'static str,
    /// 0 if there was no answer.
    pub status: u16,
    pub requests: u64,
    pub broken: u64,
    pub received: u64,
    pub sent: u64,
    pub total_ms: f64,
    /// Requests that took at most as many milliseconds as the class of the same place says; the last is for the rest.
    pub durations: Vec<u64>,
}

impl CallView {
    fn new((key, tally): (Key, Tally)) -> CallView {
        CallView {
            action: key.action,
            protocol: key.protocol.name(),
            status: key.status,
            requests: tally.requests,
            broken: tally.broken,
            received: tally.received,
            sent: tally.sent,
            total_ms: tally.total_ms,
            durations: tally.durations.to_vec(),
        }
    }
}

/// Sessions of one kind in one state.
#[derive(Clone, Debug, Serialize)]
pub struct SessionView {
    pub kind: String,
    pub state: String,
    pub count: u64,
}

/// The whole picture.
#[derive(Clone, Debug, Serialize)]
pub struct Snapshot {
    pub version: &'static str,
    pub clock: clock::Reading,
    pub uptime_s: f64,
    /// Memory of the process in bytes, where the system tells.
    pub memory_bytes: Option<u64>,
    pub running_requests: u64,
    pub received_bytes: u64,
    pub sent_bytes: u64,
    pub quotas: Vec<QuotaView>,
    pub running: Vec<RunningView>,
    /// The month of metering that runs.
    pub month: String,
    /// Logical bytes of pay-as-you-go this month, and those of them that cost nothing.
    pub metered_bytes: u64,
    pub free_bytes: u64,
    /// Totals of this month, by quota, table and operation.
    pub usage: Vec<UsageRow>,
    pub sessions: Vec<SessionView>,
    pub classes_ms: [u64; CLASSES_MS.len()],
    pub calls: Vec<CallView>,
    pub refusals: Vec<Refusal>,
    /// Rules of the fault plan in force.
    pub fault_rules: u64,
    /// Throughput and slots of the last minutes, the newest last.
    pub samples: Vec<Sample>,
}

impl Snapshot {
    /// Looks at everything. Blocking.
    pub fn gather(shared: &Shared) -> Result<Snapshot> {
        let now = clock::now_ms();
        let month = month(now, shared.governance.settings.billing_zone);
        let usage = shared.catalog.usage(Some(&month))?;
        let loads = shared.governance.slots.load();
        let quota = |quota: crate::catalog::Quota| {
            let load = loads.iter().find(|load| load.quota == quota.name);
            let mine = usage.iter().filter(|row| row.quota == quota.name);
            QuotaView {
                kind: quota.kind.name(),
                enabled: quota.enabled,
                slots: quota.slots,
                used: load.map_or(0, |load| load.used),
                waiting: load.map_or(0, |load| load.waiting),
                refused: load.map_or(0, |load| load.refused),
                rate: quota.rate,
                logical_bytes: mine.map(|row| row.logical_bytes).sum(),
                name: quota.name,
            }
        };
        let observed = &shared.observed;
        Ok(Snapshot {
            version: env!("CARGO_PKG_VERSION"),
            clock: clock::read(),
            uptime_s: observed.started.elapsed().as_secs_f64(),
            memory_bytes: memory_bytes(),
            running_requests: observed.running(),
            received_bytes: observed.received(),
            sent_bytes: observed.sent(),
            quotas: shared.catalog.quotas()?.into_iter().map(quota).collect(),
            running: running(shared, now),
            metered_bytes: shared.catalog.month_total(&month, PAY_AS_YOU_GO)?,
            free_bytes: shared.governance.settings.free_bytes,
            month,
            usage,
            sessions: sessions(shared, now)?,
            classes_ms: CLASSES_MS,
            calls: observed.tallies().into_iter().map(CallView::new).collect(),
            refusals: observed.refusals(),
            fault_rules: shared.faults.count(),
            samples: observed.samples(),
        })
    }

    /// The slots in use on all quotas.
    pub fn slots_used(&self) -> u32 {
        self.quotas.iter().map(|quota| quota.used).sum()
    }
}

fn running(shared: &Shared, now: i64) -> Vec<RunningView> {
    let view = |meter: &crate::governance::Meter| {
        let (facts, counts) = (&meter.facts, meter.counts());
        let seconds = (now - meter.started_ms).max(0) as f64 / 1000.0;
        RunningView {
            request_id: facts.request_id.clone(),
            operation: facts.operation,
            quota: facts.quota.clone(),
            project: facts.project.clone(),
            schema: facts.schema.clone(),
            table: facts.table.clone(),
            principal: facts.principal.clone(),
            seconds,
            rows: counts.rows,
            logical_bytes: counts.logical_bytes,
            wire_bytes: counts.wire_bytes,
            speed: counts.wire_bytes as f64 / seconds.max(0.001),
            rate: meter.rate,
        }
    };
    shared.governance.meters.list().iter().map(|meter| view(meter)).collect()
}

fn sessions(shared: &Shared, now: i64) -> Result<Vec<SessionView>> {
    let counts = shared.catalog.session_counts(now)?;
    Ok(counts.into_iter().map(|(kind, state, count)| SessionView { kind, state, count }).collect())
}

/// Resident memory, from the process file system.
fn memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches("kB").trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}
