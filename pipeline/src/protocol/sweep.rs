//! The sweeper's look at one open run: what was lost is done again, what is overdue ends.

use std::time::Duration;

use crate::change::Change;
use crate::guard::Guard;
use crate::id::StepName;
use crate::item::{BranchItem, RunItem, RunStatus, StepItem, StepState};
use crate::plan::CHECK_INTERVAL;
use crate::protocol::drive::{Outgoing, message};
use crate::protocol::{Work, fail_overdue, join_branch};
use crate::time::Timestamp;
use crate::update::GuardedUpdate;

/// What the sweeper does about one run, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sweep {
    /// The run ended or was looked at by another sweeper: nothing.
    Nothing,
    /// The deadline passed: apply this.
    Fail(GuardedUpdate),
    /// Apply `moved` (the compare-and-swap of its next look); only if that is applied, apply each of `joins`, close
    /// the fan-out `fan_in` if it is full afterwards, and send `messages`.
    Look {
        /// Moves the next look, and counts what is sent again.
        moved: GuardedUpdate,
        /// Settled branches that may have been forgotten.
        joins: Vec<GuardedUpdate>,
        /// A fanned-out step that may be full.
        fan_in: Option<StepName>,
        /// Messages that may have been lost.
        messages: Vec<Outgoing>,
    },
}

/// When the sweeper looks next at a run at which nothing is due: often enough to see the deadline pass.
pub fn next_check(run: &RunItem, now: Timestamp) -> Timestamp {
    now.plus(CHECK_INTERVAL)
        .min(run.deadline.max(Timestamp(now.0.saturating_add(1))))
}

/// Looks at `run` as it was just read, consistently. `branches` are the branch items of the step at which it
/// stands, `wait` is how long messages of that step's queue wait at present.
///
/// A message is sent again only after its work was left alone for the longer of [`CHECK_INTERVAL`] and twice the
/// present wait, and each time twice as long: a backlog must not grow by being long.
pub fn sweep(run: &RunItem, branches: &[BranchItem], wait: Duration, now: Timestamp) -> Sweep {
    let Some(seen) = run
        .next_check
        .filter(|at| run.status == RunStatus::Open && *at <= now)
    else {
        return Sweep::Nothing;
    };
    if run.deadline <= now {
        return Sweep::Fail(fail_overdue(run, now));
    }
    let mut changes = vec![Change::NextCheck(next_check(run, now))];
    let (mut joins, mut messages, mut fan_in) = (Vec::new(), Vec::new(), None);
    if let Some((step, work)) = run.frontier() {
        if !work.is_fanned() {
            if is_left_alone(work, work.resent, wait, now) {
                messages.push(message(run, step, work, None, work.class));
            }
        } else if let Some(n) = work.branches {
            let done = run.done.get(step);
            for ordinal in (0..n).filter(|o| done.is_none_or(|done| !done.contains(o))) {
                let branch = branches
                    .iter()
                    .find(|b| b.step == *step && b.ordinal == ordinal)
                    .map(|b| &b.work);
                match branch {
                    Some(b) if b.state.is_settled() => {
                        let settled = Work {
                            run: run.id.clone(),
                            step: step.clone(),
                            branch: Some(ordinal),
                        };
                        joins.push(join_branch(&settled, ordinal, b.state));
                    }
                    Some(b) if is_left_alone(b, work.resent, wait, now) => {
                        messages.push(message(run, step, work, Some(ordinal), b.class));
                    }
                    None if is_left_alone(work, work.resent, wait, now) => {
                        messages.push(message(run, step, work, Some(ordinal), work.class));
                    }
                    Some(_) | None => {}
                }
            }
            fan_in = Some(step.clone());
        }
        if !messages.is_empty() {
            changes.push(Change::Resent(step.clone()));
        }
    }
    let moved = GuardedUpdate::run(&run.id, vec![Guard::RunOpen, Guard::NextCheckIs(seen)], changes);
    Sweep::Look {
        moved,
        joins,
        fan_in,
        messages,
    }
}

/// True if nobody has worked on it for long enough that its message counts as lost.
fn is_left_alone(work: &StepItem, resent: u32, wait: Duration, now: Timestamp) -> bool {
    let since = match work.state {
        StepState::Pending => work.ready_at,
        StepState::Running => work.lease_until,
        StepState::Committed | StepState::Failed => None,
    };
    let patience = CHECK_INTERVAL.max(wait.saturating_mul(2));
    // The first time after one patience, then after three, seven, …: each pause is twice the one before.
    let due = patience.saturating_mul(2u32.saturating_pow(resent.saturating_add(1)).saturating_sub(1));
    since.is_some_and(|since| since.plus(due) <= now)
}
