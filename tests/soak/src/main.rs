//! Reads a table of millions of rows again and again from a service that fails at random, is killed and comes back, and compares all
//! rows with an undisturbed reading.
//!
//!     maxstorage-soak SERVER ROOT SECONDS SEED
//!
//! SERVER is the program of the service, ROOT its data with TPC-H tables in project `local`. Readings begin for SECONDS, and until each
//! version has been read in each compression. The last line is `N passed, N failed, 0 skipped`: a reading passes if every row is there
//! once and in its place; every kind of fault must have happened.

mod digest;
mod faults;
mod random;
mod read;
mod service;

use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use digest::Digest;
use faults::Fired;
use random::Random;
use read::{Outcome, Reading, Way};
use service::Service;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

const VERSIONS: [&str; 2] = ["1", "2"];
const COMPRESSIONS: [&str; 3] = ["none", "lz4", "zstd"];
/// As many readings have every version in every compression.
const LEAST_READINGS: usize = VERSIONS.len() * COMPRESSIONS.len();
/// Fewer rows say nothing.
const LEAST_ROWS: u64 = 2_000_000;
/// From one kill to the next.
const BETWEEN_KILLS_MS: [u64; 2] = [3_000, 9_000];
/// How long the port stays closed.
const CLOSED_MS: [u64; 2] = [100, 1_000];
const KILLED: &str = "connection refused for a while";

fn main() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [server, root, seconds, seed] = arguments.as_slice() else {
        return Err("usage: maxstorage-soak SERVER ROOT SECONDS SEED".into());
    };
    let (budget, seed) = (Duration::from_secs(seconds.parse()?), seed.parse()?);
    let service = Service::start(Path::new(server), Path::new(root))?;
    let address = service.address.clone();

    let expected = undisturbed(&address)?;
    println!("seed {seed}: {} rows, read undisturbed by versions {VERSIONS:?}", expected.rows);
    let mut verdict = Verdict::default();
    verdict.check(expected.rows >= LEAST_ROWS, &format!("there are {} rows, {LEAST_ROWS} are wanted", expected.rows));

    let over = AtomicBool::new(false);
    let fired = thread::scope(|scope| {
        let trouble = scope.spawn(|| make_trouble(service, Random::new(seed), &over));
        read_in_trouble(&address, budget, &expected, &mut verdict);
        over.store(true, Ordering::Relaxed);
        trouble.join().map_err(|_| "the thread that makes trouble panicked")?
    })?;
    for (kind, count) in fired.kinds() {
        println!("{count:6} x {kind}");
        verdict.check(count > 0, &format!("\"{kind}\" never happened"));
    }
    println!("{} passed, {} failed, 0 skipped", verdict.passed, verdict.failed);
    Ok(if verdict.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[derive(Debug, Default)]
struct Verdict {
    passed: u64,
    failed: u64,
}

impl Verdict {
    fn check(&mut self, holds: bool, what: &str) {
        if holds {
            self.passed += 1;
        } else {
            println!("FAILED {what}");
            self.failed += 1;
        }
    }
}

/// What every reading must find: all versions read the same rows.
fn undisturbed(address: &str) -> Result<Digest> {
    let read = |version| Reading { version, compression: "none", way: Way::Splits }.run(address);
    let digests = VERSIONS.map(|version| read(version).map(|outcome| outcome.digest));
    let [first, second] = digests;
    let (first, second) = (first?, second?);
    if first != second {
        return Err(format!("the versions read different rows: {first:?}, {second:?}").into());
    }
    Ok(first)
}

/// Reads in all ways until the time is over.
fn read_in_trouble(address: &str, budget: Duration, expected: &Digest, verdict: &mut Verdict) {
    let (start, mut sum, mut number) = (Instant::now(), Outcome::default(), 0);
    while number < LEAST_READINGS || start.elapsed() < budget {
        let reading = Reading {
            version: VERSIONS[number % VERSIONS.len()],
            compression: COMPRESSIONS[number % COMPRESSIONS.len()],
            way: Way::ALL[number % Way::ALL.len()],
        };
        number += 1;
        let begun = Instant::now();
        let outcome = match reading.run(address) {
            Ok(outcome) => outcome,
            Err(error) => {
                verdict.check(false, &format!("{reading}: {error}"));
                continue;
            }
        };
        let took = begun.elapsed().as_secs_f64();
        let Outcome { digest, requests, resumes, rows_reread } = outcome;
        println!(
            "{reading}: {} rows, {requests} requests, {resumes} resumes, {rows_reread} rows read again, {took:.1} s",
            digest.rows
        );
        let same = if reading.way.is_ordered() { digest == *expected } else { digest.has_the_rows_of(expected) };
        verdict.check(same, &format!("{reading} has other rows: {digest:?} instead of {expected:?}"));
        sum.digest.then(&digest);
        sum.requests += requests;
        sum.resumes += resumes;
        sum.rows_reread += rows_reread;
    }
    println!(
        "{number} readings, {} rows, {} requests, {} resumes, {} rows read again, {:.0} s",
        sum.digest.rows,
        sum.requests,
        sum.resumes,
        sum.rows_reread,
        start.elapsed().as_secs_f64()
    );
    verdict.check(sum.resumes > 0, "no reading ever went on after a break");
}

/// Puts plans into force and kills the service now and then, until it is `over`; what happened.
fn make_trouble(mut service: Service, mut random: Random, over: &AtomicBool) -> Result<Fired> {
    let mut fired = Fired::default();
    let between =
        |random: &mut Random, [least, most]: [u64; 2]| Duration::from_millis(least + random.below(most - least));
    loop {
        service.set_faults(&faults::plan(&mut random))?;
        let (start, until) = (Instant::now(), between(&mut random, BETWEEN_KILLS_MS));
        while start.elapsed() < until && !over.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(20));
        }
        fired.add(&service.report()?)?;
        if over.load(Ordering::Relaxed) {
            return Ok(fired);
        }
        service.restart(between(&mut random, CLOSED_MS))?;
        fired.count(KILLED, 1);
    }
}
