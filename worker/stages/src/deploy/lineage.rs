//! Where a package comes from: what its description says of the run, of its artifacts and of how good it was.

use std::collections::BTreeMap;

use ml::package::CsvDialect;
use pipeline::Manifest;
use pipeline::spec::StageParams;
use pipeline::stage::{Assignment, Committed, StageContext, StageError};
use serde::Deserialize;

use crate::flow::{self, EVALUATION};
use crate::winner::{Verdict, Winner};

/// Of [`EVALUATION`], what goes into the package.
#[derive(Deserialize)]
struct Evaluation {
    candidates: Vec<Candidate>,
}

#[derive(Deserialize)]
struct Candidate {
    ordinal: u32,
    #[serde(default)]
    test: BTreeMap<String, Option<f64>>,
}

/// The run and how the winner was chosen.
pub(super) fn of(assignment: &Assignment, verdict: &Verdict) -> BTreeMap<String, String> {
    let spec = &assignment.spec;
    [
        ("run", assignment.run.to_string()),
        ("pipeline", spec.pipeline.to_string()),
        ("spec_sha256", spec.digest().to_string()),
        ("seed", spec.seed.to_string()),
        ("candidate", verdict.winner.name.clone()),
        ("metric", verdict.metric.clone()),
        ("verdict", verdict.reason.clone()),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
    .collect()
}

/// The digests of all that the steps before wrote, by `step/name`; of branches only the winner's.
pub(super) fn artifacts(assignment: &Assignment, winner: &Winner) -> BTreeMap<String, String> {
    let mut digests = BTreeMap::new();
    let mut add = |step: &str, manifest: &Manifest| {
        for artifact in &manifest.artifacts {
            digests.insert(format!("{step}/{}", artifact.name), artifact.sha256.to_string());
        }
    };
    for (step, committed) in &assignment.committed {
        if let Committed::One(manifest) = committed {
            add(step.as_str(), manifest);
        }
    }
    if let (Some(step), Some(manifest)) = (flow::step_of(assignment, "train"), winner.manifest(assignment)) {
        add(&format!("{step}/{}", winner.ordinal), manifest);
    }
    digests
}

/// How the rows were written, which new ones are likely to be too. Of several sources none is like what the model sees.
pub(super) fn csv(assignment: &Assignment) -> CsvDialect {
    let sources = assignment.spec.steps.iter().find_map(|step| match &step.params {
        StageParams::Extract(extract) => Some(&extract.sources),
        _ => None,
    });
    let mut sources = sources.into_iter().flat_map(|sources| sources.values());
    match (sources.next(), sources.next()) {
        (Some(only), None) => CsvDialect {
            separator: only.separator,
            nulls: only.nulls.clone(),
        },
        _ => CsvDialect::default(),
    }
}

/// The winner's metrics on test; those that are not defined there are left out.
pub(super) fn metrics(
    context: &StageContext<'_>,
    verdict: &Verdict,
) -> Result<BTreeMap<String, f64>, StageError> {
    let evaluation: Evaluation = flow::read_json(&flow::input(context, "evaluate", EVALUATION)?)?;
    let test = evaluation
        .candidates
        .into_iter()
        .find(|candidate| candidate.ordinal == verdict.winner.ordinal)
        .map(|candidate| candidate.test)
        .unwrap_or_default();
    Ok(test
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect())
}
