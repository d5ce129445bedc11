//! Everything that outlives a simulated process: plain maps, and what is done to them at once.

mod artifacts;
mod items;
mod queues;
mod registry;

use std::collections::{BTreeMap, BTreeSet};

use pipeline::id::{PipelineName, RunId, StageName, WorkerId};
use pipeline::intake::Definition;
use pipeline::ports::{Created, ErrorKind, Outbound, Pause, PortError, Presence};
use pipeline::update::Applied;
use pipeline::{GuardedUpdate, Item, QueueName, RunStatus, Timestamp};

use crate::executor::ProcessId;
use crate::ledger::Ledger;

pub use artifacts::{Artifacts, SourceFiles};
pub(crate) use artifacts::{SCHEME, files};
pub use items::{Index, Items};
pub use queues::{Letter, Message, Queues};
pub use registry::Models;

/// All of it.
#[derive(Default)]
pub struct Stores {
    /// Messages.
    pub queues: Queues,
    /// Artifacts and specifications.
    pub artifacts: Artifacts,
    /// Runs, branches, cached results.
    pub items: Items,
    /// Models.
    pub models: Models,
    /// Workers that said they are there.
    pub workers: BTreeMap<WorkerId, Presence>,
    /// Pauses by stage.
    pub pauses: BTreeMap<StageName, Pause>,
    /// Log lines, in the order in which they were stored.
    pub logs: Vec<String>,
    /// Named pipelines.
    pub pipelines: BTreeMap<PipelineName, Definition>,
    /// Which runs have their places.
    pub places: BTreeMap<PipelineName, BTreeSet<RunId>>,
    /// What others keep.
    pub sources: SourceFiles,
    /// What is found out about all of it.
    pub ledger: Ledger,
    /// Queues in which something may be received now that could not be before.
    pub(crate) woken_queues: Vec<QueueName>,
    /// Runs that ended.
    pub(crate) woken_runs: Vec<RunId>,
}

impl Stores {
    /// Performs a guarded update, registry included.
    pub fn apply(&mut self, process: ProcessId, update: &GuardedUpdate) -> Applied {
        let before = self.items.get(&update.key);
        let after = match update.evaluate(before.clone()) {
            Ok(after) => after,
            Err(stored) => {
                self.ledger.refused(update);
                return Applied::Refused(stored);
            }
        };
        if let Some(declared) = &update.register {
            let run = after.as_run().cloned();
            let moves = declared.registration.promote.as_ref().and_then(|promotion| {
                self.models
                    .resolve(&declared.registration.model, &promotion.alias)
            });
            let present = moves.map_or(0, |alias| alias.revision);
            if let Err(present) = self.models.register(declared) {
                return Applied::AliasMoved(present);
            }
            self.ledger.registered(declared, run.as_ref(), present);
        }
        self.items.put(&after);
        self.ledger.updated(
            &self.items,
            &self.artifacts,
            process,
            update,
            before.as_ref(),
            &after,
        );
        if let Some(run) = after.as_run().filter(|run| run.status != RunStatus::Open) {
            self.woken_runs.push(run.id.clone());
        }
        Applied::Done(after)
    }

    /// Stores an item if there is none under its key.
    pub fn create(&mut self, item: &Item) -> Created {
        let created = self.items.create(item);
        if created == Created::New {
            self.ledger.created(&self.items, item);
        }
        created
    }

    /// Sends a message.
    pub fn send(&mut self, queue: &QueueName, message: Outbound, now: Timestamp) {
        self.ledger.sent(&message.body);
        self.queues.send(queue, message, now);
        self.woken_queues.push(queue.clone());
    }
}

pub(crate) fn error(kind: ErrorKind, message: impl Into<String>) -> PortError {
    PortError::new(kind, message)
}
