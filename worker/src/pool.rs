//! A pool: receives from one queue no more than there are free permits, and hands each message to a task.

use std::sync::Arc;
use std::time::Duration;

use pipeline::QueueName;
use pipeline::ports::Delivery;
use pipeline::spec::{Kind, Weight};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::agent::Answer as Protected;
use crate::delivery::{self, Answer};
use crate::drain::Phase;
use crate::http::Obstacle;
use crate::worker::Worker;

/// The most messages that one receive asks for.
const BATCH: usize = 64;

/// What an attempt holds while it is under way. Dropping it gives it back.
struct Permit {
    _slot: OwnedSemaphorePermit,
    _memory: Option<OwnedSemaphorePermit>,
}

/// A receive that waits longer than this is cut short by a drain. What it would have received at that moment is hidden
/// until its visibility ends, so it is not done where waiting costs nothing.
const SHORT_POLL: Duration = Duration::from_secs(1);

/// Consumes `queue` until the process drains, then waits for what is under way. One receive waits for `poll`.
pub async fn consume(worker: Arc<Worker>, queue: QueueName, kind: &'static Kind, poll: Duration) {
    let slots = match kind.weight {
        Weight::Light => Arc::new(Semaphore::new(worker.capacity.light)),
        Weight::Heavy => worker.capacity.heavy.clone(),
    };
    let under_way = Arc::new(tokio::sync::watch::Sender::new(0usize));
    let mut failures = 0;
    while worker.drain.is_working() {
        let permits = tokio::select! {
            biased;
            () = worker.drain.reached(Phase::Draining) => break,
            permits = next_permits(&worker, &queue, kind, poll, &slots) => permits,
        };
        let receive = worker
            .backend
            .queue
            .receive(&queue, permits.len(), worker.timing.visibility(), poll);
        let received = if poll > SHORT_POLL {
            tokio::select! {
                biased;
                () = worker.drain.reached(Phase::Draining) => break,
                received = receive => received,
            }
        } else {
            receive.await
        };
        let deliveries = match received {
            Ok(deliveries) => {
                failures = 0;
                deliveries
            }
            Err(e) => {
                drop(permits);
                tracing::warn!(stage = %queue, "cannot receive, trying again: {e}");
                let pause = e
                    .retry_after()
                    .unwrap_or_default()
                    .max(worker.backoff(failures) + Duration::from_millis(100));
                failures = (failures + 1).min(16);
                tokio::select! {
                    biased;
                    () = worker.drain.reached(Phase::Draining) => break,
                    () = worker.host.clock.sleep(pause) => {}
                }
                continue;
            }
        };
        if deliveries.is_empty() {
            continue;
        }
        let _busy = worker.protection.busy();
        if worker.protection.hold().await == Protected::Leave {
            leave(&worker);
        }
        if !worker.drain.is_working() || !worker.gate.is_open(&queue.stage) {
            give_back(&worker, deliveries).await;
            continue;
        }
        for (delivery, permit) in deliveries.into_iter().zip(permits) {
            under_way.send_modify(|n| *n += 1);
            let (worker, queue, under_way) = (worker.clone(), queue.clone(), under_way.clone());
            let in_flight = worker.metrics.in_flight(&queue.stage);
            let busy = worker.protection.busy();
            let spawn = worker.host.spawn.clone();
            spawn.spawn(Box::pin(async move {
                let _held = (Done(under_way), in_flight, permit, busy);
                delivery::handle(worker, queue, delivery).await;
            }));
        }
    }
    let mut under_way = under_way.subscribe();
    // The sender is ours and lives until here.
    let _ = under_way.wait_for(|n| *n == 0).await;
}

/// Counts a task out also when it panics: a drain must not wait for it for ever.
struct Done(Arc<tokio::sync::watch::Sender<usize>>);

impl Drop for Done {
    fn drop(&mut self) {
        self.0.send_modify(|n| *n -= 1);
    }
}

/// Waits until the pool may receive and at least one permit is free; then takes as many as are free, up to a batch.
async fn next_permits(
    worker: &Worker,
    queue: &QueueName,
    kind: &Kind,
    poll: Duration,
    slots: &Arc<Semaphore>,
) -> Vec<Permit> {
    worker.gate.opened(&queue.stage).await;
    // Takes nothing, so it can be cut short by a drain; and heavy pools share their permits: an idle one must not hold
    // any while another has work.
    while !worker.backend.queue.ready(queue, poll).await {}
    const CLOSED: &str = "the semaphores are never closed";
    let memory_mib = match kind.weight {
        Weight::Light => None,
        Weight::Heavy => Some(mib(worker.capacity.memory_limit_bytes(queue.class))),
    };
    let memory = match memory_mib {
        None => None,
        Some(mib) => Some(
            worker
                .capacity
                .memory
                .clone()
                .acquire_many_owned(mib)
                .await
                .expect(CLOSED),
        ),
    };
    let first = slots.clone().acquire_owned().await.expect(CLOSED);
    let mut permits = vec![Permit {
        _slot: first,
        _memory: memory,
    }];
    // Heavy work is received one at a time: what waits here could be done elsewhere.
    while kind.weight == Weight::Light && permits.len() < BATCH {
        let Ok(slot) = slots.clone().try_acquire_owned() else {
            break;
        };
        permits.push(Permit {
            _slot: slot,
            _memory: None,
        });
    }
    permits
}

/// `size_bytes` in whole MiB, rounded up, as permits are counted.
pub fn mib(size_bytes: u64) -> u32 {
    u32::try_from(size_bytes.div_ceil(1024 * 1024)).unwrap_or(u32::MAX)
}

/// A deployment waits for this task to be gone.
pub(crate) fn leave(worker: &Worker) {
    worker
        .readiness
        .block(Obstacle::Draining, "draining: a deployment waits");
    worker.drain.advance(Phase::Draining);
}

/// What was received while the pool was being paused or drained goes back untouched.
async fn give_back(worker: &Worker, deliveries: Vec<Delivery>) {
    for delivery in deliveries {
        delivery::answer(worker, delivery.receipt, Answer::Release(Duration::ZERO)).await;
    }
}
