//! Judging states by the invariants.

use std::sync::Arc;

use pipeline::{Item, Slot, StepState};

use super::invariant::{Broken, Invariant};
use super::items::{ItemId, is_over, results, works};
use super::protocol::{Protocol, digest};
use super::state::{Place, State};
use pipeline::protocol::Work;

/// What the invariants ask about an item, looked up once per item.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    /// Broken by the item alone.
    pub(super) broken: Broken,
    /// Its committed results: where each says its bytes lie, and which claim's bytes those must be.
    pub(super) results: Vec<(Place, u32, u8)>,
}

impl Protocol {
    /// What is broken in a state.
    pub fn broken(&self, state: &State) -> Broken {
        let mut broken = state.broken;
        for id in state
            .branches
            .iter()
            .chain([&state.run])
            .filter(|id| id.is_some())
        {
            let facts = self.facts(*id);
            broken.add(facts.broken);
            let is_missing =
                |(place, key, claim): &(Place, u32, u8)| state.objects.get(*place, *key) != *claim;
            broken.note(Invariant::I2, facts.results.iter().any(is_missing));
        }
        let Some(item) = self.items.get(state.run) else {
            return broken;
        };
        let Some(run) = item.as_run() else { return broken };
        let has_promoted = run.registered.as_ref().is_some_and(|r| r.promoted.is_some());
        let is_success = run.status == pipeline::RunStatus::Succeeded;
        broken.note(
            Invariant::P1,
            (state.promotions > 0) != (has_promoted && is_success),
        );
        if is_success {
            for step in run
                .steps
                .values()
                .filter(|work| work.state == StepState::Committed)
            {
                if let (Some(n), Some(want)) = (step.branches, step.min_succeeded) {
                    broken.note(Invariant::I4, !self.are_settled(state, n, want));
                }
            }
        }
        broken
    }

    /// What the invariants ask about an item.
    pub(super) fn facts(&self, id: ItemId) -> Arc<Facts> {
        self.facts.get(id, || {
            let item = self.items.get(id);
            Arc::new(item.map_or_else(Facts::default, |item| self.look_up(&item)))
        })
    }

    fn look_up(&self, item: &Item) -> Facts {
        let mut broken = Broken::default();
        let max = item.max();
        let is_overspent = |work: &pipeline::StepItem| {
            work.spent.crash > max.crash
                || work.spent.transient > max.transient
                || work.spent.memory > max.memory
        };
        broken.note(Invariant::I6, works(item).any(is_overspent));
        if let Item::Run(run) = item {
            let is_ended_well = run.status == pipeline::RunStatus::Succeeded;
            let is_unfinished = run.steps.values().any(|work| work.state != StepState::Committed);
            broken.note(Invariant::I4, is_ended_well && is_unfinished);
            broken.note(
                Invariant::Q2,
                is_over(run) && !is_ended_well && run.reason.is_none(),
            );
        }
        let results = results(item)
            .flat_map(|manifest| manifest.references())
            .filter_map(|artifact| {
                let pipeline::ArtifactKey::Attempt(origin, _) = artifact.key else {
                    return None;
                };
                let is_origin =
                    |work: &Work| work.step == origin.step && work.branch.unwrap_or(0) == origin.ordinal;
                let place = Place(self.places.iter().position(is_origin)? as u8);
                let claim = (1..=u8::MAX).find(|claim| digest(place, *claim) == artifact.sha256)?;
                Some((place, self.key_of(origin.attempt), claim))
            })
            .collect();
        Facts { broken, results }
    }

    /// True if the branches' items, together, make their step a success.
    pub(super) fn are_inputs_committed(&self, state: &State, place: Place) -> bool {
        let Some(item) = self.items.get(state.run) else {
            return false;
        };
        let Some(run) = item.as_run() else { return false };
        let Some(before) = run
            .steps
            .get(&self.work(place).step)
            .and_then(|work| work.after.as_ref())
        else {
            return true;
        };
        let Some(work) = run.steps.get(before) else {
            return false;
        };
        if work.state != StepState::Committed {
            return false;
        }
        let (Some(n), Some(want)) = (work.branches, work.min_succeeded) else {
            return !work.is_fanned();
        };
        self.are_settled(state, n, want)
    }

    /// True if `n` branches are settled and `want` of them are committed.
    pub(super) fn are_settled(&self, state: &State, n: u32, want: u32) -> bool {
        let states: Vec<StepState> = state
            .branches
            .iter()
            .filter_map(|id| self.items.get(*id))
            .filter_map(|item| item.slot(&Slot::Branch).map(|work| work.state))
            .filter(|state| state.is_settled())
            .collect();
        let committed = states
            .iter()
            .filter(|state| **state == StepState::Committed)
            .count();
        states.len() == n as usize && committed >= want as usize
    }
}

/// What an update broke that both of its sides show: a settled result or a terminal status changed.
pub(super) fn broken_between(before: &Item, after: &Item) -> Broken {
    let mut broken = Broken::default();
    for (old, new) in works(before).zip(works(after)) {
        let is_same = old.state == new.state && old.manifest == new.manifest;
        broken.note(Invariant::I1, old.state.is_settled() && !is_same);
    }
    if let (Some(old), Some(new)) = (before.as_run(), after.as_run()) {
        broken.note(
            Invariant::I5,
            is_over(old) && (old.status != new.status || old.registered != new.registered),
        );
    }
    broken
}
