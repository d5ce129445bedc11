//! The sweeper.
//!
//! It has no state of its own. It may die after each thing that it does, and whatever it might do with a read that
//! has become stale is done by workers too: the same joins and closings, late, and messages that arrive late. So each
//! thing that it does is one transition, from a fresh read.

use std::sync::Arc;
use std::time::Duration;

use pipeline::item::Placement;
use pipeline::protocol::{self, Drive, Sweep};
use pipeline::{BranchItem, GuardedUpdate, Item};

use super::items::{DEADLINE, ItemId, LATE, NOW};
use super::mutant::Mutant;
use super::protocol::Protocol;
use super::state::{Messages, State};

/// What the sweeper may do about an open run.
#[derive(Debug, Clone)]
pub(super) struct Swept {
    /// The run after its compare-and-swap of the next look, which precedes everything below.
    pub(super) looked: ItemId,
    /// The run after each join of a settled branch.
    pub(super) joined: Vec<ItemId>,
    /// The run after its full fan-out was closed.
    pub(super) closed: Option<ItemId>,
    /// Messages that it sends, if they have not been taken up for long enough.
    pub(super) messages: Messages,
    /// The run after its deadline.
    pub(super) expired: ItemId,
}

impl Protocol {
    /// What the sweeper may do in `state`, whose run is open.
    pub(super) fn swept(&self, state: &State) -> Arc<Swept> {
        self.sweeps
            .get((state.run, state.branches), || Arc::new(self.sweep_anew(state)))
    }

    fn sweep_anew(&self, state: &State) -> Swept {
        let item = self.items.get(state.run).expect("a state holds its run");
        let run = item.as_run().expect("a run's item is a run");
        let branches: Vec<BranchItem> = state
            .branches
            .iter()
            .filter_map(|id| self.items.get(*id))
            .filter_map(|item| match &*item {
                Item::Branch(branch) => Some((**branch).clone()),
                Item::Run(_) => None,
            })
            .collect();
        let apply = |update: GuardedUpdate, to: ItemId| {
            let stored = self.items.get(to);
            self.evaluate(update, stored.as_deref()).0.ok()
        };
        let Sweep::Fail(overdue) = protocol::sweep(run, &branches, Duration::ZERO, DEADLINE) else {
            unreachable!("an open run is overdue at its deadline");
        };
        let Sweep::Look {
            moved,
            joins,
            fan_in,
            messages,
        } = protocol::sweep(run, &branches, Duration::ZERO, LATE)
        else {
            unreachable!("an open run is looked at once its time has come");
        };
        let looked = apply(moved, state.run).expect("nobody looked since this read");
        let joins = if self.is(Mutant::SweeperForgetsBranches) {
            Vec::new()
        } else {
            joins
        };
        let closed = match protocol::drive(run) {
            Drive::FanIn(full) if fan_in.as_ref() == Some(&full) => {
                protocol::fan_in(run, &full, &Placement::default(), NOW)
                    .and_then(|update| apply(update, looked))
            }
            Drive::FanIn(_) | Drive::Send(_) | Drive::Nothing => None,
        };
        Swept {
            looked,
            joined: joins.into_iter().filter_map(|join| apply(join, looked)).collect(),
            closed,
            messages: self.numbers(&messages),
            expired: apply(overdue, state.run).expect("the run is open"),
        }
    }
}
