//! The items of a state, interned: equal items are one number, so that states are small and quick to compare.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use pipeline::artifact::Manifest;
use pipeline::{Item, RunItem, RunStatus, StepItem, StepState, Timestamp};

/// When everything is recorded: the model has no clock. See [`normalise`].
pub(super) const NOW: Timestamp = Timestamp(1_000);
/// When every lease ends that somebody holds.
pub(super) const LEASE_END: Timestamp = Timestamp(31_000);
/// When the sweeper looks next at every open run.
pub(super) const NEXT_CHECK: Timestamp = Timestamp(601_000);
/// A time at which every lease is over and every message counts as lost, and no deadline has passed.
pub(super) const LATE: Timestamp = Timestamp(1_000_000_000);
/// When every run is overdue.
pub(super) const DEADLINE: Timestamp = Timestamp(1_000_000_000_000);

/// An interned item; [`ItemId::NONE`] where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemId(u32);

impl ItemId {
    /// No item.
    pub const NONE: Self = Self(0);

    /// True if it is the number of an item.
    pub fn is_some(self) -> bool {
        self != Self::NONE
    }
}

/// All items that any state holds.
#[derive(Default)]
pub(super) struct Items(RwLock<Interned>);

#[derive(Default)]
struct Interned {
    ids: HashMap<Arc<Item>, ItemId>,
    items: Vec<Arc<Item>>,
}

impl Items {
    /// The number of `item` in its normal form.
    pub(super) fn intern(&self, mut item: Item) -> ItemId {
        normalise(&mut item);
        if let Some(id) = self
            .0
            .read()
            .expect("no holder of this lock panics")
            .ids
            .get(&item)
        {
            return *id;
        }
        let mut interned = self.0.write().expect("no holder of this lock panics");
        if let Some(id) = interned.ids.get(&item) {
            return *id;
        }
        let item = Arc::new(item);
        interned.items.push(item.clone());
        let id = ItemId(u32::try_from(interned.items.len()).expect("memory ends long before 2^32 items"));
        interned.ids.insert(item, id);
        id
    }

    /// The item of that number.
    pub(super) fn get(&self, id: ItemId) -> Option<Arc<Item>> {
        let at = (id.0 as usize).checked_sub(1)?;
        let interned = self.0.read().expect("no holder of this lock panics");
        interned.items.get(at).cloned()
    }
}

/// Brings an item into the form in which it differs from another only if they may behave differently.
///
/// * Times: only *whether* one is recorded is kept. Every guard that reads one is evaluated both before and after
///   it, whatever really passed, so no order of events that a clock could produce is left out.
/// * `resent`: it only spaces the sweeper's messages, and the model's sweeper may send at any time.
/// * Texts for people: of a reason, that there is one; of the last fault, nothing.
fn normalise(item: &mut Item) {
    match item {
        Item::Branch(branch) => normalise_work(&mut branch.work),
        Item::Run(run) => {
            run.steps.values_mut().for_each(normalise_work);
            run.ended_at = run.ended_at.map(|_| NOW);
            run.next_check = run.next_check.map(|_| NEXT_CHECK);
            run.reason = run
                .reason
                .take()
                .filter(|reason| !reason.is_empty())
                .map(|_| "because".into());
            if let Some(registered) = &mut run.registered {
                registered.reason.clear();
            }
        }
    }
}

fn normalise_work(work: &mut StepItem) {
    work.lease_until = work.lease_until.map(|_| LEASE_END);
    for at in [&mut work.ready_at, &mut work.started_at, &mut work.ended_at] {
        *at = at.map(|_| NOW);
    }
    work.resent = 0;
    work.fault = None;
}

/// Every committed result of an item, with the step that has it.
pub(super) fn results(item: &Item) -> impl Iterator<Item = &Manifest> {
    works(item)
        .filter(|work| work.state == StepState::Committed)
        .filter_map(|work| work.manifest.as_ref())
}

/// The steps of a run, or the only work of a branch.
pub(super) fn works(item: &Item) -> Box<dyn Iterator<Item = &StepItem> + '_> {
    match item {
        Item::Run(run) => Box::new(run.steps.values()),
        Item::Branch(branch) => Box::new(std::iter::once(&branch.work)),
    }
}

/// True if the run has ended.
pub(super) fn is_over(run: &RunItem) -> bool {
    run.status != RunStatus::Open
}
