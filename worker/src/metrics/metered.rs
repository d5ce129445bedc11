//! A backend that counts the calls to another.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pipeline::id::{AliasName, ModelName, PipelineName};
use pipeline::intake::Definition;
use pipeline::item::{BranchItem, Item, RunItem};
use pipeline::ports::{
    ArtifactStore, Backend, CacheEntry, Created, DeadLetter, DeadLetterId, Delivery, Depth, Entered, Fleet,
    ListFilter, MovedTo, Outbound, Page, Pause, Pipelines, PortError, PortResult, Presence, Queue, Receipt,
    Registry, RolledBack, RunStore, SourceObject, Sources,
};
use pipeline::registry::{Alias, ModelVersion};
use pipeline::update::{Applied, GuardedUpdate};
use pipeline::{
    ArtifactKey, ArtifactRef, QueueName, RunId, Sha256Digest, StageName, StepName, Timestamp, WorkerId,
};

use super::{Calls, Metrics};

/// The same backend, with every call counted by service, operation and what came of it.
pub fn metered(backend: Backend, metrics: &Metrics) -> Backend {
    Backend {
        queue: Arc::new(MeteredQueue::new(backend.queue, metrics)),
        artifacts: Arc::new(MeteredArtifacts::new(backend.artifacts, metrics)),
        runs: Arc::new(MeteredRuns::new(backend.runs, metrics)),
        registry: Arc::new(MeteredRegistry::new(backend.registry, metrics)),
        fleet: Arc::new(MeteredFleet::new(backend.fleet, metrics)),
        pipelines: Arc::new(MeteredPipelines::new(backend.pipelines, metrics)),
        sources: Arc::new(MeteredSources::new(backend.sources, metrics)),
    }
}

/// A decorator of one port: the port itself, and the counters of each of its operations.
macro_rules! decorator {
    ($name:ident of $port:ident as $service:literal { $($operation:ident),* $(,)? }) => {
        struct $name {
            inner: Arc<dyn $port>,
            $($operation: Calls,)*
        }

        impl $name {
            fn new(inner: Arc<dyn $port>, metrics: &Metrics) -> Self {
                Self { inner, $($operation: metrics.calls($service, stringify!($operation)),)* }
            }
        }
    };
}

decorator!(MeteredQueue of Queue as "queue" {
    send, receive, extend, release, ack, dead_letter, depth, list_dead, redrive, purge_dead,
});

#[async_trait]
impl Queue for MeteredQueue {
    async fn send(&self, queue: &QueueName, messages: Vec<Outbound>) -> PortResult<Vec<PortResult<()>>> {
        let answer = self.inner.send(queue, messages).await;
        // A batch that failed partly counts as its first failure.
        let error = match &answer {
            Ok(each) => each.iter().find_map(|one| one.as_ref().err()),
            Err(error) => Some(error),
        };
        self.send.count_outcome(error.map(PortError::kind));
        answer
    }

    async fn receive(
        &self,
        queue: &QueueName,
        max: usize,
        visibility: Duration,
        wait: Duration,
    ) -> PortResult<Vec<Delivery>> {
        self.receive
            .count(self.inner.receive(queue, max, visibility, wait).await)
    }

    // It fails in no way, and takes nothing.
    async fn ready(&self, queue: &QueueName, at_most: Duration) -> bool {
        self.inner.ready(queue, at_most).await
    }

    async fn extend(&self, receipt: &Receipt, visibility: Duration) -> PortResult<()> {
        self.extend.count(self.inner.extend(receipt, visibility).await)
    }

    async fn release(&self, receipt: Receipt, delay: Duration) -> PortResult<()> {
        self.release.count(self.inner.release(receipt, delay).await)
    }

    async fn ack(&self, receipt: Receipt) -> PortResult<()> {
        self.ack.count(self.inner.ack(receipt).await)
    }

    async fn dead_letter(&self, receipt: Receipt, reason: &str) -> PortResult<()> {
        self.dead_letter
            .count(self.inner.dead_letter(receipt, reason).await)
    }

    async fn depth(&self, queue: &QueueName) -> PortResult<Depth> {
        self.depth.count(self.inner.depth(queue).await)
    }

    async fn list_dead(&self, queue: &QueueName, max: usize) -> PortResult<Vec<DeadLetter>> {
        self.list_dead.count(self.inner.list_dead(queue, max).await)
    }

    async fn redrive(&self, queue: &QueueName, ids: &[DeadLetterId]) -> PortResult<u64> {
        self.redrive.count(self.inner.redrive(queue, ids).await)
    }

    async fn purge_dead(&self, queue: &QueueName, ids: &[DeadLetterId]) -> PortResult<u64> {
        self.purge_dead.count(self.inner.purge_dead(queue, ids).await)
    }

    fn listing_hides_for(&self) -> Duration {
        self.inner.listing_hides_for()
    }
}

decorator!(MeteredArtifacts of ArtifactStore as "artifacts" {
    publish, fetch, verify, size_bytes, remove, list, list_runs,
});

#[async_trait]
impl ArtifactStore for MeteredArtifacts {
    async fn publish(&self, key: &ArtifactKey, file: &Path) -> PortResult<ArtifactRef> {
        self.publish.count(self.inner.publish(key, file).await)
    }

    async fn fetch(&self, artifact: &ArtifactRef, destination: &Path) -> PortResult<()> {
        self.fetch.count(self.inner.fetch(artifact, destination).await)
    }

    async fn verify(&self, artifact: &ArtifactRef) -> PortResult<()> {
        self.verify.count(self.inner.verify(artifact).await)
    }

    async fn size_bytes(&self, key: &ArtifactKey) -> PortResult<Option<u64>> {
        self.size_bytes.count(self.inner.size_bytes(key).await)
    }

    async fn remove(&self, key: &ArtifactKey) -> PortResult<()> {
        self.remove.count(self.inner.remove(key).await)
    }

    async fn list(&self, run: &RunId) -> PortResult<Vec<ArtifactKey>> {
        self.list.count(self.inner.list(run).await)
    }

    async fn list_runs(&self) -> PortResult<Vec<RunId>> {
        self.list_runs.count(self.inner.list_runs().await)
    }

    fn locate(&self, key: &ArtifactKey) -> String {
        self.inner.locate(key)
    }
}

decorator!(MeteredRuns of RunStore as "runs" {
    create, load, load_branches, apply, list, open_runs, remove, cache_get, cache_put, server_time,
});

#[async_trait]
impl RunStore for MeteredRuns {
    async fn create(&self, item: &Item) -> PortResult<Created> {
        self.create.count(self.inner.create(item).await)
    }

    async fn load(&self, run: &RunId) -> PortResult<Option<RunItem>> {
        self.load.count(self.inner.load(run).await)
    }

    async fn load_branches(&self, run: &RunId, step: Option<&StepName>) -> PortResult<Vec<BranchItem>> {
        self.load_branches
            .count(self.inner.load_branches(run, step).await)
    }

    async fn apply(&self, update: &GuardedUpdate) -> PortResult<Applied> {
        self.apply.count(self.inner.apply(update).await)
    }

    async fn list(&self, filter: &ListFilter, page: Option<&str>, max: usize) -> PortResult<Page> {
        self.list.count(self.inner.list(filter, page, max).await)
    }

    async fn open_runs(&self, due: Timestamp, max: usize) -> PortResult<Vec<RunId>> {
        self.open_runs.count(self.inner.open_runs(due, max).await)
    }

    async fn remove(&self, run: &RunId) -> PortResult<()> {
        self.remove.count(self.inner.remove(run).await)
    }

    // It fails in no way, and is no request where the backend notifies.
    async fn wait_for_end(&self, run: &RunId, at_most: Duration) {
        self.inner.wait_for_end(run, at_most).await;
    }

    async fn cache_get(&self, key: &Sha256Digest) -> PortResult<Option<CacheEntry>> {
        self.cache_get.count(self.inner.cache_get(key).await)
    }

    async fn cache_put(&self, key: &Sha256Digest, entry: &CacheEntry) -> PortResult<()> {
        self.cache_put.count(self.inner.cache_put(key, entry).await)
    }

    async fn server_time(&self) -> PortResult<Timestamp> {
        self.server_time.count(self.inner.server_time().await)
    }
}

decorator!(MeteredRegistry of Registry as "registry" {
    resolve, version, models, list, history, roll_back, move_to,
});

#[async_trait]
impl Registry for MeteredRegistry {
    async fn resolve(&self, model: &ModelName, alias: &AliasName) -> PortResult<Option<Alias>> {
        self.resolve.count(self.inner.resolve(model, alias).await)
    }

    async fn version(&self, model: &ModelName, version: &RunId) -> PortResult<Option<ModelVersion>> {
        self.version.count(self.inner.version(model, version).await)
    }

    async fn models(&self) -> PortResult<Vec<ModelName>> {
        self.models.count(self.inner.models().await)
    }

    async fn list(&self, model: &ModelName) -> PortResult<Vec<ModelVersion>> {
        self.list.count(self.inner.list(model).await)
    }

    async fn history(&self, model: &ModelName, alias: &AliasName) -> PortResult<Vec<Alias>> {
        self.history.count(self.inner.history(model, alias).await)
    }

    async fn roll_back(
        &self,
        model: &ModelName,
        alias: &AliasName,
        expected: u64,
        reason: &str,
        now: Timestamp,
    ) -> PortResult<RolledBack> {
        self.roll_back
            .count(self.inner.roll_back(model, alias, expected, reason, now).await)
    }

    async fn move_to(
        &self,
        model: &ModelName,
        alias: &AliasName,
        expected: u64,
        version: &RunId,
        reason: &str,
        now: Timestamp,
    ) -> PortResult<MovedTo> {
        let moved = self.inner.move_to(model, alias, expected, version, reason, now);
        self.move_to.count(moved.await)
    }
}

decorator!(MeteredFleet of Fleet as "fleet" {
    announce, leave, workers, pause, unpause, pauses, store_logs, read_logs,
});

#[async_trait]
impl Fleet for MeteredFleet {
    async fn announce(&self, presence: &Presence) -> PortResult<()> {
        self.announce.count(self.inner.announce(presence).await)
    }

    async fn leave(&self, worker: &WorkerId) -> PortResult<()> {
        self.leave.count(self.inner.leave(worker).await)
    }

    async fn workers(&self, now: Timestamp) -> PortResult<Vec<Presence>> {
        self.workers.count(self.inner.workers(now).await)
    }

    async fn pause(&self, pause: &Pause) -> PortResult<()> {
        self.pause.count(self.inner.pause(pause).await)
    }

    async fn unpause(&self, stage: &StageName) -> PortResult<bool> {
        self.unpause.count(self.inner.unpause(stage).await)
    }

    async fn pauses(&self) -> PortResult<Vec<Pause>> {
        self.pauses.count(self.inner.pauses().await)
    }

    async fn store_logs(
        &self,
        worker: &WorkerId,
        run: &RunId,
        lines: &str,
        now: Timestamp,
    ) -> PortResult<()> {
        self.store_logs
            .count(self.inner.store_logs(worker, run, lines, now).await)
    }

    async fn read_logs(&self, run: &RunId, step: Option<&StepName>, max: usize) -> PortResult<Vec<String>> {
        self.read_logs.count(self.inner.read_logs(run, step, max).await)
    }
}

decorator!(MeteredPipelines of Pipelines as "pipelines" {
    put, get, list, remove, enter, leave,
});

#[async_trait]
impl Pipelines for MeteredPipelines {
    async fn put(&self, definition: &Definition) -> PortResult<()> {
        self.put.count(self.inner.put(definition).await)
    }

    async fn get(&self, name: &PipelineName) -> PortResult<Option<Definition>> {
        self.get.count(self.inner.get(name).await)
    }

    async fn list(&self) -> PortResult<Vec<Definition>> {
        self.list.count(self.inner.list().await)
    }

    async fn remove(&self, name: &PipelineName) -> PortResult<bool> {
        self.remove.count(self.inner.remove(name).await)
    }

    async fn enter(&self, name: &PipelineName, run: &RunId, max: u32) -> PortResult<Entered> {
        self.enter.count(self.inner.enter(name, run, max).await)
    }

    async fn leave(&self, name: &PipelineName, run: &RunId) -> PortResult<()> {
        self.leave.count(self.inner.leave(name, run).await)
    }
}

decorator!(MeteredSources of Sources as "sources" {
    find, offer, fetch,
});

#[async_trait]
impl Sources for MeteredSources {
    async fn find(&self, uri: &str) -> PortResult<Vec<SourceObject>> {
        self.find.count(self.inner.find(uri).await)
    }

    async fn offer(&self, path: &str) -> PortResult<String> {
        self.offer.count(self.inner.offer(path).await)
    }

    async fn fetch(&self, object: &SourceObject, folder: &Path) -> PortResult<PathBuf> {
        self.fetch.count(self.inner.fetch(object, folder).await)
    }
}
