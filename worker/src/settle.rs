//! What becomes of an attempt: its result is committed and the next step driven, or its failure is recorded.

use std::sync::Arc;
use std::time::Duration;

use pipeline::item::{Fault, FaultClass, MAX_BRANCHES, Measured, Placement, Requests};
use pipeline::ports::{PortResult, Receipt};
use pipeline::protocol::{self, Ending, Held, Next};
use pipeline::stage::Outcome;
use pipeline::update::{Applied, GuardedUpdate};
use pipeline::{Item, Manifest, QueueName, RunId, RunItem, RunStatus, StepState, operate};

use crate::attempt::{Ended, Failure};
use crate::cache::{self, Identity};
use crate::delivery::{Answer, Claimed, finish, send_work};
use crate::demand;
use crate::lease::{Lease, Lost};
use crate::metrics::AttemptOutcome;
use crate::moments::Moment;
use crate::outlets::AttemptSpan;
use crate::requests::{self, Rest};
use crate::worker::Worker;

/// How often an update is tried whose answer was lost.
const TRIES: u32 = 5;

/// Settles an attempt and answers its message.
pub async fn settle(
    worker: &Arc<Worker>,
    queue: &QueueName,
    claimed: &Claimed,
    lease: Lease,
    ended: Ended,
    duration: Duration,
) {
    let settling = Settling {
        worker,
        queue,
        claimed,
    };
    let (outcome, worked, reply) = match ended {
        Ended::Result {
            outcome,
            manifest,
            measured,
            identity,
        } => {
            // What was looked up is no work of the stage.
            let worked = (!measured.cached).then(|| Duration::from_millis(measured.duration_ms));
            let (outcome, reply) = settling
                .result(outcome, manifest, measured, identity.as_deref())
                .await;
            (outcome, worked, reply)
        }
        Ended::Fault { failure, worked } => {
            let (outcome, reply) = settling.fault(failure).await;
            (outcome, worked, reply)
        }
        Ended::Lost(lost) => {
            let (outcome, reply) = settling.lost(&lost);
            (outcome, None, reply)
        }
    };
    worker.metrics.attempt_ended(&queue.stage, outcome, worked);
    let work = &claimed.held.work;
    if let Some(spans) = &worker.outlets.spans {
        let span = AttemptSpan {
            held: &claimed.held,
            queue,
            parent: &claimed.trace,
            outcome,
            ended_at: worker.host.clock.now(),
            duration,
        };
        spans.attempt(&*worker.host.random, &span);
    }
    let outcome = outcome.as_str();
    tracing::info!(
        run.id = %work.run, step = %work.step, branch = work.branch, stage = %queue, attempt = claimed.held.attempt,
        duration_ms = pipeline::time::millis(duration), outcome, "attempt ended"
    );
    if let Some(receipt) = lease.into_receipt() {
        respond(worker, &work.run, receipt, reply).await;
    }
}

async fn respond(worker: &Worker, run: &RunId, receipt: Receipt, reply: PortResult<Answer>) {
    let reply = reply.unwrap_or_else(|e| {
        // What is committed or recorded stays so; whoever gets the message again does the rest.
        tracing::warn!(stage = %receipt.queue(), "delivery not finished, its message comes again: {e}");
        Answer::Release(worker.backoff(0))
    });
    finish(worker, run, receipt, reply).await;
}

struct Settling<'a> {
    worker: &'a Arc<Worker>,
    queue: &'a QueueName,
    claimed: &'a Claimed,
}

/// How the attempt ended, for metrics and logs, and what becomes of the message.
type Settled = (AttemptOutcome, PortResult<Answer>);

impl Settling<'_> {
    async fn result(
        &self,
        outcome: Outcome,
        manifest: Manifest,
        measured: Measured,
        identity: Option<&Identity>,
    ) -> Settled {
        let ending = match self.ending(&outcome, &manifest).await {
            Ok(ending) => ending,
            Err(mistake) => return self.fault(Failure::new(FaultClass::Permanent, mistake)).await,
        };
        let name = match ending {
            Ending::Halt(_) => AttemptOutcome::Halted,
            Ending::Advance(_) | Ending::FanOut(..) | Ending::Register(_) => AttemptOutcome::Committed,
        };
        let cached = cache::entries(identity, &outcome, &manifest);
        let measured = Measured {
            requests: self.requests(&ending, cached),
            ..measured
        };
        match self.commit(ending, manifest.clone(), measured).await {
            Ok(Some(item)) => {
                let Held { work, attempt, .. } = &self.claimed.held;
                tracing::debug!(
                    run.id = %work.run, step = %work.step, branch = work.branch, stage = %self.queue, attempt, "committed"
                );
                self.worker.moments.reach(Moment::Committed, work).await;
                let driven = self.drive(item).await;
                // Nobody waits for it: what comes next is on its way.
                if let Some(identity) = identity {
                    let now = self.worker.host.clock.now();
                    cache::remember(&self.worker.backend, identity, &outcome, &manifest, now).await;
                }
                (name, driven.map(|()| Answer::Ack))
            }
            Ok(None) => self.lost(&Lost::Lease("the commit came too late".into())),
            // It may have been applied: a redelivery finds out.
            Err(e) => (AttemptOutcome::Discarded, Err(e)),
        }
    }

    /// What an outcome means at this step's place in the plan; a mistake of the stage otherwise.
    async fn ending(&self, outcome: &Outcome, manifest: &Manifest) -> Result<Ending, String> {
        let work = &self.claimed.held.work;
        let run = &self.claimed.run;
        let next = run.successor(&work.step).and_then(|name| run.steps.get(name));
        let asks_for_number = next.is_some_and(|next| next.is_fanned() && next.branches.is_none());
        match (outcome, work.branch) {
            // A branch's ending is not looked at: whoever closes the fan-out places what comes next.
            (Outcome::Advance, Some(_)) => Ok(Ending::Advance(Placement::default())),
            (Outcome::Halt { reason }, Some(_)) => Err(format!("a branch cannot halt its run: {reason}")),
            (Outcome::FanOut { .. } | Outcome::Register(_), Some(_)) => {
                Err("a branch can neither fan out nor register".into())
            }
            (Outcome::Advance, None) if asks_for_number => {
                Err("the next step is fanned out, and the stage did not say into how many branches".into())
            }
            (Outcome::Advance, None) => Ok(Ending::Advance(
                demand::after(self.worker, run, &work.step, manifest, None).await,
            )),
            (Outcome::FanOut { branches }, None) => {
                let least = next.and_then(|next| next.min_succeeded).unwrap_or(1).max(1);
                if !asks_for_number {
                    Err(
                        "the stage fans out, and the next step does not take its number of branches from it"
                            .into(),
                    )
                } else if !(least..=MAX_BRANCHES).contains(branches) {
                    Err(format!(
                        "the stage fans out into {branches} branches: {least} to {MAX_BRANCHES} are possible here"
                    ))
                } else {
                    let placement =
                        demand::after(self.worker, run, &work.step, manifest, Some(*branches)).await;
                    Ok(Ending::FanOut(placement, *branches))
                }
            }
            (Outcome::Halt { reason }, None) => Ok(Ending::Halt(reason.clone())),
            (Outcome::Register(registration), None) if next.is_none() => {
                Ok(Ending::Register(registration.clone()))
            }
            (Outcome::Register(_), None) => Err("only the last step can register a model".into()),
        }
    }

    /// What the delivery asks for in all; none where that is not paid for.
    fn requests(&self, ending: &Ending, cached: u32) -> Option<Requests> {
        let (run, work) = (&self.claimed.run, &self.claimed.held.work);
        let next = run.successor(&work.step).and_then(|name| run.steps.get(name));
        let messages = match ending {
            Ending::Advance(_) if work.branch.is_none() => next.map_or(0, |next| next.branches.unwrap_or(1)),
            Ending::FanOut(_, branches) => *branches,
            Ending::Advance(_) | Ending::Halt(_) | Ending::Register(_) => 0,
        };
        let rest = Rest {
            messages,
            cached,
            joins: work.branch.is_some(),
        };
        requests::so_far().map(|counted| counted.and(rest.requests()))
    }

    /// The committed item; none if the right to commit was lost.
    async fn commit(
        &self,
        mut ending: Ending,
        manifest: Manifest,
        measured: Measured,
    ) -> PortResult<Option<Item>> {
        let (held, worker) = (&self.claimed.held, self.worker);
        loop {
            let now = worker.host.clock.now();
            let update = protocol::commit(
                held,
                &self.claimed.run,
                manifest.clone(),
                &ending,
                measured.clone(),
                now,
            );
            match self.apply(&update).await? {
                Applied::Done(item) => return Ok(Some(item)),
                Applied::Refused(stored) if protocol::commit_was_mine(held, &manifest, stored.as_ref()) => {
                    return Ok(stored);
                }
                Applied::Refused(_) => return Ok(None),
                Applied::AliasMoved(_) => match ending {
                    Ending::Register(registration) => {
                        ending = Ending::Register(protocol::register_only(&registration));
                    }
                    // Without a registration there is no alias to be moved.
                    Ending::Advance(_) | Ending::FanOut(..) | Ending::Halt(_) => return Ok(None),
                },
            }
        }
    }

    /// Applies an update, again if its answer was lost: its guards make that harmless.
    async fn apply(&self, update: &GuardedUpdate) -> PortResult<Applied> {
        let mut n = 0;
        loop {
            match self.worker.backend.runs.apply(update).await {
                Err(e) if e.kind().is_transient() && n + 1 < TRIES => {
                    let pause = e.retry_after().unwrap_or_else(|| self.worker.backoff(n));
                    self.worker.host.clock.sleep(pause).await;
                    n += 1;
                }
                answered => return answered,
            }
        }
    }

    /// Sends what comes after a commit.
    async fn drive(&self, item: Item) -> PortResult<()> {
        let (worker, work) = (self.worker, &self.claimed.held.work);
        match item {
            Item::Run(run) => {
                if run.status != RunStatus::Open {
                    log_end(&run);
                }
                let drive = protocol::drive_after(&run, &work.step);
                operate::advance(&worker.backend, &**worker, *run, drive, worker.host.clock.now()).await?;
            }
            Item::Branch(branch) => self.join(branch.ordinal, StepState::Committed).await?,
        }
        worker.moments.reach(Moment::Sent, work).await;
        Ok(())
    }

    async fn join(&self, ordinal: u32, state: StepState) -> PortResult<()> {
        let (worker, work) = (self.worker, &self.claimed.held.work);
        let join = protocol::join_branch(work, ordinal, state);
        let Applied::Done(Item::Run(run)) = self.apply(&join).await? else {
            return Ok(());
        };
        worker.moments.reach(Moment::Joined, work).await;
        operate::after_join(
            &worker.backend,
            &**worker,
            *run,
            &work.step,
            worker.host.clock.now(),
        )
        .await
    }

    async fn fault(&self, failure: Failure) -> Settled {
        let Failure {
            class,
            message,
            retry_after,
        } = failure;
        let (worker, claimed) = (self.worker, self.claimed);
        if class != FaultClass::Interrupted {
            let work = &claimed.held.work;
            tracing::warn!(run.id = %work.run, step = %work.step, branch = work.branch, stage = %self.queue, attempt = claimed.held.attempt, "{}: {message}", class.as_str());
        }
        let now = worker.host.clock.now();
        let answer = match protocol::after_failure(&claimed.step, claimed.run.max, class) {
            Next::Retry(charge, larger) => {
                let failures = claimed.step.spent.transient;
                let pause = match class {
                    FaultClass::Transient => worker.backoff(failures).max(retry_after.unwrap_or_default()),
                    FaultClass::Crash => worker.backoff(claimed.step.spent.crash),
                    FaultClass::Memory | FaultClass::Interrupted | FaultClass::Permanent => Duration::ZERO,
                };
                let fault = Fault::new(class, message, claimed.held.attempt, now);
                let update = protocol::release(&claimed.held, charge, larger, fault, now.plus(pause));
                self.record(&update, |_| async move {
                    match larger {
                        Some(class) => {
                            send_work(worker, &claimed.run, &claimed.held.work, class).await?;
                            Ok(Answer::Ack)
                        }
                        None => Ok(Answer::Release(pause)),
                    }
                })
                .await
            }
            Next::GiveUp(why) => {
                let message = if why.is_empty() {
                    message
                } else {
                    format!("{message}; no further attempt: {why}")
                };
                let update = protocol::fail(
                    &claimed.held,
                    Fault::new(class, message, claimed.held.attempt, now),
                );
                self.record(&update, |item| async move {
                    match item {
                        Item::Run(run) => log_end(&run),
                        Item::Branch(branch) => self.join(branch.ordinal, StepState::Failed).await?,
                    }
                    Ok(Answer::Ack)
                })
                .await
            }
        };
        (AttemptOutcome::Fault(class), answer)
    }

    /// Records a failure, and goes on with `then` if it was recorded.
    async fn record<F>(&self, update: &GuardedUpdate, then: impl FnOnce(Item) -> F) -> PortResult<Answer>
    where
        F: Future<Output = PortResult<Answer>>,
    {
        match self.apply(update).await? {
            Applied::Done(item) => {
                self.worker
                    .moments
                    .reach(Moment::Recorded, &self.claimed.held.work)
                    .await;
                then(item).await
            }
            // Recorded by a try whose answer was lost, or no longer ours to record: a redelivery tells.
            Applied::Refused(_) | Applied::AliasMoved(_) => Ok(Answer::Release(self.worker.backoff(0))),
        }
    }

    fn lost(&self, lost: &Lost) -> Settled {
        let work = &self.claimed.held.work;
        match lost {
            Lost::RunEnded(status) => {
                tracing::info!(run.id = %work.run, step = %work.step, stage = %self.queue, "stopped: the run is {status}");
                (AttemptOutcome::Discarded, Ok(Answer::Ack))
            }
            Lost::Lease(why) => {
                self.worker.metrics.lease_lost(&self.queue.stage);
                tracing::warn!(run.id = %work.run, step = %work.step, stage = %self.queue, "lease lost, nothing recorded: {why}");
                (AttemptOutcome::Discarded, Ok(Answer::Release(Duration::ZERO)))
            }
            Lost::Drain => (
                AttemptOutcome::Fault(FaultClass::Interrupted),
                Ok(Answer::Release(Duration::ZERO)),
            ),
        }
    }
}

fn log_end(run: &RunItem) {
    let reason = run.reason.as_deref().unwrap_or("");
    tracing::info!(run.id = %run.id, pipeline = %run.pipeline, status = %run.status, "run ended {reason}");
}
