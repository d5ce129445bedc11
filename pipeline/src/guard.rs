//! Guards: the conditions of a conditional update, as data.
//!
//! The local backend, the simulator and the model checker evaluate them here; a backend with a condition language
//! of its own translates them, and a differential test holds that both give the same verdict. There is no
//! hand-written second copy of a condition anywhere.

use crate::id::{Nonce, StageName, StepName};
use crate::item::{Item, MemoryClass, RunStatus, Slot, StepState};
use crate::time::Timestamp;

/// One condition on the item as it is stored.
///
/// A guard that speaks of a step, or of a kind of item, that is not there does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Guard {
    /// The run is open.
    RunOpen,
    /// The step or branch is neither committed nor failed for good.
    NotSettled(Slot),
    /// Somebody claimed it and nothing was recorded since.
    Running(Slot),
    /// It was claimed exactly this many times: the fence.
    AttemptIs(Slot, u32),
    /// This claim holds it.
    OwnerIs(Slot, Nonce),
    /// Nobody has the right to work on it at that time.
    LeaseOver(Slot, Timestamp),
    /// Its predecessor in the plan is this one (none: it is the first), and that one is committed.
    PredecessorCommitted(StepName, Option<StepName>),
    /// It is a step, and its work is not done in branches: a message that names none cannot take it.
    NotFanned(StepName),
    /// Its message belongs in the queue of this stage and class.
    PoolIs(Slot, StageName, MemoryClass),
    /// Its crash budget is not spent.
    CrashBudgetLeft(Slot),
    /// Its crash budget is spent.
    CrashBudgetSpent(Slot),
    /// It need not move to a larger class: fewer than two unexplained deaths in this one, or this is the largest.
    ClassHolds(Slot),
    /// The number of branches is known, and all of them are settled.
    DoneFull(StepName),
    /// At least as many branches succeeded as the step asks for. Speaks of settled branches only.
    EnoughSucceeded(StepName),
    /// Too few can have succeeded: settled ones minus lost ones are below what the step asks for.
    TooFewSucceeded(StepName),
    /// The run's deadline is not after that time.
    DeadlineOver(Timestamp),
    /// The sweeper's next look is set to exactly that time: its compare-and-swap.
    NextCheckIs(Timestamp),
}

impl Guard {
    /// True if the condition holds of `item`.
    pub fn holds(&self, item: &Item) -> bool {
        let run = || item.as_run();
        let slot = |slot| item.slot(slot);
        match self {
            Self::RunOpen => run().is_some_and(|r| r.status == RunStatus::Open),
            Self::NotSettled(s) => slot(s).is_some_and(|w| !w.state.is_settled()),
            Self::Running(s) => slot(s).is_some_and(|w| w.state == StepState::Running),
            Self::AttemptIs(s, attempt) => slot(s).is_some_and(|w| w.attempt == *attempt),
            Self::OwnerIs(s, owner) => slot(s).is_some_and(|w| w.owner.as_ref() == Some(owner)),
            Self::LeaseOver(s, now) => slot(s).is_some_and(|w| w.lease_is_over(*now)),
            Self::PredecessorCommitted(step, after) => run().is_some_and(|r| {
                r.steps.get(step).is_some_and(|w| w.after == *after)
                    && after
                        .as_ref()
                        .is_none_or(|a| r.steps.get(a).is_some_and(|w| w.state == StepState::Committed))
            }),
            Self::NotFanned(step) => run().is_some_and(|r| r.steps.get(step).is_some_and(|w| !w.is_fanned())),
            Self::PoolIs(s, stage, class) => slot(s).is_some_and(|w| w.stage == *stage && w.class == *class),
            Self::CrashBudgetLeft(s) => slot(s).is_some_and(|w| w.spent.crash < item.max().crash),
            Self::CrashBudgetSpent(s) => slot(s).is_some_and(|w| w.spent.crash >= item.max().crash),
            Self::ClassHolds(s) => slot(s).is_some_and(|w| !w.wants_larger_class()),
            Self::DoneFull(step) => run().is_some_and(|r| {
                r.steps
                    .get(step)
                    .and_then(|w| w.branches)
                    .is_some_and(|n| r.done_count(step) == n)
            }),
            Self::EnoughSucceeded(step) => {
                run().is_some_and(|r| succeeded(r, step).is_some_and(|(have, want)| have >= want))
            }
            Self::TooFewSucceeded(step) => {
                run().is_some_and(|r| succeeded(r, step).is_some_and(|(have, want)| have < want))
            }
            Self::DeadlineOver(now) => run().is_some_and(|r| r.deadline <= *now),
            Self::NextCheckIs(at) => run().is_some_and(|r| r.next_check == Some(*at)),
        }
    }
}

/// How many branches of `step` succeeded, and how many must; none for a step that is not fanned out.
fn succeeded(run: &crate::item::RunItem, step: &StepName) -> Option<(u32, u32)> {
    let want = run.steps.get(step)?.min_succeeded?;
    Some((run.done_count(step).saturating_sub(run.lost_count(step)), want))
}
