//! Throughput: how fast a fleet works off a backlog of runs whose steps do nothing.

use pipeline::time::millis;
use pipeline::{RunItem, RunStatus, Timestamp};

use crate::Bench;
use crate::failure::{Failure, Outcome};
use crate::fleet::{Durability, Fleet};
use crate::report::{Throughput, Who};

/// Submits everything, then starts the workers, and measures from the first claim to the last commit, as the runs'
/// items tell. So neither the submissions nor the processes' start count.
pub(crate) async fn measure(
    bench: &Bench,
    durability: Durability,
    processes: usize,
) -> Outcome<(Throughput, Fleet<'_>)> {
    let fleet = Fleet::new(bench, durability).await?;
    let clock = &bench.host.clock;
    let began = clock.monotonic();
    fleet.submit_many(bench.options.runs).await?;
    let submitting = clock.monotonic().saturating_sub(began);
    let mut workers = fleet.start_workers(processes, &[])?;
    fleet.all_ended(&mut workers).await?;
    let usage: Option<Vec<_>> = workers.iter().map(|worker| worker.usage()).collect();
    for worker in workers {
        worker.end(&**clock).await?;
    }
    let runs = fleet.runs().await?;
    let worked = check(bench, &runs)?;
    let stages = f64::from(bench.options.runs) * f64::from(bench.options.steps);
    let measured = Throughput {
        who: Who::Fleetline(durability),
        processes,
        runs: bench.options.runs,
        stages_per_second: stages / worked.seconds,
        submitted_per_second: Some(f64::from(bench.options.runs) / submitting.as_secs_f64()),
        cpu_seconds: usage
            .as_ref()
            .map(|all| all.iter().map(|u| u.cpu.as_secs_f64()).sum()),
        peak_memory_bytes: usage.and_then(|all| all.iter().map(|u| u.peak_memory_bytes).max()),
        stored_bytes: Some(fleet.database_bytes()),
        repeated: worked.repeated,
    };
    Ok((measured, fleet))
}

struct Worked {
    seconds: f64,
    /// Attempts beyond the first one of each step.
    repeated: u32,
}

/// A figure counts only if the work was done: every run succeeded, and every step was committed.
fn check(bench: &Bench, runs: &[RunItem]) -> Outcome<Worked> {
    let expected = usize::try_from(bench.options.runs).unwrap_or(usize::MAX);
    let succeeded = runs
        .iter()
        .filter(|run| run.status == RunStatus::Succeeded)
        .count();
    if runs.len() != expected || succeeded != expected {
        return Err(Failure::new(format!(
            "{succeeded} of {expected} runs succeeded, and {} are stored",
            runs.len()
        )));
    }
    let steps = || runs.iter().flat_map(|run| run.steps.values());
    let first = steps().filter_map(|step| step.started_at).min();
    let last = steps().filter_map(|step| step.ended_at).max();
    let attempts: u32 = steps().map(|step| step.attempt).sum();
    let (Some(first), Some(last)) = (first, last) else {
        return Err(Failure::new("no step has a beginning and an end"));
    };
    Ok(Worked {
        seconds: seconds_between(first, last),
        repeated: attempts - bench.options.runs * bench.options.steps,
    })
}

/// At least a millisecond, which is what items tell apart.
fn seconds_between(first: Timestamp, last: Timestamp) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "milliseconds of a bench are far below 2^52"
    )]
    let elapsed_ms = millis(last.since(first)).max(1) as f64;
    elapsed_ms / 1000.0
}
