//! Why a run waits, in words. Pure: everything it looks at is given.

mod reason;

use std::collections::{BTreeMap, BTreeSet};

use pipeline::item::{BranchItem, MemoryClass, QueueName, RunItem, StepItem, StepState};
use pipeline::ports::{Depth, Pause, Presence};
use pipeline::{RunStatus, StageName, Timestamp};

pub use reason::{Reason, ReasonView, What};

/// What surrounds the run.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// Which stages are paused.
    pub pauses: Vec<Pause>,
    /// Which workers are there.
    pub workers: Vec<Presence>,
    /// How full the queues are in which the run's messages may be. Those that are absent are not spoken of.
    pub depths: BTreeMap<QueueName, Depth>,
    /// The time.
    pub now: Timestamp,
}

/// The queues in which the messages of the run's present step may be.
pub fn queues(run: &RunItem, branches: &[BranchItem]) -> BTreeSet<QueueName> {
    unsettled(run, branches).iter().map(|work| work.queue()).collect()
}

/// What the run waits for, or who works on it; nothing for a run that ended. `branches` are the branch items of the
/// step at which it stands (others are ignored).
pub fn why_waits(run: &RunItem, branches: &[BranchItem], around: &Surroundings) -> Vec<Reason> {
    let Some((step, work)) = run.frontier().filter(|_| run.status == RunStatus::Open) else {
        return Vec::new();
    };
    let now = around.now;
    let mut reasons = Vec::new();
    let works = unsettled(run, branches);
    let what = |n: usize| What {
        step: step.clone(),
        branches: work.is_fanned().then_some(n),
    };
    if works.is_empty() {
        reasons.push(Reason::Joining {
            step: step.clone(),
            next_check: run.next_check,
        });
    }
    // Each work is in one of four places.
    let (running, pending): (Vec<_>, Vec<_>) = works.iter().partition(|w| w.state == StepState::Running);
    let (held, lost): (Vec<_>, Vec<_>) = running.into_iter().partition(|w| !w.lease_is_over(now));
    let (resting, waiting): (Vec<_>, Vec<_>) = pending
        .into_iter()
        .partition(|w| w.ready_at.is_some_and(|at| at > now));
    if let Some(lease_until) = held.iter().filter_map(|w| w.lease_until).min() {
        let what = what(held.len());
        reasons.push(Reason::Working { what, lease_until });
    }
    if !lost.is_empty() {
        let since = lost.iter().filter_map(|w| w.lease_until).min().unwrap_or(now);
        let what = what(lost.len());
        reasons.push(Reason::WorkerLost { what, since });
    }
    if let Some(first) = resting.iter().min_by_key(|w| w.ready_at) {
        reasons.push(Reason::BackingOff {
            what: what(resting.len()),
            until: first.ready_at.unwrap_or(now),
            fault: first.fault.as_ref().map(|f| f.message.clone()),
        });
    }
    let idle = [lost, resting, waiting.clone()].concat();
    reasons.extend(obstacles(&idle, &waiting, &what, run, around));
    reasons.push(if run.deadline <= now {
        Reason::Overdue {
            deadline: run.deadline,
        }
    } else {
        Reason::Deadline {
            deadline: run.deadline,
        }
    });
    reasons
}

/// What stands between work and a worker. `idle` is everything that nobody works on, `waiting` that of it which
/// could be worked on at once.
fn obstacles(
    idle: &[&StepItem],
    waiting: &[&StepItem],
    what: &impl Fn(usize) -> What,
    run: &RunItem,
    around: &Surroundings,
) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let stages: BTreeSet<&StageName> = idle.iter().map(|w| &w.stage).collect();
    for pause in around.pauses.iter().filter(|p| stages.contains(&p.stage)) {
        reasons.push(Reason::Paused {
            stage: pause.stage.clone(),
            since: pause.since,
            reason: pause.reason.clone(),
        });
    }
    let queues: BTreeSet<QueueName> = idle.iter().map(|w| w.queue()).collect();
    for queue in queues {
        let of_queue = |works: &[&StepItem]| works.iter().filter(|w| w.queue() == queue).count();
        if queue.class != MemoryClass::Standard {
            reasons.push(Reason::LargerClass {
                what: what(of_queue(idle)),
                class: queue.class,
            });
        }
        let name = queue.to_string();
        if !around.workers.iter().any(|w| w.queues.contains(&name)) {
            reasons.push(Reason::NoWorker {
                queue: queue.clone(),
                others: around.workers.len(),
            });
        }
        let (n, depth) = (of_queue(waiting), around.depths.get(&queue).copied());
        let Some(depth) = depth.filter(|_| n > 0) else {
            continue;
        };
        let what = what(n);
        reasons.push(if depth.visible + depth.in_flight + depth.delayed == 0 {
            Reason::MessageLost {
                what,
                queue,
                next_check: run.next_check,
            }
        } else {
            Reason::Queued { what, queue, depth }
        });
    }
    reasons
}

/// The work of the run's present step that is not settled: the step itself, or its branches. A branch that was
/// never claimed has no item; it is as it will be born.
fn unsettled(run: &RunItem, branches: &[BranchItem]) -> Vec<StepItem> {
    let Some((step, work)) = run.frontier().filter(|_| run.status == RunStatus::Open) else {
        return Vec::new();
    };
    if !work.is_fanned() {
        return vec![work.clone()];
    }
    let unborn = StepItem {
        state: StepState::Pending,
        ..work.clone()
    };
    (0..work.branches.unwrap_or(0))
        .map(|ordinal| {
            let of_branch = branches.iter().find(|b| b.step == *step && b.ordinal == ordinal);
            of_branch.map_or_else(|| unborn.clone(), |b| b.work.clone())
        })
        .filter(|work| !work.state.is_settled())
        .collect()
}

#[cfg(test)]
mod tests;
