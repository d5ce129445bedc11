//! Measures a fleet of real processes on this machine: throughput, hand-off, start-up, sizes; beside a peer if asked.
//!
//! What is compared and how stands in the text that comes with the table, so that figures are not quoted without it.

mod failure;
mod fleet;
mod handoff;
mod peer;
mod process;
mod report;
mod start_up;
mod throughput;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use pipeline::ports::Host;

use crate::failure::{Failure, Outcome};
use crate::fleet::Durability;
use crate::report::Report;

/// Measure what a stage costs: throughput, hand-off, start-up, sizes.
///
/// Build the binaries first (`make bench` does). Everything happens in a temporary folder beside the binaries, on
/// loopback, and is removed afterwards.
#[derive(Debug, Clone, Parser)]
#[command(max_term_width = 100)]
pub struct Options {
    /// Runs for each measurement of throughput
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    runs: u32,
    /// Steps of each run; each does nothing
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(2..=32))]
    steps: u32,
    /// How often everything is measured; the table has medians
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Attempts at once in each worker process
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=1024))]
    permits: u32,
    /// A tenth of the runs: seconds instead of minutes, for a first look
    #[arg(long)]
    quick: bool,
    /// Write JSON
    #[arg(long)]
    json: bool,
    /// Measure a peer too, in turns with ours
    #[arg(long, value_enum)]
    peer: Option<Peer>,
}

/// What to compare with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Peer {
    /// Celery with Redis
    Celery,
}

/// What every measurement needs.
struct Bench {
    options: Options,
    host: Host,
    /// Where the binaries under measurement are.
    binaries: PathBuf,
}

fn main() -> ExitCode {
    let mut options = Options::parse();
    if options.quick {
        options.runs = (options.runs / 10).max(1);
    }
    let measured = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::io("start the runtime", &e))
        .and_then(|runtime| runtime.block_on(measure(options)));
    match measured {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("fleet-bench: {failure}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(options: Options) -> Outcome<Report> {
    let this = std::env::current_exe().map_err(|e| Failure::io("find this program's own file", &e))?;
    let binaries = this.parent().map(PathBuf::from).unwrap_or_default();
    for name in ["worker", "producer"] {
        if !binaries.join(name).is_file() {
            let message = format!("{} is not there; run: make bench", binaries.join(name).display());
            return Err(Failure::new(message));
        }
    }
    let bench = Bench {
        options,
        host: producer::host::real(),
        binaries,
    };
    let mut report = Report::new(&bench.options);
    for round in 1..=bench.options.rounds {
        eprintln!("round {round} of {}", bench.options.rounds);
        for processes in [1, 2] {
            for durability in [Durability::Full, Durability::Normal] {
                let (measured, fleet) = throughput::measure(&bench, durability, processes).await?;
                report.throughput(measured);
                if processes == 1 && durability == Durability::Full {
                    report.start_up(start_up::measure(&bench, &fleet)?);
                }
            }
            if let Some(Peer::Celery) = bench.options.peer {
                for measured in peer::measure(&bench, processes)? {
                    report.throughput(measured);
                }
            }
        }
        for (durability, processes) in [
            (Durability::Full, 1),
            (Durability::Normal, 1),
            (Durability::Full, 2),
        ] {
            report.handoff(handoff::measure(&bench, durability, processes).await?);
        }
    }
    report.sizes(start_up::sizes(&bench)?);
    Ok(report)
}
