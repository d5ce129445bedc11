//! What the holder of a lease may do: renew it, commit, release, fail.

use crate::artifact::Manifest;
use crate::change::{Change, Charge};
use crate::guard::Guard;
use crate::id::{Nonce, StepName};
use crate::item::{
    Budget, Fault, FaultClass, Item, Measured, MemoryClass, Placement, RunItem, RunStatus, Slot, StepItem,
    StepState,
};
use crate::protocol::Work;
use crate::registry::{ModelVersion, Registered, Registration};
use crate::time::Timestamp;
use crate::update::{Declared, GuardedUpdate};

/// A lease that was won: the right to work on something for a while.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Held {
    /// On what.
    pub work: Work,
    /// Which claim won it.
    pub owner: Nonce,
    /// Which attempt it is: the fence.
    pub attempt: u32,
}

impl Held {
    fn fence(&self) -> Vec<Guard> {
        let slot = self.work.slot();
        let mut guards = vec![
            Guard::Running(slot.clone()),
            Guard::AttemptIs(slot.clone(), self.attempt),
            Guard::OwnerIs(slot, self.owner.clone()),
        ];
        if self.work.branch.is_none() {
            guards.push(Guard::RunOpen);
        }
        guards
    }

    fn update(&self, changes: Vec<Change>) -> GuardedUpdate {
        GuardedUpdate {
            key: self.work.key(),
            birth: None,
            guards: self.fence(),
            changes,
            register: None,
        }
    }
}

/// Extends the lease. Refused: the work must stop.
pub fn renew(held: &Held, lease_until: Timestamp) -> GuardedUpdate {
    held.update(vec![Change::Renew {
        slot: held.work.slot(),
        lease_until,
    }])
}

/// How an attempt that has a result ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Ending {
    /// On to the next step, which begins there.
    Advance(Placement),
    /// On to the next step, which begins there in this many branches.
    FanOut(Placement, u32),
    /// The data said no: the run ends here, as designed.
    Halt(String),
    /// The last step, which declares a model's version.
    Register(Registration),
}

/// The commit: the attempt's result becomes the step's, and everything that follows from it on the same item
/// happens in the same conditional update: the successor becomes ready, or the run ends.
///
/// `run` is the run as the claim saw it: only what is fixed at birth is read of it. A branch's `ending` is not
/// looked at; its result joins the others by [`super::join_branch`].
pub fn commit(
    held: &Held,
    run: &RunItem,
    manifest: Manifest,
    ending: &Ending,
    measured: Measured,
    now: Timestamp,
) -> GuardedUpdate {
    let mut update = held.update(vec![Change::Commit {
        slot: held.work.slot(),
        manifest: manifest.clone(),
        now,
        measured,
    }]);
    if held.work.branch.is_some() {
        return update;
    }
    let end = |status, reason| Change::End { status, reason, now };
    match (ending, run.successor(&held.work.step)) {
        (Ending::Halt(reason), _) => {
            update
                .changes
                .push(end(RunStatus::Halted, Some(crate::item::clip(reason.clone()))));
        }
        (Ending::Advance(placement), Some(next)) => {
            update.changes.push(ready(next, placement, None, now));
        }
        (Ending::FanOut(placement, n), Some(next)) => {
            update.changes.push(ready(next, placement, Some(*n), now));
        }
        (Ending::Register(registration), _) => {
            update.changes.push(end(RunStatus::Succeeded, None));
            update.changes.push(Change::Registered(Registered {
                model: registration.model.clone(),
                promoted: registration.promote.as_ref().map(|p| p.alias.clone()),
                reason: registration.reason.clone(),
            }));
            let version = ModelVersion {
                model: registration.model.clone(),
                run: held.work.run.clone(),
                package: manifest,
                registered_at: now,
            };
            update.register = Some(Box::new(Declared {
                registration: registration.clone(),
                version,
            }));
        }
        (Ending::Advance(_) | Ending::FanOut(..), None) => {
            update.changes.push(end(RunStatus::Succeeded, None))
        }
    }
    update
}

/// Step `next` can be worked on from `now` on.
pub(super) fn ready(next: &StepName, placement: &Placement, branches: Option<u32>, now: Timestamp) -> Change {
    Change::Ready {
        step: next.clone(),
        at: now,
        class: placement.class,
        demand: placement.demand.clone(),
        branches,
    }
}

/// The registration to commit with instead when the champion moved meanwhile: registered, not promoted.
pub fn register_only(registration: &Registration) -> Registration {
    let reason = match &registration.promote {
        Some(promotion) => format!(
            "not promoted: {} moved while this run was under way (it was compared with revision {}); before that: {}",
            promotion.alias, promotion.expected_revision, registration.reason
        ),
        None => registration.reason.clone(),
    };
    Registration {
        model: registration.model.clone(),
        promote: None,
        reason: crate::item::clip(reason),
    }
}

/// After a refused commit: true if it had been applied and only its answer was lost.
pub fn commit_was_mine(held: &Held, manifest: &Manifest, stored: Option<&Item>) -> bool {
    stored
        .and_then(|item| item.slot(&held.work.slot()))
        .is_some_and(|step| {
            step.state == StepState::Committed
                && step.attempt == held.attempt
                && step.manifest.as_ref() == Some(manifest)
        })
}

/// What a failed attempt leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Another attempt, in that class if it is given.
    Retry(Charge, Option<MemoryClass>),
    /// No other attempt; why, for people.
    GiveUp(String),
}

/// What a failure of this class leads to. `step` is the state that the claim left.
pub fn after_failure(step: &StepItem, max: Budget, class: FaultClass) -> Next {
    match class {
        FaultClass::Interrupted => Next::Retry(Charge::Nothing, None),
        FaultClass::Permanent => Next::GiveUp(String::new()),
        FaultClass::Transient if step.spent.transient < max.transient => Next::Retry(Charge::Transient, None),
        FaultClass::Transient => Next::GiveUp(format!(
            "it failed {} times in passing ways before, which is all it may",
            max.transient
        )),
        FaultClass::Memory => match step.class.next_up_to(step.largest) {
            Some(class) if step.spent.memory < max.memory => Next::Retry(Charge::Memory, Some(class)),
            Some(_) => Next::GiveUp(format!(
                "it died of memory {} times before, which is all it may",
                max.memory
            )),
            None => Next::GiveUp(format!(
                "class {} is the largest that its stage is deployed in",
                step.class
            )),
        },
        // The claim charged this death already.
        FaultClass::Crash if step.spent.crash >= max.crash => Next::GiveUp(format!(
            "it died {} times without a known cause, which is all it may",
            step.spent.crash
        )),
        FaultClass::Crash => {
            let larger = step
                .wants_larger_class()
                .then(|| step.class.next_up_to(step.largest))
                .flatten();
            Next::Retry(Charge::Crash, larger)
        }
    }
}

/// Records a failure after which there is another attempt, from `ready_at` on.
pub fn release(
    held: &Held,
    charge: Charge,
    larger: Option<MemoryClass>,
    fault: Fault,
    ready_at: Timestamp,
) -> GuardedUpdate {
    let slot = held.work.slot();
    let mut changes = vec![Change::Release {
        slot: slot.clone(),
        charge,
        fault,
        ready_at,
    }];
    if let Some(class) = larger {
        changes.push(Change::Escalate { slot, class });
    }
    held.update(changes)
}

/// Records a failure after which there is no other attempt: the run fails, or the branch does. For a branch, join
/// it as lost next.
pub fn fail(held: &Held, fault: Fault) -> GuardedUpdate {
    let mut changes = vec![Change::Fail {
        slot: held.work.slot(),
        fault: fault.clone(),
    }];
    if let Slot::Step(step) = held.work.slot() {
        let reason = crate::item::clip(format!(
            "step {step} failed ({}): {}",
            fault.class.as_str(),
            fault.message
        ));
        changes.push(Change::End {
            status: RunStatus::Failed,
            reason: Some(reason),
            now: fault.at,
        });
    }
    held.update(changes)
}
