//! What the processes of the fleet know of each other: who is there, and which pools are paused.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::id::{RunId, StageName, StepName, WorkerId};
use crate::ports::PortResult;
use crate::time::Timestamp;

/// Presence of workers, pauses of pools, and what workers wrote to their logs. Advice only: no invariant leans on it.
#[async_trait]
pub trait Fleet: Send + Sync {
    /// Says that a worker is there; forgotten a while after `expires_at`.
    async fn announce(&self, presence: &Presence) -> PortResult<()>;

    /// Says that a worker left.
    async fn leave(&self, worker: &WorkerId) -> PortResult<()>;

    /// Workers that are not expired at `now`.
    async fn workers(&self, now: Timestamp) -> PortResult<Vec<Presence>>;

    /// Pauses a stage's pools; replaces an earlier pause.
    async fn pause(&self, pause: &Pause) -> PortResult<()>;

    /// Ends a pause; false if there was none.
    async fn unpause(&self, stage: &StageName) -> PortResult<bool>;

    /// All pauses.
    async fn pauses(&self) -> PortResult<Vec<Pause>>;

    /// Keeps what a worker logged about a run, one JSON object a line, for [`Fleet::read_logs`].
    async fn store_logs(&self, worker: &WorkerId, run: &RunId, lines: &str, now: Timestamp)
    -> PortResult<()>;

    /// The newest `max` log lines (JSON objects, as workers wrote them) about a run, or about one step of it, oldest
    /// first.
    async fn read_logs(&self, run: &RunId, step: Option<&StepName>, max: usize) -> PortResult<Vec<String>>;
}

/// One process of the fleet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// Its id.
    pub worker: WorkerId,
    /// The queues that it consumes, as [`crate::QueueName`] shows them.
    pub queues: Vec<String>,
    /// The component's version.
    pub version: String,
    /// Since when.
    pub since: Timestamp,
    /// When to take it for gone.
    pub expires_at: Timestamp,
}

/// A stage whose pools receive nothing; messages wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Which stage.
    pub stage: StageName,
    /// Since when.
    pub since: Timestamp,
    /// Why, for people.
    pub reason: String,
}
