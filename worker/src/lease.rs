//! Keeping a lease: renewing it, and the message's visibility with it, until the work is done or the right is lost.

use std::sync::Arc;
use std::time::Duration;

use pipeline::RunStatus;
use pipeline::ports::Receipt;
use pipeline::protocol::{self, Held};
use pipeline::update::Applied;

use crate::drain::Phase;
use crate::worker::Worker;

/// After this long since its receive a message can no longer be hidden (the limit is twelve hours): it is
/// acknowledged, and from then on the sweeper covers the work.
const MESSAGE_LIFETIME: Duration = Duration::from_secs(11 * 3600);

/// Work that is done before this never asks whether its run ended.
const FIRST_LOOK: Duration = Duration::from_millis(200);

/// Why work is to stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lost {
    /// The lease is somebody else's, or could not be renewed in time.
    Lease(String),
    /// The run ended.
    RunEnded(RunStatus),
    /// This process leaves.
    Drain,
}

/// A lease with the message that it came by.
pub struct Lease {
    worker: Arc<Worker>,
    held: Held,
    receipt: Option<Receipt>,
    received_at: Duration,
    /// Monotonic time until which the lease holds, by our own clock.
    good_until: Duration,
}

impl Lease {
    /// A lease that was just won. `received_at` is the monotonic time of the message's receive, `claimed_at` the one
    /// just before the claim.
    pub fn new(
        worker: Arc<Worker>,
        held: Held,
        receipt: Receipt,
        received_at: Duration,
        claimed_at: Duration,
    ) -> Self {
        let good_until = claimed_at + worker.timing.lease;
        Self {
            worker,
            held,
            receipt: Some(receipt),
            received_at,
            good_until,
        }
    }

    /// The message's receipt, if the message is still to be answered.
    pub fn into_receipt(self) -> Option<Receipt> {
        self.receipt
    }

    /// What is held.
    pub fn held(&self) -> &Held {
        &self.held
    }

    /// Renews until the work must stop, and says why. Dropping the future stops the renewing and leaves the lease
    /// as it is.
    pub async fn keep(&mut self) -> Lost {
        let worker = self.worker.clone();
        tokio::select! {
            biased;
            () = worker.drain.reached(Phase::Interrupting) => Lost::Drain,
            lost = self.renew_for_ever() => lost,
        }
    }

    async fn renew_for_ever(&mut self) -> Lost {
        let worker = self.worker.clone();
        let (clock, runs, run) = (
            &worker.host.clock,
            &worker.backend.runs,
            self.held.work.run.clone(),
        );
        let every = worker.timing.lease / 3;
        let mut wait = FIRST_LOOK.min(every);
        clock.sleep(wait).await;
        let mut next_renewal = clock.monotonic() + every.saturating_sub(wait);
        loop {
            if clock.monotonic() >= next_renewal {
                let asked_at = clock.monotonic();
                match self.renew().await {
                    Ok(None) => {
                        self.good_until = asked_at + worker.timing.lease;
                        next_renewal = asked_at + every;
                    }
                    Ok(Some(lost)) => return lost,
                    Err(e) if clock.monotonic() >= self.good_until => {
                        return Lost::Lease(format!("it could not be renewed in time: {e}"));
                    }
                    // Once more soon: there is time left on the lease.
                    Err(_) => next_renewal = clock.monotonic() + every / 4,
                }
            }
            wait = next_renewal.saturating_sub(clock.monotonic());
            if !worker.timing.rhythm.hears_ends {
                clock.sleep(wait).await;
                continue;
            }
            // A wake-up may be a false alarm, so the item is asked.
            runs.wait_for_end(&run, wait).await;
            if clock.monotonic() < next_renewal
                && let Ok(Some(item)) = runs.load(&run).await
                && item.status != RunStatus::Open
            {
                return Lost::RunEnded(item.status);
            }
        }
    }

    /// One renewal: of the lease, and of the message's visibility.
    async fn renew(&mut self) -> pipeline::ports::PortResult<Option<Lost>> {
        let worker = &self.worker;
        let now = worker.host.clock.now();
        // A branch's item does not know whether its run was ended.
        if self.held.work.branch.is_some()
            && let Some(run) = worker.backend.runs.load(&self.held.work.run).await?
            && run.status != RunStatus::Open
        {
            return Ok(Some(Lost::RunEnded(run.status)));
        }
        let update = protocol::renew(&self.held, now.plus(worker.timing.lease));
        match worker.backend.runs.apply(&update).await? {
            Applied::Done(_) => {}
            Applied::Refused(item) => {
                let ended = item
                    .as_ref()
                    .and_then(|i| i.as_run())
                    .map(|r| r.status)
                    .filter(|s| *s != RunStatus::Open);
                return Ok(Some(ended.map_or_else(
                    || Lost::Lease("somebody else claimed the work".into()),
                    Lost::RunEnded,
                )));
            }
            Applied::AliasMoved(_) => {}
        }
        worker.protection.beat();
        if worker.host.clock.monotonic().saturating_sub(self.received_at) >= MESSAGE_LIFETIME {
            if let Some(receipt) = self.receipt.take() {
                worker.backend.queue.ack(receipt).await?;
            }
        } else if let Some(receipt) = &self.receipt {
            // The lease is what gives the right to work. A message that came back meanwhile finds it and waits.
            if let Err(e) = worker
                .backend
                .queue
                .extend(receipt, worker.timing.visibility())
                .await
            {
                tracing::debug!(run.id = %self.held.work.run, step = %self.held.work.step, "message not extended: {e}");
            }
        }
        Ok(None)
    }
}
