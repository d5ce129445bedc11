//! What becomes of the winner, and what a registered model is used for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::{AliasName, ModelName, RunId};

use super::Source;

/// What `deploy` is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Deploy {
    /// Under which name the model is registered; the pipeline's unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelName>,
    /// The alias that moves to it if the gates are passed.
    #[serde(default = "champion")]
    pub alias: AliasName,
    /// Whether the alias moves at all; a version that is only registered can be promoted by hand.
    #[serde(default = "yes")]
    pub promote: bool,
}

impl Default for Deploy {
    fn default() -> Self {
        Self {
            model: None,
            alias: champion(),
            promote: true,
        }
    }
}

pub(crate) fn champion() -> AliasName {
    AliasName::new("champion").expect("letters make an id")
}

fn yes() -> bool {
    true
}

/// What `predict` is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Predict {
    /// Which registered model.
    pub model: ModelName,
    /// By which alias.
    #[serde(default = "champion")]
    pub alias: AliasName,
    /// By which version (the run that made it) instead of the alias.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<RunId>,
    /// The tables that the query can name.
    pub sources: BTreeMap<String, Source>,
    /// One SELECT over the sources; all columns of the only source if there is none. Predictions come in the order of the
    /// only source or of ORDER BY; rows that are joined, grouped or stacked without one are sorted by `keep` and by what
    /// the model reads, in memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sql: Option<String>,
    /// Columns that are copied beside the predictions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keep: Vec<String>,
}
