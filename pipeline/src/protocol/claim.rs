//! Claims: taking a step or a branch for a while, and what it means when that is refused.

use std::time::Duration;

use crate::change::Change;
use crate::envelope::Hint;
use crate::guard::Guard;
use crate::id::{Nonce, RunId, StepName};
use crate::item::{
    BranchItem, Fault, FaultClass, Item, ItemKey, MemoryClass, QueueName, RunItem, RunStatus, Slot, StepItem,
    StepState,
};
use crate::time::Timestamp;
use crate::update::GuardedUpdate;

/// What a message names: a step, or one branch of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Work {
    /// Of which run.
    pub run: RunId,
    /// Which step.
    pub step: StepName,
    /// Which branch, if the step is fanned out.
    pub branch: Option<u32>,
}

impl Work {
    /// What the message names.
    pub fn of(hint: &Hint) -> Self {
        Self {
            run: hint.run.clone(),
            step: hint.step.clone(),
            branch: hint.branch,
        }
    }

    /// Where its fields are within its item.
    pub fn slot(&self) -> Slot {
        match self.branch {
            None => Slot::Step(self.step.clone()),
            Some(_) => Slot::Branch,
        }
    }

    /// Which item holds its fields.
    pub fn key(&self) -> ItemKey {
        match self.branch {
            None => ItemKey::Run(self.run.clone()),
            Some(ordinal) => ItemKey::Branch(self.run.clone(), self.step.clone(), ordinal),
        }
    }
}

/// Who claims.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Claimant {
    /// The queue that the message came from, which is the claimant's own.
    pub queue: QueueName,
    /// Fresh for every claim.
    pub owner: Nonce,
    /// The component's version.
    pub version: String,
}

/// The claim of a step that is not fanned out. `after` is the predecessor that the message names.
///
/// One conditional update; no read before it is needed.
pub fn claim(
    work: &Work,
    after: Option<&StepName>,
    who: &Claimant,
    now: Timestamp,
    lease: Duration,
) -> GuardedUpdate {
    let slot = work.slot();
    let mut guards = vec![
        Guard::RunOpen,
        Guard::PredecessorCommitted(work.step.clone(), after.cloned()),
        Guard::NotFanned(work.step.clone()),
    ];
    guards.extend(slot_guards(&slot, who, now));
    GuardedUpdate {
        key: work.key(),
        birth: None,
        guards,
        changes: vec![claim_change(slot, who, now, lease)],
        register: None,
    }
}

/// The claim of a branch, after its run was read: that read saves work for runs that ended and refuses what the
/// plan does not have. Safety does not lean on it being fresh: a committed predecessor stays committed, and a
/// branch's commit is guarded by its own item.
pub fn claim_branch(
    run: &RunItem,
    work: &Work,
    after: Option<&StepName>,
    who: &Claimant,
    now: Timestamp,
    lease: Duration,
) -> Result<GuardedUpdate, Refusal> {
    let Some(ordinal) = work.branch else {
        return Err(Refusal::Unknown("message names no branch".into()));
    };
    if let Some(refusal) = why_run_refuses(run, work, after, who) {
        return Err(refusal);
    }
    let Some(step) = run.steps.get(&work.step) else {
        return Err(Refusal::unknown_step(work));
    };
    let born = StepItem {
        class: step.class,
        ready_at: step.ready_at,
        ..StepItem::new(step.stage.clone(), step.after.clone(), step.largest)
    };
    let birth = BranchItem {
        run: run.id.clone(),
        step: work.step.clone(),
        ordinal,
        max: run.max,
        work: born,
    };
    Ok(GuardedUpdate {
        key: work.key(),
        birth: Some(Box::new(birth)),
        guards: slot_guards(&Slot::Branch, who, now).into(),
        changes: vec![claim_change(Slot::Branch, who, now, lease)],
        register: None,
    })
}

fn slot_guards(slot: &Slot, who: &Claimant, now: Timestamp) -> [Guard; 5] {
    [
        Guard::NotSettled(slot.clone()),
        Guard::PoolIs(slot.clone(), who.queue.stage.clone(), who.queue.class),
        Guard::LeaseOver(slot.clone(), now),
        Guard::CrashBudgetLeft(slot.clone()),
        Guard::ClassHolds(slot.clone()),
    ]
}

fn claim_change(slot: Slot, who: &Claimant, now: Timestamp, lease: Duration) -> Change {
    Change::Claim {
        slot,
        owner: who.owner.clone(),
        now,
        lease_until: now.plus(lease),
        version: who.version.clone(),
    }
}

/// Why a claim was refused, and so what to do with the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The message names what does not exist: dead letter, with this reason.
    Unknown(String),
    /// The run ended: acknowledge.
    Ended(RunStatus),
    /// The claim had been won and its answer was lost: go on with it.
    Mine(Box<StepItem>),
    /// The step or branch is settled: drive what comes after it, then acknowledge.
    Settled(StepState),
    /// The message is in another stage's queue, or names another predecessor, or came before its predecessor was
    /// committed: acknowledge. The right message was sent elsewhere or will be, and the sweeper covers it.
    Mismatch(String),
    /// It moved to another class, and nobody works on it: send its message there, acknowledge. Whoever moved it may
    /// have died before sending.
    OtherClass(MemoryClass),
    /// Somebody works on it: release the message until that is over, plus jitter.
    Leased {
        /// When the lease ends, unless it is renewed.
        until: Timestamp,
        /// Since when they have been at it.
        since: Timestamp,
    },
    /// It died twice in this class without a known cause: [`escalate()`], send to the larger class, acknowledge.
    LargerClass(MemoryClass, u32),
    /// Its crash budget is spent: [`fail_spent()`].
    BudgetSpent(Box<StepItem>),
    /// Nothing refuses any more: it changed between the update and the look. Try again.
    Again,
}

impl Refusal {
    fn unknown_step(work: &Work) -> Self {
        Self::Unknown(format!("run {} has no step {}", work.run, work.step))
    }
}

/// Why the claim of a step that is not fanned out was refused; `stored` is the item that the store gave back.
/// The order matters: it says what is final before what may pass.
pub fn why_refused(
    work: &Work,
    after: Option<&StepName>,
    who: &Claimant,
    now: Timestamp,
    stored: Option<&Item>,
) -> Refusal {
    let Some(run) = stored.and_then(Item::as_run) else {
        return Refusal::Unknown(format!("there is no run {}", work.run));
    };
    if let Some(step) = run.steps.get(&work.step)
        && run.status == RunStatus::Open
        && let Some(refusal) = why_mine_or_settled(step, who)
    {
        return refusal;
    }
    if let Some(refusal) = why_run_refuses(run, work, after, who) {
        return refusal;
    }
    run.steps.get(&work.step).map_or_else(
        || Refusal::unknown_step(work),
        |step| why_slot_refuses(step, run.max.crash, who, now),
    )
}

/// Why the claim of a branch was refused; `stored` is the branch's item that the store gave back.
pub fn why_branch_refused(max_crash: u32, who: &Claimant, now: Timestamp, stored: Option<&Item>) -> Refusal {
    match stored.and_then(|item| item.slot(&Slot::Branch)) {
        // The branch as it would be born was refused, which only its class can be the cause of.
        None => Refusal::Mismatch(format!("the branch is not in class {}", who.queue.class)),
        Some(branch) => {
            why_mine_or_settled(branch, who).unwrap_or_else(|| why_slot_refuses(branch, max_crash, who, now))
        }
    }
}

fn why_mine_or_settled(step: &StepItem, who: &Claimant) -> Option<Refusal> {
    if step.owner.as_ref() == Some(&who.owner) {
        Some(Refusal::Mine(Box::new(step.clone())))
    } else if step.state.is_settled() {
        Some(Refusal::Settled(step.state))
    } else {
        None
    }
}

/// What the run itself has against the work.
fn why_run_refuses(run: &RunItem, work: &Work, after: Option<&StepName>, who: &Claimant) -> Option<Refusal> {
    let Some(step) = run.steps.get(&work.step) else {
        return Some(Refusal::unknown_step(work));
    };
    if run.status != RunStatus::Open {
        return Some(Refusal::Ended(run.status));
    }
    match (work.branch, step.is_fanned()) {
        (None, true) => {
            return Some(Refusal::Unknown(format!(
                "step {} is fanned out and the message names no branch",
                work.step
            )));
        }
        (Some(_), false) => return Some(Refusal::Unknown(format!("step {} has no branches", work.step))),
        (None, false) | (Some(_), true) => {}
    }
    if step.stage != who.queue.stage {
        return Some(Refusal::Mismatch(format!(
            "step {} belongs to stage {}",
            work.step, step.stage
        )));
    }
    if step.after.as_ref() != after {
        return Some(Refusal::Mismatch(format!(
            "the message names another predecessor of step {} than the plan",
            work.step
        )));
    }
    let is_after_committed = after.is_none_or(|after| {
        run.steps
            .get(after)
            .is_some_and(|before| before.state == StepState::Committed)
    });
    if !is_after_committed {
        return Some(Refusal::Mismatch(format!(
            "the predecessor of step {} is not committed",
            work.step
        )));
    }
    if let Some(ordinal) = work.branch
        && step.branches.is_none_or(|n| ordinal >= n)
    {
        let n = step.branches.unwrap_or(0);
        return Some(Refusal::Unknown(format!(
            "step {} has {n} branches and no branch {ordinal}",
            work.step
        )));
    }
    None
}

fn why_slot_refuses(step: &StepItem, max_crash: u32, who: &Claimant, now: Timestamp) -> Refusal {
    if step.class != who.queue.class && step.lease_is_over(now) {
        return Refusal::OtherClass(step.class);
    }
    match step.lease_until {
        Some(until) if until > now => {
            return Refusal::Leased {
                until,
                since: step.started_at.unwrap_or(now),
            };
        }
        _ => {}
    }
    if step.spent.crash >= max_crash {
        return Refusal::BudgetSpent(Box::new(step.clone()));
    }
    match step.class.next_up_to(step.largest) {
        Some(class) if step.wants_larger_class() => Refusal::LargerClass(class, step.attempt),
        _ => Refusal::Again,
    }
}

/// Moves work that died twice in its class, and whose lease is over, to the next class.
pub fn escalate(work: &Work, class: MemoryClass, attempt: u32, now: Timestamp) -> GuardedUpdate {
    let slot = work.slot();
    let mut guards = abandoned(work, attempt, now);
    guards.push(Guard::CrashBudgetLeft(slot.clone()));
    GuardedUpdate {
        key: work.key(),
        birth: None,
        guards,
        changes: vec![Change::Escalate { slot, class }],
        register: None,
    }
}

/// Fails work whose crash budget is spent and whose lease is over: it is poison. For a branch, join it as lost next.
pub fn fail_spent(work: &Work, step: &StepItem, now: Timestamp) -> GuardedUpdate {
    let slot = work.slot();
    let last = step
        .fault
        .as_ref()
        .filter(|f| f.class == FaultClass::Crash)
        .map_or("", |f| f.message.as_str());
    let message = format!(
        "step {} died {} times without a known cause, which is all it may{}{last}",
        work.step,
        step.spent.crash,
        if last.is_empty() { "" } else { "; at last: " },
    );
    let mut guards = abandoned(work, step.attempt, now);
    guards.push(Guard::CrashBudgetSpent(slot.clone()));
    let fault = Fault::new(FaultClass::Crash, message, step.attempt, now);
    let mut changes = vec![Change::Fail {
        slot,
        fault: fault.clone(),
    }];
    if work.branch.is_none() {
        changes.push(Change::End {
            status: RunStatus::Failed,
            reason: Some(fault.message),
            now,
        });
    }
    GuardedUpdate {
        key: work.key(),
        birth: None,
        guards,
        changes,
        register: None,
    }
}

fn abandoned(work: &Work, attempt: u32, now: Timestamp) -> Vec<Guard> {
    let slot = work.slot();
    let mut guards = vec![
        Guard::NotSettled(slot.clone()),
        Guard::LeaseOver(slot.clone(), now),
        Guard::AttemptIs(slot, attempt),
    ];
    if work.branch.is_none() {
        guards.push(Guard::RunOpen);
    }
    guards
}
