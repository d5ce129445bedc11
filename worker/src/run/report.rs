//! What a finished run is told as to scripts: one JSON object. [`super::table`] shows it to people.

use pipeline::item::{CacheNote, Measured};
use pipeline::results::Results;
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
    /// The model's version that it registered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelReport>,
    /// What its stages found out.
    #[serde(flatten)]
    pub results: Results,
}

/// A registered version of a model.
#[derive(Debug, Serialize)]
pub struct ModelReport {
    /// Under which name.
    pub name: String,
    /// The version: the run that made it.
    pub version: String,
    /// Whether an alias points to it now.
    pub promoted: bool,
    /// The alias that does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// Why, or why not.
    pub reason: String,
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
    /// What the cache said, for people; branches summed up. None for a stage whose results are never cached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<String>,
    /// Processor time of its children, branches summed up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_seconds: Option<f64>,
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
    pub fn new(run: &RunItem, branches: &[BranchItem], results: Results) -> Self {
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
            model: run.registered.as_ref().map(|registered| ModelReport {
                name: registered.model.to_string(),
                version: run.id.to_string(),
                promoted: registered.promoted.is_some(),
                alias: registered.promoted.as_ref().map(ToString::to_string),
                reason: registered.reason.clone(),
            }),
            results,
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
            cache: cache(&measured),
            cpu_seconds: sum(measured.iter().map(|m| m.cpu_ms)).map(|ms| ms as f64 / 1000.0),
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

/// The sum of what is known, none if nothing is.
fn sum(parts: impl Iterator<Item = Option<u64>>) -> Option<u64> {
    parts.flatten().reduce(u64::saturating_add)
}

/// What the cache said of all branches: the same, or how many hits there were.
fn cache(measured: &[&Measured]) -> Option<String> {
    let notes: Vec<&CacheNote> = measured.iter().filter_map(|m| m.cache.as_ref()).collect();
    let (first, rest) = notes.split_first()?;
    if rest.iter().all(|note| note == first) {
        return Some(first.to_string());
    }
    let hits = notes.iter().filter(|note| ***note == CacheNote::Hit).count();
    Some(format!("{hits} of {} hit", notes.len()))
}
