//! What a run's stages found out, read from what they wrote.

use std::collections::BTreeMap;

use pipeline::artifact::{ArtifactKey, ArtifactRef};
use pipeline::ports::{ArtifactStore, ErrorKind, PortError, PortResult};
use pipeline::{ArtifactName, RunItem, StepState};
use serde::{Deserialize, Serialize};

use crate::worker::Worker;

/// The artifact of stage `evaluate` with the metrics of every candidate.
const EVALUATION: &str = "evaluation.json";

/// The artifact with a stage's report for people.
const REPORT: &str = "report.html";

/// An evaluation of 256 candidates with all its curves is far below.
const MAX_EVALUATION_BYTES: u64 = 64 * 1024 * 1024;

/// What was found out.
#[derive(Debug, Default)]
pub struct Results {
    /// Which candidate is best, and how good each is; none if no evaluation was committed.
    pub evaluation: Option<Evaluation>,
    /// Where the reports for people are.
    pub reports: Vec<ReportPlace>,
}

/// The part of an evaluation that is told with a run.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Evaluation {
    /// The name of the best candidate.
    pub winner: String,
    /// The metric by which it was chosen.
    pub metric: String,
    /// All candidates that were trained.
    pub candidates: Vec<Candidate>,
}

/// How good one candidate is. A metric is absent, or none, where it is not defined.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Its name.
    pub name: String,
    /// Its kind of model.
    pub kind: String,
    /// Metrics on the rows by which it was chosen.
    #[serde(default)]
    pub validation: BTreeMap<String, Option<f64>>,
    /// Metrics on rows that no choice has seen.
    #[serde(default)]
    pub test: BTreeMap<String, Option<f64>>,
}

/// Where a report is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReportPlace {
    /// Of which step.
    pub step: String,
    /// A path or a URI.
    pub path: String,
}

/// Reads the results of a run. What cannot be read is left out, and told in the log: the run itself is not concerned.
pub(super) async fn read(worker: &Worker, run: &RunItem) -> Results {
    let mut results = Results::default();
    for (name, step) in run.steps_in_order() {
        let Some(manifest) = step
            .manifest
            .as_ref()
            .filter(|_| step.state == StepState::Committed)
        else {
            continue;
        };
        if let Some(report) = manifest.get(&artifact_name(REPORT)) {
            results.reports.push(ReportPlace {
                step: name.to_string(),
                path: worker.backend.artifacts.locate(&report.key),
            });
        }
        let Some(evaluation) = manifest.get(&artifact_name(EVALUATION)) else {
            continue;
        };
        match evaluation_in(&*worker.backend.artifacts, worker.scratch.path(), &evaluation).await {
            Ok(evaluation) => results.evaluation = Some(evaluation),
            Err(e) => tracing::warn!(run.id = %run.id, step = %name, "its evaluation is not shown: {e}"),
        }
    }
    results
}

fn artifact_name(name: &str) -> ArtifactName {
    ArtifactName::new(name).expect("the names above are names of artifacts; a test holds it")
}

async fn evaluation_in(
    artifacts: &dyn ArtifactStore,
    scratch: &std::path::Path,
    artifact: &ArtifactRef,
) -> PortResult<Evaluation> {
    let unreadable = |key: &ArtifactKey, e: &dyn std::fmt::Display| {
        PortError::new(ErrorKind::Invalid, format!("{key} is no evaluation: {e}"))
    };
    if artifact.size_bytes > MAX_EVALUATION_BYTES {
        return Err(unreadable(
            &artifact.key,
            &format_args!("it has {} bytes", artifact.size_bytes),
        ));
    }
    let io = |e| PortError::new(ErrorKind::Unavailable, "cannot use the scratch folder").with_source(e);
    let folder = tempfile::tempdir_in(scratch).map_err(io)?;
    let file = folder.path().join(EVALUATION);
    artifacts.fetch(artifact, &file).await?;
    let bytes = std::fs::read(&file).map_err(io)?;
    serde_json::from_slice(&bytes).map_err(|e| unreadable(&artifact.key, &e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_evaluation_reads_whatever_else_it_holds() {
        for name in [EVALUATION, REPORT] {
            assert_eq!(artifact_name(name).as_str(), name);
        }
        let text = r#"{"task": "binary", "metric": "auc", "winner": "b", "rows": {"test": 3}, "candidates": [
            {"name": "b", "kind": "boosting", "ordinal": 0, "iterations": 9, "validation": {"auc": 0.75, "mcc": null},
             "test": {"auc": 0.5}, "intervals": {"auc": [0.4, 0.6]}}]}"#;
        let evaluation: Evaluation = serde_json::from_str(text).expect("reads");
        assert_eq!(evaluation.candidates[0].validation["mcc"], None);
        assert_eq!(evaluation.candidates[0].test["auc"], Some(0.5));
    }
}
