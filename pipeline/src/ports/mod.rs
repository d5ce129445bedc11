//! What the fleet needs of the world. No SDK type crosses a port; errors are semantic and classified once per
//! backend.
//!
//! A backend implements [`Queue`], [`ArtifactStore`], [`RunStore`], [`Registry`], [`Fleet`], [`Pipelines`] and [`Sources`]; a host (the
//! real process, or the simulator) implements [`Clock`], [`Random`] and [`Spawn`]. Each port has one conformance suite,
//! behind the feature `conformance`, that every implementation runs.

mod artifacts;
mod error;
mod fleet;
mod host;
mod pipelines;
mod queue;
mod registry;
mod runs;
mod sources;

use std::sync::Arc;

pub use artifacts::ArtifactStore;
pub use error::{ErrorKind, PortError, PortResult};
pub use fleet::{Fleet, Pause, Presence};
pub use host::{Clock, Random, Spawn};
pub use pipelines::{Entered, Pipelines};
pub use queue::{DeadLetter, DeadLetterId, Delivery, Depth, Outbound, Queue, Receipt};
pub use registry::{MovedTo, Registry, RolledBack};
pub use runs::{CacheEntry, Created, ListFilter, Page, RunStore};
pub use sources::{SourceObject, Sources};

/// One backend: everything that outlives a process.
#[derive(Clone)]
pub struct Backend {
    /// Its queues.
    pub queue: Arc<dyn Queue>,
    /// Its artifacts.
    pub artifacts: Arc<dyn ArtifactStore>,
    /// Its items.
    pub runs: Arc<dyn RunStore>,
    /// Its models.
    pub registry: Arc<dyn Registry>,
    /// Its workers, and which pools are paused.
    pub fleet: Arc<dyn Fleet>,
    /// Its named pipelines.
    pub pipelines: Arc<dyn Pipelines>,
    /// What others keep and it may read.
    pub sources: Arc<dyn Sources>,
}

/// What a process gets from its surroundings.
#[derive(Clone)]
pub struct Host {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
    /// Tasks.
    pub spawn: Arc<dyn Spawn>,
}
