//! The cheapest settings that hold a latency: a coarse search on one replication, then the best on all of them.

use super::engine::{Setting, SimulationError, simulate};
use super::policy::Policy;
use super::summary::{Bill, Estimate, Figures, figures, over_replications};
use super::trace::Trace;
use super::{MINUTE, Micros, SECOND, seconds};

/// What is searched for, and where.
#[derive(Debug, Clone)]
pub struct Search {
    /// Where the search begins; what is fixed stays as it is there.
    pub setting: Setting,
    /// What the 95th percentile of waits may be, in seconds.
    pub wait_p95: f64,
    /// Which of the policy's settings stay.
    pub fixed: Fixed,
}

/// What somebody said already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fixed {
    /// The target stays.
    pub target: bool,
    /// The fewest tasks stay.
    pub min: bool,
    /// The most tasks stay.
    pub max: bool,
    /// The cooldown after scaling out stays.
    pub out_cooldown: bool,
    /// The cooldown after scaling in stays.
    pub in_cooldown: bool,
}

/// A policy and what it was found to do.
#[derive(Debug, Clone)]
pub struct Tried {
    /// The policy.
    pub policy: Policy,
    /// Over all replications.
    pub figures: Figures<Estimate>,
}

impl Tried {
    /// True if the wait is held, the uncertainty of the estimate included.
    pub fn holds(&self, wait_p95: f64) -> bool {
        self.figures.wait_p95.upper() <= wait_p95
    }
}

/// What came of a search.
#[derive(Debug, Clone)]
pub struct Found {
    /// The cheapest policy that holds the wait; none if no policy that was tried does.
    pub cheapest: Option<Tried>,
    /// Those that were tried on all replications, the cheapest first.
    pub tried: Vec<Tried>,
    /// How many simulations that took.
    pub simulations: usize,
}

/// How many policies are tried on all replications.
const FINALISTS: usize = 12;
/// On one replication a policy may miss the wait by so much and still be tried on all.
const TOLERANCE: f64 = 1.2;
/// Parts of the target at which the wait would just be held if all messages took their mean.
const TARGETS: [f64; 6] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.0];
/// Cooldowns that are tried, in seconds, after scaling out and after scaling in.
const OUT_COOLDOWNS: [u64; 3] = [60, 180, 300];
const IN_COOLDOWNS: [u64; 3] = [60, 300, 900];

impl Search {
    /// Searches. `traces` are the replications, of which there is at least one. `progress` is told how many
    /// simulations are done, and of how many.
    pub fn run(
        &self,
        traces: &[Trace],
        seed: u64,
        bill: &Bill,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Found, SimulationError> {
        let mut done = 0;
        let coarse = self.grid(&traces[0]);
        let guess = coarse.len() * 2;
        let mut once = |policy: Policy, of: usize| -> Result<(Policy, Figures<f64>), SimulationError> {
            let setting = self.with(&policy);
            let outcome = simulate(&setting, &traces[0], seed, 0)?;
            done += 1;
            progress(done, of.max(done));
            Ok((policy, figures(&setting, &traces[0], &outcome, bill)))
        };
        let mut seen = Vec::new();
        for policy in coarse {
            seen.push(once(policy, guess)?);
        }
        self.rank(&mut seen);
        let refined = self.cooldowns(seen.iter().take(FINALISTS).map(|(policy, _)| policy));
        let of = seen.len() + refined.len() + FINALISTS * traces.len();
        for policy in refined {
            seen.push(once(policy, of)?);
        }
        self.rank(&mut seen);
        // Neighbours often do the same to the cent; the finalists shall differ.
        seen.dedup_by(|a, b| {
            (a.1.dollars - b.1.dollars).abs() < 1e-9 && (a.1.wait_p95 - b.1.wait_p95).abs() < 1e-9
        });
        seen.truncate(FINALISTS);
        let mut tried = Vec::new();
        for (policy, _) in seen {
            let setting = self.with(&policy);
            let mut all = Vec::new();
            for (nth, trace) in (0_u32..).zip(traces) {
                let outcome = simulate(&setting, trace, seed, nth)?;
                all.push(figures(&setting, trace, &outcome, bill));
                done += 1;
                progress(done, of.max(done));
            }
            let figures = over_replications(&all);
            tried.push(Tried { policy, figures });
        }
        tried.sort_by(|a, b| a.figures.dollars.mean.total_cmp(&b.figures.dollars.mean));
        Ok(Found {
            cheapest: tried.iter().find(|tried| tried.holds(self.wait_p95)).cloned(),
            tried,
            simulations: done,
        })
    }

    fn with(&self, policy: &Policy) -> Setting {
        Setting {
            policy: policy.clone(),
            task: self.setting.task.clone(),
        }
    }

    /// Those that about hold the wait first, the cheapest of them at the top; then the others, the fastest first.
    fn rank(&self, seen: &mut [(Policy, Figures<f64>)]) {
        let most = self.wait_p95 * TOLERANCE;
        let is_held = |figures: &Figures<f64>| figures.wait_p95 <= most;
        seen.sort_by(|(_, a), (_, b)| match (is_held(a), is_held(b)) {
            (true, true) => a.dollars.total_cmp(&b.dollars),
            (false, false) => a.wait_p95.total_cmp(&b.wait_p95),
            (a, b) => b.cmp(&a),
        });
    }

    /// Every target with every fewest and most number of tasks.
    fn grid(&self, trace: &Trace) -> Vec<Policy> {
        let base = &self.setting.policy;
        let demand = Demand::of(trace, self.setting.task.permits, self.wait_p95);
        let natural = self.wait_p95 / demand.mean_seconds.max(1e-6) * f64::from(self.setting.task.permits);
        let targets = match self.fixed.target {
            true => vec![base.target],
            false => TARGETS.iter().map(|part| (part * natural).max(0.01)).collect(),
        };
        let fewest = match self.fixed.min {
            true => vec![base.min],
            false => demand.fewest(),
        };
        let most = match self.fixed.max {
            true => vec![base.max],
            false => demand.most(),
        };
        let mut grid = Vec::new();
        for target in targets {
            for min in &fewest {
                for max in most.iter().filter(|max| *max >= min) {
                    grid.push(Policy {
                        target,
                        min: *min,
                        max: *max,
                        ..base.clone()
                    });
                }
            }
        }
        grid
    }

    fn cooldowns<'a>(&self, policies: impl Iterator<Item = &'a Policy>) -> Vec<Policy> {
        let choices = |is_fixed: bool, stays: Micros, of: [u64; 3]| match is_fixed {
            true => vec![stays],
            false => of.iter().map(|s| s * SECOND).collect(),
        };
        let mut refined = Vec::new();
        for policy in policies.filter(|policy| !policy.is_fixed()) {
            for out_cooldown in choices(self.fixed.out_cooldown, policy.out_cooldown, OUT_COOLDOWNS) {
                for in_cooldown in choices(self.fixed.in_cooldown, policy.in_cooldown, IN_COOLDOWNS) {
                    if (out_cooldown, in_cooldown) != (policy.out_cooldown, policy.in_cooldown) {
                        refined.push(Policy {
                            out_cooldown,
                            in_cooldown,
                            ..policy.clone()
                        });
                    }
                }
            }
        }
        refined
    }
}

/// How many tasks the work would keep busy.
struct Demand {
    mean_seconds: f64,
    /// Over all the time.
    mean: f64,
    /// In the busiest hour.
    hour: f64,
    /// In the busiest span of the acceptable wait.
    span: f64,
}

impl Demand {
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    fn of(trace: &Trace, permits: u32, wait_p95: f64) -> Self {
        let work = |span: Micros| {
            let bins = usize::try_from(trace.horizon / span)
                .unwrap_or(usize::MAX)
                .saturating_add(1);
            let mut sums = vec![0.0; bins.min(10_000_000)];
            for job in &trace.jobs {
                let at = usize::try_from(job.arrival / span).unwrap_or(usize::MAX);
                if let Some(sum) = sums.get_mut(at) {
                    *sum += seconds(job.work);
                }
            }
            sums.into_iter().fold(0.0, f64::max) / seconds(span) / f64::from(permits)
        };
        let all = seconds(1) * trace.work() as f64;
        Self {
            mean_seconds: all / (trace.jobs.len().max(1)) as f64,
            mean: all / seconds(trace.horizon.max(1)) / f64::from(permits),
            hour: work(60 * MINUTE),
            span: work(super::from_seconds(wait_p95).max(MINUTE)),
        }
    }

    fn fewest(&self) -> Vec<u32> {
        let of = [
            0.5 * self.mean,
            self.mean,
            1.25 * self.mean,
            0.5 * self.hour,
            self.hour,
            1.25 * self.hour,
            self.span,
        ];
        distinct([0, 1, 2].into_iter().chain(of.map(tasks)))
    }

    fn most(&self) -> Vec<u32> {
        let of = [
            1.1 * self.hour,
            1.5 * self.hour,
            3.0 * self.hour,
            self.span,
            1.5 * self.span,
        ];
        distinct(of.map(tasks).into_iter().map(|n| n.max(1)))
    }
}

fn tasks(count: f64) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative, and `as` saturates"
    )]
    let tasks = count.ceil() as u32;
    tasks.min(10_000)
}

fn distinct(numbers: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut numbers: Vec<u32> = numbers.collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}
