//! What simulations say: waits, utilisation, task-hours and dollars, with confidence intervals over replications.

use serde::Serialize;

use super::engine::{Outcome, Setting};
use super::trace::Trace;
use super::{HOUR, seconds};
use pipeline::components::Architecture;

use crate::cost::{BACKGROUND_OF_AN_HOUR, IDLE_POLL_SECONDS, StepRequests};
use crate::prices::Prices;

/// What is paid for a component's tasks and messages.
#[derive(Debug, Clone)]
pub struct Bill {
    /// The table of prices.
    pub prices: Prices,
    /// Of the tasks' processors.
    pub architecture: Architecture,
    /// Virtual processors of a task.
    pub vcpu: f64,
    /// Memory of a task, in GB.
    pub memory_gb: f64,
    /// Requests of SQS, DynamoDB and S3 for one message.
    pub requests: StepRequests,
}

/// The figures of one simulation. Times are seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Figures<T> {
    /// Messages.
    pub messages: T,
    /// How long half of the messages waited at most, from being ready to the start of the attempt that finished them.
    pub wait_p50: T,
    /// The same of 95 in a hundred.
    pub wait_p95: T,
    /// The same of 99 in a hundred.
    pub wait_p99: T,
    /// The longest wait.
    pub wait_max: T,
    /// The mean wait.
    pub wait_mean: T,
    /// The part of the running tasks' permits that was at work.
    pub utilisation: T,
    /// Tasks that received messages, over all the time.
    pub tasks_mean: T,
    /// The most of them in any minute.
    pub tasks_max: T,
    /// How many tasks were launched.
    pub launched: T,
    /// Hours of tasks to pay for.
    pub task_hours: T,
    /// Those of them on Fargate Spot.
    pub spot_hours: T,
    /// Attempts that were cut off.
    pub interruptions: T,
    /// Hours of work that was thrown away so.
    pub lost_hours: T,
    /// For the tasks.
    pub dollars_tasks: T,
    /// For requests of SQS, DynamoDB and S3.
    pub dollars_requests: T,
    /// For all of it.
    pub dollars: T,
    /// How long it lasted, in hours.
    pub hours: T,
}

/// A mean over replications, and how far from it the true mean is, in 95 of 100 such intervals.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// The mean of the replications.
    pub mean: f64,
    /// Half the width of the interval; none of a single replication.
    pub plus_minus: Option<f64>,
}

impl Estimate {
    /// The upper end of the interval.
    pub fn upper(&self) -> f64 {
        self.mean + self.plus_minus.unwrap_or(0.0)
    }
}

/// The value of which `part` of the sorted values are at most as large: the nearest rank.
pub fn percentile(sorted: &[f64], part: f64) -> f64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a rank within the slice"
    )]
    let rank = (part * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied().unwrap_or(0.0)
}

/// How long each job waited, in seconds, in the order of the trace.
pub fn waits(trace: &Trace, outcome: &Outcome) -> Vec<f64> {
    let both = trace.jobs.iter().zip(&outcome.jobs);
    both.map(|(job, became)| seconds(became.started - job.arrival))
        .collect()
}

#[expect(clippy::cast_precision_loss, reason = "shown with few digits")]
fn hours(span: u128) -> f64 {
    span as f64 / HOUR as f64
}

/// The figures of one simulation.
#[expect(clippy::cast_precision_loss, reason = "shown with few digits")]
pub fn figures(setting: &Setting, trace: &Trace, outcome: &Outcome, bill: &Bill) -> Figures<f64> {
    let mut waits = waits(trace, outcome);
    waits.sort_unstable_by(f64::total_cmp);
    let sums = &outcome.integrals;
    let jobs = waits.len() as f64;
    let interruptions: u32 = outcome.jobs.iter().map(|job| job.interruptions).sum();
    let on_demand = hours(u128::from(outcome.billed.on_demand));
    let spot = hours(u128::from(outcome.billed.spot));
    let hour = bill
        .prices
        .task_hour(bill.architecture, bill.vcpu, bill.memory_gb);
    let dollars_tasks = hour * (on_demand + spot * bill.prices.fargate_spot.part_of_on_demand);
    let polls = hours(sums.idle) * 3_600.0 / IDLE_POLL_SECONDS;
    let dollars_requests = bill.requests.dollars(&bill.prices) * (jobs + f64::from(interruptions))
        + polls * bill.prices.sqs.million_requests / 1e6
        + hours(sums.running) * BACKGROUND_OF_AN_HOUR.dollars(&bill.prices);
    let permits = hours(sums.running) * f64::from(setting.task.permits);
    Figures {
        messages: jobs,
        wait_p50: percentile(&waits, 0.5),
        wait_p95: percentile(&waits, 0.95),
        wait_p99: percentile(&waits, 0.99),
        wait_max: waits.last().copied().unwrap_or(0.0),
        wait_mean: if waits.is_empty() {
            0.0
        } else {
            waits.iter().sum::<f64>() / jobs
        },
        utilisation: if permits > 0.0 {
            (hours(sums.busy) / permits).min(1.0)
        } else {
            0.0
        },
        tasks_mean: if outcome.ended > 0 {
            sums.running as f64 / outcome.ended as f64
        } else {
            0.0
        },
        tasks_max: outcome
            .moments
            .iter()
            .map(|m| m.seen.running)
            .max()
            .map_or(0.0, f64::from),
        launched: outcome.launched as f64,
        task_hours: on_demand + spot,
        spot_hours: spot,
        interruptions: f64::from(interruptions),
        lost_hours: hours(u128::from(outcome.lost)),
        dollars_tasks,
        dollars_requests,
        dollars: dollars_tasks + dollars_requests,
        hours: hours(u128::from(outcome.ended)),
    }
}

/// The mean of each figure over the replications, with its interval.
pub fn over_replications(all: &[Figures<f64>]) -> Figures<Estimate> {
    let of = |figure: fn(&Figures<f64>) -> f64| estimate(&all.iter().map(figure).collect::<Vec<_>>());
    Figures {
        messages: of(|f| f.messages),
        wait_p50: of(|f| f.wait_p50),
        wait_p95: of(|f| f.wait_p95),
        wait_p99: of(|f| f.wait_p99),
        wait_max: of(|f| f.wait_max),
        wait_mean: of(|f| f.wait_mean),
        utilisation: of(|f| f.utilisation),
        tasks_mean: of(|f| f.tasks_mean),
        tasks_max: of(|f| f.tasks_max),
        launched: of(|f| f.launched),
        task_hours: of(|f| f.task_hours),
        spot_hours: of(|f| f.spot_hours),
        interruptions: of(|f| f.interruptions),
        lost_hours: of(|f| f.lost_hours),
        dollars_tasks: of(|f| f.dollars_tasks),
        dollars_requests: of(|f| f.dollars_requests),
        dollars: of(|f| f.dollars),
        hours: of(|f| f.hours),
    }
}

/// Student's t for 95 %, by degrees of freedom from 1.
const T_95: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
];

#[expect(clippy::cast_precision_loss, reason = "few replications")]
fn estimate(values: &[f64]) -> Estimate {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n.max(1.0);
    let plus_minus = (values.len() > 1).then(|| {
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
        let t = T_95.get(values.len() - 2).copied().unwrap_or(1.96);
        t * (variance / n).sqrt()
    });
    Estimate { mean, plus_minus }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let values: Vec<f64> = (1..=20).map(f64::from).collect();
        for (part, value) in [(0.5, 10.0), (0.95, 19.0), (0.99, 20.0), (0.0, 1.0), (1.0, 20.0)] {
            assert_eq!(percentile(&values, part).to_bits(), f64::to_bits(value), "{part}");
        }
        assert_eq!(percentile(&[], 0.5).to_bits(), 0.0_f64.to_bits());
    }

    #[test]
    fn intervals_are_those_of_students_t() {
        // Mean 3, standard deviation sqrt(2.5), t of 4 degrees of freedom 2.776.
        let of = estimate(&[1.0, 2.0, 3.0, 4.0, 5.0]);
        assert!((of.mean - 3.0).abs() < 1e-12);
        let wanted = 2.776 * (2.5_f64 / 5.0).sqrt();
        assert!((of.plus_minus.expect("five replications") - wanted).abs() < 1e-9);
        assert_eq!(estimate(&[1.0]).plus_minus, None);
    }
}
