//! The registry of models. Registering and promoting happen in a run's last commit: see
//! [`RunStore::apply`](crate::ports::RunStore::apply).

use async_trait::async_trait;

use crate::id::{AliasName, ModelName, RunId};
use crate::ports::PortResult;
use crate::registry::{Alias, ModelVersion};
use crate::time::Timestamp;

/// Models, versions, aliases.
#[async_trait]
pub trait Registry: Send + Sync {
    /// The alias as it is now, none if it was never moved.
    async fn resolve(&self, model: &ModelName, alias: &AliasName) -> PortResult<Option<Alias>>;

    /// One version of a model.
    async fn version(&self, model: &ModelName, version: &RunId) -> PortResult<Option<ModelVersion>>;

    /// The models that have versions, by name.
    async fn models(&self) -> PortResult<Vec<ModelName>>;

    /// The versions of a model, newest first.
    async fn list(&self, model: &ModelName) -> PortResult<Vec<ModelVersion>>;

    /// Every position that the alias had, newest first.
    async fn history(&self, model: &ModelName, alias: &AliasName) -> PortResult<Vec<Alias>>;

    /// Moves the alias to the position before the present one, if it is still at revision `expected`. Repeated, it goes
    /// further back, and never returns to what was rolled back: see
    /// [`Position::before_present`](crate::registry::Position::before_present).
    async fn roll_back(
        &self,
        model: &ModelName,
        alias: &AliasName,
        expected: u64,
        reason: &str,
        now: Timestamp,
    ) -> PortResult<RolledBack>;

    /// Points the alias to a registered version, if it is still at revision `expected` (0 if it was never moved). What
    /// a person promotes by hand is a promotion like any other: it is a position of its own, and can be rolled back.
    async fn move_to(
        &self,
        model: &ModelName,
        alias: &AliasName,
        expected: u64,
        version: &RunId,
        reason: &str,
        now: Timestamp,
    ) -> PortResult<MovedTo>;
}

/// What [`Registry::move_to`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MovedTo {
    /// The alias, moved.
    Done(Alias),
    /// It is not at the expected revision; nothing was changed.
    Moved(Option<Alias>),
    /// The model has no such version; nothing was changed.
    NoVersion,
}

/// What [`Registry::roll_back`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RolledBack {
    /// The alias, moved.
    Done(Alias),
    /// It is not at the expected revision; nothing was changed.
    Moved(Option<Alias>),
    /// It has no position before this one; nothing was changed.
    NoEarlier,
}
