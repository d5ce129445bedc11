//! What a process does besides its pools: sweeping, saying that it is there, watching pauses, its clock and its
//! queues.

use std::sync::Arc;
use std::time::Duration;

use pipeline::diagnosis::ClockReading;
use pipeline::ports::Presence;
use pipeline::{QueueName, Timestamp, operate};

use crate::drain::Phase;
use crate::http::Obstacle;
use crate::worker::Worker;

/// How long a line may be known to nobody else, where lines are stored by requests.
const STORE_LOGS_EVERY: Duration = Duration::from_secs(5);
/// How long a span waits at most for others to go with it.
const EXPORT_SPANS_EVERY: Duration = Duration::from_secs(1);
/// The most runs that one round of the sweeper looks at.
const SWEEP_BATCH: usize = 100;

/// Starts all of it. Everything ends when the process drains.
pub fn start(worker: &Arc<Worker>, queues: &[QueueName], sweep_every: Duration) {
    let queues: Arc<[QueueName]> = queues.into();
    let rhythm = worker.timing.rhythm;
    every(
        worker,
        sweep_every,
        true,
        |worker| async move { sweep(&worker).await },
    );
    every(worker, rhythm.pauses, false, |worker| async move {
        read_pauses(&worker).await
    });
    every(worker, rhythm.clock, true, |worker| async move {
        check_clock(&worker).await
    });
    let since = worker.host.clock.now();
    let consumed = queues.clone();
    every(worker, rhythm.presence, false, move |worker| {
        let consumed = consumed.clone();
        async move { announce(&worker, &consumed, since).await }
    });
    if worker.logs.is_some() {
        every(worker, STORE_LOGS_EVERY, false, |worker| async move {
            store_logs(&worker).await
        });
    }
    if worker.outlets.spans.is_some() {
        every(worker, EXPORT_SPANS_EVERY, false, |worker| async move {
            if let Some(spans) = &worker.outlets.spans {
                spans.export(&*worker.host.clock).await;
            }
        });
    }
    every(worker, rhythm.gauges, true, move |worker| {
        let queues = queues.clone();
        async move { read_gauges(&worker, &queues).await }
    });
}

/// Runs `task` again and again, with `pause` between, until the process drains. With `jitter`, the pause varies by
/// half, so that processes started together do not stay in step.
fn every<F>(
    worker: &Arc<Worker>,
    pause: Duration,
    jitter: bool,
    task: impl Fn(Arc<Worker>) -> F + Send + 'static,
) where
    F: Future<Output = ()> + Send,
{
    let worker = worker.clone();
    let spawn = worker.host.spawn.clone();
    spawn.spawn(Box::pin(async move {
        while worker.drain.is_working() {
            task(worker.clone()).await;
            let pause = if jitter {
                pause / 2 + worker.host.random.up_to(pause)
            } else {
                pause
            };
            tokio::select! {
                biased;
                () = worker.drain.reached(Phase::Draining) => {}
                () = worker.host.clock.sleep(pause) => {}
            }
        }
    }));
}

/// Sends what was logged about runs, if it is not written where people find it.
pub async fn store_logs(worker: &Worker) {
    if let Some(logs) = &worker.logs {
        let now = worker.host.clock.now();
        logs.store(&*worker.backend.fleet, &worker.id, now).await;
    }
}

async fn sweep(worker: &Worker) {
    // By a wrong clock, every run's deadline may have passed.
    if worker.gate.shut().is_some() {
        return;
    }
    match operate::sweep(&worker.backend, worker, worker.host.clock.now(), SWEEP_BATCH).await {
        Ok(swept) if swept.resent + swept.joined + swept.overdue > 0 => {
            tracing::info!(
                looked = swept.looked,
                resent = swept.resent,
                joined = swept.joined,
                overdue = swept.overdue,
                "swept"
            );
        }
        Ok(_) => {}
        Err(e) => tracing::warn!("cannot sweep, trying again: {e}"),
    }
}

/// Looks which stages people paused.
pub async fn read_pauses(worker: &Worker) {
    match worker.backend.fleet.pauses().await {
        Ok(pauses) => {
            let paused = pauses.into_iter().map(|p| p.stage).collect();
            let is_new = worker.gate.set(|state| state.paused = paused);
            if is_new {
                tracing::info!("paused stages changed");
            }
        }
        // Advice only: what was known stays in force.
        Err(e) => tracing::debug!("cannot read pauses: {e}"),
    }
}

/// Compares our clock with the backend's. Safety never reads a clock, but a skewed one burns other workers' leases
/// and budgets, so a process whose clock is off by more than a quarter of a lease takes no work.
pub async fn check_clock(worker: &Worker) {
    let before = worker.host.clock.now();
    let found = match worker.backend.runs.server_time().await {
        Ok(server) => {
            let after = worker.host.clock.now();
            let reading = ClockReading {
                server,
                before,
                after,
            };
            let complaint = reading.complaint(worker.timing.lease);
            complaint.map(|why| (Obstacle::Clock, format!("{why}: set the clock")))
        }
        Err(e) => Some((Obstacle::Backend, format!("the backend does not answer: {e}"))),
    };
    for obstacle in [Obstacle::Clock, Obstacle::Backend] {
        match &found {
            Some((present, why)) if *present == obstacle => worker.readiness.block(obstacle, why),
            _ => worker.readiness.clear(obstacle),
        }
    }
    let shut = found.map(|(_, why)| why);
    if worker.gate.set(|state| state.shut.clone_from(&shut)) {
        match shut {
            Some(why) => tracing::error!("takes no work: {why}"),
            None => tracing::info!("takes work again"),
        }
    }
}

async fn announce(worker: &Worker, queues: &[QueueName], since: Timestamp) {
    let presence = Presence {
        worker: worker.id.clone(),
        queues: queues.iter().map(ToString::to_string).collect(),
        version: worker.version.clone(),
        since,
        expires_at: worker.host.clock.now().plus(worker.timing.rhythm.presence * 3),
    };
    if let Err(e) = worker.backend.fleet.announce(&presence).await {
        tracing::debug!("cannot announce this worker: {e}");
    }
}

async fn read_gauges(worker: &Worker, queues: &[QueueName]) {
    for queue in queues {
        match worker.backend.queue.depth(queue).await {
            Ok(depth) => worker
                .metrics
                .queue(queue, depth.visible, depth.oldest.unwrap_or_default()),
            Err(e) => tracing::debug!(stage = %queue, "cannot read the queue's depth: {e}"),
        }
    }
}
