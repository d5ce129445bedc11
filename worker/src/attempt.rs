//! One attempt: fetch what the stage reads, run it, publish what it wrote. What becomes of it is settled in
//! [`crate::settle`].

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pipeline::artifact::{Artifact, MAX_ARTIFACTS, Origin};
use pipeline::item::{CacheNote, FaultClass, Measured};
use pipeline::ports::{ErrorKind, PortError, Receipt};
use pipeline::protocol::Held;
use pipeline::spec::Weight;
use pipeline::stage::{Assignment, Committed, Found, Outcome, Read, StageError};
use pipeline::{ArtifactKey, ArtifactName, BranchItem, Manifest, QueueName, RunItem, StepName, StepState};

use crate::cache::{self, Hit, Identity};
use crate::child::{End, Stop};
use crate::delivery::Claimed;
use crate::demand;
use crate::execute::{self, Brakes};
use crate::found;
use crate::lease::{Lease, Lost};
use crate::metrics::Direction;
use crate::moments::Moment;
use crate::settle;
use crate::worker::Worker;

/// How an attempt ended.
#[derive(Debug)]
pub enum Ended {
    /// With a result, which is published and can be committed.
    Result {
        /// How the stage ended.
        outcome: Outcome,
        /// What it wrote.
        manifest: Manifest,
        /// What was measured of it.
        measured: Measured,
        /// What it depends on, if it may be cached.
        identity: Option<Box<Identity>>,
    },
    /// Without one.
    Fault {
        /// What went wrong.
        failure: Failure,
        /// How long the stage itself took, none if it did not come to that.
        worked: Option<Duration>,
    },
    /// The right to work was lost: nothing may be recorded.
    Lost(Lost),
}

/// What went wrong in an attempt.
#[derive(Debug)]
pub struct Failure {
    /// Its class.
    pub class: FaultClass,
    /// For people.
    pub message: String,
    /// How long to wait at least before the next attempt, if that is known.
    pub retry_after: Option<Duration>,
}

impl Failure {
    /// A failure of which nothing more is known.
    pub fn new(class: FaultClass, message: impl Into<String>) -> Self {
        Self {
            class,
            message: message.into(),
            retry_after: None,
        }
    }

    pub(crate) fn permanent(message: impl Into<String>) -> Self {
        Self::new(FaultClass::Permanent, message)
    }

    /// A port's failure while inputs were fetched or outputs published. What a person can mend while we wait counts
    /// as passing; what is stored and wrong does not.
    pub(crate) fn port(doing: &str, error: &PortError) -> Self {
        let class = match error.kind() {
            ErrorKind::Throttled | ErrorKind::Unavailable | ErrorKind::Denied | ErrorKind::LeaseLost => {
                FaultClass::Transient
            }
            ErrorKind::NotFound | ErrorKind::Conflict | ErrorKind::Corrupt | ErrorKind::Invalid => {
                FaultClass::Permanent
            }
        };
        Self {
            class,
            message: format!("{doing}: {error}"),
            retry_after: error.retry_after(),
        }
    }

    fn io(doing: &str, error: &std::io::Error) -> Self {
        Self::new(FaultClass::Transient, format!("{doing}: {error}"))
    }
}

/// Carries claimed work out, to the answer of its message.
pub async fn carry_out(
    worker: &Arc<Worker>,
    queue: &QueueName,
    claimed: Claimed,
    receipt: Receipt,
    received_at: Duration,
) {
    let clock = &worker.host.clock;
    let Held {
        work: on, attempt, ..
    } = &claimed.held;
    tracing::debug!(run.id = %on.run, step = %on.step, branch = on.branch, stage = %queue, attempt, "claimed");
    if claimed.step.attempt == 1
        && let Some(ready_at) = claimed.step.ready_at
        && let Some(started_at) = claimed.step.started_at
    {
        worker
            .metrics
            .handed_off(&queue.stage, started_at.since(ready_at));
    }
    let mut lease = Lease::new(
        worker.clone(),
        claimed.held.clone(),
        receipt,
        received_at,
        claimed.claimed_at,
    );
    let brakes = Brakes::default();
    let ended = {
        let work = async {
            let worked = work(worker, queue, &claimed, &brakes).await;
            worked.unwrap_or_else(|failure| Ended::Fault {
                failure,
                worked: None,
            })
        };
        tokio::pin!(work);
        tokio::select! {
            biased;
            ended = &mut work => ended,
            lost = lease.keep() => {
                brakes.apply(if lost == Lost::Drain { Stop::Soon } else { Stop::Now });
                // The permit is held until the work has really stopped: its memory is in use until then.
                let ended = work.await;
                if lost == Lost::Drain { ended } else { Ended::Lost(lost) }
            }
        }
    };
    let duration = clock.monotonic().saturating_sub(claimed.claimed_at);
    settle::settle(worker, queue, &claimed, lease, ended, duration).await;
}

/// Everything of an attempt that happens under its lease.
async fn work(
    worker: &Arc<Worker>,
    queue: &QueueName,
    claimed: &Claimed,
    brakes: &Brakes,
) -> Result<Ended, Failure> {
    let held = &claimed.held;
    let stage = stages::find(&queue.stage)
        .ok_or_else(|| Failure::permanent(format!("this worker has no stage {}", queue.stage)))?;
    let spec = worker
        .specs
        .get(&worker.backend, worker.scratch.path(), claimed.run.spec)
        .await;
    let spec = spec.map_err(|e| Failure::port("cannot read the run's specification", &e))?;
    let step = spec
        .step(&held.work.step)
        .filter(|s| s.params.stage() == queue.stage)
        .ok_or_else(|| {
            let (step, stage) = (&held.work.step, &queue.stage);
            Failure::permanent(format!(
                "the run's specification has no step {step} of stage {stage}"
            ))
        })?;
    let committed = committed_before(worker, &claimed.run, &held.work.step).await;
    let committed = committed.map_err(|e| Failure::port("cannot read the results of earlier steps", &e))?;
    let mut assignment = Assignment {
        run: claimed.run.id.clone(),
        step: held.work.step.clone(),
        branch: held.work.branch,
        attempt: held.attempt,
        spec: (*spec).clone(),
        committed,
        found: Found::default(),
    };
    let outside = found::find(worker, stage, &assignment).await?;
    assignment.found = outside.found();
    let reads = stage.reads(&assignment);
    let identity = Identity::of(step, &assignment, &reads, stages::CODE).map(Box::new);
    let started = worker.host.clock.monotonic();
    let (hit, note) = match &identity {
        None => (None, None),
        Some(_) if spec.refreshes(&step.step) => (None, Some(CacheNote::Off)),
        Some(identity) => {
            let (hit, note) = cache::look_up(&worker.backend, identity).await;
            (hit, Some(note))
        }
    };
    if let Some(Hit { outcome, manifest }) = hit {
        let looked = worker.host.clock.monotonic().saturating_sub(started);
        let measured = Measured {
            duration_ms: pipeline::time::millis(looked),
            cached: true,
            cache: note,
            ..Measured::default()
        };
        return Ok(Ended::Result {
            outcome,
            manifest,
            measured,
            identity,
        });
    }
    if worker.children && step.params.kind().weight == Weight::Heavy {
        demand::check_room(worker, queue, claimed.step.largest, stage, &assignment, &reads)?;
    }
    let scratch = worker.scratch.take();
    let scratch = scratch.map_err(|e| Failure::io("cannot make a scratch folder", &e))?;
    // The dot keeps it apart from the folders of steps.
    assignment.found = outside
        .fetch(worker, &scratch.path("inputs").join(".sources"))
        .await?;
    fetch(worker, queue, &reads, &scratch.path("inputs")).await?;
    worker.moments.reach(Moment::Fetched, &held.work).await;
    let started = worker.host.clock.monotonic();
    let ran = execute::run(worker, stage, step, assignment, queue.class, &scratch, brakes).await;
    let worked = worker.host.clock.monotonic().saturating_sub(started);
    worker.moments.reach(Moment::Ran, &held.work).await;
    let failure = match ran.end {
        End::Outcome(outcome) => {
            outside.check(worker).await?;
            let manifest = publish(worker, queue, held, &scratch.path("outputs")).await?;
            worker.scratch.put_back(scratch);
            let measured = Measured {
                duration_ms: pipeline::time::millis(worked),
                peak_memory_bytes: ran.peak_memory_bytes,
                cpu_ms: ran.cpu_ms,
                cached: false,
                cache: note,
                requests: None,
            };
            return Ok(Ended::Result {
                outcome,
                manifest,
                measured,
                identity,
            });
        }
        End::Failed(error) => failure_of(&error),
        End::Crashed { how } => Failure::new(FaultClass::Crash, how),
        End::TimeLimit => {
            let limit = humantime::format_duration(step.time_limit.unwrap_or_default());
            Failure::new(
                FaultClass::Transient,
                format!("stopped at its time limit of {limit}"),
            )
        }
        End::Killed => failure_of(&StageError::Interrupted),
    };
    Ok(Ended::Fault {
        failure,
        worked: Some(worked),
    })
}

pub(crate) fn failure_of(error: &StageError) -> Failure {
    let (class, retry_after) = match error {
        StageError::Permanent(_) => (FaultClass::Permanent, None),
        StageError::Transient { retry_after_ms, .. } => {
            (FaultClass::Transient, retry_after_ms.map(Duration::from_millis))
        }
        StageError::OutOfMemory { .. } => (FaultClass::Memory, None),
        StageError::Interrupted => (FaultClass::Interrupted, None),
    };
    Failure {
        class,
        message: error.to_string(),
        retry_after,
    }
}

/// The committed results of the steps before `step`, in which a stage finds what it reads.
async fn committed_before(
    worker: &Worker,
    run: &RunItem,
    step: &StepName,
) -> pipeline::ports::PortResult<BTreeMap<StepName, Committed>> {
    let mut committed = BTreeMap::new();
    for (name, before) in run.steps_in_order().take_while(|(name, _)| *name != step) {
        if before.is_fanned() {
            let branches = worker.backend.runs.load_branches(&run.id, Some(name)).await?;
            let manifests = branches
                .into_iter()
                .filter_map(|BranchItem { ordinal, work, .. }| {
                    let manifest = work.manifest.filter(|_| work.state == StepState::Committed)?;
                    Some((ordinal, manifest))
                });
            committed.insert(name.clone(), Committed::Branches(manifests.collect()));
        } else if let Some(manifest) = &before.manifest {
            committed.insert(name.clone(), Committed::One(manifest.clone()));
        }
    }
    Ok(committed)
}

async fn fetch(worker: &Worker, queue: &QueueName, reads: &[Read], inputs: &Path) -> Result<(), Failure> {
    for read in reads {
        let destination = inputs.join(&read.path);
        if let Some(folder) = destination.parent() {
            std::fs::create_dir_all(folder).map_err(|e| Failure::io("cannot make a scratch folder", &e))?;
        }
        worker
            .backend
            .artifacts
            .fetch(&read.artifact, &destination)
            .await
            .map_err(|e| Failure::port("cannot fetch an input", &e))?;
        worker
            .metrics
            .artifact_bytes(&queue.stage, Direction::Read, read.artifact.size_bytes);
    }
    Ok(())
}

/// Publishes every file that the stage left, in the order of their names.
async fn publish(
    worker: &Worker,
    queue: &QueueName,
    held: &Held,
    outputs: &Path,
) -> Result<Manifest, Failure> {
    let origin = Origin {
        run: held.work.run.clone(),
        step: held.work.step.clone(),
        ordinal: held.work.branch.unwrap_or(0),
        attempt: held.attempt,
    };
    let mut artifacts = Vec::new();
    for name in written(outputs)? {
        let key = ArtifactKey::Attempt(origin.clone(), name.clone());
        let table = stages::table_shape(&outputs.join(name.as_str()));
        let published = worker
            .backend
            .artifacts
            .publish(&key, &outputs.join(name.as_str()))
            .await
            .map_err(|e| Failure::port("cannot publish an artifact", &e))?;
        worker
            .metrics
            .artifact_bytes(&queue.stage, Direction::Written, published.size_bytes);
        if artifacts.is_empty() {
            worker.moments.reach(Moment::Put, &held.work).await;
        }
        artifacts.push(Artifact {
            name,
            sha256: published.sha256,
            size_bytes: published.size_bytes,
            table,
        });
    }
    worker.moments.reach(Moment::Published, &held.work).await;
    Ok(Manifest { origin, artifacts })
}

/// The names of the files in `outputs`, sorted. Anything that cannot be an artifact is a mistake of the stage.
fn written(outputs: &Path) -> Result<Vec<ArtifactName>, Failure> {
    let entries =
        std::fs::read_dir(outputs).map_err(|e| Failure::io("cannot read what the stage wrote", &e))?;
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|e| Failure::io("cannot read what the stage wrote", &e))?;
        let kind = entry
            .file_type()
            .map_err(|e| Failure::io("cannot read what the stage wrote", &e))?;
        let name = entry.file_name();
        if !kind.is_file() {
            return Err(Failure::permanent(format!(
                "the stage wrote {}, which is no regular file",
                name.display()
            )));
        }
        let name = ArtifactName::new(name.to_string_lossy()).map_err(|e| {
            Failure::permanent(format!("the stage wrote a file that cannot be an artifact: {e}"))
        })?;
        names.push(name);
    }
    if names.len() > MAX_ARTIFACTS {
        return Err(Failure::permanent(format!(
            "the stage wrote {} files: at most {MAX_ARTIFACTS} are allowed",
            names.len()
        )));
    }
    names.sort();
    Ok(names)
}
