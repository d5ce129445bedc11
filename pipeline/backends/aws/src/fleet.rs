//! Who is there, and which pools are paused.

use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_dynamodb::types::AttributeValue;
use pipeline::id::{RunId, StageName, StepName, WorkerId};
use pipeline::ports::{Fleet, Pause, PortResult, Presence};
use pipeline::time::Timestamp;
use serde::de::DeserializeOwned;

use crate::error::Fault;
use crate::registry::strip_keys;
use crate::store::Store;
use crate::table::document::{self, Document, EXPIRES, pair};

/// The partitions of what is said of the fleet.
const WORKERS: &str = "WORKERS";
const PAUSES: &str = "PAUSES";

/// The fleet.
pub(crate) struct Presences(pub(crate) Arc<Store>);

#[async_trait]
impl Fleet for Presences {
    async fn announce(&self, presence: &Presence) -> PortResult<()> {
        let announce = async {
            let mut document = document::of(presence)?;
            document.extend(pair(WORKERS, presence.worker.as_str()));
            // An hour after it is taken for gone, DynamoDB may remove it.
            let expires = presence.expires_at.0 / 1000 + 3600;
            document.insert(EXPIRES.into(), AttributeValue::N(expires.to_string()));
            self.0.put(document).await
        };
        let action = "say that this worker is there";
        announce.await.map_err(|fault: Fault| fault.explain(action))
    }

    async fn leave(&self, worker: &WorkerId) -> PortResult<()> {
        let gone = self.0.delete(pair(WORKERS, worker.as_str())).await;
        gone.map(drop)
            .map_err(|fault| fault.explain("say that this worker left"))
    }

    async fn workers(&self, now: Timestamp) -> PortResult<Vec<Presence>> {
        let mut workers: Vec<Presence> = self.all(WORKERS, "list workers").await?;
        workers.retain(|worker| worker.expires_at > now);
        Ok(workers)
    }

    async fn pause(&self, pause: &Pause) -> PortResult<()> {
        let put = async {
            let mut document = document::of(pause)?;
            document.extend(pair(PAUSES, pause.stage.as_str()));
            self.0.put(document).await
        };
        put.await.map_err(|fault: Fault| fault.explain("pause a stage"))
    }

    async fn unpause(&self, stage: &StageName) -> PortResult<bool> {
        let ended = self.0.delete(pair(PAUSES, stage.as_str())).await;
        ended.map_err(|fault| fault.explain("end a pause"))
    }

    async fn pauses(&self) -> PortResult<Vec<Pause>> {
        self.all(PAUSES, "list pauses").await
    }

    async fn store_logs(
        &self,
        worker: &WorkerId,
        run: &RunId,
        lines: &str,
        now: Timestamp,
    ) -> PortResult<()> {
        crate::logs::store(&self.0, worker, run, lines, now)
            .await
            .map_err(|fault| fault.explain("store the logs of a run"))
    }

    async fn read_logs(&self, run: &RunId, step: Option<&StepName>, max: usize) -> PortResult<Vec<String>> {
        crate::logs::read(&self.0, run, step, max)
            .await
            .map_err(|fault| fault.explain("read the logs of a run"))
    }
}

impl Presences {
    async fn all<T: DeserializeOwned>(&self, partition: &str, action: &str) -> PortResult<Vec<T>> {
        let read = |mut document: Document| {
            strip_keys(&mut document);
            document::read(document)
        };
        let found = self.0.query(partition, "").await;
        let read: Result<Vec<T>, Fault> = found.and_then(|found| found.into_iter().map(read).collect());
        read.map_err(|fault| fault.explain(action))
    }
}
