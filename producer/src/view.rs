//! Runs and steps as JSON for scripts. The names are part of the interface: every field is always there, `null` where
//! there is nothing to say; times are RFC 3339 in UTC, durations milliseconds, sizes bytes.

use pipeline::item::{BranchItem, CacheNote, Fault, RunItem, StepItem, StepState};
use pipeline::{RunStatus, Timestamp};
use serde::Serialize;

use crate::render::Colour;

/// One run in a list.
#[derive(Debug, Serialize)]
pub struct RunView {
    /// Its id.
    pub run: String,
    /// Its pipeline.
    pub pipeline: String,
    /// `OPEN`, `SUCCEEDED`, `HALTED`, `FAILED`, `CANCELLED`.
    pub status: RunStatus,
    /// Why it ended, for every end but success.
    pub reason: Option<String>,
    /// At which step it stands, or ended; none if all are committed.
    pub step: Option<String>,
    /// How many steps are committed.
    pub steps_committed: usize,
    /// How many steps it has.
    pub steps_total: usize,
    /// When it was made.
    pub created_at: String,
    /// When it ended.
    pub ended_at: Option<String>,
    /// When it fails if it is still open.
    pub deadline: String,
    /// The digest of its specification.
    pub spec: String,
    /// The run that it resumes.
    pub parent: Option<String>,
    /// The model's version that it registered.
    pub registered: Option<pipeline::registry::Registered>,
}

impl RunView {
    /// The view of a run's item.
    pub fn of(run: &RunItem) -> Self {
        Self {
            run: run.id.to_string(),
            pipeline: run.pipeline.to_string(),
            status: run.status,
            reason: run.reason.clone(),
            step: run.frontier().map(|(step, _)| step.to_string()),
            steps_committed: committed(run),
            steps_total: run.order.len(),
            created_at: run.created_at.to_string(),
            ended_at: time(run.ended_at),
            deadline: run.deadline.to_string(),
            spec: run.spec.to_string(),
            parent: run.parent.as_ref().map(ToString::to_string),
            registered: run.registered.clone(),
        }
    }
}

/// How many of its steps are committed.
pub fn committed(run: &RunItem) -> usize {
    run.steps
        .values()
        .filter(|step| step.state == StepState::Committed)
        .count()
}

/// A point in time as scripts read it.
pub fn time(at: Option<Timestamp>) -> Option<String> {
    at.map(|at| at.to_string())
}

/// One step, or one branch of a fanned-out step.
#[derive(Debug, Serialize)]
pub struct StepView {
    /// Its name.
    pub step: String,
    /// Which branch; none for a step itself.
    pub ordinal: Option<u32>,
    /// Which pool works on it.
    pub stage: String,
    /// `PENDING`, `RUNNING`, `COMMITTED`, `FAILED`.
    pub state: StepState,
    /// In which memory class.
    pub class: &'static str,
    /// How many times it was claimed.
    pub attempts: u32,
    /// Which failures it spent: `crash`, `transient`, `memory`.
    pub spent: pipeline::item::Budget,
    /// Of a fanned-out step: how its branches stand.
    pub branches: Option<BranchesView>,
    /// Wall time of the work that was committed.
    pub duration_ms: Option<u64>,
    /// Its largest resident memory.
    pub peak_memory_bytes: Option<u64>,
    /// What it was estimated to take when it became ready, and what from.
    pub demand: Option<pipeline::item::Demand>,
    /// True if its result came from the cache.
    pub cached: bool,
    /// What the cache said; none for a stage whose results are never cached.
    pub cache: Option<CacheView>,
    /// Processor time of the work that was committed.
    pub cpu_ms: Option<u64>,
    /// The version of the component that claimed it last.
    pub version: Option<String>,
    /// Since when it can be worked on.
    pub ready_at: Option<String>,
    /// When it was claimed last.
    pub started_at: Option<String>,
    /// Until when its worker holds it.
    pub lease_until: Option<String>,
    /// When it was settled.
    pub ended_at: Option<String>,
    /// What it wrote.
    pub artifacts: Vec<ArtifactView>,
    /// What went wrong last.
    pub fault: Option<FaultView>,
}

/// What the cache said of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CacheView {
    /// `hit`, `miss`, or `off`: nobody looked.
    pub answer: &'static str,
    /// Of a miss: what differs from the step's latest result; nothing if that was the first.
    pub differs: Vec<String>,
    /// In words.
    pub text: String,
}

impl CacheView {
    /// Of what is stored.
    pub fn of(note: &CacheNote) -> Self {
        let (answer, differs) = match note {
            CacheNote::Hit => ("hit", &[][..]),
            CacheNote::Miss { differs } => ("miss", &differs[..]),
            CacheNote::Off => ("off", &[][..]),
        };
        Self {
            answer,
            differs: differs.to_vec(),
            text: note.to_string(),
        }
    }
}

/// How the branches of a step stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BranchesView {
    /// How many there are; none while its predecessor has not said.
    pub total: Option<u32>,
    /// How many are settled.
    pub settled: u32,
    /// How many of these failed for good.
    pub failed: u32,
}

/// One artifact of a manifest.
#[derive(Debug, Serialize)]
pub struct ArtifactView {
    /// Its name.
    pub name: String,
    /// Its digest.
    pub sha256: String,
    /// Its length.
    pub size_bytes: u64,
    /// How large it is as a table, if it is one.
    pub table: Option<pipeline::artifact::TableShape>,
}

/// What went wrong last.
#[derive(Debug, Serialize)]
pub struct FaultView {
    /// `transient`, `permanent`, `memory`, `crash`, `interrupted`.
    pub class: &'static str,
    /// For people.
    pub message: String,
    /// In which attempt.
    pub attempt: u32,
    /// When.
    pub at: String,
}

impl FaultView {
    fn of(fault: &Fault) -> Self {
        Self {
            class: fault.class.as_str(),
            message: fault.message.clone(),
            attempt: fault.attempt,
            at: fault.at.to_string(),
        }
    }
}

impl StepView {
    /// Every step of a run in order, each followed by those of its branches that were ever claimed.
    pub fn all(run: &RunItem, branches: &[BranchItem]) -> Vec<Self> {
        let mut views = Vec::new();
        for (name, step) in run.steps_in_order() {
            let mut view = Self::of(name.as_str(), None, step);
            view.branches = step.is_fanned().then(|| BranchesView {
                total: step.branches,
                settled: run.done_count(name),
                failed: run.lost_count(name),
            });
            views.push(view);
            let own = branches.iter().filter(|b| b.step == *name);
            views.extend(own.map(|b| Self::of(name.as_str(), Some(b.ordinal), &b.work)));
        }
        views
    }

    fn of(step: &str, ordinal: Option<u32>, work: &StepItem) -> Self {
        let artifacts = work.manifest.iter().flat_map(|m| &m.artifacts);
        Self {
            step: step.to_owned(),
            ordinal,
            stage: work.stage.to_string(),
            state: work.state,
            class: work.class.as_str(),
            attempts: work.attempt,
            spent: work.spent,
            branches: None,
            duration_ms: work.measured.as_ref().map(|m| m.duration_ms),
            peak_memory_bytes: work.measured.as_ref().and_then(|m| m.peak_memory_bytes),
            demand: work.demand.clone(),
            cached: work.measured.as_ref().is_some_and(|m| m.cached),
            cache: work
                .measured
                .as_ref()
                .and_then(|m| m.cache.as_ref())
                .map(CacheView::of),
            cpu_ms: work.measured.as_ref().and_then(|m| m.cpu_ms),
            version: work.version.clone(),
            ready_at: time(work.ready_at),
            started_at: time(work.started_at),
            lease_until: time(work.lease_until),
            ended_at: time(work.ended_at),
            artifacts: artifacts
                .map(|a| ArtifactView {
                    name: a.name.to_string(),
                    sha256: a.sha256.to_string(),
                    size_bytes: a.size_bytes,
                    table: a.table,
                })
                .collect(),
            fault: work.fault.as_ref().map(FaultView::of),
        }
    }

    /// Its name for people: `train`, or `train/3`.
    pub fn label(&self) -> String {
        match self.ordinal {
            None => self.step.clone(),
            Some(ordinal) => format!("{}/{ordinal}", self.step),
        }
    }
}

/// The colour in which a run's status is shown.
pub fn status_colour(status: RunStatus) -> Option<Colour> {
    match status {
        RunStatus::Open => Some(Colour::Cyan),
        RunStatus::Succeeded => Some(Colour::Green),
        RunStatus::Failed => Some(Colour::Red),
        RunStatus::Halted | RunStatus::Cancelled => Some(Colour::Yellow),
    }
}

/// The colour in which a step's state is shown.
pub fn state_colour(state: StepState) -> Option<Colour> {
    match state {
        StepState::Pending => Some(Colour::Dim),
        StepState::Running => Some(Colour::Cyan),
        StepState::Committed => Some(Colour::Green),
        StepState::Failed => Some(Colour::Red),
    }
}

/// A step's state as it is stored and shown.
pub fn state(state: StepState) -> &'static str {
    match state {
        StepState::Pending => "PENDING",
        StepState::Running => "RUNNING",
        StepState::Committed => "COMMITTED",
        StepState::Failed => "FAILED",
    }
}
