//! Guarded updates: guards and changes of one item, applied together or not at all.

use crate::change::Change;
use crate::guard::Guard;
use crate::id::RunId;
use crate::item::{BranchItem, Item, ItemKey};
use crate::registry::{Alias, Registration};

/// One conditional update, as data. [`crate::ports::RunStore::apply`] performs it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GuardedUpdate {
    /// Which item.
    pub key: ItemKey,
    /// What to start from if the item is not there: only a branch's first claim has it.
    pub birth: Option<Box<BranchItem>>,
    /// All must hold.
    pub guards: Vec<Guard>,
    /// All are applied, in order.
    pub changes: Vec<Change>,
    /// A model's version to register, and an alias to move, in the same transaction.
    pub register: Option<Box<Declared>>,
}

/// What the run's last commit does to the registry.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Declared {
    /// What the deploy step declared.
    pub registration: Registration,
    /// The version to be registered.
    pub version: crate::registry::ModelVersion,
}

impl Declared {
    /// The alias as the promotion leaves it; none if nothing is to be promoted.
    pub fn moved_alias(&self) -> Option<Alias> {
        let promotion = self.registration.promote.as_ref()?;
        Some(Alias::moved(
            self.registration.model.clone(),
            promotion.alias.clone(),
            self.version.run.clone(),
            promotion.expected_revision,
            self.version.registered_at,
            self.registration.reason.clone(),
        ))
    }
}

/// What a store says of an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// The guards held; this is the item after the changes.
    Done(Item),
    /// A guard did not hold; this is the item as it was, none if there is none.
    Refused(Option<Item>),
    /// The item's guards held, but the alias is not at the revision that was expected; nothing was changed.
    AliasMoved(Option<Alias>),
}

impl GuardedUpdate {
    /// An update of a run's item.
    pub fn run(run: &RunId, guards: Vec<Guard>, changes: Vec<Change>) -> Self {
        Self {
            key: ItemKey::Run(run.clone()),
            birth: None,
            guards,
            changes,
            register: None,
        }
    }

    /// The item after this update; or what is stored, unchanged, if a guard refuses. `stored` is what is there now.
    ///
    /// Says nothing of the registry: a store checks [`crate::registry::Promotion::holds`] in the same transaction.
    pub fn evaluate(&self, stored: Option<Item>) -> Result<Item, Option<Item>> {
        let (mut item, is_stored) = match (stored, &self.birth) {
            (Some(item), _) => (item, true),
            (None, Some(birth)) => (Item::Branch(birth.clone()), false),
            (None, None) => return Err(None),
        };
        if item.key() != self.key || !self.guards.iter().all(|guard| guard.holds(&item)) {
            return Err(is_stored.then_some(item));
        }
        for change in &self.changes {
            change.apply(&mut item);
        }
        Ok(item)
    }
}
