//! Mutants: protocols with one mistake each, which the checker must catch.

use std::fmt;
use std::str::FromStr;

use pipeline::change::Change;
use pipeline::guard::Guard;
use pipeline::item::RunStatus;
use pipeline::{GuardedUpdate, Item};

use super::items::NOW;

/// One mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mutant {
    /// The commit has no guards: neither the run's status nor the fence.
    CommitUnguarded,
    /// All attempts of a step write to the same key.
    KeySharedByAttempts,
    /// The result is committed, then its artifacts are put.
    CommitBeforePut,
    /// The claim does not ask whether the predecessor is committed.
    ClaimWithoutPredecessor,
    /// The fan-in counts joins instead of collecting ordinals.
    FanInCounter,
    /// What looked abandoned is given back without a guard.
    UnconditionalRescuer,
    /// The commit does not ask whether the run is open.
    CommitIgnoresCancel,
    /// The next step's message is sent before the commit, and not after it.
    SendBeforeCommit,
    /// Both of the above: the claim is what makes an early message harmless.
    SendBeforeCommitAndClaimWithoutPredecessor,
    /// Nobody sends again what was lost.
    NoSweeper,
    /// The message is deleted before the next one is sent.
    DeleteBeforeSend,
    /// A redelivery of committed work is just acknowledged.
    NoRedrive,
    /// The sweeper does not join committed branches.
    SweeperForgetsBranches,
    /// A recorded failure counts the attempt down again.
    AttemptRefunded,
    /// The alias is moved by a request of its own.
    PromotionOutsideCommit,
    /// The commit moves the alias whatever its revision is.
    PromotionIgnoresRevision,
    /// The claim does not ask whether the crash budget is spent.
    ClaimIgnoresBudget,
    /// The commit of any step ends the run.
    CommitEndsRun,
    /// The fan-out is closed when its first branch is settled.
    CloseNotFull,
    /// A dead letter has no reason.
    DeadLetterWithoutReason,
    /// A run is ended without a reason.
    EndWithoutReason,
    /// No claim ever finds a lease over.
    LeaseNeverOver,
}

impl fmt::Display for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&kebab(&format!("{self:?}")))
    }
}

impl FromStr for Mutant {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|mutant| mutant.to_string() == text)
            .ok_or_else(|| {
                let names: Vec<String> = Self::ALL.iter().map(Self::to_string).collect();
                format!("there is no mutant {text:?}; use one of {}", names.join(", "))
            })
    }
}

/// `CommitBeforePut` as `commit-before-put`.
fn kebab(name: &str) -> String {
    let mut text = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !text.is_empty() {
            text.push('-');
        }
        text.extend(letter.to_lowercase());
    }
    text
}

impl Mutant {
    /// All of them.
    pub const ALL: [Self; 22] = [
        Self::CommitUnguarded,
        Self::KeySharedByAttempts,
        Self::CommitBeforePut,
        Self::ClaimWithoutPredecessor,
        Self::FanInCounter,
        Self::UnconditionalRescuer,
        Self::CommitIgnoresCancel,
        Self::SendBeforeCommit,
        Self::SendBeforeCommitAndClaimWithoutPredecessor,
        Self::NoSweeper,
        Self::DeleteBeforeSend,
        Self::NoRedrive,
        Self::SweeperForgetsBranches,
        Self::AttemptRefunded,
        Self::PromotionOutsideCommit,
        Self::PromotionIgnoresRevision,
        Self::ClaimIgnoresBudget,
        Self::CommitEndsRun,
        Self::CloseNotFull,
        Self::DeadLetterWithoutReason,
        Self::EndWithoutReason,
        Self::LeaseNeverOver,
    ];

    /// True if this sends before it commits.
    pub(super) fn sends_early(self) -> bool {
        matches!(
            self,
            Self::SendBeforeCommit | Self::SendBeforeCommitAndClaimWithoutPredecessor
        )
    }

    /// Puts the mistake into an update. `stored` is the item that it is about to be applied to.
    pub(super) fn alter(self, update: &mut GuardedUpdate, stored: Option<&Item>) {
        let is_claim = update.changes.iter().any(|c| matches!(c, Change::Claim { .. }));
        let is_commit = update.changes.iter().any(|c| matches!(c, Change::Commit { .. }));
        let drop_guards =
            |update: &mut GuardedUpdate, drops: fn(&Guard) -> bool| update.guards.retain(|g| !drops(g));
        match self {
            Self::CommitUnguarded if is_commit => update.guards.clear(),
            Self::CommitIgnoresCancel if is_commit => drop_guards(update, |g| matches!(g, Guard::RunOpen)),
            Self::CommitEndsRun if is_commit => {
                update.changes.push(Change::End {
                    status: RunStatus::Succeeded,
                    reason: None,
                    now: NOW,
                });
            }
            Self::PromotionOutsideCommit if is_commit => update.register = None,
            Self::ClaimWithoutPredecessor | Self::SendBeforeCommitAndClaimWithoutPredecessor if is_claim => {
                drop_guards(update, |g| matches!(g, Guard::PredecessorCommitted(..)));
            }
            Self::ClaimIgnoresBudget if is_claim => {
                drop_guards(update, |g| matches!(g, Guard::CrashBudgetLeft(_)))
            }
            Self::LeaseNeverOver if is_claim => {
                for guard in &mut update.guards {
                    if let Guard::LeaseOver(_, now) = guard {
                        *now = NOW;
                    }
                }
            }
            Self::CloseNotFull => drop_guards(update, |g| matches!(g, Guard::DoneFull(_))),
            Self::EndWithoutReason => {
                for change in &mut update.changes {
                    if let Change::End { reason, .. } = change {
                        *reason = None;
                    }
                }
            }
            Self::FanInCounter => {
                for change in &mut update.changes {
                    if let Change::Join { step, ordinal, .. } = change {
                        *ordinal = stored
                            .and_then(Item::as_run)
                            .map_or(0, |run| run.done_count(step));
                    }
                }
            }
            _ => {}
        }
    }

    /// Puts the mistake into what an update left, where no change of the real protocol expresses it.
    pub(super) fn spoil(self, update: &GuardedUpdate, item: &mut Item) {
        if self != Self::AttemptRefunded {
            return;
        }
        for change in &update.changes {
            if let Change::Release { slot, .. } = change
                && let Some(work) = item.slot_mut(slot)
            {
                work.attempt -= 1;
            }
        }
    }
}
