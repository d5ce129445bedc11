//! What every stage asks of its assignment.

use pipeline::id::{AliasName, ModelName};
use pipeline::spec::{Spec, StageParams, Step};
use pipeline::stage::{Assignment, ModelNeed, StageError};
use pipeline::{StageName, StepName};

/// A stage's name, from the catalogue.
pub(crate) fn stage_name(name: &'static str) -> StageName {
    StageName::new(name).expect("names in the catalogue are ids; a test of the registry holds it")
}

/// The step before `step` in the specification; none for the first.
pub(crate) fn step_before<'a>(spec: &'a Spec, step: &StepName) -> Option<&'a Step> {
    let at = spec.steps.iter().position(|s| s.step == *step)?;
    spec.steps[..at].last()
}

/// Which champion is compared with: that of `model` and `alias`, where they are given, or else that of `deploy`; none if
/// nothing says which model.
pub(crate) fn champion_need(
    assignment: &Assignment,
    model: Option<&ModelName>,
    alias: Option<&AliasName>,
) -> Result<Option<ModelNeed>, StageError> {
    let deploy = assignment.spec.steps.iter().find_map(|step| match &step.params {
        StageParams::Deploy(deploy) => Some(deploy),
        _ => None,
    });
    let model = match (model.or(deploy.and_then(|d| d.model.as_ref())), deploy) {
        (Some(model), _) => model.clone(),
        (None, Some(_)) => ModelName::new(assignment.spec.pipeline.as_str()).map_err(|e| {
            StageError::Permanent(format!("the pipeline's name is no model's: {e}; set model"))
        })?,
        (None, None) => return Ok(None),
    };
    let alias = match alias.or(deploy.map(|d| &d.alias)) {
        Some(alias) => alias.clone(),
        None => AliasName::new("champion").expect("letters make an id"),
    };
    Ok(Some(ModelNeed {
        model,
        alias,
        version: None,
    }))
}

/// What the assignment's step is told, as `pick` takes it out of the stage's own variant.
pub(crate) fn params<'a, P>(
    assignment: &'a Assignment,
    pick: impl FnOnce(&'a StageParams) -> Option<&'a P>,
) -> Result<&'a P, StageError> {
    let Assignment { spec, step, .. } = assignment;
    let found = spec
        .step(step)
        .ok_or_else(|| StageError::Permanent(format!("the specification has no step {step}")))?;
    pick(&found.params).ok_or_else(|| {
        StageError::Permanent(format!(
            "step {step} is work for stage {}: this is another's message",
            found.params.stage()
        ))
    })
}

/// [`params`] for the stage's own variant of [`StageParams`].
macro_rules! own_params {
    ($assignment:expr, $variant:ident) => {
        $crate::assigned::params($assignment, |params| match params {
            pipeline::spec::StageParams::$variant(own) => Some(own),
            _ => None,
        })
    };
}
pub(crate) use own_params;
