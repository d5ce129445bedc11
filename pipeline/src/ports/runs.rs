//! Items: conditional updates on single items, and two indexes.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;

use crate::artifact::Manifest;
use crate::digest::Sha256Digest;
use crate::id::{PipelineName, RunId, StepName};
use crate::item::{BranchItem, Item, RunItem, RunStatus};
use crate::ports::PortResult;
use crate::stage::Outcome;
use crate::time::Timestamp;
use crate::update::{Applied, GuardedUpdate};

/// Run and branch items, and the cache. Reads are consistent unless they say otherwise.
#[async_trait]
pub trait RunStore: Send + Sync {
    /// Stores the item if there is none under its key.
    async fn create(&self, item: &Item) -> PortResult<Created>;

    /// A run's item.
    async fn load(&self, run: &RunId) -> PortResult<Option<RunItem>>;

    /// The branch items of one step, or of all steps, by ordinal.
    async fn load_branches(&self, run: &RunId, step: Option<&StepName>) -> PortResult<Vec<BranchItem>>;

    /// Performs one guarded update, registry included, in one transaction.
    async fn apply(&self, update: &GuardedUpdate) -> PortResult<Applied>;

    /// Runs by creation time, newest first, by an index that may lag.
    async fn list(&self, filter: &ListFilter, page: Option<&str>, max: usize) -> PortResult<Page>;

    /// Open runs whose next check is not after `due`, earliest first, by an index that may lag.
    async fn open_runs(&self, due: Timestamp, max: usize) -> PortResult<Vec<RunId>>;

    /// Removes a run's item and its branches'. Only garbage collection calls it, for runs that ended.
    async fn remove(&self, run: &RunId) -> PortResult<()>;

    /// Returns when the run may have ended, or after `at_most`. Where a backend cannot tell, it just waits.
    async fn wait_for_end(&self, run: &RunId, at_most: Duration);

    /// What is cached under the key.
    async fn cache_get(&self, key: &Sha256Digest) -> PortResult<Option<CacheEntry>>;

    /// Caches a committed result; replaces what was there.
    async fn cache_put(&self, key: &Sha256Digest, entry: &CacheEntry) -> PortResult<()>;

    /// The backend's own time, by which a worker judges its clock.
    async fn server_time(&self) -> PortResult<Timestamp>;
}

/// What [`RunStore::create`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Created {
    /// It is stored.
    New,
    /// Another item was there, and still is.
    Exists(Box<Item>),
}

/// Which runs to list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListFilter {
    /// Of this pipeline only.
    pub pipeline: Option<PipelineName>,
    /// With this status only.
    pub status: Option<RunStatus>,
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// The runs of this part.
    pub runs: Vec<RunItem>,
    /// Where the next part begins, none if this was the last.
    pub next: Option<String>,
}

/// A committed result that may serve again.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct CacheEntry {
    /// What was written.
    pub manifest: Manifest,
    /// How the stage ended.
    pub outcome: Outcome,
    /// What the result depends on, part by part: its key is made of them.
    pub parts: BTreeMap<String, Sha256Digest>,
    /// When it was cached.
    pub cached_at: Timestamp,
}
