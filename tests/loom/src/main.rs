//! Every order of steps of the hand-off between the task that reads and the engine. `cargo run` prints one line for each model.
//!
//! The sources are those of the library; only what threads meet at is loom's (`runtime::sync`), and the pipe behind the descriptor is a
//! flag. A lost wake shows as a deadlock, which loom reports.

#[path = "../../../src/error.rs"]
#[allow(dead_code)]
mod error;
mod models;
mod planted;
#[allow(dead_code)]
mod runtime;

use std::process::{Command, ExitCode};

/// Each model runs in a process of its own, because one that fails may take its process along.
fn main() -> ExitCode {
    let cases: Vec<(&str, fn(), bool)> = models::ALL
        .iter()
        .map(|(name, model)| (*name, *model, true))
        .chain(planted::ALL.iter().map(|(name, model)| (*name, *model, false)))
        .collect();
    if let Some(number) = std::env::args().nth(1) {
        cases[number.parse::<usize>().expect("a number")].1();
        return ExitCode::SUCCESS;
    }
    let own = std::env::current_exe().expect("a path");
    let (mut passed, mut failed) = (0, 0);
    for (number, (name, _, is_right)) in cases.iter().enumerate() {
        let run = Command::new(&own).arg(number.to_string()).env("RUST_BACKTRACE", "0").output().expect("a process");
        if run.status.success() == *is_right {
            println!("ok     {name}");
            passed += 1;
        } else {
            println!("FAILED {name}\n{}", String::from_utf8_lossy(&run.stderr));
            failed += 1;
        }
    }
    println!("{passed} passed, {failed} failed, 0 skipped");
    ExitCode::from(u8::from(failed > 0))
}
