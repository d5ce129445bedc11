//! What holds of items whenever somebody looks at them, and of two looks at the same item. The ledger judges its own
//! changes by it, and what was seen of stores of which it does not watch every change.

use pipeline::Manifest;
use pipeline::id::StepName;
use pipeline::item::{Budget, Item, RunItem, RunStatus, StepItem, StepState};
use pipeline::registry::Alias;

use super::{Ledger, Place, shown, steps_of};
use crate::stores::Items;

impl Ledger {
    /// Somebody looked at an item, and at `before` the last time.
    pub fn seen(&mut self, items: &Items, before: Option<&Item>, after: &Item) {
        self.judge_run_change(items, before, after);
        let (run, max) = (after.as_run(), after.max());
        for (place, step) in steps_of(after) {
            self.judge_spent(&place, step, max);
            self.judge_result(&place, step);
            let account = self.accounts.entry(place.clone()).or_default();
            let last = std::mem::replace(&mut account.claims, step.attempt);
            if step.attempt < last {
                let what = format!(
                    "{} is at attempt {}, after attempt {last}",
                    shown(&place),
                    step.attempt
                );
                self.broken("I1", what);
            }
            if step.attempt > 0 && run.is_some_and(|run| is_early(run, &place.1)) {
                self.starts_early(&place);
            }
            if step.state != StepState::Committed {
                continue;
            }
            let account = self.accounts.entry(place.clone()).or_default();
            account.was_committed = true;
            account.result.clone_from(&step.manifest);
            // What was looked up or taken over has another's name on it.
            let is_cached = step.measured.as_ref().is_some_and(|measured| measured.cached);
            let resumes = items.runs.get(&place.0).is_some_and(|run| run.parent.is_some());
            let is_own = !is_cached && !resumes;
            if let Some(manifest) = step.manifest.as_ref().filter(|_| is_own) {
                self.judge_origin(&place, step.attempt, manifest);
            }
        }
    }

    pub(super) fn judge_run_change(&mut self, items: &Items, before: Option<&Item>, after: &Item) {
        let Item::Run(now) = after else { return };
        if let Some(Item::Run(then)) = before
            && then.status != RunStatus::Open
            && then != now
        {
            self.broken(
                "I5",
                format!("run {} was {} and changed to {}", now.id, then.status, now.status),
            );
        }
        self.judge_run(items, now);
    }

    pub(super) fn judge_spent(&mut self, place: &Place, step: &StepItem, max: Budget) {
        let spent = step.spent;
        if spent.crash > max.crash || spent.transient > max.transient || spent.memory > max.memory {
            self.broken("I6", format!("{} has spent {spent:?} of {max:?}", shown(place)));
        }
    }

    /// What was committed stays as it was.
    pub(super) fn judge_result(&mut self, place: &Place, step: &StepItem) {
        let account = self.accounts.entry(place.clone()).or_default();
        if account.was_committed && (step.state != StepState::Committed || step.manifest != account.result) {
            self.broken("I1", format!("{} was committed, and is another", shown(place)));
        }
    }

    pub(super) fn judge_origin(&mut self, place: &Place, attempt: u32, manifest: &Manifest) {
        let origin = &manifest.origin;
        let its = (&origin.run, &origin.step, origin.ordinal, origin.attempt);
        if its != (&place.0, &place.1, place.2.unwrap_or(0), attempt) {
            self.broken(
                "I1",
                format!(
                    "{}, attempt {attempt}: commits what {origin:?} wrote",
                    shown(place)
                ),
            );
        }
    }

    pub(super) fn starts_early(&mut self, place: &Place) {
        self.broken(
            "I3",
            format!("{} starts before its inputs are there", shown(place)),
        );
    }

    /// That run moved an alias there, from revision `present`.
    pub fn promoted(&mut self, run: &RunItem, moved: &Alias, present: u64) {
        let id = run.id.clone();
        let seen = self.declared.get(&run.spec).cloned();
        let wanted = (moved.model.clone(), moved.name.clone(), moved.revision - 1);
        if seen.as_ref() != Some(&wanted) {
            self.broken(
                "P1",
                format!(
                    "run {id} promotes over revision {}, and was told of {seen:?}",
                    wanted.2
                ),
            );
        }
        if moved.revision != present + 1 {
            self.broken(
                "P1",
                format!(
                    "run {id} promotes over revision {}, and it is {present}",
                    moved.revision - 1
                ),
            );
        }
        if self.promotions.values().any(|other| *other == id) {
            self.broken("P1", format!("run {id} promotes twice"));
        }
        let key = (moved.model.clone(), moved.name.clone(), moved.revision);
        self.promotions.insert(key, id);
    }
}

/// True if a step before that one has no result yet.
pub(super) fn is_early(run: &RunItem, step: &StepName) -> bool {
    let mut earlier = run.steps_in_order().take_while(|(name, _)| *name != step);
    earlier.any(|(_, step)| step.state != StepState::Committed)
}
