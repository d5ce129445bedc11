//! What a finished run is told as: one JSON object for scripts, a table for people.

use pipeline::{BranchItem, RunItem, RunStatus, StepItem, StepName};
use serde::Serialize;

/// A run as scripts read it. Field names are kept stable.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The run's id.
    pub run: String,
    /// Its pipeline.
    pub pipeline: String,
    /// How it stands.
    pub status: RunStatus,
    /// Why it ended, for every end but success.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// From creation to end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// In the plan's order.
    pub steps: Vec<StepReport>,
    /// What its last commit registered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registered: Option<pipeline::registry::Registered>,
}

/// A step, over all of its branches.
#[derive(Debug, Serialize)]
pub struct StepReport {
    /// Its name.
    pub step: String,
    /// Its stage.
    pub stage: String,
    /// How it stands.
    pub state: pipeline::StepState,
    /// How many times it was claimed, branches summed up.
    pub attempts: u32,
    /// How long the committed attempt's own work took, branches summed up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// True if the result came from the cache.
    pub cached: bool,
    /// The largest of its children's resident memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
    /// Its branches, if it is fanned out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branches: Option<BranchReport>,
    /// What went wrong last, also if it went well afterwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

/// How the branches of a step stand.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct BranchReport {
    /// How many there are.
    pub count: u32,
    /// How many are settled.
    pub done: u32,
    /// How many failed for good.
    pub lost: u32,
}

impl Report {
    /// The report of `run`; `branches` are all of its branch items.
    pub fn new(run: &RunItem, branches: &[BranchItem]) -> Self {
        Self {
            run: run.id.to_string(),
            pipeline: run.pipeline.to_string(),
            status: run.status,
            reason: run.reason.clone(),
            seconds: run.ended_at.map(|end| end.since(run.created_at).as_secs_f64()),
            steps: run
                .steps_in_order()
                .map(|(name, step)| StepReport::new(run, name, step, branches))
                .collect(),
            registered: run.registered.clone(),
        }
    }

    /// The process's exit code for a run that ended so.
    pub fn exit_code(status: RunStatus) -> u8 {
        match status {
            RunStatus::Succeeded => 0,
            RunStatus::Open => 1,
            RunStatus::Failed => 5,
            RunStatus::Halted => 6,
            RunStatus::Cancelled => 7,
        }
    }
}

impl StepReport {
    fn new(run: &RunItem, name: &StepName, step: &StepItem, branches: &[BranchItem]) -> Self {
        let own: Vec<&StepItem> = match step.is_fanned() {
            true => branches
                .iter()
                .filter(|b| b.step == *name)
                .map(|b| &b.work)
                .collect(),
            false => vec![step],
        };
        let measured: Vec<_> = own.iter().filter_map(|w| w.measured.as_ref()).collect();
        let millis: u64 = measured.iter().map(|m| m.duration_ms).sum();
        Self {
            step: name.to_string(),
            stage: step.stage.to_string(),
            state: step.state,
            attempts: own.iter().map(|w| w.attempt).sum(),
            seconds: (!measured.is_empty()).then_some(millis as f64 / 1000.0),
            cached: !measured.is_empty() && measured.iter().all(|m| m.cached),
            peak_memory_bytes: measured.iter().filter_map(|m| m.peak_memory_bytes).max(),
            branches: step.branches.map(|count| BranchReport {
                count,
                done: run.done_count(name),
                lost: run.lost_count(name),
            }),
            fault: own
                .iter()
                .filter_map(|w| w.fault.as_ref())
                .max_by_key(|f| f.at)
                .map(|f| f.message.clone()),
        }
    }
}

/// The report as a table.
impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let width = self.steps.iter().map(|s| s.step.len()).max().unwrap_or(0).max(4);
        let stage_width = self.steps.iter().map(|s| s.stage.len()).max().unwrap_or(0).max(5);
        writeln!(
            f,
            "{:width$}  {:stage_width$}  {:10}  {:>8}  {:>8}  {:>9}",
            "STEP", "STAGE", "STATE", "ATTEMPTS", "SECONDS", "PEAK MIB"
        )?;
        for step in &self.steps {
            let state = format!("{:?}", step.state).to_uppercase();
            let seconds = step.seconds.map_or_else(|| "-".into(), |s| format!("{s:.2}"));
            let peak = step
                .peak_memory_bytes
                .map_or_else(|| "-".into(), |b| format!("{:.0}", b as f64 / 1_048_576.0));
            write!(
                f,
                "{:width$}  {:stage_width$}  {state:10}  {:>8}  {seconds:>8}  {peak:>9}",
                step.step, step.stage, step.attempts
            )?;
            if let Some(b) = step.branches {
                write!(f, "  {} of {} branches", b.done - b.lost, b.count)?;
            }
            writeln!(f)?;
        }
        if let Some(registered) = &self.registered {
            match &registered.promoted {
                Some(alias) => writeln!(
                    f,
                    "model {} registered and promoted to {alias}: {}",
                    registered.model, registered.reason
                )?,
                None => writeln!(
                    f,
                    "model {} registered, not promoted: {}",
                    registered.model, registered.reason
                )?,
            }
        }
        let seconds = self.seconds.map_or_else(String::new, |s| format!(" in {s:.2} s"));
        write!(f, "run {} {}{seconds}", self.run, self.status)?;
        match &self.reason {
            Some(reason) => write!(f, ": {reason}"),
            None => Ok(()),
        }
    }
}
