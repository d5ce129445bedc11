//! The simulation against queueing theory, against an oracle of a few lines, and against laws that hold for any work.

mod laws;
mod scaling;
mod theory;

use super::durations::Durations;
use super::engine::{Outcome, Setting, simulate};
use super::fleet::TaskKind;
use super::policy::Policy;
use super::trace::{Job, Trace};
use super::{Micros, seconds};

/// A service whose number of tasks never changes.
fn fixed(tasks: u32) -> Setting {
    Setting {
        policy: Policy::fixed(tasks),
        task: TaskKind::default(),
    }
}

fn run(setting: &Setting, trace: &Trace) -> Outcome {
    simulate(setting, trace, 1, 0).expect("the setting is right")
}

/// How long each job waited.
fn waits(trace: &Trace, outcome: &Outcome) -> Vec<Micros> {
    let both = trace.jobs.iter().zip(&outcome.jobs);
    both.map(|(job, became)| became.started - job.arrival).collect()
}

#[expect(clippy::cast_precision_loss, reason = "a mean of some digits")]
fn mean_seconds(spans: &[Micros]) -> f64 {
    spans.iter().map(|span| seconds(*span)).sum::<f64>() / spans.len() as f64
}

/// Jobs from gaps between arrivals and their work.
fn trace(of: &[(Micros, Micros)]) -> Trace {
    let mut arrival = 0;
    let jobs = of.iter().map(|(gap, work)| {
        arrival += gap;
        Job { arrival, work: *work }
    });
    let jobs: Vec<Job> = jobs.collect();
    Trace {
        horizon: arrival,
        jobs,
    }
}

/// Waits of first come, first served at `servers` equal servers, by the recursion of Kiefer and Wolfowitz: what is left
/// to do at each server, in order; a job waits for the least of it.
fn kiefer_wolfowitz(trace: &Trace, servers: usize) -> Vec<Micros> {
    let (mut left, mut before) = (vec![0; servers], 0);
    let wait = |job: &Job| {
        for work in &mut left {
            *work = Micros::saturating_sub(*work, job.arrival - before);
        }
        before = job.arrival;
        left.sort_unstable();
        let wait = left[0];
        left[0] += job.work;
        wait
    };
    trace.jobs.iter().map(wait).collect()
}

fn law(text: &str) -> Durations {
    text.parse().expect(text)
}
