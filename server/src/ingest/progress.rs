//! Progress of long jobs: a bar on a terminal, plain lines elsewhere. Both on stderr.

use std::io::{IsTerminal, Write, stderr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::catalog::TableName;

/// What a table was given.
pub struct Loaded {
    pub table: TableName,
    pub rows: u64,
    pub seconds: f64,
}

impl Loaded {
    pub fn to_json(&self) -> Value {
        json!({"table": self.table.to_string(), "rows": self.rows, "seconds": self.seconds})
    }
}

/// Counts the rows, or other units, of one job. Shared by the threads that work on it.
pub struct Progress {
    bar: Option<ProgressBar>,
    what: String,
    unit: &'static str,
    total: u64,
    done: AtomicU64,
    started: Instant,
    next_line_ms: AtomicU64,
}

impl Progress {
    /// Starts a job of about `total` rows.
    pub fn start(what: impl Into<String>, total: u64) -> Progress {
        Progress::of(what, "rows", total)
    }

    /// Starts a job of about `total` units.
    pub fn of(what: impl Into<String>, unit: &'static str, total: u64) -> Progress {
        let what = what.into();
        let bar = stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(total);
            let style = ProgressStyle::with_template(&format!(
                "{{msg}} {{wide_bar}} {{human_pos}} of {{human_len}} {unit}, {{eta}} left"
            ));
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.set_message(what.clone());
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        Progress {
            bar,
            what,
            unit,
            total,
            done: AtomicU64::new(0),
            started: Instant::now(),
            next_line_ms: AtomicU64::new(2000),
        }
    }

    /// Reports that so much more is done.
    pub fn add(&self, units: u64) {
        let done = self.done.fetch_add(units, Ordering::Relaxed) + units;
        if let Some(bar) = &self.bar {
            return bar.set_position(done);
        }
        let elapsed = self.started.elapsed().as_millis() as u64;
        let due = self.next_line_ms.load(Ordering::Relaxed);
        let mine = elapsed >= due
            && self.next_line_ms.compare_exchange(due, elapsed + 2000, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if mine {
            say(format_args!("{}: {done} of about {} {}", self.what, self.total, self.unit));
        }
    }

    /// Ends the job of rows for a table with a summary line.
    pub fn finish_table(self, table: TableName) -> Loaded {
        let (rows, seconds) = (self.done.load(Ordering::Relaxed), self.started.elapsed().as_secs_f64());
        self.finish();
        Loaded { table, rows, seconds }
    }

    /// Ends the job with a summary line.
    pub fn finish(self) {
        let done = self.done.load(Ordering::Relaxed);
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        say(format_args!("{}: {done} {} in {:.1} s", self.what, self.unit, self.started.elapsed().as_secs_f64()));
    }
}

/// A line on stderr. A job does not fail because nobody reads it.
pub fn say(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(stderr(), "{line}");
}
