//! What is written for programs: the evaluation and the verdict.

use std::collections::BTreeMap;

use ml::dataset::Task;
use ml::metrics::{
    CalibrationBin, ClassFigures, Confusion, Interval, Judged, PrPoint, Residuals, RocPoint, ThresholdRow,
};
use pipeline::stage::StageError;
use serde::Serialize;

use super::Job;
use super::candidate::{Candidate, Metrics, Rows};
use super::champion::Champion;
use super::gates::GateResult;
use super::slices::Slice;
use crate::winner::Compared;

/// How good every candidate is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Evaluation {
    pub(super) task: Task,
    /// The metric that chose.
    pub(super) metric: &'static str,
    /// The best candidate's name.
    pub(super) winner: String,
    pub(super) rows: SplitSizes,
    /// By ordinal.
    pub(super) candidates: Vec<Measured>,
    /// Of the winner on test.
    pub(super) slices: Vec<Slice>,
    /// Of test, by the candidate's ordinal.
    pub(super) curves: BTreeMap<u32, Curves>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct SplitSizes {
    pub(super) validation: usize,
    pub(super) test: usize,
}

/// One candidate's figures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Measured {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) ordinal: u32,
    pub(super) iterations: u32,
    pub(super) time_limited: bool,
    pub(super) validation: Metrics,
    pub(super) test: Metrics,
    /// 95 %, of the metrics on test.
    pub(super) intervals: BTreeMap<&'static str, Interval>,
}

/// One candidate's curves; those of its task.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Curves {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) roc: Option<Vec<RocPoint>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) precision_recall: Option<Vec<PrPoint>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) calibration: Option<Vec<CalibrationBin>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) thresholds: Option<Vec<ThresholdRow>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) confusion: Option<Confusion>,
    /// By true class, then predicted class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) confusion_matrix: Option<Vec<Vec<f64>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) classes: Option<Vec<ClassFigures>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) residuals: Option<Residuals>,
}

impl Curves {
    fn of(judged: &Judged<'_>) -> Self {
        Self {
            roc: judged.roc(),
            precision_recall: judged.precision_recall(),
            calibration: judged.calibration(),
            thresholds: judged.thresholds(),
            confusion: judged.confusion(),
            confusion_matrix: judged.confusion_matrix(),
            classes: judged.class_figures(),
            residuals: judged.residuals(),
        }
    }
}

impl Evaluation {
    pub(super) fn new(
        job: &Job<'_>,
        candidates: &[Candidate],
        winner: usize,
        rows: SplitSizes,
        slices: Vec<Slice>,
        test: &Rows,
    ) -> Result<Self, StageError> {
        let mut curves = BTreeMap::new();
        for candidate in candidates {
            job.context.checkpoint()?;
            let judged = test.judge(&candidate.values, candidate.name())?;
            curves.insert(candidate.ordinal, Curves::of(&judged));
        }
        Ok(Self {
            task: job.dataset.task,
            metric: job.metric.name,
            winner: candidates[winner].name().to_owned(),
            rows,
            candidates: candidates.iter().map(Measured::of).collect(),
            slices,
            curves,
        })
    }
}

impl Measured {
    fn of(candidate: &Candidate) -> Self {
        Self {
            name: candidate.record.name.clone(),
            kind: candidate.record.kind.clone(),
            ordinal: candidate.ordinal,
            iterations: candidate.record.iterations,
            time_limited: candidate.record.time_limited,
            validation: candidate.validation.clone(),
            test: candidate.test.clone(),
            intervals: candidate.intervals.clone(),
        }
    }
}

/// What is decided.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Verdict {
    pub(super) winner: Winner,
    /// The metric that chose.
    pub(super) metric: &'static str,
    /// Whether every threshold is reached. If not, nothing is deployed.
    pub(super) passed: bool,
    /// Whether the alias may move to the winner.
    pub(super) promote: bool,
    /// Why, for people.
    pub(super) reason: String,
    pub(super) gates: Vec<GateResult>,
    /// None if there is no champion.
    pub(super) champion: Option<Champion>,
    /// The revision of the champion's alias that was looked at; none if nobody was asked for.
    pub(super) alias_revision: Option<u64>,
    /// Which alias that is, of which model.
    pub(super) compared: Option<Compared>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Winner {
    pub(super) name: String,
    pub(super) ordinal: u32,
    pub(super) kind: String,
}

impl Verdict {
    pub(super) fn new(
        job: &Job<'_>,
        winner: &Candidate,
        gates: Vec<GateResult>,
        champion: Option<Champion>,
    ) -> Self {
        let found = job.context.assignment.found.model.as_ref();
        let failed: Vec<&str> = gates
            .iter()
            .filter(|gate| !gate.passed)
            .map(|gate| gate.about.as_str())
            .collect();
        let passed = failed.is_empty();
        let reason = match (&champion, passed) {
            (_, false) => format!("{} does not pass: {}", winner.name(), failed.join("; ")),
            (Some(champion), true) => champion.about.clone(),
            (None, true) if gates.is_empty() => {
                format!(
                    "{} is the best candidate, and there is no champion yet",
                    winner.name()
                )
            }
            (None, true) => format!(
                "{} passes every gate, and there is no champion yet",
                winner.name()
            ),
        };
        Self {
            winner: Winner {
                name: winner.name().to_owned(),
                ordinal: winner.ordinal,
                kind: winner.record.kind.clone(),
            },
            metric: job.metric.name,
            passed,
            promote: passed && champion.as_ref().is_none_or(|c| c.passed),
            reason,
            gates,
            champion,
            alias_revision: found.map(|m| m.revision),
            compared: found.map(|m| Compared {
                model: m.model.clone(),
                alias: m.alias.clone(),
            }),
        }
    }
}

/// As specifications name it.
pub(super) fn task_name(task: Task) -> &'static str {
    match task {
        Task::Binary => "binary",
        Task::Multiclass => "multiclass",
        Task::Regression => "regression",
    }
}
