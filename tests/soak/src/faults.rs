//! Random fault plans, and how often each kind of fault happened.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::Result;
use crate::random::Random;

/// A kind of fault: its name, how likely a request is struck by it, and one case of it.
type Kind = (&'static str, f64, fn(&mut Random) -> Value);

/// Each happens to requests for rows, and those in place of an answer to planning as well.
const KINDS: [Kind; 10] = [
    ("reset before the answer", 0.03, |_| json!({"kind": "cut"})),
    ("reset in the body", 0.10, |random| json!({"kind": "cut", "after_bytes": offset(random)})),
    ("5xx", 0.03, |random| json!({"kind": "error", "status": random.one_of(&[500, 502, 503, 504])})),
    (
        "429",
        0.03,
        |random| json!({"kind": "throttle", "retry_after_s": random.below(2), "hold_client_ms": random.below(50)}),
    ),
    ("308", 0.02, |_| json!({"kind": "moved"})),
    ("no answer", 0.02, |_| json!({"kind": "stall"})),
    ("silence in the body", 0.03, |random| json!({"kind": "stall", "after_bytes": offset(random)})),
    ("body cut short", 0.10, |random| json!({"kind": "end_early", "after_bytes": offset(random)})),
    ("no end marker", 0.04, |_| json!({"kind": "end_early"})),
    (
        "pause in the body",
        0.04,
        |random| json!({"kind": "delay", "ms": random.below(200), "after_bytes": offset(random)}),
    ),
];
/// Cases of each kind in a plan.
const CASES: u64 = 6;
/// Offsets lie below this, the small ones being as likely as the large ones.
const OFFSET_BITS: u64 = 24;

/// A plan in which every kind has some cases, each with chances of its own.
pub fn plan(random: &mut Random) -> Value {
    let rules = KINDS.iter().flat_map(|kind| std::iter::repeat_n(kind, CASES as usize)).map(|(name, chance, case)| {
        let effect = case(random);
        let is_about_bodies = effect.get("after_bytes").is_some() || effect["kind"] == "end_early";
        let action = if is_about_bodies { json!("TableRead") } else { json!("Table*") };
        let matches = json!({"action": action, "probability": chance / CASES as f64, "seed": random.next() >> 1});
        json!({"name": name, "match": matches, "effect": effect})
    });
    rules.collect()
}

fn offset(random: &mut Random) -> u64 {
    let bits = random.below(OFFSET_BITS);
    random.below(1 << bits)
}

/// How often each kind happened.
#[derive(Debug)]
pub struct Fired(BTreeMap<String, u64>);

impl Default for Fired {
    fn default() -> Self {
        Fired(KINDS.iter().map(|(name, ..)| ((*name).to_owned(), 0)).collect())
    }
}

impl Fired {
    /// Adds what the service reports of a plan.
    pub fn add(&mut self, report: &Value) -> Result<()> {
        let rules = report["rules"].as_array().ok_or("the report of the faults has no rules")?;
        for rule in rules {
            let name = rule["rule"]["name"].as_str().ok_or("a rule without a name")?;
            let count = rule["fired"].as_u64().ok_or("a rule without a count")?;
            self.count(name, count);
        }
        Ok(())
    }

    pub fn count(&mut self, name: &str, count: u64) {
        *self.0.entry(name.to_owned()).or_default() += count;
    }

    pub fn kinds(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(name, count)| (name.as_str(), *count))
    }
}
