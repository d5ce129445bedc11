//! What every stage asks of its assignment.

use pipeline::spec::{Spec, StageParams, Step};
use pipeline::stage::{Assignment, StageError};
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
