//! `predict`: a data set, predicted with a registered model, in batches.
//!
//! It is the model's own package that predicts ([`ml::package::Scorer`]): the same feature program and the same model
//! as in the fleet's other places, `worker predict` included, which shares [`score()`] with it.

mod output;
mod score;
mod source;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use ml::package::Package;
use pipeline::StageName;
use pipeline::spec::stages::Predict as Params;
use pipeline::stage::{Assignment, ModelNeed, Needs, Outcome, Read, Stage, StageContext, StageError};

pub use output::{Form, OutputError};
pub use score::{ScoreError, Scored, Watch, score};
pub use source::{SourceError, scan};

use crate::assigned::{own_params, stage_name};
use crate::flow::{PREDICTIONS, permanent};

/// The folder below the inputs in which the model's package is.
const PACKAGE: &str = "model";

/// The folder below the inputs for what is unpacked; it dies with the attempt.
const UNPACKED: &str = ".unpacked";

pub(crate) struct Predict;

impl Stage for Predict {
    fn name(&self) -> StageName {
        stage_name("predict")
    }

    fn needs(&self, assignment: &Assignment) -> Result<Needs, StageError> {
        let params: &Params = own_params!(assignment, Predict)?;
        Ok(Needs {
            sources: params
                .sources
                .iter()
                .map(|(name, source)| (name.clone(), source.path.clone()))
                .collect(),
            model: Some(ModelNeed {
                model: params.model.clone(),
                alias: params.alias.clone(),
                version: params.version.clone(),
            }),
        })
    }

    fn reads(&self, assignment: &Assignment) -> Vec<Read> {
        let version = assignment
            .found
            .model
            .as_ref()
            .and_then(|found| found.version.as_ref());
        version.map_or_else(Vec::new, |version| {
            let package = &version.package;
            package
                .artifacts
                .iter()
                .filter_map(|artifact| {
                    let path = std::path::Path::new(PACKAGE).join(artifact.name.as_str());
                    Read::of(package, &artifact.name, path)
                })
                .collect()
        })
    }

    fn run(&self, context: &StageContext<'_>) -> Result<Outcome, StageError> {
        let params: &Params = own_params!(context.assignment, Predict)?;
        let found = &context.assignment.found;
        if found.model.as_ref().is_none_or(|model| model.version.is_none()) {
            return Err(permanent(format!(
                "model {} has no version under alias {}: run a pipeline that deploys it, or promote a version by hand",
                params.model, params.alias
            )));
        }
        let scorer = Package::open(&context.inputs.join(PACKAGE))
            .and_then(|package| package.scorer())
            .map_err(|e| permanent(format!("model {}: {e}", params.model)))?;
        context.progress(0.1);
        let go_on = || !context.control.is_interrupted();
        let rows = source::frame(
            &params.sources,
            &found.sources,
            params.sql.as_deref(),
            &scorer,
            &params.keep,
            context.inputs.join(UNPACKED),
            &go_on,
        )?;
        // The query runs on threads of its own, so what it asks the pool goes through a channel of two flags.
        let watch = Arc::new(Watch::default());
        let output = context.outputs.join(PREDICTIONS);
        let work = || {
            score(
                Arc::new(scorer),
                rows,
                &params.keep,
                &output,
                Form::Parquet,
                &watch,
            )
        };
        let scored = std::thread::scope(|scope| {
            let worker = scope.spawn(work);
            while !worker.is_finished() {
                if context.control.is_interrupted() {
                    watch.stop();
                }
                context.control.pause(score::LOOK_EVERY);
            }
            worker.join()
        });
        match scored {
            Ok(Ok(Scored { .. })) => Ok(Outcome::Advance),
            Ok(Err(ScoreError::Stopped)) => Err(StageError::Interrupted),
            Ok(Err(error)) => Err(permanent(error)),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}
