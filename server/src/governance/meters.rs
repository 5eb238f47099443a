//! What requests read and write, counted while they run and stored once a second.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;

use crate::catalog::{Catalog, RequestRow, UsageRow};
use crate::clock::now_ms;
use crate::types::temporal::iso_millis;

/// Ended requests that wait for a catalogue that does not take them; the oldest are forgotten.
const BACKLOG: usize = 100_000;

/// The month of metering of a moment, `2026-11`, `zone` hours east of UTC.
pub fn month(epoch_ms: i64, zone: i8) -> String {
    let mut text = iso_millis(epoch_ms + i64::from(zone) * 3_600_000);
    text.truncate(7);
    text
}

/// What a request is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Facts {
    pub request_id: String,
    pub principal: String,
    pub operation: &'static str,
    pub quota: String,
    pub project: String,
    pub schema: String,
    /// Empty if it is not about a table.
    pub table: String,
}

/// Rows and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub rows: u64,
    pub logical_bytes: u64,
    pub wire_bytes: u64,
}

/// Counts one request.
#[derive(Debug, Default)]
pub struct Meter {
    pub facts: Facts,
    /// Bytes per second that it may send; `None` is no bound.
    pub rate: Option<u64>,
    pub started_ms: i64,
    ended_ms: AtomicI64,
    rows: AtomicU64,
    logical_bytes: AtomicU64,
    wire_bytes: AtomicU64,
    /// What is stored already.
    stored: Mutex<Counts>,
}

impl Meter {
    /// Counts rows of a batch.
    pub fn add_rows(&self, rows: u64, logical_bytes: u64) {
        self.rows.fetch_add(rows, Ordering::Relaxed);
        self.logical_bytes.fetch_add(logical_bytes, Ordering::Relaxed);
    }

    /// Counts bytes of a body.
    pub fn add_wire(&self, bytes: u64) {
        self.wire_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// What was counted so far.
    pub fn counts(&self) -> Counts {
        Counts {
            rows: self.rows.load(Ordering::Relaxed),
            logical_bytes: self.logical_bytes.load(Ordering::Relaxed),
            wire_bytes: self.wire_bytes.load(Ordering::Relaxed),
        }
    }

    fn stored(&self) -> MutexGuard<'_, Counts> {
        self.stored.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All requests that run, and those that ended and are not stored yet.
#[derive(Default)]
pub struct Meters {
    running: Mutex<HashMap<u64, Arc<Meter>>>,
    ended: Mutex<Vec<Arc<Meter>>>,
    next: AtomicU64,
}

impl Meters {
    fn running(&self) -> MutexGuard<'_, HashMap<u64, Arc<Meter>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ended(&self) -> MutexGuard<'_, Vec<Arc<Meter>>> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to count a request; the number is for [`Meters::end`].
    pub fn begin(&self, facts: Facts, rate: Option<u64>) -> (u64, Arc<Meter>) {
        let meter = Arc::new(Meter { facts, rate, started_ms: now_ms(), ..Meter::default() });
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.running().insert(number, meter.clone());
        (number, meter)
    }

    /// The request of that number is over.
    pub fn end(&self, number: u64) {
        let Some(meter) = self.running().remove(&number) else { return };
        meter.ended_ms.store(now_ms(), Ordering::Relaxed);
        let mut ended = self.ended();
        if ended.len() >= BACKLOG {
            ended.remove(0);
        }
        ended.push(meter);
    }

    /// The requests that run now.
    pub fn list(&self) -> Vec<Arc<Meter>> {
        self.running().values().cloned().collect()
    }

    /// Stores what was counted since the last call. A crash loses what came after it.
    pub fn store(&self, catalog: &Catalog, zone: i8) -> Result<()> {
        let ended = std::mem::take(&mut *self.ended());
        let running = self.list();
        if ended.is_empty() && running.is_empty() {
            return Ok(());
        }
        let month = month(now_ms(), zone);
        let mut totals: HashMap<Facts, UsageRow> = HashMap::new();
        let mut seen: Vec<(&Arc<Meter>, Counts)> = Vec::new();
        for (meter, requests) in ended.iter().map(|meter| (meter, 1)).chain(running.iter().map(|meter| (meter, 0))) {
            let (now, before) = (meter.counts(), *meter.stored());
            seen.push((meter, now));
            if requests == 0 && now == before {
                continue;
            }
            let facts = &meter.facts;
            let key = Facts { request_id: String::new(), principal: String::new(), ..facts.clone() };
            let total = totals.entry(key).or_insert_with(|| UsageRow {
                month: month.clone(),
                quota: facts.quota.clone(),
                project: facts.project.clone(),
                schema: facts.schema.clone(),
                table: facts.table.clone(),
                operation: facts.operation.to_string(),
                ..UsageRow::default()
            });
            total.requests += requests;
            total.rows += now.rows - before.rows;
            total.logical_bytes += now.logical_bytes - before.logical_bytes;
            total.wire_bytes += now.wire_bytes - before.wire_bytes;
        }
        let totals: Vec<UsageRow> = totals.into_values().collect();
        let requests: Vec<RequestRow> = ended.iter().map(|meter| request_row(meter)).collect();
        if totals.is_empty() && requests.is_empty() {
            return Ok(());
        }
        let result = catalog.record_usage(&totals, &requests);
        match &result {
            Ok(()) => seen.into_iter().for_each(|(meter, counts)| *meter.stored() = counts),
            Err(_) => self.ended().extend(ended),
        }
        result
    }
}

fn request_row(meter: &Meter) -> RequestRow {
    let (facts, counts) = (&meter.facts, meter.counts());
    RequestRow {
        request_id: facts.request_id.clone(),
        started_ms: meter.started_ms,
        ended_ms: meter.ended_ms.load(Ordering::Relaxed),
        principal: facts.principal.clone(),
        quota: facts.quota.clone(),
        project: facts.project.clone(),
        schema: facts.schema.clone(),
        table: facts.table.clone(),
        operation: facts.operation.to_string(),
        rows: counts.rows,
        logical_bytes: counts.logical_bytes,
        wire_bytes: counts.wire_bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_begin_at_midnight_of_the_zone() {
        // 2026-10-31T16:00:00Z is midnight of the first of November in UTC+8.
        let midnight = 1_793_462_400_000;
        assert_eq!((month(midnight - 1, 8), month(midnight, 8)), ("2026-10".into(), "2026-11".into()));
        assert_eq!((month(midnight, 0), month(midnight, -12)), ("2026-10".into(), "2026-10".into()));
    }

    #[test]
    fn running_requests_are_stored_as_they_go_and_counted_once() {
        let root = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(root.path()).unwrap();
        let meters = Meters::default();
        let facts = |id: &str| Facts {
            request_id: id.into(),
            operation: "ReadRows",
            quota: "pay-as-you-go".into(),
            project: "p".into(),
            table: "t".into(),
            ..Facts::default()
        };
        let (long, meter) = meters.begin(facts("1"), None);
        meter.add_rows(10, 100);
        meter.add_wire(50);
        meters.store(&catalog, 8).unwrap();
        meters.store(&catalog, 8).unwrap();
        let month = month(now_ms(), 8);
        let total = |catalog: &Catalog| {
            let rows = catalog.usage(Some(&month)).unwrap();
            assert_eq!(rows.len(), 1);
            (rows[0].requests, rows[0].rows, rows[0].logical_bytes, rows[0].wire_bytes)
        };
        assert_eq!(total(&catalog), (0, 10, 100, 50));
        meter.add_rows(1, 7);
        let (short, other) = meters.begin(facts("2"), None);
        other.add_wire(3);
        meters.end(short);
        meters.end(long);
        meters.store(&catalog, 8).unwrap();
        meters.store(&catalog, 8).unwrap();
        assert_eq!(total(&catalog), (2, 11, 107, 53));
        assert_eq!(catalog.month_total(&month, "PAY-as-you-go").unwrap(), 107);
        let requests = catalog.recent_requests(10).unwrap();
        assert_eq!(requests.iter().map(|row| row.request_id.as_str()).collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(requests[0].logical_bytes, 107);
        assert_eq!(total(&Catalog::open(root.path()).unwrap()), (2, 11, 107, 53));
    }
}
