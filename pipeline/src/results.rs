//! What a run's stages found out, read from what they wrote: for whoever shows a run.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::artifact::ArtifactRef;
use crate::item::{BranchItem, RunItem, StepState};
use crate::ports::{ArtifactStore, ErrorKind, PortError, PortResult};
use crate::{ArtifactName, Manifest};

/// The artifact of stage `evaluate` with the metrics of every candidate ([`Evaluation`]).
pub const EVALUATION: &str = "evaluation.json";

/// The artifact with what a stage wants people to know although it went on: a list of sentences. There is none if
/// there is nothing to say.
pub const WARNINGS: &str = "warnings.json";

/// The artifact with a stage's report for people.
pub const REPORT: &str = "report.html";

/// An evaluation of 256 candidates with all its curves is far below.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// What was found out.
#[derive(Debug, Default, Serialize)]
pub struct Results {
    /// Which candidate is best, and how good each is; none if no evaluation was committed.
    #[serde(flatten)]
    pub evaluation: Option<Evaluation>,
    /// What the stages want people to know.
    pub warnings: Vec<Warning>,
    /// Where the reports for people are.
    pub reports: Vec<ReportPlace>,
    /// Artifacts that could not be read, and why: the run itself is not concerned.
    #[serde(skip)]
    pub unread: Vec<String>,
}

/// What a stage wants people to know although it went on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// Of which step.
    pub step: String,
    /// In a sentence.
    pub text: String,
}

/// The part of an evaluation that is told with a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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

/// Reads the results of a run, whose branches these are. `bytes` gives an artifact's content; only small ones are asked
/// for.
pub async fn read(
    artifacts: &dyn ArtifactStore,
    run: &RunItem,
    branches: &[BranchItem],
    bytes: impl AsyncFn(&ArtifactRef) -> PortResult<Vec<u8>>,
) -> Results {
    let mut results = Results::default();
    for (name, step) in run.steps_in_order() {
        let of_branches = branches.iter().filter(|b| b.step == *name).map(|b| &b.work);
        for work in std::iter::once(step).chain(of_branches) {
            let Some(manifest) = work
                .manifest
                .as_ref()
                .filter(|_| work.state == StepState::Committed)
            else {
                continue;
            };
            if let Some(report) = manifest.get(&artifact_name(REPORT)) {
                results.reports.push(ReportPlace {
                    step: name.to_string(),
                    path: artifacts.locate(&report.key),
                });
            }
            match json_in(&bytes, manifest, EVALUATION).await {
                Ok(None) => {}
                Ok(evaluation) => results.evaluation = evaluation,
                Err(e) => results.unread.push(format!("{name}: {e}")),
            }
            match json_in::<Vec<String>>(&bytes, manifest, WARNINGS).await {
                Ok(texts) => results
                    .warnings
                    .extend(texts.into_iter().flatten().map(|text| Warning {
                        step: name.to_string(),
                        text,
                    })),
                Err(e) => results.unread.push(format!("{name}: {e}")),
            }
        }
    }
    results
}

fn artifact_name(name: &str) -> ArtifactName {
    ArtifactName::new(name).expect("the names above are names of artifacts; a test holds it")
}

/// An artifact of this name, if the manifest has one.
async fn json_in<T: DeserializeOwned>(
    bytes: &impl AsyncFn(&ArtifactRef) -> PortResult<Vec<u8>>,
    manifest: &Manifest,
    name: &str,
) -> PortResult<Option<T>> {
    let Some(artifact) = manifest.get(&artifact_name(name)) else {
        return Ok(None);
    };
    let ArtifactRef { key, size_bytes, .. } = &artifact;
    let unreadable = |why: &dyn std::fmt::Display| {
        PortError::new(
            ErrorKind::Invalid,
            format!("{key} is not what it should be: {why}"),
        )
    };
    if *size_bytes > MAX_BYTES {
        return Err(unreadable(&format_args!("it has {size_bytes} bytes")));
    }
    serde_json::from_slice(&bytes(&artifact).await?)
        .map(Some)
        .map_err(|e| unreadable(&e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_evaluation_reads_whatever_else_it_holds() {
        for name in [EVALUATION, REPORT, WARNINGS] {
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
