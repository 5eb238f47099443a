//! One program for all targets: MS_FUZZ_TARGET names the one to run, MS_FUZZ_SEEDS a directory for the seeds that are made from code
//! (then nothing is run), and with MS_FUZZ_PLANTED each target breaks at the end of its way.
#![no_main]

mod answers;
#[path = "../../support/columns.rs"]
mod columns;
mod identity;
mod ipc;
mod options;
mod peer;
mod planted;
mod predicates;
mod rows;
mod seeds;
mod substrait;
#[path = "../../support/mod.rs"]
mod support;
mod tokens;

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

type Target = fn(&[u8]);

/// Every target by its name.
const TARGETS: [(&str, Target); 9] = [
    ("ipc", ipc::run),
    ("rows", rows::run),
    ("answers", answers::run),
    ("tokens", tokens::run),
    ("options", options::run),
    ("identity", identity::run),
    ("predicates", predicates::run),
    ("substrait", substrait::run),
    ("planted", planted::run),
];

static TARGET: OnceLock<Target> = OnceLock::new();

fuzz_target!(init: prepare(), |data: &[u8]| {
    if let Some(run) = TARGET.get() {
        run(data);
    }
});

fn prepare() {
    if let Some(directory) = std::env::var_os("MS_FUZZ_SEEDS") {
        seeds::write(directory.as_ref());
        std::process::exit(0);
    }
    let wanted = std::env::var("MS_FUZZ_TARGET").unwrap_or_default();
    let found = TARGETS.iter().find(|(name, _)| *name == wanted);
    let (_, run) = found.unwrap_or_else(|| panic!("MS_FUZZ_TARGET is `{wanted}`, which is no target"));
    TARGET.set(*run).expect("it is set once");
}

/// Called where a target has seen an input through to its end. Fails if that was asked for: a target whose inputs never come so far
/// finds nothing.
fn reached_the_end() {
    static IS_PLANTED: OnceLock<bool> = OnceLock::new();
    assert!(!IS_PLANTED.get_or_init(|| std::env::var_os("MS_FUZZ_PLANTED").is_some()), "the planted mistake");
}
