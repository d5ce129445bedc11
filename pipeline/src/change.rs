//! Changes: what a conditional update does to an item once its guards hold, as data.

use crate::artifact::Manifest;
use crate::id::{Nonce, StepName};
use crate::item::{
    Demand, Fault, FaultClass, Item, Measured, MemoryClass, RunStatus, Slot, StepItem, StepState,
};
use crate::registry::Registered;
use crate::time::Timestamp;

/// What a recorded outcome charges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Charge {
    /// Nothing: gives the crash of the claim back.
    Nothing,
    /// A transient failure, for the crash of the claim.
    Transient,
    /// A death of memory, for the crash of the claim.
    Memory,
    /// The death had no known cause: the crash of the claim stays spent.
    Crash,
}

/// One change. An update applies all of its changes, in order, or none.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Change {
    /// A worker takes the step: attempt, crash budget and deaths in this class grow by one.
    Claim {
        /// What is claimed.
        slot: Slot,
        /// By which claim.
        owner: Nonce,
        /// When.
        now: Timestamp,
        /// Until when it may work.
        lease_until: Timestamp,
        /// The component's version.
        version: String,
    },
    /// The lease is extended.
    Renew {
        /// Whose lease.
        slot: Slot,
        /// Until when.
        lease_until: Timestamp,
    },
    /// The attempt's result becomes the step's result.
    Commit {
        /// What is committed.
        slot: Slot,
        /// What was written.
        manifest: Manifest,
        /// When.
        now: Timestamp,
        /// What was measured of it.
        measured: Measured,
    },
    /// The attempt ended without a result, and the step may be claimed again.
    Release {
        /// What is released.
        slot: Slot,
        /// What it costs.
        charge: Charge,
        /// What went wrong.
        fault: Fault,
        /// From when it can be worked on again.
        ready_at: Timestamp,
    },
    /// The step or branch failed for good.
    Fail {
        /// What failed.
        slot: Slot,
        /// What went wrong.
        fault: Fault,
    },
    /// The step's message moves to the queue of another class. Whoever held it is taken for dead, as its lease was over,
    /// and can commit nothing any more.
    Escalate {
        /// What moves.
        slot: Slot,
        /// To which class.
        class: MemoryClass,
    },
    /// The step's predecessor is committed: it can be worked on.
    Ready {
        /// Which step.
        step: StepName,
        /// Since when.
        at: Timestamp,
        /// In which class's queue.
        class: MemoryClass,
        /// What it is estimated to take, if that can be.
        demand: Option<Demand>,
        /// How many branches, if its predecessor decided that.
        branches: Option<u32>,
    },
    /// One branch joins the settled ones. Adding it twice is adding it once, and if it is said to be lost and not to be,
    /// it is not: a backend may keep the settled and the successful ones as two sets that only grow.
    Join {
        /// Of which step.
        step: StepName,
        /// Which branch.
        ordinal: u32,
        /// Whether it failed for good.
        lost: bool,
    },
    /// A fanned-out step whose branches are all settled becomes committed.
    CloseFanOut {
        /// Which step.
        step: StepName,
        /// When.
        now: Timestamp,
    },
    /// The run ends.
    End {
        /// How.
        status: RunStatus,
        /// Why, for every end but success.
        reason: Option<String>,
        /// When.
        now: Timestamp,
    },
    /// The sweeper looks again at that time.
    NextCheck(Timestamp),
    /// The sweeper sends the step's message again.
    Resent(StepName),
    /// The run may take until that time.
    Deadline(Timestamp),
    /// What became of the declared registration.
    Registered(Registered),
}

impl Change {
    /// Applies the change. A change that speaks of what the item does not have does nothing; updates guard against
    /// that by naming the same slot in a guard.
    pub fn apply(&self, item: &mut Item) {
        match self {
            Self::Claim {
                slot,
                owner,
                now,
                lease_until,
                version,
            } => {
                if let Some(work) = item.slot_mut(slot) {
                    work.state = StepState::Running;
                    work.attempt += 1;
                    work.spent.crash += 1;
                    work.deaths += 1;
                    work.resent = 0;
                    work.owner = Some(owner.clone());
                    work.lease_until = Some(*lease_until);
                    work.started_at = Some(*now);
                    work.version = Some(version.clone());
                }
            }
            Self::Renew { slot, lease_until } => {
                if let Some(work) = item.slot_mut(slot) {
                    work.lease_until = Some(*lease_until);
                }
            }
            Self::Commit {
                slot,
                manifest,
                now,
                measured,
            } => {
                if let Some(work) = item.slot_mut(slot) {
                    settle(work, StepState::Committed, *now);
                    give_crash_back(work);
                    work.manifest = Some(manifest.clone());
                    work.measured = Some(measured.clone());
                }
            }
            Self::Release {
                slot,
                charge,
                fault,
                ready_at,
            } => {
                if let Some(work) = item.slot_mut(slot) {
                    let_go(work);
                    work.ready_at = Some(*ready_at);
                    work.fault = Some(fault.clone());
                    match charge {
                        Charge::Crash => {}
                        Charge::Nothing => give_crash_back(work),
                        Charge::Transient => {
                            give_crash_back(work);
                            work.spent.transient += 1;
                        }
                        Charge::Memory => {
                            give_crash_back(work);
                            work.spent.memory += 1;
                        }
                    }
                }
            }
            Self::Fail { slot, fault } => {
                if let Some(work) = item.slot_mut(slot) {
                    settle(work, StepState::Failed, fault.at);
                    if fault.class != FaultClass::Crash {
                        give_crash_back(work);
                    }
                    work.fault = Some(fault.clone());
                }
            }
            Self::Escalate { slot, class } => {
                if let Some(work) = item.slot_mut(slot) {
                    let_go(work);
                    work.class = *class;
                    work.deaths = 0;
                }
            }
            Self::Ready {
                step,
                at,
                class,
                demand,
                branches,
            } => {
                if let Some(work) = item.slot_mut(&Slot::Step(step.clone())) {
                    work.ready_at = Some(*at);
                    work.class = *class;
                    work.demand.clone_from(demand);
                    if branches.is_some() {
                        work.branches = *branches;
                    }
                }
            }
            Self::Join { step, ordinal, lost } => {
                if let Item::Run(run) = item {
                    let is_new = run.done.entry(step.clone()).or_default().insert(*ordinal);
                    if *lost && is_new {
                        run.lost.entry(step.clone()).or_default().insert(*ordinal);
                    } else if !*lost && let Some(losses) = run.lost.get_mut(step) {
                        losses.remove(ordinal);
                        if losses.is_empty() {
                            run.lost.remove(step);
                        }
                    }
                }
            }
            Self::CloseFanOut { step, now } => {
                if let Some(work) = item.slot_mut(&Slot::Step(step.clone())) {
                    work.state = StepState::Committed;
                    work.ended_at = Some(*now);
                }
            }
            Self::End { status, reason, now } => {
                if let Item::Run(run) = item {
                    run.status = *status;
                    run.reason = reason.clone();
                    run.ended_at = Some(*now);
                    run.next_check = None;
                }
            }
            Self::NextCheck(at) => {
                if let Item::Run(run) = item {
                    run.next_check = Some(*at);
                }
            }
            Self::Resent(step) => {
                if let Some(work) = item.slot_mut(&Slot::Step(step.clone())) {
                    work.resent += 1;
                }
            }
            Self::Deadline(at) => {
                if let Item::Run(run) = item {
                    run.deadline = *at;
                }
            }
            Self::Registered(registered) => {
                if let Item::Run(run) = item {
                    run.registered = Some(registered.clone());
                }
            }
        }
    }
}

/// Nobody holds it, and it may be claimed.
fn let_go(work: &mut StepItem) {
    work.state = StepState::Pending;
    work.owner = None;
    work.lease_until = None;
}

fn settle(work: &mut StepItem, state: StepState, now: Timestamp) {
    work.state = state;
    work.owner = None;
    work.lease_until = None;
    work.ended_at = Some(now);
}

fn give_crash_back(work: &mut StepItem) {
    work.spent.crash = work.spent.crash.saturating_sub(1);
    work.deaths = work.deaths.saturating_sub(1);
}
