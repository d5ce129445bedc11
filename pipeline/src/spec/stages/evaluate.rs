//! How the winner is chosen, and what it must pass.

use serde::{Deserialize, Serialize};

use crate::id::{AliasName, ModelName};

/// What `evaluate` is told.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Evaluate {
    /// The metric that chooses the winner, on validation: `auc` (binary), `log_loss` (multiclass) or `rmse`
    /// (regression) unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
    /// Columns by whose values test is also looked at in parts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub slices: Vec<String>,
    /// What the winner must reach on test.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<Gate>,
    /// How the winner must compare with the champion on the same rows of test.
    pub champion: ChampionGate,
    /// Of which model the champion is asked for; that of `[deploy]` unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelName>,
    /// Which of its aliases is the champion.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alias: Option<AliasName>,
}

/// A threshold on a metric of the winner.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Gate {
    /// Such as `auc`.
    pub metric: String,
    /// It must be this or more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<f64>,
    /// It must be this or less.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<f64>,
    /// Only on rows where the column of `slices` has this value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slice: Option<String>,
}

/// The comparison with the champion.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct ChampionGate {
    /// By how much the winner's metric may be worse than the champion's and still be promoted.
    pub tolerance: f64,
}

impl Default for ChampionGate {
    fn default() -> Self {
        Self { tolerance: 0.0 }
    }
}
