//! Running a stage, in a child process or in ours, and stopping it.

use std::sync::Arc;
use std::time::Duration;

use pipeline::MemoryClass;
use pipeline::protocol::Work;
use pipeline::spec::{Step, Weight};
use pipeline::stage::{Assignment, Stage, StageError};
use tokio::sync::watch;

use crate::child::{self, ChildRequest, End, Interrupt, Stop, Told};
use crate::scratch::Scratch;
use crate::worker::Worker;

/// How long a child has for stopping when the process drains, before it is killed.
const GRACE: Duration = Duration::from_secs(5);

/// Runs the stage where its weight wants it: in a child process, or in ours.
pub async fn run(
    worker: &Arc<Worker>,
    stage: &'static dyn Stage,
    step: &Step,
    assignment: Assignment,
    class: MemoryClass,
    scratch: &Scratch,
    brakes: &Brakes,
) -> child::Ended {
    let work = Work {
        run: assignment.run.clone(),
        step: assignment.step.clone(),
        branch: assignment.branch,
    };
    let sink = worker.progress.clone();
    let progress = {
        let work = work.clone();
        move |fraction: f64| {
            if let Some(sink) = &sink {
                sink(&work, fraction);
            }
        }
    };
    if step.params.kind().weight == Weight::Light || !worker.children {
        return run_here(worker, stage, assignment, scratch, brakes, progress).await;
    }
    let program = match child::this_program() {
        Ok(program) => program,
        Err(e) => {
            let message = format!("cannot find the worker's own binary: {e}");
            let end = End::Failed(StageError::Transient {
                message,
                retry_after_ms: None,
            });
            return child::Ended {
                end,
                peak_memory_bytes: None,
                cpu_ms: None,
            };
        }
    };
    let request = ChildRequest {
        program,
        assignment,
        inputs: scratch.path("inputs"),
        outputs: scratch.path("outputs"),
        scratch: scratch.path("tmp"),
        memory_limit_bytes: Some(worker.capacity.memory_limit_bytes(class)),
        scratch_limit_bytes: worker.capacity.scratch_limit_bytes,
        time_limit: step.time_limit,
        // The lease is not renewed meanwhile: it was, a third of it ago at most.
        grace: GRACE.min(worker.timing.lease / 2),
    };
    let mut told = |told: Told<'_>| match told {
        Told::Progress(fraction) => progress(fraction),
        Told::Stderr(line) => {
            tracing::info!(run.id = %work.run, step = %work.step, branch = work.branch, stage = %stage.name(), "{line}");
        }
    };
    child::run_in_child(request, &worker.host, brakes.stop.subscribe(), &mut told).await
}

async fn run_here(
    worker: &Arc<Worker>,
    stage: &'static dyn Stage,
    assignment: Assignment,
    scratch: &Scratch,
    brakes: &Brakes,
    progress: impl Fn(f64) + Send + Sync + 'static,
) -> child::Ended {
    let (inputs, outputs) = (scratch.path("inputs"), scratch.path("outputs"));
    let interrupt = brakes.interrupt.clone();
    let (tell, told) = tokio::sync::oneshot::channel();
    let blocking = worker.host.spawn.blocking(Box::new(move || {
        let end = child::run_in_process(stage, &assignment, &inputs, &outputs, &interrupt, &progress);
        // Whoever waited may be gone; then nobody needs the answer.
        let _ = tell.send(end);
    }));
    let end = match blocking.await {
        Ok(()) => told.await.unwrap_or_else(|_| End::Crashed {
            how: "the stage ended without an answer".into(),
        }),
        Err(how) => End::Crashed { how },
    };
    child::Ended {
        end,
        peak_memory_bytes: None,
        cpu_ms: None,
    }
}

/// The ways to stop a stage, wherever it runs.
pub struct Brakes {
    stop: watch::Sender<Stop>,
    interrupt: Interrupt,
}

impl Default for Brakes {
    /// Not touched yet.
    fn default() -> Self {
        Self {
            stop: watch::Sender::new(Stop::Not),
            interrupt: Interrupt::new(),
        }
    }
}

impl Brakes {
    /// Wants the stage to stop, as soon as `stop` says.
    pub fn apply(&self, stop: Stop) {
        self.stop.send_replace(stop);
        self.interrupt.raise();
    }
}
