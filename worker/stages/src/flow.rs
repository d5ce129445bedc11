//! What flows between the machine-learning stages: which artifacts there are, who wrote them, where they are found.
//!
//! | stage | writes |
//! |---|---|
//! | extract | the splits, [`DATASET`], [`STATISTICS`], and [`LEFT_OUT`] if there is such a column |
//! | validate | [`REPORT_JSON`], [`REPORT_HTML`], [`QUARANTINE`] and the splits without its rows if there are any |
//! | transform | [`PROGRAM`], [`FEATURES`] and the features of each split |
//! | train (each branch) | [`MODEL`], [`TRAINING`], and [`TIME_LIMITED`] if its time budget ended it |
//! | evaluate | [`EVALUATION`], [`VERDICT`], [`REPORT_HTML`] |
//! | explain | [`EXPLANATION`], [`REPORT_HTML`] |
//! | deploy | the package (see [`ml::package`]) |
//! | predict | [`PREDICTIONS`] |
//!
//! Each of them may write [`WARNINGS`] as well.

use std::path::{Path, PathBuf};

use ml::dataset::Dataset;
use ml::frame;
pub(crate) use pipeline::results::WARNINGS;
use pipeline::spec::StageParams;
use pipeline::stage::{Assignment, Committed, Read, StageContext, StageError};
use pipeline::{ArtifactName, Manifest, StepName};
use polars::prelude::DataFrame;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// What the columns are ([`Dataset`]).
pub(crate) const DATASET: &str = "dataset.json";
/// What train's columns look like ([`ml::statistics`]).
pub(crate) const STATISTICS: &str = "statistics.json";
/// Columns of the sources that are not read ([`LeftOut`]).
pub(crate) const LEFT_OUT: &str = "left-out.json";
/// The fitted feature program.
pub(crate) const PROGRAM: &str = "features.bin";
/// What the features are and what was left out, for people and reports.
pub(crate) const FEATURES: &str = "features.json";
/// A trained model.
pub(crate) const MODEL: &str = "model.bin";
/// How a model was trained.
pub(crate) const TRAINING: &str = "training.json";
/// Empty, and only there if a time budget cut the work short: such a result depends on how fast the machine is, and is
/// never cached.
pub(crate) const TIME_LIMITED: &str = "time-limited";
/// Metrics of every candidate.
pub(crate) use pipeline::results::EVALUATION;
/// The winner and what the gates say.
pub(crate) const VERDICT: &str = "verdict.json";
/// Why the winner predicts as it does.
pub(crate) const EXPLANATION: &str = "explanation.json";
/// Rows that broke a rule.
pub(crate) const QUARANTINE: &str = "quarantine.parquet";
/// A stage's report for scripts.
pub(crate) const REPORT_JSON: &str = "report.json";
/// A stage's report for people.
pub(crate) use pipeline::results::REPORT as REPORT_HTML;
/// What was predicted.
pub(crate) const PREDICTIONS: &str = "predictions.parquet";

/// The most warnings of one stage.
const MAX_WARNINGS: usize = 20;

/// A column of a source that is not read, because it holds lists or objects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LeftOut {
    /// Which source.
    pub(crate) source: String,
    /// Which column.
    pub(crate) column: String,
}

/// A part of the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Split {
    Train,
    Validation,
    Test,
}

impl Split {
    pub(crate) const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }

    /// The artifact with its raw columns.
    pub(crate) fn rows(self) -> &'static str {
        match self {
            Self::Train => "train.parquet",
            Self::Validation => "validation.parquet",
            Self::Test => "test.parquet",
        }
    }

    /// The artifact with its features.
    pub(crate) fn features(self) -> &'static str {
        match self {
            Self::Train => "train.features.parquet",
            Self::Validation => "validation.features.parquet",
            Self::Test => "test.features.parquet",
        }
    }
}

/// The last step before the assignment's own that is done by `stage`.
pub(crate) fn step_of<'a>(assignment: &'a Assignment, stage: &str) -> Option<&'a StepName> {
    let steps = &assignment.spec.steps;
    let own = steps.iter().position(|s| s.step == assignment.step)?;
    let found = steps[..own].iter().rfind(|s| s.params.kind().name == stage)?;
    Some(&found.step)
}

/// The committed result of the last step before that is done by `stage`.
pub(crate) fn result_of<'a>(
    assignment: &'a Assignment,
    stage: &str,
) -> Option<(&'a StepName, &'a Committed)> {
    let step = step_of(assignment, stage)?;
    assignment.committed.get(step).map(|committed| (step, committed))
}

fn manifest_of<'a>(assignment: &'a Assignment, stage: &str) -> Option<(&'a StepName, &'a Manifest)> {
    match result_of(assignment, stage)? {
        (step, Committed::One(manifest)) => Some((step, manifest)),
        (_, Committed::Branches(_)) => None,
    }
}

fn name(text: &str) -> ArtifactName {
    ArtifactName::new(text).expect("the names above are names of artifacts; a test holds it")
}

/// Reads these artifacts of the last step before that is done by `stage`. What it did not write is left out, and told
/// by [`input`] when the stage looks for it.
pub(crate) fn reads(assignment: &Assignment, stage: &str, names: &[&str]) -> Vec<Read> {
    let Some((step, manifest)) = manifest_of(assignment, stage) else {
        return Vec::new();
    };
    names
        .iter()
        .filter_map(|n| Read::of_step(step, manifest, &name(n)))
        .collect()
}

/// Reads these artifacts of every branch that succeeded of the last step before that is done by `stage`.
pub(crate) fn branch_reads(assignment: &Assignment, stage: &str, names: &[&str]) -> Vec<Read> {
    let Some((step, Committed::Branches(branches))) = result_of(assignment, stage) else {
        return Vec::new();
    };
    branches
        .iter()
        .flat_map(|(ordinal, manifest)| {
            names
                .iter()
                .filter_map(|n| Read::of_branch(step, *ordinal, manifest, &name(n)))
        })
        .collect()
}

/// Who wrote the rows that go on: `validate` where it put some aside, `extract` otherwise.
fn rows_writer(assignment: &Assignment) -> &'static str {
    let has_rows = |(_, manifest): (_, &Manifest)| manifest.get(&name(Split::Train.rows())).is_some();
    match manifest_of(assignment, "validate").is_some_and(has_rows) {
        true => "validate",
        false => "extract",
    }
}

/// Reads the raw columns of these splits, as validation left them, and [`DATASET`].
pub(crate) fn row_reads(assignment: &Assignment, splits: &[Split]) -> Vec<Read> {
    let names: Vec<&str> = splits.iter().map(|s| s.rows()).collect();
    let mut reads_ = reads(assignment, rows_writer(assignment), &names);
    reads_.extend(reads(assignment, rows_writer(assignment), &[DATASET]));
    reads_
}

/// Where an artifact of [`reads`] is.
pub(crate) fn input(context: &StageContext<'_>, stage: &str, name: &str) -> Result<PathBuf, StageError> {
    let step = step_of(context.assignment, stage)
        .ok_or_else(|| permanent(format!("there is no {stage} step before this one")))?;
    existing(context.inputs.join(step.as_str()).join(name), step, name)
}

/// Where an artifact of [`branch_reads`] is.
pub(crate) fn branch_input(
    context: &StageContext<'_>,
    stage: &str,
    ordinal: u32,
    name: &str,
) -> Result<PathBuf, StageError> {
    let step = step_of(context.assignment, stage)
        .ok_or_else(|| permanent(format!("there is no {stage} step before this one")))?;
    let path = context
        .inputs
        .join(step.as_str())
        .join(ordinal.to_string())
        .join(name);
    existing(path, step, name)
}

fn existing(path: PathBuf, step: &StepName, name: &str) -> Result<PathBuf, StageError> {
    match path.is_file() {
        true => Ok(path),
        false => Err(permanent(format!("step {step} wrote no {name}"))),
    }
}

/// What the columns are, from [`row_reads`].
pub(crate) fn dataset(context: &StageContext<'_>) -> Result<Dataset, StageError> {
    read_json(&input(context, rows_writer(context.assignment), DATASET)?)
}

/// The raw columns of a split, from [`row_reads`]: all, or only these.
pub(crate) fn rows(
    context: &StageContext<'_>,
    split: Split,
    columns: Option<&[String]>,
) -> Result<DataFrame, StageError> {
    let path = input(context, rows_writer(context.assignment), split.rows())?;
    frame::read(&path, columns).map_err(permanent)
}

/// Reads a value that an earlier step wrote.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, StageError> {
    frame::read_json(path).map_err(permanent)
}

/// Writes a value as an artifact.
pub(crate) fn write_json<T: Serialize>(
    context: &StageContext<'_>,
    name: &str,
    value: &T,
) -> Result<(), StageError> {
    frame::write_json(&context.outputs.join(name), value).map_err(transient)
}

/// Writes what people should know although the stage goes on; nothing if there is nothing.
pub(crate) fn write_warnings(
    context: &StageContext<'_>,
    mut warnings: Vec<String>,
) -> Result<(), StageError> {
    if warnings.is_empty() {
        return Ok(());
    }
    if warnings.len() > MAX_WARNINGS {
        let more = warnings.len() - (MAX_WARNINGS - 1);
        warnings.truncate(MAX_WARNINGS - 1);
        warnings.push(format!("{more} more are in the stage's report"));
    }
    write_json(context, WARNINGS, &warnings)
}

/// Writes bytes as an artifact.
pub(crate) fn write_bytes(context: &StageContext<'_>, name: &str, bytes: &[u8]) -> Result<(), StageError> {
    std::fs::write(context.outputs.join(name), bytes)
        .map_err(|e| transient(format!("cannot write {name}: {e}")))
}

/// Writes a frame as an artifact.
pub(crate) fn write_frame(
    context: &StageContext<'_>,
    name: &str,
    frame: &mut DataFrame,
) -> Result<(), StageError> {
    ml::frame::write(&context.outputs.join(name), frame).map_err(transient)
}

/// The columns whose values `validate` must keep out of reports, which therefore no report shows.
pub(crate) fn private_columns(assignment: &Assignment) -> Vec<&str> {
    let steps = assignment.spec.steps.iter();
    steps
        .filter_map(|step| match &step.params {
            StageParams::Validate(validate) => Some(&validate.private),
            _ => None,
        })
        .flatten()
        .map(String::as_str)
        .collect()
}

/// A failure that trying again cannot help.
pub(crate) fn permanent(what: impl std::fmt::Display) -> StageError {
    StageError::Permanent(what.to_string())
}

/// A failure that may pass by itself: of the disk, mostly.
pub(crate) fn transient(what: impl std::fmt::Display) -> StageError {
    StageError::Transient {
        message: what.to_string(),
        retry_after_ms: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_names_of_artifacts() {
        for text in [
            DATASET,
            STATISTICS,
            LEFT_OUT,
            PROGRAM,
            FEATURES,
            MODEL,
            TRAINING,
            TIME_LIMITED,
            EVALUATION,
            VERDICT,
            EXPLANATION,
            QUARANTINE,
            REPORT_JSON,
            REPORT_HTML,
            PREDICTIONS,
        ] {
            assert_eq!(name(text).as_str(), text);
        }
        for split in Split::ALL {
            assert_eq!(name(split.rows()).as_str(), split.rows());
            assert_eq!(name(split.features()).as_str(), split.features());
        }
    }
}
