//! The intake: takes what upstream systems post, and makes runs of it, each once.
//!
//! A message is acknowledged once everything that it asks for is there. It waits while a pipeline has as many open runs as it
//! may have; what cannot be accepted goes to the dead letters with the reason, after all else in the message was done.
//! Doing a message again does nothing.

use std::sync::Arc;
use std::time::Duration;

use pipeline::intake::{self, Definition, Event, Refusal, Wanted};
use pipeline::operate::{self, Submitted};
use pipeline::ports::{Delivery, Entered, PortError, PortResult};
use pipeline::{PipelineName, RunId, RunStatus};

use crate::agent::Answer as Protected;
use crate::delivery::{Answer, answer};
use crate::drain::Phase;
use crate::metrics::IntakeOutcome;
use crate::pool;
use crate::worker::Worker;

/// How many messages one receive asks for. They are taken one after the other: each costs milliseconds.
const BATCH: usize = 10;
/// How long a message stays hidden while its batch is worked on.
const VISIBILITY: Duration = Duration::from_secs(120);
/// How long a message waits at first until its pipeline has a place, and at most.
const WAIT: Duration = Duration::from_secs(5);
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// What became of a message.
enum Taken {
    /// Everything that it asks for is there.
    Done,
    /// It wants a place that is taken, by this run and perhaps others.
    Waits(RunId),
    /// A part of it, or all, can never be accepted.
    Refused(String),
}

/// Consumes the intake's queue until the process drains.
pub async fn consume(worker: Arc<Worker>) {
    let queue = intake::queue();
    let mut failures = 0;
    while worker.drain.is_working() {
        tokio::select! {
            biased;
            () = worker.drain.reached(Phase::Draining) => break,
            () = worker.gate.opened(&queue.stage) => {}
        }
        let receive = worker
            .backend
            .queue
            .receive(&queue, BATCH, VISIBILITY, worker.timing.rhythm.poll);
        let received = tokio::select! {
            biased;
            () = worker.drain.reached(Phase::Draining) => break,
            received = receive => received,
        };
        match received {
            Ok(deliveries) => {
                failures = 0;
                if deliveries.is_empty() {
                    continue;
                }
                let _busy = worker.protection.busy();
                if worker.protection.hold().await == Protected::Leave {
                    pool::leave(&worker);
                }
                for delivery in deliveries {
                    // Whoever pauses or ends it does so in the middle of a poll, as a rule.
                    if worker.drain.is_working() && worker.gate.is_open(&queue.stage) {
                        take(&worker, delivery).await;
                    } else {
                        answer(&worker, delivery.receipt, Answer::Release(Duration::ZERO)).await;
                    }
                }
            }
            Err(e) => {
                tracing::warn!(stage = %queue, "cannot receive, trying again: {e}");
                let pause = worker.backoff(failures) + Duration::from_millis(100);
                failures = (failures + 1).min(16);
                worker.host.clock.sleep(pause).await;
            }
        }
    }
}

/// Handles one message to its end. Never fails: what goes wrong is logged, and the message comes again.
async fn take(worker: &Worker, delivery: Delivery) {
    let Delivery {
        body,
        receipt,
        receive_count,
        ..
    } = delivery;
    let (outcome, reply) = match accept(worker, &body).await {
        Ok(Taken::Done) => (IntakeOutcome::Accepted, Answer::Ack),
        Ok(Taken::Waits(run)) => {
            tracing::info!(run.id = %run, "a message waits until this run ends");
            let wait = WAIT.saturating_mul(receive_count.max(1)).min(LONGEST_WAIT);
            (IntakeOutcome::Waits, Answer::Release(wait))
        }
        Ok(Taken::Refused(reason)) => {
            tracing::warn!(stage = intake::QUEUE, "message refused: {reason}");
            (IntakeOutcome::Refused, Answer::Bury(reason))
        }
        Err(e) => {
            tracing::warn!(stage = intake::QUEUE, "message failed, it comes again: {e}");
            let pause = worker.backoff(receive_count.min(16));
            (IntakeOutcome::Failed, Answer::Release(pause))
        }
    };
    worker.metrics.taken_in(outcome);
    answer(worker, receipt, reply).await;
}

async fn accept(worker: &Worker, body: &str) -> PortResult<Taken> {
    let events = match intake::parse(body) {
        Ok(events) => events,
        Err(e) => return Ok(Taken::Refused(e.to_string())),
    };
    let (mut waits, mut refused) = (None, Vec::new());
    for event in &events {
        match take_event(worker, event).await? {
            Taken::Done => {}
            Taken::Waits(run) => waits = Some(run),
            Taken::Refused(reason) => refused.push(reason),
        }
    }
    // What waits comes again, and with it what is refused.
    Ok(match (waits, refused.is_empty()) {
        (Some(run), _) => Taken::Waits(run),
        (None, true) => Taken::Done,
        (None, false) => Taken::Refused(refused.join("; ")),
    })
}

async fn take_event(worker: &Worker, event: &Event) -> PortResult<Taken> {
    let wanted = match event {
        Event::Run(request) => match definition(worker, &request.pipeline).await? {
            Ok(definition) => definition
                .requested(request)
                .map(|wanted| vec![(definition, wanted)]),
            Err(refusal) => Err(refusal),
        },
        Event::Created(object) => {
            let mut wanted = Vec::new();
            for definition in worker.backend.pipelines.list().await? {
                let rules = match definition.rules() {
                    Ok(rules) => rules,
                    // It was checked when it was applied: by another version, then. The others must not wait for it.
                    Err(refusal) => {
                        tracing::warn!("{refusal}");
                        continue;
                    }
                };
                if let Some(rule) = rules.of_object(object) {
                    wanted.push(
                        definition
                            .created(object, rule)
                            .map(|wanted| (definition, wanted)),
                    );
                }
            }
            match wanted.is_empty() {
                true => Err(Refusal(format!(
                    "no pipeline takes {}: see `producer pipelines list`",
                    object.uri()
                ))),
                false => wanted.into_iter().collect(),
            }
        }
    };
    let wanted = match wanted {
        Ok(wanted) => wanted,
        Err(refusal) => return Ok(Taken::Refused(refusal.0)),
    };
    let mut waits = None;
    for (definition, wanted) in wanted {
        match make(worker, &definition, &wanted).await? {
            Taken::Done => {}
            Taken::Waits(run) => waits = Some(run),
            refused @ Taken::Refused(_) => return Ok(refused),
        }
    }
    Ok(waits.map_or(Taken::Done, Taken::Waits))
}

async fn definition(worker: &Worker, name: &PipelineName) -> PortResult<Result<Definition, Refusal>> {
    let found = worker.backend.pipelines.get(name).await?;
    Ok(found.ok_or_else(|| {
        Refusal(format!(
            "there is no pipeline {name} here: apply it with `producer pipelines apply`, then redrive"
        ))
    }))
}

/// Makes the run, or drives on the one that is there.
async fn make(worker: &Worker, definition: &Definition, wanted: &Wanted) -> PortResult<Taken> {
    let Wanted { run, spec, trace } = wanted;
    let name = &definition.name;
    let rules = match definition.rules() {
        Ok(rules) => rules,
        Err(refusal) => return Ok(Taken::Refused(refusal.0)),
    };
    // A run that is there needs no place any more: it has one, or has ended.
    let is_new = worker.backend.runs.load(run).await?.is_none();
    if is_new
        && let Some(max) = rules.max_open
        && let Some(other) = enter(worker, name, run, max).await?
    {
        return Ok(Taken::Waits(other));
    }
    let file = spec_file(worker, &spec.canonical())?;
    let now = worker.host.clock.now();
    let submitted = operate::submit_spec(
        &worker.backend,
        spec,
        run.clone(),
        now,
        file.path(),
        trace.clone(),
    );
    match submitted.await? {
        Submitted::New(_) => tracing::info!(run.id = %run, "made a run of pipeline {name}"),
        Submitted::Again(_) => tracing::debug!(run.id = %run, "the run is there already"),
        Submitted::Conflict(_) => {
            // It has the place of a run that is not its pipeline's.
            if is_new {
                worker.backend.pipelines.leave(name, run).await?;
            }
            return Ok(Taken::Refused(format!(
                "key {run} belongs to a run of another specification: choose another key"
            )));
        }
    }
    Ok(Taken::Done)
}

fn spec_file(worker: &Worker, bytes: &[u8]) -> PortResult<tempfile::NamedTempFile> {
    let write = || {
        let file = tempfile::NamedTempFile::new_in(worker.scratch.path())?;
        std::fs::write(file.path(), bytes)?;
        Ok(file)
    };
    write().map_err(|e: std::io::Error| {
        let message = "cannot use the scratch folder";
        PortError::new(pipeline::ports::ErrorKind::Unavailable, message).with_source(e)
    })
}

/// Takes a place for the run; none if it has one, or else a run that has one. Places of runs that ended are given back on the
/// way: nobody does it when they end.
async fn enter(worker: &Worker, name: &PipelineName, run: &RunId, max: u32) -> PortResult<Option<RunId>> {
    let Entered::Full(taken) = worker.backend.pipelines.enter(name, run, max).await? else {
        return Ok(None);
    };
    for other in &taken {
        let found = worker.backend.runs.load(other).await?;
        if found.is_none_or(|other| other.status != RunStatus::Open) {
            worker.backend.pipelines.leave(name, other).await?;
        }
    }
    match worker.backend.pipelines.enter(name, run, max).await? {
        Entered::In => Ok(None),
        Entered::Full(taken) => Ok(Some(taken.into_iter().next().unwrap_or_else(|| run.clone()))),
    }
}
