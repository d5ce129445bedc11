//! One delivery: from a message to its answer.

use std::sync::Arc;
use std::time::Duration;

use pipeline::envelope::TraceParent;
use pipeline::ports::{Delivery, PortResult, Queue, Receipt};
use pipeline::protocol::{self, Claimant, Held, Refusal, Work};
use pipeline::trace::RunSpan;
use pipeline::update::Applied;
use pipeline::{Envelope, Item, QueueName, RunId, RunItem, StepItem, StepState, operate};

use crate::moments::Moment;
use crate::requests;
use crate::worker::Worker;

/// How often an update is tried whose answer was lost.
const TRIES: u32 = 4;

/// The longest pause before a message looks again whether work is still held.
const LONGEST_LOOK: Duration = Duration::from_secs(15 * 60);

/// What becomes of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is done with.
    Ack,
    /// It comes again, after this long.
    Release(Duration),
    /// No run can absorb it.
    Bury(String),
}

/// Work that was claimed.
pub struct Claimed {
    /// The run, as it was just before or just after the claim.
    pub run: RunItem,
    /// The step or branch as the claim left it.
    pub step: StepItem,
    /// The right to it.
    pub held: Held,
    /// Monotonic time just before the claim.
    pub claimed_at: Duration,
    /// The span that its message names, or else the run's.
    pub trace: TraceParent,
}

enum Taken {
    Won(Box<Claimed>),
    Not(Answer),
}

/// Handles one delivery to its end. Never fails: what goes wrong is logged, and the message comes again.
pub async fn handle(worker: Arc<Worker>, queue: QueueName, delivery: Delivery) {
    requests::counting(Box::pin(handle_counted(worker, queue, delivery))).await;
}

async fn handle_counted(worker: Arc<Worker>, queue: QueueName, delivery: Delivery) {
    let received_at = worker.host.clock.monotonic();
    let Delivery {
        body,
        receipt,
        receive_count,
        ..
    } = delivery;
    let hint = match Envelope::parse(&body) {
        Ok(hint) => hint,
        Err(e) => {
            tracing::warn!(stage = %queue, "message refused: {e}");
            return answer(&worker, receipt, Answer::Bury(e.to_string())).await;
        }
    };
    let work = Work::of(&hint);
    worker.moments.reach(Moment::Received, &work).await;
    let who = Claimant {
        queue: queue.clone(),
        owner: worker.nonce(),
        version: worker.version.clone(),
    };
    match take(&worker, &work, hint.after.as_ref(), &who).await {
        Ok(Taken::Won(mut claimed)) => {
            if let Some(named) = hint.traceparent.filter(TraceParent::is_valid) {
                claimed.trace = named;
            }
            worker.moments.reach(Moment::Claimed, &work).await;
            crate::attempt::carry_out(&worker, &queue, *claimed, receipt, received_at).await;
        }
        Ok(Taken::Not(reply)) => {
            if let Answer::Bury(reason) = &reply {
                tracing::warn!(run.id = %work.run, step = %work.step, stage = %queue, "message refused: {reason}");
            }
            finish(&worker, &work.run, receipt, reply).await;
        }
        Err(e) => {
            tracing::warn!(run.id = %work.run, step = %work.step, stage = %queue, "claim failed, the message comes again: {e}");
            answer(
                &worker,
                receipt,
                Answer::Release(worker.backoff(receive_count.min(16))),
            )
            .await;
        }
    }
    worker.moments.reach(Moment::Acknowledged, &work).await;
}

/// Answers the message of a run. While somebody is being told of the run's end, it is acknowledged only afterwards, and
/// nobody waits for that here: if this process dies before, the message comes again.
pub async fn finish(worker: &Worker, run: &RunId, receipt: Receipt, reply: Answer) {
    let notices = worker.outlets.notices.as_ref();
    match notices.and_then(|notices| notices.under_way(run)) {
        Some(told) if reply == Answer::Ack => {
            let queue = Arc::clone(&worker.backend.queue);
            worker.host.spawn.spawn(Box::pin(async move {
                told.await;
                answer_by(&*queue, receipt, reply).await;
            }));
        }
        _ => answer(worker, receipt, reply).await,
    }
}

/// Answers a message. A failure is no harm: the message becomes visible by itself.
pub async fn answer(worker: &Worker, receipt: Receipt, answer: Answer) {
    answer_by(&*worker.backend.queue, receipt, answer).await;
}

async fn answer_by(queues: &dyn Queue, receipt: Receipt, answer: Answer) {
    let queue = receipt.queue().clone();
    let answered = match &answer {
        Answer::Ack => queues.ack(receipt).await,
        Answer::Release(delay) => queues.release(receipt, *delay).await,
        Answer::Bury(reason) => queues.dead_letter(receipt, reason).await,
    };
    if let Err(e) = answered {
        tracing::debug!(stage = %queue, "message not answered ({answer:?}), it will come again: {e}");
    }
}

/// Claims the work that a message names, or finds out what else is to be done about the message.
async fn take(
    worker: &Worker,
    work: &Work,
    after: Option<&pipeline::StepName>,
    who: &Claimant,
) -> PortResult<Taken> {
    let lease = worker.timing.lease;
    for n in 0..TRIES {
        let claimed_at = worker.host.clock.monotonic();
        let now = worker.host.clock.now();
        let (update, read) = if work.branch.is_none() {
            (Ok(protocol::claim(work, after, who, now, lease)), None)
        } else {
            let Some(run) = worker.backend.runs.load(&work.run).await? else {
                return Ok(Taken::Not(Answer::Bury(format!("there is no run {}", work.run))));
            };
            (
                protocol::claim_branch(&run, work, after, who, now, lease),
                Some(run),
            )
        };
        let update = match update {
            Ok(update) => update,
            Err(refusal) => {
                return refused(worker, work, read, None, refusal).await.map(Taken::Not);
            }
        };
        let stored = match worker.backend.runs.apply(&update).await {
            Ok(Applied::Done(item)) => return Ok(won(work, who, item, read, claimed_at)),
            Ok(Applied::Refused(stored)) => stored,
            Ok(Applied::AliasMoved(_)) => None,
            // The same claim again: if it had been won, the guards refuse it and the item says that it is ours.
            Err(e) if e.kind().is_transient() && n + 1 < TRIES => {
                worker.host.clock.sleep(worker.backoff(n)).await;
                continue;
            }
            Err(e) => return Err(e),
        };
        let refusal = match &read {
            None => protocol::why_refused(work, after, who, now, stored.as_ref()),
            Some(run) => protocol::why_branch_refused(run.max.crash, who, now, stored.as_ref()),
        };
        match refusal {
            Refusal::Again => {}
            Refusal::Mine(_) => {
                if let Some(item) = stored {
                    return Ok(won(work, who, item, read, claimed_at));
                }
            }
            refusal => {
                return refused(worker, work, read, stored, refusal).await.map(Taken::Not);
            }
        }
    }
    Ok(Taken::Not(Answer::Release(worker.backoff(0))))
}

fn won(work: &Work, who: &Claimant, item: Item, read: Option<RunItem>, claimed_at: Duration) -> Taken {
    let Some(step) = item.slot(&work.slot()).cloned() else {
        return Taken::Not(Answer::Release(Duration::ZERO));
    };
    let held = Held {
        work: work.clone(),
        owner: who.owner.clone(),
        attempt: step.attempt,
    };
    match read.or_else(|| item.into_run()) {
        Some(run) => Taken::Won(Box::new(Claimed {
            trace: RunSpan::of(&run).context,
            run,
            step,
            held,
            claimed_at,
        })),
        None => Taken::Not(Answer::Release(Duration::ZERO)),
    }
}

/// What a refused claim means for the message. `read` is the run of a branch, `stored` the refusing item.
async fn refused(
    worker: &Worker,
    work: &Work,
    read: Option<RunItem>,
    stored: Option<Item>,
    refusal: Refusal,
) -> PortResult<Answer> {
    let (backend, now) = (&worker.backend, worker.host.clock.now());
    let run = read.or_else(|| stored.and_then(Item::into_run));
    match refusal {
        Refusal::Unknown(reason) => Ok(Answer::Bury(reason)),
        Refusal::Ended(_) => {
            if let (Some(run), Some(notices)) = (&run, &worker.outlets.notices) {
                notices.tell_again(run, work);
            }
            Ok(Answer::Ack)
        }
        Refusal::Mismatch(reason) => {
            tracing::debug!(run.id = %work.run, step = %work.step, "message acknowledged without work: {reason}");
            Ok(Answer::Ack)
        }
        Refusal::OtherClass(class) => {
            if let Some(run) = &run {
                send_work(worker, run, work, class).await?;
            }
            Ok(Answer::Ack)
        }
        // Its holder has a message of its own, as a rule; but this may be the only one there is, of a holder that died a moment
        // ago, so it is never acknowledged. It looks the more seldom, the longer the holder has been renewing.
        Refusal::Leased { until, since } => {
            let renewed_for = until.since(since);
            let pause = until.since(now).max((renewed_for / 4).min(LONGEST_LOOK));
            Ok(Answer::Release(
                pause + worker.host.random.up_to(worker.timing.retry_base),
            ))
        }
        Refusal::Settled(state) => {
            if let Some(run) = run {
                drive_again(worker, work, run, state).await?;
            }
            Ok(Answer::Ack)
        }
        Refusal::LargerClass(class, attempt) => {
            if let Applied::Done(_) = backend
                .runs
                .apply(&protocol::escalate(work, class, attempt, now))
                .await?
                && let Some(run) = &run
            {
                tracing::info!(run.id = %work.run, step = %work.step, "died twice without a known cause: on to class {class}");
                send_work(worker, run, work, class).await?;
                return Ok(Answer::Ack);
            }
            Ok(Answer::Release(worker.backoff(0)))
        }
        Refusal::BudgetSpent(step) => {
            if let Applied::Done(_) = backend
                .runs
                .apply(&protocol::fail_spent(work, &step, now))
                .await?
            {
                tracing::error!(run.id = %work.run, step = %work.step, "failed for good: its crash budget is spent");
                if let Some(ordinal) = work.branch {
                    let join = protocol::join_branch(work, ordinal, StepState::Failed);
                    operate::join(backend, worker, &join, &work.step, now).await?;
                }
                return Ok(Answer::Ack);
            }
            Ok(Answer::Release(worker.backoff(0)))
        }
        // Handled by the caller; to come again is right whatever happened.
        Refusal::Mine(_) | Refusal::Again => Ok(Answer::Release(worker.backoff(0))),
    }
}

/// Whoever settled the work may have died before it sent what comes next.
async fn drive_again(worker: &Worker, work: &Work, run: RunItem, state: StepState) -> PortResult<()> {
    let now = worker.host.clock.now();
    match work.branch {
        Some(ordinal) => {
            let join = protocol::join_branch(work, ordinal, state);
            operate::join(&worker.backend, worker, &join, &work.step, now).await
        }
        None => {
            let drive = protocol::drive_after(&run, &work.step);
            operate::advance(&worker.backend, worker, run, drive, now).await
        }
    }
}

/// Sends the message of `work` to its stage's queue of that class.
pub async fn send_work(
    worker: &Worker,
    run: &RunItem,
    work: &Work,
    class: pipeline::MemoryClass,
) -> PortResult<()> {
    let Some(step) = run.steps.get(&work.step) else {
        return Ok(());
    };
    operate::send(
        &worker.backend,
        vec![protocol::message(run, &work.step, step, work.branch, class)],
    )
    .await
}
