//! Driving: sending what a run needs next. Redone on every redelivery; the successor's claim removes duplicates.

use crate::change::Change;
use crate::envelope::{Envelope, Hint};
use crate::guard::Guard;
use crate::id::StepName;
use crate::item::{
    Fault, FaultClass, MemoryClass, Placement, QueueName, RunItem, RunStatus, Slot, StepItem, StepState,
};
use crate::protocol::Work;
use crate::protocol::attempt::ready;
use crate::time::Timestamp;
use crate::trace::RunSpan;
use crate::update::GuardedUpdate;

/// A message and the queue that it goes to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Outgoing {
    /// Where to.
    pub queue: QueueName,
    /// What.
    pub envelope: Envelope,
}

/// What a run needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Drive {
    /// Nothing: it ended, or somebody has its message already.
    Nothing,
    /// These messages.
    Send(Vec<Outgoing>),
    /// All branches of that step are settled: [`fan_in()`], then drive again.
    FanIn(StepName),
}

/// The message for one piece of work.
pub fn message(
    run: &RunItem,
    step: &StepName,
    work: &StepItem,
    branch: Option<u32>,
    class: MemoryClass,
) -> Outgoing {
    Outgoing {
        queue: QueueName {
            stage: work.stage.clone(),
            class,
        },
        envelope: Envelope::V1(Hint {
            run: run.id.clone(),
            step: step.clone(),
            after: work.after.clone(),
            branch,
            traceparent: Some(RunSpan::of(run).context),
        }),
    }
}

/// What the step at which the run stands needs, whether or not its message was sent before.
pub fn drive(run: &RunItem) -> Drive {
    let Some((step, work)) = run.frontier().filter(|_| run.status == RunStatus::Open) else {
        return Drive::Nothing;
    };
    if !work.is_fanned() {
        return Drive::Send(vec![message(run, step, work, None, work.class)]);
    }
    // A fanned-out step is ready only with its number known: its predecessor's commit sets both.
    let Some(n) = work.branches else {
        return Drive::Nothing;
    };
    if run.done_count(step) >= n {
        return Drive::FanIn(step.clone());
    }
    let is_done = |ordinal: &u32| run.done.get(step).is_some_and(|done| done.contains(ordinal));
    Drive::Send(
        (0..n)
            .filter(|o| !is_done(o))
            .map(|o| message(run, step, work, Some(o), work.class))
            .collect(),
    )
}

/// What comes after the commit of `step`, as far as nobody took it yet: once the successor was claimed, its message
/// had been sent, and sending it again would only burn a delivery. Branches have items of their own, so of those
/// all that are not settled are sent.
pub fn drive_after(run: &RunItem, step: &StepName) -> Drive {
    match run.frontier() {
        Some((_, work)) if work.after.as_ref() == Some(step) && work.attempt == 0 => drive(run),
        _ => Drive::Nothing,
    }
}

/// A settled branch joins the others. The run that the store gives back says whether it was the last:
/// [`drive()`] then answers [`Drive::FanIn`].
pub fn join_branch(work: &Work, ordinal: u32, state: StepState) -> GuardedUpdate {
    let change = Change::Join {
        step: work.step.clone(),
        ordinal,
        lost: state == StepState::Failed,
    };
    GuardedUpdate::run(&work.run, vec![Guard::RunOpen], vec![change])
}

/// Closes a fanned-out step whose branches are all settled: it is committed and its successor ready, in that place;
/// or, when too few branches succeeded, the run fails.
pub fn fan_in(
    run: &RunItem,
    step: &StepName,
    placement: &Placement,
    now: Timestamp,
) -> Option<GuardedUpdate> {
    let work = run.steps.get(step)?;
    let (n, want) = (work.branches?, work.min_succeeded?);
    let lost = run.lost_count(step);
    let mut guards = vec![
        Guard::RunOpen,
        Guard::NotSettled(Slot::Step(step.clone())),
        Guard::DoneFull(step.clone()),
    ];
    let succeeded = run.done_count(step).saturating_sub(lost);
    let changes = if succeeded >= want {
        guards.push(Guard::EnoughSucceeded(step.clone()));
        let next = run.successor(step)?.clone();
        vec![
            Change::CloseFanOut {
                step: step.clone(),
                now,
            },
            ready(&next, placement, None, now),
        ]
    } else {
        guards.push(Guard::TooFewSucceeded(step.clone()));
        let reason = format!("step {step}: {lost} of {n} branches failed for good, and {want} must succeed");
        let fault = Fault::new(FaultClass::Permanent, reason.clone(), work.attempt, now);
        vec![
            Change::Fail {
                slot: Slot::Step(step.clone()),
                fault,
            },
            Change::End {
                status: RunStatus::Failed,
                reason: Some(reason),
                now,
            },
        ]
    };
    Some(GuardedUpdate::run(&run.id, guards, changes))
}
