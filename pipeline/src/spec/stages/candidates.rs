//! Which models are tried.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::written::WrittenCandidate;

/// What `train` is told: one branch trains one candidate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Train {
    /// By the ordinal of their branch.
    pub candidates: Vec<Candidate>,
}

/// One model to be tried. In a specification its hyperparameters stand beside its other keys:
/// `{ model = "boosting", rounds = 100 }`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "super::written::Candidate")
)]
#[serde(try_from = "WrittenCandidate", into = "Map<String, Value>")]
pub struct Candidate {
    /// What reports call it; the kind of model unless given.
    pub name: Option<String>,
    /// Which kind of model, with its hyperparameters.
    pub model: ModelKind,
    /// What does not depend on the kind of model.
    pub training: Training,
}

/// How a candidate is trained, whatever its model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Training {
    /// How rows of rare classes are weighted.
    #[serde(skip_serializing_if = "ClassWeights::is_none")]
    pub class_weights: ClassWeights,
    /// Folds of cross-validation on train, besides the validation set: 2 to 20, none if 0.
    #[serde(skip_serializing_if = "is_zero")]
    #[cfg_attr(feature = "schema", schemars(range(max = 20)))]
    pub folds: u32,
    /// After this time the best model so far is kept: boosting and forests stop between two rounds.
    #[serde(skip_serializing_if = "Option::is_none", with = "optional_duration")]
    #[cfg_attr(
        feature = "schema",
        schemars(with = "Option<String>", regex(pattern = crate::time::human::PATTERN))
    )]
    pub time_budget: Option<std::time::Duration>,
}

impl From<Candidate> for Map<String, Value> {
    fn from(candidate: Candidate) -> Self {
        let Candidate {
            name,
            model,
            training,
        } = candidate;
        let mut keys = Self::new();
        keys.extend(name.map(|name| ("name".to_owned(), Value::from(name))));
        for part in [serde_json::to_value(model), serde_json::to_value(training)] {
            // Names and numbers, which serialise to objects.
            if let Ok(Value::Object(part)) = part {
                keys.extend(part);
            }
        }
        keys
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde's skip_serializing_if passes a reference"
)]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl Candidate {
    /// What reports call it.
    pub fn name(&self) -> &str {
        match (&self.name, &self.model) {
            (Some(name), _) => name,
            (None, ModelKind::Linear(_)) => "linear",
            (None, ModelKind::Boosting(_)) => "boosting",
            (None, ModelKind::Forest(_)) => "forest",
        }
    }
}

/// A kind of model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "model", rename_all = "lowercase")]
pub enum ModelKind {
    /// Logistic, multinomial or linear regression, by the task.
    Linear(Linear),
    /// Gradient-boosted trees.
    Boosting(Boosting),
    /// A forest of randomised trees.
    Forest(Forest),
}

/// Hyperparameters of a linear model.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Linear {
    /// The L2 penalty on the coefficients: `l2 / 2` times the sum of their squares is added to the summed loss.
    #[cfg_attr(feature = "schema", schemars(range(min = 0.0)))]
    pub l2: f64,
    /// The most iterations of the solver.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 100_000)))]
    pub max_iterations: u32,
}

impl Default for Linear {
    fn default() -> Self {
        Self {
            l2: 1.0,
            max_iterations: 200,
        }
    }
}

/// Hyperparameters of gradient-boosted trees.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Boosting {
    /// The most rounds (trees for each class).
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 100_000)))]
    pub rounds: u32,
    /// How much each round adds.
    #[cfg_attr(feature = "schema", schemars(extend("exclusiveMinimum" = 0, "maximum" = 1)))]
    pub learning_rate: f64,
    /// The most leaves of a tree.
    #[cfg_attr(feature = "schema", schemars(range(min = 2, max = 65_536)))]
    pub max_leaves: u32,
    /// The deepest tree; as deep as its leaves allow if 0.
    #[cfg_attr(feature = "schema", schemars(range(max = 64)))]
    pub max_depth: u32,
    /// The least sum of hessians in a leaf.
    #[cfg_attr(feature = "schema", schemars(range(min = 0.0)))]
    pub min_child_weight: f64,
    /// The L2 penalty on the leaves.
    #[cfg_attr(feature = "schema", schemars(range(min = 0.0)))]
    pub l2: f64,
    /// The share of rows that each round sees.
    #[cfg_attr(feature = "schema", schemars(extend("exclusiveMinimum" = 0, "maximum" = 1)))]
    pub subsample: f64,
    /// The share of features that each tree sees.
    #[cfg_attr(feature = "schema", schemars(extend("exclusiveMinimum" = 0, "maximum" = 1)))]
    pub feature_fraction: f64,
    /// Stops after so many rounds without a better validation metric; never if 0.
    #[cfg_attr(feature = "schema", schemars(range(max = 100_000)))]
    pub early_stopping: u32,
}

impl Default for Boosting {
    fn default() -> Self {
        Self {
            rounds: 300,
            learning_rate: 0.1,
            max_leaves: 31,
            max_depth: 0,
            min_child_weight: 1.0,
            l2: 1.0,
            subsample: 1.0,
            feature_fraction: 1.0,
            early_stopping: 20,
        }
    }
}

/// Hyperparameters of a forest.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Forest {
    /// How many trees.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 10_000)))]
    pub trees: u32,
    /// The deepest tree.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 64)))]
    pub max_depth: u32,
    /// The share of rows that each tree sees.
    #[cfg_attr(feature = "schema", schemars(extend("exclusiveMinimum" = 0, "maximum" = 1)))]
    pub subsample: f64,
    /// The share of features that each split sees.
    #[cfg_attr(feature = "schema", schemars(extend("exclusiveMinimum" = 0, "maximum" = 1)))]
    pub feature_fraction: f64,
}

impl Default for Forest {
    fn default() -> Self {
        Self {
            trees: 100,
            max_depth: 12,
            subsample: 0.8,
            feature_fraction: 0.6,
        }
    }
}

/// How rows of rare classes are weighted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ClassWeights {
    /// Like all others.
    #[default]
    None,
    /// So that every class has the same weight in all.
    Balanced,
}

impl ClassWeights {
    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde's skip_serializing_if passes a reference"
    )]
    fn is_none(&self) -> bool {
        *self == Self::None
    }
}

pub(super) mod optional_duration {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(in crate::spec::stages) fn serialize<S: Serializer>(
        value: &Option<Duration>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        value
            .map(|d| humantime::format_duration(d).to_string())
            .serialize(to)
    }

    pub(in crate::spec::stages) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Duration>, D::Error> {
        let text: Option<String> = Option::deserialize(from)?;
        text.map(|text| {
            humantime::parse_duration(&text).map_err(|e| {
                serde::de::Error::custom(format!(
                    "{text:?} is no duration ({e}); write for example \"90s\", \"10m\""
                ))
            })
        })
        .transpose()
    }
}
