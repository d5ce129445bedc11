//! The few sequences of port calls that people and workers share. Everything in them may be done twice.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;

use crate::artifact::ArtifactKey;
use crate::envelope::TraceParent;
use crate::id::{RunId, StepName};
use crate::item::{Item, Placement, RunItem, RunStatus};
use crate::plan::Birth;
use crate::ports::{Backend, Created, ErrorKind, Outbound, PortError, PortResult};
use crate::protocol::{self, Drive, Outgoing, Resumed, Sweep};
use crate::spec::Spec;
use crate::time::Timestamp;
use crate::update::{Applied, GuardedUpdate};

/// What became of a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Submitted {
    /// The run is new.
    New(RunItem),
    /// The run was there, of the same specification; it was driven again.
    Again(RunItem),
    /// The id belongs to a run of another specification; nothing was changed.
    Conflict(RunItem),
}

/// Makes the files that a specification names as sources readable to workers, wherever these are: see
/// [`Sources::offer`](crate::ports::Sources::offer). For whoever read it from a file of this machine, after
/// [`Spec::anchor`] and before anything depends on the digest.
pub async fn offer_sources(backend: &Backend, spec: &mut Spec) -> PortResult<()> {
    for path in spec.source_files() {
        *path = backend.sources.offer(path).await?;
    }
    Ok(())
}

/// Makes a run of `spec` once, under that id, and sends its first message. `file` holds the specification's canonical
/// bytes ([`Spec::canonical`]). `trace` is the span of whoever asks for it.
pub async fn submit_spec(
    backend: &Backend,
    spec: &Spec,
    id: RunId,
    now: Timestamp,
    file: &Path,
    trace: Option<TraceParent>,
) -> PortResult<Submitted> {
    let plan = spec.plan().map_err(|errors| {
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        PortError::new(
            ErrorKind::Invalid,
            format!("the specification makes no plan: {}", errors.join("; ")),
        )
    })?;
    let birth = Birth {
        id,
        pipeline: spec.pipeline.clone(),
        spec: spec.digest(),
        max: spec.max(),
        now,
        deadline: spec.deadline,
    };
    let key = ArtifactKey::Spec(birth.spec);
    let run = RunItem {
        trace,
        ..birth.item(&plan)
    };
    // Looked at first, so that a conflict leaves no specification behind that no run has.
    if let Some(existing) = backend
        .runs
        .load(&run.id)
        .await?
        .filter(|existing| existing.spec != run.spec)
    {
        return Ok(Submitted::Conflict(existing));
    }
    backend.artifacts.publish(&key, file).await?;
    let submitted = submit(backend, run).await?;
    // Garbage collection may have removed the specification, with the last run that had it, between the two.
    if backend.artifacts.size_bytes(&key).await?.is_none() {
        backend.artifacts.publish(&key, file).await?;
    }
    Ok(submitted)
}

/// Creates a run once and sends its first message. Its specification must be published before: see [`submit_spec`].
pub async fn submit(backend: &Backend, run: RunItem) -> PortResult<Submitted> {
    match backend.runs.create(&Item::Run(Box::new(run.clone()))).await? {
        Created::New => {
            send_next(backend, protocol::drive(&run)).await?;
            Ok(Submitted::New(run))
        }
        Created::Exists(existing) => {
            let Some(existing) = existing.into_run() else {
                return Err(PortError::new(
                    ErrorKind::Corrupt,
                    format!("run {} is stored as something else", run.id),
                ));
            };
            if existing.spec != run.spec {
                return Ok(Submitted::Conflict(existing));
            }
            // Whoever created it may have died before it sent; if not, a claim removes the duplicate.
            if existing
                .frontier()
                .is_some_and(|(_, work)| work.after.is_none() && work.attempt == 0)
            {
                send_next(backend, protocol::drive(&existing)).await?;
            }
            Ok(Submitted::Again(existing))
        }
    }
}

/// Publishes a specification's canonical bytes from a file that holds them.
pub async fn publish_spec(backend: &Backend, spec: &Spec, file: &Path) -> PortResult<()> {
    backend
        .artifacts
        .publish(&ArtifactKey::Spec(spec.digest()), file)
        .await
        .map(|_| ())
}

/// Says where a step begins that becomes ready: a process that knows stages can estimate what they take.
#[async_trait]
pub trait Foresight: Send + Sync {
    /// Where `step` of `run` begins, whose predecessors are all committed in `run`.
    async fn placement(&self, run: &RunItem, step: &StepName) -> Placement;
}

/// Knows nothing: everything begins in the smallest class, and what does not fit there is passed on by its pool.
#[derive(Debug, Clone, Copy)]
pub struct Unforeseen;

#[async_trait]
impl Foresight for Unforeseen {
    async fn placement(&self, _: &RunItem, _: &StepName) -> Placement {
        Placement::default()
    }
}

/// Sends what a run needs, closing a full fan-out first.
pub async fn advance(
    backend: &Backend,
    foresight: &dyn Foresight,
    run: RunItem,
    drive: Drive,
    now: Timestamp,
) -> PortResult<()> {
    match drive {
        Drive::FanIn(step) => match close(backend, foresight, &run, &step, now).await? {
            Some(run) => send_next(backend, protocol::drive(&run)).await,
            None => Ok(()),
        },
        drive => send_next(backend, drive).await,
    }
}

/// Closes a fan-out; the run afterwards, or none if there is nothing to close any more.
async fn close(
    backend: &Backend,
    foresight: &dyn Foresight,
    run: &RunItem,
    step: &StepName,
    now: Timestamp,
) -> PortResult<Option<RunItem>> {
    let placement = match run.successor(step) {
        Some(next) => foresight.placement(run, next).await,
        None => Placement::default(),
    };
    let Some(update) = protocol::fan_in(run, step, &placement, now) else {
        return Ok(None);
    };
    match backend.runs.apply(&update).await? {
        Applied::Done(item) => Ok(item.into_run().filter(|run| run.status == RunStatus::Open)),
        // Somebody else closed it and may have died before it sent.
        Applied::Refused(Some(Item::Run(run))) => Ok(match protocol::drive_after(&run, step) {
            Drive::Send(_) => Some(*run),
            Drive::Nothing | Drive::FanIn(_) => None,
        }),
        Applied::Refused(_) | Applied::AliasMoved(_) => Ok(None),
    }
}

async fn send_next(backend: &Backend, drive: Drive) -> PortResult<()> {
    match drive {
        Drive::Send(messages) => send(backend, messages).await,
        Drive::Nothing | Drive::FanIn(_) => Ok(()),
    }
}

/// Sends messages; the first failure if any of them could not be sent.
pub async fn send(backend: &Backend, messages: Vec<Outgoing>) -> PortResult<()> {
    let mut by_queue: std::collections::BTreeMap<_, Vec<Outbound>> = std::collections::BTreeMap::new();
    for Outgoing { queue, envelope } in messages {
        by_queue
            .entry(queue)
            .or_default()
            .push(Outbound::now(envelope.to_body()));
    }
    for (queue, messages) in by_queue {
        for sent in backend.queue.send(&queue, messages).await? {
            sent?;
        }
    }
    Ok(())
}

/// A settled branch joins the others, and the fan-out is closed if it was the last. Redone on every redelivery: if
/// somebody closed it and died before sending what comes next, that is sent.
pub async fn join(
    backend: &Backend,
    foresight: &dyn Foresight,
    join: &GuardedUpdate,
    step: &StepName,
    now: Timestamp,
) -> PortResult<()> {
    match backend.runs.apply(join).await? {
        Applied::Done(Item::Run(run)) => after_join(backend, foresight, *run, step, now).await,
        Applied::Done(Item::Branch(_)) | Applied::Refused(_) | Applied::AliasMoved(_) => Ok(()),
    }
}

/// What comes after a branch joined, as `run` tells that the store gave back.
pub async fn after_join(
    backend: &Backend,
    foresight: &dyn Foresight,
    run: RunItem,
    step: &StepName,
    now: Timestamp,
) -> PortResult<()> {
    let drive = match protocol::drive(&run) {
        Drive::FanIn(full) if full == *step => Drive::FanIn(full),
        _ => protocol::drive_after(&run, step),
    };
    advance(backend, foresight, run, drive, now).await
}

/// What one round of the sweeper did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// Runs looked at.
    pub looked: u32,
    /// Messages sent again.
    pub resent: u32,
    /// Branches joined that had been forgotten.
    pub joined: u32,
    /// Runs failed because their deadline had passed.
    pub overdue: u32,
}

/// One round of the sweeper over at most `max` runs that are due. Any number of sweepers may run.
pub async fn sweep(
    backend: &Backend,
    foresight: &dyn Foresight,
    now: Timestamp,
    max: usize,
) -> PortResult<Swept> {
    let mut swept = Swept::default();
    for id in backend.runs.open_runs(now, max).await? {
        // The index may lag; the item does not.
        let Some(run) = backend.runs.load(&id).await? else {
            continue;
        };
        sweep_one(backend, foresight, &run, now, &mut swept).await?;
    }
    Ok(swept)
}

async fn sweep_one(
    backend: &Backend,
    foresight: &dyn Foresight,
    run: &RunItem,
    now: Timestamp,
    swept: &mut Swept,
) -> PortResult<()> {
    let Some((step, work)) = run.frontier() else {
        return Ok(());
    };
    let branches = if work.is_fanned() {
        backend.runs.load_branches(&run.id, Some(step)).await?
    } else {
        Vec::new()
    };
    let wait = backend
        .queue
        .depth(&work.queue())
        .await?
        .oldest
        .unwrap_or(Duration::ZERO);
    match protocol::sweep(run, &branches, wait, now) {
        Sweep::Nothing => {}
        Sweep::Fail(update) => {
            if let Applied::Done(_) = backend.runs.apply(&update).await? {
                swept.overdue += 1;
            }
        }
        Sweep::Look {
            moved,
            joins,
            fan_in,
            messages,
        } => {
            let Applied::Done(Item::Run(mut run)) = backend.runs.apply(&moved).await? else {
                return Ok(());
            };
            swept.looked += 1;
            for join in joins {
                if let Applied::Done(Item::Run(joined)) = backend.runs.apply(&join).await? {
                    run = joined;
                    swept.joined += 1;
                }
            }
            if let Drive::FanIn(full) = protocol::drive(&run)
                && fan_in.as_ref() == Some(&full)
            {
                advance(backend, foresight, *run, Drive::FanIn(full), now).await?;
            }
            swept.resent += u32::try_from(messages.len()).unwrap_or(u32::MAX);
            send(backend, messages).await?;
        }
    }
    Ok(())
}

/// What came of asking for a resumption.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resumption {
    /// This run goes on where the parent ended.
    New(RunItem),
    /// The parent was resumed before, and that run is open or succeeded.
    Already(RunItem),
    /// Only failed and cancelled runs can be resumed; this one is neither.
    NotEnded(RunStatus),
    /// There is no such run.
    Unknown,
}

/// Resumes a failed or cancelled run as a new one, which takes over what was committed.
pub async fn resume(backend: &Backend, parent: &RunId, now: Timestamp) -> PortResult<Resumption> {
    let Some(parent) = backend.runs.load(parent).await? else {
        return Ok(Resumption::Unknown);
    };
    if !matches!(parent.status, RunStatus::Failed | RunStatus::Cancelled) {
        return Ok(Resumption::NotEnded(parent.status));
    }
    let taken_over = backend.runs.load_branches(&parent.id, None).await?;
    for n in 0.. {
        let Resumed { run, branches } = protocol::resume(&parent, &taken_over, n, now);
        if let Some(existing) = backend.runs.load(&run.id).await? {
            match existing.status {
                RunStatus::Open | RunStatus::Succeeded | RunStatus::Halted => {
                    send_first(backend, &existing, now).await?;
                    return Ok(Resumption::Already(existing));
                }
                RunStatus::Failed | RunStatus::Cancelled => continue,
            }
        }
        // Branches first: from the moment the run is there, its branches' results count.
        for branch in branches {
            backend.runs.create(&Item::Branch(Box::new(branch))).await?;
        }
        return match backend.runs.create(&Item::Run(Box::new(run.clone()))).await? {
            Created::New => {
                let next = protocol::drive(&run);
                advance(backend, &Unforeseen, run.clone(), next, now).await?;
                Ok(Resumption::New(run))
            }
            Created::Exists(other) => match other.into_run() {
                None => Ok(Resumption::Unknown),
                Some(other) => {
                    send_first(backend, &other, now).await?;
                    Ok(Resumption::Already(other))
                }
            },
        };
    }
    Ok(Resumption::Unknown)
}

/// Whoever made a resumed run may have died before it sent; if not, a claim removes the duplicate.
async fn send_first(backend: &Backend, run: &RunItem, now: Timestamp) -> PortResult<()> {
    match run.frontier() {
        Some((_, work)) if work.attempt == 0 => {
            advance(backend, &Unforeseen, run.clone(), protocol::drive(run), now).await
        }
        Some(_) | None => Ok(()),
    }
}
