//! Simulates fleets of the real worker, by seeds.

mod fleet;
mod life;
mod people;
mod plan;
mod report;
mod scenario;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;

use clap::Parser;
use worker::metrics::Metrics;

use crate::life::{Verdict, live};
use crate::report::Report;

/// Live through many lives of a fleet, each as a seed draws it: its runs, its workers, and everything that goes wrong.
///
/// What runs is the code of the worker; queues, stores, clocks and the order of tasks are simulated. Messages vanish,
/// come twice or late, calls fail with and without effect, processes die or freeze at any call, clocks are wrong. Then
/// nothing goes wrong any more, and every run has to end. Every change of what is stored is judged (ARCHITECTURE.md
/// lists the invariants).
#[derive(Debug, Parser)]
#[command(
    name = "simulate",
    version,
    max_term_width = 100,
    after_long_help = "Ends with 0 if no invariant is broken, with 1 if one is (the seed and the way to replay it are shown), with 2 if the\narguments are wrong."
)]
struct Arguments {
    /// How many seeds
    #[arg(long, default_value_t = 1_000)]
    runs: u64,
    /// The first seed
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// One seed only
    #[arg(long, value_name = "SEED", conflicts_with_all = ["runs", "from"])]
    seed: Option<u64>,
    /// Show everything that happens
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Live every life twice, and see that both are the same
    #[arg(long)]
    twice: bool,
    /// How many at once; as many as there are cores unless given
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Go on after the first broken invariant
    #[arg(long)]
    keep_going: bool,
    /// Show what was called, and what became of it
    #[arg(long)]
    coverage: bool,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    quiet_stages();
    let report = simulate(&arguments);
    report.show(arguments.json, arguments.coverage, arguments.trace);
    match report.broken.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Stages that are told to panic need not say so each time.
fn quiet_stages() {
    let loud = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let is_meant = info
            .payload_as_str()
            .is_some_and(|text| text.contains("was told to"));
        if !is_meant {
            loud(info);
        }
    }));
}

fn simulate(arguments: &Arguments) -> Report {
    let (from, runs) = match arguments.seed {
        Some(seed) => (seed, 1),
        None => (arguments.from, arguments.runs),
    };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = arguments.threads.unwrap_or(cores).max(1);
    let (next, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let (tell, told) = mpsc::channel::<(u64, Verdict, bool)>();
    let (records, twice, keep_going) = (arguments.trace, arguments.twice, arguments.keep_going);
    let mut report = Report::new(from, threads);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let (next, stop, tell) = (next.clone(), stop.clone(), tell.clone());
            scope.spawn(move || {
                // In memory where there is such a place: attempts make and remove folders all the time.
                let memory = std::path::Path::new("/dev/shm");
                let scratch = match memory.is_dir() {
                    true => tempfile::tempdir_in(memory),
                    false => tempfile::tempdir(),
                };
                let scratch = scratch.expect("a temporary folder can be made");
                let metrics = Arc::new(Metrics::new());
                loop {
                    let nth = next.fetch_add(1, Ordering::Relaxed);
                    if nth >= runs || stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let seed = from + nth;
                    let verdict = live(seed, records, scratch.path(), &metrics);
                    let is_same = !twice || {
                        let again = live(seed, records, scratch.path(), &metrics);
                        again.hash == verdict.hash
                    };
                    if !keep_going && (!is_same || !verdict.violations.is_empty()) {
                        stop.store(true, Ordering::Relaxed);
                    }
                    if tell.send((seed, verdict, is_same)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(tell);
        for (seed, verdict, is_same) in told {
            report.add(seed, verdict, is_same);
            report.progress(runs, arguments.json);
        }
    });
    report
}

/// Sums by name.
type Counts = BTreeMap<&'static str, u64>;
