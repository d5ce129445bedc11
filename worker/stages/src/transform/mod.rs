//! `transform`: fits the feature program on train, and applies it to every split.

mod settings;
#[cfg(test)]
mod tests;

use ml::dataset::{Dataset, Role};
use ml::features::store::{self, StoreError, StoredFeatures};
use ml::features::{self, Feature, FeatureError, FeatureProgram, FeatureTable};
use pipeline::StageName;
use pipeline::item::Demand;
use pipeline::stage::{Assignment, Outcome, Read, Stage, StageContext, StageError};
use polars::prelude::DataFrame;
use serde::Serialize;

use crate::assigned::{own_params, stage_name};
use crate::demand;
use crate::flow::{self, Split, permanent, transient};

pub(crate) struct Transform;

impl Stage for Transform {
    fn name(&self) -> StageName {
        stage_name("transform")
    }

    fn reads(&self, assignment: &Assignment) -> Vec<Read> {
        flow::row_reads(assignment, &Split::ALL)
    }

    fn demand(&self, assignment: &Assignment) -> Option<Demand> {
        demand::TRANSFORM.of(&self.reads(assignment))
    }

    fn run(&self, context: &StageContext<'_>) -> Result<Outcome, StageError> {
        let params = own_params!(context.assignment, Transform)?;
        let dataset = flow::dataset(context)?;
        let program = fit(context, &dataset, &settings::of(params))?;
        for (split, done) in [(Split::Validation, 0.7), (Split::Test, 0.85)] {
            context.progress(done);
            apply(context, &dataset, &program, split)?;
        }
        let bytes = program.to_bytes().map_err(permanent)?;
        flow::write_bytes(context, flow::PROGRAM, &bytes)?;
        flow::write_json(context, flow::FEATURES, &Summary::of(&program))?;
        let left_out = program.notes().iter().filter(|note| note.what.is_left_out());
        flow::write_warnings(context, left_out.map(ToString::to_string).collect())?;
        context.progress(1.0);
        Ok(Outcome::Advance)
    }
}

/// Fits the program, and writes train's features. No other split is in memory meanwhile.
fn fit(
    context: &StageContext<'_>,
    dataset: &Dataset,
    settings: &features::FeatureSettings,
) -> Result<FeatureProgram, StageError> {
    context.checkpoint()?;
    let refused = |e: FeatureError| permanent(format!("{}: {e}", Split::Train.rows()));
    let wanted = |name: &str| {
        settings
            .only
            .as_ref()
            .is_none_or(|only| only.iter().any(|n| n == name))
    };
    let raw = dataset
        .of_role(Role::Feature)
        .map(|column| column.name.as_str())
        .filter(|name| wanted(name));
    let frame = flow::rows(context, Split::Train, Some(&with_label(dataset, raw)))?;
    let (target, weights) = target_and_weights(&frame, dataset).map_err(refused)?;
    features::check_train_target(&target, dataset).map_err(refused)?;
    context.checkpoint()?;
    context.progress(0.1);
    let seed = context.assignment.spec.seed;
    let (program, table) = FeatureProgram::fit(&frame, dataset, settings, seed).map_err(refused)?;
    drop(frame);
    context.checkpoint()?;
    context.progress(0.5);
    write(context, Split::Train, program.features(), table, target, weights)?;
    Ok(program)
}

fn apply(
    context: &StageContext<'_>,
    dataset: &Dataset,
    program: &FeatureProgram,
    split: Split,
) -> Result<(), StageError> {
    context.checkpoint()?;
    let refused = |e: FeatureError| permanent(format!("{}: {e}", split.rows()));
    let raw = program.inputs().iter().map(|input| input.name.as_str());
    let frame = flow::rows(context, split, Some(&with_label(dataset, raw)))?;
    let (target, weights) = target_and_weights(&frame, dataset).map_err(refused)?;
    context.checkpoint()?;
    let table = program.apply(&frame).map_err(refused)?;
    drop(frame);
    context.checkpoint()?;
    write(context, split, program.features(), table, target, weights)
}

/// The columns to read: these, the label and the weight.
fn with_label<'a>(dataset: &'a Dataset, raw: impl Iterator<Item = &'a str>) -> Vec<String> {
    let weight = dataset.of_role(Role::Weight).map(|column| column.name.as_str());
    raw.chain([dataset.label.as_str()])
        .chain(weight.take(1))
        .map(str::to_owned)
        .collect()
}

type TargetAndWeights = (Vec<f32>, Option<Vec<f32>>);

fn target_and_weights(frame: &DataFrame, dataset: &Dataset) -> Result<TargetAndWeights, FeatureError> {
    Ok((
        features::target(frame, dataset)?,
        features::weights(frame, dataset)?,
    ))
}

fn write(
    context: &StageContext<'_>,
    split: Split,
    features: &[Feature],
    table: FeatureTable,
    target: Vec<f32>,
    weights: Option<Vec<f32>>,
) -> Result<(), StageError> {
    let stored = StoredFeatures {
        features: table,
        target,
        weights,
    };
    store::write(&context.outputs.join(split.features()), features, stored).map_err(|e| match e {
        StoreError::Frame(e) => transient(e),
        StoreError::Reserved | StoreError::Mismatch { .. } => permanent(e),
    })
}

/// What the features are, for reports and people.
#[derive(Serialize)]
struct Summary<'a> {
    /// In the program's order.
    features: Vec<SummaryFeature<'a>>,
    /// What was left out, and why.
    notes: Vec<SummaryNote<'a>>,
}

#[derive(Serialize)]
struct SummaryFeature<'a> {
    name: &'a str,
    /// The raw column that it is computed from.
    column: &'a str,
    kind: &'static str,
    /// How many categories it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    categories: Option<usize>,
}

#[derive(Serialize)]
struct SummaryNote<'a> {
    column: &'a str,
    left_out: bool,
    text: String,
}

impl<'a> Summary<'a> {
    fn of(program: &'a FeatureProgram) -> Self {
        let feature = |feature: &'a Feature| {
            let (kind, categories) = match &feature.values {
                features::FeatureValues::Numeric { .. } => ("numeric", None),
                features::FeatureValues::Category { levels, .. } => ("category", Some(levels.len())),
            };
            SummaryFeature {
                name: &feature.name,
                column: &feature.column,
                kind,
                categories,
            }
        };
        let note = |note: &'a features::Note| SummaryNote {
            column: &note.column,
            left_out: note.what.is_left_out(),
            text: note.to_string(),
        };
        Self {
            features: program.features().iter().map(feature).collect(),
            notes: program.notes().iter().map(note).collect(),
        }
    }
}
