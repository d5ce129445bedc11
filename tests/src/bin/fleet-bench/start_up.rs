//! What people feel: how long the producer takes to answer, and how large the binaries are.

use std::process::{Command, Stdio};

use crate::Bench;
use crate::failure::{Failure, Outcome};
use crate::fleet::Fleet;
use crate::report::{Size, StartUp, median};

/// How often each command is started.
pub(crate) const TIMES: usize = 20;

/// Starts the producer several times, beside a store that holds all runs of a bench.
pub(crate) fn measure(bench: &Bench, fleet: &Fleet<'_>) -> Outcome<Vec<StartUp>> {
    let address = fleet.address();
    let commands: [&[&str]; 2] = [&["--help"], &["list", "--backend", &address]];
    commands
        .into_iter()
        .map(|args| {
            let times: Outcome<Vec<f64>> = (0..TIMES).map(|_| time(bench, args)).collect();
            Ok(StartUp {
                command: format!("producer {}", args[0]),
                milliseconds: median(times?),
            })
        })
        .collect()
}

fn time(bench: &Bench, args: &[&str]) -> Outcome<f64> {
    let clock = &bench.host.clock;
    let began = clock.monotonic();
    let output = Command::new(bench.binaries.join("producer"))
        .args(args)
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .map_err(|e| Failure::io("start the producer", &e))?;
    let took = clock.monotonic().saturating_sub(began);
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Failure::new(format!(
            "producer {}: {}: {said}",
            args.join(" "),
            output.status
        )));
    }
    Ok(took.as_secs_f64() * 1000.0)
}

/// How large the binaries are.
pub(crate) fn sizes(bench: &Bench) -> Outcome<Vec<Size>> {
    ["worker", "producer"]
        .into_iter()
        .map(|binary| {
            let file = std::fs::metadata(bench.binaries.join(binary));
            let size_bytes = file.map_err(|e| Failure::io("look at a binary", &e))?.len();
            Ok(Size { binary, size_bytes })
        })
        .collect()
}
