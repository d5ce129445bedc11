//! Batches: while a request to a queue is under way, what others want of that queue gathers, and goes with the next.
//! Nobody waits for company: who is alone goes at once, alone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use aws_sdk_sqs::types::BatchResultErrorEntry;
use futures::channel::oneshot;
use pipeline::ports::{ErrorKind, Host, PortError};

use super::BATCH;
use crate::error::{Failure, Fault};

/// One kind of request that takes many at a time.
#[async_trait]
pub(super) trait Entry: Send + Sync + 'static {
    /// What one caller wants.
    type Request: Send + Sync + 'static;

    /// Sends a batch; one answer for each, in their order.
    async fn send(&self, url: &str, batch: &[Self::Request]) -> Result<Vec<Result<(), Failure>>, Fault>;
}

type Waiting<R> = (R, oneshot::Sender<Result<(), Arc<Fault>>>);

/// What gathers for one queue. It is there while a request to the queue is under way.
type Gathered<R> = HashMap<String, Vec<Waiting<R>>>;

/// Batches of one kind of request, by queue.
pub(super) struct Batches<E: Entry> {
    kind: Arc<E>,
    gathered: Arc<Mutex<Gathered<E::Request>>>,
    host: Host,
}

impl<E: Entry> Batches<E> {
    pub(super) fn new(kind: E, host: &Host) -> Self {
        Self {
            kind: Arc::new(kind),
            gathered: Arc::default(),
            host: host.clone(),
        }
    }

    /// Does one thing, with others if there are any.
    pub(super) async fn submit(&self, url: &str, request: E::Request) -> Result<(), Fault> {
        let (answer, answered) = oneshot::channel();
        let is_first = {
            let mut gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
            let is_first = !gathered.contains_key(url);
            gathered
                .entry(url.to_owned())
                .or_default()
                .push((request, answer));
            is_first
        };
        if is_first {
            // A task of its own: whoever waits may be cut short, and the others' requests must go on.
            let (kind, gathered) = (Arc::clone(&self.kind), Arc::clone(&self.gathered));
            let url = url.to_owned();
            self.host
                .spawn
                .spawn(Box::pin(async move { drain(&*kind, &gathered, &url).await }));
        }
        match answered.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(fault)) => Err(shared(&fault)),
            Err(oneshot::Canceled) => Err(Fault::Port(PortError::new(
                ErrorKind::Unavailable,
                "the process ends, and the request was not sent",
            ))),
        }
    }
}

/// Sends batches until nothing is gathered any more.
async fn drain<E: Entry>(kind: &E, gathered: &Mutex<Gathered<E::Request>>, url: &str) {
    loop {
        let batch = {
            let mut gathered = gathered.lock().unwrap_or_else(PoisonError::into_inner);
            let waiting = gathered.entry(url.to_owned()).or_default();
            if waiting.is_empty() {
                gathered.remove(url);
                return;
            }
            let size = waiting.len().min(BATCH);
            waiting.drain(..size).collect::<Vec<_>>()
        };
        let (requests, callers): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
        match kind.send(url, &requests).await {
            Ok(answers) => {
                for (caller, answer) in callers.into_iter().zip(answers) {
                    // A caller that is gone wants no answer.
                    let _ = caller.send(answer.map_err(|failure| Arc::new(failure.into())));
                }
            }
            Err(fault) => {
                let fault = Arc::new(fault);
                for caller in callers {
                    let _ = caller.send(Err(Arc::clone(&fault)));
                }
            }
        }
    }
}

/// What failed for all of a batch, told to one of them.
fn shared(fault: &Arc<Fault>) -> Fault {
    match fault.failure() {
        Some(failure) => Fault::Service(failure.clone()),
        None => {
            let told = PortError::new(ErrorKind::Unavailable, "");
            match Arc::as_ref(fault) {
                Fault::Port(error) => Fault::Port(PortError::new(error.kind(), error.to_string())),
                Fault::Stored(what) => Fault::Stored(what.clone()),
                Fault::Io(error) => Fault::Io(std::io::Error::new(error.kind(), error.to_string())),
                Fault::Service(_) => Fault::Port(told),
            }
        }
    }
}

/// One answer for each of a batch, of which the service names those that failed.
pub(super) fn answers(count: usize, failed: &[BatchResultErrorEntry]) -> Vec<Result<(), Failure>> {
    let mut answers: Vec<Result<(), Failure>> = (0..count).map(|_| Ok(())).collect();
    for entry in failed {
        let at = entry.id().parse::<usize>().ok();
        if let Some(answer) = at.and_then(|at| answers.get_mut(at)) {
            *answer = Err(Failure::of_entry(
                entry.code(),
                entry.message(),
                entry.sender_fault(),
            ));
        }
    }
    answers
}
