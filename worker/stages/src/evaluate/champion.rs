//! The comparison with the champion: the model that is deployed now, on the same rows of test.

use std::path::Path;

use ml::dataset::Dataset;
use ml::features::FeatureProgram;
use ml::frame;
use ml::metrics::Interval;
use ml::models::Model;
use pipeline::ArtifactName;
use pipeline::registry::ModelVersion;
use pipeline::stage::{Assignment, Read, StageError};
use serde::Serialize;

use super::Job;
use super::candidate::{Candidate, Rows};
use crate::flow::{self, DATASET, MODEL, PROGRAM, Split, permanent, transient};

/// Below which path its package is found.
const FOLDER: &str = "champion";

/// What was found of the champion.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Champion {
    /// The run that made it.
    pub(super) version: String,
    /// The alias' revision that was compared with.
    pub(super) revision: u64,
    /// Its metric on test; none if it cannot be had.
    pub(super) value: Option<f64>,
    /// The winner's.
    pub(super) winner_value: Option<f64>,
    /// The winner's less its own.
    pub(super) difference: Option<f64>,
    /// 95 % of the difference, of the same rows.
    pub(super) interval: Option<Interval>,
    /// Whether the winner may take its place.
    pub(super) passed: bool,
    /// In a sentence.
    pub(super) about: String,
}

/// Reads the model, its own feature program, and what its data was, out of the champion's package.
pub(super) fn reads(assignment: &Assignment) -> Vec<Read> {
    let Some(version) = version(assignment) else {
        return Vec::new();
    };
    [MODEL, PROGRAM, DATASET]
        .into_iter()
        .filter_map(|name| {
            let path = Path::new(FOLDER).join(name);
            Read::of(&version.package, &ArtifactName::new(name).ok()?, path)
        })
        .collect()
}

fn version(assignment: &Assignment) -> Option<&ModelVersion> {
    assignment.found.model.as_ref()?.version.as_ref()
}

/// The champion cannot be measured here. It stays where it is, and people are told why.
struct NotComparable(String);

impl Champion {
    /// None if there is no champion.
    pub(super) fn compare(
        job: &Job<'_>,
        winner: &Candidate,
        test: &Rows,
    ) -> Result<Option<Self>, StageError> {
        let assignment = job.context.assignment;
        let (Some(version), Some(found)) = (version(assignment), &assignment.found.model) else {
            return Ok(None);
        };
        let version = version.run.to_string();
        let nothing = |about: String| Self {
            version: version.clone(),
            revision: found.revision,
            value: None,
            winner_value: winner.on_test(job.metric.name),
            difference: None,
            interval: None,
            passed: false,
            about,
        };
        job.context.checkpoint()?;
        let values = match predict(job, test.target.len())? {
            Ok(values) => values,
            Err(NotComparable(why)) => {
                return Ok(Some(nothing(format!(
                    "the champion {version} cannot be measured on these rows: {why}. Promote the winner by hand if \
                     it is to follow"
                ))));
            }
        };
        job.context.checkpoint()?;
        let champion = test.judge(&values, "the champion")?;
        let judged = test.judge(&winner.values, winner.name())?;
        let metric = job.metric;
        let Some(compared) = judged.compare(&champion, metric.name, job.seed) else {
            return Ok(Some(nothing(format!(
                "{} is not defined on the rows of test, so the champion {version} and the winner cannot be compared",
                metric.name
            ))));
        };
        let tolerance = job.params.champion.tolerance;
        let passed = metric.advantage(compared.value, compared.other) >= -tolerance;
        let bound = match tolerance > 0.0 {
            true => format!(" (tolerance {tolerance})"),
            false => String::new(),
        };
        let (ours, other) = in_words(compared.value, compared.other);
        let verdict = if passed {
            "is not worse than"
        } else {
            "is worse than"
        };
        Ok(Some(Self {
            value: Some(compared.other),
            winner_value: Some(compared.value),
            difference: Some(compared.difference),
            interval: compared.interval,
            passed,
            about: format!(
                "{} on test: the winner's {ours} {verdict} the champion's {other}{bound}",
                metric.name
            ),
            ..nothing(String::new())
        }))
    }
}

/// Two figures in a sentence: four digits after the point, or all there are where they would look equal and are not.
fn in_words(a: f64, b: f64) -> (String, String) {
    let short = (format!("{a:.4}"), format!("{b:.4}"));
    match short.0 == short.1 && a != b {
        true => (a.to_string(), b.to_string()),
        false => short,
    }
}

/// What the champion predicts for test, by its own feature program. An error of the first kind is our own (files that
/// cannot be read), the second says that the champion and these rows do not fit.
fn predict(job: &Job<'_>, rows: usize) -> Result<Result<Vec<f64>, NotComparable>, StageError> {
    let folder = job.context.inputs.join(FOLDER);
    let bytes = |name: &str| match folder.join(name) {
        path if !path.is_file() => Ok(Err(NotComparable(format!("its package has no {name}")))),
        path => std::fs::read(&path)
            .map(Ok)
            .map_err(|e| transient(format!("cannot read {FOLDER}/{name}: {e}"))),
    };
    macro_rules! fits {
        ($result:expr, $what:expr) => {
            match $result {
                Ok(value) => value,
                Err(e) => return Ok(Err(NotComparable(format!("{}{e}", $what)))),
            }
        };
    }
    let model = match bytes(MODEL)? {
        Ok(bytes) => fits!(Model::from_bytes(&bytes), ""),
        Err(e) => return Ok(Err(e)),
    };
    let program = match bytes(PROGRAM)? {
        Ok(bytes) => fits!(FeatureProgram::from_bytes(&bytes), ""),
        Err(e) => return Ok(Err(e)),
    };
    let path = folder.join(DATASET);
    let known: Option<Dataset> = match path.is_file() {
        true => Some(fits!(frame::read_json(&path), "")),
        false => None,
    };
    fits!(same_question(job.dataset, known.as_ref(), &model), "");
    let columns: Vec<String> = program.inputs().iter().map(|input| input.name.clone()).collect();
    let missing: Vec<&str> = columns
        .iter()
        .filter(|name| job.dataset.column(name).is_none())
        .map(String::as_str)
        .collect();
    if !missing.is_empty() {
        let missing = missing.join(", ");
        return Ok(Err(NotComparable(format!(
            "it needs columns that the data no longer has: {missing}"
        ))));
    }
    let frame = flow::rows(job.context, Split::Test, Some(&columns))?;
    if frame.height() != rows {
        return Err(permanent(format!(
            "{} has {} rows and its features {rows}: they are not of the same data",
            Split::Test.rows(),
            frame.height()
        )));
    }
    let table = fits!(program.apply(&frame), "");
    drop(frame);
    let values = fits!(model.predict(&table), "").values;
    Ok(match values.iter().all(|v| v.is_finite()) {
        true => Ok(values),
        false => Err(NotComparable("it predicts what is no finite number".into())),
    })
}

/// Whether both models predict the same: a label of other classes has other numbers.
fn same_question(ours: &Dataset, theirs: Option<&Dataset>, model: &Model) -> Result<(), String> {
    // A binary model may count its classes as two or leave them to its task.
    let other_classes = ours.task == ml::dataset::Task::Multiclass && model.classes() != ours.classes.len();
    if model.task() != ours.task || other_classes {
        return Err("it was trained for another task, or for other classes".into());
    }
    match theirs {
        Some(theirs) if theirs.label != ours.label => Err(format!(
            "it predicts the column {:?} and not {:?}",
            theirs.label, ours.label
        )),
        Some(theirs)
            if theirs.task == ml::dataset::Task::Binary && theirs.classes.iter().rev().eq(&ours.classes) =>
        {
            Err("its positive class is the other one".into())
        }
        Some(theirs) if theirs.classes != ours.classes => {
            Err("the label has other classes than those it was trained for".into())
        }
        _ => Ok(()),
    }
}
