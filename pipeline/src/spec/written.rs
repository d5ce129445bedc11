//! A specification as people write it, for its schema: steps, or the sections of which steps are made.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;

use super::load::{Data, Prediction};
use super::stages::{Candidate, Deploy, Evaluate, Explain, Gate, Split, Transform, Validate};
use super::{Parameter, Retry, Step, default_deadline};
use crate::id::PipelineName;
use crate::intake::Rules;
use crate::time::human;

/// A specification as it is written.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct Written {
    /// What runs of it are called. Also the name of its model, unless `[deploy]` gives another.
    pipeline: PipelineName,
    /// For people.
    description: Option<String>,
    /// How long a run may take, waiting in queues included, before it fails.
    #[schemars(with = "String", regex(pattern = human::PATTERN), default = "written_deadline")]
    deadline: Duration,
    /// What stages draw their randomness from. Equal data, specification and seed give equal models, to the byte.
    #[serde(default)]
    seed: u64,
    /// What each step may spend on failures.
    #[serde(default)]
    retry: Retry,
    /// Values that stand for `${name}` in all other texts; `--set name=value` replaces them.
    #[serde(default)]
    parameters: BTreeMap<String, Parameter>,
    /// Where the data comes from, and what its columns are.
    data: Option<Data>,
    /// How rows come into train, validation and test.
    #[serde(default)]
    split: Split,
    /// What must hold of the data before anything is learned from it.
    validate: Option<Validate>,
    /// How columns become features.
    features: Option<Transform>,
    /// Which models are tried, each under `[[candidates]]`: `linear` and `boosting` unless given.
    #[schemars(length(min = 1, max = 64))]
    candidates: Option<Vec<Candidate>>,
    /// How the winner is chosen.
    evaluate: Option<Evaluate>,
    /// What the winner must reach, each under `[[gates]]`. A run whose winner does not is halted with the report.
    gates: Option<Vec<Gate>>,
    /// What is said of why the winner predicts as it does; `explain = false` leaves it out.
    explain: Option<Switch<Explain>>,
    /// What becomes of the winner; `deploy = false` leaves it out.
    deploy: Option<Switch<Deploy>>,
    /// What is to be predicted with which registered model: a pipeline of its own, without any section above.
    predict: Option<Prediction>,
    /// What upstream systems may do with the pipeline once it is applied under its name: `producer pipelines apply`.
    intake: Option<Rules>,
    /// How long one attempt of a step may take, by the step's name: `train = "10m"`.
    limits: Option<BTreeMap<String, Limit>>,
    /// What is done, in order, in the long form that sections are turned into.
    steps: Option<Vec<Step>>,
}

/// A section that can be switched off.
#[derive(JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "{T}OrFalse")]
#[expect(dead_code, reason = "only its schema is used")]
enum Switch<T> {
    /// With these settings.
    Section(T),
    /// False leaves it out.
    Enabled(bool),
}

/// A duration, such as `10m`.
#[derive(JsonSchema)]
#[schemars(transparent)]
#[expect(dead_code, reason = "only its schema is used")]
struct Limit(#[schemars(regex(pattern = human::PATTERN))] String);

fn written_deadline() -> String {
    humantime::format_duration(default_deadline()).to_string()
}
