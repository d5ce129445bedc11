//! `deploy`: packs the winner, proves the package in a fresh process, and declares what becomes of it.
//!
//! It writes the files of [`ml::package`], and nothing else. Whether the model becomes the champion is what the
//! verdict says; the run's last commit does it, and only if the champion is still the one that `evaluate` saw.

mod lineage;
mod proof;
#[cfg(test)]
mod tests;

use ml::features::FeatureProgram;
use ml::package::{self, Contents};
use pipeline::id::ModelName;
use pipeline::item::Demand;
use pipeline::registry::{Promotion, Registration};
use pipeline::spec::stages::Deploy as Params;
use pipeline::stage::{Assignment, Outcome, Read, Stage, StageContext, StageError};
use pipeline::{ArtifactName, StageName};

use crate::assigned::{own_params, stage_name};
use crate::demand;
use crate::flow::{self, EVALUATION, PROGRAM, STATISTICS, Split, permanent};
use crate::winner::{self, Compared, Verdict, read_bytes};

pub(crate) struct Deploy;

impl Stage for Deploy {
    fn name(&self) -> StageName {
        stage_name("deploy")
    }

    fn reads(&self, assignment: &Assignment) -> Vec<Read> {
        let mut reads = winner::reads(assignment);
        reads.extend(flow::reads(assignment, "evaluate", &[EVALUATION]));
        reads.extend(flow::reads(assignment, "transform", &[PROGRAM]));
        reads.extend(flow::reads(assignment, "extract", &[STATISTICS]));
        reads.extend(flow::row_reads(assignment, &[Split::Test]));
        reads
    }

    fn demand(&self, assignment: &Assignment) -> Option<Demand> {
        demand::DEPLOY.of(&self.reads(assignment))
    }

    fn run(&self, context: &StageContext<'_>) -> Result<Outcome, StageError> {
        let assignment = context.assignment;
        let params = own_params!(assignment, Deploy)?;
        let verdict = winner::verdict(context)?;
        if !verdict.passed {
            return Err(permanent(format!(
                "the verdict is that the winner did not pass its gates, so it is not deployed: {}",
                verdict.reason
            )));
        }
        let model = model_name(assignment, params)?;
        pack(context, &verdict)?;
        context.progress(0.7);
        proof::prove(context)?;
        Ok(Outcome::Register(registration(
            assignment, params, &verdict, model,
        )))
    }
}

/// Under which name it is registered.
fn model_name(assignment: &Assignment, params: &Params) -> Result<ModelName, StageError> {
    match &params.model {
        Some(model) => Ok(model.clone()),
        None => ModelName::new(assignment.spec.pipeline.as_str())
            .map_err(|e| permanent(format!("the pipeline's name is no model's: {e}; set model"))),
    }
}

/// Writes the package.
fn pack(context: &StageContext<'_>, verdict: &Verdict) -> Result<(), StageError> {
    let program = read_bytes(&flow::input(context, "transform", PROGRAM)?)?;
    // Only the columns that the model reads: of test's values, a package holds no more than it needs.
    let columns: Vec<String> = FeatureProgram::from_bytes(&program)
        .map_err(|e| permanent(format!("{PROGRAM}: {e}")))?
        .inputs()
        .iter()
        .map(|input| input.name.clone())
        .collect();
    let dataset = flow::dataset(context)?;
    let test = flow::rows(context, Split::Test, Some(&columns))?;
    context.checkpoint()?;
    context.progress(0.2);
    let statistics = match flow::input(context, "extract", STATISTICS) {
        Ok(path) => Some(read_bytes(&path)?),
        Err(_) => None,
    };
    let description = package::write(
        context.outputs,
        Contents {
            model: &verdict.winner.bytes(context)?,
            program: &program,
            dataset: &dataset,
            statistics: statistics.as_deref(),
            test: &test,
            lineage: lineage::of(context.assignment, verdict),
            artifacts: lineage::artifacts(context.assignment, &verdict.winner),
            metrics: lineage::metrics(context, verdict)?,
            csv: lineage::csv(context.assignment),
        },
    )
    .map_err(permanent)?;
    for name in description.files.keys() {
        ArtifactName::new(name).map_err(|e| permanent(format!("a file of the package: {e}")))?;
    }
    context.checkpoint()
}

/// What becomes of the package: the verdict decides, and the specification may hold it back.
fn registration(
    assignment: &Assignment,
    params: &Params,
    verdict: &Verdict,
    model: ModelName,
) -> Registration {
    let moved = Compared {
        model: model.clone(),
        alias: params.alias.clone(),
    };
    let held_back = match &verdict.compared {
        _ if !verdict.promote => None,
        _ if !params.promote => Some(format!(
            "registered only: promote = false in step {}",
            assignment.step
        )),
        // The revision that the verdict has is that of this very alias.
        Some(compared) if *compared == moved => None,
        Some(compared) => Some(format!(
            "registered only: the evaluation compared with {compared} and not with {moved}, which this step would \
             move; give both steps the same"
        )),
        None => Some(format!(
            "registered only: the evaluation compared with no champion, and this step would move {moved}"
        )),
    };
    let promote = (verdict.promote && held_back.is_none()).then(|| Promotion {
        alias: params.alias.clone(),
        expected_revision: verdict.alias_revision.unwrap_or(0),
    });
    let reason = match held_back {
        None => verdict.reason.clone(),
        Some(why) => format!("{}; {why}", verdict.reason),
    };
    Registration {
        model,
        promote,
        reason,
    }
}
