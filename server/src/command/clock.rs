//! `clock`: the clock of a running server.

use anyhow::Result;
use clap::Subcommand;
use serde_json::{Value, json};

use super::client::Call;
use super::output::say;
use crate::types::temporal::parse_instant;

#[derive(Debug, clap::Args)]
pub struct Clock {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show what the clock shows.
    Get(Call),
    /// Set the clock.
    Set {
        #[command(flatten)]
        call: Call,
        /// Milliseconds since the epoch, or a time in UTC such as 2027-01-15T08:00:00Z.
        #[arg(value_name = "TIME", value_parser = instant)]
        time: i64,
    },
    /// Move the clock forward, or back.
    Advance {
        #[command(flatten)]
        call: Call,
        /// A number with ms, s, m, h or d, such as 90s or -2h.
        #[arg(value_name = "DURATION", value_parser = duration, allow_hyphen_values = true)]
        by: i64,
    },
    /// Stop the clock.
    Freeze(Call),
    /// Let the clock go on from where it is.
    Run(Call),
    /// Let the clock show the time of the machine again.
    Reset(Call),
}

pub fn run(args: &Clock) -> Result<()> {
    let (call, method, body) = match &args.action {
        Action::Get(call) => (call, "GET", None),
        Action::Set { call, time } => (call, "PUT", Some(json!({"set_ms": time}))),
        Action::Advance { call, by } => (call, "PUT", Some(json!({"advance_ms": by}))),
        Action::Freeze(call) => (call, "PUT", Some(json!({"frozen": true}))),
        Action::Run(call) => (call, "PUT", Some(json!({"frozen": false}))),
        Action::Reset(call) => (call, "DELETE", None),
    };
    show(call, &call.server.call(method, "clock", body.as_ref())?)
}

fn show(call: &Call, reading: &Value) -> Result<()> {
    if call.json {
        return say(reading);
    }
    let state = match (reading["frozen"].as_bool(), reading["ahead_ms"].as_i64()) {
        (Some(true), _) => "standing still".to_string(),
        (_, Some(0)) => "the time of the machine".to_string(),
        (_, Some(ahead)) => format!("{ahead} ms ahead of the machine"),
        _ => String::new(),
    };
    say(format_args!("{}  {state}", reading["now"].as_str().unwrap_or_default()))
}

fn instant(text: &str) -> Result<i64, String> {
    let wrong = || format!("\"{text}\" is not milliseconds since the epoch, nor a time such as 2027-01-15T08:00:00Z");
    let millis = |nanos: i128| i64::try_from(nanos.div_euclid(1_000_000)).ok();
    text.parse().ok().or_else(|| parse_instant(text.trim_end_matches('Z')).and_then(millis)).ok_or_else(wrong)
}

fn duration(text: &str) -> Result<i64, String> {
    let wrong = || format!("\"{text}\" is not a number with ms, s, m, h or d");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text.get(digits.len()..).unwrap_or_default() {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    digits.parse::<i64>().ok().and_then(|number| number.checked_mul(unit)).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_durations_are_read() {
        assert_eq!(instant("2027-01-15T08:00:00Z").unwrap(), 1_800_000_000_000);
        assert_eq!(instant("1800000000000").unwrap(), 1_800_000_000_000);
        assert!(instant("tomorrow").is_err());
        assert_eq!(
            ["90s", "-2h", "1d", "5ms", "3m"].map(|text| duration(text).unwrap()),
            [90_000, -7_200_000, 86_400_000, 5, 180_000]
        );
        for wrong in ["", "5", "s", "5 s", "5w", "1.5s", "9223372036854775807d"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
