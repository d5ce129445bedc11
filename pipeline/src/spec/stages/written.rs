//! Candidates as they are written: their hyperparameters beside their other keys.

use serde::Deserialize;
use std::time::Duration;

use super::candidates::optional_duration;
use super::{Boosting, ClassWeights, Forest, Linear, ModelKind, Training};

macro_rules! keys {
    ($($key:ident: $kind:ty),* $(,)?) => {
        /// All keys of all models, so that a mistake is told by its key.
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(super) struct WrittenCandidate {
            #[serde(default)]
            name: Option<String>,
            model: Kind,
            #[serde(default)]
            class_weights: ClassWeights,
            #[serde(default)]
            folds: u32,
            #[serde(default, with = "optional_duration")]
            time_budget: Option<Duration>,
            $(#[serde(default)] $key: Option<$kind>,)*
        }

        impl WrittenCandidate {
            /// The first hyperparameter that is given and not one of `known`.
            fn stranger(&self, known: &[&str]) -> Option<&'static str> {
                let given = [$((stringify!($key), self.$key.is_some()),)*];
                let found = given.into_iter().find(|(key, is_given)| *is_given && !known.contains(key));
                found.map(|(key, _)| key)
            }
        }
    };
}

keys! {
    l2: f64,
    max_iterations: u32,
    rounds: u32,
    learning_rate: f64,
    max_leaves: u32,
    max_depth: u32,
    min_child_weight: f64,
    subsample: f64,
    feature_fraction: f64,
    early_stopping: u32,
    trees: u32,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Linear,
    Boosting,
    Forest,
}

/// A model of what is given, with the defaults of its kind for the rest.
macro_rules! model {
    ($kind:ident of $written:ident { $($key:ident),* $(,)? }) => {{
        let known = [$(stringify!($key)),*];
        if let Some(key) = $written.stranger(&known) {
            return Err(format!(
                "{key}: a {} model has no such hyperparameter; it has {}",
                stringify!($kind).to_lowercase(),
                known.join(", ")
            ));
        }
        let defaults = $kind::default();
        ModelKind::$kind($kind { $($key: $written.$key.unwrap_or(defaults.$key),)* })
    }};
}

impl TryFrom<WrittenCandidate> for super::Candidate {
    type Error = String;

    fn try_from(written: WrittenCandidate) -> Result<Self, String> {
        let model = match written.model {
            Kind::Linear => model!(Linear of written { l2, max_iterations }),
            Kind::Boosting => model!(Boosting of written {
                rounds,
                learning_rate,
                max_leaves,
                max_depth,
                min_child_weight,
                l2,
                subsample,
                feature_fraction,
                early_stopping,
            }),
            Kind::Forest => model!(Forest of written { trees, max_depth, subsample, feature_fraction }),
        };
        Ok(Self {
            name: written.name,
            model,
            training: Training {
                class_weights: written.class_weights,
                folds: written.folds,
                time_budget: written.time_budget,
            },
        })
    }
}

/// The form in which a candidate is written, for its schema.
#[cfg(feature = "schema")]
#[derive(schemars::JsonSchema)]
#[serde(tag = "model", rename_all = "lowercase")]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) enum Candidate {
    /// Logistic, multinomial or linear regression, by the task.
    Linear(Written<Linear>),
    /// Gradient-boosted trees.
    Boosting(Written<Boosting>),
    /// A forest of randomised trees.
    Forest(Written<Forest>),
}

#[cfg(feature = "schema")]
#[derive(schemars::JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) struct Written<T> {
    /// What reports call it; the kind of model unless given.
    name: Option<String>,
    #[serde(flatten)]
    model: T,
    #[serde(flatten)]
    training: Training,
}
