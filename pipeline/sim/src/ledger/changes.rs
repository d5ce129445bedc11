//! What is judged at each change.

use pipeline::GuardedUpdate;
use pipeline::change::{Change, Charge};
use pipeline::item::{FaultClass, Item, RunItem, RunStatus, Slot, StepItem, StepState};

use super::seen::is_early;
use super::{Ledger, owner_of, place_of, shown};
use crate::executor::ProcessId;
use crate::stores::{Artifacts, Items};

impl Ledger {
    pub(super) fn judge_run(&mut self, items: &Items, run: &RunItem) {
        if run.status == RunStatus::Succeeded {
            for (name, step) in &run.steps {
                if step.state != StepState::Committed {
                    self.broken(
                        "I4",
                        format!("run {} succeeded and {name} is {:?}", run.id, step.state),
                    );
                }
            }
        }
        let needs_reason = !matches!(run.status, RunStatus::Open | RunStatus::Succeeded);
        if needs_reason && run.reason.as_deref().is_none_or(str::is_empty) {
            self.broken("Q2", format!("run {} is {} for no reason", run.id, run.status));
        }
        for (name, step) in run.steps.iter().filter(|(_, step)| step.is_fanned()) {
            if step.state == StepState::Committed {
                let branches = items.branches_of(&run.id, Some(name));
                let committed = branches
                    .iter()
                    .filter(|b| b.work.state == StepState::Committed)
                    .count();
                let settled = branches.iter().filter(|b| b.work.state.is_settled()).count();
                let want = step.min_succeeded.unwrap_or(1) as usize;
                if settled < step.branches.unwrap_or(0) as usize || committed < want {
                    self.broken(
                        "I3",
                        format!(
                            "{name} of run {} is closed with {settled} branches settled and {committed} committed",
                            run.id
                        ),
                    );
                }
            }
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "what a change is judged by is all of this"
    )]
    pub(super) fn judge_change(
        &mut self,
        items: &Items,
        artifacts: &Artifacts,
        process: ProcessId,
        update: &GuardedUpdate,
        change: &Change,
        before: Option<&Item>,
        after: &Item,
    ) {
        let give_back = |ledger: &mut Self, slot: &Slot| {
            let place = place_of(after, slot);
            let account = ledger.accounts.entry(place.clone()).or_default();
            if account.spent.crash == 0 || account.deaths == 0 {
                let what = format!("{} gives back a death that was not charged", shown(&place));
                ledger.broken("I6", what);
            } else {
                account.spent.crash -= 1;
                account.deaths -= 1;
            }
        };
        match change {
            Change::Claim { slot, .. } => {
                let place = place_of(after, slot);
                let account = self.accounts.entry(place.clone()).or_default();
                account.claims += 1;
                account.spent.crash += 1;
                account.deaths += 1;
                let run = items.runs.get(&place.0);
                if run.is_none_or(|run| is_early(run, &place.1)) {
                    self.starts_early(&place);
                }
            }
            Change::Commit {
                slot,
                manifest,
                measured,
                ..
            } => {
                give_back(self, slot);
                let place = place_of(after, slot);
                let account = self.accounts.entry(place.clone()).or_default();
                let is_second = std::mem::replace(&mut account.was_committed, true);
                account.result = Some(manifest.clone());
                let attempt = account.claims;
                if is_second {
                    self.broken("I1", format!("{} is committed a second time", shown(&place)));
                }
                if !measured.cached {
                    self.judge_origin(&place, attempt, manifest);
                }
                for artifact in manifest.references() {
                    if let Err(e) = artifacts.read(&artifact) {
                        self.broken("I2", format!("{} is committed, and {e}", shown(&place)));
                    }
                }
                let held = before
                    .and_then(|item| item.slot(slot))
                    .and_then(|work| work.owner.as_ref());
                if let Some(owner) = held.or_else(|| owner_of(update)) {
                    self.late_commit(&owner.clone(), update);
                }
            }
            Change::Release { slot, charge, .. } => {
                if *charge != Charge::Crash {
                    give_back(self, slot);
                }
                let spent = &mut self.accounts.entry(place_of(after, slot)).or_default().spent;
                match charge {
                    Charge::Transient => spent.transient += 1,
                    Charge::Memory => spent.memory += 1,
                    Charge::Nothing | Charge::Crash => {}
                }
            }
            Change::Fail { slot, fault } => {
                // A fanned-out step that fails was never claimed: its branches were.
                let is_fanned = after.slot(slot).is_some_and(StepItem::is_fanned);
                if fault.class != FaultClass::Crash && !is_fanned {
                    give_back(self, slot);
                }
            }
            Change::Escalate { slot, .. } => {
                let place = place_of(after, slot);
                self.accounts.entry(place.clone()).or_default().deaths = 0;
                if after.slot(slot).is_some_and(|work| work.owner.is_some()) {
                    self.broken(
                        "I6",
                        format!(
                            "{} moves on, and process {} still holds it",
                            shown(&place),
                            process.0
                        ),
                    );
                }
            }
            Change::Renew { .. }
            | Change::Ready { .. }
            | Change::Join { .. }
            | Change::CloseFanOut { .. }
            | Change::End { .. }
            | Change::NextCheck(_)
            | Change::Resent(_)
            | Change::Deadline(_)
            | Change::Registered(_) => {}
        }
    }
}
