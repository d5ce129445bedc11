//! The peer: the same chain of steps that do nothing, by Celery over Redis. The script sets everything up by itself.

use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::Bench;
use crate::failure::{Failure, Outcome};
use crate::report::{Throughput, Who};

/// The most runs that the peer gets: its rate does not depend on how many there are, and it takes its time.
const MAX_RUNS: u32 = 2_000;

/// What the script measured, one line of JSON for each way of running the peer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    name: String,
    seconds: f64,
    submit_seconds: f64,
    cpu_seconds: f64,
    peak_memory_bytes: u64,
    stored_bytes: Option<u64>,
}

/// Measures every way of running the peer with that many worker processes.
pub(crate) fn measure(bench: &Bench, processes: usize) -> Outcome<Vec<Throughput>> {
    let runs = bench.options.runs.min(MAX_RUNS);
    let output = Command::new(e2e::repository().join("tests/scripts/celery-bench"))
        .args(["--runs", &runs.to_string(), "--steps", &bench.options.steps.to_string()])
        .args(["--processes", &processes.to_string()])
        // Redis keeps its file on the disk that our store is on.
        .env("TMPDIR", &bench.binaries)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| Failure::io("start tests/scripts/celery-bench", &e))?;
    if !output.status.success() {
        return Err(Failure::new(format!(
            "tests/scripts/celery-bench: {}",
            output.status
        )));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let lines = text.lines().map(|line| {
        let line: Line = serde_json::from_str(line)
            .map_err(|e| Failure::new(format!("tests/scripts/celery-bench said {line:?}: {e}")))?;
        Ok(Throughput {
            who: Who::Peer(line.name),
            processes,
            runs,
            stages_per_second: f64::from(runs) * f64::from(bench.options.steps) / line.seconds,
            submitted_per_second: Some(f64::from(runs) / line.submit_seconds),
            cpu_seconds: Some(line.cpu_seconds),
            peak_memory_bytes: Some(line.peak_memory_bytes),
            stored_bytes: line.stored_bytes,
            repeated: 0,
        })
    });
    lines.collect()
}
