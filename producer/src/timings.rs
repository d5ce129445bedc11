//! What each step of a run took, one row for each: what `export-timings` writes, and what costs are reckoned from.

use pipeline::item::{BranchItem, RunItem, StepItem, StepState};
use pipeline::{MemoryClass, StageName, Timestamp};
use serde::Serialize;

use crate::view::{CacheView, time};

/// One step, or one branch of a fanned-out step, that was claimed at least once. The names are part of the interface:
/// every field is always there.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Timing {
    /// Of which run.
    pub run: String,
    /// Its pipeline.
    pub pipeline: String,
    /// Which step.
    pub step: String,
    /// Which branch; none for a step that is not fanned out.
    pub ordinal: Option<u32>,
    /// Which component worked on it.
    pub stage: StageName,
    /// In which memory class.
    pub class: MemoryClass,
    /// How it stands.
    pub state: StepState,
    /// How many times it was claimed.
    pub attempts: u32,
    /// True if its result came from the cache.
    pub cached: bool,
    /// What the cache said: hit, miss, or off; none for a stage whose results are never cached.
    pub cache: Option<&'static str>,
    /// Since when it could be worked on.
    pub ready_at: Option<String>,
    /// When it was claimed last.
    pub started_at: Option<String>,
    /// When it was settled.
    pub ended_at: Option<String>,
    /// From ready to claimed.
    pub wait_ms: Option<u64>,
    /// From claimed to settled: for so long it held a permit, with fetching, publishing and the commit.
    pub held_ms: Option<u64>,
    /// Of that, the stage's own work.
    pub duration_ms: Option<u64>,
    /// Processor time of its child process.
    pub cpu_ms: Option<u64>,
    /// The largest resident memory of its child process.
    pub peak_memory_bytes: Option<u64>,
    /// How many artifacts this attempt published; none of a result from the cache, whose artifacts are another run's.
    pub artifacts: usize,
    /// Their bytes.
    pub artifact_bytes: u64,
}

impl Timing {
    /// All that was claimed of a run, in the plan's order. A fanned-out step has no work of its own: its branches have.
    pub fn all(run: &RunItem, branches: &[BranchItem]) -> Vec<Self> {
        let mut timings = Vec::new();
        for (name, step) in run.steps_in_order() {
            if !step.is_fanned() {
                timings.extend(Self::of(run, name.as_str(), None, step));
            }
            let of_step = branches.iter().filter(|branch| branch.step == *name);
            timings.extend(of_step.filter_map(|b| Self::of(run, name.as_str(), Some(b.ordinal), &b.work)));
        }
        timings
    }

    fn of(run: &RunItem, step: &str, ordinal: Option<u32>, work: &StepItem) -> Option<Self> {
        // What a resumed run took over from its parent was worked on before there was this run.
        let is_own = |at: &Timestamp| run.parent.is_none() || *at >= run.created_at;
        let started = work.started_at.filter(is_own)?;
        let manifest = work.manifest.as_ref();
        let measured = work.measured.as_ref();
        let own = manifest
            .filter(|m| m.origin.run == run.id)
            .map_or(&[][..], |m| &m.artifacts);
        Some(Self {
            run: run.id.to_string(),
            pipeline: run.pipeline.to_string(),
            step: step.to_owned(),
            ordinal,
            stage: work.stage.clone(),
            class: work.class,
            state: work.state,
            attempts: work.attempt,
            cached: measured.is_some_and(|m| m.cached),
            cache: measured
                .and_then(|m| m.cache.as_ref())
                .map(CacheView::of)
                .map(|view| view.answer),
            ready_at: time(work.ready_at),
            started_at: time(work.started_at),
            ended_at: time(work.ended_at),
            wait_ms: work
                .ready_at
                .map(|ready| pipeline::time::millis(started.since(ready))),
            held_ms: work
                .ended_at
                .map(|ended| pipeline::time::millis(ended.since(started))),
            duration_ms: measured.map(|m| m.duration_ms),
            cpu_ms: measured.and_then(|m| m.cpu_ms),
            peak_memory_bytes: measured.and_then(|m| m.peak_memory_bytes),
            artifacts: own.len(),
            artifact_bytes: own.iter().map(|a| a.size_bytes).sum(),
        })
    }

    /// For how long it held a task, as far as that is known.
    pub fn held_seconds(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of one step")]
        self.held_ms
            .or(self.duration_ms)
            .map_or(0.0, |ms| ms as f64 / 1e3)
    }
}
