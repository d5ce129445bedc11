//! Where queues are. SQS names them by addresses, which are asked for once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use pipeline::QueueName;

use crate::error::{Failure, Fault};
use crate::store::Store;

/// The addresses that are known.
pub(super) struct Urls {
    store: Arc<Store>,
    known: Mutex<HashMap<String, String>>,
}

/// What SQS calls a queue.
pub(crate) fn name(prefix: &str, queue: &QueueName) -> String {
    format!("{prefix}-{queue}")
}

/// What SQS calls the queue of its dead letters.
pub(crate) fn dead_name(prefix: &str, queue: &QueueName) -> String {
    format!("{}-dead", name(prefix, queue))
}

impl Urls {
    pub(super) fn new(store: Arc<Store>) -> Self {
        Self {
            store,
            known: Mutex::default(),
        }
    }

    /// A queue's address.
    pub(super) async fn of(&self, queue: &QueueName) -> Result<String, Fault> {
        self.find(name(&self.store.name, queue)).await
    }

    /// The address of the queue of its dead letters.
    pub(super) async fn of_dead(&self, queue: &QueueName) -> Result<String, Fault> {
        self.find(dead_name(&self.store.name, queue)).await
    }

    async fn find(&self, name: String) -> Result<String, Fault> {
        if let Some(url) = self.lock().get(&name) {
            return Ok(url.clone());
        }
        let request = self.store.clients.sqs.get_queue_url().queue_name(&name);
        let answer = request.send().await?;
        let url = answer
            .queue_url
            .ok_or_else(|| Fault::Stored(format!("queue {name} has no address")))?;
        self.lock().insert(name, url.clone());
        Ok(url)
    }

    /// True if the fault says that there is no such queue. It may be made again, with another address.
    pub(super) fn forget_if_absent(&self, queue: &QueueName, fault: &Fault) -> bool {
        let is_absent = fault.failure().is_some_and(Failure::is_absent);
        if is_absent {
            let mut known = self.lock();
            known.remove(&name(&self.store.name, queue));
            known.remove(&dead_name(&self.store.name, queue));
        }
        is_absent
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, String>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
