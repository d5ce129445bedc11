//! A store of runs that says when a run ended by what was asked of it.
//!
//! A run ends in many ways: by a commit, a failure, a fan-in, the sweeper. All of them are one update of its item, of which
//! exactly one is applied: terminal statuses never change.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pipeline::item::{BranchItem, Item, RunItem};
use pipeline::ports::{CacheEntry, Created, ListFilter, Page, PortResult, RunStore};
use pipeline::update::{Applied, GuardedUpdate};
use pipeline::{RunId, RunStatus, Sha256Digest, StepName, Timestamp};

use super::Outlets;

/// The same store; the outlets are told of runs that end.
pub fn watched(runs: Arc<dyn RunStore>, outlets: &Outlets) -> Arc<dyn RunStore> {
    match outlets.are_none() {
        true => runs,
        false => Arc::new(Watched {
            inner: runs,
            outlets: outlets.clone(),
        }),
    }
}

struct Watched {
    inner: Arc<dyn RunStore>,
    outlets: Outlets,
}

#[async_trait]
impl RunStore for Watched {
    async fn apply(&self, update: &GuardedUpdate) -> PortResult<Applied> {
        let applied = self.inner.apply(update).await?;
        if let Applied::Done(Item::Run(run)) = &applied
            && run.status != RunStatus::Open
        {
            self.outlets.ended(run);
        }
        Ok(applied)
    }

    async fn create(&self, item: &Item) -> PortResult<Created> {
        self.inner.create(item).await
    }

    async fn load(&self, run: &RunId) -> PortResult<Option<RunItem>> {
        self.inner.load(run).await
    }

    async fn load_branches(&self, run: &RunId, step: Option<&StepName>) -> PortResult<Vec<BranchItem>> {
        self.inner.load_branches(run, step).await
    }

    async fn list(&self, filter: &ListFilter, page: Option<&str>, max: usize) -> PortResult<Page> {
        self.inner.list(filter, page, max).await
    }

    async fn open_runs(&self, due: Timestamp, max: usize) -> PortResult<Vec<RunId>> {
        self.inner.open_runs(due, max).await
    }

    async fn remove(&self, run: &RunId) -> PortResult<()> {
        self.inner.remove(run).await
    }

    async fn wait_for_end(&self, run: &RunId, at_most: Duration) {
        self.inner.wait_for_end(run, at_most).await;
    }

    async fn cache_get(&self, key: &Sha256Digest) -> PortResult<Option<CacheEntry>> {
        self.inner.cache_get(key).await
    }

    async fn cache_put(&self, key: &Sha256Digest, entry: &CacheEntry) -> PortResult<()> {
        self.inner.cache_put(key, entry).await
    }

    async fn server_time(&self) -> PortResult<Timestamp> {
        self.inner.server_time().await
    }
}
